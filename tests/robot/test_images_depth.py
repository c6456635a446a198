"""Depth images in metres (REP 118): units, what counts as unknown, byte order, padding and refusals."""

from array import array

import numpy as np
import pytest
from ros_images import message

from saom_ros.errors import ImageError
from saom_ros.nodes.depth_images import check_depth, depth_from_message

NAN = float("nan")


@pytest.mark.parametrize("big_endian", [False, True])
@pytest.mark.parametrize("padding", [0, 1, 2, 5])
def test_32fc1_is_metres(padding, big_endian):
    metres = np.array([[0.5, 1.25], [70000.0, 1e-3]], np.float32)
    depth = depth_from_message(message(metres, "32FC1", padding, big_endian))
    assert depth.dtype == np.float32
    assert depth.tolist() == metres.tolist()


@pytest.mark.parametrize("big_endian", [False, True])
@pytest.mark.parametrize("padding", [0, 1, 2, 5])
@pytest.mark.parametrize("encoding", ["16UC1", "mono16"])
def test_16_bit_is_millimetres(encoding, padding, big_endian):
    millimetres = np.array([[1, 1234, 65535]], np.uint16)
    depth = depth_from_message(message(millimetres, encoding, padding, big_endian))
    assert depth.dtype == np.float32
    assert depth.tolist() == np.array([[0.001, 1.234, 65.535]], np.float32).tolist()


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("unknown", [0.0, -0.0, -1.0, np.inf, -np.inf, np.nan])
def test_what_is_no_distance_is_nan(unknown):
    depth = depth_from_message(message(np.array([[unknown, 2.0]], np.float32), "32FC1"))
    np.testing.assert_equal(depth.tolist(), [[NAN, 2.0]])


def test_0_mm_is_nan():
    np.testing.assert_equal(depth_from_message(message(np.array([[0, 1000]], np.uint16), "16UC1")).tolist(), [[NAN, 1]])


def test_the_message_is_not_written_to():
    image = message(np.array([[0.0, 1.0]], np.float32), "32FC1")
    depth_from_message(image)[:] = 5
    assert np.frombuffer(image.data, "<f4").tolist() == [0.0, 1.0]


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"encoding": "rgb8"}, r"depth encoding 'rgb8' is not supported; REP 118 allows 32FC1 \(metres\) and 16UC1"),
        ({"encoding": "64FC1"}, r"depth encoding '64FC1' is not supported"),
        ({"encoding": "x" * 10_000}, r"depth encoding 'x{40}' is not supported"),
        ({"height": 0}, r"depth image is 3x0 pixels; both sides must be at least 1"),
        ({"step": 11}, r"depth image step is 11 bytes; a row of 3 32FC1 pixels needs at least 12"),
        ({"data": array("B")}, r"depth image data is empty: 0 bytes; 2 rows of 12 bytes make 24"),
        ({"height": 2**32 - 1}, r"depth image data is truncated: 24 bytes; 4294967295 rows of 12 bytes"),
    ],
)
def test_a_broken_depth_image_is_refused_with_value_and_limit(change, problem):
    image = message(np.ones((2, 3), np.float32), "32FC1")
    for name, value in change.items():
        setattr(image, name, value)
    for function in (check_depth, depth_from_message):
        with pytest.raises(ImageError, match=problem):
            function(image)
