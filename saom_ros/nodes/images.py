"""ROS image messages to NumPy arrays and back: the one place that knows encodings.

`sensor_msgs/Image` is read with `np.frombuffer` and written with `array.frombytes`, the two ways that cost well below a
millisecond on every distribution (assigning `bytes` or an array to `Image.data` can cost hundreds). Nothing here needs
rclpy: the functions take any object with the fields of the message.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

import cv2
import numpy as np

from saom_ros.errors import ImageError

if TYPE_CHECKING:
    from sensor_msgs.msg import Image


class _Encoding(NamedTuple):
    channels: int
    """Bytes per pixel: every supported encoding has 8 bits per channel."""
    to_rgb: Callable[[np.ndarray], np.ndarray]
    """uint8 (H, W, channels) -> uint8 (H, W, 3)."""
    from_rgb: Callable[[np.ndarray], np.ndarray]
    """The inverse; alpha is opaque, grey is luma."""


def _converter(code: int) -> Callable[[np.ndarray], np.ndarray]:
    return lambda pixels: cv2.cvtColor(pixels, code)


def _unchanged(pixels: np.ndarray) -> np.ndarray:
    return pixels


_ENCODINGS = {
    "rgb8": _Encoding(3, _unchanged, _unchanged),
    "bgr8": _Encoding(3, _converter(cv2.COLOR_BGR2RGB), _converter(cv2.COLOR_RGB2BGR)),
    "rgba8": _Encoding(4, _converter(cv2.COLOR_RGBA2RGB), _converter(cv2.COLOR_RGB2RGBA)),
    "bgra8": _Encoding(4, _converter(cv2.COLOR_BGRA2RGB), _converter(cv2.COLOR_RGB2BGRA)),
    "mono8": _Encoding(1, _converter(cv2.COLOR_GRAY2RGB), _converter(cv2.COLOR_RGB2GRAY)),
}

COLOR_ENCODINGS = tuple(_ENCODINGS)
"""Encodings that `rgb_from_message` reads and `encode_rgb` writes."""

_DTYPES = {"mono16": np.uint16} | dict.fromkeys(_ENCODINGS, np.uint8)


def check_image(message: Image) -> None:
    """Raise `ImageError` when `rgb_from_message` could not read the message. Touches no pixel: costs microseconds."""
    encoding = _ENCODINGS.get(message.encoding)
    if encoding is None:
        raise ImageError(
            f"image encoding {message.encoding[:40]!r} is not supported; expected one of {', '.join(COLOR_ENCODINGS)}: "
            "let the camera driver or image_proc convert it"
        )
    if message.height == 0 or message.width == 0:
        raise ImageError(
            f"image is {message.width}x{message.height} pixels; both sides must be at least 1: check the camera driver"
        )
    least_step = message.width * encoding.channels
    if message.step < least_step:
        raise ImageError(
            f"image step is {message.step} bytes; a row of {message.width} {message.encoding} pixels needs at least "
            f"{least_step}: check the publisher"
        )
    size, expected = len(message.data), message.step * message.height
    if size != expected:
        kind = "empty" if size == 0 else "truncated" if size < expected else "too long"
        raise ImageError(
            f"image data is {kind}: {size} bytes; {message.height} rows of {message.step} bytes make {expected}: "
            "check the publisher, or the network if the image is cut"
        )


def rgb_from_message(message: Image) -> np.ndarray:
    """Pixels of a message as uint8 RGB (H, W, 3); padding at the end of rows (`step`) is left out.

    An `rgb8` image comes as a view of the message's memory, so treat the result as read-only. Raises `ImageError` for
    an encoding that is not in `COLOR_ENCODINGS` and for sizes that contradict each other.
    """
    check_image(message)
    encoding = _ENCODINGS[message.encoding]
    rows = np.frombuffer(message.data, np.uint8).reshape(message.height, message.step)
    pixels = rows[:, : message.width * encoding.channels].reshape(message.height, message.width, encoding.channels)
    return encoding.to_rgb(pixels)


def encode_rgb(rgb: np.ndarray, encoding: str) -> np.ndarray:
    """Convert uint8 RGB (H, W, 3) to one of `COLOR_ENCODINGS`: uint8 (H, W, C), or (H, W) for mono8."""
    if encoding not in _ENCODINGS:
        raise ImageError(f"image encoding {encoding!r} is not supported; expected one of {', '.join(COLOR_ENCODINGS)}")
    return _ENCODINGS[encoding].from_rgb(rgb)


def fill_message(message: Image, pixels: np.ndarray, encoding: str, header: Any) -> Image:
    """Put `pixels` and a header into an empty message and return it.

    `pixels` is uint16 (H, W) for mono16, uint8 (H, W) for mono8 and uint8 (H, W, C) for colours. The header is taken
    over as it is, so that stamp and frame equal those of the image the pixels were made from.
    """
    if pixels.dtype != _DTYPES[encoding]:
        raise TypeError(f"{encoding} needs {np.dtype(_DTYPES[encoding])} pixels, got {pixels.dtype}")
    pixels = np.ascontiguousarray(pixels)
    message.header = header
    message.height, message.width = pixels.shape[:2]
    message.encoding = encoding
    message.is_bigendian = int(sys.byteorder == "big")
    message.step = pixels.strides[0]
    message.data.frombytes(pixels.data.cast("B"))
    return message
