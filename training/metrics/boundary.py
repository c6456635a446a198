"""The boundary measure of the unseen-object field (Dave et al. 2019, as UOIS-Net takes it): contours that agree."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import find_objects

from training.metrics.label_maps import BoolArray, MatchTotals

BOUNDARY_TOLERANCE = 0.003
"""Half width of the boundary band as a share of the image diagonal."""

Box = tuple[slice, slice]


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


def _thicken(edge: BoolArray, radius: int) -> BoolArray:
    y, x = np.ogrid[-radius : radius + 1, -radius : radius + 1]
    disk = (x * x + y * y <= radius * radius).astype(np.uint8)
    return cv2.dilate(edge.astype(np.uint8), disk).astype(bool)


def _union(first: Box, second: Box) -> Box:
    rows, columns = (slice(min(a.start, b.start), max(a.stop, b.stop)) for a, b in zip(first, second, strict=True))
    return rows, columns
