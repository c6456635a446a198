"""What becomes of one camera's images, in the node and in `saom bag`: messages, and a cloud where depth belongs to one.

Nothing is computed that nobody asked for. All state of a camera that outlives a frame lies here: the tracker, which
gives objects lasting ids, and the target that somebody asked for. Neither ROS nor rclpy is needed: who calls brings the
classes of the messages.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from saom_ros.clouds import Intrinsics, object_points
from saom_ros.errors import ImageError, SaomError
from saom_ros.instances import Instances
from saom_ros.nodes import detections, images, registration
from saom_ros.nodes.compressed_images import compressed_reader
from saom_ros.nodes.depth_images import depth_from_message
from saom_ros.nodes.parameters import ON_DEMAND, SegmentParameters
from saom_ros.nodes.point_clouds import fill_cloud
from saom_ros.nodes.stamps import stamp_of
from saom_ros.overlay import draw_overlay
from saom_ros.segmenter import Segmenter
from saom_ros.targets import Target

if TYPE_CHECKING:
    from sensor_msgs.msg import CameraInfo, CompressedImage, Image

MASK, OVERLAY, DETECTIONS = "instance_mask", "overlay", "detections"
TARGET_MASK, POINTS = "target_mask", "points"


@dataclass(frozen=True)
class Messages:
    """Makers of empty messages: the classes of ROS, or what stands in for them."""

    image: Callable[[], Any]
    cloud: Callable[[], Any]
    """sensor_msgs/PointCloud2."""
    point_field: Any
    """sensor_msgs/PointField; takes its fields as keywords."""
    vision: Any
    """The module `vision_msgs.msg`; None where it is not installed: no detections are made."""


@dataclass(frozen=True)
class Scene:
    """A segmented image that waits for its depth."""

    header: Any
    rgb: np.ndarray
    instances: Instances
    intrinsics: Intrinsics


@dataclass(frozen=True)
class Frame:
    """An image that shall be segmented."""

    number: int
    """Counts the images of its camera."""
    header: Any
    read: Callable[[], np.ndarray]
    """Gives its pixels, see `pixel_reader`."""
    wanted: frozenset[str]
    """Names of the results to make."""
    camera_info: CameraInfo | None
    """The latest; None: none has come."""


@dataclass(frozen=True)
class Segmented:
    """What is known of an image once it is segmented."""

    number: int
    objects: int
    inference: float
    """Seconds in the model's runtime, without preparing its input and painting its output."""
    scene: Scene | None
    """Where a cloud is wanted and can be made."""
    no_cloud: str
    """Why a cloud that is wanted cannot be made; or empty."""


@dataclass(frozen=True)
class Result:
    """What is made of one frame or cloud."""

    header: Any
    messages: dict[str, Any] = field(default_factory=dict)
    """By name of the result, always in the same order."""
    segmented: Segmented | None = None
    """None for a cloud, and where there was a problem."""
    problem: str = ""
    """Why there are no messages."""
    seconds: float = 0.0
    """What it took until the messages were published."""


class Pipeline:
    """Segments the images of one camera. For one thread; asking the target for something may come from another."""

    def __init__(self, messages: Messages) -> None:
        from saom_ros.tracker import Tracker  # SciPy takes long to import; commands that track nothing do without

        self.target = Target()
        self.ids_reset = ""
        """Why the ids last began anew; empty: never."""
        self._tracker = Tracker()
        self._messages = messages

    def segment(self, frame: Frame, segmenter: Segmenter, settings: SegmentParameters) -> Result:
        """From an image to the messages of its results. Raises `ImageError` for pixels that turn out to be broken."""
        header, stamp = frame.header, stamp_of(frame.header)
        rgb = frame.read()
        instances = segmenter(rgb)
        if settings.track:
            instances = self._tracker.update(instances, stamp, asked_for=settings.mode == ON_DEMAND)
            if (lost := self.target.state.object_id) in self._tracker.begun:
                self.target.refuse(f"object {lost} is forgotten, another one has its id now; ask for it again")
            self.ids_reset = self._tracker.reset_reason or self.ids_reset
        elif self.target.state.object_id:
            self.target.refuse("tracking was switched off, so ids no longer stay with their objects")
        intrinsics, no_cloud = _intrinsics(frame.camera_info, rgb.shape, header.frame_id)
        self.target.update(instances, stamp, intrinsics)
        makers = self._makers(segmenter, rgb, instances, header)
        messages = {name: make() for name, make in makers.items() if name in frame.wanted}
        scene = None
        if POINTS not in frame.wanted:
            no_cloud = ""
        elif not stamp:  # it and a depth image without a stamp need not belong together
            no_cloud = "an image without a stamp cannot be paired with depth"
        elif intrinsics is not None:
            scene = Scene(header, rgb, instances, intrinsics)
        segmented = Segmented(frame.number, len(instances), segmenter.inference_seconds, scene, no_cloud)
        return Result(header, messages, segmented)

    def make_cloud(self, scene: Scene, depth: Image, stride: int) -> Result:
        """The cloud of a segmented image and the depth that belongs to it; `stride` in pixels. Raises `ImageError`."""
        height, width = scene.rgb.shape[:2]
        registration.check_registered(depth, width, height, scene.header.frame_id)
        meters = depth_from_message(depth)
        points = object_points(meters, scene.instances.label_map, scene.rgb, scene.intrinsics, stride)
        cloud = fill_cloud(self._messages.cloud(), points, scene.header, self._messages.point_field)
        return Result(scene.header, {POINTS: cloud})

    def _makers(
        self, segmenter: Segmenter, rgb: np.ndarray, instances: Instances, header: Any
    ) -> dict[str, Callable[[], Any]]:
        """How each result's message is made from a segmented image."""
        classes, image, vision = segmenter.config.classes, self._messages.image, self._messages.vision

        def overlay() -> Image:
            drawn = images.encode_rgb(draw_overlay(rgb, instances, classes), "bgr8")
            return images.fill_message(image(), drawn, "bgr8", header)

        makers: dict[str, Callable[[], Any]] = {
            MASK: lambda: images.fill_message(image(), instances.label_map, "mono16", header),
            TARGET_MASK: lambda: images.fill_message(image(), self.target.mask(instances), "mono8", header),
            OVERLAY: overlay,
        }
        if vision is not None:
            makers[DETECTIONS] = lambda: detections.detections_message(vision, instances, classes, header)
        return makers


def pixel_reader(message: Image | CompressedImage) -> Callable[[], np.ndarray]:
    """Check an image message, raw or compressed, and return the function that gives its pixels: uint8 RGB (H, W, 3).

    Checking costs microseconds and raises `ImageError`, and so does the function where the pixels are broken.
    """
    return images.pixel_reader(message) if hasattr(message, "encoding") else compressed_reader(message)


def problem_of(error: Exception) -> str:
    """What to say about an exception: ours speak for themselves, others by their type."""
    return str(error) if isinstance(error, SaomError) else f"{type(error).__name__}: {error}"


def _intrinsics(info: CameraInfo | None, shape: tuple[int, ...], frame_id: str) -> tuple[Intrinsics | None, str]:
    """Intrinsics of an image of that shape and frame, or None and the reason."""
    if info is None:
        return None, "no camera_info has come; check the name or remap 'camera_info'"
    try:
        return registration.intrinsics_from_message(info, shape[1], shape[0], frame_id), ""
    except ImageError as error:
        return None, str(error)
