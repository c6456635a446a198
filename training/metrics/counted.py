"""Which objects of a frame count, and which pixels say nothing.

An object needs MIN_OBJECT_AREA visible pixels in a frame of REFERENCE_AREA (areas scale with the image). The pixels of
smaller objects are void, as in panoptic quality (Kirillov et al. 2019), and so are the regions that an annotation
leaves open: a prediction that lies at least half on void is dropped, void pixels are cut out of the others, and
contours along void are not compared. What is void neither helps nor hurts, in every figure alike.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from training.metrics.label_maps import BoolArray, IntArray, check_labels, compact_labels

REFERENCE_AREA = 512 * 384
"""Pixels of the frame that MIN_OBJECT_AREA and SIZE_LIMITS are stated for."""
MIN_OBJECT_AREA = 100
"""Visible pixels that an object needs in order to count, 0.05 % of the frame."""
SIZE_LIMITS = {"small": 32**2, "medium": 96**2}
"""COCO's size classes, in visible pixels: below 0.52 % of the frame small, below 4.7 % medium, otherwise large."""
SIZES = (*SIZE_LIMITS, "large")


@dataclass(frozen=True)
class CountedObjects:
    """The N objects of a frame that count."""

    index: NDArray[np.int32]
    """(H, W), k + 1 where object k is seen, 0 = background or void."""
    ids: IntArray
    """(N,) their ids in the instance map."""
    areas: IntArray
    """(N,) visible pixels."""
    void: BoolArray | None
    """(H, W) bool, pixels that count neither for nor against; None = there are none."""
    ignored: int
    """Objects that do not count: too small, or nowhere outside the ignored regions."""

    @property
    def sizes(self) -> NDArray[np.str_]:
        """(N,) names of SIZES."""
        return size_names(self.areas / (self.index.size / REFERENCE_AREA))


def counted_objects(
    truth: NDArray[Any], ignore: BoolArray | None = None, min_object_area: int = MIN_OBJECT_AREA
) -> CountedObjects:
    """Tell which objects of an instance map count.

    Args:
        truth: integer (H, W) instance map, 0 = background or structure, visible pixels only.
        ignore: bool (H, W), pixels that the annotation says nothing about; None = it says something about all.
        min_object_area: pixels at REFERENCE_AREA below which an object is void.

    Raises:
        ValueError: the map is not 2-D, not of an integer dtype, holds negative ids, or `ignore` is of another shape.
    """
    check_labels("ground truth", truth)
    index, ids = compact_labels(truth)
    if ignore is not None:
        if ignore.shape != truth.shape or ignore.dtype != np.bool_:
            raise ValueError(f"ignore is {ignore.dtype} {ignore.shape}; expected bool {truth.shape}")
        index = np.where(ignore, 0, index)
    areas = np.bincount(index.ravel(), minlength=len(ids) + 1)
    counts = areas >= max(min_object_area * truth.size / REFERENCE_AREA, 1)
    counts[0] = True
    void = ~counts[index]
    if ignore is not None:
        void |= ignore
    kept, _ = compact_labels(np.where(void, 0, index))
    return CountedObjects(
        kept, ids[counts[1:]], areas[1:][counts[1:]], void if void.any() else None, int((~counts).sum())
    )


def cut_void(index: NDArray[np.int32], ids: IntArray, void: BoolArray | None) -> tuple[NDArray[np.int32], IntArray]:
    """Take void pixels out of a prediction numbered without gaps, drop what lies at least half on void, and renumber.

    Returns the map (H, W) and the ids (M,) that are left.
    """
    if void is None:
        return index, ids
    areas = np.bincount(index.ravel(), minlength=len(ids) + 1)
    on_void = np.bincount(index[void], minlength=len(ids) + 1)
    stays = on_void < 0.5 * areas
    stays[0] = True
    cut, _ = compact_labels(np.where(void | ~stays[index], 0, index))
    return cut, ids[stays[1:]]


def size_names(areas: NDArray[Any]) -> NDArray[np.str_]:
    """(N,) name of the size class of areas in pixels at REFERENCE_AREA."""
    return np.array(SIZES)[np.searchsorted(list(SIZE_LIMITS.values()), areas, side="right")]
