"""How well predicted instances agree with the whole objects of a frame: pure functions, arrays in and numbers out.

`score_frame` compares one ground-truth instance map with one predicted label map, `summarize` turns many such
comparisons into the figures of a report: Overlap and Boundary P/R/F (Dave et al. 2019, as the unseen-object field uses
them), COCO mask AR and AP, recall and precision at fixed IoU, and over- and under-segmentation. All figures are
percentages, 0 to 100.

Which objects count: an object needs MIN_OBJECT_AREA visible pixels in a frame of REFERENCE_AREA (areas scale with the
image). The pixels of smaller objects are void, as in panoptic quality (Kirillov et al. 2019): a prediction that lies at
least half on void is dropped, void pixels are cut out of the others, and contours along void are not compared. So an
ignored object neither helps nor hurts, in every figure alike.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval
from scipy.ndimage import find_objects
from scipy.optimize import linear_sum_assignment

REFERENCE_AREA = 512 * 384
"""Pixels of the frame that MIN_OBJECT_AREA and SIZE_LIMITS are stated for."""
MIN_OBJECT_AREA = 100
"""Visible pixels that an object needs in order to count, 0.05 % of the frame."""
SIZE_LIMITS = {"small": 32**2, "medium": 96**2}
"""COCO's size classes, in visible pixels: below 0.52 % of the frame small, below 4.7 % medium, otherwise large."""
SIZES = (*SIZE_LIMITS, "large")
BOUNDARY_TOLERANCE = 0.003
"""Half width of the boundary band as a share of the image diagonal."""
DETECTED_F = 0.75
"""Overlap F above which a matched object is called detected."""
MAX_DETECTIONS = 100
"""Predictions of a frame that COCO's AR and AP look at, best scores first."""

BoolArray = NDArray[np.bool_]
FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
Box = tuple[slice, slice]


@dataclass(frozen=True)
class MatchTotals:
    """Matched, predicted and true pixels of one frame, of regions or of contours."""

    matched_predicted: int
    """Predicted pixels that agree with the matched object."""
    matched_true: int
    """Ground-truth pixels that agree with the matched prediction (regions: the same number)."""
    predicted: int
    true: int

    def precision_recall_f(self) -> tuple[float, float, float]:
        """Shares 0 to 1. Nothing predicted has precision 0, not 1 as in UOIS-Net's code; recall of nothing is NaN."""
        if self.true == 0 and self.predicted == 0:
            return np.nan, np.nan, np.nan
        precision = self.matched_predicted / self.predicted if self.predicted else 0.0
        recall = self.matched_true / self.true if self.true else np.nan
        return precision, recall, harmonic_mean(precision, recall if self.true else 0.0)


@dataclass(frozen=True)
class FrameScores:
    """Everything that one frame adds to the figures; N objects that count, M predictions that count."""

    object_areas: IntArray
    """(N,) visible pixels."""
    object_sizes: NDArray[np.str_]
    """(N,) names of SIZES."""
    best_iou: FloatArray
    """(N,) largest IoU of each object with any prediction."""
    over_segmented: BoolArray
    """(N,) see `over_segmented`."""
    under_segmented: BoolArray
    """(N,) see `under_segmented`."""
    prediction_best_iou: FloatArray
    """(M,) largest IoU of each prediction with any object."""
    overlap: MatchTotals
    boundary: MatchTotals
    detected: int
    """Objects whose matched prediction has an Overlap F above DETECTED_F."""
    ignored_objects: int
    """Objects too small to count."""
    shape: tuple[int, int]
    """(height, width) of the frame in pixels."""
    object_masks: list[dict[str, Any]]
    """(N,) COCO run-length codes."""
    prediction_masks: list[dict[str, Any]]
    """(M,) COCO run-length codes."""
    prediction_scores: FloatArray
    """(M,) as given by the segmenter."""


def score_frame(
    truth: NDArray[Any],
    predicted: NDArray[Any],
    scores: Mapping[int, float] | None = None,
    min_object_area: int = MIN_OBJECT_AREA,
) -> FrameScores:
    """Compare one frame's predictions with its ground truth.

    Args:
        truth: integer (H, W) instance map, 0 = background or structure, visible pixels only.
        predicted: integer (H, W) label map, 0 = background.
        scores: confidence of each predicted id, for the order in AR and AP; 1 for ids not named.
        min_object_area: pixels at REFERENCE_AREA below which an object is ignored.

    Raises:
        ValueError: the maps differ in shape, are not 2-D, not of an integer dtype, or hold negative ids.
    """
    _check_maps(truth, predicted)
    scale = truth.size / REFERENCE_AREA
    true_index, true_ids = compact_labels(truth)
    predicted_index, predicted_ids = compact_labels(predicted)

    areas = np.bincount(true_index.ravel(), minlength=len(true_ids) + 1)
    counts = areas >= min_object_area * scale
    counts[0] = True
    ignored = int((~counts).sum())
    void = None
    if ignored:
        void = ~counts[true_index]
        true_index, predicted_index, predicted_ids = _cut_void(true_index, predicted_index, predicted_ids, void)
        areas = areas[counts]

    intersection = contingency(true_index, predicted_index)
    iou = iou_matrix(intersection)
    matches = match_by_f(intersection)
    boundary = boundary_totals(true_index, predicted_index, matches, void)
    matched_pixels = int(sum(intersection[i + 1, j + 1] for i, j in matches))
    object_areas = areas[1:].astype(np.int64)
    return FrameScores(
        object_areas=object_areas,
        object_sizes=size_names(object_areas / scale),
        best_iou=iou.max(axis=1, initial=0.0),
        over_segmented=over_segmented(intersection),
        under_segmented=under_segmented(intersection),
        prediction_best_iou=iou.max(axis=0, initial=0.0),
        overlap=MatchTotals(
            matched_pixels, matched_pixels, int(intersection[:, 1:].sum()), int(intersection[1:, :].sum())
        ),
        boundary=boundary,
        detected=int(sum(_overlap_f(intersection)[i, j] > DETECTED_F for i, j in matches)),
        ignored_objects=ignored,
        shape=(truth.shape[0], truth.shape[1]),
        object_masks=run_length_codes(true_index),
        prediction_masks=run_length_codes(predicted_index),
        prediction_scores=np.array([1.0 if scores is None else scores.get(int(i), 1.0) for i in predicted_ids], float),
    )


def summarize(frames: Sequence[FrameScores]) -> dict[str, float]:
    """The figures of a set of frames, in percent.

    Overlap and Boundary P/R/F and `detected_75` are means over frames, as the field reports them; shares of objects and
    of predictions (recall, precision, segmentation errors, mean best IoU) are taken over all of them together, so that
    a frame with one object does not weigh as much as one with thirty.

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
    predicted_best = np.concatenate([frame.prediction_best_iou for frame in frames])
    sizes = np.concatenate([frame.object_sizes for frame in frames])
    figures = {**_frame_means(frames), **coco_figures(frames)}
    figures["recall_50"] = _percent(best >= 0.5)
    figures["recall_75"] = _percent(best >= 0.75)
    figures["precision_50"] = _percent(predicted_best >= 0.5)
    figures["mean_iou"] = _percent(best)
    figures["over_segmented"] = _percent(np.concatenate([frame.over_segmented for frame in frames]))
    figures["under_segmented"] = _percent(np.concatenate([frame.under_segmented for frame in frames]))
    for size in SIZES:
        figures[f"recall_50_{size}"] = _percent(best[sizes == size] >= 0.5, empty=float("nan"))
        figures[f"recall_75_{size}"] = _percent(best[sizes == size] >= 0.75, empty=float("nan"))
    return figures


def counts(frames: Sequence[FrameScores]) -> dict[str, int]:
    """How many frames, objects (in all and by size), ignored objects and predictions the figures rest on."""
    sizes = [size for frame in frames for size in frame.object_sizes]
    return {
        "frames": len(frames),
        "frames_without_objects": sum(len(frame.best_iou) == 0 for frame in frames),
        "objects": len(sizes),
        **{f"objects_{size}": sizes.count(size) for size in SIZES},
        "ignored_objects": sum(frame.ignored_objects for frame in frames),
        "predictions": sum(len(frame.prediction_best_iou) for frame in frames),
    }


def objective(frames: Sequence[FrameScores]) -> float:
    """What thresholds and baseline parameters are chosen by: mean of Overlap F, Boundary F and recall@0.5, in percent.

    The two F measures punish extra and ragged masks by their pixels, recall counts every object alike, so neither a few
    large masks nor a shower of small ones wins. Cheaper than `summarize`: no COCO evaluation.

    Raises:
        ValueError: no object counts in any frame.
    """
    if not any(len(frame.best_iou) for frame in frames):
        raise ValueError(f"the {len(frames)} frames hold no object that counts; choose on frames with objects")
    means = _frame_means(frames)
    recall = _percent(np.concatenate([frame.best_iou for frame in frames]) >= 0.5)
    return (means["overlap_f"] + means["boundary_f"] + recall) / 3


def compact_labels(labels: NDArray[Any]) -> tuple[NDArray[np.int32], IntArray]:
    """Renumber a label map without gaps: (H, W) int32 with 0 kept and 1..K, and the K original ids in rising order."""
    present = np.flatnonzero(np.bincount(labels.ravel().astype(np.int64)))
    ids = present[present > 0]
    lookup = np.zeros(int(present.max(initial=0)) + 1, np.int32)
    lookup[ids] = np.arange(1, len(ids) + 1)
    return lookup[labels], ids.astype(np.int64)


def contingency(true_index: NDArray[np.int32], predicted_index: NDArray[np.int32]) -> IntArray:
    """Pixels shared by object i and prediction j, (N + 1, M + 1); row and column 0 are the background.

    Both maps are numbered without gaps, as `compact_labels` does.
    """
    rows, columns = int(true_index.max(initial=0)) + 1, int(predicted_index.max(initial=0)) + 1
    pairs = true_index.ravel().astype(np.int64) * columns + predicted_index.ravel()
    return np.bincount(pairs, minlength=rows * columns).reshape(rows, columns)


def iou_matrix(intersection: IntArray) -> FloatArray:
    """IoU (N, M) of objects and predictions from a contingency table (N + 1, M + 1)."""
    true_areas, predicted_areas = intersection.sum(axis=1)[1:], intersection.sum(axis=0)[1:]
    shared = intersection[1:, 1:]
    return shared / np.maximum(true_areas[:, None] + predicted_areas[None] - shared, 1)


def over_segmented(intersection: IntArray) -> BoolArray:
    """(N,) objects that fell apart.

    The best IoU is below 0.75, and two or more predictions lie at least 80 % inside the object, each of them covering
    at least 10 % of it.
    """
    true_areas, predicted_areas = intersection.sum(axis=1)[1:, None], intersection.sum(axis=0)[None, 1:]
    shared = intersection[1:, 1:]
    pieces = (shared >= 0.8 * predicted_areas) & (shared >= 0.1 * true_areas)
    return (iou_matrix(intersection).max(axis=1, initial=0.0) < 0.75) & (pieces.sum(axis=1) >= 2)


def under_segmented(intersection: IntArray) -> BoolArray:
    """(N,) objects that were melted together: some prediction covers half of this object and half of another one."""
    covers = intersection[1:, 1:] >= 0.5 * intersection.sum(axis=1)[1:, None]
    return (covers & (covers.sum(axis=0) >= 2)).any(axis=1)


def match_by_f(intersection: IntArray) -> list[tuple[int, int]]:
    """One-to-one pairs (object, prediction), counted from 0, that maximise the sum of Overlap F; they share pixels."""
    rows, columns = linear_sum_assignment(_overlap_f(intersection), maximize=True)
    return [(int(i), int(j)) for i, j in zip(rows, columns, strict=True) if intersection[i + 1, j + 1] > 0]


def boundary_totals(
    true_index: NDArray[np.int32],
    predicted_index: NDArray[np.int32],
    matches: Sequence[tuple[int, int]],
    void: BoolArray | None = None,
) -> MatchTotals:
    """Contour pixels in all, and those of matched pairs that lie within the tolerance band of each other.

    Args:
        true_index, predicted_index: (H, W), numbered without gaps.
        matches: pairs (object, prediction) counted from 0.
        void: (H, W) bool, pixels without ground truth; contour pixels in or next to them are left out.
    """
    radius = boundary_radius(*true_index.shape)
    compared = None if void is None else ~cv2.dilate(void.astype(np.uint8), np.ones((3, 3), np.uint8)).astype(bool)
    true_boxes, predicted_boxes = find_objects(true_index), find_objects(predicted_index)

    def contour(index: NDArray[np.int32], label: int, box: Box) -> BoolArray:
        edge = mask_contour(index[box] == label)
        return edge if compared is None else edge & compared[box]

    def count(index: NDArray[np.int32], boxes: Sequence[Box]) -> int:
        return sum(int(np.count_nonzero(contour(index, k + 1, box))) for k, box in enumerate(boxes))

    matched_true = matched_predicted = 0
    # Contours lie on their masks, so crops that hold both masks give what whole images would.
    for i, j in matches:
        box = _union(true_boxes[i], predicted_boxes[j])
        true_edge, predicted_edge = contour(true_index, i + 1, box), contour(predicted_index, j + 1, box)
        matched_true += int(np.count_nonzero(true_edge & _thicken(predicted_edge, radius)))
        matched_predicted += int(np.count_nonzero(predicted_edge & _thicken(true_edge, radius)))
    return MatchTotals(
        matched_predicted, matched_true, count(predicted_index, predicted_boxes), count(true_index, true_boxes)
    )


def boundary_radius(height: int, width: int) -> int:
    """Tolerance of the boundary measure in pixels: BOUNDARY_TOLERANCE of the diagonal, rounded up; 2 at 512 x 384."""
    return int(np.ceil(BOUNDARY_TOLERANCE * np.hypot(height, width)))


def mask_contour(mask: BoolArray) -> BoolArray:
    """(H, W) outer contours one pixel wide, on the mask, as the field's code (UOIS-Net) takes them.

    Where the mask meets the rim of the image, its rim pixels are contour; holes have none.
    """
    outlines, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    return cv2.drawContours(np.zeros(mask.shape, np.uint8), outlines, -1, 1, 1).astype(bool)


def size_names(areas: NDArray[Any]) -> NDArray[np.str_]:
    """(N,) name of the size class of areas in pixels at REFERENCE_AREA."""
    return np.array(SIZES)[np.searchsorted(list(SIZE_LIMITS.values()), areas, side="right")]


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


def coco_figures(frames: Sequence[FrameScores]) -> dict[str, float]:
    """Class-agnostic mask AR@100, AP, AP50 and AP75 over IoU 0.50 to 0.95, by pycocotools, in percent."""
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
        return {"ar_100": 0.0, "ap": 0.0, "ap_50": 0.0, "ap_75": 0.0}
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


def harmonic_mean(precision: float, recall: float) -> float:
    """F measure; 0 when both are 0."""
    return 2 * precision * recall / (precision + recall) if precision + recall > 0 else 0.0


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


def _frame_means(frames: Sequence[FrameScores]) -> dict[str, float]:
    figures = {}
    for name in ("overlap", "boundary"):
        rows = np.array([getattr(frame, name).precision_recall_f() for frame in frames], float).reshape(-1, 3)
        for letter, column in zip(("precision", "recall", "f"), rows.T, strict=True):
            known = column[~np.isnan(column)]
            figures[f"{name}_{letter}"] = _percent(known)
    figures["detected_75"] = _percent(
        np.array([frame.detected / len(frame.best_iou) for frame in frames if len(frame.best_iou)])
    )
    return figures


def _overlap_f(intersection: IntArray) -> FloatArray:
    """(N, M) F measure of each pair's pixels (2 x shared / sum of areas, the Dice coefficient)."""
    true_areas, predicted_areas = intersection.sum(axis=1)[1:], intersection.sum(axis=0)[1:]
    return 2 * intersection[1:, 1:] / np.maximum(true_areas[:, None] + predicted_areas[None], 1)


def _cut_void(
    true_index: NDArray[np.int32], predicted_index: NDArray[np.int32], predicted_ids: IntArray, void: BoolArray
) -> tuple[NDArray[np.int32], NDArray[np.int32], IntArray]:
    """Take void pixels out of both maps, drop predictions that lie at least half on void, and renumber."""
    areas = np.bincount(predicted_index.ravel(), minlength=len(predicted_ids) + 1)
    on_void = np.bincount(predicted_index[void], minlength=len(predicted_ids) + 1)
    stays = on_void < 0.5 * areas
    stays[0] = True
    predicted_index = np.where(void | ~stays[predicted_index], 0, predicted_index)
    predicted_index, _ = compact_labels(predicted_index)
    true_index, _ = compact_labels(np.where(void, 0, true_index))
    return true_index, predicted_index, predicted_ids[stays[1:]]


def _thicken(edge: BoolArray, radius: int) -> BoolArray:
    y, x = np.ogrid[-radius : radius + 1, -radius : radius + 1]
    disk = (x * x + y * y <= radius * radius).astype(np.uint8)
    return cv2.dilate(edge.astype(np.uint8), disk).astype(bool)


def _union(first: Box, second: Box) -> Box:
    rows, columns = (slice(min(a.start, b.start), max(a.stop, b.stop)) for a, b in zip(first, second, strict=True))
    return rows, columns


def _percent(values: NDArray[Any], empty: float = 0.0) -> float:
    """Mean in percent; `empty` when there are no values."""
    return 100 * float(np.mean(values)) if len(values) else empty


def _check_maps(truth: NDArray[Any], predicted: NDArray[Any]) -> None:
    if truth.ndim != 2 or truth.shape != predicted.shape:
        raise ValueError(
            f"ground truth has shape {truth.shape} and prediction {predicted.shape}; expected the same (height, width)"
        )
    for name, labels in (("ground truth", truth), ("prediction", predicted)):
        if not np.issubdtype(labels.dtype, np.integer):
            raise ValueError(f"{name} has dtype {labels.dtype}; expected an integer label map")
        if labels.size and int(labels.min()) < 0:
            raise ValueError(f"{name} holds the id {int(labels.min())}; expected ids from 0 (background)")
