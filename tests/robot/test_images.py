"""ROS image messages to NumPy and back: every encoding right, every broken message refused with a mend."""

from array import array
from types import SimpleNamespace

import numpy as np
import pytest
from ros_images import message

from saom_ros.errors import ImageError
from saom_ros.nodes.images import COLOR_ENCODINGS, encode_rgb, fill_message, pixel_reader, rgb_from_message

RED, GREEN, BLUE = (255, 0, 0), (0, 255, 0), (0, 0, 255)
COLORS = np.array([[RED, GREEN, BLUE], [(10, 20, 30), (0, 0, 0), (255, 255, 255)]], np.uint8)


def with_alpha(pixels: np.ndarray, alpha: int = 77) -> np.ndarray:
    return np.concatenate([pixels, np.full((*pixels.shape[:2], 1), alpha, np.uint8)], axis=2)


@pytest.mark.parametrize("padding", [0, 1, 5])
@pytest.mark.parametrize(
    ("encoding", "pixels"),
    [
        ("rgb8", COLORS),
        ("bgr8", COLORS[..., ::-1]),
        ("rgba8", with_alpha(COLORS)),
        ("bgra8", with_alpha(COLORS[..., ::-1])),
    ],
)
def test_red_stays_red_in_every_colour_encoding_and_row_padding(encoding, pixels, padding):
    assert rgb_from_message(message(pixels, encoding, padding)).tolist() == COLORS.tolist()


@pytest.mark.parametrize("padding", [0, 3])
def test_mono8_becomes_grey(padding):
    grey = np.array([[0, 100, 255], [1, 2, 3]], np.uint8)
    assert rgb_from_message(message(grey, "mono8", padding)).tolist() == np.stack([grey] * 3, axis=2).tolist()


def test_a_single_pixel_is_an_image():
    assert rgb_from_message(message(np.array([[RED]], np.uint8), "rgb8")).tolist() == [[list(RED)]]


@pytest.mark.parametrize("encoding", [e for e in COLOR_ENCODINGS if e != "mono8"])
def test_what_is_written_reads_back_the_same(encoding):
    written = fill_message(empty_message(), encode_rgb(COLORS, encoding), encoding, header="h")
    assert rgb_from_message(written).tolist() == COLORS.tolist()


def test_a_label_map_is_written_as_mono16_with_all_its_values():
    labels = np.array([[0, 1], [256, 65535], [77, 0]], np.uint16)
    written = fill_message(empty_message(), labels, "mono16", header="the header")
    assert (written.height, written.width, written.step, written.encoding) == (3, 2, 4, "mono16")
    assert written.header == "the header"
    order = ">u2" if written.is_bigendian else "<u2"
    assert np.frombuffer(written.data, order).reshape(3, 2).tolist() == labels.tolist()


def test_a_cropped_view_is_written_row_by_row():
    crop = COLORS[:, 1:]
    assert rgb_from_message(fill_message(empty_message(), crop, "rgb8", None)).tolist() == crop.tolist()


def test_writing_labels_of_another_dtype_is_a_defect():
    with pytest.raises(TypeError, match="mono16 needs uint16 pixels, got int32"):
        fill_message(empty_message(), np.zeros((2, 2), np.int32), "mono16", None)


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"encoding": "yuv420"}, r"encoding 'yuv420' is not supported; expected one of rgb8, bgr8"),
        ({"encoding": ""}, r"encoding '' is not supported"),
        ({"encoding": "x" * 10_000}, r"encoding 'x{40}' is not supported"),
        ({"height": 0}, r"image is 3x0 pixels; both sides must be at least 1"),
        ({"width": 0}, r"image is 0x2 pixels; both sides must be at least 1"),
        ({"width": 4}, r"step is 9 bytes; a row of 4 rgb8 pixels needs at least 12"),
        ({"step": 0}, r"step is 0 bytes; a row of 3 rgb8 pixels needs at least 9"),
        ({"data": array("B")}, r"data is empty: 0 bytes; 2 rows of 9 bytes make 18"),
        ({"data": array("B", bytes(17))}, r"data is truncated: 17 bytes; 2 rows of 9 bytes make 18"),
        ({"data": array("B", bytes(19))}, r"data is too long: 19 bytes; 2 rows of 9 bytes make 18"),
        ({"height": 2**32 - 1}, r"data is truncated: 18 bytes; 4294967295 rows of 9 bytes make"),
    ],
)
def test_a_broken_message_is_refused_with_value_and_limit(change, problem):
    broken = message(COLORS, "rgb8")
    for name, value in change.items():
        setattr(broken, name, value)
    with pytest.raises(ImageError, match=problem):
        pixel_reader(broken)
    with pytest.raises(ImageError, match=problem):
        rgb_from_message(broken)


def empty_message() -> SimpleNamespace:
    return SimpleNamespace(data=array("B"))
