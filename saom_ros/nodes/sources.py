"""Where `image_source_node` gets its images: the shipped sample, a folder, an image, a video or a camera.

A source is an endless or finite stream of RGB images; `open_source` chooses by what the user wrote. Plain Python.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from saom_ros.errors import SaomError
from saom_ros.image_files import files_in, is_video, open_video, read_frames

SAMPLE = Path(__file__).resolve().parent.parent / "sample"
"""The image sequence that ships with the package, rendered by the rooms simulator."""

PICTURE_RATE = 10.0
"""Images per second where the source has no rate of its own."""

CAMERA_RATE = 30.0
"""Images per second of a camera that does not tell."""


class SourceError(SaomError):
    """Something that cannot be played."""


class Source(Protocol):
    """Images in order, with a rate of their own."""

    rate: float
    """Images per second that the source has by itself (Hz)."""

    def images(self, loop: bool) -> Iterator[NDArray[np.uint8]]:
        """RGB images uint8 (H, W, 3); without `loop` the iterator ends after the last one."""
        ...


def open_source(source: str, warn: Callable[[str], None]) -> Source:
    """The source that `source` names: `sample`, `camera:N`, or the path of a folder, image or video.

    `warn` is told about single files that cannot be read. Raises `SourceError` when nothing can be played.
    """
    camera = re.fullmatch(r"camera:(\d{1,4})", source)
    if camera:
        return Camera(int(camera[1]))
    path = SAMPLE if source == "sample" else Path(os.path.expanduser(source))
    try:
        found = path.exists()
    except OSError as error:
        raise SourceError(f"{source}: cannot be read: {error.strerror}") from None
    if not found:
        raise SourceError(f"{source}: no such file or folder; expected sample, camera:N, or a folder, image or video")
    try:
        files = files_in(path) if path.is_dir() else [path]
    except SaomError as error:
        raise SourceError(str(error)) from None
    return Files(files, warn)


class Files:
    """Image and video files one after the other. Orientation tags are ignored, as a camera driver does."""

    def __init__(self, files: list[Path], warn: Callable[[str], None]) -> None:
        self._files = files
        self._warn = warn
        self.rate = _video_rate(files[0]) if len(files) == 1 and is_video(files[0]) else PICTURE_RATE

    def images(self, loop: bool) -> Iterator[NDArray[np.uint8]]:
        """See `Source`. Unreadable files are named once and left out; `SourceError` when none is left."""
        unreadable: dict[Path, str] = {}
        while True:
            for path in self._files:
                if path in unreadable:
                    continue
                for frame in read_frames(path):
                    if frame.rgb is not None:
                        yield frame.rgb
                    else:
                        unreadable[path] = frame.error
                        if len(self._files) > 1:
                            self._warn(f"{frame.error}; left out")
            if len(unreadable) == len(self._files):
                count = f"none of {len(unreadable)} files can be played: " if len(unreadable) > 1 else ""
                raise SourceError(f"{count}{next(iter(unreadable.values()))}")
            if not loop:
                return


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
        self.rate = _rate_of(self._capture, CAMERA_RATE)

    def images(self, loop: bool) -> Iterator[NDArray[np.uint8]]:
        """See `Source`; a camera that stops giving images is an error."""
        try:
            while True:
                good, bgr = self._capture.read()
                if not good:
                    raise SourceError(f"camera:{self._index}: gives no images any more; check the cable")
                yield np.ascontiguousarray(bgr[:, :, ::-1], dtype=np.uint8)
        finally:
            self._capture.release()


def _video_rate(path: Path) -> float:
    capture = open_video(path)
    try:
        return _rate_of(capture, PICTURE_RATE)
    finally:
        capture.release()


def _rate_of(capture: cv2.VideoCapture, default: float) -> float:
    """Images per second as the file or driver tells them; `default` where that makes no sense."""
    rate = capture.get(cv2.CAP_PROP_FPS)
    return rate if 0.0 < rate <= 1000.0 else default
