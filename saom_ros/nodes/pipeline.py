"""What the worker's thread does for one camera: an image becomes messages, a segmented image and its depth a cloud.

Nothing is computed that nobody asked for. All state of a camera that outlives a frame lies here: the tracker, which
gives objects lasting ids, and the target that somebody asked for.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

import numpy as np
from sensor_msgs.msg import CameraInfo, CompressedImage, Image, PointCloud2, PointField

from saom_ros.clouds import Intrinsics, object_points
from saom_ros.errors import ImageError, SaomError
from saom_ros.instances import Instances
from saom_ros.nodes import detections, images, registration
from saom_ros.nodes.compressed_images import rgb_from_compressed
from saom_ros.nodes.depth_images import depth_from_message
from saom_ros.nodes.pairing import stamp_of
from saom_ros.nodes.parameters import SegmentParameters
from saom_ros.nodes.point_clouds import fill_cloud
from saom_ros.overlay import draw_overlay
from saom_ros.segmenter import Segmenter
from saom_ros.targets import Target
from saom_ros.tracker import Tracker

MASK, OVERLAY, DETECTIONS = "instance_mask", "overlay", "detections"
TARGET_MASK, POINTS = "target_mask", "points"


@dataclass(frozen=True)
class Scene:
    """A segmented image that waits for its depth."""

    header: Any
    rgb: np.ndarray
    instances: Instances
    intrinsics: Intrinsics


@dataclass(frozen=True)
class Frame:
    """An image on its way to the worker."""

    number: int
    """Counts the images of its camera."""
    message: Image | CompressedImage
    wanted: frozenset[str]
    """Results that somebody subscribed to, or waits for, when it came."""
    camera_info: CameraInfo | None
    """The latest; None: none has come."""


@dataclass(frozen=True)
class Segmented:
    """What is known of an image once it is segmented."""

    number: int
    objects: int
    inference: float
    """Seconds in the model, from RGB pixels to painted instances."""
    work: float
    """Seconds of the worker in all: also decoding, tracking and making messages."""
    scene: Scene | None
    """Where a cloud is wanted and can be made."""
    no_cloud: str
    """Why a cloud that is wanted cannot be made; or empty."""


@dataclass(frozen=True)
class Result:
    """What the worker hands back for one frame or cloud."""

    header: Any
    messages: dict[str, Any] = field(default_factory=dict)
    """By name of the result."""
    segmented: Segmented | None = None
    """None for a cloud, and where there was a problem."""
    problem: str = ""
    """Why there are no messages."""


class Pipeline:
    """Segments the images of one camera. For one thread; asking the target for something may come from another."""

    def __init__(self, vision: ModuleType | None) -> None:
        """`vision`: the module `vision_msgs.msg`, where it is installed."""
        self.target = Target()
        self.ids_reset = ""
        """Why the ids last began anew; empty: never."""
        self._tracker = Tracker()
        self._vision = vision

    def segment(self, frame: Frame, segmenter: Segmenter, settings: SegmentParameters) -> Result:
        """From an image message to the messages of its results."""
        header = frame.message.header
        segmenter.thresholds = settings.thresholds(segmenter.config.thresholds)
        segmenter.min_area = settings.min_area
        start = time.perf_counter()
        rgb = _rgb(frame.message)
        before = time.perf_counter()
        instances = segmenter(rgb)
        inference = time.perf_counter() - before
        stamp = stamp_of(header)
        if settings.track:
            instances = self._tracker.update(instances, stamp)
            self.ids_reset = self._tracker.reset_reason or self.ids_reset
        elif self.target.state.object_id:
            self.target.refuse("tracking was switched off, so ids no longer stay with their objects")
        intrinsics, reason = _intrinsics(frame.camera_info, rgb.shape, header.frame_id)
        self.target.update(instances, stamp, intrinsics)
        make = self._makers(segmenter, rgb, instances, header)
        messages = {name: make[name]() for name in frame.wanted if name in make}
        cloud = POINTS in frame.wanted
        scene = Scene(header, rgb, instances, intrinsics) if cloud and intrinsics else None
        work = time.perf_counter() - start
        segmented = Segmented(frame.number, len(instances), inference, work, scene, reason if cloud else "")
        return Result(header, messages, segmented)

    def _makers(
        self, segmenter: Segmenter, rgb: np.ndarray, instances: Instances, header: Any
    ) -> dict[str, Callable[[], Any]]:
        """How each result's message is made from a segmented image."""
        classes = segmenter.config.classes

        def overlay() -> Image:
            drawn = images.encode_rgb(draw_overlay(rgb, instances, classes), "bgr8")
            return images.fill_message(Image(), drawn, "bgr8", header)

        makers: dict[str, Callable[[], Any]] = {
            MASK: lambda: images.fill_message(Image(), instances.label_map, "mono16", header),
            TARGET_MASK: lambda: images.fill_message(Image(), self.target.mask(instances), "mono8", header),
            OVERLAY: overlay,
        }
        vision = self._vision
        if vision is not None:
            makers[DETECTIONS] = lambda: detections.detections_message(vision, instances, classes, header)
        return makers


def make_cloud(scene: Scene, depth: Image, stride: int) -> Result:
    """The cloud of a segmented image and the depth that belongs to it."""
    meters = depth_from_message(depth)
    points = object_points(meters, scene.instances.label_map, scene.rgb, scene.intrinsics, stride)
    return Result(scene.header, {POINTS: fill_cloud(PointCloud2(), points, scene.header, PointField)})


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


def _rgb(message: Image | CompressedImage) -> np.ndarray:
    if isinstance(message, CompressedImage):
        return rgb_from_compressed(message)
    return images.rgb_from_message(message)
