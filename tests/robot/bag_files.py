"""Recordings for tests, written with rosbags alone: none of the code under test, no rclpy."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from rosbags.highlevel import AnyReader
from rosbags.interfaces import Qos, QosDurability, QosHistory, QosLiveliness, QosReliability, QosTime
from rosbags.rosbag2 import Reader, StoragePlugin, Writer
from rosbags.typesys import Stores, get_typestore
from tiny_bundle import BACKGROUND, color_blocks

STORE = get_typestore(Stores.ROS2_JAZZY)
TYPES = {name.rpartition("/")[2]: STORE.types[name] for name in STORE.types if name.startswith("sensor_msgs/msg/")}
NEVER = QosTime(9223372036, 854775807)
SENSOR_QOS = Qos(
    QosHistory.KEEP_LAST,
    5,
    QosReliability.BEST_EFFORT,
    QosDurability.VOLATILE,
    NEVER,
    NEVER,
    QosLiveliness.AUTOMATIC,
    NEVER,
    False,
)

HEIGHT, WIDTH = 96, 128
START, PERIOD = 1_700_000_000_000_000_000, 100_000_000
"""Nanoseconds."""


def header(stamp: int, frame_id: str = "camera"):
    """`stamp` in nanoseconds."""
    time = STORE.types["builtin_interfaces/msg/Time"](*divmod(stamp, 10**9))
    return STORE.types["std_msgs/msg/Header"](time, frame_id)


def image(pixels: np.ndarray, stamp: int, encoding: str = "rgb8", frame_id: str = "camera"):
    """`sensor_msgs/Image` of pixels (H, W) or (H, W, C)."""
    content = np.frombuffer(np.ascontiguousarray(pixels).tobytes(), np.uint8)
    height, width = pixels.shape[:2]
    return TYPES["Image"](header(stamp, frame_id), height, width, encoding, 0, len(content) // height, content)


def compressed_image(content: bytes, stamp: int, image_format: str = "jpeg"):
    return TYPES["CompressedImage"](header(stamp), image_format, np.frombuffer(content, np.uint8))


def camera_info(width: int, height: int, focal: float, stamp: int = 0):
    region = TYPES["RegionOfInterest"](0, 0, 0, 0, False)
    k = np.array([focal, 0, width / 2, 0, focal, height / 2, 0, 0, 1], float)
    return TYPES["CameraInfo"](
        header(stamp), height, width, "plumb_bob", np.zeros(5), k, np.eye(3).ravel(), np.zeros(12), 0, 0, region
    )


def blocks(shift: int = 0) -> np.ndarray:
    """The four coloured blocks, moved to the right by `shift` px: RGB uint8 (H, W, 3)."""
    moved = np.roll(color_blocks(HEIGHT, WIDTH)[0], shift, axis=1)
    moved[:, :shift] = BACKGROUND
    return moved


def frames(count: int = 3, topic: str = "/camera/image", delay: int = 3_000_000) -> list[tuple[str, int, object]]:
    """Images that were recorded `delay` ns after their stamps."""
    stamps = [START + k * PERIOD for k in range(count)]
    return [(topic, stamp + delay, image(blocks(4 * k), stamp)) for k, stamp in enumerate(stamps)]


def write_bag(path: Path, messages: list[tuple[str, int, object]], storage: str = "MCAP", version: int = 9) -> Path:
    """A recording of (topic, time in ns, message or raw bytes of an image)."""
    with Writer(path, version=version, storage_plugin=StoragePlugin[storage]) as writer:
        connections = {}
        for topic, time, message in messages:
            raw = isinstance(message, bytes)
            kind = "sensor_msgs/msg/Image" if raw else message.__msgtype__
            if topic not in connections:
                connections[topic] = writer.add_connection(
                    topic, kind, typestore=STORE, offered_qos_profiles=[SENSOR_QOS]
                )
            writer.write(connections[topic], time, message if raw else STORE.serialize_cdr(message, kind))
    return path


def storage_file(path: Path) -> Path:
    """The one file of a recording with its messages."""
    (file,) = [file for file in path.iterdir() if file.suffix in (".mcap", ".db3")]
    return file


def read_raw(path: Path) -> dict[str, list[tuple[int, bytes]]]:
    """Time and content of all messages by topic."""
    found: dict[str, list[tuple[int, bytes]]] = {}
    with Reader(path) as reader:
        for connection, time, content in reader.messages():
            found.setdefault(connection.topic, []).append((time, bytes(content)))
    return found


def messages(path: Path, topic: str) -> list[tuple[int, object]]:
    """Time and message of a topic, decoded by the definitions that the recording holds."""
    with AnyReader([path]) as reader:
        wanted = [connection for connection in reader.connections if connection.topic == topic]
        return [(time, reader.deserialize(raw, c.msgtype)) for c, time, raw in reader.messages(wanted) if wanted]


def labels(mask) -> np.ndarray:
    """Object ids uint16 (H, W) of a mask image."""
    assert (mask.encoding, mask.step, mask.is_bigendian) == ("mono16", 2 * mask.width, 0)
    return np.frombuffer(mask.data, "<u2").reshape(mask.height, mask.width)
