"""The colour encodings of `sensor_msgs/Image`: for each its layout in memory and its conversion to RGB.

Names and meanings are those of `sensor_msgs/image_encodings.hpp`, and `nv12` as Isaac ROS sends it. YUV is BT.601 with
limited range, as UVC cameras send it; 16 bits become 8 by `bit_depth.eight_bit`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import cv2
import numpy as np

from saom_ros.bit_depth import eight_bit
from saom_ros.nodes.pixel_layout import PixelLayout

Convert = Callable[[np.ndarray], np.ndarray]


class Encoding(NamedTuple):
    """One readable encoding."""

    layout: PixelLayout
    to_rgb: Convert
    """Values (data rows, W, channels) as `view_values` gives them -> uint8 RGB (H, W, 3)."""


def _converter(code: int) -> Convert:
    return lambda pixels: cv2.cvtColor(pixels, code)


def _unchanged(pixels: np.ndarray) -> np.ndarray:
    return pixels


def _from_16_bit(to_rgb: Convert) -> Convert:
    return lambda pixels: to_rgb(eight_bit(pixels))


def _from_16_bit_alpha(code: int) -> Convert:
    """Alpha goes first: it says nothing about brightness. OpenCV does it 100 times as fast as a slice in NumPy."""
    return lambda pixels: eight_bit(np.asarray(cv2.cvtColor(np.ascontiguousarray(pixels, np.uint16), code), np.uint16))


_MONO = _converter(cv2.COLOR_GRAY2RGB)
_BGR = _converter(cv2.COLOR_BGR2RGB)
_BGRA = _converter(cv2.COLOR_BGRA2RGB)
_YUV_422 = PixelLayout(channels=2, block=(2, 1))
_YUV_420 = PixelLayout(block=(2, 2), rows_per_block=3)
_UYVY = Encoding(_YUV_422, _converter(cv2.COLOR_YUV2RGB_UYVY))
_YUYV = Encoding(_YUV_422, _converter(cv2.COLOR_YUV2RGB_YUYV))

# ROS names a mosaic after its top left corner, OpenCV after the second and third pixel of the second row: rggb is BG.
DEMOSAIC = {
    "bayer_rggb": _converter(cv2.COLOR_BayerBG2RGB),
    "bayer_bggr": _converter(cv2.COLOR_BayerRG2RGB),
    "bayer_gbrg": _converter(cv2.COLOR_BayerGR2RGB),
    "bayer_grbg": _converter(cv2.COLOR_BayerGB2RGB),
}
"""By mosaic: uint8 (H, W), both sides at least `LEAST_MOSAIC`, -> RGB (H, W, 3), bilinear."""

LEAST_MOSAIC = 3
"""Shortest side (px) of a mosaic: OpenCV makes smaller ones black."""

ENCODINGS = (
    {
        "rgb8": Encoding(PixelLayout(3), _unchanged),
        "bgr8": Encoding(PixelLayout(3), _BGR),
        "rgba8": Encoding(PixelLayout(4), _converter(cv2.COLOR_RGBA2RGB)),
        "bgra8": Encoding(PixelLayout(4), _BGRA),
        "mono8": Encoding(PixelLayout(1), _MONO),
        "rgb16": Encoding(PixelLayout(3, np.uint16), _from_16_bit(_unchanged)),
        "bgr16": Encoding(PixelLayout(3, np.uint16), _from_16_bit(_BGR)),
        "rgba16": Encoding(PixelLayout(4, np.uint16), _from_16_bit_alpha(cv2.COLOR_RGBA2RGB)),
        "bgra16": Encoding(PixelLayout(4, np.uint16), _from_16_bit_alpha(cv2.COLOR_BGRA2RGB)),
        "mono16": Encoding(PixelLayout(1, np.uint16), _from_16_bit(_MONO)),
        # Names without a meaning of colour. Who sends them took an OpenCV image and told cv_bridge nothing: B G R.
        "8UC1": Encoding(PixelLayout(1), _MONO),
        "8UC3": Encoding(PixelLayout(3), _BGR),
        "8UC4": Encoding(PixelLayout(4), _BGRA),
        "yuv422": _UYVY,
        "uyvy": _UYVY,
        "yuv422_yuy2": _YUYV,
        "yuyv": _YUYV,
        "nv12": Encoding(_YUV_420, _converter(cv2.COLOR_YUV2RGB_NV12)),
        "nv21": Encoding(_YUV_420, _converter(cv2.COLOR_YUV2RGB_NV21)),
    }
    | {f"{name}8": Encoding(PixelLayout(least_side=LEAST_MOSAIC), convert) for name, convert in DEMOSAIC.items()}
    | {
        f"{name}16": Encoding(PixelLayout(dtype=np.uint16, least_side=LEAST_MOSAIC), _from_16_bit(convert))
        for name, convert in DEMOSAIC.items()
    }
)
"""Every encoding that can be read, by name."""
