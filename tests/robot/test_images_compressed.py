"""Compressed images: the bytes decide, not the format's name; broken and huge ones are refused before decoding."""

import struct
import zlib

import cv2
import numpy as np
import pytest
from ros_images import compressed

from saom_ros.errors import ImageError
from saom_ros.nodes.compressed_images import compressed_reader, rgb_from_compressed
from saom_ros.segmenter import MAX_PIXELS

RGB = np.zeros((24, 32, 3), np.uint8)
RGB[:, :16], RGB[8:, 16:] = (200, 30, 60), (20, 90, 250)
NOISE = np.random.default_rng(0).integers(0, 256, (24, 32, 3), dtype=np.uint8)


def encode(pixels, suffix=".png"):
    """A picture of grey, B G R or B G R A values, as OpenCV writes it."""
    return cv2.imencode(suffix, pixels)[1].tobytes()


def png_chunk(name, content):
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def png_of_size(width, height):
    """A sound PNG of a few kilobytes, as far as its header and checksums tell."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(bytes(1 << 20))), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(png_chunk(*chunk) for chunk in chunks)


def jpeg_of_size(width, height):
    """A JPEG whose frame header says another size than its coded pixels have."""
    content = encode(RGB, ".jpg")
    frame = content.index(b"\xff\xc0")
    return content[: frame + 5] + struct.pack(">HH", height, width) + content[frame + 9 :]


@pytest.mark.parametrize("image_format", ["png", "rgb8; png compressed bgr8", "jpeg", "", "rgb8; jpeg compressed bgr8"])
def test_a_png_keeps_its_pixels_whatever_its_format_is_called(image_format):
    assert (rgb_from_compressed(compressed(encode(RGB[..., ::-1]), image_format)) == RGB).all()


@pytest.mark.parametrize("image_format", ["jpeg", "jpg", "rgb8; jpeg compressed bgr8", "bgr8; jpeg compressed bgr8"])
def test_red_stays_red_in_jpeg(image_format):
    even = np.full((24, 32, 3), (200, 30, 60), np.uint8)
    rgb = rgb_from_compressed(compressed(encode(even[..., ::-1], ".jpg"), image_format))
    assert np.abs(rgb.astype(int) - even).max() <= 3


@pytest.mark.parametrize("suffix", [".jpg", ".png"])
def test_grey_is_repeated(suffix):
    rgb = rgb_from_compressed(compressed(encode(np.full((8, 8), 77, np.uint8), suffix), "mono8; png compressed "))
    assert rgb.shape == (8, 8, 3)
    assert (rgb == 77).all()


def test_transparency_is_dropped():
    bgra = np.dstack([RGB[..., ::-1], np.full(RGB.shape[:2], 7, np.uint8)])
    assert (rgb_from_compressed(compressed(encode(bgra))) == RGB).all()


@pytest.mark.parametrize("factor", [4, 16, 256])
def test_16_bit_png_is_read_as_the_raw_image_is(factor):
    full = RGB.copy()
    full[0, 0] = 255
    assert (rgb_from_compressed(compressed(encode(full[..., ::-1].astype(np.uint16) * factor))) == full).all()


def test_16_bit_grey_png_is_read_as_the_raw_image_is():
    rgb = rgb_from_compressed(compressed(encode(np.array([[0, 512, 1023]], np.uint16)), "mono16; png compressed "))
    assert rgb.tolist() == [[[0] * 3, [128] * 3, [255] * 3]]


@pytest.mark.parametrize(("image_format", "scale"), [("bayer_gbrg8", 1), ("bayer_gbrg16", 256)])
def test_a_compressed_mosaic_is_interpolated_to_colour(image_format, scale):
    mosaic = np.tile(np.array([[100, 50], [200, 100]], np.uint16), (4, 4))
    content = encode(mosaic.astype(np.uint8) if scale == 1 else mosaic * scale)
    rgb = rgb_from_compressed(compressed(content, f"{image_format}; png compressed "))
    assert (rgb == (200, 100, 50)).all()


def test_colours_are_no_mosaic_whatever_the_format_says():
    assert (rgb_from_compressed(compressed(encode(RGB[..., ::-1]), "bayer_rggb8; png compressed ")) == RGB).all()


def test_exif_orientation_is_ignored():
    entry = struct.pack("<HHIHH", 0x0112, 3, 1, 6, 0)
    body = b"Exif\0\0II*\0" + struct.pack("<IH", 8, 1) + entry + bytes(4)
    content = encode(RGB, ".jpg")
    turned = content[:2] + b"\xff\xe1" + struct.pack(">H", len(body) + 2) + body + content[2:]
    assert cv2.imdecode(np.frombuffer(turned, np.uint8), cv2.IMREAD_COLOR).shape == (32, 24, 3), "OpenCV would turn it"
    assert rgb_from_compressed(compressed(turned)).shape == (24, 32, 3)


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", r"format 'jpeg' is empty \(0 bytes\): check the publisher"),
        (b"\0\0\0\x01gB", r"neither JPEG nor PNG: it starts with the bytes 00 00 00 01: let the publisher"),
        (b"\xff\xd8\xff", r"truncated or corrupt: its 3 bytes hold no picture's size"),
        (b"\x89PNG\r\n\x1a\n" + bytes(8), r"truncated or corrupt: its 16 bytes hold no picture's size"),
        (png_of_size(0, 5), r"corrupt: its header says 0x5 px"),
        (png_of_size(60000, 60000), rf"is 60000x60000 px by its header, above the limit of {MAX_PIXELS} pixels"),
        (jpeg_of_size(60000, 50000), rf"is 60000x50000 px by its header, above the limit of {MAX_PIXELS} pixels"),
    ],
)
def test_what_need_not_be_decoded_to_be_refused_is_refused_at_once(content, problem):
    for function in (compressed_reader, rgb_from_compressed):
        with pytest.raises(ImageError, match=problem):
            function(compressed(content))


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"\xff\xd8" + b"\xff" * 1_000_000, id="nothing but fill bytes"),
        pytest.param(b"\xff\xd8" + b"\xff\xe0\0\2" * 2000 + jpeg_of_size(8, 8)[2:], id="thousands of segments"),
    ],
)
def test_damaged_bytes_do_not_keep_the_search_for_the_size_busy(content):
    with pytest.raises(ImageError, match="hold no picture's size"):
        compressed_reader(compressed(content))


@pytest.mark.parametrize(
    "image_format", ["16UC1; compressedDepth png", "32FC1; compressedDepth rvl", "compressedDepth"]
)
def test_compressed_depth_is_refused_by_name(image_format):
    with pytest.raises(ImageError, match=rf"format '{image_format}' is a depth image.*connect the topic of the colour"):
        compressed_reader(compressed(bytes(12) + encode(RGB), image_format))


def test_a_long_format_does_not_flood_the_log():
    with pytest.raises(ImageError, match=r"format 'x{40}' is neither"):
        compressed_reader(compressed(b"RIFF", "x" * 10_000))


@pytest.mark.parametrize("suffix", [".jpg", ".png"])
@pytest.mark.parametrize("share", [0.3, 0.6, 0.98])
def test_truncated_data_is_refused(suffix, share):
    content = encode(NOISE, suffix)
    with pytest.raises(ImageError, match="truncated"):
        rgb_from_compressed(compressed(content[: int(share * len(content))]))


def test_a_thumbnail_does_not_hide_a_truncated_jpeg_nor_give_its_size():
    body = b"Exif\0\0" + encode(np.zeros((4, 4, 3), np.uint8), ".jpg")
    content = encode(NOISE, ".jpg")
    whole = content[:2] + b"\xff\xe1" + struct.pack(">H", len(body) + 2) + body + content[2:]
    assert rgb_from_compressed(compressed(whole)).shape == (24, 32, 3)
    with pytest.raises(ImageError, match="truncated"):
        rgb_from_compressed(compressed(whole[:-30]))


def test_a_png_with_a_wrong_checksum_is_refused():
    content = bytearray(encode(NOISE))
    content[len(content) // 2] ^= 255
    with pytest.raises(ImageError, match=r"is corrupt: OpenCV .* cannot decode its \d+ bytes"):
        rgb_from_compressed(compressed(bytes(content)))


def test_padding_after_a_jpeg_is_fine():
    assert rgb_from_compressed(compressed(encode(RGB, ".jpg") + bytes(100))).shape == (24, 32, 3)


def test_tables_before_the_frame_of_a_jpeg_are_not_taken_for_its_size():
    content = encode(RGB, ".jpg")
    # A Huffman table of one code of 16 bits; where a frame has its size, it has zeros.
    table = b"\xff\xc4" + struct.pack(">HB", 20, 3) + bytes(15) + b"\x01" + b"\x00"
    assert rgb_from_compressed(compressed(content[:2] + table + content[2:])).shape == (24, 32, 3)
