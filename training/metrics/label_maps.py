"""What two label maps share: pixel counts of every object with every prediction, and what follows from them alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

BoolArray = NDArray[np.bool_]
FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


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


def overlap_f(intersection: IntArray) -> FloatArray:
    """(N, M) F measure of each pair's pixels (2 x shared / sum of areas, the Dice coefficient)."""
    true_areas, predicted_areas = intersection.sum(axis=1)[1:], intersection.sum(axis=0)[1:]
    return 2 * intersection[1:, 1:] / np.maximum(true_areas[:, None] + predicted_areas[None], 1)


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
    rows, columns = linear_sum_assignment(overlap_f(intersection), maximize=True)
    return [(int(i), int(j)) for i, j in zip(rows, columns, strict=True) if intersection[i + 1, j + 1] > 0]


def harmonic_mean(precision: float, recall: float) -> float:
    """F measure; 0 when both are 0."""
    return 2 * precision * recall / (precision + recall) if precision + recall > 0 else 0.0


def check_labels(name: str, labels: NDArray[Any]) -> None:
    """Raise ValueError, with `name`, unless an array is an integer map (H, W) of ids from 0."""
    if labels.ndim != 2:
        raise ValueError(f"{name} has shape {labels.shape}; expected a label map (height, width)")
    if not np.issubdtype(labels.dtype, np.integer):
        raise ValueError(f"{name} has dtype {labels.dtype}; expected an integer label map")
    if labels.size and int(labels.min()) < 0:
        raise ValueError(f"{name} holds the id {int(labels.min())}; expected ids from 0 (background)")
