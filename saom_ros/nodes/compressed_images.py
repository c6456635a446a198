"""ROS compressed images (`sensor_msgs/CompressedImage`) to RGB.

The bytes say what they are; the message's `format` is a hint that publishers write in many ways ("jpeg", "png",
"rgb8; jpeg compressed bgr8"). Nothing here needs rclpy.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import cv2
import numpy as np

from saom_ros.errors import ImageError
from saom_ros.jpeg_png import check_jpeg_png, decode_jpeg_png
from saom_ros.nodes.encodings import DEMOSAIC, LEAST_MOSAIC

if TYPE_CHECKING:
    from sensor_msgs.msg import CompressedImage


def compressed_reader(message: CompressedImage) -> Callable[[], np.ndarray]:
    """Check a message and return the function that reads its pixels, as `rgb_from_compressed` would.

    Raises `ImageError` for what need not be decoded to be refused: other formats, no data, a header of a huge size.
    Costs microseconds; the function may still find the pixels broken.
    """
    _refuse_depth(message)
    check_jpeg_png(bytes(message.data), _name(message))
    return lambda: rgb_from_compressed(message)


def rgb_from_compressed(message: CompressedImage) -> np.ndarray:
    """Pixels of a JPEG or PNG message as uint8 RGB (H, W, 3): the same as of the raw image, but for JPEG's losses.

    Grey is repeated, alpha and EXIF orientation are ignored, 16 bits become 8 (see `bit_depth.eight_bit`); a grey
    picture whose format names a mosaic is interpolated to colour, because image_transport compresses Bayer images as
    they are. Raises `ImageError` for depth, other formats, sizes above `segmenter.MAX_PIXELS`, truncated and corrupt
    data.
    """
    _refuse_depth(message)
    pixels = decode_jpeg_png(bytes(message.data), _name(message))
    if pixels.ndim == 3:
        return pixels
    mosaic = message.format.partition(";")[0].strip().removesuffix("8").removesuffix("16")
    if mosaic in DEMOSAIC and min(pixels.shape) >= LEAST_MOSAIC:
        return DEMOSAIC[mosaic](pixels)
    return cv2.cvtColor(pixels, cv2.COLOR_GRAY2RGB)


def _refuse_depth(message: CompressedImage) -> None:
    if "compresseddepth" in message.format.lower():
        raise ImageError(
            f"{_name(message)} is a depth image, which cannot be segmented: connect the topic of the colour image"
        )


def _name(message: CompressedImage) -> str:
    return f"compressed image of format {message.format[:40]!r}"
