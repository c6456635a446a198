"""ROS depth images to metres, as REP 118 defines them: 32FC1 is metres, 16UC1 millimetres, and 0 or NaN unknown.

Sizes are checked as for colour images (`pixel_layout.py`); nothing here needs rclpy.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from saom_ros.errors import ImageError
from saom_ros.nodes.pixel_layout import PixelLayout, check_layout, view_values

if TYPE_CHECKING:
    from sensor_msgs.msg import Image

_MILLIMETRES = PixelLayout(dtype=np.uint16)
_LAYOUTS = {"32FC1": PixelLayout(dtype=np.float32), "16UC1": _MILLIMETRES, "mono16": _MILLIMETRES}

DEPTH_ENCODINGS = tuple(_LAYOUTS)
"""Encodings that `depth_from_message` reads. REP 118 has the first two; older drivers say mono16 and mean 16UC1."""


def check_depth(message: Image) -> None:
    """Raise `ImageError` when `depth_from_message` could not read the message. Touches no pixel: costs microseconds."""
    layout = _LAYOUTS.get(message.encoding)
    if layout is None:
        raise ImageError(
            f"depth encoding {message.encoding[:40]!r} is not supported; REP 118 allows 32FC1 (metres) and 16UC1 "
            "(millimetres; also read from mono16): connect the topic of a raw depth image"
        )
    check_layout(message, layout, "depth image")


def depth_from_message(message: Image) -> NDArray[np.float32]:
    """Depth along the optical axis in metres, float32 (H, W), above 0 and finite; NaN where the camera knows none.

    0, negative, infinite and NaN are unknown. The array is a copy. Raises `ImageError` for an encoding that is not in
    `DEPTH_ENCODINGS` and for sizes that contradict each other.
    """
    check_depth(message)
    values = view_values(message, _LAYOUTS[message.encoding])[:, :, 0]
    depth = values.astype(np.float32)
    if values.dtype.kind == "u":
        depth /= 1000.0
    depth[~((depth > 0.0) & (depth < np.inf))] = np.nan
    return depth
