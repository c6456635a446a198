"""Which mask owns each pixel: low-resolution masks compared after bilinear interpolation to a canvas of a few pixels a
cell.

A whole number of canvas pixels lies on each cell, so that OpenCV scales any window of a mask in one call. Where the
image has more pixels, each takes the owner of the canvas pixel under its centre: contours that are told by cells of 13
pixels do not get better than that.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from saom_ros.letterbox import Letterbox

HALF = 127.5
"""Mask value of probability one half; masks are probability x 255."""

PIXELS_PER_CELL = 4
"""Canvas pixels along a cell; fewer where a cell covers fewer image pixels. With the model's stride of 4 the canvas is
as fine as its input."""

COARSEST = 8
"""Image pixels along a canvas pixel at most: huge images have more than `PIXELS_PER_CELL`."""

BOX_PADDING_CELLS = 1
"""Mask cells added around a box. Boxes enclose the cells above one half, and bilinear interpolation carries the
one-half contour up to half a cell further out."""

Window = tuple[slice, slice]
"""Rows and columns."""


@dataclass(frozen=True, eq=False)
class Axis:
    """Mask cells, canvas pixels and image pixels along one axis."""

    cells: int
    """Cells that the image touches."""
    known: int
    """Those of them that know of the image; the last one may be centred in the padding."""
    stride: float
    """Input pixels of a cell."""
    per_cell: int
    """Canvas pixels of a cell."""
    canvas_pixel: NDArray[np.intp]
    """Per image pixel, the canvas pixel under its centre; ascends."""
    first: NDArray[np.intp]
    """Per canvas pixel and for the end behind the last one, the first image pixel that is not before it."""

    @classmethod
    @functools.lru_cache(maxsize=16)
    def of(cls, image: int, content: int, model_input: int, cells: int) -> Axis:
        """The axis of an image of that many pixels, of which the model saw `content` input pixels."""
        stride = model_input / cells
        touched = math.ceil(content / stride)
        known = max(math.ceil(content / stride - 0.5), 1)
        pixels_of_cell = stride * image / content
        per_cell = max(min(math.ceil(pixels_of_cell), PIXELS_PER_CELL), math.ceil(pixels_of_cell / COARSEST))
        centres = (np.arange(image) + 0.5) / pixels_of_cell * per_cell
        canvas_pixel = np.minimum(centres.astype(np.intp), touched * per_cell - 1)
        first = np.searchsorted(canvas_pixel, np.arange(touched * per_cell + 1))
        return cls(touched, known, stride, per_cell, canvas_pixel, first)

    @property
    def size(self) -> int:
        """Canvas pixels."""
        return self.cells * self.per_cell

    @property
    def image_pixels(self) -> NDArray[np.uint8]:
        """Of each canvas pixel, at most `COARSEST` + 1; 0 where the canvas is finer than the image or beyond it."""
        return np.diff(self.first).astype(np.uint8)


class Canvas:
    """Masks by descending score, and where each of them wins.

    A canvas pixel goes to the mask with the largest probability x score among those above one half there, to the first
    of them where equal. Areas and boxes are those of the image.
    """

    def __init__(
        self,
        masks: NDArray[np.uint8],
        scores: NDArray[np.floating],
        boxes: NDArray[np.floating],
        box: Letterbox,
    ) -> None:
        """Paint all masks.

        Args:
            masks: uint8 `(K, h, w)`, probability x 255.
            scores: `(K,)`, above 0, descending.
            boxes: `(K, 4)` xyxy in input pixels; what a mask has further outside is not painted.
            box: how the image lies in the model input.
        """
        self.rows = Axis.of(box.image_height, box.content_height, box.input_height, masks.shape[1])
        self.cols = Axis.of(box.image_width, box.content_width, box.input_width, masks.shape[2])
        self.owner = np.zeros((self.rows.size, self.cols.size), np.min_scalar_type(len(masks)))
        """Mask k owns the pixels where this is k + 1. Of the smallest type: bytes are compared and copied faster."""
        self.areas = np.zeros(len(masks), np.int64)
        """Image pixels of each mask."""
        self.boxes = np.zeros((len(masks), 4), np.float32)
        """xyxy of them, exclusive maximum."""
        self._cells = _image_cells(masks, self.rows, self.cols)
        self._scores = scores.astype(np.float32)
        self._halves = (HALF * scores).tolist()
        self._start, self._end = _windows(boxes, self.rows, self.cols)
        self._pixels = _pixels(self._start, self._end, self.rows, self.cols)
        self._best = np.zeros(self.owner.shape, np.float32)
        self._image_pixels = np.multiply.outer(self.rows.image_pixels, self.cols.image_pixels)
        painted = np.flatnonzero((self._start < self._end).all(axis=1)).tolist()
        for k in painted:
            self._claim(k)
        self._measure(painted)

    def drop_small(self, min_area: int) -> None:
        """Drop masks that own fewer image pixels, worst score first, and let the others claim what comes free."""
        for k in reversed(np.flatnonzero((self.areas > 0) & (self.areas < min_area)).tolist()):
            if self.areas[k] >= min_area:  # it was an heir
                continue
            pixels = self._pixels[k]
            freed = self.owner[pixels] == k + 1
            self.owner[pixels][freed], self._best[pixels][freed] = 0, 0
            self.areas[k] = 0
            near = (self._start < self._end[k]) & (self._end > self._start[k])
            heirs = np.flatnonzero((self.areas > 0) & near.all(axis=1)).tolist()
            for j in heirs:
                self._claim(j)
            self._measure(heirs)

    def _claim(self, k: int) -> None:
        """Give mask k the pixels where it is better than all that claimed before it."""
        (top, left), (bottom, right) = self._start[k].tolist(), self._end[k].tolist()
        best, owner = self._best[self._pixels[k]], self.owner[self._pixels[k]]
        cells = np.multiply(self._cells[k, top:bottom, left:right], self._scores[k], dtype=np.float32)
        value = cv2.resize(cells, best.shape[::-1], interpolation=cv2.INTER_LINEAR)
        cv2.threshold(value, self._halves[k], 0, cv2.THRESH_TOZERO, dst=value)
        # Who was there before has a lower number, so the larger one is the owner's. OpenCV's maxima take a third of the
        # time of NumPy's, and those a tenth of that of an assignment by a mask.
        label = np.multiply((value > best).view(np.uint8), k + 1, dtype=owner.dtype)
        cv2.max(owner, label, dst=owner)
        cv2.max(best, value, dst=best)

    def _measure(self, masks: list[int]) -> None:
        """Count the image pixels of these masks and find their boxes."""
        rectangles = []
        for k in masks:
            pixels = self._pixels[k]
            shown = (self.owner[pixels] == k + 1).view(np.uint8) * self._image_pixels[pixels]
            self.areas[k] = cv2.sumElems(shown)[0]
            x, y, width, height = cv2.boundingRect(shown)
            x, y = x + pixels[1].start, y + pixels[0].start
            rectangles.append((x, y, x + width, y + height))
        edges = np.array(rectangles, np.intp).reshape(-1, 4)
        self.boxes[masks, ::2] = self.cols.first[edges[:, ::2]]
        self.boxes[masks, 1::2] = self.rows.first[edges[:, 1::2]]


def _image_cells(masks: NDArray[np.uint8], rows: Axis, cols: Axis) -> NDArray[np.uint8]:
    """The cells that the image touches, `(K, rows, cols)`."""
    cells = masks[:, : rows.cells, : cols.cells]
    if rows.known < rows.cells or cols.known < cols.cells:
        # Cells centred in the padding know nothing of the image; at its edge the last cell inside goes on.
        cells = np.pad(
            cells[:, : rows.known, : cols.known],
            ((0, 0), (0, rows.cells - rows.known), (0, cols.cells - cols.known)),
            mode="edge",
        )
    return cells


def _windows(boxes: NDArray[np.floating], rows: Axis, cols: Axis) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """First and end row and column (cells) of the window of each box, `(K, 2)` each; empty for NaN and the like."""
    sane = np.isfinite(boxes).all(axis=1) & (boxes[:, :2] < boxes[:, 2:]).all(axis=1)
    stride, cells = (rows.stride, cols.stride), (rows.cells, cols.cells)
    corners = np.where(sane[:, None], boxes, 0)[:, [1, 0, 3, 2]]
    start = np.clip(np.floor(corners[:, :2] / stride) - BOX_PADDING_CELLS, 0, cells)
    end = np.clip(np.ceil(corners[:, 2:] / stride) + BOX_PADDING_CELLS, 0, cells)
    return start.astype(np.intp), np.where(sane[:, None], end, 0).astype(np.intp)


def _pixels(start: NDArray[np.intp], end: NDArray[np.intp], rows: Axis, cols: Axis) -> list[Window]:
    """The canvas pixels of windows given in cells."""
    per_cell = rows.per_cell, cols.per_cell
    corners = zip((start * per_cell).tolist(), (end * per_cell).tolist(), strict=True)
    return [(slice(top, bottom), slice(left, right)) for (top, left), (bottom, right) in corners]
