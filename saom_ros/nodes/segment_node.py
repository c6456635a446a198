"""The segmentation node: images in, one mono16 image of whole-object ids out, as a managed (lifecycle) node.

The executor's thread receives and checks; one worker thread segments the newest frame and publishes the results. The
node configures and activates itself once it spins (`autostart`); a configure that fails leaves it unconfigured and says
why.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from rcl_interfaces.msg import SetParametersResult
from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.clock import Clock, ClockType
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from std_srvs.srv import Trigger

from saom_ros.errors import SaomError
from saom_ros.nodes import compat, detections, diagnostics, engine_swap, parameters
from saom_ros.nodes.camera import Camera, Job
from saom_ros.nodes.notes import Notes
from saom_ros.nodes.parameters import NEVER, WAIT
from saom_ros.nodes.pipeline import Result, problem_of
from saom_ros.nodes.process import run_node
from saom_ros.nodes.topics import Topics
from saom_ros.nodes.triggers import Answer
from saom_ros.nodes.worker import Worker
from saom_ros.runtimes import AUTO, TENSORRT
from saom_ros.segmenter import Segmenter, bundle_folder

LATCHED = QoSProfile(depth=1, reliability=ReliabilityPolicy.RELIABLE, durability=DurabilityPolicy.TRANSIENT_LOCAL)
"""For what is published once and read by whoever comes later."""

WATCH_SECONDS = 0.1
"""How often callers are checked for their time-out, and topics for new subscribers."""

STOP_SECONDS = 10.0
"""How long the end of the process waits for the frame in work."""


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
        self._engine: engine_swap.EngineSwap | None = None
        self._worker: Worker[Job, tuple[Job, Result]] | None = None
        self._free_since = 0.0  # when the worker was done with its latest job
        self._cameras: dict[str, Camera] = {}
        self._trigger_services: dict[str, Any] = {}
        self._label_info: Any = None
        self._vision = detections.vision_messages()
        self._failure = ""
        self._notes = Notes(self.get_logger().warning)
        for line in parameters.unknown_names(parameters.SegmentParameters, list(overrides)):
            self._notes.add(line, line)
        if self._vision is None:
            self.get_logger().info("vision_msgs is not installed: ~/detections and ~/label_info are not published")

        self._results_ready = self.create_guard_condition(self._note_results)
        self._diagnostics = self.create_publisher(DiagnosticArray, "/diagnostics", 10)
        # Steady time: diagnostics and time-outs also come while simulated time stands still.
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        self.create_timer(1.0, self._publish_diagnostics, clock=steady)
        self.create_timer(WATCH_SECONDS, self._watch, clock=steady)
        self._autostart = self.create_guard_condition(self._start_by_itself)
        if self._settings.autostart:
            self._autostart.trigger()  # runs once somebody spins the node

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Load the model and try it once; on failure say why and stay unconfigured."""
        try:
            self._segmenter = self._load()
            for name in self._settings.cameras:
                self._cameras[name] = Camera(self, name, lambda: self._settings, self._submit, self._vision)
                self._offer_trigger(name)
            if self._vision is not None:
                topics = Topics(self, self._notes, self._notes)
                self._label_info = topics.publisher(self._vision.LabelInfo, "~/label_info", LATCHED)
        except Exception as error:
            self.on_cleanup(state)
            self._failure = f"cannot configure: {problem_of(error)}"
            self.get_logger().error(
                f"{self._failure}. The node stays unconfigured; mend it (parameters can be set now) and configure again"
            )
            return TransitionCallbackReturn.FAILURE
        self._failure = ""
        config = self._segmenter.config
        runtime = self._segmenter.runtime
        self.get_logger().info(f"loaded model {config.name} {config.version} on {runtime.name} {runtime.note}")
        return TransitionCallbackReturn.SUCCESS

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Subscribe to the cameras and start the worker; on failure say why and stay inactive."""
        self._worker = Worker(self._work, self._results_ready.trigger)
        try:
            for camera in self._cameras.values():
                camera.activate()
                self.get_logger().info(f"active: images from {camera.topic}")
        except Exception as error:  # rclpy would go back to unconfigured without a word
            self._stop_work()
            self._failure = f"cannot activate: {problem_of(error)}"
            self.get_logger().error(f"{self._failure}. The node stays inactive; mend it and activate again")
            return TransitionCallbackReturn.FAILURE
        self._failure = ""
        done = super().on_activate(state)
        if self._label_info is not None and self._segmenter is not None and self._vision is not None:
            self._label_info.publish(detections.label_info_message(self._vision, self._segmenter.config.classes))
        return done

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Unsubscribe and stop the worker; the model stays loaded."""
        self._stop_work()
        return super().on_deactivate(state)

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Give up the model and the result topics."""
        self._stop_work()
        self._stop_engine()
        for camera in self._cameras.values():
            camera.destroy()
        if self._label_info is not None:
            self.destroy_lifecycle_publisher(self._label_info)
        self._cameras, self._label_info, self._segmenter = {}, None, None
        return TransitionCallbackReturn.SUCCESS

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Same as clean-up, from any state."""
        return self.on_cleanup(state)

    def on_error(self, state: LifecycleState) -> TransitionCallbackReturn:
        """An exception in a transition: back to unconfigured, where everything can be tried again."""
        return self.on_cleanup(state)

    def close(self) -> bool:
        """Stop the worker at the end of the process; returns whether it ended in time."""
        self._stop_engine()
        return self._stop_work(STOP_SECONDS)

    def _start_by_itself(self) -> None:
        if self.trigger_configure() == TransitionCallbackReturn.SUCCESS:
            self.trigger_activate()

    def _load(self) -> Segmenter:
        if self._wrong_settings:
            raise parameters.ParameterError("; ".join(self._wrong_settings.values()))
        wanted = self._settings
        cache = Path(wanted.engine_cache).expanduser() if wanted.engine_cache else None
        segmenter = Segmenter.load(wanted.model or None, wanted.runtime, wanted.threads, cache)
        if wanted.engine_build != NEVER and wanted.runtime in (AUTO, TENSORRT):
            folder = bundle_folder(wanted.model or None)
            self._engine = engine_swap.start(folder, segmenter, cache, self.get_logger().info)
        if self._engine is not None and wanted.engine_build == WAIT:
            self._engine.wait(self.context.ok)
            self._engine.swap(segmenter)
        # The first run allocates; a graph that cannot run shows here and not at the first frame.
        segmenter(np.zeros((segmenter.config.input.height, segmenter.config.input.width, 3), np.uint8))
        return segmenter

    def _stop_engine(self) -> None:
        engine, self._engine = self._engine, None
        if engine is not None:
            engine.stop()

    def _stop_work(self, timeout: float | None = None) -> bool:
        for camera in self._cameras.values():
            camera.deactivate()
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

    def _submit(self, key: Any, job: Job) -> bool:
        """Executor thread: leave work to the worker; returns whether older work under that key was dropped for it."""
        return self._worker is not None and self._worker.put(key, job)

    def _work(self, job: Job) -> tuple[Job, Result]:
        """Worker thread. Never raises."""
        segmenter, settings, engine = self._segmenter, self._settings, self._engine
        assert segmenter is not None
        if engine is not None:
            engine.swap(segmenter)
        segmenter.thresholds = settings.thresholds(segmenter.config.thresholds)
        segmenter.min_area = settings.min_area
        result = job.result(segmenter, settings, self._free_since)
        self._free_since = time.perf_counter()
        return job, result

    def _note_results(self) -> None:
        """Executor thread: take note of what the worker finished and published."""
        for job, result in self._worker.results() if self._worker is not None else []:
            job.camera.finish(result, job.image)

    def _watch(self) -> None:
        if self._worker is not None:
            for camera in self._cameras.values():
                camera.check_waiting()

    def _offer_trigger(self, name: str) -> None:
        """Services stay for the life of the process: a caller may be waiting while the node is cleaned up."""
        if name in self._trigger_services:
            return

        async def on_trigger(_: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
            camera = self._cameras.get(name)
            if self._worker is None or camera is None:
                answer = Answer(False, f"the node is {compat.lifecycle_state(self)}; activate it first")
            else:
                answer = await camera.trigger()
            response.success, response.message = answer
            return response

        topic = f"~/{name}/trigger" if name else "~/trigger"
        # A group of its own: while one caller waits, everything else and other callers go on.
        group = ReentrantCallbackGroup()
        self._trigger_services[name] = self.create_service(Trigger, topic, on_trigger, callback_group=group)

    def _health(self) -> dict[str, diagnostics.Health]:
        """A snapshot of each camera by name, or of the node while it has none."""
        segmenter = self._segmenter
        of_node = diagnostics.Health(
            state=compat.lifecycle_state(self),
            model=f"{segmenter.config.name} {segmenter.config.version}" if segmenter else "",
            runtime=segmenter.runtime.name if segmenter else "",
            runtime_note=segmenter.runtime.note if segmenter else "",
            engine=self._engine.status if self._engine else "",
            failure=self._failure,
            notes=self._notes.lines,
        )
        return {name: camera.health(of_node) for name, camera in self._cameras.items()} or {"": of_node}

    def _publish_diagnostics(self) -> None:
        array = DiagnosticArray()
        array.header.stamp = self.get_clock().now().to_msg()
        for name, health in self._health().items():
            level, message = diagnostics.level_and_message(health)
            array.status.append(
                DiagnosticStatus(
                    level=bytes([level]),
                    name=f"{self.get_fully_qualified_name().lstrip('/')}: {name or 'segmentation'}",
                    message=message,
                    hardware_id=health.model,
                    values=[KeyValue(key=key, value=value) for key, value in diagnostics.key_values(health).items()],
                )
            )
        self._diagnostics.publish(array)


def main(args: Sequence[str] | None = None) -> int:
    """Entry point of `ros2 run saom_ros segment_node`; returns the exit status."""
    return run_node(SegmentNode, args)


if __name__ == "__main__":
    raise SystemExit(main())
