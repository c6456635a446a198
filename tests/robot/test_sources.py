"""What the image source can play, and what it says about what it cannot, without ROS."""

import itertools

import cv2
import numpy as np
import pytest

from saom_ros.nodes.sources import PICTURE_RATE, SourceError, open_source

COLORS = [(200, 30, 10), (10, 200, 30), (30, 10, 200)]


def plain(color) -> np.ndarray:
    return np.full((24, 32, 3), color, np.uint8)


def write(path, rgb) -> None:
    assert cv2.imwrite(str(path), np.ascontiguousarray(rgb[..., ::-1]))


@pytest.fixture
def folder(tmp_path):
    for name, color in zip(("b.png", "a.PNG", "c.bmp"), COLORS, strict=True):
        write(tmp_path / name, plain(color))
    return tmp_path


def no_warning(line: str) -> None:
    raise AssertionError(line)


def colors_of(images) -> list:
    return [tuple(image[5, 5].tolist()) for image in images]


def test_a_folder_plays_by_name_once(folder):
    source = open_source(str(folder), no_warning)
    assert source.rate == PICTURE_RATE
    assert colors_of(source.images(loop=False)) == [COLORS[1], COLORS[0], COLORS[2]]


def test_a_loop_starts_again(folder):
    played = open_source(str(folder), no_warning).images(loop=True)
    assert colors_of(itertools.islice(played, 5)) == [COLORS[1], COLORS[0], COLORS[2], COLORS[1], COLORS[0]]


def test_files_that_are_no_images_are_not_played(folder):
    (folder / "notes.txt").write_text("hello")
    (folder / ".hidden.png").write_bytes(b"")
    (folder / "folder.png").mkdir()
    write(folder / "a.overlay.png", plain((9, 9, 9)))
    assert len(list(open_source(str(folder), no_warning).images(loop=False))) == 3


def test_an_unreadable_image_is_named_once_and_left_out(folder):
    (folder / "aa.jpg").write_bytes(b"no jpeg")
    warnings = []
    played = open_source(str(folder), warnings.append).images(loop=True)
    assert len(list(itertools.islice(played, 7))) == 7
    assert len(warnings) == 1
    assert str(folder / "aa.jpg") in warnings[0]
    assert warnings[0].endswith("; left out")


def test_a_single_image_can_be_looped(folder):
    played = open_source(str(folder / "b.png"), no_warning).images(loop=True)
    assert colors_of(itertools.islice(played, 2)) == [COLORS[0]] * 2


def test_a_video_plays_at_its_own_rate(tmp_path):
    path = tmp_path / "clip.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), 25.0, (32, 24))
    if not writer.isOpened():
        pytest.skip("this OpenCV build writes no MJPG video")
    for color in COLORS:
        writer.write(np.ascontiguousarray(plain(color)[..., ::-1]))
    writer.release()
    source = open_source(str(path), no_warning)
    assert source.rate == 25.0
    played = colors_of(source.images(loop=False))
    assert np.abs(np.array(played) - COLORS).max() < 12, "JPEG changes colours a little"
    assert len(list(itertools.islice(source.images(loop=True), 7))) == 7


def test_a_folder_without_images_is_refused(tmp_path):
    with pytest.raises(SourceError, match=r"no images in this folder; expected files ending in \.jpg"):
        open_source(str(tmp_path), no_warning)


@pytest.mark.parametrize("name", ["film.mp4", "photo.jpg", "unknown"])
def test_a_file_that_cannot_be_decoded_is_refused(tmp_path, name):
    path = tmp_path / name
    path.write_bytes(b"neither image nor video")
    with pytest.raises(SourceError, match=str(path)):
        next(open_source(str(path), no_warning).images(loop=True))


def test_a_folder_of_broken_images_is_refused(tmp_path):
    for name in ("a.jpg", "b.png"):
        (tmp_path / name).write_bytes(b"broken")
    with pytest.raises(SourceError, match=r"none of 2 files can be played: .*a\.jpg"):
        next(open_source(str(tmp_path), lambda line: None).images(loop=True))


@pytest.mark.parametrize("source", ["/nowhere", "", "camera:", "camera:one"])
def test_a_source_that_does_not_exist_is_refused(source, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SourceError, match=r"expected sample, camera:N, or a folder, image or video|no images in this"):
        open_source(source, no_warning)


def test_a_camera_that_is_not_there_is_refused_with_what_to_check():
    with pytest.raises(SourceError, match="camera:987: cannot be opened; check that /dev/video987 exists"):
        open_source("camera:987", no_warning)


@pytest.mark.parametrize("source", ["~nobody_of_this_name/images", "x" * 300])
def test_a_path_that_cannot_exist_is_refused(source):
    with pytest.raises(SourceError, match=r"no such file or folder|File name too long"):
        open_source(source, no_warning)
