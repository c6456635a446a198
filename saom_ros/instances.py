"""Instances of one image, and the one function that paints them from the model's low-resolution masks.

`paint` is used by the node, the command line and evaluation alike, so that all of them see the same label map.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from saom_ros.letterbox import Letterbox
from saom_ros.upsampling import HALF, Axis, Window, owners, upsample

MAX_INSTANCES = 65535
"""Ids that fit the label map."""


class Instances:
    """Whole objects of one image, sorted by descending score.

    Every object owns pixels of `label_map`, so boxes and areas are those of visible pixels and objects never overlap.
    """

    def __init__(
        self,
        label_map: NDArray[np.unsignedinteger],
        ids: NDArray[np.int32],
        scores: NDArray[np.float32],
        boxes: NDArray[np.float32],
        class_ids: NDArray[np.int32],
        areas: NDArray[np.int64],
    ) -> None:
        """Objects of a label map uint8 or uint16 `(H, W)`; for the others see the attributes."""
        self.painted = label_map
        """uint8 or uint16 `(H, W)`, the image's size: 0 = background, `painted_ids[k]` = object k."""
        self.painted_ids = ids
        self.ids = ids
        """int32 `(N,)` in 1..65535, distinct: 1..N as the segmenter gives them; a tracker gives others."""
        self.scores = scores
        """float32 `(N,)` in 0..1: predicted mask quality (IoU)."""
        self.boxes = boxes
        """float32 `(N, 4)` x_min y_min x_max y_max in image pixels; the maximum is exclusive."""
        self.class_ids = class_ids
        """int32 `(N,)`: index into the bundle's `classes`, -1 = unknown."""
        self.areas = areas
        """int64 `(N,)`: pixels in `label_map`."""

    def __len__(self) -> int:
        return len(self.ids)

    @functools.cached_property
    def label_map(self) -> NDArray[np.uint16]:
        """uint16 `(H, W)`, the image's size: 0 = background, k = object with id k. Written when first asked for."""
        if self.painted.dtype == np.uint16 and self.ids is self.painted_ids:
            return self.painted
        table = np.zeros(np.iinfo(self.painted.dtype).max + 1, np.uint16)
        table[self.painted_ids] = self.ids
        # OpenCV's table of bytes takes half the time of NumPy's.
        return np.asarray(cv2.LUT(self.painted, table) if self.painted.dtype == np.uint8 else table[self.painted])

    def renumbered(self, ids: NDArray[np.int32]) -> Instances:
        """The same objects and pixels with other ids, int32 `(N,)` in 1..65535."""
        other = Instances(self.painted, self.painted_ids, self.scores, self.boxes, self.class_ids, self.areas)
        other.ids = ids
        return other

    @classmethod
    def empty(cls, height: int, width: int) -> Instances:
        """No object in an image of that size (px)."""
        return cls(
            label_map=np.zeros((height, width), np.uint16),
            ids=np.zeros(0, np.int32),
            scores=np.zeros(0, np.float32),
            boxes=np.zeros((0, 4), np.float32),
            class_ids=np.zeros(0, np.int32),
            areas=np.zeros(0, np.int64),
        )


def paint(
    masks: NDArray[np.uint8],
    scores: NDArray[np.floating],
    boxes: NDArray[np.floating],
    class_ids: NDArray[np.integer],
    box: Letterbox,
    min_area: int,
) -> Instances:
    """Paint the model's outputs into one label map of the image's size.

    Each mask is upsampled bilinearly inside its box; a pixel goes to the mask with the largest probability x score
    among those above one half there (the better scored one where equal). Objects that own fewer than `min_area`
    pixels are dropped, worst score first, and their pixels go to the next best mask.

    Args:
        masks: uint8 `(M, h/4, w/4)`, probability x 255 over the whole model input; cells are centred in squares.
        scores: `(M,)` in 0..1; rows at 0 (or NaN) are unused, their other values may be anything.
        boxes: `(M, 4)` xyxy in input pixels, enclosing the mask's cells above one half, exclusive maximum.
        class_ids: `(M,)`, -1 = unknown.
        box: how the image lies in the model input.
        min_area: smallest number of pixels (at image size) that an object may own; below 1 counts as 1.
    """
    _check_shapes(masks, scores, boxes, class_ids)
    order = np.argsort(-np.nan_to_num(scores), kind="stable")
    order = order[scores[order] > 0][:MAX_INSTANCES]
    canvas = _Canvas(masks[order], scores[order], boxes[order], box)
    canvas.drop_small(max(int(min_area), 1))
    return canvas.instances(class_ids[order])


class _Canvas:
    """The label map in the making: mask k (by descending score) owns the pixels where `owner` is k + 1."""

    def __init__(
        self,
        masks: NDArray[np.uint8],
        scores: NDArray[np.floating],
        boxes: NDArray[np.floating],
        box: Letterbox,
    ) -> None:
        self.masks = masks
        self.scores = scores.astype(np.float32)
        self.rows = Axis.of(box.image_height, box.content_height, box.input_height, masks.shape[1])
        self.cols = Axis.of(box.image_width, box.content_width, box.input_width, masks.shape[2])
        self.windows = [(self.rows.window(y0, y1), self.cols.window(x0, x1)) for x0, y0, x1, y1 in boxes.tolist()]
        self.owner = owners(masks, self.scores, self.windows, self.rows, self.cols)
        self.areas = np.zeros(len(masks), np.int64)
        self.boxes = np.zeros((len(masks), 4), np.float32)
        self._measure(range(len(masks)))

    def drop_small(self, min_area: int) -> None:
        """Drop masks that own fewer pixels, worst score first, and let the others claim what comes free."""
        for k in range(len(self.masks) - 1, -1, -1):
            if not 0 < self.areas[k] < min_area:
                continue
            freed = self._box_window(k)
            self.areas[k] = 0
            heirs = [int(j) for j in np.flatnonzero(self.areas) if _overlap(self.windows[j], freed)]
            self._inherit(k, freed, heirs)
            self._measure(heirs)

    def instances(self, class_ids: NDArray[np.integer]) -> Instances:
        """The masks that own pixels, numbered 1..N."""
        kept = np.flatnonzero(self.areas)
        owners_of_pixels = Instances(
            label_map=self.owner,
            ids=(kept + 1).astype(np.int32),
            scores=self.scores[kept],
            boxes=self.boxes[kept],
            class_ids=class_ids[kept].astype(np.int32),
            areas=self.areas[kept],
        )
        return owners_of_pixels.renumbered(np.arange(1, len(kept) + 1, dtype=np.int32))

    def _inherit(self, k: int, freed: Window, heirs: Sequence[int]) -> None:
        """Give the pixels of mask k, which all lie in `freed`, to the best of the heirs, or to nobody."""
        owner = np.zeros_like(self.owner[freed])
        best = np.zeros(owner.shape, np.float32)
        for j in heirs:
            window = _intersection(self.windows[j], freed)
            value = upsample(self.masks[j], self.rows, self.cols, *window)
            value *= value > HALF
            value *= self.scores[j]
            inner = tuple(slice(w.start - f.start, w.stop - f.start) for w, f in zip(window, freed, strict=True))
            wins = value > best[inner]
            best[inner][wins], owner[inner][wins] = value[wins], j + 1
        pixels = self.owner[freed]
        pixels[:] = np.where(pixels == k + 1, owner, pixels)

    def _box_window(self, k: int) -> Window:
        x0, y0, x1, y1 = self.boxes[k].astype(int).tolist()
        return slice(y0, y1), slice(x0, x1)

    def _measure(self, masks: Iterable[int]) -> None:
        """Count the pixels of each mask and find their box."""
        for k in masks:
            rows, cols = self.windows[k]
            pixels = self.owner[rows, cols]
            if not pixels.size:
                continue
            mine = (pixels == k + 1).view(np.uint8)
            self.areas[k] = cv2.countNonZero(mine)
            if self.areas[k]:
                x, y, width, height = cv2.boundingRect(mine)
                self.boxes[k] = cols.start + x, rows.start + y, cols.start + x + width, rows.start + y + height


def _intersection(a: Window, b: Window) -> Window:
    rows = slice(max(a[0].start, b[0].start), min(a[0].stop, b[0].stop))
    cols = slice(max(a[1].start, b[1].start), min(a[1].stop, b[1].stop))
    return rows, cols


def _overlap(a: Window, b: Window) -> bool:
    rows, cols = _intersection(a, b)
    return rows.start < rows.stop and cols.start < cols.stop


def _check_shapes(
    masks: NDArray[np.uint8], scores: NDArray[np.floating], boxes: NDArray[np.floating], class_ids: NDArray[np.integer]
) -> None:
    if masks.ndim != 3 or masks.dtype != np.uint8:
        raise ValueError(f"masks are {masks.dtype} {masks.shape}; expected uint8 (M, h/4, w/4)")
    count = len(masks)
    if scores.shape != (count,) or boxes.shape != (count, 4) or class_ids.shape != (count,):
        raise ValueError(
            f"{count} masks, but scores {scores.shape}, boxes {boxes.shape}, class_ids {class_ids.shape}; "
            f"expected ({count},), ({count}, 4), ({count},)"
        )
