"""The ROS side of one camera: what comes in, what goes out, who waits, and what is counted.

All but `Job.result` runs in the executor's thread and costs little; frames go to the worker through `submit`, which
publishes what it makes of them, and come back through `finish`. A node has one `Camera` for each name in its parameter
`cameras`, all with one model.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from types import ModuleType
from typing import Any

from geometry_msgs.msg import PointStamped
from rclpy.lifecycle import LifecycleNode
from rclpy.task import Future
from sensor_msgs.msg import CameraInfo, CompressedImage, Image, PointCloud2, PointField

from saom_ros.errors import ImageError, SaomError
from saom_ros.nodes import diagnostics, registration
from saom_ros.nodes.depth_images import check_depth
from saom_ros.nodes.frames import FrameStatistics, RateLimit
from saom_ros.nodes.notes import Notes
from saom_ros.nodes.pairing import Pair, Pairing
from saom_ros.nodes.parameters import COMPRESSED, ON_DEMAND, SegmentParameters
from saom_ros.nodes.pipeline import (
    DETECTIONS,
    MASK,
    OVERLAY,
    POINTS,
    TARGET_MASK,
    Frame,
    Messages,
    Pipeline,
    Result,
    Scene,
    pixel_reader,
    problem_of,
)
from saom_ros.nodes.stamps import WENT_BACK, StampWatch, age_of, stamp_of
from saom_ros.nodes.topics import Topics, newest, results
from saom_ros.nodes.transforms import WAIT_SECONDS, PointTransforms, TransformNotYetError
from saom_ros.nodes.triggers import Triggers
from saom_ros.segmenter import Segmenter


@dataclass(frozen=True)
class Job:
    """Work of one camera for the worker's thread."""

    camera: Camera
    run: Callable[[Segmenter, SegmentParameters], Result]
    image: int | None
    """Number of the image that is segmented; None for a cloud."""
    came: float
    """When its message came, on the clock of `time.perf_counter`."""

    def result(self, segmenter: Segmenter, settings: SegmentParameters, free_since: float) -> Result:
        """Worker thread: do it and publish the messages; an exception becomes a problem.

        `free_since`: when the worker was done with the job before. Its time is not this job's.
        """
        try:
            result = self.run(segmenter, settings)
            # From this thread, as rclpy allows: waking the executor for it would cost a millisecond.
            for name, message in result.messages.items():
                self.camera.publishers[name].publish(message)
        except Exception as error:
            what = "frame could not be segmented" if self.image is not None else "no cloud"
            return Result(header=None, problem=f"{what}: {problem_of(error)}")
        return replace(result, seconds=time.perf_counter() - max(self.came, free_since))


class Camera:
    """One camera of the node. `name` is empty for a node with a single one."""

    def __init__(
        self,
        node: LifecycleNode,
        name: str,
        settings: Callable[[], SegmentParameters],
        submit: Callable[[Any, Job], bool],
        vision: ModuleType | None,
    ) -> None:
        """Create the result topics. `submit` hands a job to the worker under a key whose newest job counts."""
        self.name = name
        self.pipeline = Pipeline(Messages(Image, PointCloud2, PointField, vision))
        self.triggers = Triggers()
        self._node, self._settings, self._submit = node, settings, submit
        self._prefix = f"{name}/" if name else ""
        self._input_notes = Notes(node.get_logger().warning)
        self._subscriber_notes = Notes(node.get_logger().warning)
        self._topics = Topics(node, self._subscriber_notes, self._input_notes)
        self._transforms = PointTransforms(node)
        self._pairing: Pairing[Scene, Image] = Pairing(settings().sync_tolerance)
        self._subscriptions: list[Any] = []
        self._depth: Any = None
        self._info: CameraInfo | None = None
        self._frame_id = ""
        self._asked_point: tuple[PointStamped, float] | None = None
        self._number = 0
        self._stamps = StampWatch()
        self._start_counting()
        types: dict[str, Any] = {MASK: Image, TARGET_MASK: Image, OVERLAY: Image, POINTS: PointCloud2}
        if vision is not None:
            types[DETECTIONS] = vision.Detection2DArray
        self.publishers = {
            name: self._topics.publisher(kind, f"~/{self._prefix}{name}", results()) for name, kind in types.items()
        }

    def activate(self) -> None:
        """Subscribe to the camera and to requests."""
        self._start_counting()
        compressed = self._settings().image_transport == COMPRESSED
        self.topic = self._node.resolve_topic_name(f"{self._prefix}image") + ("/compressed" if compressed else "")
        subscribe = self._topics.subscription
        self._subscriptions = [
            subscribe(CompressedImage if compressed else Image, self.topic, self._on_image, newest()),
            subscribe(CameraInfo, f"{self._prefix}camera_info", self._on_camera_info, newest()),
            subscribe(PointStamped, f"{self._prefix}target_pixel", self._on_target_pixel, results()),
            subscribe(PointStamped, f"{self._prefix}target_point", self._on_target_point, results()),
        ]

    def deactivate(self) -> None:
        """Release all subscriptions and answer who waits."""
        for subscription in self._subscriptions:
            self._node.destroy_subscription(subscription)
        self._subscriptions = []
        self._listen_to_depth(False)
        self._pairing.clear()
        self._transforms.close()
        # Another camera, or this one elsewhere, may be there when the node is activated again.
        self._asked_point, self._info, self._frame_id = None, None, ""
        self._stamps = StampWatch()
        self._input_notes.clear()
        self.triggers.refuse("the node was deactivated")

    def destroy(self) -> None:
        """Give up the result topics."""
        for publisher in self.publishers.values():
            self._node.destroy_lifecycle_publisher(publisher)
        self.publishers = {}

    def trigger(self) -> Future:
        """A Future of the answer to one call of `~/trigger`."""
        return self.triggers.ask(time.monotonic() + self._settings().trigger_timeout)

    def finish(self, result: Result, image: int | None) -> None:
        """Note what the worker made and published of an image, or of a scene and its depth (`image` None)."""
        if result.problem:
            if image is not None:
                self._reject(result.problem)
                self.triggers.fail(image, result.problem)
            else:
                self._complain(result.problem)
            return
        segmented = result.segmented
        if segmented is None:
            return
        overhead = result.seconds - segmented.inference
        age = age_of(stamp_of(result.header), self._now())
        self._counts.finished(time.monotonic(), segmented.inference, overhead, age)
        stamp = result.header.stamp
        self.triggers.finish(
            segmented.number,
            f"stamp {stamp.sec}.{stamp.nanosec:09d}: {segmented.objects} objects in {result.seconds * 1e3:.0f} ms",
        )
        if segmented.no_cloud:
            self._complain(f"no cloud: {segmented.no_cloud}")
        if segmented.scene is not None:
            self._make_cloud(self._pairing.add_image(stamp_of(result.header), segmented.scene))

    def check_waiting(self) -> None:
        """Every now and then: give up on callers whose time is over, follow demand, explain what does not pair."""
        now = time.monotonic()
        if self.triggers.waiting:
            seconds = self._settings().trigger_timeout
            self.triggers.expire(now, f"no image of {self.topic} was segmented within {seconds:g} s")
        wanted = self._wants(POINTS)
        self._listen_to_depth(wanted)
        if wanted and (unpaired := self._pairing.unpaired(now)) is not None:
            self._node.get_logger().warning(str(unpaired))
            self._problem, self._problem_time = str(unpaired), now

    def health(self, of_node: diagnostics.Health) -> diagnostics.Health:
        """A snapshot, on top of what all cameras of the node share."""
        now = time.monotonic()
        return replace(
            of_node,
            counts=self._counts,
            unpaired=self._pairing.replaced,
            recent=self._counts.recent(now),
            wanted=self._wants(*self.publishers),
            on_demand=self._settings().mode == ON_DEMAND,
            topic=self.topic,
            publishers=self._node.count_publishers(self.topic) if self.topic else 0,
            quiet=now - self._last_image,
            problem=self._problem,
            problem_age=now - self._problem_time,
            target=str(self.pipeline.target.state),
            ids_reset=self.pipeline.ids_reset,
            notes=(*of_node.notes, *self._subscriber_notes.lines, *self._input_notes.lines),
        )

    # What comes in

    def _on_image(self, message: Image | CompressedImage) -> None:
        """Check the image and leave it to the worker, if anybody wants to know."""
        now, came = time.monotonic(), time.perf_counter()
        self._last_image = now
        self._number += 1
        self._counts.count("received")
        try:
            read = pixel_reader(message)
        except ImageError as error:
            self._reject(str(error))
            self.triggers.note(str(error))
            return
        self._look_at_time(message.header)
        self._frame_id = message.header.frame_id
        if self._asked_point is not None:
            self._ask_target_point()
        wanted = self._wanted_now(now)
        if wanted:
            self.triggers.take(self._number)
            frame = Frame(self._number, message.header, read, wanted, self._info)
            job = Job(self, lambda model, settings: self.pipeline.segment(frame, model, settings), self._number, came)
            if self._submit(("image", self.name), job):
                self._counts.count("dropped")

    def _wanted_now(self, now: float) -> frozenset[str]:
        """Results to make of the image that came now; none: it is not segmented. Counts why."""
        settings = self._settings()
        subscribed = frozenset(name for name in self.publishers if self._wants(name))
        if self.triggers.wanting:
            return subscribed | {MASK}
        if settings.mode == ON_DEMAND or not subscribed:
            self._counts.count("unwanted")
        elif not self._rate_limit.allows(now, settings.max_rate):
            self._counts.count("skipped")
        else:
            return subscribed
        return frozenset()

    def _wants(self, *names: str) -> bool:
        return any(self.publishers[name].get_subscription_count() > 0 for name in names)

    def _on_camera_info(self, message: CameraInfo) -> None:
        self._info = message
        if note := registration.distortion_note(message):
            self._input_notes.add("distortion", note)

    def _on_depth(self, message: Image) -> None:
        try:
            check_depth(message)
        except ImageError as error:
            self._complain(f"no cloud: {error}")
            return
        self._pairing.tolerance = self._settings().sync_tolerance
        self._make_cloud(self._pairing.add_depth(stamp_of(message.header), message))

    def _on_target_pixel(self, message: PointStamped) -> None:
        if self._can_follow():
            self._asked_point = None
            self.pipeline.target.ask_pixel(message.point.x, message.point.y)

    def _on_target_point(self, message: PointStamped) -> None:
        if self._can_follow():
            self._asked_point = (message, time.monotonic())

    def _can_follow(self) -> bool:
        if not self._settings().track:
            self.pipeline.target.refuse("a target is followed by its id: set the parameter track to true")
        return self._settings().track

    def _ask_target_point(self) -> None:
        """Bring the point into the frame of the image that came just now, and ask for the object there."""
        assert self._asked_point is not None
        point, since = self._asked_point
        try:
            self.pipeline.target.ask_point(*self._transforms.point_in_frame(point, self._frame_id))
        except TransformNotYetError as error:
            if time.monotonic() - since < WAIT_SECONDS:
                return
            self.pipeline.target.refuse(str(error))
        except SaomError as error:
            self.pipeline.target.refuse(str(error))
        self._asked_point = None

    def _make_cloud(self, pair: Pair[Scene, Image] | None) -> None:
        if pair is None:
            return
        make = self.pipeline.make_cloud
        run = lambda _, settings: make(pair.image, pair.depth, settings.points_stride)  # noqa: E731
        if self._submit(("cloud", self.name), Job(self, run, None, time.perf_counter())):
            self._counts.count("missed_clouds")

    def _listen_to_depth(self, wanted: bool) -> None:
        """Depth images cost a Python node much: they are received only while somebody wants clouds."""
        if wanted and self._depth is None and self._subscriptions:
            self._depth = self._topics.subscription(Image, f"{self._prefix}depth", self._on_depth, newest(5))
        elif not wanted and self._depth is not None:
            self._node.destroy_subscription(self._depth)
            self._depth = None
            self._pairing.clear()

    # What is said

    def _reject(self, problem: str) -> None:
        self._counts.count("rejected")
        self._complain(problem)

    def _complain(self, problem: str) -> None:
        self._problem, self._problem_time = problem, time.monotonic()
        self._node.get_logger().error(problem, throttle_duration_sec=5.0)

    def _look_at_time(self, header: Any) -> None:
        """Say once what is odd about the stamps."""
        oddities = self._stamps.oddities(stamp_of(header), self._now(), self.topic)
        for subject, line in oddities.items():
            self._input_notes.add(subject, line)
        if WENT_BACK in oddities:
            self._transforms.clear()

    def _now(self) -> int:
        """The node's time in ns: simulated time where asked for."""
        return int(self._node.get_clock().now().nanoseconds)

    def _start_counting(self) -> None:
        self._counts = FrameStatistics()
        self._rate_limit = RateLimit()
        self._last_image = time.monotonic()
        self._problem, self._problem_time = "", 0.0
        self.topic = ""
