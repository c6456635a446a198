"""COCO's mask AR and AP, class-agnostic, by pycocotools."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

if TYPE_CHECKING:
    from training.metrics.frame_scores import FrameScores

MAX_DETECTIONS = 100
"""Predictions of a frame that AR and AP look at, best scores first."""


def coco_figures(frames: Sequence[FrameScores]) -> dict[str, float]:
    """Class-agnostic mask AR@100, AP, AP50 and AP75 over IoU 0.50 to 0.95, by pycocotools, in percent.

    AR is a recall and taken over all frames, AP over those whose annotation is exhaustive; NaN where no object is.
    """
    complete = [frame for frame in frames if frame.exhaustive]
    everything = _figures(frames)
    precision = everything if len(complete) == len(frames) else _figures(complete)
    return {"ar_100": everything["ar_100"], **{name: precision[name] for name in ("ap", "ap_50", "ap_75")}}


def run_length_codes(index: NDArray[np.int32]) -> list[dict[str, Any]]:
    """COCO run-length codes of the labels 1..K of a (H, W) map numbered without gaps.

    All labels come from one pass over the map's runs, many times faster than encoding mask by mask.
    """
    height, width = index.shape
    columns = index.ravel(order="F")
    starts = np.concatenate([[0], np.flatnonzero(np.diff(columns)) + 1])
    stops = np.append(starts[1:], columns.size)
    labels = columns[starts]
    codes = []
    for label in range(1, int(index.max(initial=0)) + 1):
        runs = labels == label
        # Counts alternate between pixels outside and inside, column by column.
        changes = np.stack([starts[runs], stops[runs]], axis=1).ravel()
        counts = np.diff(changes, prepend=0, append=columns.size)
        codes.append({"counts": counts.tolist(), "size": [height, width]})
    return list(coco_mask.frPyObjects(codes, height, width)) if codes else []


def _figures(frames: Sequence[FrameScores]) -> dict[str, float]:
    annotations = [
        {"image_id": k, "category_id": 1, "iscrowd": 0, "segmentation": mask, "area": int(area)}
        for k, frame in enumerate(frames)
        for mask, area in zip(frame.object_masks, frame.object_areas, strict=True)
    ]
    detections = [
        {"image_id": k, "category_id": 1, "segmentation": mask, "score": float(score)}
        for k, frame in enumerate(frames)
        for mask, score in zip(frame.prediction_masks, frame.prediction_scores, strict=True)
    ]
    if not detections or not annotations:
        return dict.fromkeys(("ar_100", "ap", "ap_50", "ap_75"), 0.0 if annotations else float("nan"))
    with contextlib.redirect_stdout(io.StringIO()):
        evaluation = _coco_evaluation([frame.shape for frame in frames], annotations, detections)
    precision, recall = evaluation.eval["precision"][..., 0, 0, 0], evaluation.eval["recall"][..., 0, 0, 0]
    thresholds = evaluation.params.iouThrs.round(2)
    return {
        "ar_100": 100 * float(recall.mean()),
        "ap": 100 * float(precision.mean()),
        "ap_50": 100 * float(precision[thresholds == 0.5].mean()),
        "ap_75": 100 * float(precision[thresholds == 0.75].mean()),
    }


def _coco_evaluation(
    shapes: Sequence[tuple[int, int]], annotations: list[dict[str, Any]], detections: list[dict[str, Any]]
) -> COCOeval:
    truth = COCO()
    truth.dataset = {
        "info": {},
        "images": [{"id": k, "height": height, "width": width} for k, (height, width) in enumerate(shapes)],
        "categories": [{"id": 1, "name": "object"}],
        "annotations": [{"id": k + 1, **annotation} for k, annotation in enumerate(annotations)],
    }
    truth.createIndex()
    evaluation = COCOeval(truth, truth.loadRes(detections), "segm")
    evaluation.params.areaRng, evaluation.params.areaRngLbl = [[0, 1e10]], ["all"]
    evaluation.params.maxDets = [MAX_DETECTIONS]
    evaluation.evaluate()
    evaluation.accumulate()
    return evaluation
