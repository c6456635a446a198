"""A recording segmented as the node would do it live: the node's topics, at the recorded times, into a new recording.

Every image is segmented, none is dropped. From message to message goes the node's own pipeline, so masks and ids are
those that a node gives which gets every image. Neither ROS nor rclpy is needed.
"""

from __future__ import annotations

import dataclasses
from collections import Counter, deque
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

from saom_ros import rosbag2
from saom_ros.errors import ImageError, SaomError
from saom_ros.nodes.depth_images import DEPTH_ENCODINGS
from saom_ros.nodes.detections import label_info_message
from saom_ros.nodes.images import READABLE_ENCODINGS
from saom_ros.nodes.pairing import Pair, Pairing
from saom_ros.nodes.parameters import SegmentParameters, checked, limits_of
from saom_ros.nodes.pipeline import DETECTIONS, MASK, OVERLAY, POINTS, Frame, Messages, Pipeline, Scene, pixel_reader
from saom_ros.nodes.stamps import stamp_of
from saom_ros.rosbag2 import (
    CAMERA_INFO,
    COMPRESSED_IMAGE,
    IMAGE,
    LABEL_INFO,
    POINT_CLOUD,
    BagReader,
    BagWriter,
    MessageTypes,
    Record,
    reliable_qos,
)
from saom_ros.segmenter import Segmenter

NODE = "/segment_node"
"""Results have the names that a node has which nobody renamed."""

RESULT_TYPES = {MASK: IMAGE, DETECTIONS: rosbag2.DETECTIONS, OVERLAY: IMAGE, POINTS: POINT_CLOUD}
"""Types of the results that can be written, by their name."""

LABEL_INFO_TOPIC = f"{NODE}/label_info"

LOOK_AHEAD = 250_000_000
"""Recorded time in nanoseconds that an image waits, so that depth recorded a little later is at hand, too."""


def _option(default: Any, text: str) -> Any:
    return dataclasses.field(default=default, metadata={"help": text})


def _node_parameter(name: str) -> Any:
    return _option(getattr(SegmentParameters, name), limits_of(SegmentParameters)[name].description)


@dataclass(frozen=True)
class BagOptions:
    """What to segment and what to write; the command line's flags are made from the fields."""

    image: str = _option("", "topic of the images (default: the only one with colour images)")
    overlay: bool = _option(False, "write images with the objects drawn over them, too")
    points: bool = _option(False, "write point clouds of the objects, too; needs registered depth and camera_info")
    depth: str = _option("", "topic of the depth images for --points (default: the only one)")
    camera_info: str = _option("", "topic of the camera_info for --points (default: the one beside the images)")
    copy: bool = _option(True, "do not copy the topics that were read; then the results cannot be looked at alone")
    track: bool = _option(True, "number the objects of each image anew instead of keeping their ids")
    points_stride: int = _node_parameter("points_stride")
    sync_tolerance: float = _node_parameter("sync_tolerance")

    def __post_init__(self) -> None:
        for name in ("points_stride", "sync_tolerance"):
            checked(SegmentParameters, name, getattr(self, name))
        if not self.points and (self.depth or self.camera_info):
            raise SaomError("a topic of depth or camera_info is of use for point clouds only: add --points")


@dataclass(frozen=True)
class Inputs:
    """The topics to read."""

    image: str
    depth: str = ""
    """Empty: no clouds are wanted."""
    camera_info: str = ""

    def names(self) -> list[str]:
        """Those that are read."""
        return [name for name in (self.image, self.depth, self.camera_info) if name]


class Outcome(NamedTuple):
    """What became of one image."""

    name: str
    """Topic and time since the start of the recording."""
    objects: int
    problem: str
    """Why it could not be segmented; or empty."""


class Recorded(NamedTuple):
    """A segmented image that waits for its depth."""

    time: int
    scene: Scene


def choose_inputs(reader: BagReader, options: BagOptions) -> Inputs:
    """The topics to read: those that were named, or else those of which there is only one.

    Raises `SaomError` with the candidates where there are several or none, and for a topic that does not fit.
    """
    if not any(topic.count for topic in reader.topics.values()):
        raise SaomError(f"{reader.path}: holds no messages")
    written = {f"{NODE}/{name}" for name in RESULT_TYPES}
    kinds = {name: _kind(reader, name) for name, topic in reader.topics.items() if topic.count}
    colour = [name for name, kind in kinds.items() if kind == "colour" and name not in written]
    # The same pictures twice; the raw ones have no losses.
    colour = [name for name in colour if not name.endswith("/compressed") or _raw(name) not in colour]
    image = _chosen(reader, options.image, (IMAGE, COMPRESSED_IMAGE), colour, "colour image", "--image")
    if not options.points:
        return Inputs(image)
    depths = [name for name, kind in kinds.items() if kind == "depth" and name not in written]
    infos = [name for name in kinds if reader.topics[name].type == CAMERA_INFO]
    beside = _raw(image).rpartition("/")[0] + "/camera_info"
    return Inputs(
        image,
        _chosen(reader, options.depth, (IMAGE,), depths, "depth image", "--depth"),
        _chosen(
            reader,
            options.camera_info,
            (CAMERA_INFO,),
            [beside] if beside in infos else infos,
            "camera_info",
            "--camera-info",
        ),
    )


class BagSegmentation:
    """Segments one recording into another: iterate over `run()`."""

    def __init__(
        self,
        reader: BagReader,
        writer: BagWriter,
        types: MessageTypes,
        segmenter: Segmenter,
        inputs: Inputs,
        options: BagOptions,
    ) -> None:
        """Declares the topics of the new recording."""
        self._reader, self._writer, self._types = reader, writer, types
        self._segmenter, self._inputs, self._options = segmenter, inputs, options
        self._settings = SegmentParameters(
            track=options.track, points_stride=options.points_stride, sync_tolerance=options.sync_tolerance
        )
        wanted = {MASK: True, DETECTIONS: True, OVERLAY: options.overlay, POINTS: options.points}
        self._wanted = frozenset(name for name, asked in wanted.items() if asked)
        image, cloud, field = (types.maker(kind) for kind in (IMAGE, POINT_CLOUD, "sensor_msgs/msg/PointField"))
        self._pipeline = Pipeline(Messages(image, cloud, field, types.vision))
        self._pairing: Pairing[Recorded, Any] = Pairing(options.sync_tolerance)
        self._waiting: deque[tuple[Record, Any]] = deque()  # images with the camera_info of their time
        self._info: Any = None
        self.clouds = 0
        """Point clouds written."""
        self.no_cloud: Counter[str] = Counter()
        """Why images that were segmented, or depth, gave no cloud: reason and how often."""
        self._images = self._scenes = 0
        self._declare()

    def run(self) -> Iterator[Outcome]:
        """Do it; one outcome for each image, in their order."""
        self._write_label_info()
        if self._inputs.camera_info:
            self._info = self._first_camera_info()
        look_ahead = LOOK_AHEAD if self._inputs.depth else 0
        for record in self._reader.records(self._inputs.names()):
            if self._options.copy:
                self._writer.copy(record)
            self._receive(record)
            while self._waiting and self._waiting[0][0].time + look_ahead <= record.time:
                yield self._segment(*self._waiting.popleft())
        while self._waiting:
            yield self._segment(*self._waiting.popleft())
        if unpaired := self._scenes - self._pairing.paired:
            milliseconds = self._options.sync_tolerance * 1e3
            self.no_cloud[f"no image of {self._inputs.depth} has a stamp within {milliseconds:g} ms"] += unpaired

    def _declare(self) -> None:
        results = reliable_qos(depth=5)
        for name in self._inputs.names():
            self._reader.check_type(name)
            if self._options.copy:
                topic = self._reader.topics[name]
                self._writer.add_topic(name, topic.type, topic.qos)
        for name, kind in RESULT_TYPES.items():
            if name in self._wanted:
                self._writer.add_topic(f"{NODE}/{name}", kind, [results])
        self._writer.add_topic(LABEL_INFO_TOPIC, LABEL_INFO, [reliable_qos(depth=1, latched=True)])

    def _receive(self, record: Record) -> None:
        if record.topic == self._inputs.image:
            self._waiting.append((record, self._info))
            return
        try:
            message = self._reader.decode(record)
        except ImageError as error:
            self.no_cloud[f"{record.topic}: {error}"] += 1
            return
        if record.topic == self._inputs.camera_info:
            self._info = message
        else:
            self._make_cloud(self._pairing.add_depth(stamp_of(message.header), message))

    def _segment(self, record: Record, info: Any) -> Outcome:
        """Segment an image and write its results."""
        name = f"{record.topic} at {(record.time - self._reader.start) / 1e9:.3f} s"
        self._images += 1
        try:
            message = self._reader.decode(record)
            frame = Frame(self._images, message.header, pixel_reader(message), self._wanted, info)
            result = self._pipeline.segment(frame, self._segmenter, self._settings)
        except ImageError as error:
            return Outcome(name, 0, f"{name}: {error}")
        segmented = result.segmented
        assert segmented is not None
        self._write(record.time, result.messages)
        if segmented.scene is not None:
            self._scenes += 1
            recorded = Recorded(record.time, segmented.scene)
            self._make_cloud(self._pairing.add_image(stamp_of(message.header), recorded))
        elif segmented.no_cloud:
            without = f"{self._inputs.camera_info}: no message that can be decoded"
            self.no_cloud[without if info is None else segmented.no_cloud] += 1
        return Outcome(name, segmented.objects, "")

    def _write(self, time: int, results: dict[str, Any]) -> None:
        for name, message in results.items():
            self._writer.write(f"{NODE}/{name}", time, message)

    def _write_label_info(self) -> None:
        vision: Any = self._types.vision
        message = label_info_message(vision, self._segmenter.config.classes)
        self._writer.write(LABEL_INFO_TOPIC, self._reader.start, message)

    def _first_camera_info(self) -> Any:
        """For the images that were recorded before any camera_info was."""
        record = self._reader.first(self._inputs.camera_info)
        try:
            return None if record is None else self._reader.decode(record)
        except ImageError:
            return None  # counted when its turn comes

    def _make_cloud(self, pair: Pair[Recorded, Any] | None) -> None:
        if pair is None:
            return
        try:
            result = self._pipeline.make_cloud(pair.image.scene, pair.depth, self._options.points_stride)
        except ImageError as error:
            self.no_cloud[str(error)] += 1
            return
        self._write(pair.image.time, result.messages)
        self.clouds += 1


def _raw(topic: str) -> str:
    """The topic whose images a compressed topic repeats."""
    return topic.removesuffix("/compressed")


def _kind(reader: BagReader, name: str) -> str:
    """What the first message of a topic shows: `colour`, `depth` or an empty string."""
    kind = reader.topics[name].type
    if kind not in (IMAGE, COMPRESSED_IMAGE):
        return ""
    record = reader.first(name)
    try:
        message = reader.decode(record) if record is not None else None
    except ImageError:
        return "colour"  # perhaps only this one is broken
    if message is None:
        return ""
    if kind == COMPRESSED_IMAGE:
        return "" if "compresseddepth" in message.format.lower() else "colour"
    if message.encoding in DEPTH_ENCODINGS:
        return "depth"
    return "colour" if message.encoding in READABLE_ENCODINGS else ""


def _chosen(reader: BagReader, asked: str, types: Collection[str], candidates: list[str], what: str, flag: str) -> str:
    """The topic that was asked for, or the only candidate."""
    if asked:
        topic = reader.topics.get(asked)
        if topic is None or not topic.count:
            raise SaomError(f"{reader.path}: no messages of topic {asked}; {_contents(reader)}")
        if topic.type not in types:
            raise SaomError(f"{reader.path}: {flag} {asked} is {topic.type}; expected {' or '.join(types)}")
        return asked
    if len(candidates) == 1:
        return candidates[0]
    if candidates:
        raise SaomError(
            f"{reader.path}: has {len(candidates)} {what} topics: {', '.join(candidates)}; choose one with {flag}"
        )
    raise SaomError(f"{reader.path}: has no {what} topic that could be told by itself; {_contents(reader)}")


def _contents(reader: BagReader) -> str:
    return "it holds " + ", ".join(f"{topic.name} ({topic.type})" for topic in reader.topics.values() if topic.count)
