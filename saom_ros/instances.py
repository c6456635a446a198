"""Instances of one image, and the one function that paints them from the model's low-resolution masks.

`paint` is used by the node, the command line and evaluation alike, so that all of them see the same label map.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from saom_ros.letterbox import Letterbox

HALF = 127.5
"""Mask value of probability one half; masks are probability x 255."""

BOX_PADDING_CELLS = 1.0
"""Mask cells added around a box before upsampling. Boxes enclose the cells above one half, and bilinear interpolation
carries the one-half contour up to half a cell further out; a full cell also absorbs the rounding of fp16 boxes."""


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
    canvas = _Canvas(masks, boxes, box)
    order = [int(k) for k in np.argsort(-np.nan_to_num(scores), kind="stable") if scores[k] > 0]
    order = order[: np.iinfo(np.uint16).max]
    for rank, k in enumerate(order, start=1):
        canvas.claim(rank, k, float(scores[k]))
    canvas.drop_small(order, scores, max(int(min_area), 1))
    return _collect(canvas.owner, np.asarray(order, dtype=np.intp), scores, class_ids)


class _Canvas:
    """Which mask owns each pixel (`owner`, rank from 1) and with what probability x score (`best`)."""

    def __init__(self, masks: NDArray[np.uint8], boxes: NDArray[np.floating], box: Letterbox) -> None:
        self.masks = masks
        self.rows = _Axis.of(box.image_height, box.content_height, box.input_height, masks.shape[1])
        self.cols = _Axis.of(box.image_width, box.content_width, box.input_width, masks.shape[2])
        self.owner = np.zeros((box.image_height, box.image_width), np.uint16)
        self.best = np.zeros((box.image_height, box.image_width), np.float32)
        self.windows = [(self.rows.window(y0, y1), self.cols.window(x0, x1)) for x0, y0, x1, y1 in boxes.tolist()]

    def claim(self, rank: int, k: int, score: float, window: tuple[slice, slice] | None = None) -> None:
        """Give mask k the pixels of its window (and of the narrower `window`) where it beats their owner."""
        rows, cols = self.windows[k]
        if window is not None:
            rows, cols = _intersect(rows, window[0]), _intersect(cols, window[1])
        if rows.start >= rows.stop or cols.start >= cols.stop:
            return
        value = _upsample(self.masks[k], self.rows, self.cols, rows, cols)
        inside = value > HALF
        value *= score
        inside &= value > self.best[rows, cols]
        np.copyto(self.best[rows, cols], value, where=inside)
        np.copyto(self.owner[rows, cols], np.uint16(rank), where=inside)

    def drop_small(self, order: list[int], scores: NDArray[np.floating], min_area: int) -> None:
        """Drop objects below `min_area`, worst score first, and let the others claim the pixels that come free."""
        areas = np.bincount(self.owner.ravel(), minlength=len(order) + 1)
        alive = areas > 0
        for rank in range(len(order), 0, -1):
            if not alive[rank] or areas[rank] >= min_area:
                continue
            alive[rank] = False
            freed = self._free(rank)
            # Pixels that kept their owner cannot change hands here: their owner had beaten all the others before.
            for other in np.flatnonzero(alive[1:]) + 1:
                k = order[other - 1]
                self.claim(int(other), k, float(scores[k]), freed)
            areas = np.bincount(self.owner.ravel(), minlength=len(order) + 1)

    def _free(self, rank: int) -> tuple[slice, slice]:
        """Make the pixels of an owner nobody's and return the window that holds them."""
        mine = self.owner == rank
        rows, cols = np.flatnonzero(mine.any(axis=1)), np.flatnonzero(mine.any(axis=0))
        window = slice(int(rows[0]), int(rows[-1]) + 1), slice(int(cols[0]), int(cols[-1]) + 1)
        self.owner[window][mine[window]] = 0
        self.best[window][mine[window]] = 0.0
        return window


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


def _collect(
    owner: NDArray[np.uint16], order: NDArray[np.intp], scores: NDArray[np.floating], class_ids: NDArray[np.integer]
) -> Instances:
    """Number the owners that are left 1..N and measure their boxes and areas."""
    areas = np.bincount(owner.ravel(), minlength=len(order) + 1)[1:]
    kept = np.flatnonzero(areas)
    number = np.zeros(len(order) + 1, np.uint16)
    number[kept + 1] = np.arange(1, len(kept) + 1)
    label_map = number[owner]
    return Instances(
        label_map=label_map,
        ids=np.arange(1, len(kept) + 1, dtype=np.int32),
        scores=scores[order[kept]].astype(np.float32),
        boxes=label_boxes(label_map, len(kept)),
        class_ids=class_ids[order[kept]].astype(np.int32),
        areas=areas[kept].astype(np.int64),
    )


def label_boxes(label_map: NDArray[np.integer], count: int) -> NDArray[np.float32]:
    """Boxes of labels 1..count, float32 `(count, 4)` xyxy pixels with exclusive maximum; zeros for absent labels.

    >>> label_boxes(np.array([[0, 1, 1], [0, 0, 1]]), 1).tolist()
    [[1.0, 0.0, 3.0, 2.0]]
    """
    height, width = label_map.shape
    boxes = np.zeros((count, 4), np.float32)
    # The first and last pixel of each run of equal labels in a row decide everything: far fewer than all pixels.
    flat = label_map.ravel()
    change = np.flatnonzero(flat[1:] != flat[:-1]) + 1
    row_starts = np.arange(0, height * width, width)
    starts = np.union1d(change, row_starts)
    stops = np.append(starts[1:], height * width)
    labels = flat[starts].astype(np.intp)
    used = labels > 0
    starts, stops, labels = starts[used], stops[used], labels[used] - 1
    lows = np.full((count, 2), np.iinfo(np.int64).max)
    highs = np.zeros((count, 2), np.int64)
    np.minimum.at(lows, (labels, 0), starts % width)
    np.minimum.at(lows, (labels, 1), starts // width)
    np.maximum.at(highs, (labels, 0), (stops - 1) % width + 1)
    np.maximum.at(highs, (labels, 1), starts // width + 1)
    present = highs[:, 0] > 0
    boxes[present, :2] = lows[present]
    boxes[present, 2:] = highs[present]
    return boxes


def _intersect(a: slice, b: slice) -> slice:
    return slice(max(a.start, b.start), min(a.stop, b.stop))


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
