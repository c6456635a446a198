"""Small shard folders by hand, and ways to damage them."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from training.data.shards import ShardWriter
from training.simulators.base import Frame

Member = tuple[str, bytes]


def mug_on_book(scene: int = 0, height: int = 24, width: int = 32) -> Frame:
    """A book (id 3) of 12 x 20 px behind a mug (id 7) of 6 x 8 px, which has a body (part 1) and a handle (part 2)."""
    instances = np.zeros((height, width), np.uint16)
    instances[8:20, 6:26] = 3
    instances[4:10, 12:20] = 7
    parts = np.zeros_like(instances)
    parts[instances == 3] = 5
    parts[instances == 7] = 1
    parts[4:10, 18:20] = 2
    rgb = np.random.default_rng(scene).integers(0, 256, (8, 3), np.uint8)[instances]
    meta = {
        "schema": 1,
        "simulator": "toy",
        "split": "train",
        "seed": 4,
        "scene": scene,
        "intrinsics": {"fx": 30.0, "fy": 30.0, "cx": 15.5, "cy": 11.5, "width": width, "height": height},
        "objects": [{"id": 3, "class": "Book"}, {"id": 7, "class": "Mug"}],
        "part_to_object": {"1": 7, "2": 7, "5": 3},
    }
    return Frame(rgb, instances, parts, np.full((height, width), 900, np.uint16), meta)


def write_shards(folder: Path, frames: Sequence[Frame], per_shard: int = 2) -> Path:
    """`toy-000000.tar` and so on with keys 0000, 0001, ..."""
    folder.mkdir(parents=True, exist_ok=True)
    for first in range(0, len(frames), per_shard):
        with ShardWriter(folder / f"toy-{first // per_shard:06d}.tar") as writer:
            for number, frame in enumerate(frames[first : first + per_shard], start=first):
                writer.add(f"{number:04d}", frame)
    return folder


def members(shard: Path) -> list[Member]:
    with tarfile.open(shard) as tar:
        return [(member.name, tar.extractfile(member).read()) for member in tar.getmembers()]  # type: ignore[union-attr]


def write_members(shard: Path, entries: Sequence[Member]) -> None:
    with tarfile.open(shard, "w") as tar:
        for name, content in entries:
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))


def replace_member(shard: Path, name: str, content: bytes) -> None:
    entries = members(shard)
    assert name in dict(entries)
    write_members(shard, [(key, content if key == name else value) for key, value in entries])


def change_meta(shard: Path, key: str, **changes: Any) -> None:
    meta = json.loads(dict(members(shard))[f"{key}.json"]) | changes
    replace_member(shard, f"{key}.json", json.dumps(meta).encode())
