"""Points of other frames in the image's frame, through tf2 where it is installed.

tf2 for Python (`tf2_ros`, `tf2_geometry_msgs`) comes with a ROS installation, not with the ROS wheels. It is imported,
and `/tf` listened to, only once somebody gives a point of another frame: a robot's `/tf` costs a Python node much time.
"""

from __future__ import annotations

import importlib
import os
from typing import TYPE_CHECKING, Any

from saom_ros.errors import SaomError

if TYPE_CHECKING:
    from geometry_msgs.msg import PointStamped

WAIT_SECONDS = 1.0
"""For so long a point whose transform is not known yet is worth another try: static transforms come at once when
somebody begins to listen, the others with their next message."""


class TransformNotYetError(SaomError):
    """tf2 does not know the transform, or not at that time; another try soon may succeed."""


class PointTransforms:
    """Brings points into the frame of the image. For one thread, the executor's; never waits."""

    def __init__(self, node: Any) -> None:
        """`node`: the rclpy node whose executor receives `/tf`."""
        self._node = node
        self._tf2: Any = None
        self._buffer: Any = None
        self._listener: Any = None

    def point_in_frame(self, point: PointStamped, frame_id: str) -> tuple[float, float, float]:
        """x, y, z in metres of `point` in frame `frame_id`, at the time of the point's stamp (0 = the newest known).

        A point of that same frame comes back as it is, without tf2.

        Raises:
            TransformNotYetError: tf2 does not know the transform (yet).
            SaomError: the point or the image has no frame, tf2 is not installed, or it cannot cope with the point.
        """
        source = point.header.frame_id
        if source and source == frame_id:
            return point.point.x, point.point.y, point.point.z
        if not source or not frame_id:
            raise SaomError(
                f"the point's frame is {source[:80]!r}, the image's {frame_id[:80]!r}; both need a frame_id in their "
                "header"
            )
        self._listen(source, frame_id)
        try:
            moved = self._buffer.transform(point, frame_id)
        except self._tf2.TransformException as error:
            raise TransformNotYetError(
                f"cannot bring a point from frame {source[:80]!r} into the image's frame {frame_id[:80]!r}: {error}; "
                f"check with `ros2 run tf2_ros tf2_echo {frame_id[:80]} {source[:80]}`"
            ) from error
        except Exception as error:  # a library that reads what strangers send; whatever it raises must not end the node
            raise SaomError(
                f"tf2 cannot bring the point from frame {source[:80]!r} into {frame_id[:80]!r}: "
                f"{type(error).__name__}: {error}"
            ) from error
        return moved.point.x, moved.point.y, moved.point.z

    def clear(self) -> None:
        """Forget the transforms heard so far: time jumped backwards."""
        if self._buffer is not None:
            self._buffer.clear()

    def close(self) -> None:
        """Stop listening; the next point of another frame begins anew."""
        if self._listener is not None:
            self._listener.unregister()
        self._buffer = self._listener = None

    def _listen(self, source: str, target: str) -> None:
        if self._listener is not None:
            return
        try:
            self._tf2 = importlib.import_module("tf2_ros")
            importlib.import_module("tf2_geometry_msgs")  # teaches tf2_ros to transform a PointStamped
        except ImportError as error:
            distro = os.environ.get("ROS_DISTRO") or "$ROS_DISTRO"
            raise SaomError(
                f"the point is in frame {source[:80]!r}, the image in {target[:80]!r}, and tf2 for Python is not "
                f"installed ({error}): sudo apt install ros-{distro}-tf2-ros-py ros-{distro}-tf2-geometry-msgs, or "
                "give the point in the image's frame"
            ) from error
        self._buffer = self._tf2.Buffer()
        self._listener = self._tf2.TransformListener(self._buffer, self._node)
