"""Points of other frames, against stand-ins with the names and signatures of tf2_ros and tf2_geometry_msgs.

The ROS wheels hold neither package, so the real ones cannot be used here; the stand-ins were written after
`tf2_ros_py` (Buffer.transform, Buffer.clear, TransformListener.unregister, TransformException) of Humble to Kilted.
"""

import sys
from types import ModuleType, SimpleNamespace
from typing import ClassVar

import pytest

from saom_ros.errors import SaomError
from saom_ros.nodes.transforms import PointTransforms, TransformNotYetError


class TransformException(Exception):  # noqa: N818 the name in tf2
    pass


class Buffer:
    """Knows the offsets of some frames, once somebody listens."""

    def __init__(self, cache_time=None, node=None):
        self.offsets = {}

    def transform(self, object_stamped, target_frame, timeout=None, new_type=None):
        if "tf2_geometry_msgs" not in sys.modules:
            raise TypeError("Type PointStamped is not loaded or supported")
        source = object_stamped.header.frame_id
        if (source, target_frame) not in self.offsets:
            raise TransformException(f'"{source}" passed to lookupTransform argument source_frame does not exist.')
        moved = [
            getattr(object_stamped.point, axis) + offset
            for axis, offset in zip("xyz", self.offsets[source, target_frame], strict=True)
        ]
        return point(target_frame, *moved)

    def clear(self):
        self.offsets.clear()


class TransformListener:
    active: ClassVar[list] = []

    def __init__(self, buffer, node, *, spin_thread=False, qos=None, static_qos=None):
        self.buffer, self.node = buffer, node
        self.active.append(self)

    def unregister(self):
        self.active.remove(self)


def point(frame, x, y, z):
    return SimpleNamespace(header=SimpleNamespace(frame_id=frame), point=SimpleNamespace(x=x, y=y, z=z))


@pytest.fixture
def listeners(monkeypatch):
    """tf2 is installed; the list of those who listen to /tf."""
    tf2 = ModuleType("tf2_ros")
    tf2.Buffer, tf2.TransformListener, tf2.TransformException = Buffer, TransformListener, TransformException
    monkeypatch.setitem(sys.modules, "tf2_ros", tf2)
    monkeypatch.setitem(sys.modules, "tf2_geometry_msgs", ModuleType("tf2_geometry_msgs"))
    monkeypatch.setattr(TransformListener, "active", [])
    return TransformListener.active


@pytest.fixture
def no_tf2(monkeypatch):
    monkeypatch.setitem(sys.modules, "tf2_ros", None)  # makes the import fail, also where it is installed
    monkeypatch.setenv("ROS_DISTRO", "jazzy")


def heard(listeners, source, target, offset):
    listeners[0].buffer.offsets[source, target] = offset


def test_a_point_of_the_same_frame_needs_no_tf2(no_tf2):
    assert PointTransforms("node").point_in_frame(point("camera", 1.0, 2.0, 3.0), "camera") == (1.0, 2.0, 3.0)


def test_without_tf2_both_frames_are_named_and_what_to_install(no_tf2):
    message = r"in frame 'base', the image in 'camera', .*ros-jazzy-tf2-ros-py ros-jazzy-tf2-geometry-msgs"
    with pytest.raises(SaomError, match=message) as refusal:
        PointTransforms("node").point_in_frame(point("base", 1.0, 2.0, 3.0), "camera")
    assert not isinstance(refusal.value, TransformNotYetError), "waiting would not help"


def test_without_tf2_geometry_msgs_it_is_refused_too(listeners, monkeypatch):
    monkeypatch.setitem(sys.modules, "tf2_geometry_msgs", None)
    with pytest.raises(SaomError, match="tf2-geometry-msgs"):
        PointTransforms("node").point_in_frame(point("base", 1.0, 2.0, 3.0), "camera")
    assert listeners == []


@pytest.mark.parametrize(("source", "target"), [("", "camera"), ("base", ""), ("", "")])
def test_a_point_or_image_without_a_frame_is_refused(no_tf2, source, target):
    with pytest.raises(SaomError, match="both need a frame_id"):
        PointTransforms("node").point_in_frame(point(source, 1.0, 2.0, 3.0), target)


def test_a_point_of_another_frame_is_transformed_once_the_transform_is_known(listeners):
    transforms = PointTransforms("node")
    with pytest.raises(TransformNotYetError, match=r"from frame 'base' into the image's frame 'camera'.*tf2_echo"):
        transforms.point_in_frame(point("base", 1.0, 2.0, 3.0), "camera")
    heard(listeners, "base", "camera", (10.0, 20.0, 30.0))
    assert transforms.point_in_frame(point("base", 1.0, 2.0, 3.0), "camera") == (11.0, 22.0, 33.0)


def test_whatever_else_tf2_raises_is_a_reason_and_no_crash(listeners, monkeypatch):
    def transform(*_):
        raise ValueError("Seconds value must not be negative")

    monkeypatch.setattr(Buffer, "transform", transform)
    with pytest.raises(SaomError, match=r"from frame 'base' into 'camera': ValueError: Seconds value") as refusal:
        PointTransforms("node").point_in_frame(point("base", 1.0, 2.0, 3.0), "camera")
    assert not isinstance(refusal.value, TransformNotYetError), "waiting would not help"


def test_tf_is_listened_to_only_when_needed_once_and_until_closed(listeners):
    transforms = PointTransforms("the node")
    transforms.point_in_frame(point("camera", 1.0, 2.0, 3.0), "camera")
    assert listeners == []
    for _ in range(2):
        with pytest.raises(TransformNotYetError):
            transforms.point_in_frame(point("base", 1.0, 2.0, 3.0), "camera")
    assert [listener.node for listener in listeners] == ["the node"]
    transforms.close()
    transforms.close()
    assert listeners == []
    with pytest.raises(TransformNotYetError):
        transforms.point_in_frame(point("base", 1.0, 2.0, 3.0), "camera")
    assert len(listeners) == 1


def test_transforms_are_forgotten_when_time_jumps(listeners):
    transforms = PointTransforms("node")
    transforms.clear()
    with pytest.raises(TransformNotYetError):
        transforms.point_in_frame(point("base", 1.0, 2.0, 3.0), "camera")
    heard(listeners, "base", "camera", (10.0, 20.0, 30.0))
    transforms.clear()
    with pytest.raises(TransformNotYetError):
        transforms.point_in_frame(point("base", 1.0, 2.0, 3.0), "camera")
