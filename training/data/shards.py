"""Shards: tar files of frames in the WebDataset layout, what simulators write and training reads.

`SIMULATOR-NNNNNN.tar` holds, for every sample KEY, `KEY.rgb.jpg` (or png), `KEY.instances.png`, `KEY.parts.png` and
`KEY.depth.png` (both optional) and `KEY.json`, which carries the CRC-32 of the others. Written under a temporary name
and renamed when whole, so a shard that has its name is complete.
"""

from __future__ import annotations

import io
import json
import os
import tarfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Any

import cv2
import numpy as np
from numpy.typing import NDArray

from saom_ros.errors import SaomError
from training.data.storage import Place, refusals
from training.simulators.base import Frame

# Label maps are runs of equal values: run-length strategy is both the fastest and nearly the smallest.
_LABEL_PNG = [cv2.IMWRITE_PNG_COMPRESSION, 3, cv2.IMWRITE_PNG_STRATEGY, cv2.IMWRITE_PNG_STRATEGY_RLE]
_DEPTH_PNG = [cv2.IMWRITE_PNG_COMPRESSION, 1]
_CHECKSUMS = "crc32"
"""Key of the json with the checksum of each other member; a JPEG damaged in its middle decodes without an error."""
END_OF_ARCHIVE = bytes(1024)
"""What a whole tar archive ends with."""


@dataclass
class Sample:
    """One frame read back from a shard; fields as in `Frame`, decoded."""

    key: str
    rgb: NDArray[np.uint8]
    instances: NDArray[np.uint16]
    parts: NDArray[np.uint16] | None
    depth: NDArray[np.uint16] | None
    meta: dict[str, Any]


class ShardWriter:
    """Writes one shard. Used as a context manager: leaving it normally names the shard, an exception discards it.

    The bytes depend on the frames only, not on the clock or the user. Raises SaomError where the disk refuses.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
        with self._disk_errors():
            self._tar = tarfile.open(self._partial, "w", format=tarfile.USTAR_FORMAT)  # noqa: SIM115 closed in __exit__

    def __enter__(self) -> ShardWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                with self._disk_errors():
                    self._tar.close()
                    os.replace(self._partial, self._path)
        finally:
            with suppress(OSError):  # what could not be written cannot be flushed either
                self._tar.close()
            self._partial.unlink(missing_ok=True)

    def add(self, key: str, frame: Frame) -> None:
        """Append one sample.

        Raises ValueError for a key with a dot (WebDataset splits there) or maps whose size or type is not the frame's.
        """
        if not key or "." in key or "/" in key:
            raise ValueError(f"sample key {key!r} must be a plain name without '.' or '/'")
        for name, content in encode_frame(frame).items():
            self._add_file(f"{key}.{name}", content)

    def _add_file(self, name: str, content: bytes) -> None:
        info = tarfile.TarInfo(name)
        info.size, info.mode = len(content), 0o644
        with self._disk_errors():
            self._tar.addfile(info, io.BytesIO(content))

    @contextmanager
    def _disk_errors(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise SaomError(
                f"cannot write shard {self._path}: {error.strerror}; free space or choose another folder, "
                "then run the same command again: finished shards are kept"
            ) from error


def encode_frame(frame: Frame) -> dict[str, bytes]:
    """Extension -> file content of a frame. Raises ValueError for maps whose size or type is not as `Frame` says."""
    height, width = frame.rgb.shape[:2]
    maps = {"instances": frame.instances, "parts": frame.parts, "depth": frame.depth}
    for name, image in maps.items():
        if image is not None and (image.shape != (height, width) or image.dtype != np.uint16):
            raise ValueError(f"{name} is {image.dtype} {image.shape}; expected uint16 {(height, width)}")
    bgr = np.ascontiguousarray(frame.rgb[..., ::-1])
    files = {"rgb.jpg": _encode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, frame.jpeg_quality])}
    for name, image in maps.items():
        if image is not None:
            files[f"{name}.png"] = _encode(".png", image, _DEPTH_PNG if name == "depth" else _LABEL_PNG)
    checksums = {name: zlib.crc32(content) for name, content in files.items()}
    files["json"] = json.dumps({**frame.meta, _CHECKSUMS: checksums}, sort_keys=True).encode()
    return files


def list_shards(folder: Place) -> list[Place]:
    """The finished shards of a folder, in order.

    Raises SaomError when the folder is missing or holds none.
    """
    with refusals(f"cannot list {folder}"):
        if not folder.is_dir():
            raise SaomError(f"data folder {folder} does not exist; make one with `python -m training collect`")
        shards: list[Place] = sorted((path for path in folder.glob("*.tar") if path.name[0] != "."), key=str)
    if not shards:
        raise SaomError(f"data folder {folder} holds no *.tar shard; make some with `python -m training collect`")
    return shards


def read_shards(folder: Place) -> Iterator[Sample]:
    """All samples of a folder, shard by shard. Raises SaomError that names the shard and key that cannot be read."""
    for path in list_shards(folder):
        yield from read_shard(path)


def read_shard(path: Place) -> Iterator[Sample]:
    """All samples of one shard in order. Raises SaomError that names the shard and key that cannot be read."""
    for key, files in read_members(path):
        yield decode_sample(path, key, files)


def read_members(path: Place) -> Iterator[tuple[str, dict[str, bytes]]]:
    """Key and undecoded files (extension -> content) of each sample of one shard.

    Raises SaomError when the tar is truncated or no tar at all.
    """
    key, files = "", dict[str, bytes]()
    try:
        with path.open("rb") as file, _open_whole(file) as tar:
            for member in tar:
                stem, _, extension = member.name.partition(".")
                if stem != key:
                    if files:
                        yield key, files
                    key, files = stem, {}
                content = tar.extractfile(member)
                if content is not None:
                    files[extension] = content.read()
        if files:
            yield key, files
    except (tarfile.TarError, OSError, EOFError) as error:
        place = f" after sample {key}" if key else ""
        raise SaomError(f"shard {path} is broken{place}: {error}; delete it and collect again") from error


def count_samples(path: Place) -> int:
    """How many samples a shard holds, without decoding. Raises SaomError as `read_members` does."""
    return sum(1 for _ in read_members(path))


def decode_sample(path: Place, key: str, files: Mapping[str, bytes], with_maps: bool = True) -> Sample:
    """Decode one sample's files; without parts and depth unless `with_maps`.

    Raises SaomError that names shard and key for a missing or damaged member; of shards that older versions or others
    wrote, without checksums, not all damage shows.
    """
    meta = _checked_json(path, key, files)

    def image(name: str, flags: int) -> NDArray[Any] | None:
        if name not in files:
            return None
        decoded = cv2.imdecode(np.frombuffer(files[name], np.uint8), flags) if files[name] else None
        if decoded is None:
            raise SaomError(f"shard {path}: sample {key} has a damaged {name}; delete the shard and collect again")
        return decoded

    def required(found: NDArray[Any] | None, name: str) -> NDArray[Any]:
        if found is None:
            raise SaomError(f"shard {path}: sample {key} lacks {name}; every sample needs rgb, instances and json")
        return found

    bgr = required(image("rgb.png" if "rgb.png" in files else "rgb.jpg", cv2.IMREAD_COLOR), "rgb.jpg")
    instances = required(image("instances.png", cv2.IMREAD_UNCHANGED), "instances.png")
    parts, depth = (image(name, cv2.IMREAD_UNCHANGED) if with_maps else None for name in ("parts.png", "depth.png"))
    for name, found in (("instances", instances), ("parts", parts), ("depth", depth)):
        if found is not None and (found.dtype != np.uint16 or found.shape != bgr.shape[:2]):
            raise SaomError(
                f"shard {path}: sample {key} has {name} of {found.dtype} {found.shape}; expected uint16 {bgr.shape[:2]}"
            )
    return Sample(key, np.ascontiguousarray(bgr[..., ::-1]), instances, parts, depth, meta)


def _checked_json(path: Place, key: str, files: Mapping[str, bytes]) -> Any:
    """The sample's json, once the other members are found to be what was written."""
    if "json" not in files:
        raise SaomError(f"shard {path}: sample {key} lacks json; every sample needs rgb, instances and json")
    try:
        meta = json.loads(files["json"])
    except ValueError as error:
        raise SaomError(f"shard {path}: sample {key} has a damaged json: {error}") from error
    checksums = meta.pop(_CHECKSUMS, {}) if isinstance(meta, dict) else {}
    if not isinstance(checksums, dict):
        raise SaomError(f"shard {path}: sample {key} has a damaged json: {_CHECKSUMS} is no table")
    for name in sorted(checksums):
        if name not in files:
            raise SaomError(
                f"shard {path}: sample {key} lacks {name}, which it was written with; delete the shard, collect again"
            )
        if zlib.crc32(files[name]) != checksums[name]:
            raise SaomError(f"shard {path}: sample {key} has a damaged {name}; delete the shard and collect again")
    return meta


def _open_whole(file: IO[bytes]) -> tarfile.TarFile:
    """A tar that was cut between two members reads without complaint; only its missing end mark tells."""
    size = file.seek(0, os.SEEK_END)
    if size < len(END_OF_ARCHIVE):
        raise EOFError(f"{size} bytes are no tar archive")
    file.seek(-len(END_OF_ARCHIVE), os.SEEK_END)
    if file.read() != END_OF_ARCHIVE:
        raise EOFError("the file ends early")
    file.seek(0)
    return tarfile.open(fileobj=file, mode="r:")


def _encode(extension: str, image: NDArray[Any], options: list[int]) -> bytes:
    encoded, content = cv2.imencode(extension, image, options)
    if not encoded:
        raise ValueError(f"cannot encode {image.dtype} {image.shape} as {extension}")
    return content.tobytes()
