"""Point clouds of objects: depth, label map and colours of one picture become coloured, labelled 3D points.

Pure geometry of an ideal pinhole camera in the optical frame of REP 103: x right, y down, z forward, metres; image
coordinates have their origin at the centre of the top left pixel. Nothing here needs ROS.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from saom_ros.errors import ImageError, SaomError

POINT = np.dtype([("x", "f4"), ("y", "f4"), ("z", "f4"), ("rgb", "f4"), ("label", "u4")])
"""One point, 20 bytes in the machine's byte order. `rgb` holds the bits of the integer 0x00RRGGBB, as PCL and RViz
expect: reinterpret it, never calculate with it. `label` is the object's id."""

REGISTRATION_MEND = (
    "publish depth registered to the image: align_depth.enable:=true and the aligned_depth_to_color topic (RealSense), "
    "depth_registered (OpenNI, Orbbec), or depth_image_proc's register node"
)
"""What to do about depth that does not lie on the image's pixels."""


class Intrinsics(NamedTuple):
    """Ideal pinhole camera: focal lengths and principal point in pixels of the image."""

    fx: float
    fy: float
    cx: float
    cy: float


def object_points(
    depth: NDArray[np.float32],
    label_map: NDArray[np.uint16],
    rgb: NDArray[np.uint8],
    intrinsics: Intrinsics,
    stride: int = 1,
) -> NDArray[np.void]:
    """Points of all objects, in the order of their pixels (row by row).

    Args:
        depth: float32 `(H, W)`, metres along z; NaN, infinite, 0 and negative values are invalid and give no point.
        label_map: uint16 `(H, W)`, 0 = background gives no point.
        rgb: uint8 `(H, W, 3)`.
        intrinsics: of the picture that all three show.
        stride: only the pixels of every stride-th row and column, from the first on; at least 1.

    Returns:
        `POINT` `(N,)`; empty where no object has valid depth.

    Raises:
        ImageError: depth, label map and image are not of one size.
    """
    _check_sizes(depth, label_map, rgb)
    if stride < 1:
        raise ValueError(f"stride is {stride}; the least is 1, every pixel")
    labels, distance = label_map[::stride, ::stride], depth[::stride, ::stride]
    # Comparisons with NaN are false, so two of them sort out every invalid value.
    rows, cols = np.nonzero((labels > 0) & (distance > 0) & (distance < np.inf))
    z = distance[rows, cols]
    points = np.empty(len(z), POINT)
    points["x"] = _slopes(label_map.shape[1], stride, intrinsics.cx, intrinsics.fx)[cols] * z
    points["y"] = _slopes(label_map.shape[0], stride, intrinsics.cy, intrinsics.fy)[rows] * z
    points["z"] = z
    points["rgb"] = _packed(rgb[::stride, ::stride][rows, cols])
    points["label"] = labels[rows, cols]
    return points


def project(point: tuple[float, float, float], intrinsics: Intrinsics) -> tuple[float, float]:
    """Image coordinates `(x, y)` in pixels of a point in metres in the optical frame.

    They may lie outside the image. Raises SaomError for a point that no camera can see: behind it, in its plane, or not
    finite.
    """
    x, y, z = point
    if not all(math.isfinite(value) for value in point):
        raise SaomError(f"point ({x:g}, {y:g}, {z:g}) is not finite; give three numbers in metres")
    if z <= 0.0:
        raise SaomError(
            f"point ({x:g}, {y:g}, {z:g}) m lies behind the camera; in its optical frame z points forward and must be "
            "above 0: check the point's frame_id"
        )
    return intrinsics.fx * x / z + intrinsics.cx, intrinsics.fy * y / z + intrinsics.cy


def unpacked_rgb(packed: NDArray[np.float32]) -> NDArray[np.uint8]:
    """The colours uint8 `(N, 3)` RGB in the `rgb` field float32 `(N,)` of points."""
    bits = np.ascontiguousarray(packed).view(np.uint32)
    return np.stack([bits >> 16 & 255, bits >> 8 & 255, bits & 255], axis=1).astype(np.uint8)


def _check_sizes(depth: NDArray[np.float32], label_map: NDArray[np.uint16], rgb: NDArray[np.uint8]) -> None:
    height, width = rgb.shape[:2]
    if label_map.shape != (height, width):
        raise ImageError(
            f"label map is {_size(label_map)}, the image {width}x{height} pixels; both must come from one image"
        )
    if depth.shape != (height, width):
        raise ImageError(f"depth is {_size(depth)}, the image {width}x{height} pixels; {REGISTRATION_MEND}")


def _size(image: NDArray[np.generic]) -> str:
    return "x".join(str(side) for side in reversed(image.shape[:2]))


def _slopes(pixels: int, stride: int, centre: float, focal: float) -> NDArray[np.float32]:
    """Metres to the side per metre of depth, for every stride-th pixel of a row or column."""
    return ((np.arange(0, pixels, stride) - centre) / focal).astype(np.float32)


def _packed(colors: NDArray[np.uint8]) -> NDArray[np.float32]:
    red, green, blue = colors.astype(np.uint32).T
    return (red << 16 | green << 8 | blue).view(np.float32)
