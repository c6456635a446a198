"""Random images give the same pixels as rosbags-image, which shares no code with ours but OpenCV's.

Only the encodings, unpadded, that it reads right; the others have their tests by hand in test_images_encodings.py.
"""

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ros_images import compressed, message
from rosbags.image import message_to_cvimage

from saom_ros.nodes.compressed_images import rgb_from_compressed
from saom_ros.nodes.images import rgb_from_message

CHANNELS = {"rgb8": 3, "bgr8": 3, "rgba8": 4, "bgra8": 4, "mono8": 1} | dict.fromkeys(
    ["yuv422", "uyvy", "yuv422_yuy2", "yuyv"], 2
)
MOSAICS = ["bayer_rggb8", "bayer_bggr8", "bayer_gbrg8", "bayer_grbg8"]


@st.composite
def pixels(draw, dtype, channels, least=1, even_width=False):
    """Arrays (H, W, channels) of up to 8 x 8 pixels and any values."""
    height = draw(st.integers(least, 8))
    width = 2 * draw(st.integers(1, 4)) if even_width else draw(st.integers(least, 8))
    size = height * width * channels * np.dtype(dtype).itemsize
    content = draw(st.binary(min_size=size, max_size=size))
    return np.frombuffer(content, dtype).reshape(height, width, channels).copy()


@pytest.mark.parametrize("encoding", CHANNELS)
@settings(max_examples=20)
@given(data=st.data())
def test_8_bit_images_equal_the_reference(encoding, data):
    image = message(data.draw(pixels(np.uint8, CHANNELS[encoding], even_width=CHANNELS[encoding] == 2)), encoding)
    assert (rgb_from_message(image) == message_to_cvimage(image, "rgb8")).all()


@pytest.mark.parametrize("encoding", MOSAICS)
@settings(max_examples=20)
@given(mosaic=pixels(np.uint8, 1, least=3))
def test_mosaics_equal_the_reference(encoding, mosaic):
    image = message(mosaic, encoding)
    assert (rgb_from_message(image) == message_to_cvimage(image, "rgb8")).all()


@pytest.mark.parametrize(("encoding", "channels"), [("mono16", 1), ("bgr16", 3)])
@settings(max_examples=20)
@given(data=st.data(), big_endian=st.booleans())
def test_full_range_16_bit_images_equal_the_reference(encoding, channels, data, big_endian):
    deep = data.draw(pixels(np.uint16, channels))
    deep[0, 0, 0] = 65535
    image = message(deep, encoding, big_endian=big_endian)
    # The reference scales by 255 / 65535 and cuts, which is the high byte or one less.
    difference = rgb_from_message(image).astype(int) - message_to_cvimage(image, "rgb8")
    assert set(np.unique(difference)) <= {0, 1}


@pytest.mark.parametrize("suffix", [".jpg", ".png"])
@settings(max_examples=20)
@given(bgr=pixels(np.uint8, 3))
def test_compressed_colour_images_equal_the_reference(suffix, bgr):
    image = compressed(cv2.imencode(suffix, bgr)[1].tobytes(), "bgr8; jpeg compressed bgr8")
    assert (rgb_from_compressed(image) == message_to_cvimage(image, "rgb8")).all()
