"""Image messages as cameras send them, made without the code under test and without rclpy."""

from array import array
from types import SimpleNamespace

import numpy as np


def message(pixels: np.ndarray, encoding: str, padding: int = 0, big_endian: bool = False) -> SimpleNamespace:
    """A `sensor_msgs/Image` of values (H, W) or (H, W, C): rows one after the other, each followed by padding bytes."""
    height, width = pixels.shape[:2]
    wire = pixels.astype(pixels.dtype.newbyteorder(">" if big_endian else "<"))
    rows = [row.tobytes() + b"\xee" * padding for row in wire.reshape(height, -1)]
    return SimpleNamespace(
        height=height,
        width=width,
        encoding=encoding,
        is_bigendian=int(big_endian),
        step=len(rows[0]),
        data=array("B", b"".join(rows)),
    )


def nv_message(luma: np.ndarray, chroma: np.ndarray, encoding: str, padding: int = 0) -> SimpleNamespace:
    """A 4:2:0 image: luma (H, W) and one row of chroma (H / 2, W) for two rows of pixels below it."""
    image = message(np.concatenate([luma, chroma]), encoding, padding)
    image.height = len(luma)
    return image


def compressed(content: bytes, image_format: str = "jpeg") -> SimpleNamespace:
    """A `sensor_msgs/CompressedImage`."""
    return SimpleNamespace(format=image_format, data=array("B", content))
