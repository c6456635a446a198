"""Every encoding that cameras send, against pixels and mosaics made or computed by hand."""

import numpy as np
import pytest
from ros_images import message, nv_message

from saom_ros.bit_depth import eight_bit
from saom_ros.errors import ImageError
from saom_ros.nodes.images import READABLE_ENCODINGS, pixel_reader, rgb_from_message

ORANGE = (200, 100, 50)
COLORS = np.array([[(255, 0, 0), (0, 255, 0), (0, 0, 255)], [(10, 20, 30), (0, 0, 0), (255, 255, 255)]], np.uint8)
RED_YUV, BLUE_YUV = (81, 90, 240), (41, 240, 110)
"""Full red and blue in BT.601 with limited range, as every table of colour bars has them."""


def bt601(y, u, v):
    """RGB of limited-range YUV (ITU-R BT.601), rounded."""
    luma = 1.164 * (y - 16)
    rgb = (luma + 1.596 * (v - 128), luma - 0.392 * (u - 128) - 0.813 * (v - 128), luma + 2.017 * (u - 128))
    return np.clip(np.round(rgb), 0, 255)


def mosaic(rgb, order):
    """What a sensor sees of an image (H, W, 3) through the filter whose top left corner reads `order`."""
    channel = np.array(["rgb".index(letter) for letter in order]).reshape(2, 2)
    rows, columns = np.indices(rgb.shape[:2])
    return rgb[rows, columns, channel[rows % 2, columns % 2]]


def deep(pixels, bits):
    """8-bit values as a sensor of more bits gives them, low bits set where the value is the greatest."""
    return (pixels.astype(np.uint16) << (bits - 8)) | (pixels.astype(np.uint16) >> (16 - bits))


@pytest.mark.parametrize("order", ["rggb", "bggr", "gbrg", "grbg"])
@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("size", [(6, 8), (5, 7), (3, 3)])
def test_an_even_colour_seen_through_a_mosaic_keeps_its_channels(order, bits, size):
    seen = mosaic(np.full((*size, 3), ORANGE, np.uint8), order)
    image = message(seen if bits == 8 else seen.astype(np.uint16) * 256, f"bayer_{order}{bits}", padding=3)
    assert (rgb_from_message(image) == ORANGE).all()


@pytest.mark.parametrize("order", ["rggb", "bggr", "gbrg", "grbg"])
def test_a_mosaic_keeps_things_in_their_place(order):
    scene = np.zeros((12, 12, 3), np.uint8)
    scene[:6, :6], scene[:6, 6:], scene[6:, :6] = ORANGE, (0, 0, 255), (255, 0, 0)
    rgb = rgb_from_message(message(mosaic(scene, order), f"bayer_{order}8"))
    for block in (np.s_[:4, :4], np.s_[:4, 8:], np.s_[8:, :4], np.s_[8:, 8:]):
        assert (rgb[block] == scene[block]).all()


@pytest.mark.parametrize("size", [(2, 8), (8, 2), (1, 1)])
def test_a_mosaic_too_small_to_interpolate_is_refused(size):
    image = message(np.zeros(size, np.uint8), "bayer_rggb8")
    with pytest.raises(ImageError, match=rf"{size[1]}x{size[0]} pixels; bayer_rggb8 needs at least 3 on both sides"):
        pixel_reader(image)


@pytest.mark.parametrize("padding", [0, 1, 6])
@pytest.mark.parametrize(("encoding", "y", "u", "v"), [("uyvy", (1, 3), 0, 2), ("yuyv", (0, 2), 1, 3)])
@pytest.mark.parametrize("alias", [False, True])
def test_422_shares_colour_between_two_pixels_and_nothing_else(encoding, y, u, v, alias, padding):
    groups = np.zeros((2, 2, 4), np.uint8)
    groups[0, :, u], groups[0, :, v] = (90, 240), (240, 110)
    groups[1, :, u], groups[1, :, v] = 128, 128
    groups[..., y[0]], groups[..., y[1]] = [[81, 41], [16, 50]], [[60, 30], [235, 100]]
    name = {"uyvy": "yuv422", "yuyv": "yuv422_yuy2"}[encoding] if alias else encoding
    rgb = rgb_from_message(message(groups.reshape(2, 4, 2), name, padding))
    expected = [
        [bt601(*RED_YUV), bt601(60, 90, 240), bt601(*BLUE_YUV), bt601(30, 240, 110)],
        [bt601(luma, 128, 128) for luma in (16, 235, 50, 100)],
    ]
    assert np.abs(rgb - np.array(expected)).max() <= 1


@pytest.mark.parametrize("padding", [0, 3])
@pytest.mark.parametrize("encoding", ["nv12", "nv21"])
def test_420_shares_colour_between_four_pixels_and_nothing_else(encoding, padding):
    luma = np.array([[81, 60, 41, 30], [70, 50, 35, 25]], np.uint8)
    chroma = np.array([[90, 240, 240, 110]], np.uint8)
    if encoding == "nv21":
        chroma = chroma.reshape(1, 2, 2)[..., ::-1].reshape(1, 4)
    rgb = rgb_from_message(nv_message(luma, chroma, encoding, padding))
    expected = [[bt601(y, *(RED_YUV if x < 2 else BLUE_YUV)[1:]) for x, y in enumerate(row)] for row in luma.tolist()]
    assert rgb.shape == (2, 4, 3)
    assert np.abs(rgb - np.array(expected)).max() <= 1


@pytest.mark.parametrize("encoding", ["yuv422", "uyvy", "yuv422_yuy2", "yuyv"])
def test_422_of_odd_width_is_refused(encoding):
    with pytest.raises(ImageError, match=rf"image is 3x2 pixels; {encoding} needs an even width: let the camera"):
        rgb_from_message(message(np.zeros((2, 3, 2), np.uint8), encoding))


@pytest.mark.parametrize("encoding", ["nv12", "nv21"])
@pytest.mark.parametrize(("height", "width"), [(2, 3), (3, 2), (1, 1)])
def test_420_of_an_odd_side_is_refused(encoding, height, width):
    image = message(np.zeros((height * 2, width), np.uint8), encoding)
    image.height = height
    with pytest.raises(ImageError, match=f"{width}x{height} pixels; {encoding} needs an even width and height"):
        rgb_from_message(image)


def test_420_without_its_colour_is_truncated():
    with pytest.raises(ImageError, match=r"truncated: 8 bytes; 3 rows of 4 bytes make 12"):
        pixel_reader(message(np.zeros((2, 4), np.uint8), "nv12"))


@pytest.mark.parametrize("big_endian", [False, True])
@pytest.mark.parametrize("padding", [0, 1, 2, 7])
@pytest.mark.parametrize("bits", [10, 12, 14, 16])
@pytest.mark.parametrize(
    ("encoding", "order"),
    [("rgb16", [0, 1, 2]), ("bgr16", [2, 1, 0]), ("rgba16", [0, 1, 2, 3]), ("bgra16", [2, 1, 0, 3])],
)
def test_16_bit_colours_are_right_in_both_byte_orders_and_every_sensor_depth(
    encoding, order, bits, padding, big_endian
):
    opaque = np.full((*COLORS.shape[:2], 1), 65535, np.uint16)
    pixels = np.concatenate([deep(COLORS, bits), opaque], axis=2)[..., order]
    assert rgb_from_message(message(pixels, encoding, padding, big_endian)).tolist() == COLORS.tolist()


@pytest.mark.parametrize("big_endian", [False, True])
@pytest.mark.parametrize("padding", [0, 1, 3])
def test_mono16_of_the_full_range_shows_its_high_byte(padding, big_endian):
    grey = np.array([[0x0000, 0x01FF, 0xFFFF], [0x1234, 0x8000, 0x00FF]], np.uint16)
    rgb = rgb_from_message(message(grey, "mono16", padding, big_endian))
    assert rgb.tolist() == np.stack([[[0, 1, 255], [0x12, 0x80, 0]]] * 3, axis=2).tolist()


@pytest.mark.parametrize(
    ("brightest", "shown"),
    [(0, 0), (255, 63), (1023, 255), (1024, 64), (4095, 255), (4096, 64), (16383, 255), (16384, 64), (65535, 255)],
)
def test_the_sensor_depth_is_the_least_that_holds_the_brightest_value(brightest, shown):
    assert eight_bit(np.array([[0, brightest]], np.uint16)).tolist() == [[0, shown]]


def test_the_sensor_depth_is_found_anew_in_every_image():
    dark, bright = (message(np.array([[512, top]], np.uint16), "mono16") for top in (1000, 60000))
    assert [rgb_from_message(image)[0, 0, 0] for image in (dark, bright, dark)] == [128, 2, 128]


@pytest.mark.parametrize(
    ("encoding", "pixels"),
    [
        ("8UC3", COLORS[..., ::-1]),
        ("8UC4", np.concatenate([COLORS[..., ::-1], np.full((2, 3, 1), 9, np.uint8)], axis=2)),
    ],
)
def test_an_image_without_colour_names_is_taken_as_opencv_has_it(encoding, pixels):
    assert rgb_from_message(message(pixels, encoding, padding=1)).tolist() == COLORS.tolist()


def test_8uc1_is_grey():
    grey = np.array([[0, 100, 255]], np.uint8)
    assert rgb_from_message(message(grey, "8UC1")).tolist() == [[[0] * 3, [100] * 3, [255] * 3]]


def test_an_rgb8_image_is_not_copied():
    image = message(COLORS, "rgb8", padding=2)
    assert np.shares_memory(rgb_from_message(image), np.frombuffer(image.data, np.uint8))


@pytest.mark.parametrize("encoding", READABLE_ENCODINGS)
def test_a_huge_size_is_refused_before_anything_is_allocated(encoding):
    image = message(np.zeros((4, 4), np.uint8), encoding)
    image.height = image.width = 2**32 - 2
    image.step = 2**32 - 1
    with pytest.raises(ImageError, match=r"step is|data is truncated"):
        rgb_from_message(image)


def test_an_image_above_the_limit_is_refused_before_it_is_converted():
    image = message(np.zeros((1, 1), np.uint8), "mono8")
    image.width = image.step = 8192
    image.height = 8193
    image.data = range(8192 * 8193)  # all there, by its length
    with pytest.raises(ImageError, match="image of 8192x8193 px is above the limit of 67108864 pixels; scale it down"):
        pixel_reader(image)


@pytest.mark.parametrize("encoding", READABLE_ENCODINGS)
def test_a_step_that_is_too_short_is_refused(encoding):
    image = message(np.zeros((4, 32), np.uint8), encoding)
    image.step, image.width = 3, 4
    with pytest.raises(ImageError, match=rf"step is 3 bytes; a row of 4 {encoding} pixels needs at least \d+"):
        pixel_reader(image)
