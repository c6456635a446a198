"""Load and faults: what the node does for a long time at full rate, and what it does when things go wrong.

`make soak DURATION=1800` runs it, prints one table and exits non-zero where a line falls short. The camera of the
steady part is a process of its own that plays the shipped pictures at 30 Hz 1280x720; node and camera use the shipped
Fast DDS profile. With `--speed report` the lines that depend on how free the machine is do not count.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import rclpy
import ros_harness as harness
from geometry_msgs.msg import PointStamped
from sensor_msgs.msg import CameraInfo, Image, PointCloud2
from tiny_bundle import color_blocks, write_tiny_bundle
from tqdm import tqdm

from saom_ros.errors import ImageError
from saom_ros.image_files import files_in, read_frames
from saom_ros.nodes import compat, images
from saom_ros.nodes.dds import isolated_environment, large_image_environment
from saom_ros.nodes.sources import SAMPLE
from saom_ros.segmenter import Segmenter

RATE = 30.0
HEIGHT, WIDTH = 720, 1280
LEAST_RECEIVED = 1.0
MOST_OVERHEAD_MS = 5.0
MOST_GROWTH = 0.01
WARM_UP_SECONDS = 10.0
NODE = "segment_node"
PICTURES, FRAMES_PER_PICTURE = 20, 3
"""The shipped pictures are a camera's at 10 Hz."""


PARTICIPANTS = ("node", "camera", "receiver")
"""Processes of the steady part. Each has one segment of shared memory, which the others map to read from it."""


class Line(NamedTuple):
    """One line of the table."""

    what: str
    measured: str
    limit: str
    passed: bool
    speed: bool = False
    """Whether it says as much about the machine, and what else runs there, as about the node."""


def main() -> int:
    """Run all parts; the exit status is 0 when every line passes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--duration", type=float, default=1800.0, help="seconds of the steady part (default: 1800)")
    parser.add_argument("--fuzz", type=int, default=10_000, help="fuzzed messages (default: 10000)")
    parser.add_argument(
        "--speed",
        choices=("require", "report"),
        default="require",
        help="report: frames received and time added are shown but may fall short, for a machine that is not free",
    )
    parser.add_argument("--send", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.send is not None:
        return _send(options.send)
    if options.duration < 20.0 or options.fuzz < 1:
        parser.error("--duration must be at least 20 (seconds), --fuzz at least 1")
    os.environ.update(isolated_environment() | large_image_environment())
    rclpy.init()
    peer = harness.Peer()
    lines: list[Line] = []
    with tempfile.TemporaryDirectory() as folder:
        try:
            lines += steady(peer, Path(folder), options.duration)
            lines += fuzzed(peer, Path(folder), options.fuzz)
            lines += faults(peer, Path(folder))
        except AssertionError as error:
            lines.append(Line("all parts end", str(error)[:300], "", False))
    peer.close()
    rclpy.shutdown()
    print(table(lines))
    return 0 if all(line.passed or (line.speed and options.speed == "report") for line in lines) else 1


def table(lines: list[Line]) -> str:
    """The lines as a Markdown table."""
    rows = [
        f"| {line.what} | {line.measured} | {line.limit} | {'yes' if line.passed else '**no**'} |" for line in lines
    ]
    return "\n".join(["| | measured | limit | passed |", "|---|---:|---:|---|", *rows])


def steady(peer: harness.Peer, folder: Path, duration: float) -> list[Line]:
    """The shipped model at 30 Hz 1280x720: frames received, time that the node adds, memory."""
    node = harness.NodeProcess(NODE, folder / "steady.log")
    masks = _Latest()
    subscription = peer.node.create_subscription(Image, f"{NODE}/instance_mask", masks, 10)
    peer.wait_until_wanted(NODE)
    count = round(duration * RATE)
    camera = subprocess.Popen([sys.executable, __file__, "--send", str(count)])
    memory: list[float] = []
    shared: list[float] = []
    overhead: list[float] = []
    start = time.monotonic()
    with tqdm(total=count, desc="steady", unit="frame") as bar:
        while camera.poll() is None:
            _, _, values = peer.diagnostics(NODE)
            bar.update(int(values["received_frames"]) - bar.n)
            if values["overhead_ms"] == "unknown":
                start = time.monotonic()  # the first frame has not come back yet
            elif time.monotonic() - start > WARM_UP_SECONDS:
                own, mapped = _memory_mib(node.pid)
                memory.append(own)
                shared.append(mapped)
                overhead.append(float(values["overhead_ms"]))
    assert memory, "no frame came back in the steady part"
    received = int(peer.diagnostics(NODE, lambda _, __, v: float(v["rate_hz"]) == 0.0)[2]["received_frames"])
    peer.node.destroy_subscription(subscription)
    node.stop()
    tenth = max(len(memory) // 10, 1)
    before, after = statistics.median(memory[:tenth]), statistics.median(memory[-tenth:])
    growth = after / before - 1.0
    added = statistics.median(overhead)
    most_shared = len(PARTICIPANTS) * _segment_mib()
    return [
        Line(
            f"frames received, {RATE:g} Hz {WIDTH}x{HEIGHT} rgb8 for {duration:g} s",
            f"{received} of {count}",
            "all",
            received >= LEAST_RECEIVED * count,
            speed=True,
        ),
        Line("masks that came back", f"{masks.count}", "at least 1", masks.count > 0),
        Line(
            "time the node adds to inference, median",
            f"{added:.1f} ms",
            f"{MOST_OVERHEAD_MS:g} ms",
            added <= MOST_OVERHEAD_MS,
            speed=True,
        ),
        Line(
            f"growth of the node's own memory from {before:.0f} MiB",
            f"{growth * 100:+.2f} %",
            f"{MOST_GROWTH:.0%}",
            growth < MOST_GROWTH,
        ),
        Line(
            f"shared memory of {len(PARTICIPANTS)} Fast DDS participants",
            f"{max(shared):.0f} MiB",
            f"{most_shared:.0f} MiB",
            max(shared) <= most_shared,
        ),
    ]


def fuzzed(peer: harness.Peer, folder: Path, count: int) -> list[Line]:
    """Random messages on every input, a good image now and then: no crash, no wrong mask."""
    bundle = write_tiny_bundle(folder / "tiny")
    node = harness.NodeProcess(NODE, folder / "fuzzed.log", model=bundle, track=False, max_rate=0.0)
    rgb, _ = color_blocks(240, 320)
    expected = Segmenter.load(bundle)(rgb).label_map
    sent: dict[tuple[int, int], Image] = {}
    wrong: list[str] = []

    def check(mask: Image) -> None:
        image = sent.get((mask.header.stamp.sec, mask.header.stamp.nanosec))
        if image is None or mask.header != image.header or (mask.height, mask.width) != (image.height, image.width):
            wrong.append(f"a mask for no such image: {mask.header} {mask.width}x{mask.height}")
        elif not _readable(image):
            wrong.append(f"a mask for an image that cannot be read: {image.encoding} {image.width}x{image.height}")

    masks = peer.collect(f"{NODE}/instance_mask")
    subscriptions = [
        peer.node.create_subscription(Image, f"{NODE}/instance_mask", check, 10),
        peer.node.create_subscription(PointCloud2, f"{NODE}/points", lambda _: None, 10),
        peer.node.create_subscription(Image, f"{NODE}/target_mask", lambda _: None, 10),
    ]
    peer.wait_until_wanted(NODE)
    random = np.random.default_rng(0)
    good, received = 0, 0
    makers: list[tuple[str, Callable[[np.random.Generator, int], object]]] = [
        ("image", _random_image), ("image", _random_image), ("depth", _random_image),
        ("camera_info", _random_camera_info), ("target_point", _random_point), ("target_pixel", _random_point),
    ]  # fmt: skip
    with tqdm(total=count, desc="fuzzed", unit="message") as bar:
        while received < count and node.running:
            for number in range(250):
                topic, make = makers[int(random.integers(len(makers)))]
                message = make(random, number)
                if topic == "image":
                    stamp = message.header.stamp
                    sent[stamp.sec, stamp.nanosec] = message
                peer.publish(message, topic)
                peer.spin_for(0.001)
                received += 1
            probe = harness.image_message(rgb, stamp=received)
            sent[received, 0] = probe
            mask = peer.segment(masks, probe)
            good += int((harness.labels_of(mask) == expected).all())
            bar.update(received - bar.n)
    alive, log = node.running, node.log()
    for subscription in subscriptions:
        peer.node.destroy_subscription(subscription)
    node.stop()
    probes = -(-count // 250)
    return [
        Line(f"{received} fuzzed messages: the node lives", "yes" if alive else "no", "yes", alive),
        Line("tracebacks in its log", str(log.count("Traceback")), "0", "Traceback" not in log),
        Line("wrong masks", str(len(wrong)), "0", not wrong),
        Line("good images among them segmented rightly", f"{good} of {probes}", "all", good == probes),
    ]


def faults(peer: harness.Peer, folder: Path) -> list[Line]:
    """Camera unplugged, model file replaced, node killed."""
    bundle = write_tiny_bundle(folder / "replaced")
    node = harness.NodeProcess(NODE, folder / "faults.log", model=bundle)
    masks = peer.collect(f"{NODE}/instance_mask")
    peer.wait_until_wanted(NODE)
    rgb, _ = color_blocks(240, 320)
    stamps = iter(range(10, 10**6))

    def segments() -> bool:
        return bool(harness.labels_of(peer.segment(masks, harness.image_message(rgb, stamp=next(stamps)))).any())

    def still_segments(when: str, ready: bool = True) -> Line:
        found = ready and segments()
        return Line(when, "objects" if found else "no objects" if ready else "refused", "objects", found)

    lines = [still_segments("at the start")]
    said = peer.diagnostics(NODE, lambda level, *_: level > 0, "a warning without images")[1]
    lines.append(Line("camera unplugged", said, "a warning", "no image" in said))
    lines.append(still_segments("camera back"))

    model = (bundle / "model.onnx").read_bytes()
    (bundle / "model.onnx").write_bytes(b"another file")
    lines.append(still_segments("model file replaced while running"))
    for transition in ("deactivate", "cleanup"):
        peer.change_state(NODE, transition)
    refused = not peer.change_state(NODE, "configure")
    said = peer.diagnostics(NODE, lambda level, *_: level == 2, "the reason")[1]
    right = refused and "SHA-256" in said
    measured = "refused: SHA-256" if right else f"refused: {said[:80]}" if refused else "taken"
    lines.append(Line("configure with the wrong file", measured, "refused: SHA-256", right))
    (bundle / "model.onnx").write_bytes(model)
    restored = peer.change_state(NODE, "configure") and peer.change_state(NODE, "activate")
    lines.append(still_segments("configure with the right file again", restored))

    node.kill()
    node = harness.NodeProcess(NODE, folder / "restarted.log", model=bundle)
    lines.append(still_segments("killed and started again"))
    node.stop()
    shutil.rmtree(bundle)
    return lines


class _Latest:
    """Counts messages and keeps none."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self, _: object) -> None:
        self.count += 1


def _send(count: int) -> int:
    """The camera process: `count` images at full rate, once somebody listens."""
    rclpy.init()
    node = rclpy.create_node("soak_camera")
    publisher = node.create_publisher(Image, "image", 5)
    while publisher.get_subscription_count() == 0:
        time.sleep(0.05)
    pictures = [frame.rgb for path in files_in(SAMPLE) for frame in read_frames(path)][:PICTURES]
    messages = [harness.image_message(cv2.resize(rgb, (WIDTH, HEIGHT))) for rgb in pictures]
    due = time.monotonic()
    for number in range(count):
        message = messages[number // FRAMES_PER_PICTURE % len(messages)]
        message.header.stamp = node.get_clock().now().to_msg()
        publisher.publish(message)
        due += 1.0 / RATE
        time.sleep(max(due - time.monotonic(), 0.0))
    time.sleep(2.0)  # best effort: what is on its way shall arrive
    node.destroy_node()
    rclpy.shutdown()
    return 0


def _memory_mib(pid: int) -> tuple[float, float]:
    """Resident MiB of a process: its own, and those it shares with others.

    The shared ones are pages of Fast DDS's segments that have been touched: they add up as messages move through a
    segment, never to more than its size.
    """
    status = Path(f"/proc/{pid}/status").read_text()
    resident, shared = (int(status.split(f"{name}:")[1].split()[0]) / 1024 for name in ("VmRSS", "RssShmem"))
    return resident - shared, shared


def _segment_mib() -> float:
    """Size of one participant's segment in the shipped profile."""
    profile = next(path for name in compat.profile_variables() if (path := os.environ.get(name)))
    return int(Path(profile).read_text(encoding="utf-8").split("<segment_size>")[1].split("<")[0]) / 2**20


def _readable(image: Image) -> bool:
    try:
        images.pixel_reader(image)
    except ImageError:
        return False
    return True


def _random_image(random: np.random.Generator, number: int) -> Image:
    """Any encoding, size, step, byte order and amount of data; some of them are right."""
    encodings = [*images.READABLE_ENCODINGS, "32FC1", "16UC1", "8UC2", "", "yuv420", "RGB8", "\u00e4"]
    sides = [0, 1, 2, 3, 8, 17, 64, 2**16, 2**31, 2**32 - 1]
    image = Image(encoding=str(random.choice(encodings)), is_bigendian=int(random.integers(2)))
    image.width, image.height = (int(random.choice(sides)) for _ in range(2))
    right = int(image.width * random.choice([1, 2, 3, 4, 6, 8]))
    image.step = min(right if random.random() < 0.7 else int(random.integers(2**32)), 2**32 - 1)
    size = image.step * image.height
    size = size if size <= 65_536 and random.random() < 0.8 else int(random.integers(4096))
    image.data.frombytes(random.bytes(size))
    image.header.stamp.sec, image.header.stamp.nanosec = int(random.integers(-(2**31), 2**31)), number
    return image


def _random_camera_info(random: np.random.Generator, _: int) -> CameraInfo:
    info = CameraInfo(width=int(random.integers(2**32)), height=int(random.integers(2**32)))
    info.k = random.choice([0.0, 1.0, -1.0, np.nan, np.inf, 500.0], 9)
    info.p = random.choice([0.0, 1.0, -1.0, np.nan, np.inf, 500.0], 12)
    info.d = random.choice([0.0, np.nan, 0.1], int(random.integers(9))).tolist()
    info.binning_x = int(random.integers(3))
    return info


def _random_point(random: np.random.Generator, _: int) -> PointStamped:
    message = PointStamped()
    message.header.frame_id = str(random.choice(["", "camera", "base_link"]))
    values = random.choice([0.0, 1.0, -1.0, 1e300, np.nan, np.inf, -np.inf, 100.0], 3)
    message.point.x, message.point.y, message.point.z = (float(value) for value in values)
    return message


if __name__ == "__main__":
    raise SystemExit(main())
