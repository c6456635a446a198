"""What a frame costs on this machine: by stage of the node's pipeline, by runtime, in memory, and in a recording.

`saom bench` prints it. The frames are those of the shipped sample. Runtimes take turns on every frame, so that their
ratios hold however busy the machine is; what ROS adds to carry messages is not in here (`make soak` measures that).
"""

from __future__ import annotations

import importlib.util
import multiprocessing
import os
import tempfile
from array import array
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from saom_ros import clouds, runtimes
from saom_ros.benchmark_rows import Row, Stopwatch, peak_megabytes, percentile_rows, ratio_row
from saom_ros.bundle import DEFAULT_BUNDLE, BundleConfig, load_config
from saom_ros.image_files import files_in, read_rgb
from saom_ros.instances import paint
from saom_ros.letterbox import Letterbox, letterbox_image
from saom_ros.nodes import images
from saom_ros.nodes.depth_images import depth_from_message
from saom_ros.nodes.parameters import SegmentParameters
from saom_ros.nodes.point_clouds import fill_cloud
from saom_ros.nodes.sources import PICTURE_RATE, SAMPLE
from saom_ros.overlay import draw_overlay
from saom_ros.runtime_parity import half_graph, parity_rows
from saom_ros.runtimes.base import Runtime, graph_outputs
from saom_ros.segmenter import Segmenter
from saom_ros.tracker import Tracker

AREA, MACHINE = "robot", "machine"
SIZES = ((1280, 720), (640, 480))
"""Width and height in px of the frames."""
FRAMES, QUICK_FRAMES, WARM_UP = 60, 12, 2
MOST_OVERHEAD_MS = 5.0
"""Target at 1280x720 for all stages that every frame goes through but the model's."""
ALWAYS = ("read", "letterbox", "paint", "track", "fill mask")
"""What every frame goes through beside the model; clouds and overlays are made where somebody asks for them."""

INSTRUCTION_SETS = {
    "AVX2": ("avx2",),
    "AVX-512": ("avx512f",),
    "VNNI": ("avx512_vnni", "avx_vnni"),
    "AMX": ("amx_tile",),
}
"""What a CPU may have -> the flags of /proc/cpuinfo that tell, any of them."""

_OPENVINO_F32 = f"{runtimes.OPENVINO} f32"


def rows(quick: bool, bundle: Path | None = None) -> list[Row]:
    """Everything that can be measured here, of one bundle (None = the shipped one). `quick`: fewer frames.

    Raises `BundleError` for a bundle that cannot be opened.
    """
    folder = bundle or DEFAULT_BUNDLE
    config = load_config(folder)
    frames = QUICK_FRAMES if quick else FRAMES
    opened = open_runtimes(folder, config)
    found = machine_rows()
    found += [Row(AREA, f"{config.name}, {name}, runs", runtime.note) for name, runtime in opened.items()]
    found += runtime_rows(config, opened, pictures(frames, *SIZES[0]))
    found += parity_rows(AREA, config, opened | half_graph(folder, config), pictures(QUICK_FRAMES, *SIZES[0]))
    fastest = Segmenter.load(folder)
    for width, height in SIZES:
        shown = pictures(frames, width, height)
        found += stage_rows(fastest, shown)
        found += rate_rows(fastest, shown)
    return found + memory_rows(folder, list(opened))


def machine_rows() -> list[Row]:
    """What the figures were measured on, and how busy it was."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    told = dict(line.split(":", 1) for line in lines if ":" in line)
    told = {name.strip(): value.strip() for name, value in told.items()}
    flags = set(told.get("flags", told.get("Features", "")).split())
    return [
        Row(MACHINE, "CPU", told.get("model name", "unknown")),
        Row(MACHINE, "CPU cores for this process", len(os.sched_getaffinity(0))),
        *(Row(MACHINE, name, "yes" if flags & set(any_of) else "no") for name, any_of in INSTRUCTION_SETS.items()),
        Row(MACHINE, "load before the benchmark (processes that want a core)", round(os.getloadavg()[0], 2)),
    ]


def open_runtimes(folder: Path, config: BundleConfig) -> dict[str, Runtime]:
    """The bundle in every runtime that is installed; OpenVINO in its own choice of precision, and in f32 where that is
    another one.
    """
    opened: dict[str, Runtime] = {}
    for name in runtimes.installed():
        runtime = runtimes.create(folder, config, name)
        if runtime.name == name:  # TensorRT gives way to others where it cannot run
            opened[name] = runtime
    if runtimes.OPENVINO in opened and "f32" not in opened[runtimes.OPENVINO].note:
        opened[_OPENVINO_F32] = _openvino_f32(folder, config)
    return opened


def runtime_rows(config: BundleConfig, opened: Mapping[str, Runtime], shown: Sequence[NDArray[np.uint8]]) -> list[Row]:
    """What the model takes in each runtime; the frames (H, W, 3) are each run in all of them."""
    watch = Stopwatch()
    inputs = [_model_inputs(config, rgb) for rgb in shown]
    for name, runtime in opened.items():
        for _ in range(WARM_UP):
            runtime.run(inputs[0])
        watch.seconds[name] = []
    for given in inputs:
        for name, runtime in opened.items():
            watch.measure(name, runtime.run, given)
    found: list[Row] = []
    first = next(iter(opened))
    for name in opened:
        found += percentile_rows(AREA, f"{config.name}, {name}, run", watch.seconds[name])
        if name != first:
            faster = watch.median(first) / watch.median(name)
            found.append(ratio_row(AREA, f"{config.name}, {name}, speed", faster, f"{config.name}, {first}, speed"))
    return found


def stage_rows(segmenter: Segmenter, shown: Sequence[NDArray[np.uint8]]) -> list[Row]:
    """What each stage of the node's pipeline takes on these frames (H, W, 3), which come as bgr8 messages."""
    height, width = shown[0].shape[:2]
    watch, tracker = Stopwatch(), Tracker()
    camera = clouds.Intrinsics(float(width), float(width), width / 2, height / 2)
    depth = _message(np.linspace(500, 3000, width * height).astype(np.uint16).reshape(height, width), "mono16")
    messages = [_message(images.encode_rgb(rgb, "bgr8"), "bgr8") for rgb in shown]
    for number, message in enumerate([*messages[:1] * WARM_UP, *messages]):
        if number == WARM_UP:
            watch = Stopwatch()
        _go_through(watch, segmenter, tracker, message, depth, camera, number)
    found: list[Row] = []
    for stage, seconds in watch.seconds.items():
        found += percentile_rows(AREA, f"{width}x{height}, {stage}", seconds)
    around = watch.turns(ALWAYS)
    found += percentile_rows(AREA, f"{width}x{height}, all that every frame needs but the model", around)
    if (width, height) == SIZES[0]:
        share = 1e3 * float(np.median(around)) / MOST_OVERHEAD_MS
        found.append(ratio_row(AREA, f"{width}x{height}, the same", share, f"the limit of {MOST_OVERHEAD_MS:g} ms"))
    return found


def rate_rows(segmenter: Segmenter, shown: Sequence[NDArray[np.uint8]]) -> list[Row]:
    """Frames a second of the segmenter, and of `saom bag` as a ratio to it, on the same frames in turns."""
    height, width = shown[0].shape[:2]
    watch = Stopwatch()
    with tempfile.TemporaryDirectory() as name:
        record = _recording(Path(name), shown) if importlib.util.find_spec("rosbags") else None
        for turn in range(3):
            watch.measure("segmenter", lambda: [segmenter(rgb) for rgb in shown])
            if record is not None:
                out = Path(name) / f"out{turn}"
                watch.measure("bag", _segment_recording, record, out, segmenter)
    rate = len(shown) / watch.median("segmenter")
    segmenting = f"{width}x{height}, Segmenter with {segmenter.runtime.name}"
    found = [Row(AREA, segmenting, round(rate, 2), "frames/s")]
    if record is not None:
        share = watch.median("segmenter") / watch.median("bag")
        found.append(ratio_row(AREA, f"{width}x{height}, frames/s of saom bag", share, segmenting))
    return found


def memory_rows(folder: Path, names: Sequence[str]) -> list[Row]:
    """Peak memory of a fresh process that segments a few frames, by runtime."""
    spawn = multiprocessing.get_context("spawn")
    found = []
    for name in names:
        with ProcessPoolExecutor(1, mp_context=spawn) as pool:
            peak = pool.submit(_peak_memory, folder, name).result()
        found.append(Row(AREA, f"{name}, memory of a process (peak RSS)", round(peak, 1), "MB"))
    return found


def pictures(count: int, width: int, height: int) -> list[NDArray[np.uint8]]:
    """The first pictures of the shipped sample, over and over, as RGB uint8 (height, width, 3)."""
    files = files_in(SAMPLE)
    shown = [cv2.resize(read_rgb(path), (width, height)) for path in files[: min(count, len(files))]]
    return [np.asarray(shown[k % len(shown)], np.uint8) for k in range(count)]


def _go_through(
    watch: Stopwatch,
    segmenter: Segmenter,
    tracker: Tracker,
    message: Any,
    depth: Any,
    camera: clouds.Intrinsics,
    number: int,
) -> None:
    """One frame through every stage."""
    config = segmenter.config
    rgb = watch.measure("read", images.rgb_from_message, message)
    box = Letterbox.fit(rgb.shape[0], rgb.shape[1], config.input.height, config.input.width)
    given = _model_inputs(config, rgb)
    watch.measure("letterbox", letterbox_image, rgb, box)
    out = watch.measure("run", segmenter.runtime.run, given)
    found = (out[name] for name in ("masks", "scores", "boxes", "class_ids"))
    instances = watch.measure("paint", paint, *found, box, segmenter.min_area)
    stamp = round((number + 1) * 1e9 / PICTURE_RATE)
    tracked = watch.measure("track", tracker.update, instances, stamp)
    watch.measure("fill mask", lambda: _message(tracked.label_map, "mono16"))

    def cloud() -> Any:
        stride = SegmentParameters.points_stride
        points = clouds.object_points(depth_from_message(depth), tracked.label_map, rgb, camera, stride)
        return fill_cloud(_blank(), points, message.header, SimpleNamespace)

    def overlay() -> Any:
        return _message(images.encode_rgb(draw_overlay(rgb, tracked, config.classes), "bgr8"), "bgr8")

    watch.measure("cloud (on demand)", cloud)
    watch.measure("overlay (on demand)", overlay)


class _NoModel:
    """A runtime that finds nothing and keeps what it was given."""

    name, note = "none", ""

    def __init__(self, config: BundleConfig) -> None:
        self.inputs: dict[str, NDArray] = {}
        self._outputs = dict[str, NDArray]()
        for name, tensor in graph_outputs(config).items():
            self._outputs[name] = np.zeros(tensor.shape, tensor.dtype)  # type: ignore[arg-type]

    def run(self, inputs: Mapping[str, NDArray]) -> dict[str, NDArray]:
        self.inputs = dict(inputs)
        return self._outputs


def _model_inputs(config: BundleConfig, rgb: NDArray[np.uint8]) -> dict[str, NDArray]:
    """What the segmenter gives its runtime for an image (H, W, 3)."""
    asked = _NoModel(config)
    Segmenter(config, asked)(rgb)
    return asked.inputs


def _message(pixels: NDArray, encoding: str) -> Any:
    """What stands in for a sensor_msgs/Image."""
    header = SimpleNamespace(stamp=SimpleNamespace(sec=0, nanosec=0), frame_id="camera")
    return images.fill_message(_blank(), pixels, encoding, header)


def _blank() -> Any:
    return SimpleNamespace(data=array("B"))


def _recording(folder: Path, shown: Sequence[NDArray[np.uint8]]) -> Path:
    """A recording of the frames (H, W, 3) at 10 Hz."""
    from saom_ros.rosbag2 import IMAGE, BagWriter, MessageTypes, reliable_qos

    types, topic = MessageTypes(), "/camera/image"
    with BagWriter(folder / "in", types, {}) as writer:
        writer.add_topic(topic, IMAGE, [reliable_qos(5)])
        for number, rgb in enumerate(shown):
            time_ns = round((number + 1) * 1e9 / PICTURE_RATE)
            header = types.new("std_msgs/msg/Header", frame_id="camera")
            header.stamp.sec, header.stamp.nanosec = divmod(time_ns, 10**9)
            writer.write(topic, time_ns, images.fill_message(types.new(IMAGE), rgb, "rgb8", header))
    return folder / "in"


def _segment_recording(record: Path, out: Path, segmenter: Segmenter) -> None:
    """What `saom bag` does."""
    from saom_ros.bag import BagOptions, BagSegmentation, choose_inputs
    from saom_ros.rosbag2 import BagReader, BagWriter, MessageTypes

    types, options = MessageTypes(), BagOptions()
    with BagReader(record, types) as reader, BagWriter(out, types, {}) as writer:
        inputs = choose_inputs(reader, options)
        for outcome in BagSegmentation(reader, writer, types, segmenter, inputs, options).run():
            assert not outcome.problem, outcome.problem


def _peak_memory(folder: Path, name: str) -> float:
    """Peak resident megabytes of this process after it has segmented a few frames."""
    config = load_config(folder)
    runtime = _openvino_f32(folder, config) if name == _OPENVINO_F32 else runtimes.create(folder, config, name)
    segmenter = Segmenter(config, runtime)
    for rgb in pictures(WARM_UP, *SIZES[0]):
        segmenter(rgb)
    return peak_megabytes()


def _openvino_f32(folder: Path, config: BundleConfig) -> Runtime:
    return runtimes.open_openvino(folder, config, precision="f32")
