"""What the folder of a collection holds: its record, its lock and its finished shards.

Whatever ends a run, its folder says by itself how to go on: the record names the job, and what has the name of a shard
is one, complete.
"""

from __future__ import annotations

import fcntl
import json
import os
import sys
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from upath import UPath

from saom_ros.errors import SaomError
from training.collecting.job import Job
from training.data.shards import END_OF_ARCHIVE, count_samples
from training.data.storage import Place, refusals, write_text
from training.version import code_version

RECORD_NAME = "collect.json"
"""File that says what a folder holds: the fields of its `Job`, and the `version` of the code that began it."""

_TAR_BLOCK = 512
_TAIL = 1 << 18
"""Bytes at the end of an uploaded shard that surely hold its last member and the header before it."""


def claim(job: Job, out: Place) -> None:
    """Write down in the folder what it holds, or make sure that it holds just that.

    Raises SaomError where it holds something else or cannot be written. Another version of the code gets a warning.
    """
    version = code_version()
    held = _read_or_write_record(out, {**asdict(job), "version": version})
    for name, value in asdict(job).items():
        if held.get(name) != value:
            option = name.replace("_", "-")
            raise SaomError(
                f"{out} holds frames with --{option} {held.get(name)}, not {value}; use that or another --out folder"
            )
    begun = held.get("version", "a version that did not write itself down")
    if begun != version:
        print(
            f"warning: {out} was begun by {begun} and goes on with {version}, whose frames may differ; "
            "where that matters, collect into another --out folder",
            file=sys.stderr,
        )


@contextmanager
def lock(out: Path) -> Iterator[None]:
    """Keep a second run out of a local folder; the lock goes with the process, however it ends."""
    with (out / RECORD_NAME).open() as record:
        try:
            fcntl.flock(record, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise SaomError(f"another run is collecting into {out}; wait for it or choose another --out") from None
        yield


def finished_shards(job: Job, frames: int, out: Place) -> dict[int, int]:
    """Frames of each finished shard.

    Raises SaomError where the folder holds more than `frames`, as it may only grow, or a shard is damaged.
    """
    wanted, sizes = job.shard_sizes(frames), {}
    with refusals(f"cannot list {out}"):
        paths: list[Place] = sorted(out.glob(f"{job.simulator}-*.tar"), key=str)
    for path in paths:
        number = path.stem.rpartition("-")[2]
        if not number.isdecimal():
            raise SaomError(f"{path} is no shard of this collection; move it elsewhere")
        shard = int(number)
        sizes[shard] = count_samples(path) if isinstance(path, Path) else _count_by_last_key(path)
        if sizes[shard] > wanted.get(shard, 0):
            raise SaomError(f"{out} holds more than {frames} frames already ({path.name}); give a larger --frames")
    return sizes


def _read_or_write_record(out: Place, fields: dict[str, Any]) -> dict[str, Any]:
    """What the record of the folder says; an empty folder gets one of `fields` first."""
    record = out / RECORD_NAME
    try:
        with refusals(f"cannot write to --out {out}"):
            if isinstance(out, Path):
                out.mkdir(parents=True, exist_ok=True)
            else:
                out.fs.makedirs(out.path, exist_ok=True)
            if not record.exists():
                if any(out.glob("*.tar")):
                    raise SaomError(f"{out} holds shards but no {RECORD_NAME}; collect into an empty folder")
                write_text(record, json.dumps(fields, indent=2) + "\n")
            text = record.read_text()
        held = json.loads(text)
        if not isinstance(held, dict):
            raise ValueError("it holds no mapping")
    except ValueError as error:
        raise SaomError(f"{record} is damaged ({error}); collect into an empty folder") from error
    if isinstance(out, Path) and not os.access(out, os.W_OK):
        raise SaomError(f"cannot write to --out {out}; choose a writable folder")
    return held


def _count_by_last_key(path: UPath) -> int:
    """Frames of a shard behind a URL, by the number in its last key: kilobytes to read instead of all its pictures.

    Raises SaomError where the archive has no end.
    """
    with refusals(f"cannot read {path}"):
        size = path.stat().st_size
        start = max(0, size - _TAIL) // _TAR_BLOCK * _TAR_BLOCK
        tail = path.fs.cat_file(path.path, start=start)
    if len(tail) >= len(END_OF_ARCHIVE) and tail.endswith(END_OF_ARCHIVE):
        for first in range(len(tail) - _TAR_BLOCK, -1, -_TAR_BLOCK):
            with suppress(tarfile.HeaderError, ValueError):
                member = tarfile.TarInfo.frombuf(tail[first : first + _TAR_BLOCK], "utf-8", "strict")
                return int(member.name.partition(".")[0].rpartition("-")[2]) + 1
    raise SaomError(f"shard {path} is broken: it ends early; delete it and collect again")
