"""The command line `saom`: `segment` for images, folders and videos, `bag` for ROS 2 recordings, `bench` for speed,
`engine` for TensorRT, `info` for versions.

Exit codes: 0 done; 1 some of many files were bad (named on stderr, the others are done); 2 a user's mistake, told in
one line. `python -m saom_ros` is the same.
"""

from __future__ import annotations

import argparse
import dataclasses
import errno
import json
import platform
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TextIO

import cv2
import numpy as np

import saom_ros
from saom_ros import engine_commands
from saom_ros.bag import BagOptions, BagSegmentation, choose_inputs
from saom_ros.bundle import BundleConfig, Thresholds, load_config
from saom_ros.errors import ImageError, SaomError
from saom_ros.image_files import Frame, count_frames, encode_png, find_inputs, read_frames, write_atomically
from saom_ros.instances import Instances
from saom_ros.overlay import draw_overlay
from saom_ros.rosbag2 import BagReader, BagWriter, MessageTypes
from saom_ros.runtimes import AUTO, RUNTIMES, TENSORRT, create, installed
from saom_ros.segmenter import DEFAULT_MIN_AREA, Segmenter, bundle_folder

DONE, SOME_BAD, USER_ERROR, INTERRUPTED = 0, 1, 2, 130

MODEL_HELP = "bundle folder (default: the one that ships with the package)"


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code. `argv` without the program's name; None = `sys.argv`."""
    arguments = _parser().parse_args(argv)
    command: Callable[[argparse.Namespace], int] = arguments.command
    try:
        return command(arguments)
    except SaomError as error:
        print(f"error: {error}", file=sys.stderr)
        return USER_ERROR
    except OSError as error:  # a path too long, a folder that may not be entered, a disk that is full
        print(f"error: {error.filename or 'input or output'}: {error.strerror or error}", file=sys.stderr)
        return USER_ERROR
    except KeyboardInterrupt:
        print("interrupted; finished files are complete", file=sys.stderr)
        return INTERRUPTED


def segment(arguments: argparse.Namespace) -> int:
    """Segment every input and write `NAME.labels.png`, `NAME.overlay.png` and `NAME.json` into the output folder."""
    files = find_inputs(arguments.inputs)
    segmenter = _load_segmenter(arguments)
    _prepare_folder(arguments.out)
    total = sum(count_frames(path) for path in files)
    progress = _Progress(total, sys.stderr)
    done, objects, bad = 0, 0, []
    for path in files:
        for frame in read_frames(path):
            try:
                count = _segment_frame(segmenter, frame, arguments.out)
            except ImageError as error:
                bad.append(str(error))
                progress.report(f"error: {error}")
            else:
                done, objects = done + 1, objects + count
            progress.step(frame.name)
    progress.close()
    if len(files) == 1 and not done:
        return USER_ERROR
    print(f"{done} image{'s' * (done != 1)}, {objects} object{'s' * (objects != 1)} -> {arguments.out}")
    if bad:
        print(f"{len(bad)} of {done + len(bad)} could not be segmented (see above)", file=sys.stderr)
    return SOME_BAD if bad else DONE


def bag(arguments: argparse.Namespace) -> int:
    """Segment the images of a rosbag2 recording (sqlite3 or MCAP; no ROS needed) and write the topics of segment_node,
    and those that they were made from, into a new rosbag2 folder with MCAP storage.
    """
    options = BagOptions(**{field.name: getattr(arguments, field.name) for field in dataclasses.fields(BagOptions)})
    types = MessageTypes()
    with BagReader(arguments.bag, types) as reader:
        inputs = choose_inputs(reader, options)
        segmenter = _load_segmenter(arguments)
        config = segmenter.config
        facts = {"saom_ros": saom_ros.__version__, "model": f"{config.name} {config.version}"}
        with BagWriter(arguments.out, types, facts) as writer:
            segmentation = BagSegmentation(reader, writer, types, segmenter, inputs, options)
            done, objects, bad = _follow(segmentation, reader.topics[inputs.image].count)
            if not done:
                raise SaomError(f"{arguments.bag}: no image of {inputs.image} could be segmented")
    counts = [(done, "image"), (objects, "object")] + [(segmentation.clouds, "cloud")] * options.points
    print(", ".join(f"{count} {noun}{'s' * (count != 1)}" for count, noun in counts), "->", arguments.out)
    for reason, count in segmentation.no_cloud.items():
        print(f"no cloud ({count} times): {reason}", file=sys.stderr)
    if bad:
        print(f"{bad} of {done + bad} could not be segmented (see above)", file=sys.stderr)
    return SOME_BAD if bad or (options.points and not segmentation.clouds) else DONE


def info(arguments: argparse.Namespace) -> int:
    """Print the bundle's facts, the runtimes found and the versions in use."""
    for name, version in _versions().items():
        print(f"{name:<12} {version}")
    found = installed()
    for name, mend in RUNTIMES.items():
        print(f"runtime      {name} {found.get(name, f'not installed; {mend}')}")
    folder = bundle_folder(arguments.model)
    config = load_config(folder)
    runtime = create(folder, config)
    print(f"auto         {runtime.name} {runtime.note}")
    print(f"bundle       {folder}")
    for name, value in _facts(folder, config).items():
        print(f"  {name:<12} {value}")
    return DONE


def bench(arguments: argparse.Namespace) -> int:
    """Measure what a frame costs here, by stage and by runtime, in memory and in a recording; `docs/performance.md`
    explains the rows.
    """
    from saom_ros import benchmark, benchmark_rows  # other commands need none of the node's stages

    benchmark_rows.show(benchmark.rows(arguments.quick, arguments.model), arguments.json)
    return DONE


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="saom", description="Segment everything in view into whole objects.")
    parser.add_argument("--version", action="version", version=f"saom_ros {saom_ros.__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    verb = commands.add_parser(
        "segment", help="segment an image, a folder of images or a video", description=segment.__doc__
    )
    verb.set_defaults(command=segment)
    verb.add_argument("inputs", nargs="+", type=Path, metavar="IMAGE|FOLDER|VIDEO", help="what to segment")
    verb.add_argument(
        "-o", "--out", type=Path, required=True, metavar="OUT", help="folder for the results, made where missing"
    )
    _add_model_arguments(verb)

    verb = commands.add_parser("bag", help="segment a ROS 2 recording", description=bag.__doc__)
    verb.set_defaults(command=bag)
    verb.add_argument("bag", type=Path, metavar="IN", help="rosbag2 folder, or one of its .mcap or .db3 files")
    verb.add_argument("out", type=Path, metavar="OUT", help="rosbag2 folder to write; must not exist")
    _add_options(verb, BagOptions)
    _add_model_arguments(verb)

    verb = commands.add_parser("bench", help="measure what a frame costs on this machine", description=bench.__doc__)
    verb.set_defaults(command=bench)
    verb.add_argument("--quick", action="store_true", help="fewer frames: about half a minute")
    verb.add_argument("--json", nargs="?", const="-", metavar="FILE", help="write JSON; without FILE print it")
    verb.add_argument("--model", type=Path, metavar="BUNDLE", help=MODEL_HELP)

    verb = commands.add_parser(
        "info", help="show the bundle, the runtimes found and the versions", description=info.__doc__
    )
    verb.set_defaults(command=info)
    verb.add_argument("--model", type=Path, metavar="BUNDLE", help=MODEL_HELP)
    engine_commands.add_verbs(commands)
    return parser


def _add_options(verb: argparse.ArgumentParser, options: type) -> None:
    """A flag for each field of a dataclass of options; `--no-NAME` for what is done unless it is switched off."""
    for field in dataclasses.fields(options):
        flag, text = f"--{field.name.replace('_', '-')}", field.metadata["help"]
        if field.default is True:
            verb.add_argument(f"--no-{flag[2:]}", action="store_false", dest=field.name, help=text)
        elif field.default is False:
            verb.add_argument(flag, action="store_true", help=text)
        elif isinstance(field.default, str):
            verb.add_argument(flag, default=field.default, metavar="TOPIC", help=text)
        else:
            text = f"{text} (default: {field.default:g})"
            verb.add_argument(flag, type=type(field.default), default=field.default, metavar="N", help=text)


def _add_model_arguments(verb: argparse.ArgumentParser) -> None:
    verb.add_argument("--model", type=Path, metavar="BUNDLE", help=MODEL_HELP)
    verb.add_argument(
        "--runtime", default=AUTO, metavar="NAME", help=f"{', '.join([AUTO, *RUNTIMES])} (default: {AUTO})"
    )
    verb.add_argument(
        "--threads",
        type=int,
        default=0,
        metavar="N",
        help="CPU threads for inference (default: 0, the runtime decides)",
    )
    for threshold in dataclasses.fields(Thresholds):
        help_text = f"{threshold.metadata['help']}; 0..1 (default: the bundle's)"
        verb.add_argument(f"--{threshold.name}-threshold", type=float, metavar="T", help=help_text)
    verb.add_argument(
        "--min-area",
        type=int,
        default=DEFAULT_MIN_AREA,
        metavar="PX",
        help="smallest object in pixels (default: %(default)s)",
    )


def _load_segmenter(arguments: argparse.Namespace) -> Segmenter:
    segmenter = Segmenter.load(arguments.model, arguments.runtime, arguments.threads)
    if arguments.runtime == TENSORRT != segmenter.runtime.name:
        print(f"not on TensorRT: {segmenter.runtime.name} {segmenter.runtime.note}", file=sys.stderr)
    chosen = {field.name: getattr(arguments, f"{field.name}_threshold") for field in dataclasses.fields(Thresholds)}
    given = {name: value for name, value in chosen.items() if value is not None}
    segmenter.thresholds = dataclasses.replace(segmenter.thresholds, **given)
    segmenter.min_area = arguments.min_area
    return segmenter


def _follow(segmentation: BagSegmentation, total: int) -> tuple[int, int, int]:
    """Segment a recording and show how far along it is; returns the images done, their objects and the bad images."""
    progress = _Progress(total, sys.stderr)
    done, objects, bad = 0, 0, 0
    try:
        for outcome in segmentation.run():
            if outcome.problem:
                bad += 1
                progress.report(f"error: {outcome.problem}")
            else:
                done, objects = done + 1, objects + outcome.objects
            progress.step(outcome.name)
    finally:
        progress.close()
    return done, objects, bad


def _prepare_folder(folder: Path) -> None:
    """Make the output folder and prove that it can be written before hours of work go into it."""
    if folder.exists() and not folder.is_dir():
        raise SaomError(f"{folder}: is a file; --out must be a folder")
    probe = folder / ".saom_write_test"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_atomically(probe, b"")
        probe.unlink()
    except OSError as error:
        raise SaomError(f"{folder}: cannot be written: {error.strerror}; choose another --out") from None


def _segment_frame(segmenter: Segmenter, frame: Frame, out: Path) -> int:
    """Segment one frame, write its three files and return the number of objects."""
    if frame.rgb is None:
        raise ImageError(frame.error)
    try:
        instances = segmenter(frame.rgb)
    except ImageError as error:
        raise ImageError(f"{frame.path}: {error}") from None
    overlay = draw_overlay(frame.rgb, instances, segmenter.config.classes)
    summary = json.dumps(_summary(frame, instances, segmenter.config), indent=1) + "\n"
    try:
        write_atomically(out / f"{frame.name}.labels.png", encode_png(instances.label_map))
        write_atomically(out / f"{frame.name}.overlay.png", encode_png(overlay))
        # Last, so that whoever waits for the JSON finds the images.
        write_atomically(out / f"{frame.name}.json", summary.encode())
    except OSError as error:
        if error.errno == errno.ENAMETOOLONG:
            raise ImageError(
                f"{frame.path}: its results cannot be written: {error.strerror}; shorten its name"
            ) from None
        raise SaomError(f"{out}: cannot be written: {error.strerror}") from None
    return len(instances)


def _summary(frame: Frame, instances: Instances, config: BundleConfig) -> dict[str, Any]:
    """What `NAME.json` holds. Boxes are x_min, y_min, x_max, y_max in pixels with exclusive maximum."""
    height, width = instances.label_map.shape
    objects = [
        {
            "id": int(instances.ids[k]),
            "score": round(float(instances.scores[k]), 4),
            "class": _class_name(int(instances.class_ids[k]), config),
            "box": instances.boxes[k].astype(int).tolist(),
            "area": int(instances.areas[k]),
        }
        for k in range(len(instances))
    ]
    return {
        "image": {"file": frame.path.name, "width": width, "height": height},
        "model": {"name": config.name, "version": config.version},
        "objects": objects,
    }


def _class_name(class_id: int, config: BundleConfig) -> str | None:
    return config.classes[class_id] if 0 <= class_id < len(config.classes) else None


def _versions() -> dict[str, str]:
    return {
        "saom_ros": saom_ros.__version__,
        "python": platform.python_version(),
        "numpy": np.__version__,
        "opencv": cv2.__version__,
    }


def _facts(folder: Path, config: BundleConfig) -> dict[str, str]:
    size = sum(path.stat().st_size for path in Path(folder).iterdir() if path.is_file())
    thresholds = ", ".join(f"{name} {value:g}" for name, value in dataclasses.asdict(config.thresholds).items())
    return {
        "model": f"{config.name} {config.version} ({config.family}, {config.decoding} decoding)",
        "input": f"{config.input.width} x {config.input.height} px",
        "grid": f"{config.grid.rows} x {config.grid.cols} points, at most {config.max_prompts} prompted",
        "instances": f"at most {config.max_instances}",
        "classes": f"{len(config.classes)}" if config.classes else "none",
        "thresholds": thresholds,
        "licence": config.licence,
        "size": f"{size / 1e6:.1f} MB, checksums of {len(config.files)} files are right",
    }


class _Progress:
    """One line on a terminal that says how far along we are; silent for a single image and off a terminal."""

    WIDTH = 24

    def __init__(self, total: int, stream: TextIO) -> None:
        self._total, self._stream = total, stream
        self._shown = total > 1 and stream.isatty()
        self._start, self._last, self._steps = time.monotonic(), 0.0, 0

    def step(self, name: str) -> None:
        """One more frame is done."""
        self._steps += 1
        now = time.monotonic()
        if not self._shown or (now - self._last < 0.1 and self._steps < self._total):
            return
        self._last = now
        rate = self._steps / max(now - self._start, 1e-9)
        total = max(self._total, self._steps)  # a video's header may announce too few
        left = (total - self._steps) / rate
        bar = "#" * (self.WIDTH * self._steps // total)
        line = f"[{bar:<{self.WIDTH}}] {self._steps}/{total}  {rate:.1f}/s  {left:.0f} s left  {name}"
        self._stream.write(f"\r\x1b[K{line[:100]}")
        self._stream.flush()

    def report(self, message: str) -> None:
        """Print a message on a line of its own."""
        self._stream.write(f"\r\x1b[K{message}\n" if self._shown else f"{message}\n")

    def close(self) -> None:
        """End the line."""
        if self._shown:
            self._stream.write("\n")
