"""rosbag2 recordings (sqlite3 or MCAP) read and written without ROS, by the library `rosbags` of the extra `[bag]`.

Messages are decoded with definitions of our own, which a recording must agree with; so nothing has to be known of its
other topics. What is written gets its name only once it is complete. `rosbags` is imported when it is used.
"""

from __future__ import annotations

import functools
import shutil
import sys
from array import array
from collections import deque
from collections.abc import Callable, Collection, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace, TracebackType
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from saom_ros.errors import ImageError, SaomError

if TYPE_CHECKING:
    from rosbags.interfaces import Connection, Qos
    from rosbags.rosbag2 import Reader
    from rosbags.typesys.store import Typestore

IMAGE, COMPRESSED_IMAGE = "sensor_msgs/msg/Image", "sensor_msgs/msg/CompressedImage"
CAMERA_INFO, POINT_CLOUD = "sensor_msgs/msg/CameraInfo", "sensor_msgs/msg/PointCloud2"
DETECTIONS, LABEL_INFO = "vision_msgs/msg/Detection2DArray", "vision_msgs/msg/LabelInfo"

# vision_msgs 4 (Humble and later); rosbags brings the common interfaces only.
VISION_DEFINITIONS = {
    "Point2D": "float64 x\nfloat64 y",
    "Pose2D": "vision_msgs/Point2D position\nfloat64 theta",
    "BoundingBox2D": "vision_msgs/Pose2D center\nfloat64 size_x\nfloat64 size_y",
    "ObjectHypothesis": "string class_id\nfloat64 score",
    "ObjectHypothesisWithPose": "vision_msgs/ObjectHypothesis hypothesis\ngeometry_msgs/PoseWithCovariance pose",
    "Detection2D": "std_msgs/Header header\nvision_msgs/ObjectHypothesisWithPose[] results\n"
    "vision_msgs/BoundingBox2D bbox\nstring id",
    "Detection2DArray": "std_msgs/Header header\nvision_msgs/Detection2D[] detections",
    "VisionClass": "uint16 class_id\nstring class_name",
    "LabelInfo": "std_msgs/Header header\nvision_msgs/VisionClass[] class_map\nfloat32 threshold",
}

METADATA_VERSION: Final = 8
"""Version 9 (Jazzy) writes QoS in a way that older distributions cannot read."""

COMPRESSION_LEVEL = 1
"""Of zstd. The library's own choice, 3, takes three times as long for an image of 1280x720 px (33 ms of one core, not
11), a quarter of the time of segmenting it, for 76 % of its size instead of 83 %."""

PENDING_MESSAGES = 16
"""Messages that may wait to be written, so that a slow disk fills no memory."""

FOREVER = (9223372036, 854775807)
"""Seconds and nanoseconds that stand for an infinite time in QoS."""


class Record(NamedTuple):
    """One recorded message."""

    topic: str
    time: int
    """When it was recorded, in nanoseconds."""
    content: bytes | memoryview
    """Serialised (CDR)."""


@dataclass(frozen=True)
class Topic:
    """One topic of a recording."""

    name: str
    type: str
    """Such as `sensor_msgs/msg/Image`."""
    count: int
    """Messages that the recording announces."""
    qos: tuple[Qos, ...]
    """As its publisher offered it."""


class MessageTypes:
    """The messages that are read and written: makes, encodes and decodes them."""

    def __init__(self) -> None:
        """Raises `SaomError` where `rosbags` is not installed."""
        _check_rosbags()
        from rosbags.typesys import Stores, get_types_from_msg, get_typestore

        self.store: Typestore = get_typestore(Stores.ROS2_HUMBLE)
        types = {}
        for name, definition in VISION_DEFINITIONS.items():
            types.update(get_types_from_msg(definition, f"vision_msgs/msg/{name}"))
        self.store.register(types)
        self._blanks: dict[str, dict[str, Callable[[], Any]]] = {}  # by type and field; an image has dozens of messages
        self.vision = SimpleNamespace(**{name: self.maker(f"vision_msgs/msg/{name}") for name in VISION_DEFINITIONS})
        """Stands in for the module `vision_msgs.msg`."""

    def maker(self, kind: str) -> Any:
        """What stands in for the class of a message type: takes fields as keywords, the others are zero or empty."""
        return lambda **fields: self.new(kind, **fields)

    def new(self, kind: str, **fields: Any) -> Any:
        """A message; fields that are not given are zero or empty. `uint8[]` is an `array`, as in rclpy."""
        blanks = self._blanks.get(kind)
        if blanks is None:
            described = self.store.fielddefs[kind][1]
            blanks = self._blanks[kind] = {name: self._blank(*description) for name, description in described}
        values = {name: fields[name] if name in fields else make() for name, make in blanks.items()}
        return self.store.types[kind](**values)

    def encode(self, kind: str, message: Any) -> memoryview:
        """A message in CDR."""
        if isinstance(getattr(message, "data", None), array):
            message.data = np.asarray(message.data)  # a view: rosbags wants an array of NumPy
        return self.store.serialize_cdr(message, kind)

    def decode(self, kind: str, content: bytes | memoryview) -> Any:
        """A message from CDR; its arrays are views of `content`. Raises `ImageError` for what is no such message."""
        try:
            return self.store.deserialize_cdr(content, kind)
        except Exception as error:  # a parser of untrusted bytes: it raises whatever it stumbles over
            raise ImageError(f"message of {len(content)} bytes is no {kind}: {error or type(error).__name__}") from None

    def agrees(self, kind: str, connection: Connection) -> bool:
        """Whether a recorded topic's definition of a type is the one that we know; so where it has none."""
        from rosbags.interfaces import MessageDefinitionFormat
        from rosbags.typesys import Stores, get_types_from_msg, get_typestore

        if connection.digest:
            return connection.digest == self.store.hash_rihs01(kind)
        if connection.msgdef.format != MessageDefinitionFormat.MSG:
            return True
        recorded = get_typestore(Stores.EMPTY)
        try:
            recorded.register(get_types_from_msg(connection.msgdef.data, kind))
            return recorded.hash_rihs01(kind) == self.store.hash_rihs01(kind)
        except Exception:  # a definition that cannot be parsed
            return False

    def _blank(self, node: int, description: Any) -> Callable[[], Any]:
        """What makes the zero or empty value of a field."""
        from rosbags.interfaces import Nodetype

        if node == Nodetype.NAME:
            return lambda: self.new(description)
        if node == Nodetype.BASE:
            value = {"string": "", "bool": False, "float32": 0.0, "float64": 0.0}.get(description[0], 0)
            return lambda: value
        (inner, element), length = description
        if inner == Nodetype.NAME or element[0] == "string":
            make = self._blank(inner, element)
            return lambda: [make() for _ in range(length)]
        if (node, element[0]) == (Nodetype.SEQUENCE, "uint8"):
            return lambda: array("B")
        return lambda: np.zeros(length, element[0])


class BagReader(AbstractContextManager["BagReader"]):
    """A recording to read: a rosbag2 folder, or one of its .mcap or .db3 files."""

    def __init__(self, path: Path, types: MessageTypes) -> None:
        """Open it; raises `SaomError` where there is nothing that can be read."""
        self.path, self._types = path, types
        self._reader = _open_reader(path)
        self.topics: dict[str, Topic] = {}
        """By name."""
        self._connections: dict[str, list[Connection]] = {}
        try:
            self._read_topics()
            self.start = int(self._reader.start_time)
            """When the first message was recorded, in nanoseconds."""
        except Exception as error:
            raise _unreadable(path, error) from None

    def __exit__(self, *_: object) -> None:
        with suppress(Exception):  # of a damaged recording; what could be read was read
            self._reader.close()

    def check_type(self, topic: str) -> None:
        """Raise `SaomError` where a topic has another definition of its message type than the one that we know."""
        for connection in self._connections[topic]:
            if not self._types.agrees(self.topics[topic].type, connection):
                raise SaomError(
                    f"{self.path}: the message definition of {topic} is not the {connection.msgtype} of ROS 2; "
                    "record it with the standard message package"
                )

    def records(self, topics: Collection[str]) -> Iterator[Record]:
        """The messages of these topics in the order of their times. Raises `SaomError` at a damaged place."""
        wanted = [connection for topic in topics for connection in self._connections[topic]]
        messages = self._reader.messages(wanted)
        while True:
            try:
                connection, time, content = next(messages)
            except StopIteration:
                return
            except Exception as error:
                raise _unreadable(self.path, error) from None
            if time < 0:
                raise _unreadable(self.path, ValueError(f"a message has the time {time} ns"))
            yield Record(connection.topic, time, content)

    def first(self, topic: str) -> Record | None:
        """The first message of a topic, if it has one."""
        return next(self.records([topic]), None)

    def decode(self, record: Record) -> Any:
        """The message of a record; raises `ImageError` where it cannot be decoded."""
        return self._types.decode(self.topics[record.topic].type, record.content)

    def _read_topics(self) -> None:
        for connection in sorted(self._reader.connections, key=lambda c: c.topic):
            self._connections.setdefault(connection.topic, []).append(connection)
        for name, connections in self._connections.items():
            first: Any = connections[0]  # its `ext` differs between ROS 1 and 2
            count = sum(connection.msgcount for connection in connections)
            self.topics[name] = Topic(name, first.msgtype, count, tuple(first.ext.offered_qos_profiles))


class BagWriter(AbstractContextManager["BagWriter"]):
    """A rosbag2 folder to write: MCAP storage with compressed chunks (zstd), compressed in a thread of its own.

    It is built in `NAME.part` beside its place and moved there at the end of the `with` block; an exception removes it.
    """

    def __init__(self, path: Path, types: MessageTypes, facts: dict[str, str]) -> None:
        """Begin; raises `SaomError` where something is in the way. `facts`: custom data of its metadata."""
        from rosbags.rosbag2 import CompressionFormat, CompressionMode, StoragePlugin, Writer

        _check_target(path)
        self._path, self._part = path, _part(path)
        self._types = types
        self._part.mkdir(parents=True)
        self._writer = Writer(self._part / path.name, version=METADATA_VERSION, storage_plugin=StoragePlugin.MCAP)
        self._writer.set_compression(CompressionMode.STORAGE, CompressionFormat.ZSTD)
        for key, value in facts.items():
            self._writer.set_custom_data(key, value)
        self._writer.open()
        storage: Any = self._writer.storage
        storage.compressor = functools.partial(storage.compressor, level=COMPRESSION_LEVEL)
        self._connections: dict[str, Connection] = {}
        self._thread = ThreadPoolExecutor(1, "bag writer")
        self._pending: deque[Future[None]] = deque()

    def __exit__(self, kind: type[BaseException] | None, _: BaseException | None, __: TracebackType | None) -> None:
        try:
            self._thread.shutdown(cancel_futures=kind is not None)
            if kind is None:
                for write in self._pending:
                    write.result()
                self._writer.close()
                (self._part / self._path.name).rename(self._path)
            else:
                self._writer.abort()
        finally:
            shutil.rmtree(self._part, ignore_errors=True)

    def add_topic(self, name: str, kind: str, qos: Collection[Qos]) -> None:
        """A topic to write, with the definition of its type; raises `SaomError` for a second one of that name."""
        if name in self._connections:
            raise SaomError(f"topic {name} would be written twice: it is an input and a result")
        self._connections[name] = self._writer.add_connection(
            name, kind, typestore=self._types.store, offered_qos_profiles=list(qos)
        )

    def copy(self, record: Record) -> None:
        """Write a message as it was recorded."""
        self._write(self._connections[record.topic], record.time, record.content)

    def write(self, topic: str, time: int, message: Any) -> None:
        """Write a message; `time` in nanoseconds."""
        connection = self._connections[topic]
        self._write(connection, time, self._types.encode(connection.msgtype, message))

    def _write(self, connection: Connection, time: int, content: bytes | memoryview) -> None:
        """Leave a message to the thread; raises what an earlier one raised there."""
        while self._pending and (self._pending[0].done() or len(self._pending) >= PENDING_MESSAGES):
            self._pending.popleft().result()
        self._pending.append(self._thread.submit(self._writer.write, connection, time, content))


def reliable_qos(depth: int, latched: bool = False) -> Qos:
    """Reliable, keep-last QoS; `latched`: whoever comes later still gets it (transient local)."""
    from rosbags.interfaces import Qos, QosDurability, QosHistory, QosLiveliness, QosReliability, QosTime

    return Qos(
        history=QosHistory.KEEP_LAST,
        depth=depth,
        reliability=QosReliability.RELIABLE,
        durability=QosDurability.TRANSIENT_LOCAL if latched else QosDurability.VOLATILE,
        deadline=QosTime(*FOREVER),
        lifespan=QosTime(*FOREVER),
        liveliness=QosLiveliness.AUTOMATIC,
        liveliness_lease_duration=QosTime(*FOREVER),
        avoid_ros_namespace_conventions=False,
    )


def _check_rosbags() -> None:
    try:
        import rosbags.rosbag2  # noqa: F401
    except ImportError as error:
        raise SaomError(
            f"bags need the library rosbags ({error}): pip install 'saom_ros[bag]', with the pip of {sys.executable}"
        ) from None


def _open_reader(path: Path) -> Reader:
    from rosbags.rosbag2 import Reader

    _check_source(path)
    try:
        reader = Reader(path)
        reader.open()
    except PermissionError:
        raise
    except Exception as error:
        raise _unreadable(path, error) from None
    return reader


def _check_source(path: Path) -> None:
    """Say what is wrong with a path before the library does."""
    if not path.exists():
        raise SaomError(f"{path}: no such file or folder")
    if path.is_file() and path.suffix == ".bag":
        raise SaomError(f"{path}: is a recording of ROS 1; convert it: rosbags-convert --src {path} --dst FOLDER")
    if path.is_file() and path.suffix not in (".mcap", ".db3"):
        raise SaomError(f"{path}: is no recording; expected a rosbag2 folder, or one of its .mcap or .db3 files")
    if path.is_dir() and not (path / "metadata.yaml").exists():
        raise SaomError(
            f"{path}: has no metadata.yaml, as a recording that was not ended; give its .mcap or .db3 file, or make "
            f"one: ros2 bag reindex {path}"
        )


def _unreadable(path: Path, error: Exception) -> SaomError:
    """What to say about any exception of the library: it reads whatever lies on the disk."""
    reason = " ".join(str(error).split()).rstrip(".") or type(error).__name__
    return SaomError(
        f"{path}: is damaged or not complete: {reason}; copy it again, or recover it (mcap recover, ros2 bag reindex)"
    )


def _check_target(path: Path) -> None:
    if path.exists() or path.is_symlink():
        raise SaomError(f"{path}: exists; choose another name or remove it")
    if path.suffix in (".mcap", ".db3", ".bag"):
        raise SaomError(f"{path}: becomes a rosbag2 folder; name it without {path.suffix}")
    part = _part(path)
    if part.exists() or part.is_symlink():
        raise SaomError(f"{part}: left by a run that was killed, or one that still goes on; remove it first")


def _part(path: Path) -> Path:
    """Where a recording lies while it is being written."""
    return path.with_name(f"{path.name}.part")
