"""The only resize in the project: an image scaled into the model's input, top-left, padded with the mean colour.

Training, evaluation and the robot share these functions, so a model sees on the robot what it saw in training.
Coordinates are continuous pixels: pixel (column c, row r) covers [c, c + 1) x [r, r + 1), its centre is +0.5.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

PAD_COLOR = (124, 116, 104)
"""RGB of the padding: the ImageNet mean, which SAM's normalisation maps to about zero."""


@dataclass(frozen=True)
class Letterbox:
    """Geometry of one image inside the model's input. All sizes in pixels.

    The image keeps its aspect (to the rounding of one pixel) and fills one axis of the input; the content lies
    top-left, the rest is padding. Scales are per axis, `content / image`, so that both edges meet exactly.
    """

    image_height: int
    image_width: int
    input_height: int
    input_width: int
    content_height: int
    content_width: int

    @classmethod
    def fit(cls, image_height: int, image_width: int, input_height: int, input_width: int) -> Letterbox:
        """Letterbox of the largest content that fits. Raises `ValueError` where a size is below 1."""
        sizes = (image_height, image_width, input_height, input_width)
        if min(sizes) < 1:
            raise ValueError(
                f"image {image_width}x{image_height} into {input_width}x{input_height}: sizes must be >= 1"
            )
        scale = min(input_height / image_height, input_width / image_width)
        content_height = min(max(round(image_height * scale), 1), input_height)
        content_width = min(max(round(image_width * scale), 1), input_width)
        return cls(*sizes, content_height, content_width)

    @property
    def scale_xy(self) -> tuple[float, float]:
        """Input pixels per image pixel along x and y."""
        return self.content_width / self.image_width, self.content_height / self.image_height

    def to_input(self, xy: NDArray[np.floating] | NDArray[np.integer]) -> NDArray[np.float64]:
        """Map points `(N, 2)` x y (or boxes `(N, 4)` xyxy) from image pixels to input pixels."""
        points = np.asarray(xy, dtype=np.float64)
        return points * np.tile(self.scale_xy, points.shape[-1] // 2)

    def to_image(self, xy: NDArray[np.floating] | NDArray[np.integer]) -> NDArray[np.float64]:
        """Map points `(N, 2)` x y (or boxes `(N, 4)` xyxy) from input pixels to image pixels."""
        points = np.asarray(xy, dtype=np.float64)
        return points / np.tile(self.scale_xy, points.shape[-1] // 2)


def letterbox_image(rgb: NDArray[np.uint8], box: Letterbox) -> NDArray[np.uint8]:
    """Scale an RGB image uint8 `(H, W, 3)` into the input uint8 `(h, w, 3)` and pad it.

    Pixel areas are averaged when shrinking and interpolated bilinearly when enlarging.
    """
    _check_shape(rgb.shape[:2], box)
    canvas = np.empty((box.input_height, box.input_width, 3), dtype=np.uint8)
    content = canvas[: box.content_height, : box.content_width]
    _fill(canvas[box.content_height :])
    _fill(canvas[: box.content_height, box.content_width :])
    if rgb.shape[:2] in (content.shape[:2], (1, 1)):  # OpenCV 4.5 cannot resize a single pixel
        content[:] = rgb
    elif box.content_height < box.image_height or box.content_width < box.image_width:
        _shrink(np.ascontiguousarray(rgb), content)
    else:
        cv2.resize(np.ascontiguousarray(rgb), content.shape[1::-1], dst=content, interpolation=cv2.INTER_LINEAR)
    return canvas


def _shrink(rgb: NDArray[np.uint8], content: NDArray[np.uint8]) -> None:
    """Average over the areas of the pixels of `content`: bilinear samples at whole fractions of them, then their mean.

    Samples lie at most two pixels apart, so that all pixels count. OpenCV averages whole blocks far faster than areas
    with fractions of pixels, from which this differs by less than half a grey value in photographs.
    """
    size = content.shape[1::-1]
    width, height = (n * max(math.ceil(m / n / 2), 2) for n, m in zip(size, rgb.shape[1::-1], strict=True))
    samples = cv2.resize(rgb, (width, height), interpolation=cv2.INTER_LINEAR)
    cv2.resize(samples, size, dst=content, interpolation=cv2.INTER_AREA)


def _fill(padding: NDArray[np.uint8]) -> None:
    """Fill with the padding's colour; a tenth of the time of an assignment."""
    height, width = padding.shape[:2]
    if padding.size:
        cv2.rectangle(padding, (0, 0), (width - 1, height - 1), PAD_COLOR, cv2.FILLED)


def letterbox_labels(labels: NDArray[np.integer], box: Letterbox) -> NDArray[np.integer]:
    """Scale a label map `(H, W)` of any integer dtype into `(h, w)` of the same dtype; padding is 0.

    Each input pixel takes the label under its centre.
    """
    _check_shape(labels.shape, box)
    rows = _nearest(box.content_height, box.image_height)
    cols = _nearest(box.content_width, box.image_width)
    canvas = np.zeros((box.input_height, box.input_width), dtype=labels.dtype)
    canvas[: box.content_height, : box.content_width] = labels[rows[:, None], cols[None, :]]
    return canvas


def grid_points(rows: int, cols: int, box: Letterbox) -> NDArray[np.float32]:
    """Point prompts float32 `(rows * cols, 2)`, x y in input pixels: cell centres over the content, row-major."""
    x = (np.arange(cols) + 0.5) * (box.content_width / cols)
    y = (np.arange(rows) + 0.5) * (box.content_height / rows)
    grid = np.stack(np.meshgrid(x, y), axis=-1)
    return grid.reshape(-1, 2).astype(np.float32)


def _nearest(target: int, source: int) -> NDArray[np.int64]:
    """Source index under the centre of each of `target` cells."""
    # Integer arithmetic: floor((i + 0.5) * source / target) without a rounding error at cell borders.
    return ((2 * np.arange(target, dtype=np.int64) + 1) * source) // (2 * target)


def _check_shape(shape: tuple[int, ...], box: Letterbox) -> None:
    if shape != (box.image_height, box.image_width):
        raise ValueError(
            f"array is {shape}, the letterbox is for {(box.image_height, box.image_width)} (rows, columns)"
        )
