"""Object points as `sensor_msgs/PointCloud2`: fields x y z rgb label, unorganised, no invalid points.

Like images, the data is written with `array.frombytes`; nothing here needs rclpy.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from saom_ros.clouds import POINT

if TYPE_CHECKING:
    from sensor_msgs.msg import PointCloud2

DATATYPES = {np.dtype(np.uint32): 6, np.dtype(np.float32): 7}
"""`UINT32` and `FLOAT32` of sensor_msgs/PointField."""

FIELDS = tuple((name, field[1], DATATYPES[field[0]]) for name, field in (POINT.fields or {}).items())
"""Name, offset in bytes and PointField datatype of each field."""


def fill_cloud(message: PointCloud2, points: NDArray[np.void], header: Any, point_field: type) -> PointCloud2:
    """Put points and a header into an empty message and return it.

    `points` is `POINT` `(N,)`, N may be 0. The header is taken over as it is, so that stamp and frame equal those of
    the image. `point_field` is the class `sensor_msgs.msg.PointField`.
    """
    if points.dtype != POINT:
        raise TypeError(f"a cloud needs points of dtype {POINT}, got {points.dtype}")
    message.header = header
    message.height, message.width = 1, len(points)
    message.fields = [
        point_field(name=name, offset=offset, datatype=datatype, count=1) for name, offset, datatype in FIELDS
    ]
    message.is_bigendian = sys.byteorder == "big"
    message.point_step = POINT.itemsize
    message.row_step = POINT.itemsize * len(points)
    message.is_dense = True
    message.data.frombytes(np.ascontiguousarray(points).view(np.uint8).data)
    return message
