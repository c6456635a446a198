"""JPEG and PNG bytes to pixels, with what a robot must not decode refused before it is decoded.

The header's size is checked first, because a few kilobytes can announce gigabytes; files cut short are refused because
some versions of OpenCV fill what is missing with grey. EXIF orientation is ignored, as a camera driver does.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import cv2
import numpy as np
from numpy.typing import NDArray

from saom_ros.bit_depth import eight_bit
from saom_ros.errors import ImageError
from saom_ros.segmenter import MAX_PIXELS

_PNG_START = b"\x89PNG\r\n\x1a\n"
_JPEG_START = b"\xff\xd8\xff"
_JPEG_MARKER = re.compile(rb"\xff([^\x00\xff])", re.DOTALL)  # any number of 0xFF before it needs no repetition here
_JPEG_SCAN, _JPEG_END = 0xDA, 0xD9
_JPEG_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
"""Markers of the segments that hold the size (ITU-T T.81, table B.1)."""
_MOST_JPEG_SEGMENTS = 1000
"""A picture has a dozen before its pixels; damaged bytes may look like hundreds of thousands."""


def is_jpeg_png(content: bytes) -> bool:
    """Whether the bytes begin as a JPEG or PNG does."""
    return content.startswith((_PNG_START, _JPEG_START))


def check_jpeg_png(content: bytes, name: str) -> None:
    """Raise `ImageError`, which starts with `name`, unless the bytes begin as a JPEG or PNG of a size to be decoded.

    Decodes nothing: costs microseconds.
    """
    if not content:
        raise ImageError(f"{name} is empty (0 bytes): check the publisher")
    if content.startswith(_PNG_START):
        size = _png_size(content)
    elif content.startswith(_JPEG_START):
        size = _jpeg_size(content)
    else:
        raise ImageError(
            f"{name} is neither JPEG nor PNG: it starts with the bytes {content[:4].hex(' ')}: "
            "let the publisher compress to one of them"
        )
    if size is None:
        raise ImageError(f"{name} is truncated or corrupt: its {len(content)} bytes hold no picture's size")
    width, height = size
    if width == 0 or height == 0:
        raise ImageError(f"{name} is corrupt: its header says {width}x{height} px")
    if width * height > MAX_PIXELS:
        raise ImageError(
            f"{name} is {width}x{height} px by its header, above the limit of {MAX_PIXELS} pixels; scale it down"
        )


def decode_jpeg_png(content: bytes, name: str) -> NDArray[np.uint8]:
    """Pixels of a JPEG or PNG: uint8 RGB `(H, W, 3)`, or `(H, W)` where it is grey.

    Alpha is dropped, 16 bits become 8 (see `bit_depth.eight_bit`). Raises `ImageError`, which starts with `name`, for
    what `check_jpeg_png` refuses and for bytes that are cut short or do not decode. Damage inside the coded pixels of a
    JPEG cannot be told from a picture: the format has no checksum.
    """
    check_jpeg_png(content, name)
    if not _is_complete(content):
        raise ImageError(f"{name} is truncated: {len(content)} bytes without an end marker; send or copy it again")
    flags = cv2.IMREAD_ANYCOLOR | cv2.IMREAD_ANYDEPTH | cv2.IMREAD_IGNORE_ORIENTATION
    try:
        decoded = cv2.imdecode(np.frombuffer(content, np.uint8), flags)
    except cv2.error as error:
        raise ImageError(f"{name} cannot be decoded by OpenCV {cv2.__version__}: {error.err}") from None
    if decoded is None:
        raise ImageError(f"{name} is corrupt: OpenCV {cv2.__version__} cannot decode its {len(content)} bytes")
    pixels = np.asarray(decoded, np.uint8) if decoded.dtype == np.uint8 else eight_bit(np.asarray(decoded, np.uint16))
    return pixels if pixels.ndim == 2 else np.asarray(cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB), np.uint8)


def _png_size(content: bytes) -> tuple[int, int] | None:
    if len(content) < 24 or content[12:16] != b"IHDR":
        return None
    return int.from_bytes(content[16:20], "big"), int.from_bytes(content[20:24], "big")


def _jpeg_size(content: bytes) -> tuple[int, int] | None:
    for marker, start in _jpeg_segments(content):
        if marker in _JPEG_FRAMES and start + 9 <= len(content):
            height, width = content[start + 5 : start + 7], content[start + 7 : start + 9]
            return int.from_bytes(width, "big"), int.from_bytes(height, "big")
    return None


def _is_complete(content: bytes) -> bool:
    if content.startswith(_PNG_START):
        return b"IEND" in content
    # In coded pixels 0xFF is escaped, so the first end marker after the start of the scan is the picture's own, never
    # that of a thumbnail, which lies inside a segment before it.
    return any(marker == _JPEG_SCAN and b"\xff\xd9" in content[start:] for marker, start in _jpeg_segments(content))


def _jpeg_segments(content: bytes) -> Iterator[tuple[int, int]]:
    """Marker and offset of the segments of a JPEG up to its first scan; their lengths lead over what they hold."""
    position = 2
    for _ in range(_MOST_JPEG_SEGMENTS):
        match = _JPEG_MARKER.search(content, position)
        if match is None:
            return
        marker, start = match[1][0], match.start()
        yield marker, start
        if marker in (_JPEG_SCAN, _JPEG_END):
            return
        position = start + 2 + int.from_bytes(content[start + 2 : start + 4], "big")
