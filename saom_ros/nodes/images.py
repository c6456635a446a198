"""ROS colour images to NumPy arrays and back.

`sensor_msgs/Image` is read as a view of its memory and written with `array.frombytes`, the two ways that cost well
below a millisecond on every distribution (assigning `bytes` or an array to `Image.data` can cost hundreds). Nothing
here needs rclpy: the functions take any object with the message's fields. `encodings.py` knows what encodings mean.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from saom_ros.errors import ImageError
from saom_ros.nodes.encodings import ENCODINGS
from saom_ros.nodes.pixel_layout import check_layout, view_values

if TYPE_CHECKING:
    from sensor_msgs.msg import Image

READABLE_ENCODINGS = tuple(ENCODINGS)
"""Encodings that `rgb_from_message` reads."""

_FROM_RGB = {
    "rgb8": None,
    "bgr8": cv2.COLOR_RGB2BGR,
    "rgba8": cv2.COLOR_RGB2RGBA,
    "bgra8": cv2.COLOR_RGB2BGRA,
    "mono8": cv2.COLOR_RGB2GRAY,
}

COLOR_ENCODINGS = tuple(_FROM_RGB)
"""Encodings that `encode_rgb` writes."""

_DTYPES = {"mono16": np.uint16} | dict.fromkeys(COLOR_ENCODINGS, np.uint8)


def pixel_reader(message: Image) -> Callable[[], np.ndarray]:
    """Check a message and return the function that reads its pixels, as `rgb_from_message` would.

    Touches no pixel: costs microseconds. Raises `ImageError`.
    """
    encoding = ENCODINGS.get(message.encoding)
    if encoding is None:
        raise ImageError(
            f"image encoding {message.encoding[:40]!r} is not supported; expected one of "
            f"{', '.join(READABLE_ENCODINGS)}: let the camera driver or image_proc convert it"
        )
    check_layout(message, encoding.layout)
    values = view_values(message, encoding.layout)
    return lambda: encoding.to_rgb(values)


def rgb_from_message(message: Image) -> np.ndarray:
    """Pixels of a message as uint8 RGB (H, W, 3); padding at the end of rows (`step`) is left out.

    Grey is repeated, alpha is dropped, mosaics are interpolated, 16 bits become 8 (see `bit_depth.eight_bit`). An
    `rgb8` image comes as a view of the message's memory, so treat the result as read-only. Raises `ImageError` for an
    encoding that is not in `READABLE_ENCODINGS` and for sizes that contradict each other.
    """
    return pixel_reader(message)()


def encode_rgb(rgb: np.ndarray, encoding: str) -> np.ndarray:
    """Convert uint8 RGB (H, W, 3) to one of `COLOR_ENCODINGS`: uint8 (H, W, C), or (H, W) for mono8.

    Alpha is opaque, grey is luma.
    """
    if encoding not in _FROM_RGB:
        raise ImageError(f"image encoding {encoding!r} is not supported; expected one of {', '.join(COLOR_ENCODINGS)}")
    code = _FROM_RGB[encoding]
    return rgb if code is None else cv2.cvtColor(rgb, code)


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
