import os
import struct

import cv2
import numpy as np
import pytest

from saom_ros import ImageError, SaomError
from saom_ros.image_files import count_frames, encode_png, find_inputs, read_frames, read_rgb, write_atomically

RGB = np.zeros((40, 60, 3), np.uint8)
RGB[:, :30] = (200, 30, 60)


def write_image(path, rgb=RGB):
    assert cv2.imwrite(str(path), rgb[:, :, ::-1] if rgb.ndim == 3 else rgb)
    return path


def write_video(path, frames=5, size=(64, 48)):
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), 10, size)
    for k in range(frames):
        writer.write(np.full((size[1], size[0], 3), 40 * k, np.uint8))
    writer.release()
    return path


@pytest.mark.parametrize("suffix", [".png", ".bmp", ".tiff", ".ppm", ".PNG"])
def test_images_are_read_as_rgb(tmp_path, suffix):
    rgb = read_rgb(write_image(tmp_path / f"a{suffix}"))
    assert rgb.flags.c_contiguous
    assert (rgb == RGB).all()


def test_grey_images_are_repeated_to_three_channels(tmp_path):
    gray = np.arange(12, dtype=np.uint8).reshape(3, 4)
    assert (read_rgb(write_image(tmp_path / "a.png", gray)) == gray[:, :, None]).all()


def test_16_bit_images_are_scaled_over_their_full_range(tmp_path):
    deep = RGB[:, :, ::-1].astype(np.uint16) * 257
    cv2.imwrite(str(tmp_path / "a.png"), deep)
    assert np.abs(read_rgb(tmp_path / "a.png").astype(int) - RGB).max() <= 1


def test_transparency_is_dropped(tmp_path):
    cv2.imwrite(str(tmp_path / "a.png"), np.dstack([RGB[:, :, ::-1], np.full((40, 60), 7, np.uint8)]))
    assert (read_rgb(tmp_path / "a.png") == RGB).all()


def with_orientation(jpeg, orientation):
    """The JPEG with an EXIF segment that asks viewers to turn it."""
    entry = struct.pack("<HHIHH", 0x0112, 3, 1, orientation, 0)
    tiff = b"II*\0" + struct.pack("<I", 8) + struct.pack("<H", 1) + entry + b"\0\0\0\0"
    body = b"Exif\0\0" + tiff
    return jpeg[:2] + b"\xff\xe1" + struct.pack(">H", len(body) + 2) + body + jpeg[2:]


def test_exif_orientation_is_ignored(tmp_path):
    path = write_image(tmp_path / "a.jpg")
    path.write_bytes(with_orientation(path.read_bytes(), 6))
    assert cv2.imread(str(path)).shape[:2] == (60, 40), "the tag is one that OpenCV would follow"
    assert read_rgb(path).shape[:2] == (40, 60)


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".bmp", ".webp"])
@pytest.mark.parametrize("share", [0.3, 0.9])
def test_truncated_images_are_refused(tmp_path, suffix, share):
    noise = np.random.default_rng(0).integers(0, 256, (40, 60, 3), dtype=np.uint8)
    path = write_image(tmp_path / f"a{suffix}", noise)
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(ImageError, match=rf"a{suffix}: (is )?truncated"):
        read_rgb(path)


def test_a_thumbnail_does_not_hide_a_truncated_jpeg(tmp_path):
    path = write_image(tmp_path / "a.jpg")
    thumbnail = path.read_bytes()
    body = b"Exif\0\0" + thumbnail
    whole = thumbnail[:2] + b"\xff\xe1" + struct.pack(">H", len(body) + 2) + body + thumbnail[2:]
    path.write_bytes(whole)
    assert read_rgb(path).shape == (40, 60, 3)
    path.write_bytes(whole[:-30])
    with pytest.raises(ImageError, match="truncated"):
        read_rgb(path)


def test_bytes_after_the_end_of_a_jpeg_are_fine(tmp_path):
    path = write_image(tmp_path / "a.jpg")
    path.write_bytes(path.read_bytes() + b"\xff\xda trailer of a phone")
    assert read_rgb(path).shape == (40, 60, 3)


@pytest.mark.parametrize(
    ("content", "message"), [(b"", "is empty"), (b"hello", "not an image"), (b"\xff\xd8", "trunc")]
)
def test_files_that_are_no_image_are_refused(tmp_path, content, message):
    (tmp_path / "a.jpg").write_bytes(content)
    with pytest.raises(ImageError, match=message):
        read_rgb(tmp_path / "a.jpg")


def test_a_folder_gives_its_images_and_videos_in_name_order(tmp_path):
    for name in ("b.png", "a.JPG", "c.avi", ".hidden.png", "notes.txt", "a.labels.png", "a.overlay.png"):
        (tmp_path / name).write_bytes(b"x")
    (tmp_path / "folder.png").mkdir()
    assert [path.name for path in find_inputs([tmp_path])] == ["a.JPG", "b.png", "c.avi"]


def test_a_folder_without_images_is_refused(tmp_path):
    (tmp_path / "notes.txt").write_text("x")
    with pytest.raises(SaomError, match=r"no images in this folder; expected files ending in \."):
        find_inputs([tmp_path])


def test_a_missing_path_is_refused(tmp_path):
    with pytest.raises(SaomError, match=r"gone\.png: no such file or folder"):
        find_inputs([tmp_path / "gone.png"])


def test_a_pipe_is_refused(tmp_path):
    os.mkfifo(tmp_path / "pipe.png")
    with pytest.raises(SaomError, match="is neither a regular file nor a folder"):
        find_inputs([tmp_path / "pipe.png"])


@pytest.mark.parametrize("names", [("a.jpg", "a.png"), ("a.avi", "a.png"), ("a.avi", "a_000001.png")])
def test_results_of_one_name_are_refused(tmp_path, names):
    for name in names:
        (tmp_path / name).write_bytes(b"x")
    with pytest.raises(SaomError, match=r"a\.\w+ and .*a.*\.png would write results of the same name"):
        find_inputs([tmp_path])


def test_a_file_given_twice_is_refused(tmp_path):
    path = write_image(tmp_path / "a.png")
    with pytest.raises(SaomError, match="same name"):
        find_inputs([path, tmp_path])


def test_a_bad_image_gives_a_frame_with_its_error(tmp_path):
    (tmp_path / "a.png").write_bytes(b"x")
    (frame,) = read_frames(tmp_path / "a.png")
    assert frame.rgb is None
    assert "a.png" in frame.error


def test_video_frames_are_numbered_from_one(tmp_path):
    path = write_video(tmp_path / "clip.avi")
    frames = list(read_frames(path))
    assert count_frames(path) == 5
    assert [frame.name for frame in frames] == [f"clip_{k:06d}" for k in range(1, 6)]
    assert all(frame.rgb.shape == (48, 64, 3) for frame in frames)
    assert frames[0].rgb.mean() < frames[4].rgb.mean()


def test_a_bad_video_gives_one_frame_with_its_error(tmp_path):
    (tmp_path / "clip.mp4").write_bytes(b"not a video")
    (frame,) = read_frames(tmp_path / "clip.mp4")
    assert frame.rgb is None
    assert "clip.mp4: no frame that OpenCV" in frame.error
    assert count_frames(tmp_path / "clip.mp4") == 1


@pytest.mark.parametrize("image", [np.arange(70000, dtype=np.uint32).astype(np.uint16).reshape(200, 350), RGB])
def test_png_is_lossless(tmp_path, image):
    (tmp_path / "a.png").write_bytes(encode_png(image))
    back = cv2.imread(str(tmp_path / "a.png"), cv2.IMREAD_UNCHANGED)
    assert back.dtype == image.dtype
    assert ((back[:, :, ::-1] if back.ndim == 3 else back) == image).all()


def test_writing_leaves_the_whole_file_or_the_old_one(tmp_path, monkeypatch):
    path = tmp_path / "a.json"
    write_atomically(path, b"old")
    monkeypatch.setattr(os, "replace", lambda *_: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(OSError, match="disk full"):
        write_atomically(path, b"new")
    assert path.read_bytes() == b"old"
    assert [child.name for child in tmp_path.iterdir()] == ["a.json"]


def test_written_files_have_the_usual_permissions(tmp_path):
    (tmp_path / "usual").write_bytes(b"")
    write_atomically(tmp_path / "a.json", b"x")
    assert (tmp_path / "a.json").stat().st_mode == (tmp_path / "usual").stat().st_mode


def test_a_video_whose_name_is_not_utf8_is_an_error_and_no_crash(tmp_path):
    path = tmp_path / os.fsdecode(b"clip\xff.avi")
    path.write_bytes(write_video(tmp_path / "clip.avi").read_bytes())
    assert count_frames(path) == 1
    (frame,) = read_frames(path)
    assert "no frame that OpenCV" in frame.error


@pytest.mark.parametrize(("target", "reason"), [("gone.png", "No such file"), ("a.png", "symbolic links")])
def test_a_link_that_leads_nowhere_is_named(tmp_path, target, reason):
    (tmp_path / "a.png").symlink_to(target)
    (path,) = find_inputs([tmp_path])
    with pytest.raises(ImageError, match=f"a.png: cannot be read: .*{reason}"):
        read_rgb(path)
