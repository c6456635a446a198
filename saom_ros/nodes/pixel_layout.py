"""How an encoding lays its pixels out in `sensor_msgs/Image.data`: sizes checked first, then a view without a copy.

Shared by colour and depth images. Every size in a message is the sender's claim; nothing is allocated from it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from saom_ros.errors import ImageError
from saom_ros.segmenter import MAX_PIXELS

if TYPE_CHECKING:
    from sensor_msgs.msg import Image


class PixelLayout(NamedTuple):
    """Layout of an encoding; the default is one byte per pixel."""

    channels: int = 1
    """Values per pixel in a row of data."""
    dtype: type[np.generic] = np.uint8
    """Type of a value; the byte order is the message's."""
    block: tuple[int, int] = (1, 1)
    """Width and height of the pixels that share their colour; an image consists of whole blocks."""
    rows_per_block: int = 1
    """Rows of data that a block takes: 3 for the two rows of luma and one of chroma of 4:2:0."""
    least_side: int = 1
    """Shortest side (px) that can be converted."""


def check_layout(message: Image, layout: PixelLayout, what: str = "image") -> None:
    """Raise `ImageError` when size, step and data of the message contradict each other. Costs microseconds.

    `what` names the image in the error.
    """
    _check_size(message, layout, what)
    least_step = message.width * layout.channels * np.dtype(layout.dtype).itemsize
    if message.step < least_step:
        raise ImageError(
            f"{what} step is {message.step} bytes; a row of {message.width} {message.encoding} pixels needs at least "
            f"{least_step}: check the publisher"
        )
    rows = _data_rows(message, layout)
    size, expected = len(message.data), message.step * rows
    if size != expected:
        kind = "empty" if size == 0 else "truncated" if size < expected else "too long"
        raise ImageError(
            f"{what} data is {kind}: {size} bytes; {rows} rows of {message.step} bytes make {expected}: "
            "check the publisher, or the network if the image is cut"
        )
    if message.width * message.height > MAX_PIXELS:  # before a conversion takes several times its memory
        raise ImageError(
            f"{what} of {message.width}x{message.height} px is above the limit of {MAX_PIXELS} pixels; scale it down"
        )


def view_values(message: Image, layout: PixelLayout) -> np.ndarray[Any, Any]:
    """The values of a message that `check_layout` has passed: a view (data rows, width, channels) of its memory.

    Padding at the end of rows is left out, also where `step` is no multiple of a pixel; big-endian values keep their
    byte order in the dtype.
    """
    dtype = np.dtype(layout.dtype).newbyteorder(">" if message.is_bigendian else "<")
    return np.ndarray(
        (_data_rows(message, layout), message.width, layout.channels),
        dtype,
        buffer=message.data,
        strides=(message.step, layout.channels * dtype.itemsize, dtype.itemsize),
    )


def _check_size(message: Image, layout: PixelLayout, what: str) -> None:
    size = f"{what} is {message.width}x{message.height} pixels"
    if message.height == 0 or message.width == 0:
        raise ImageError(f"{size}; both sides must be at least 1: check the camera driver")
    if min(message.width, message.height) < layout.least_side:
        raise ImageError(
            f"{size}; {message.encoding} needs at least {layout.least_side} on both sides: check the camera driver"
        )
    if message.width % layout.block[0] or message.height % layout.block[1]:
        sides = "width and height" if layout.block[1] > 1 else "width"
        raise ImageError(
            f"{size}; {message.encoding} needs an even {sides}: let the camera driver crop the image or send rgb8"
        )


def _data_rows(message: Image, layout: PixelLayout) -> int:
    return message.height // layout.block[1] * layout.rows_per_block
