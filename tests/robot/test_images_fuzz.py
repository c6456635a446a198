"""Whatever a message says, it gives an array of its size or an `ImageError`, never another exception."""

from array import array
from types import SimpleNamespace

import cv2
import numpy as np
from hypothesis import event, given, settings
from hypothesis import strategies as st
from ros_images import compressed

from saom_ros.errors import ImageError
from saom_ros.nodes.compressed_images import compressed_reader, rgb_from_compressed
from saom_ros.nodes.depth_images import DEPTH_ENCODINGS, check_depth, depth_from_message
from saom_ros.nodes.images import READABLE_ENCODINGS, pixel_reader, rgb_from_message

ANY_SIZE = st.integers(0, 40) | st.sampled_from([2**16, 2**31 - 1, 2**32 - 1])
ANY_ENCODING = st.sampled_from(READABLE_ENCODINGS + DEPTH_ENCODINGS) | st.text(max_size=12)
BYTES = {"rgb8": 3, "bgr8": 3, "rgba8": 4, "bgra8": 4, "mono8": 1, "8UC1": 1, "8UC3": 3, "8UC4": 4, "32FC1": 4}
BYTES |= {"rgb16": 6, "bgr16": 6, "rgba16": 8, "bgra16": 8, "nv12": 1, "nv21": 1}
BYTES |= dict.fromkeys(["bayer_rggb8", "bayer_bggr8", "bayer_gbrg8", "bayer_grbg8"], 1)
"""Per pixel in a row; 2 for all others."""
PICTURE = np.random.default_rng(0).integers(0, 256, (6, 8, 3), dtype=np.uint8)
FILES = [cv2.imencode(suffix, PICTURE)[1].tobytes() for suffix in (".jpg", ".png")]


@st.composite
def messages(draw, encodings):
    """Sound images of every encoding, most of them with a field or two replaced by anything."""
    encoding = draw(st.sampled_from(encodings))
    height, width = 2 * draw(st.integers(2, 5)), 2 * draw(st.integers(2, 5))
    step = width * BYTES.get(encoding, 2) + draw(st.sampled_from([0, 0, 1, 5]))
    size = step * height * (3 if encoding in ("nv12", "nv21") else 2) // 2
    fields = {"height": height, "width": width, "encoding": encoding, "step": step, "size": size}
    anything = {"height": ANY_SIZE, "width": ANY_SIZE, "encoding": ANY_ENCODING, "step": ANY_SIZE}
    anything["size"] = st.integers(0, 600)
    for name in draw(st.lists(st.sampled_from(sorted(anything)), max_size=2)):
        fields[name] = draw(anything[name])
    content = np.random.default_rng(draw(st.integers(0, 9))).bytes(fields.pop("size"))
    return SimpleNamespace(**fields, is_bigendian=draw(st.integers(0, 2)), data=array("B", content))


def outcome(read, check, argument):
    """What reading gives, None where it is refused; the cheap check must have said so before."""
    try:
        check(argument)
    except ImageError:
        refused = True
    else:
        refused = False
    event(f"refused: {refused}")
    try:
        return read(argument), refused
    except ImageError:
        return None, refused


@settings(max_examples=50)
@given(messages(READABLE_ENCODINGS))
def test_an_image_is_read_or_refused(image):
    rgb, refused = outcome(rgb_from_message, pixel_reader, image)
    assert refused == (rgb is None), "pixel_reader foretells rgb_from_message"
    assert rgb is None or (rgb.shape, rgb.dtype) == ((image.height, image.width, 3), np.uint8)


@settings(max_examples=50)
@given(messages(DEPTH_ENCODINGS))
def test_a_depth_image_is_read_or_refused(image):
    depth, refused = outcome(depth_from_message, check_depth, image)
    assert refused == (depth is None), "check_depth foretells depth_from_message"
    if depth is not None:
        assert (depth.shape, depth.dtype) == ((image.height, image.width), np.float32)
        assert (np.isnan(depth) | (np.isfinite(depth) & (depth > 0))).all()


@settings(max_examples=50)
@given(content=st.sampled_from(FILES), position=st.integers(0, 2000), put=st.binary(max_size=4), cut=st.integers(0, 8))
def test_a_damaged_compressed_image_is_read_or_refused(content, position, put, cut):
    position %= len(content)
    damaged = content[:position] + put + content[position + cut :]
    rgb, refused = outcome(rgb_from_compressed, compressed_reader, compressed(damaged))
    assert not (refused and rgb is not None)
    assert rgb is None or (rgb.ndim == 3 and rgb.shape[2] == 3 and rgb.dtype == np.uint8)


@settings(max_examples=50)
@given(start=st.sampled_from([b"", b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n"]), rest=st.binary(max_size=60))
def test_bytes_that_are_no_picture_are_refused(start, rest):
    assert outcome(rgb_from_compressed, compressed_reader, compressed(start + rest))[0] is None
