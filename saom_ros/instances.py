"""Instances of one image, and the one function that paints them from the model's low-resolution masks.

`paint` is used by the node, the command line and evaluation alike, so that all of them see the same label map.
"""

from __future__ import annotations

import functools

import cv2
import numpy as np
from numpy.typing import NDArray

from saom_ros.canvas import Canvas
from saom_ros.letterbox import Letterbox

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
        shown: tuple[NDArray[np.intp], NDArray[np.intp]] | None = None,
    ) -> None:
        """Objects of a label map.

        Args:
            label_map: uint8 or uint16 `(h, w)`: 0 = background, `ids[k]` = object k.
            ids, scores, boxes, class_ids, areas: see the attributes.
            shown: the rows `(H,)` and columns `(W,)` of `label_map` that the rows and columns of the image show; None:
                it is of the image's size.
        """
        self.painted = label_map
        self.painted_ids = ids
        self.shown = shown
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

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the image in px."""
        height, width = self.painted.shape if self.shown is None else map(len, self.shown)
        return height, width

    @functools.cached_property
    def label_map(self) -> NDArray[np.uint16]:
        """uint16 `(H, W)`, the image's size: 0 = background, k = object with id k. Written when first asked for."""
        if self.painted.dtype == np.uint16 and self.ids is self.painted_ids:
            return self._at_image_size(self.painted)
        table = np.zeros(np.iinfo(self.painted.dtype).max + 1, np.uint16)
        table[self.painted_ids] = self.ids
        # OpenCV's table of bytes takes half the time of NumPy's.
        labels = cv2.LUT(self.painted, table) if self.painted.dtype == np.uint8 else table[self.painted]
        return self._at_image_size(np.asarray(labels))

    def sampled(self, step: int) -> NDArray[np.unsignedinteger]:
        """Every `step`-th row and column of the image: 0 = background, `painted_ids[k]` = object k."""
        every = slice(step // 2, None, step)
        if self.shown is None:
            return self.painted[every, every]
        rows, cols = self.shown
        return self.painted.take(rows[every], axis=0).take(cols[every], axis=1)

    def renumbered(self, ids: NDArray[np.int32]) -> Instances:
        """The same objects and pixels with other ids, int32 `(N,)` in 1..65535."""
        other = Instances(
            self.painted, self.painted_ids, self.scores, self.boxes, self.class_ids, self.areas, self.shown
        )
        other.ids = ids
        return other

    def _at_image_size(self, labels: NDArray[np.uint16]) -> NDArray[np.uint16]:
        if self.shown is None:
            return labels
        rows, cols = self.shown
        # Whole rows are copied so much faster than single pixels that turning them twice pays.
        wide = cv2.transpose(cv2.transpose(labels).take(cols, axis=0))
        return np.asarray(wide.take(rows, axis=0))

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

    Each mask is upsampled bilinearly inside its box, to a canvas of a few pixels a cell (`canvas.py`); a pixel goes to
    the mask with the largest probability x score among those above one half there (the better scored one where equal).
    Objects that own fewer than `min_area` pixels are dropped, worst score first, and their pixels go to the next best
    mask.

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
    canvas = Canvas(masks[order], scores[order], boxes[order], box)
    canvas.drop_small(max(int(min_area), 1))
    kept = np.flatnonzero(canvas.areas)
    painted = Instances(
        label_map=canvas.owner,
        ids=(kept + 1).astype(np.int32),
        scores=scores[order[kept]].astype(np.float32),
        boxes=canvas.boxes[kept],
        class_ids=class_ids[order[kept]].astype(np.int32),
        areas=canvas.areas[kept],
        shown=(canvas.rows.canvas_pixel, canvas.cols.canvas_pixel),
    )
    return painted.renumbered(np.arange(1, len(kept) + 1, dtype=np.int32))


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
