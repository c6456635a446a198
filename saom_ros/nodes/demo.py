"""The demo: an image source and the segmentation node as processes of their own, watched over real DDS.

This process subscribes to images and masks like any user's node would, prints what it measured, and writes one of the
overlays that it asks for at the end. It ends with 0 only when masks with objects really came. `make demo` runs it.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.time import Time
from sensor_msgs.msg import Image

from saom_ros.errors import SaomError
from saom_ros.nodes.dds import isolated_environment, large_image_environment
from saom_ros.nodes.diagnostics import ERROR
from saom_ros.nodes.process import USER_ERROR
from saom_ros.nodes.sources import open_source

START_SECONDS = 60.0
"""How long a process may take until it gives signs of life; a first import on a fresh machine is slow."""

LOOK_SECONDS = 1.0
"""How long overlays are asked for, after the seconds that are measured."""


class DemoError(SaomError):
    """Why the demo did not succeed."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point of `python -m saom_ros.nodes.demo`; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m saom_ros.nodes.demo", description=__doc__)
    parser.add_argument("--input", default="sample", help="folder, image, video or camera:N (default: shipped sample)")
    parser.add_argument("--seconds", type=float, default=15.0, help="how long to play it (default: 15)")
    parser.add_argument("--rate", type=float, default=0.0, help="images a second (default: its own; pictures have 10)")
    parser.add_argument("--model", default="", help="folder of a model bundle (default: the one that ships)")
    parser.add_argument("--out", type=Path, default=Path("demo_output"), help="where overlay and logs are written")
    options = parser.parse_args(arguments)
    os.environ.update(isolated_environment() | large_image_environment())
    try:
        if not 1.0 <= options.seconds <= 3600.0:
            raise SaomError(f"--seconds is {options.seconds:g}; it must lie in 1..3600")
        if not 0.0 <= options.rate <= 1000.0:
            raise SaomError(f"--rate is {options.rate:g}; it must lie in 0..1000 Hz")
        return _run(options.input, options.rate, options.seconds, options.model, options.out)
    except SaomError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1 if isinstance(error, DemoError) else USER_ERROR
    except (KeyboardInterrupt, ExternalShutdownException):
        print("interrupted", file=sys.stderr)
        return 1
    finally:
        with contextlib.suppress(Exception):
            rclpy.try_shutdown()


def _run(source: str, rate: float, seconds: float, model: str, out: Path) -> int:
    open_source(source, warn=lambda _: None)  # a wrong path fails here, before anything starts
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SaomError(f"--out {out}: cannot be made: {error.strerror}") from None
    print(
        f"Starting segment_node and image_source_node on ROS domain {os.environ['ROS_DOMAIN_ID']}, this machine only."
    )
    rclpy.init(args=[])
    watcher = Watcher()
    with _processes(out) as start:
        segmenter = start("segment_node", {"model": _absolute(model)})
        watcher.spin_until(
            lambda: watcher.state == "active", START_SECONDS, "segment_node to become active", [segmenter]
        )
        print(f"segment_node is active with model {watcher.figures['model']} on {watcher.figures['runtime']}.")
        shown = _absolute(source) if source != "sample" else source
        player = start("image_source_node", {"source": shown, "rate": rate})
        # The nodes need a moment to discover each other; the clock starts when they have.
        watcher.spin_until(lambda: watcher.record.masks, START_SECONDS, "the first mask", [segmenter, player])
        watcher.watch(seconds, [segmenter, player])
        watcher.look([segmenter, player])
        player.stop()
        watcher.settle([segmenter])
    print()
    print(table(watcher.record, watcher.figures))
    return conclude(watcher.record, out)


def _absolute(path: str) -> str:
    """The processes are told the full path; names that are no path (`camera:0`, empty) stay as they are."""
    return str(Path(path).expanduser().resolve()) if path and Path(path).expanduser().exists() else path


@dataclass(frozen=True)
class Mask:
    """One mask that came back."""

    stamp: int
    """The image's stamp, in nanoseconds."""
    latency: float
    """Seconds from the stamp to its arrival here."""
    arrival: float
    """Monotonic seconds."""
    objects: int


@dataclass
class Record:
    """Everything that came over DDS during the demo."""

    sent: set[int] = field(default_factory=set)
    """Stamps of the images, in nanoseconds."""
    masks: list[Mask] = field(default_factory=list)
    best_overlay: np.ndarray | None = None
    """BGR uint8 (H, W, 3): the overlay with the most objects."""
    best_objects: int = -1

    def count_sent(self) -> int:
        """Images since the first one that came back: those before it were sent while the nodes still met."""
        stamps = {mask.stamp for mask in self.masks}
        first = min(stamps, default=0)
        return len({stamp for stamp in self.sent | stamps if stamp >= first})

    def add_overlay(self, stamp: int, bgr: np.ndarray) -> None:
        """Keep the overlay when its mask has more objects than the one kept so far."""
        objects = next((mask.objects for mask in reversed(self.masks) if mask.stamp == stamp), 0)
        if objects > self.best_objects:
            self.best_objects, self.best_overlay = objects, bgr.copy()


def table(record: Record, figures: dict[str, str]) -> str:
    """The result, one line per figure. `figures` are the node's own counts from its diagnostics."""
    latencies = [mask.latency * 1e3 for mask in record.masks]
    arrivals = [mask.arrival for mask in record.masks]
    span = max(arrivals) - min(arrivals) if len(arrivals) > 1 else 0.0
    objects = [mask.objects for mask in record.masks]
    rows = {
        "images sent": str(record.count_sent()),
        "received": figures.get("received_frames", "unknown"),
        "segmented": str(len(record.masks)),
        "dropped (a newer image came first)": figures.get("dropped_frames", "unknown"),
        "latency p50": f"{np.percentile(latencies, 50):.0f} ms" if latencies else "-",
        "latency p95": f"{np.percentile(latencies, 95):.0f} ms" if latencies else "-",
        "rate": f"{(len(arrivals) - 1) / span:.1f} Hz" if span else "-",
        "objects per image": f"{np.mean(objects):.1f}" if objects else "-",
    }
    width = max(map(len, rows))
    return "\n".join(f"  {name:<{width}}  {value:>10}" for name, value in rows.items())


def conclude(record: Record, out: Path) -> int:
    """Write the overlay and judge: 0 when objects came back, else `DemoError`."""
    if record.best_overlay is not None:
        path = out / "overlay.png"
        if not cv2.imwrite(str(path), record.best_overlay):
            raise DemoError(f"{path}: cannot be written; choose another folder with --out")
        print(f"Overlay: {path}")
    if not any(mask.objects for mask in record.masks):
        raise DemoError(f"{len(record.masks)} masks came, but the model found no object in any of them")
    return 0


class Watcher:
    """The demo's own node: subscribes to everything and keeps a record."""

    def __init__(self) -> None:
        self.record = Record()
        self.figures: dict[str, str] = {}
        """The last diagnostics of segment_node."""
        self.message = ""
        self._level = 0
        self._reports = 0
        self._node = rclpy.create_node("demo")
        self._executor = SingleThreadedExecutor()
        self._executor.add_node(self._node)
        for topic, kind, callback in (
            ("image", Image, self._on_image),
            ("segment_node/instance_mask", Image, self._on_mask),
            ("/diagnostics", DiagnosticArray, self._on_diagnostics),
        ):
            self._node.create_subscription(kind, topic, callback, 20)

    @property
    def state(self) -> str:
        """Lifecycle state of segment_node, or empty while it has not said anything."""
        return self.figures.get("state", "")

    def spin_until(self, done: Callable[[], Any], seconds: float, what: str, children: Sequence[Child]) -> None:
        """Spin until something happened; `DemoError` when a process ends, reports an error, or time is over."""
        deadline = time.monotonic() + seconds
        while not done():
            self._check(children)
            if time.monotonic() > deadline:
                logs = ", ".join(str(child.log) for child in children)
                said = f"segment_node says: {self.message}; " if self.message else ""
                raise DemoError(f"waited {seconds:.0f} s for {what} in vain; {said}see {logs}")
            self._executor.spin_once(timeout_sec=0.1)

    def watch(self, seconds: float, children: Sequence[Child]) -> None:
        """Record for some seconds, with a line of progress where somebody watches."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            self._check(children)
            self._executor.spin_once(timeout_sec=min(left, 0.1))
            if sys.stdout.isatty():
                print(f"\r{left:4.0f} s  {len(self.record.masks)} masks", end="", flush=True)

    def look(self, children: Sequence[Child]) -> None:
        """Ask for overlays for a second. Only now: drawing one for every image slows down what is measured."""
        self._node.create_subscription(Image, "segment_node/overlay", self._on_overlay, 20)
        self.watch(LOOK_SECONDS, children)
        self.spin_until(lambda: self.record.best_overlay is not None, START_SECONDS, "an overlay", children)

    def settle(self, children: Sequence[Child]) -> None:
        """Let the last masks come in, and the diagnostics that count them."""
        reports = self._reports
        self.spin_until(lambda: self._reports >= reports + 2, START_SECONDS, "the last diagnostics", children)

    def _check(self, children: Sequence[Child]) -> None:
        for child in children:
            if (status := child.status()) is not None:
                raise DemoError(f"{child.name} ended with status {status}: {child.last_words()}; see {child.log}")
        if self._level == ERROR and self.state != "active":
            raise DemoError(f"segment_node is {self.message}")

    def _on_image(self, message: Image) -> None:
        self.record.sent.add(Time.from_msg(message.header.stamp).nanoseconds)

    def _on_mask(self, message: Image) -> None:
        stamp = Time.from_msg(message.header.stamp)
        latency = (self._node.get_clock().now() - stamp).nanoseconds * 1e-9
        objects = np.count_nonzero(np.bincount(np.frombuffer(message.data, np.uint16))[1:])
        self.record.masks.append(Mask(stamp.nanoseconds, latency, time.monotonic(), int(objects)))

    def _on_overlay(self, message: Image) -> None:
        bgr = np.frombuffer(message.data, np.uint8).reshape(message.height, message.width, 3)
        self.record.add_overlay(Time.from_msg(message.header.stamp).nanoseconds, bgr)

    def _on_diagnostics(self, array: DiagnosticArray) -> None:
        for status in array.status:
            if status.name.startswith("segment_node:"):
                self.figures = {item.key: item.value for item in status.values}
                self._level, self.message = status.level[0], status.message
                self._reports += 1


class Child:
    """A node of ours as a process; what it prints goes to a file."""

    def __init__(self, name: str, parameters: Mapping[str, str | float], log: Path) -> None:
        self.name = name
        self.log = log
        command = [sys.executable, "-m", f"saom_ros.nodes.{name}", "--ros-args"]
        for key, value in parameters.items():
            if value:
                command += ["-p", f"{key}:={json.dumps(value)}"]  # quoted: ROS reads the value as YAML
        with open(log, "wb") as stream:
            self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=stream, stderr=subprocess.STDOUT)

    def status(self) -> int | None:
        """Exit status, or None while it runs."""
        return self._process.poll()

    def last_words(self) -> str:
        """The last line it printed."""
        lines = self.log.read_text(errors="replace").strip().splitlines()
        return lines[-1] if lines else "it said nothing"

    def stop(self) -> None:
        """End it: politely, firmly, by force."""
        for number, patience in ((signal.SIGINT, 5.0), (signal.SIGTERM, 3.0), (signal.SIGKILL, 10.0)):
            if self._process.poll() is not None:
                return
            self._process.send_signal(number)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(patience)


@contextlib.contextmanager
def _processes(logs: Path) -> Iterator[Callable[[str, Mapping[str, str | float]], Child]]:
    """Gives a function that starts a node; whatever happens, all of them are ended when the block is left."""
    children: list[Child] = []

    def start(name: str, parameters: Mapping[str, str | float]) -> Child:
        children.append(Child(name, parameters, logs / f"{name}.log"))
        return children[-1]

    try:
        yield start
    finally:
        # A second Ctrl-C must not leave processes behind.
        signal.signal(signal.SIGINT, lambda *_: None)
        for child in reversed(children):
            child.stop()


if __name__ == "__main__":
    raise SystemExit(main())
