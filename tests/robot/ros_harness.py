"""A ROS peer for tests: real processes on one side, an rclpy client in the test process on the other.

Everything waits for events with generous limits and never sleeps for luck; each session has a ROS domain of its own.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from lifecycle_msgs.srv import ChangeState, GetState
from rcl_interfaces.srv import DescribeParameters, SetParameters
from rclpy.executors import SingleThreadedExecutor
from rclpy.parameter import Parameter
from rclpy.qos import QoSProfile
from sensor_msgs.msg import Image
from std_msgs.msg import Header

from saom_ros.nodes import images

ROOT = Path(__file__).resolve().parents[2]
PATIENCE = 60.0
"""Seconds before a wait gives up: far more than an idle machine needs, for busy ones."""
RESEND = 2.0
"""Seconds between two attempts to get a message through."""


class NodeProcess:
    """A node of ours as a process of its own: `python -m saom_ros.nodes.MODULE --ros-args ...`."""

    def __init__(self, module: str, log: Path, *ros_args: str, namespace: str = "", **parameters: object) -> None:
        command = [sys.executable, "-m", f"saom_ros.nodes.{module}", "--ros-args", *ros_args]
        if namespace:
            command += ["-r", f"__ns:={namespace}"]
        for name, value in parameters.items():
            command += ["-p", f"{name}:={str(value).lower() if isinstance(value, bool) else value}"]
        self._log = log
        with open(log, "wb") as stream:
            self._process = subprocess.Popen(command, cwd=ROOT, stdout=stream, stderr=subprocess.STDOUT)

    @property
    def running(self) -> bool:
        return self._process.poll() is None

    @property
    def pid(self) -> int:
        return self._process.pid

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()

    def log(self) -> str:
        return self._log.read_text(errors="replace")

    def signal(self, number: int) -> None:
        self._process.send_signal(number)

    def wait(self) -> int:
        return self._process.wait(PATIENCE)

    def stop(self) -> None:
        """End the process whatever state it is in."""
        with contextlib.suppress(ProcessLookupError):
            self._process.send_signal(signal.SIGINT)
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


class Peer:
    """A node in the test process that talks to the nodes under test."""

    def __init__(self) -> None:
        self.node = rclpy.create_node(f"peer_{os.getpid()}")
        self._executor = SingleThreadedExecutor()
        self._executor.add_node(self.node)
        self._publishers: dict[str, object] = {}
        self._clients: dict[str, object] = {}
        self._diagnostics: dict[str, tuple[int, str, dict[str, str]]] = {}
        self.node.create_subscription(DiagnosticArray, "/diagnostics", self._on_diagnostics, 10)

    def close(self) -> None:
        self._executor.shutdown()
        self.node.destroy_node()

    def spin_until(self, condition, what: str, patience: float = PATIENCE, send=None):
        """Spin until `condition()` is true and return its value; fails with `what` after `patience` seconds.

        `send()` is called first and again every few seconds: images are best effort, and the first ones are lost
        where the subscriber has not discovered their publisher yet.
        """
        begun = time.monotonic()
        due = begun
        while not (value := condition()):
            now = time.monotonic()
            assert now < begun + patience, f"waited {patience:g} s for {what}; diagnostics: {self._diagnostics}"
            if send and now >= due:
                send()
                due = now + RESEND
            self._executor.spin_once(timeout_sec=0.1)
        return value

    def spin_for(self, seconds: float) -> None:
        """Let messages come and go for a while."""
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            self._executor.spin_once(timeout_sec=left)

    # Topics

    def collect(self, topic: str, qos: QoSProfile | int = 10, kind: type = Image) -> list:
        """Subscribe; messages are appended to the returned list."""
        messages: list = []
        self.node.create_subscription(kind, topic, messages.append, qos)
        return messages

    def publish(self, message, topic: str = "image") -> None:
        """Publish once a subscriber is there."""
        if topic not in self._publishers:
            self._publishers[topic] = self.node.create_publisher(type(message), topic, 5)
        publisher = self._publishers[topic]
        self.spin_until(lambda: publisher.get_subscription_count() > 0, f"a subscriber of {topic}")
        publisher.publish(message)

    def segment(self, masks: list, message, topic: str = "image") -> Image:
        """Publish an image until its mask comes; returns the mask."""

        def answer():
            return next((m for m in masks if m.header.stamp == message.header.stamp), None)

        return self.spin_until(answer, f"a mask of the image on {topic}", send=lambda: self.publish(message, topic))

    def wait_until_wanted(self, node: str) -> None:
        """Wait until the node is active and has discovered the subscriber of a result."""
        self.diagnostics(
            node, lambda _, said, v: v["state"] == "active" and "idle" not in said, "activity and a subscriber"
        )

    def subscribed_to(self, topic: str) -> int:
        return self.node.count_publishers(topic)

    # Diagnostics

    def _on_diagnostics(self, array: DiagnosticArray) -> None:
        for status in array.status:
            values = {item.key: item.value for item in status.values}
            self._diagnostics[status.name.removesuffix(": segmentation")] = (status.level[0], status.message, values)

    def diagnostics(
        self, node: str, condition=lambda level, message, values: True, what: str = "diagnostics", send=None
    ):
        """(level, message, values) of the next diagnostics of a node for which the condition holds; see spin_until."""
        self._diagnostics.pop(node, None)

        def said():
            return (d := self._diagnostics.get(node)) and condition(*d) and d

        return self.spin_until(said, f"{what} of {node}", send=send)

    # Services

    def call(self, kind: type, service: str, request):
        """The answer of a service."""
        future = self.call_async(kind, service, request)
        self.spin_until(future.done, f"an answer of {service}")
        return future.result()

    def call_async(self, kind: type, service: str, request):
        """A Future of the answer of a service that is there."""
        if service not in self._clients:
            self._clients[service] = self.node.create_client(kind, service)
        client = self._clients[service]
        self.spin_until(client.service_is_ready, f"service {service}")
        return client.call_async(request)

    def state(self, node: str) -> str:
        return self.call(GetState, f"{node}/get_state", GetState.Request()).current_state.label

    def change_state(self, node: str, transition: str) -> bool:
        request = ChangeState.Request()
        request.transition.label = transition
        return self.call(ChangeState, f"{node}/change_state", request).success

    def change_state_by_id(self, node: str, transition: int) -> bool:
        request = ChangeState.Request()
        request.transition.id = transition
        return self.call(ChangeState, f"{node}/change_state", request).success

    def set_parameter(self, node: str, name: str, value: object) -> str:
        """Set a parameter; returns the reason of a refusal, or an empty string."""
        parameters = [Parameter(name, value=value).to_parameter_msg()]
        result = self.call(SetParameters, f"{node}/set_parameters", SetParameters.Request(parameters=parameters))
        return "" if result.results[0].successful else result.results[0].reason or "refused"

    def describe_parameters(self, node: str, names: list[str]):
        request = DescribeParameters.Request(names=names)
        return self.call(DescribeParameters, f"{node}/describe_parameters", request).descriptors


def labels_of(mask: Image) -> np.ndarray:
    """Object ids uint16 (H, W) of a mask image."""
    assert mask.encoding == "mono16"
    assert mask.step == 2 * mask.width
    return np.frombuffer(mask.data, "<u2").reshape(mask.height, mask.width)


def image_message(rgb: np.ndarray, encoding: str = "rgb8", stamp: int = 1, frame_id: str = "camera") -> Image:
    """An RGB image uint8 (H, W, 3) as a message; `stamp` in seconds."""
    header = Header(frame_id=frame_id)
    header.stamp.sec = stamp
    return images.fill_message(Image(), images.encode_rgb(rgb, encoding), encoding, header)
