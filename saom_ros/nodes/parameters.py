"""Parameters of the nodes: one dataclass per node, from which ROS parameters are declared and checked.

A field's metadata (`_parameter`) holds what `ros2 param describe` shows and what a value is checked against. The module
is plain Python; `declare` below is the only function that talks to an rclpy node.
"""

from __future__ import annotations

import dataclasses
import difflib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from saom_ros.bundle import Thresholds
from saom_ros.errors import SaomError
from saom_ros.nodes.images import COLOR_ENCODINGS
from saom_ros.runtimes import AUTO, RUNTIMES
from saom_ros.segmenter import DEFAULT_MIN_AREA

CONTINUOUS, ON_DEMAND = "continuous", "on_demand"
"""Modes: every frame that somebody wants, or only what `~/trigger` asks for."""

BACKGROUND, WAIT, NEVER = "background", "wait", "never"
"""When the node builds a TensorRT engine."""

RAW, COMPRESSED = "raw", "compressed"
"""Transports of the images that come in."""

FROM_BUNDLE = -1.0
"""Value of a threshold parameter that stands for the model bundle's own threshold."""


class ParameterError(SaomError):
    """A parameter has a value that it cannot take."""


@dataclass(frozen=True)
class Limits:
    """What the values of one parameter must keep to, beside their type."""

    description: str
    """Shown by `ros2 param describe`."""
    lowest: float | None = None
    """Smallest value of a number; the range is closed."""
    highest: float | None = None
    """Largest value of a number."""
    choices: tuple[str, ...] = ()
    """The strings that are allowed; empty = any."""
    live: bool = False
    """Whether a configured node takes a new value; otherwise it is read when the node configures."""
    read_only: bool = False
    """Whether it can only be given at the start of the process."""


def _parameter(default: Any, description: str, **limits: Any) -> Any:
    return dataclasses.field(default=default, metadata={"limits": Limits(description, **limits)})


@dataclass(frozen=True)
class SegmentParameters:
    """Parameters of `segment_node`."""

    model: str = _parameter("", "Folder of the model bundle; empty: the bundle that ships with saom_ros")
    runtime: str = _parameter(
        AUTO, "Inference runtime; auto: the best one found on this machine", choices=(AUTO, *RUNTIMES)
    )
    engine_build: str = _parameter(
        BACKGROUND,
        "TensorRT engine where there is none yet (runtime auto or tensorrt). background: run at once on another "
        "runtime, build beside it, swap between two frames; wait: configure when it is built, after minutes; never: do "
        "not build",
        choices=(BACKGROUND, WAIT, NEVER),
    )
    engine_cache: str = _parameter(
        "", "Folder of TensorRT engines; empty: saom_ros/engines in the user's cache ($XDG_CACHE_HOME)"
    )
    threads: int = _parameter(0, "CPU threads for inference; 0: as many as the runtime likes", lowest=0, highest=1024)
    mode: str = _parameter(
        CONTINUOUS,
        "continuous: segment every frame in time; on_demand: only the next frame after a call of ~/trigger",
        choices=(CONTINUOUS, ON_DEMAND),
        live=True,
    )
    max_rate: float = _parameter(
        0.0,
        "Segment at most this many frames per second (Hz); 0: every frame in time",
        lowest=0,
        highest=1000,
        live=True,
    )
    score_threshold: float = _parameter(
        FROM_BUNDLE, "Leave out objects with a lower score, 0..1; -1: the bundle's own", lowest=-1, highest=1, live=True
    )
    objectness_threshold: float = _parameter(
        FROM_BUNDLE,
        "Ask only grid points that are at least this promising, 0..1; -1: the bundle's own",
        lowest=-1,
        highest=1,
        live=True,
    )
    overlap_threshold: float = _parameter(
        FROM_BUNDLE,
        "Of two masks that overlap more than this keep the better one, 0..1; -1: the bundle's own",
        lowest=-1,
        highest=1,
        live=True,
    )
    min_area: int = _parameter(
        DEFAULT_MIN_AREA,
        "Leave out objects with fewer visible pixels than this",
        lowest=1,
        highest=2**31 - 1,
        live=True,
    )
    track: bool = _parameter(
        True, "Keep the ids of objects from frame to frame; false: number the objects of each frame anew", live=True
    )
    points_stride: int = _parameter(
        1, "~/points has a point for every n-th pixel of every n-th row", lowest=1, highest=64, live=True
    )
    sync_tolerance: float = _parameter(
        0.02,
        "Largest difference of the stamps of image and depth (s); 0: equal stamps only",
        lowest=0,
        highest=10,
        live=True,
    )
    trigger_timeout: float = _parameter(
        5.0, "How long a call of ~/trigger waits for its mask (s)", lowest=0.1, highest=3600, live=True
    )
    image_transport: str = _parameter(
        RAW,
        "raw: sensor_msgs/Image; compressed: sensor_msgs/CompressedImage on the image topic's name + /compressed",
        choices=(RAW, COMPRESSED),
    )
    cameras: tuple[str, ...] = _parameter(
        ("",),
        "Names of the cameras that share the model: [front, wrist] reads front/image and writes ~/front/instance_mask; "
        "['']: one camera without a name",
    )
    autostart: bool = _parameter(
        True, "Configure and activate by itself; false: wait for a lifecycle manager", read_only=True
    )

    def __post_init__(self) -> None:
        _check_cameras(self.cameras)
        for name, value in self._thresholds().items():
            if FROM_BUNDLE < value < 0.0:
                raise ParameterError(
                    f"{name}_threshold is {value}; it must lie in 0..1, or be -1 for the bundle's own threshold"
                )

    def thresholds(self, of_bundle: Thresholds) -> Thresholds:
        """The thresholds to run with: the parameter where it is given, else the bundle's own."""
        given = {name: value for name, value in self._thresholds().items() if value != FROM_BUNDLE}
        return dataclasses.replace(of_bundle, **given)

    def _thresholds(self) -> dict[str, float]:
        return {field.name: getattr(self, f"{field.name}_threshold") for field in dataclasses.fields(Thresholds)}


@dataclass(frozen=True)
class ImageSourceParameters:
    """Parameters of `image_source_node`; all are read once, at its start."""

    source: str = _parameter(
        "sample", "What to play: sample, a folder of images, an image, a video, or camera:N", read_only=True
    )
    rate: float = _parameter(
        0.0,
        "Images per second (Hz); 0: a video's or camera's own rate, 10 for pictures",
        lowest=0,
        highest=1000,
        read_only=True,
    )
    loop: bool = _parameter(
        True, "Start again after the last image; false: wait for a subscriber, play once, exit with 0", read_only=True
    )
    frame_id: str = _parameter("camera", "frame_id of the images' headers", read_only=True)
    encoding: str = _parameter("rgb8", "Encoding of the images", choices=COLOR_ENCODINGS, read_only=True)


_KINDS = {bool: "true or false", int: "an integer", float: "a number", str: "text", tuple: "a list of texts"}

Parameters = TypeVar("Parameters", SegmentParameters, ImageSourceParameters)


def limits_of(cls: type) -> dict[str, Limits]:
    """Parameter name -> its limits."""
    return {field.name: field.metadata["limits"] for field in dataclasses.fields(cls)}


def checked(cls: type, name: str, value: Any) -> Any:
    """The value as the parameter stores it (an integer becomes a float where one is due), or `ParameterError`."""
    kind: Any = type(getattr(cls, name))  # of the default
    limits = limits_of(cls)[name]
    if kind is float and type(value) is int:
        value = float(value)
    if kind is tuple and isinstance(value, (list, tuple)) and all(type(item) is str for item in value):
        value = tuple(value)
    if type(value) is not kind:
        raise ParameterError(f"{name} is {value!r} ({type(value).__name__}); it must be {_KINDS[kind]}")
    if limits.lowest is not None and limits.highest is not None and not limits.lowest <= value <= limits.highest:
        raise ParameterError(f"{name} is {value}; it must lie in {limits.lowest}..{limits.highest}")
    if limits.choices and value not in limits.choices:
        raise ParameterError(f"{name} is {value!r}; expected one of {', '.join(limits.choices)}")
    return value


def changed(current: Parameters, values: Mapping[str, Any], configured: bool) -> Parameters:
    """`current` with some values replaced; `ParameterError` when one is wrong or cannot change now.

    Names that are no parameters of the dataclass are left to ROS (`use_sim_time`).
    """
    cls = type(current)
    new = {name: checked(cls, name, value) for name, value in values.items() if name in limits_of(cls)}
    for name, value in new.items():
        if configured and not limits_of(cls)[name].live and value != getattr(current, name):
            raise ParameterError(
                f"{name} is read when the node configures and cannot change while it is configured: deactivate and "
                "clean up the node first (ros2 lifecycle set NODE deactivate, then cleanup), then set it and configure"
            )
    return dataclasses.replace(current, **new)


def resolve(cls: type[Parameters], overrides: Mapping[str, Any]) -> tuple[Parameters, dict[str, str]]:
    """Parameters from the values given at start, and for each name whose value cannot be used the reason.

    A wrong value leaves its default in place, so that a node can come up and say what is wrong.
    """
    values: dict[str, Any] = {}
    problems: dict[str, str] = {}
    for name in limits_of(cls):
        if name not in overrides:
            continue
        try:
            value = checked(cls, name, overrides[name])
            cls(**{name: value})
        except ParameterError as error:
            problems[name] = str(error)
        else:
            values[name] = value
    return cls(**values), problems


def _check_cameras(names: tuple[str, ...]) -> None:
    """Camera names become parts of topic names; they must differ, and one without a name must be the only one."""
    if not names:
        raise ParameterError("cameras is empty; name at least one camera, or [''] for a single one without a name")
    for name in names:
        if not re.fullmatch(r"[A-Za-z][A-Za-z0-9]*(_[A-Za-z0-9]+)*", name) and names != ("",):
            raise ParameterError(
                f"cameras has {name!r}; a name must begin with a letter and have letters, digits and single _ only"
            )
    if len(set(names)) < len(names):
        raise ParameterError(f"cameras is {list(names)}; each name may be there once")


ROS_PARAMETERS = ("use_sim_time", "start_type_description_service")
"""Parameters that rclpy declares on every node."""


def unknown_names(cls: type, given: Iterable[str]) -> list[str]:
    """One line for each given name that is no parameter of the dataclass, with the likely right name."""
    known = [*limits_of(cls), *ROS_PARAMETERS]
    lines = []
    for name in sorted(set(given) - set(known)):
        if name.startswith("qos_overrides."):
            continue
        close = difflib.get_close_matches(name, known, n=1)
        mend = f"did you mean {close[0]}?" if close else f"expected one of {', '.join(limits_of(cls))}"
        lines.append(f"unknown parameter {name!r} is ignored; {mend}")
    return lines


def declare(node: Any, values: SegmentParameters | ImageSourceParameters) -> None:
    """Declare one ROS parameter per field on an rclpy node, with description, range and the given values."""
    from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor

    for name, limits in limits_of(type(values)).items():
        value = getattr(values, name)
        value = list(value) if isinstance(value, tuple) else value
        descriptor = ParameterDescriptor(description=limits.description, read_only=limits.read_only)
        if limits.choices:
            descriptor.additional_constraints = f"one of {', '.join(limits.choices)}"
        if limits.lowest is not None and limits.highest is not None:
            if isinstance(value, float):
                descriptor.floating_point_range = [
                    FloatingPointRange(from_value=float(limits.lowest), to_value=float(limits.highest))
                ]
            else:
                descriptor.integer_range = [IntegerRange(from_value=int(limits.lowest), to_value=int(limits.highest))]
        node.declare_parameter(name, value, descriptor, ignore_override=True)
