"""How well predicted instances agree with the whole objects of a frame: pure functions, arrays in and numbers out.

`score_frame` compares one ground-truth instance map with one predicted label map, `summarize` turns many such
comparisons into the figures of a report: Overlap and Boundary P/R/F (Dave et al. 2019, as the unseen-object field uses
them), COCO mask AR and AP, PQ, recall and precision at fixed IoU, over- and under-segmentation, calibration of scores.
`prompted` holds what SAOM's paper measures instead. `counted` tells which objects and which pixels count.
"""

from training.metrics.boundary import boundary_radius, boundary_totals, mask_contour
from training.metrics.coco import run_length_codes
from training.metrics.counted import (
    MIN_OBJECT_AREA,
    REFERENCE_AREA,
    SIZES,
    CountedObjects,
    counted_objects,
    size_names,
)
from training.metrics.frame_scores import FrameScores, score_frame, score_prediction
from training.metrics.label_maps import MatchTotals, compact_labels, contingency, iou_matrix, match_by_f
from training.metrics.summary import counts, objective, summarize

__all__ = [
    "MIN_OBJECT_AREA",
    "REFERENCE_AREA",
    "SIZES",
    "CountedObjects",
    "FrameScores",
    "MatchTotals",
    "boundary_radius",
    "boundary_totals",
    "compact_labels",
    "contingency",
    "counted_objects",
    "counts",
    "iou_matrix",
    "mask_contour",
    "match_by_f",
    "objective",
    "run_length_codes",
    "score_frame",
    "score_prediction",
    "size_names",
    "summarize",
]
