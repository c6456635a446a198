"""Images on disk: which files a path stands for, reading them as RGB frames one by one, and writing results atomically.

Reading ignores EXIF orientation, as a camera driver does: a label map has the size of the pixels in the file.
"""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from saom_ros.errors import ImageError, SaomError
from saom_ros.jpeg_png import decode_jpeg_png, is_jpeg_png

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff", ".ppm", ".pgm")
VIDEO_SUFFIXES = (".mp4", ".avi", ".mov", ".mkv", ".webm", ".m4v", ".mpg", ".mpeg")
RESULT_SUFFIXES = (".labels.png", ".overlay.png")
"""What `saom segment` writes; not taken as input when a folder holds results of an earlier run."""


@dataclass(frozen=True)
class Frame:
    """One image to segment, or the reason why it could not be read."""

    name: str
    """File stem; of a video `STEM_000001` and so on."""
    path: Path
    rgb: NDArray[np.uint8] | None
    """uint8 `(H, W, 3)`; None where reading failed."""
    error: str = ""


def find_inputs(paths: Sequence[Path]) -> list[Path]:
    """The image and video files that paths of files and folders (not their subfolders) stand for, in name order.

    Raises `SaomError` for a missing path, a folder without images, and two files whose results would share a name.
    """
    files: list[Path] = []
    for path in paths:
        if path.is_dir():
            files += files_in(path)
        elif path.is_file():
            files.append(path)
        elif path.exists():
            raise SaomError(f"{path}: is neither a regular file nor a folder")
        else:
            raise SaomError(f"{path}: no such file or folder")
    _refuse_equal_stems(files)
    return files


def files_in(folder: Path) -> list[Path]:
    """Images and videos of a folder (not of its subfolders) in name order; our own results are left out.

    Raises `SaomError` for a folder that cannot be read or holds none.
    """
    try:
        found = sorted(child for child in folder.iterdir() if _is_input(child))
    except OSError as error:
        raise SaomError(f"{folder}: cannot be read: {error.strerror}") from None
    if not found:
        expected = ", ".join(IMAGE_SUFFIXES + VIDEO_SUFFIXES)
        raise SaomError(f"{folder}: no images in this folder; expected files ending in {expected}")
    return found


def read_frames(path: Path) -> Iterator[Frame]:
    """The frames of an image or video file. A file that cannot be read gives a frame with `error`."""
    if is_video(path):
        yield from _read_video(path)
        return
    try:
        yield Frame(path.stem, path, read_rgb(path))
    except ImageError as error:
        yield Frame(path.stem, path, None, str(error))


def read_rgb(path: Path) -> NDArray[np.uint8]:
    """Read an image file as RGB uint8 `(H, W, 3)`.

    Grey is repeated, 16 bits become 8 (see `bit_depth.eight_bit`), transparency and EXIF orientation are ignored.
    Raises `ImageError` for a file that is missing, empty, truncated, too large or no image.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ImageError(f"{path}: cannot be read: {error.strerror}") from None
    if not content:
        raise ImageError(f"{path}: is empty (0 bytes)")
    if is_jpeg_png(content):
        pixels = decode_jpeg_png(content, f"{path}:")
        return pixels if pixels.ndim == 3 else np.repeat(pixels[:, :, None], 3, axis=2)
    try:
        bgr = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)
    except cv2.error as error:
        raise ImageError(f"{path}: OpenCV cannot decode it: {error.err}") from None
    if bgr is None:
        raise ImageError(f"{path}: truncated, or not an image that OpenCV {cv2.__version__} can decode")
    return np.ascontiguousarray(bgr[:, :, ::-1], dtype=np.uint8)


def encode_png(image: NDArray[np.uint8] | NDArray[np.uint16]) -> bytes:
    """PNG of a grey `(H, W)` (8 or 16 bit) or RGB uint8 `(H, W, 3)` image."""
    pixels = image[:, :, ::-1] if image.ndim == 3 else image
    # Level 1 takes a third of the default's time; label maps and overlays gain little from more.
    done, content = cv2.imencode(".png", np.ascontiguousarray(pixels), [cv2.IMWRITE_PNG_COMPRESSION, 1])
    if not done:
        raise ImageError(f"an image of {image.dtype} {image.shape} could not be encoded as PNG")
    return content.tobytes()


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file so that a reader, or a killed process, never leaves half of it under this name."""
    handle, temporary = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(content)
        os.chmod(temporary, 0o666 & ~_umask())  # mkstemp makes private files
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise


def is_video(path: Path) -> bool:
    """Whether the file's suffix is that of a video."""
    return path.suffix.lower() in VIDEO_SUFFIXES


def count_frames(path: Path) -> int:
    """Frames that a file announces (a video's header may be off); at least 1."""
    if not is_video(path):
        return 1
    capture = open_video(path)
    count = int(capture.get(cv2.CAP_PROP_FRAME_COUNT)) if capture.isOpened() else 1
    capture.release()
    return max(count, 1)


def open_video(path: Path) -> cv2.VideoCapture:
    """OpenCV's reader of a video file; not opened where it cannot read the file."""
    try:
        return cv2.VideoCapture(str(path).encode().decode())
    except UnicodeEncodeError:  # OpenCV would crash on a name that is not UTF-8
        return cv2.VideoCapture()


def _read_video(path: Path) -> Iterator[Frame]:
    capture = open_video(path)
    try:
        capture.set(cv2.CAP_PROP_ORIENTATION_AUTO, 0)
        number = 0
        while True:
            good, bgr = capture.read()
            if not good:
                break
            number += 1
            rgb = np.ascontiguousarray(bgr[:, :, ::-1], dtype=np.uint8)
            yield Frame(f"{path.stem}_{number:06d}", path, rgb)
        if number == 0:
            yield Frame(path.stem, path, None, f"{path}: no frame that OpenCV {cv2.__version__} can decode")
    finally:
        capture.release()


def _is_input(path: Path) -> bool:
    name = path.name.lower()
    if name.startswith(".") or name.endswith(RESULT_SUFFIXES):
        return False
    # A link that leads nowhere is taken, so that reading it tells the user instead of leaving an image out in silence.
    if not path.is_file() and not (path.is_symlink() and not path.exists()):
        return False
    return path.suffix.lower() in IMAGE_SUFFIXES + VIDEO_SUFFIXES


def _refuse_equal_stems(files: Sequence[Path]) -> None:
    """Results are named after stems; a video STEM takes all of STEM_000001, STEM_000002, ..."""
    videos = {path.stem: path for path in files if is_video(path)}
    taken: dict[str, Path] = {}
    for path in files:
        frame_of = re.fullmatch(r"(.*)_\d{6,}", path.stem)
        clash = taken.get(path.stem) or (videos.get(frame_of[1]) if frame_of else None)
        if clash is not None:
            raise SaomError(
                f"{clash} and {path} would write results of the same name; rename one or segment them apart"
            )
        taken[path.stem] = path


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
