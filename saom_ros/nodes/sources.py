"""Where `image_source_node` gets its images: the shipped sample, a folder, one image, a video or a camera.

A source is an endless or finite stream of RGB images; `open_source` chooses by what the user wrote. Plain Python.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Protocol

import cv2
import numpy as np

from saom_ros.errors import SaomError

SAMPLE = Path(__file__).resolve().parent.parent / "sample"
"""The image sequence that ships with the package, rendered by the rooms simulator."""

IMAGE_SUFFIXES = (".bmp", ".jpeg", ".jpg", ".png", ".ppm", ".tif", ".tiff", ".webp")
"""File names that count as images in a folder; case does not matter."""

PICTURE_RATE = 10.0
"""Images per second where the source has no rate of its own."""


class SourceError(SaomError):
    """Something that cannot be played."""


class Source(Protocol):
    """Images in order, with a rate of their own."""

    rate: float
    """Images per second that the source has by itself (Hz)."""

    def images(self, loop: bool) -> Iterator[np.ndarray]:
        """RGB images uint8 (H, W, 3); without `loop` the iterator ends after the last one."""
        ...


def open_source(source: str, warn: Callable[[str], None]) -> Source:
    """The source that `source` names: `sample`, `camera:N`, or the path of a folder, image or video.

    `warn` is told about single images that cannot be read. Raises `SourceError` when nothing can be played.
    """
    camera = re.fullmatch(r"camera:(\d+)", source)
    if camera:
        return Camera(int(camera.group(1)))
    path = SAMPLE if source == "sample" else Path(source).expanduser()
    if not path.exists():
        raise SourceError(f"{source}: no such file or folder; expected sample, camera:N, or a folder, image or video")
    if path.is_dir():
        return Pictures(path, image_files(path), warn)
    if path.suffix.lower() in IMAGE_SUFFIXES:
        return Pictures(path, [path], warn)
    return Video(path)


def image_files(folder: Path) -> list[Path]:
    """Images in a folder (not below it) by name. Raises `SourceError` when there is none."""
    files = sorted(p for p in folder.iterdir() if p.suffix.lower() in IMAGE_SUFFIXES and p.is_file())
    if not files:
        raise SourceError(f"{folder}: no images in this folder; expected files ending in {', '.join(IMAGE_SUFFIXES)}")
    return files


class Pictures:
    """Image files one after the other; EXIF orientation is ignored, as a camera driver does."""

    rate = PICTURE_RATE

    def __init__(self, origin: Path, files: list[Path], warn: Callable[[str], None]) -> None:
        self._origin = origin
        self._files = files
        self._warn = warn

    def images(self, loop: bool) -> Iterator[np.ndarray]:
        """See `Source`. Unreadable files are named once and left out; `SourceError` when none is left."""
        unreadable: set[Path] = set()
        while True:
            for path in self._files:
                if path in unreadable:
                    continue
                bgr = cv2.imread(str(path), cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)
                if bgr is None:
                    unreadable.add(path)
                    self._warn(f"{path}: cannot be read as an image; left out")
                else:
                    yield cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB)
            if len(unreadable) == len(self._files):
                raise SourceError(f"{self._origin}: none of {len(self._files)} image files can be read")
            if not loop:
                return


class Video:
    """A video file, decoded by OpenCV."""

    def __init__(self, path: Path) -> None:
        self._path = path
        capture = self._open()
        rate = capture.get(cv2.CAP_PROP_FPS)
        capture.release()
        self.rate = rate if 0.0 < rate <= 1000.0 else PICTURE_RATE

    def images(self, loop: bool) -> Iterator[np.ndarray]:
        """See `Source`."""
        while True:
            capture = self._open()
            count = 0
            try:
                while (frame := capture.read())[0]:
                    count += 1
                    yield cv2.cvtColor(frame[1], cv2.COLOR_BGR2RGB)
            finally:
                capture.release()
            if count == 0:
                raise SourceError(f"{self._path}: opens as a video but holds no frame that can be read")
            if not loop:
                return

    def _open(self) -> cv2.VideoCapture:
        capture = cv2.VideoCapture(str(self._path))
        if not capture.isOpened():
            raise SourceError(f"{self._path}: is neither an image nor a video that OpenCV can read")
        return capture


class Camera:
    """A webcam by its number (`/dev/videoN`)."""

    def __init__(self, index: int) -> None:
        self._index = index
        self._capture = cv2.VideoCapture(index)
        if not self._capture.isOpened():
            raise SourceError(
                f"camera:{index}: cannot be opened; check that /dev/video{index} exists, that no other program uses it "
                "and that you may read it (group video)"
            )
        rate = self._capture.get(cv2.CAP_PROP_FPS)
        self.rate = rate if 0.0 < rate <= 1000.0 else 30.0

    def images(self, loop: bool) -> Iterator[np.ndarray]:
        """See `Source`; a camera that stops giving images is an error."""
        try:
            while True:
                good, bgr = self._capture.read()
                if not good:
                    raise SourceError(f"camera:{self._index}: gives no images any more; check the cable")
                yield cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB)
        finally:
            self._capture.release()
