"""One frame: everything that its prediction adds to the figures of a report."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from training.classes import UNKNOWN_CLASS
from training.metrics.boundary import boundary_totals
from training.metrics.coco import run_length_codes
from training.metrics.counted import MIN_OBJECT_AREA, CountedObjects, counted_objects, cut_void
from training.metrics.label_maps import (
    BoolArray,
    FloatArray,
    IntArray,
    MatchTotals,
    check_labels,
    compact_labels,
    contingency,
    iou_matrix,
    match_by_f,
    over_segmented,
    overlap_f,
    under_segmented,
)

DETECTED_F = 0.75
"""Overlap F above which a matched object is called detected."""


@dataclass(frozen=True)
class FrameScores:
    """Everything that one frame adds to the figures; N objects that count, M predictions that count."""

    object_areas: IntArray
    """(N,) visible pixels."""
    object_sizes: NDArray[np.str_]
    """(N,) names of SIZES."""
    object_classes: list[str]
    """(N,) class names."""
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
    """Objects that do not count."""
    exhaustive: bool
    """Whether every object outside void is annotated, so that a prediction without an object is wrong."""
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
    """Compare one frame's predictions with its ground truth, all of which counts and is annotated.

    Args:
        truth: integer (H, W) instance map, 0 = background or structure, visible pixels only.
        predicted: integer (H, W) label map, 0 = background.
        scores: confidence of each predicted id, for the order in AR and AP and for calibration; 1 for ids not named.
        min_object_area: pixels at REFERENCE_AREA below which an object is ignored.

    Raises:
        ValueError: the maps differ in shape, are not 2-D, not of an integer dtype, or hold negative ids.
    """
    return score_prediction(counted_objects(truth, None, min_object_area), predicted, scores)


def score_prediction(
    objects: CountedObjects,
    predicted: NDArray[Any],
    scores: Mapping[int, float] | None = None,
    classes: Mapping[int, str] | None = None,
    exhaustive: bool = True,
) -> FrameScores:
    """Compare one frame's predictions with the objects that count in it.

    Args:
        predicted, scores: as `score_frame` takes them.
        classes: class name of each id in the ground truth; ids not named are of unknown class.
        exhaustive: whether all objects outside void are annotated.

    Raises:
        ValueError: the prediction is no label map of the frame's shape.
    """
    check_labels("prediction", predicted)
    if predicted.shape != objects.index.shape:
        raise ValueError(
            f"ground truth has shape {objects.index.shape} and prediction {predicted.shape}; "
            "expected the same (height, width)"
        )
    predicted_index, predicted_ids = cut_void(*compact_labels(predicted), objects.void)
    intersection = contingency(objects.index, predicted_index)
    iou = iou_matrix(intersection)
    matches = match_by_f(intersection)
    matched_pixels = int(sum(intersection[i + 1, j + 1] for i, j in matches))
    return FrameScores(
        object_areas=objects.areas,
        object_sizes=objects.sizes,
        object_classes=[(classes or {}).get(label, UNKNOWN_CLASS) for label in objects.ids.tolist()],
        best_iou=iou.max(axis=1, initial=0.0),
        over_segmented=over_segmented(intersection),
        under_segmented=under_segmented(intersection),
        prediction_best_iou=iou.max(axis=0, initial=0.0),
        overlap=MatchTotals(
            matched_pixels, matched_pixels, int(intersection[:, 1:].sum()), int(intersection[1:, :].sum())
        ),
        boundary=boundary_totals(objects.index, predicted_index, matches, objects.void),
        detected=int(sum(overlap_f(intersection)[i, j] > DETECTED_F for i, j in matches)),
        ignored_objects=objects.ignored,
        exhaustive=exhaustive,
        shape=(predicted.shape[0], predicted.shape[1]),
        object_masks=run_length_codes(objects.index),
        prediction_masks=run_length_codes(predicted_index),
        prediction_scores=np.array([1.0 if scores is None else scores.get(int(i), 1.0) for i in predicted_ids], float),
    )
