"""Many frames: the figures of a report, all of them percentages, 0 to 100; a figure that does not exist is NaN.

What asks how much of the annotation was found (recall, AR, over- and under-segmentation) is taken over all frames. What
also asks whether predictions are right (precision, F, AP, PQ, calibration) is taken over frames whose annotation is
exhaustive, and does not exist where there are none.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from training.metrics.calibration import reliability
from training.metrics.coco import coco_figures
from training.metrics.counted import MIN_OBJECT_AREA, SIZES
from training.metrics.frame_scores import FrameScores

NOTHING = float("nan")


def summarize(frames: Sequence[FrameScores]) -> dict[str, float]:
    """The figures of a set of frames, in percent.

    Overlap and Boundary P/R/F and `detected_75` are means over frames, as the field reports them; shares of objects and
    of predictions (recall, precision, PQ, segmentation errors, mean best IoU) are taken over all of them together, so
    that a frame with one object does not weigh as much as one with thirty.

    Raises:
        ValueError: no object counts in any frame, so there is nothing to measure against.
    """
    object_count = sum(len(frame.best_iou) for frame in frames)
    if object_count == 0:
        raise ValueError(
            f"the {len(frames)} frames hold no object that is large enough to count; evaluate on frames with objects, "
            f"or lower the smallest area that counts (default: {MIN_OBJECT_AREA} visible pixels in 512 x 384)"
        )
    best = np.concatenate([frame.best_iou for frame in frames])
    sizes = np.concatenate([frame.object_sizes for frame in frames])
    figures = {**_frame_means(frames), **coco_figures(frames)}
    figures["recall_50"] = _percent(best >= 0.5)
    figures["recall_75"] = _percent(best >= 0.75)
    figures["precision_50"] = _precision(frames)
    figures["mean_iou"] = _percent(best)
    figures["over_segmented"] = _percent(np.concatenate([frame.over_segmented for frame in frames]))
    figures["under_segmented"] = _percent(np.concatenate([frame.under_segmented for frame in frames]))
    for size in SIZES:
        figures[f"recall_50_{size}"] = _percent(best[sizes == size] >= 0.5, empty=NOTHING)
        figures[f"recall_75_{size}"] = _percent(best[sizes == size] >= 0.75, empty=NOTHING)
    figures.update(panoptic_quality(frames))
    calibration = reliability(frames)
    figures["ece_correct"] = calibration.error(calibration.correct)
    figures["ece_iou"] = calibration.error(calibration.iou)
    return figures


def panoptic_quality(frames: Sequence[FrameScores]) -> dict[str, float]:
    """Class-agnostic PQ of the objects and its factors SQ x RQ, in percent (Kirillov et al. 2019).

    An IoU above one half matches one object with one prediction at most, so the best IoU of each object is all that is
    needed; torchmetrics gives the same at half a second a frame.
    """
    complete = [frame for frame in frames if frame.exhaustive]
    best = np.concatenate([np.zeros(0), *(frame.best_iou for frame in complete)])
    matched = best[best > 0.5]
    segments = len(best) + sum(len(frame.prediction_best_iou) for frame in complete)
    if not segments:
        return {"pq": NOTHING, "sq": NOTHING, "rq": NOTHING}
    # TP + FP / 2 + FN / 2 is half of all segments on both sides.
    return {
        "pq": 100 * float(matched.sum()) / (segments / 2),
        "sq": _percent(matched),
        "rq": 100 * len(matched) / (segments / 2),
    }


def counts(frames: Sequence[FrameScores]) -> dict[str, int]:
    """How many frames, objects (in all and by size), ignored objects and predictions the figures rest on."""
    sizes = [size for frame in frames for size in frame.object_sizes]
    return {
        "frames": len(frames),
        "exhaustive_frames": sum(frame.exhaustive for frame in frames),
        "frames_without_objects": sum(len(frame.best_iou) == 0 for frame in frames),
        "objects": len(sizes),
        **{f"objects_{size}": sizes.count(size) for size in SIZES},
        "ignored_objects": sum(frame.ignored_objects for frame in frames),
        "predictions": sum(len(frame.prediction_best_iou) for frame in frames),
    }


def recall_by_class(frames: Sequence[FrameScores]) -> dict[str, dict[str, float]]:
    """For each class, in alphabetical order: `objects` (how many count), `recall_50`, `recall_75`, `mean_iou`."""
    best = np.concatenate([np.zeros(0), *(frame.best_iou for frame in frames)])
    names = np.array([name for frame in frames for name in frame.object_classes], str)
    found = {str(name): best[names == name] for name in np.unique(names)}
    return {
        name: {
            "objects": len(iou),
            "recall_50": _percent(iou >= 0.5),
            "recall_75": _percent(iou >= 0.75),
            "mean_iou": _percent(iou),
        }
        for name, iou in found.items()
    }


def objective(frames: Sequence[FrameScores]) -> float:
    """What thresholds and baseline parameters are chosen by: mean of Overlap F, Boundary F and recall@0.5, in percent.

    The two F measures punish extra and ragged masks by their pixels, recall counts every object alike, so neither a few
    large masks nor a shower of small ones wins. Cheaper than `summarize`: no COCO evaluation.

    Raises:
        ValueError: no object counts in any frame, or a frame is not annotated exhaustively: extra masks would be free.
    """
    if not any(len(frame.best_iou) for frame in frames):
        raise ValueError(f"the {len(frames)} frames hold no object that counts; choose on frames with objects")
    if not all(frame.exhaustive for frame in frames):
        raise ValueError("objects are annotated in part only; choose on frames where every object is annotated")
    means = _frame_means(frames)
    recall = _percent(np.concatenate([frame.best_iou for frame in frames]) >= 0.5)
    return (means["overlap_f"] + means["boundary_f"] + recall) / 3


def _precision(frames: Sequence[FrameScores]) -> float:
    complete = [frame.prediction_best_iou for frame in frames if frame.exhaustive]
    return _percent(np.concatenate(complete) >= 0.5) if complete else NOTHING


def _frame_means(frames: Sequence[FrameScores]) -> dict[str, float]:
    figures = {}
    complete = np.array([frame.exhaustive for frame in frames], bool)
    for name in ("overlap", "boundary"):
        rows = np.array([getattr(frame, name).precision_recall_f() for frame in frames], float).reshape(-1, 3)
        for letter, column in zip(("precision", "recall", "f"), rows.T, strict=True):
            known = column[~np.isnan(column) & (complete | (letter == "recall"))]
            figures[f"{name}_{letter}"] = _percent(known, empty=0.0 if complete.any() else NOTHING)
    figures["detected_75"] = _percent(
        np.array([frame.detected / len(frame.best_iou) for frame in frames if len(frame.best_iou)])
    )
    return figures


def _percent(values: NDArray[Any], empty: float = 0.0) -> float:
    """Mean in percent; `empty` when there are no values."""
    return 100 * float(np.mean(values)) if len(values) else empty
