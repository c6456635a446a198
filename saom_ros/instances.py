"""Instances of one image, and the one function that paints them from the model's low-resolution masks.

`paint` is used by the node, the command line and evaluation alike, so that all of them see the same label map.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from saom_ros.letterbox import Letterbox

HALF = 127.5
"""Mask value of probability one half; masks are probability x 255."""

BOX_PADDING_CELLS = 1.0
"""Mask cells added around a box before upsampling. Boxes enclose the cells above one half, and bilinear interpolation
carries the one-half contour up to half a cell further out; a full cell also absorbs the rounding of fp16 boxes."""

MAX_INSTANCES = 65535
"""Ids that fit the label map."""

Window = tuple[slice, slice]
"""Rows and columns of the image."""


@dataclass
class Instances:
    """Whole objects of one image, sorted by descending score. Every object owns pixels of `label_map`, so boxes and
    areas are those of visible pixels and objects never overlap."""

    label_map: NDArray[np.uint16]
    """uint16 `(H, W)`, the image's size: 0 = background, k = object with id k."""
    ids: NDArray[np.int32]
    """int32 `(N,)`: 1..N as painted; a tracker may give others."""
    scores: NDArray[np.float32]
    """float32 `(N,)` in 0..1: predicted mask quality (IoU)."""
    boxes: NDArray[np.float32]
    """float32 `(N, 4)` x_min y_min x_max y_max in image pixels; the maximum is exclusive."""
    class_ids: NDArray[np.int32]
    """int32 `(N,)`: index into the bundle's `classes`, -1 = unknown."""
    areas: NDArray[np.int64]
    """int64 `(N,)`: pixels in `label_map`."""

    def __len__(self) -> int:
        return len(self.ids)

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
        self, masks: NDArray[np.uint8], scores: NDArray[np.floating], boxes: NDArray[np.floating], box: Letterbox
    ) -> None:
        self.masks = masks
        self.scores = scores.astype(np.float32)
        self.rows = _Axis.of(box.image_height, box.content_height, box.input_height, masks.shape[1])
        self.cols = _Axis.of(box.image_width, box.content_width, box.input_width, masks.shape[2])
        self.owner = np.zeros((box.image_height, box.image_width), np.uint16)
        self.best = np.zeros((box.image_height, box.image_width), np.float32)
        self.windows = [(self.rows.window(y0, y1), self.cols.window(x0, x1)) for x0, y0, x1, y1 in boxes.tolist()]
        for k in range(len(masks)):
            self._claim(k, self.windows[k])
        self.areas = np.zeros(len(masks), np.int64)
        self.boxes = np.zeros((len(masks), 4), np.float32)
        self._measure(range(len(masks)))

    def drop_small(self, min_area: int) -> None:
        """Drop masks that own fewer pixels, worst score first, and let the others claim what comes free."""
        for k in range(len(self.masks) - 1, -1, -1):
            if not 0 < self.areas[k] < min_area:
                continue
            freed = self._free(k)
            heirs = [int(j) for j in np.flatnonzero(self.areas) if _overlap(self.windows[j], freed)]
            # Pixels that kept their owner cannot change hands here: it has beaten all others before.
            for j in heirs:
                self._claim(j, _intersection(self.windows[j], freed))
            self._measure(heirs)

    def instances(self, class_ids: NDArray[np.integer]) -> Instances:
        """The masks that own pixels, numbered 1..N."""
        kept = np.flatnonzero(self.areas)
        for number, k in enumerate(kept.tolist(), start=1):
            if number <= k:  # numbers fall and k ascends, so no mask is counted for another
                pixels = self.owner[self._box_window(k)]
                pixels -= np.multiply(pixels == k + 1, k + 1 - number, dtype=np.uint16)
        return Instances(
            label_map=self.owner,
            ids=np.arange(1, len(kept) + 1, dtype=np.int32),
            scores=self.scores[kept],
            boxes=self.boxes[kept],
            class_ids=class_ids[kept].astype(np.int32),
            areas=self.areas[kept],
        )

    def _claim(self, k: int, window: Window) -> None:
        """Give mask k the pixels of `window` where it is above one half and beats their owner."""
        rows, cols = window
        if rows.start >= rows.stop or cols.start >= cols.stop:
            return
        value = _upsample(self.masks[k], self.rows, self.cols, rows, cols)
        value *= value > HALF
        value *= self.scores[k]
        best, owner = self.best[window], self.owner[window]
        wins = value > best
        # Masks claim in ascending k, so the larger number is the later winner: maxima take a fifth of a masked copy's
        # time.
        np.maximum(best, value, out=best)
        np.maximum(owner, np.multiply(wins, k + 1, dtype=np.uint16), out=owner)

    def _free(self, k: int) -> Window:
        """Take its pixels from mask k and return the window that holds them."""
        window = self._box_window(k)
        others = self.owner[window] != k + 1
        self.owner[window] *= others
        self.best[window] *= others
        self.areas[k] = 0
        return window

    def _box_window(self, k: int) -> Window:
        x0, y0, x1, y1 = self.boxes[k].astype(int).tolist()
        return slice(y0, y1), slice(x0, x1)

    def _measure(self, masks: Iterable[int]) -> None:
        """Count the pixels of each mask and find their box."""
        for k in masks:
            rows, cols = self.windows[k]
            mine = self.owner[rows, cols] == k + 1
            ys, xs = np.flatnonzero(mine.any(axis=1)), np.flatnonzero(mine.any(axis=0))
            self.areas[k] = np.count_nonzero(mine)
            if len(ys):
                corners = cols.start + xs[0], rows.start + ys[0], cols.start + xs[-1] + 1, rows.start + ys[-1] + 1
                self.boxes[k] = corners


@dataclass(frozen=True)
class _Axis:
    """Bilinear interpolation from mask cells to image pixels along one axis."""

    low: NDArray[np.intp]
    """Per image pixel, the cell at or before its centre."""
    high: NDArray[np.intp]
    """Per image pixel, the cell after it."""
    weight: NDArray[np.float32]
    """Per image pixel, the weight of `high`."""
    pixels_per_input: float
    padding: float
    """Input pixels added to both ends of a box."""

    @classmethod
    def of(cls, image: int, content: int, model_input: int, cells: int) -> _Axis:
        stride = model_input / cells
        # Half-pixel centres: image pixel i is centred at i + 0.5, cell j at (j + 0.5) * stride input pixels.
        position = (np.arange(image) + 0.5) * (content / image) / stride - 0.5
        # Cells centred in the padding know nothing of the image; at its edge the last cell inside goes on.
        last = max(math.ceil(content / stride - 0.5) - 1, 0)
        position = np.clip(position, 0, last)
        low = position.astype(np.intp)
        high = np.minimum(low + 1, last)
        return cls(low, high, (position - low).astype(np.float32), image / content, BOX_PADDING_CELLS * stride)

    def window(self, start: float, stop: float) -> slice:
        """Image pixels that a box from `start` to `stop` (input pixels) may touch; empty for NaN and the like."""
        if not (math.isfinite(start) and math.isfinite(stop) and start < stop):
            return slice(0, 0)
        first = math.floor((start - self.padding) * self.pixels_per_input)
        end = math.ceil((stop + self.padding) * self.pixels_per_input)
        return slice(min(max(first, 0), len(self.low)), min(max(end, 0), len(self.low)))


def _upsample(mask: NDArray[np.uint8], rows: _Axis, cols: _Axis, y: slice, x: slice) -> NDArray[np.float32]:
    """Mask values 0..255 at the image pixels of window `y`, `x`: float32."""
    low_y, high_y = rows.low[y], rows.high[y]
    first, end = int(low_y[0]), int(high_y[-1]) + 1
    # Columns first: there are few cell rows, and whole rows are cheap to gather afterwards.
    cells = mask[first:end].astype(np.float32)
    left = cells[:, cols.low[x]]
    stretched = left + (cells[:, cols.high[x]] - left) * cols.weight[x]
    value = stretched[low_y - first]
    below = stretched[high_y - first]
    below -= value
    below *= rows.weight[y, None]
    value += below
    return value


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
