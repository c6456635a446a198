"""The segmentation node: images in, one mono16 image of whole-object ids out, as a managed (lifecycle) node.

The executor's thread receives, checks and publishes; one worker thread segments the newest frame. The node configures
and activates itself once it spins (`autostart`); a configure that fails leaves it unconfigured and says why.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from rcl_interfaces.msg import SetParametersResult
from rclpy.clock import Clock, ClockType
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from rclpy.qos import DurabilityPolicy, HistoryPolicy, QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import Image

from saom_ros.errors import ImageError, SaomError
from saom_ros.nodes import compat, detections, diagnostics, images, parameters
from saom_ros.nodes.frames import FrameStatistics, RateLimit
from saom_ros.nodes.process import run_node
from saom_ros.nodes.worker import Worker
from saom_ros.overlay import draw_overlay
from saom_ros.segmenter import Segmenter

NEWEST = QoSProfile(depth=1, history=HistoryPolicy.KEEP_LAST, reliability=ReliabilityPolicy.BEST_EFFORT)
"""For images: no queue of old ones; best effort also matches reliable publishers."""

RESULTS = QoSProfile(
    depth=5,
    history=HistoryPolicy.KEEP_LAST,
    reliability=ReliabilityPolicy.RELIABLE,
    durability=DurabilityPolicy.VOLATILE,
)
"""For results: reliable matches every subscriber."""

MASK, OVERLAY, DETECTIONS = "instance_mask", "overlay", "detections"

STOP_SECONDS = 10.0
"""How long the end of the process waits for the frame in work."""


class Frame(NamedTuple):
    """An image on its way to the worker."""

    message: Image
    wanted: frozenset[str]
    """Results that somebody subscribed to when it came."""


class Result(NamedTuple):
    """What the worker hands back: messages by result name, or the problem that prevented them."""

    messages: dict[str, Any]
    header: Any
    inference: float
    """Seconds from pixels to instances."""
    problem: str


class SegmentNode(LifecycleNode):
    """See the README for topics, parameters and services."""

    def __init__(self) -> None:
        super().__init__("segment_node")
        compat.survive_impossible_transitions(self)
        overrides = compat.parameter_overrides(self)
        self._settings, self._wrong_settings = parameters.resolve(parameters.SegmentParameters, overrides)
        parameters.declare(self, self._settings)
        self.add_on_set_parameters_callback(self._on_set_parameters)

        self._segmenter: Segmenter | None = None
        self._worker: Worker[Frame, Result] | None = None
        self._subscription: Any = None
        self._results: dict[str, Any] = {}
        self._vision = detections.vision_messages()
        self._failure = ""
        self._notes: list[str] = []
        self._start_counting()
        for line in parameters.unknown_names(parameters.SegmentParameters, list(overrides)):
            self._note(line)
        if self._vision is None:
            self.get_logger().info("vision_msgs is not installed: ~/detections is not published")

        self._results_ready = self.create_guard_condition(self._publish_results)
        self._diagnostics = self.create_publisher(DiagnosticArray, "/diagnostics", 10)
        # Steady time: diagnostics also come while simulated time stands still.
        self.create_timer(1.0, self._publish_diagnostics, clock=Clock(clock_type=ClockType.STEADY_TIME))
        self._autostart = self.create_guard_condition(self._start_by_itself)
        if self._settings.autostart:
            self._autostart.trigger()  # runs once somebody spins the node

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Load the model and try it once; on failure say why and stay unconfigured."""
        try:
            self._segmenter = self._load()
            for name, kind in self._result_types().items():
                self._results[name] = self.create_lifecycle_publisher(
                    kind, f"~/{name}", RESULTS, event_callbacks=self._events_of(name)
                )
        except Exception as error:
            self.on_cleanup(state)
            self._fail(error)
            return TransitionCallbackReturn.FAILURE
        self._failure = ""
        config = self._segmenter.config
        self.get_logger().info(f"loaded model {config.name} {config.version} on {self._segmenter.runtime.name}")
        return TransitionCallbackReturn.SUCCESS

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Subscribe to images and start the worker."""
        self._start_counting()
        self._worker = Worker(self._segment, self._results_ready.trigger)
        self._subscription = self.create_subscription(
            Image,
            "image",
            self._on_image,
            NEWEST,
            event_callbacks=compat.SubscriptionEventCallbacks(
                incompatible_qos=lambda event: self._on_incompatible_qos("the publisher of image", event)
            ),
        )
        self.get_logger().info(f"active: images from {self._subscription.topic_name}")
        return super().on_activate(state)

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Unsubscribe and stop the worker; the model stays loaded."""
        self._stop_work()
        return super().on_deactivate(state)

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Give up the model and the result topics."""
        self._stop_work()
        for publisher in self._results.values():
            self.destroy_lifecycle_publisher(publisher)
        self._results = {}
        self._segmenter = None
        return TransitionCallbackReturn.SUCCESS

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Same as clean-up, from any state."""
        return self.on_cleanup(state)

    def on_error(self, state: LifecycleState) -> TransitionCallbackReturn:
        """An exception in a transition: back to unconfigured, where everything can be tried again."""
        return self.on_cleanup(state)

    def close(self) -> bool:
        """Stop the worker at the end of the process; returns whether it ended in time."""
        return self._stop_work(STOP_SECONDS)

    def _start_by_itself(self) -> None:
        if self.trigger_configure() == TransitionCallbackReturn.SUCCESS:
            self.trigger_activate()

    def _load(self) -> Segmenter:
        if self._wrong_settings:
            raise parameters.ParameterError("; ".join(self._wrong_settings.values()))
        wanted = self._settings
        segmenter = Segmenter.load(wanted.model or None, wanted.runtime, wanted.threads)
        # The first run allocates; a graph that cannot run shows here and not at the first frame.
        segmenter(np.zeros((segmenter.config.input.height, segmenter.config.input.width, 3), np.uint8))
        return segmenter

    def _fail(self, error: Exception) -> None:
        reason = str(error) if isinstance(error, SaomError) else f"{type(error).__name__}: {error}"
        self._failure = f"cannot configure: {reason}"
        self.get_logger().error(
            f"{self._failure}. The node stays unconfigured; mend it (parameters can be set now) and configure again"
        )

    def _stop_work(self, timeout: float | None = None) -> bool:
        if self._subscription is not None:
            self.destroy_subscription(self._subscription)
            self._subscription = None
        worker, self._worker = self._worker, None
        return worker is None or worker.stop(timeout)

    def _on_set_parameters(self, changes: Sequence[Any]) -> SetParametersResult:
        try:
            values = {change.name: change.value for change in changes}
            self._settings = parameters.changed(self._settings, values, configured=self._segmenter is not None)
        except SaomError as error:
            return SetParametersResult(successful=False, reason=str(error))
        for name in values:
            self._wrong_settings.pop(name, None)
        return SetParametersResult(successful=True)

    def _on_image(self, message: Image) -> None:
        """Executor thread: check the image and leave it to the worker, if anybody wants to know."""
        now = time.monotonic()
        self._last_image = now
        self._counts.count("received")
        try:
            images.check_image(message)
        except ImageError as error:
            self._reject(str(error))
            return
        wanted = frozenset(name for name, publisher in self._results.items() if publisher.get_subscription_count() > 0)
        if not wanted:
            self._counts.count("unwanted")
        elif not self._rate_limit.allows(now, self._settings.max_rate):
            self._counts.count("skipped")
        elif self._worker is not None and self._worker.put(Frame(message, wanted)):
            self._counts.count("dropped")

    def _segment(self, frame: Frame) -> Result:
        """Worker thread: from the image message to the messages of its results. Never raises."""
        segmenter, wanted = self._segmenter, self._settings
        header = frame.message.header
        try:
            assert segmenter is not None
            segmenter.thresholds = wanted.thresholds(segmenter.config.thresholds)
            segmenter.min_area = wanted.min_area
            start = time.perf_counter()
            rgb = images.rgb_from_message(frame.message)
            instances = segmenter(rgb)
            inference = time.perf_counter() - start
            messages: dict[str, Any] = {}
            if MASK in frame.wanted:
                messages[MASK] = images.fill_message(Image(), instances.label_map, "mono16", header)
            if OVERLAY in frame.wanted:
                overlay = images.encode_rgb(draw_overlay(rgb, instances, segmenter.config.classes), "bgr8")
                messages[OVERLAY] = images.fill_message(Image(), overlay, "bgr8", header)
            if DETECTIONS in frame.wanted and self._vision is not None:
                messages[DETECTIONS] = detections.detections_message(
                    self._vision, instances, segmenter.config.classes, header
                )
            return Result(messages, header, inference, problem="")
        except Exception as error:
            reason = str(error) if isinstance(error, SaomError) else f"{type(error).__name__}: {error}"
            return Result({}, header, 0.0, problem=f"frame could not be segmented: {reason}")

    def _publish_results(self) -> None:
        """Executor thread: publish what the worker finished."""
        for result in self._worker.results() if self._worker is not None else []:
            if result.problem:
                self._reject(result.problem)
                continue
            for name, message in result.messages.items():
                self._results[name].publish(message)
            self._counts.finished(time.monotonic(), result.inference, self._age(result.header.stamp))

    def _age(self, stamp: Any) -> float | None:
        """Seconds since the stamp by the node's clock (simulated time where asked for); None without a stamp."""
        if stamp.sec == 0 and stamp.nanosec == 0:
            return None
        # Not by rclpy's Time: it refuses negative seconds, and no camera's stamp may end the node.
        return (self.get_clock().now().nanoseconds - (stamp.sec * 10**9 + stamp.nanosec)) * 1e-9

    def _reject(self, problem: str) -> None:
        self._counts.count("rejected")
        self._problem, self._problem_time = problem, time.monotonic()
        self.get_logger().error(problem, throttle_duration_sec=5.0)

    def _start_counting(self) -> None:
        self._counts = FrameStatistics()
        self._rate_limit = RateLimit()
        self._last_image = time.monotonic()
        self._problem, self._problem_time = "", 0.0

    def _result_types(self) -> dict[str, Any]:
        types: dict[str, Any] = {MASK: Image, OVERLAY: Image}
        if self._vision is not None:
            types[DETECTIONS] = self._vision.Detection2DArray
        return types

    def _note(self, line: str) -> None:
        """Say something once, in the log and from then on in the diagnostics."""
        if line not in self._notes:
            self._notes.append(line)
            self.get_logger().warning(line)

    def _events_of(self, name: str) -> compat.PublisherEventCallbacks:
        return compat.PublisherEventCallbacks(
            incompatible_qos=lambda event: self._on_incompatible_qos(f"a subscriber of ~/{name}", event)
        )

    def _on_incompatible_qos(self, who: str, event: Any) -> None:
        self._note(f"{who} has an incompatible {compat.policy_name(event)} QoS and gets or gives nothing")

    def _health(self) -> diagnostics.Health:
        now = time.monotonic()
        segmenter = self._segmenter
        topic = self.resolve_topic_name("image")
        return diagnostics.Health(
            state=compat.lifecycle_state(self),
            model=f"{segmenter.config.name} {segmenter.config.version}" if segmenter else "",
            runtime=segmenter.runtime.name if segmenter else "",
            failure=self._failure,
            counts=self._counts,
            recent=self._counts.recent(now),
            wanted=any(publisher.get_subscription_count() > 0 for publisher in self._results.values()),
            topic=topic,
            publishers=self.count_publishers(topic),
            quiet=now - self._last_image,
            problem=self._problem,
            problem_age=now - self._problem_time,
            notes=tuple(self._notes),
        )

    def _publish_diagnostics(self) -> None:
        health = self._health()
        level, message = diagnostics.level_and_message(health)
        status = DiagnosticStatus(
            level=bytes([level]),
            name=f"{self.get_fully_qualified_name().lstrip('/')}: segmentation",
            message=message,
            hardware_id=health.model,
            values=[KeyValue(key=key, value=value) for key, value in diagnostics.key_values(health).items()],
        )
        array = DiagnosticArray(status=[status])
        array.header.stamp = self.get_clock().now().to_msg()
        self._diagnostics.publish(array)


def main(args: Sequence[str] | None = None) -> int:
    """Entry point of `ros2 run saom_ros segment_node`; returns the exit status."""
    return run_node(SegmentNode, args)


if __name__ == "__main__":
    raise SystemExit(main())
