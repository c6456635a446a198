"""Whether depth and camera_info describe the same picture as the image, and the intrinsics of that picture.

Everything that makes a cloud wrong without a word is refused here: other frames, other sizes, cameras without
calibration. Nothing needs rclpy: the functions take any object with the fields of the message.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from saom_ros.clouds import REGISTRATION_MEND, Intrinsics
from saom_ros.errors import ImageError

if TYPE_CHECKING:
    from sensor_msgs.msg import CameraInfo, Image


def check_registered(depth: Image, width: int, height: int, frame_id: str) -> None:
    """Raise `ImageError` unless a depth image has the size (px) and the frame of the image. Touches no pixel."""
    if (depth.width, depth.height) != (width, height):
        raise ImageError(
            f"depth is {depth.width}x{depth.height}, the image {width}x{height} pixels; {REGISTRATION_MEND}"
        )
    if depth.header.frame_id != frame_id:
        raise ImageError(
            f"depth is in frame {depth.header.frame_id[:80]!r}, the image in {frame_id[:80]!r}, so their pixels do not "
            f"show the same points; {REGISTRATION_MEND}"
        )


def intrinsics_from_message(info: CameraInfo, width: int, height: int, frame_id: str) -> Intrinsics:
    """Intrinsics of an image of that size (px) and frame, taken to be rectified.

    As in image_geometry, the left part of P counts, or K where P is not filled; the region of interest is taken off
    first, then binning divides. The fourth column of P (the baseline of a stereo pair) is left out: points are in the
    image's own frame. `distortion_note` tells when a raw image would differ.

    Raises `ImageError` for an uncalibrated camera, and for a camera_info of another frame or size.
    """
    if info.header.frame_id != frame_id:
        raise ImageError(
            f"camera_info is of frame {info.header.frame_id[:80]!r}, the image of {frame_id[:80]!r}; remap "
            "'camera_info' to the one beside the image topic"
        )
    if info.k[0] == 0.0:  # the message's own mark
        raise ImageError(
            "camera_info says that the camera is not calibrated (K is zero); calibrate it (camera_calibration) and "
            "give its driver the file (camera_info_url)"
        )
    _check_extent(info, width, height)
    matrix, columns = (info.p, 4) if info.p[0] != 0.0 else (info.k, 3)
    fx, fy, cx, cy = matrix[0], matrix[columns + 1], matrix[2], matrix[columns + 2]
    if not (all(math.isfinite(value) for value in (fx, fy, cx, cy)) and fx > 0.0 and fy > 0.0):
        raise ImageError(
            f"camera_info has fx {fx:g}, fy {fy:g}, cx {cx:g}, cy {cy:g}; focal lengths must be above 0, and "
            "all four finite: calibrate the camera again"
        )
    bin_x, bin_y = _binning(info)
    return Intrinsics(
        fx=fx / bin_x, fy=fy / bin_y, cx=(cx - info.roi.x_offset) / bin_x, cy=(cy - info.roi.y_offset) / bin_y
    )


def distortion_note(info: CameraInfo) -> str:
    """What to say once about a camera whose raw image is distorted; empty where it is not."""
    if not _distorted(info.d):
        return ""
    return (
        f"camera_info of frame {info.header.frame_id[:80]!r} has lens distortion: points and targets in 3D are exact "
        "for the rectified image (image_rect from image_proc) and depth registered to it, not for the raw image"
    )


def _check_extent(info: CameraInfo, width: int, height: int) -> None:
    bin_x, bin_y = _binning(info)
    region = info.roi
    if region.do_rectify and _distorted(info.d):
        raise ImageError(
            "camera_info asks for a rectified region of interest (roi.do_rectify), whose place is not in the message; "
            "use the whole image"
        )
    # All zero stands for the full resolution.
    full_width, full_height = region.width or info.width, region.height or info.height
    if (full_width // bin_x, full_height // bin_y) != (width, height):
        raise ImageError(
            f"camera_info is for {full_width // bin_x}x{full_height // bin_y} pixels, the image is {width}x{height}; "
            "remap 'camera_info' to the one beside the image topic (resized images have one of their own)"
        )


def _binning(info: CameraInfo) -> tuple[int, int]:
    """Sensor pixels per image pixel in x and y; 0 in the message means 1."""
    return max(info.binning_x, 1), max(info.binning_y, 1)


def _distorted(coefficients: Sequence[float]) -> bool:
    return any(value != 0.0 for value in coefficients)
