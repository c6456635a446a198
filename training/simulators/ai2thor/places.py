"""Which rooms and houses a split has, and which of them each scene number shows.

iTHOR's rooms are split as in AI2-THOR's rearrangement challenge (``training/classes.yaml``), and so are its materials.
"""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from saom_ros.errors import SaomError
from training.classes import ithor_rooms
from training.simulators.base import SPLITS

_KINDS = {"kitchen": 0, "living": 200, "bedroom": 300, "bathroom": 400}


@dataclass(frozen=True)
class Place:
    """A room of iTHOR or a house of ProcTHOR."""

    name: str
    kind: str
    """kitchen, living, bedroom, bathroom or house."""
    scene: str | dict[str, Any]
    """What Controller.reset takes."""


def rooms(split: str) -> list[Place]:
    """The iTHOR rooms of a split: 80, 20 and 20."""
    return [
        Place(f"FloorPlan{offset + number}", kind, f"FloorPlan{offset + number}")
        for kind, offset in _KINDS.items()
        for number in ithor_rooms(split)
    ]


def houses(path: Path) -> list[Place]:
    """ProcTHOR houses from a file as the package `prior` stores them: a house a line, or one JSON list; `.gz` or not.

    Raises SaomError that names the file and the house that cannot be read.
    """
    try:
        content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        lines = content.decode().splitlines()
    except (OSError, EOFError, zlib.error, UnicodeDecodeError) as error:
        raise SaomError(f"cannot read --houses {path}: {error}; give ProcTHOR houses as JSON or JSONL") from error
    listed = _parse(path, lines)
    for number, house in enumerate(listed):
        if not isinstance(house, dict) or "agent" not in house.get("metadata", {}):
            raise SaomError(f"--houses {path}: house {number} has no metadata.agent; give houses of ProcTHOR-10K")
    if not listed:
        raise SaomError(f"--houses {path} holds no house")
    return [Place(f"{path.name.split('.')[0]}-{number}", "house", house) for number, house in enumerate(listed)]


def _parse(path: Path, lines: list[str]) -> list[Any]:
    if lines and lines[0].lstrip().startswith("["):
        lines = [" ".join(lines)]
    parsed = []
    for number, line in enumerate(lines, 1):
        try:
            parsed.append(json.loads(line))
        except ValueError as error:
            raise SaomError(f"--houses {path}: line {number} is no JSON ({error}); fetch the file again") from error
    return parsed[0] if len(parsed) == 1 and isinstance(parsed[0], list) else parsed


def place_of_scene(places: Sequence[Place], split: str, seed: int, scene: int) -> Place:
    """The place that scene number `scene` shows: each once in every run of `len(places)` numbers, shuffled by seed."""
    turn, position = divmod(scene, len(places))
    order = np.random.default_rng([SPLITS.index(split), seed, turn]).permutation(len(places))
    return places[order[position]]
