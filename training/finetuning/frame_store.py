"""Decoded frames of a shard folder, kept in flat memory-mapped files beside the shards.

Decoding once makes one loader process keep up with a model. Every file is written under a temporary name and renamed,
so several processes may open the same folder at the same time.
"""

import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from saom_ros.errors import SaomError
from training.classes import UNKNOWN_CLASS, class_names
from training.data.shards import list_shards, read_members, read_shard

_STORE_FORMAT = 1
EXTRA_MAPS = {"parts": "'target: whole_objects' and 'loss: {edges: 0}'", "depth": "'loss: {depth: 0}'"}
"""Maps that a store keeps where it is asked to, and what does without them."""
UNKNOWN_CLASS_ID = -1
"""Class id of objects whose class is not in ``classes.yaml``."""


class FrameStore:
    """Decoded frames of a shard folder: ``store[i]`` gives RGB uint8 (H, W, 3) and instances uint16 (H, W), both read-
    only.
    """

    def __init__(self, folder: Path, show_progress: bool = True, maps: Sequence[str] = ()) -> None:
        """Open the cache beside the shards (``folder/cache``), decoding the shards that it does not hold yet.

        ``maps``: those of ``EXTRA_MAPS`` to keep too; SaomError names the first frame that has none.
        """
        self.folder = folder
        cache = folder / "cache"
        shards = list_shards(folder)
        cache.mkdir(exist_ok=True)
        self._shards = []
        for shard in tqdm(shards, desc="decode", unit="shard", disable=not show_progress):
            stat = shard.stat()
            stem = cache / f"{shard.stem}-{stat.st_size}-{stat.st_mtime_ns}-v{_STORE_FORMAT}"
            self._shards.append(_DecodedShard.open(shard, stem, maps))
        self._index = [(s, i) for s, shard in enumerate(self._shards) for i in range(len(shard.shapes))]

    def __len__(self) -> int:
        return len(self._index)

    def __getitem__(self, index: int) -> tuple[NDArray[np.uint8], NDArray[np.uint16]]:
        shard, row = self._index[index]
        return self._shards[shard].frame(row)

    def maps(self, index: int) -> dict[str, NDArray[np.uint16]]:
        """``instances`` and the extra maps asked for, of a frame: uint16 (H, W) by name, read-only."""
        shard, row = self._index[index]
        return self._shards[shard].maps(row)

    def classes(self, index: int) -> NDArray[np.int64]:
        """Class id of each instance of a frame, int64 indexed by instance id; -1 = unknown or no such instance."""
        shard, row = self._index[index]
        classes = self._shards[shard].classes[row]
        table = np.full(max(classes, default=0) + 1, UNKNOWN_CLASS_ID, np.int64)
        for instance, class_id in classes.items():
            table[instance] = class_id
        return table

    def fingerprint(self) -> list[str]:
        """What tells this folder's frames from any others: name, size and time of every shard."""
        return [shard.name for shard in self._shards]


@dataclass
class _DecodedShard:
    name: str
    rgb: NDArray[np.uint8]
    instances: NDArray[np.uint16]
    extra: dict[str, NDArray[np.uint16]]
    shapes: list[tuple[int, int]]
    classes: list[dict[int, int]]
    offsets: NDArray[np.int64]

    @classmethod
    def open(cls, shard: Path, stem: Path, maps: Sequence[str]) -> "_DecodedShard":
        """Memory-map a shard's files, making those that are not there yet."""
        if not stem.with_suffix(".json").exists():
            _decode_frames(shard, stem)
        for name in maps:
            if not stem.with_suffix(f".{name}").exists():
                _decode_map(shard, stem.with_suffix(f".{name}"), name)
        if not stem.with_suffix(".objects").exists():
            _read_objects(shard, stem.with_suffix(".objects"))
        shapes = [tuple(shape) for shape in json.loads(stem.with_suffix(".json").read_text())["shapes"]]
        return cls(
            stem.name,
            np.memmap(stem.with_suffix(".rgb"), np.uint8, "r"),
            np.memmap(stem.with_suffix(".instances"), np.uint16, "r"),
            {name: np.memmap(stem.with_suffix(f".{name}"), np.uint16, "r") for name in maps},
            shapes,
            [_class_ids(objects) for objects in json.loads(stem.with_suffix(".objects").read_text())],
            np.concatenate([[0], np.cumsum([h * w for h, w in shapes])]).astype(np.int64),
        )

    def frame(self, row: int) -> tuple[NDArray[np.uint8], NDArray[np.uint16]]:
        start, end = self.offsets[row], self.offsets[row + 1]
        height, width = self.shapes[row]
        return self.rgb[3 * start : 3 * end].reshape(height, width, 3), self.instances[start:end].reshape(height, width)

    def maps(self, row: int) -> dict[str, NDArray[np.uint16]]:
        found = {"instances": self.instances, **self.extra}
        start, end = self.offsets[row], self.offsets[row + 1]
        return {name: array[start:end].reshape(self.shapes[row]) for name, array in found.items()}


def _class_ids(objects: list[dict[str, Any]]) -> dict[int, int]:
    """Instance id -> class id of one frame's objects. Only names are cached: the class list may grow."""
    ids = {name: number for number, name in enumerate(class_names())}
    return {int(entry["id"]): ids.get(entry["class"], UNKNOWN_CLASS_ID) for entry in objects}


def _decode_frames(shard: Path, stem: Path) -> None:
    """Write one shard's frames as raw arrays; the JSON of their shapes comes last and marks them as whole."""
    shapes = []
    with _written(stem.with_suffix(".rgb")) as rgb, _written(stem.with_suffix(".instances")) as instances:
        for sample in read_shard(shard):
            rgb.write(np.ascontiguousarray(sample.rgb).tobytes())
            instances.write(np.ascontiguousarray(sample.instances, np.uint16).tobytes())
            shapes.append(sample.instances.shape)
    with _written(stem.with_suffix(".json")) as file:
        file.write(json.dumps({"shapes": shapes}).encode())


def _decode_map(shard: Path, path: Path, name: str) -> None:
    """Write one of the ``EXTRA_MAPS`` of a shard's frames."""
    with _written(path) as file:
        for sample in read_shard(shard):
            array = getattr(sample, name)
            if array is None:
                raise SaomError(
                    f"shard {shard}: sample {sample.key} has no {name}.png; train with {EXTRA_MAPS[name]}, or collect "
                    f"frames that have it (simulators rooms and ai2thor write {name})"
                )
            file.write(np.ascontiguousarray(array, np.uint16).tobytes())


def _read_objects(shard: Path, path: Path) -> None:
    """Write the objects of every frame; nothing else of the shard is decoded."""
    objects = []
    for key, files in read_members(shard):
        try:
            listed = json.loads(files["json"]).get("objects", [])
            objects.append(
                [{"id": int(entry["id"]), "class": str(entry.get("class", UNKNOWN_CLASS))} for entry in listed]
            )
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise SaomError(f"shard {shard}: sample {key} has no readable list of objects: {error!r}") from error
    with _written(path) as file:
        file.write(json.dumps(objects).encode())


@contextmanager
def _written(path: Path) -> Iterator[IO[bytes]]:
    """A file that gets its name when it is whole, so that nobody ever maps a half one."""
    partial = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        with partial.open("wb") as file:
            yield file
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)
