"""PointCloud2 messages: read back by a reader that knows only the message's own description of itself."""

import struct
from array import array
from types import SimpleNamespace

import numpy as np
import pytest

from saom_ros.clouds import POINT, Intrinsics, object_points
from saom_ros.nodes.point_clouds import fill_cloud

FORMATS = {6: "I", 7: "f"}
"""PointField datatype -> struct format: UINT32, FLOAT32."""


def empty_message():
    return SimpleNamespace(data=array("B"))


def read(message) -> list[dict]:
    """The points of a message, field by field with the standard library, as its description says."""
    order, points, data = "<>"[message.is_bigendian], [], message.data.tobytes()
    for start in range(0, len(data), message.point_step):
        values = {
            f.name: struct.unpack_from(order + FORMATS[f.datatype], data, start + f.offset) for f in message.fields
        }
        points.append({name: value[0] for name, value in values.items()})
    return points


def points_of(count: int) -> np.ndarray:
    depth = np.linspace(1, 2, count, dtype=np.float32)[None]
    labels = np.arange(1, count + 1, dtype=np.uint16)[None]
    return object_points(depth, labels, np.full((1, count, 3), (1, 2, 3), np.uint8), Intrinsics(10.0, 10.0, 0.0, 0.0))


def test_what_is_written_reads_back_the_same():
    points = points_of(3)
    message = fill_cloud(empty_message(), points, "the header", SimpleNamespace)
    assert message.header == "the header"
    assert (message.height, message.width, message.is_dense) == (1, 3, True)
    assert message.row_step == len(message.data) == 3 * message.point_step
    found = read(message)
    assert list(found[0]) == ["x", "y", "z", "rgb", "label"]
    assert [tuple(point.values()) for point in found] == points.tolist()
    assert all(field.count == 1 for field in message.fields)


def test_no_point_is_a_valid_cloud():
    message = fill_cloud(empty_message(), np.empty(0, POINT), "h", SimpleNamespace)
    assert (message.height, message.width, message.row_step, len(message.data)) == (1, 0, 0, 0)
    assert [field.offset for field in message.fields] == [0, 4, 8, 12, 16]


def test_every_other_point_is_written_point_by_point():
    message = fill_cloud(empty_message(), points_of(4)[::2], "h", SimpleNamespace)
    assert [point["label"] for point in read(message)] == [1, 3]


def test_other_points_are_a_defect():
    with pytest.raises(TypeError, match="got float64"):
        fill_cloud(empty_message(), np.zeros((3, 3)), "h", SimpleNamespace)


def test_the_real_message_takes_it():
    messages = pytest.importorskip("sensor_msgs.msg")
    header = pytest.importorskip("std_msgs.msg").Header(frame_id="camera")
    message = fill_cloud(messages.PointCloud2(), points_of(2), header, messages.PointField)
    assert message.header.frame_id == "camera"
    assert [field.datatype for field in message.fields] == [messages.PointField.FLOAT32] * 4 + [
        messages.PointField.UINT32
    ]
    assert [point["label"] for point in read(message)] == [1, 2]
