"""Which mask owns each pixel of the image: low-resolution masks compared after bilinear interpolation to image size.

The image is cut into tiles, the pixels between the centres of the same four mask cells. The cells tell of most tiles
that nobody or one mask owns them whole; values are interpolated only in the others, where contours run or masks meet.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

HALF = 127.5
"""Mask value of probability one half; masks are probability x 255."""

HALF_CELL = 127
"""Cells, being integers, are above one half where they are above this."""

BOX_PADDING_CELLS = 1.0
"""Mask cells added around a box before upsampling. Boxes enclose the cells above one half, and bilinear interpolation
carries the one-half contour up to half a cell further out; a full cell also absorbs the rounding of fp16 boxes."""

Window = tuple[slice, slice]
"""Rows and columns of the image."""

PIXELS_AT_ONCE = 1 << 17
"""Pixels of tiles that are interpolated together: what fits a core's cache."""


@dataclass(frozen=True, eq=False)
class Axis:
    """Bilinear interpolation from mask cells to image pixels along one axis.

    The pixels between the centres of two neighbouring cells are a strip: strip s lies between cells s - 1 and s, the
    first before the centre of the first cell, the last behind that of the last one. Strips may be empty.
    """

    cells: int
    """Cells that know of the image; those centred in the padding do not."""
    strip: NDArray[np.intp]
    """Per image pixel, its strip in 0..cells."""
    weight: NDArray[np.float32]
    """Per image pixel, the weight of the cell behind it; that of the cell before it is 1 - weight."""
    start: NDArray[np.intp]
    """Per strip, its first pixel."""
    stop: NDArray[np.intp]
    """Per strip, the pixel behind its last one."""
    longest: int
    """Pixels of the longest strip."""
    pixels_per_input: float
    padding: float
    """Input pixels added to both ends of a box."""

    @classmethod
    @functools.lru_cache(maxsize=16)
    def of(cls, image: int, content: int, model_input: int, cells: int) -> Axis:
        """The axis of an image of that many pixels, of which the model saw `content` input pixels."""
        stride = model_input / cells
        # Half-pixel centres: image pixel i is centred at i + 0.5, cell j at (j + 0.5) * stride input pixels.
        position = (np.arange(image) + 0.5) * (content / image) / stride - 0.5
        # Cells centred in the padding know nothing of the image; at its edge the last cell inside goes on.
        last = max(math.ceil(content / stride - 0.5) - 1, 0)
        strip = np.clip(np.floor(position).astype(np.intp) + 1, 0, last + 1)
        position = np.clip(position, 0, last)
        weight = (position - position.astype(np.intp)).astype(np.float32)
        strips = np.arange(last + 2)
        start, stop = np.searchsorted(strip, strips, "left"), np.searchsorted(strip, strips, "right")
        return cls(
            last + 1, strip, weight, start, stop, int((stop - start).max()), image / content, BOX_PADDING_CELLS * stride
        )

    def window(self, start: float, stop: float) -> slice:
        """Image pixels that a box from `start` to `stop` (input pixels) may touch; empty for NaN and the like."""
        if not (math.isfinite(start) and math.isfinite(stop) and start < stop):
            return slice(0, 0)
        first = math.floor((start - self.padding) * self.pixels_per_input)
        end = math.ceil((stop + self.padding) * self.pixels_per_input)
        return slice(min(max(first, 0), len(self.strip)), min(max(end, 0), len(self.strip)))

    def pixels(self, strips: NDArray[np.intp]) -> NDArray[np.intp]:
        """Pixels `(L, N)` of N strips that are not empty, the last pixel of the shorter ones repeated."""
        return np.minimum(self.start[strips] + np.arange(self.longest)[:, None], self.stop[strips] - 1)


def owners(
    masks: NDArray[np.uint8],
    scores: NDArray[np.float32],
    windows: Sequence[Window],
    rows: Axis,
    cols: Axis,
) -> NDArray[np.unsignedinteger]:
    """Label map `(H, W)`: k + 1 where mask k is above one half and its value x score the largest, 0 = none.

    Of the smallest unsigned type that holds all labels: bytes are compared and copied faster.

    Args:
        masks: uint8 `(K, h, w)`, probability x 255.
        scores: `(K,)`, above 0. Of equal products that of the lower k wins.
        windows: per mask, the pixels that it may own.
    """
    labels: NDArray[np.unsignedinteger] = np.arange(1, len(masks) + 1, dtype=np.min_scalar_type(len(masks)))
    if not len(masks):
        return np.zeros((len(rows.strip), len(cols.strip)), labels.dtype)
    limits = np.array([(y.start, y.stop, x.start, x.stop) for y, x in windows])
    cells = _with_edges(masks, rows.cells, cols.cells)
    touched, covered = _tiles_in_windows(limits, rows, cols)
    most, least = _extreme_of_corners(np.maximum, cells), _extreme_of_corners(np.minimum, cells)
    possible = (most > HALF_CELL) & touched
    sure = (least > HALF_CELL) & covered
    # Interpolated values lie between those of the corners: who stays below another's least can own nothing.
    per_tile = scores[:, None, None]
    possible &= most * per_tile >= (least * per_tile * sure).max(axis=0)
    rivals = possible.sum(axis=0, dtype=labels.dtype)
    plain = (rivals == 1) & (possible & sure).any(axis=0)
    of_tile = (possible.view(np.uint8) * labels[:, None, None]).max(axis=0) * plain
    owner = of_tile.take(cols.strip, axis=1).take(rows.strip, axis=0)
    contest = _Contest(cells, scores, labels, limits, rows, cols, owner)
    # Tiles with many rivals come first: then those where the second, third ... rival is tried are all in front.
    tiles = np.flatnonzero((rivals > 0) & ~plain)
    tiles = tiles[np.argsort(-rivals.ravel()[tiles].astype(np.intp), kind="stable")]
    candidates = possible.reshape(len(masks), -1).T[tiles]
    step = max(PIXELS_AT_ONCE // (rows.longest * cols.longest), 1)
    for first in range(0, len(tiles), step):
        contest.decide(tiles[first : first + step], candidates[first : first + step])
    return owner


def upsample(mask: NDArray[np.uint8], rows: Axis, cols: Axis, y: slice, x: slice) -> NDArray[np.float32]:
    """Values 0..255 of one mask uint8 `(h, w)` at the image pixels of a window: float32."""
    cells = _with_edges(mask[None], rows.cells, cols.cells)[0].astype(np.float32)
    strips = cols.strip[x]
    left = cells[:, strips]
    across = left + (cells[:, strips + 1] - left) * cols.weight[x]
    above = across[rows.strip[y]]
    return above + (across[rows.strip[y] + 1] - above) * rows.weight[y, None]


class _Contest(NamedTuple):
    """Decides pixel by pixel where masks meet or end. For the other names see `owners`."""

    cells: NDArray[np.uint8]
    """`(K, rows.cells + 2, cols.cells + 2)`: the masks, their edges repeated. The corners of tile (r, c) are the
    cells (r, c), (r, c + 1), (r + 1, c) and (r + 1, c + 1)."""
    scores: NDArray[np.float32]
    labels: NDArray[np.unsignedinteger]
    """`(K,)`: 1..K."""
    limits: NDArray[np.intp]
    """`(K, 4)`: first and end row, first and end column (px) of each mask's window."""
    rows: Axis
    cols: Axis
    owner: NDArray[np.unsignedinteger]
    """`(H, W)`: written to."""

    def decide(self, tiles: NDArray[np.intp], candidates: NDArray[np.bool_]) -> None:
        """Find the owners of all pixels of T tiles: `(T,)` row strip x column strips + column strip.

        Args:
            candidates: `(T, K)`: at least one for each tile; no tile has more of them than the one before it.
        """
        # Tiles lie along the last axis, so that NumPy's inner loops are long.
        strips = np.divmod(tiles, len(self.cols.start))
        y, x = self.rows.pixels(strips[0]), self.cols.pixels(strips[1])
        tile, mask = np.divmod(np.flatnonzero(candidates), candidates.shape[1])  # by tile, then by mask
        rank = np.arange(len(tile)) - np.searchsorted(tile, tile)  # of the mask among the candidates of its tile
        best = self._values(mask[rank == 0], strips, y, x)
        winner = (best > 0).view(np.uint8) * self.labels[mask[rank == 0]]
        for r in range(1, int(rank.max()) + 1):
            masks = mask[rank == r]
            n = len(masks)
            value = self._values(masks, (strips[0][:n], strips[1][:n]), y[:, :n], x[:, :n])
            wins = (value > best[..., :n]).view(np.uint8) * self.labels[masks]
            np.maximum(best[..., :n], value, out=best[..., :n])
            np.maximum(winner[..., :n], wins, out=winner[..., :n])  # labels ascend: the larger one won later
        self.owner.reshape(-1)[(y * self.owner.shape[1])[:, None] + x] = winner

    def _values(
        self,
        masks: NDArray[np.intp],
        strips: tuple[NDArray[np.intp], NDArray[np.intp]],
        y: NDArray[np.intp],
        x: NDArray[np.intp],
    ) -> NDArray[np.float32]:
        """Probability x 255 x score of one mask for each of N tiles at their pixels `(Y, N)`, `(X, N)`: `(Y, X, N)`.

        0 where it is not above one half and outside of the mask's window.
        """
        _, height, width = self.cells.shape
        corner = (masks * height + strips[0]) * width + strips[1]
        corners = self.cells.take(corner + np.array([[0], [1], [width], [width + 1]])).astype(np.float32)
        weight_x, weight_y = self.cols.weight.take(x), self.rows.weight.take(y)
        above = corners[0] + (corners[1] - corners[0]) * weight_x
        below = corners[2] + (corners[3] - corners[2]) * weight_x
        below -= above
        value = np.empty((len(y), *x.shape), np.float32)
        np.multiply(below, weight_y[:, None], out=value)
        value += above
        flat = value.reshape(len(y), -1)
        cv2.threshold(flat, HALF, 0, cv2.THRESH_TOZERO, dst=flat)  # a third of the time of NumPy's two passes
        value *= self.scores[masks]
        first_y, end_y, first_x, end_x = self.limits[masks].T
        cut = np.flatnonzero((y[0] < first_y) | (y[-1] >= end_y) | (x[0] < first_x) | (x[-1] >= end_x))
        if len(cut):
            inside_y = (y[:, cut] >= first_y[cut]) & (y[:, cut] < end_y[cut])
            inside_x = (x[:, cut] >= first_x[cut]) & (x[:, cut] < end_x[cut])
            value[..., cut] *= inside_y[:, None] & inside_x
        return value


def _with_edges(masks: NDArray[np.uint8], rows: int, cols: int) -> NDArray[np.uint8]:
    """The first `rows` and `cols` cells of the masks, with the outermost ones repeated once on each side."""
    cells = np.empty((len(masks), rows + 2, cols + 2), np.uint8)
    cells[:, 1:-1, 1:-1] = masks[:, :rows, :cols]
    cells[:, 0], cells[:, -1] = cells[:, 1], cells[:, -2]
    cells[:, :, 0], cells[:, :, -1] = cells[:, :, 1], cells[:, :, -2]
    return cells


def _extreme_of_corners(extreme: np.ufunc, cells: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Least or largest value of the four corners of all tiles."""
    pairs = extreme(cells[:, :-1], cells[:, 1:])
    return np.asarray(extreme(pairs[:, :, :-1], pairs[:, :, 1:]))


def _tiles_in_windows(limits: NDArray[np.intp], rows: Axis, cols: Axis) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Which tiles hold pixels of each window, and which lie in it whole: `(K, row strips, column strips)`."""
    touched, covered = [], []
    for axis, (first, end) in ((rows, limits[:, :2].T), (cols, limits[:, 2:].T)):
        first, end = first[:, None], end[:, None]
        touched.append((axis.start < axis.stop) & (axis.start < end) & (axis.stop > first))
        covered.append((axis.start >= first) & (axis.stop <= end))
    (rows_touched, cols_touched), (rows_covered, cols_covered) = touched, covered
    return (
        rows_touched[:, :, None] & cols_touched[:, None],
        rows_covered[:, :, None] & cols_covered[:, None],
    )
