"""Integrity of a shard folder: reads everything that training could read, and names what is wrong and where.

A problem never hides another: the check goes on with the next sample, and after a broken archive with the next shard.
"""

from __future__ import annotations

import json
import tarfile
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from saom_ros.errors import SaomError
from training.classes import CLASSES_FILE, UNKNOWN_CLASS, class_names, held_out_classes
from training.collecting.collection import RECORD_NAME
from training.collecting.job import Job
from training.data.shards import Sample, decode_sample, list_shards, read_members
from training.data.storage import Place
from training.simulators.base import FRAME_SCHEMA
from training.simulators.rooms import VERSION
from training.simulators.rooms.frequencies import FREQUENCIES_FILE, too_rare

_MEMBERS = frozenset({"rgb.jpg", "rgb.png", "instances.png", "parts.png", "depth.png", "json"})
_ENDS = {"jpg": b"\xff\xd9", "png": b"IEND\xaeB`\x82"}
"""Last bytes of a whole JPEG (ITU-T T.81) and PNG (its empty last chunk with its checksum)."""
_RECORDED = ("simulator", "split", "seed")
"""Fields of the record that every sample repeats."""


@dataclass
class FolderCheck:
    """One pass over a folder; `problems()` may be called once, the counts are there afterwards."""

    folder: Place
    shards: int = 0
    samples: int = 0
    broken: Counter[str] = field(default_factory=Counter)
    """Problems by file name."""
    _frames: Counter[str] = field(default_factory=Counter)
    """Sound frames of the present version of the rooms by split."""
    _classes: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    """Their objects by class."""
    _keys: dict[str, str] = field(default_factory=dict)
    """Sample key -> file name of the shard that holds it."""

    def problems(self) -> Iterator[str | None]:
        """A line for each problem found, which names file and sample, and None after each sample, for progress.

        Raises SaomError when the folder is missing or holds no shard.
        """
        paths = list_shards(self.folder)
        self.shards = len(paths)
        job, problem = _read_record(self.folder)
        if problem:
            yield self._report(self.folder / RECORD_NAME, problem)
        sizes = {}
        for path in paths:
            before = self.samples
            yield from self._check_shard(path, job)
            sizes[path.name] = self.samples - before
        if job:
            for problem in _record_problems(job, sizes):
                yield self._report(self.folder / RECORD_NAME, problem)
        for problem in self._frequency_problems():
            yield self._report(self.folder, problem)

    def _check_shard(self, path: Place, job: Job | None) -> Iterator[str | None]:
        try:
            for name in _repeated_names(path):
                yield self._report(path, f"holds {name} twice; delete the shard and make it again")
            empty = True
            for number, (key, files) in enumerate(read_members(path)):
                empty = False
                self.samples += 1
                for problem in self._check_sample(path, number, key, files, job):
                    yield self._report(path, f"sample {key} {problem}")
                yield None
            if empty:
                yield self._report(path, "holds no sample; delete it")
        except SaomError as error:  # the archive: what comes after the damage cannot be read
            yield self._report(path, _without_place(str(error), path))

    def _check_sample(
        self, path: Place, number: int, key: str, files: Mapping[str, bytes], job: Job | None
    ) -> Iterator[str]:
        if key in self._keys:
            yield f"has a key that {self._keys[key]} uses already; keys must be unique in a folder"
        self._keys.setdefault(key, path.name)
        for name in sorted(set(files) - _MEMBERS):
            yield f"has a member {name} that no reader knows; expected {', '.join(sorted(_MEMBERS))}"
        cut = [name for name, content in files.items() if not content.endswith(_ENDS.get(name.split(".")[-1], b""))]
        for name in cut:
            yield f"has a truncated {name} of {len(files[name])} bytes"
        if cut:
            return
        try:
            sample = decode_sample(path, key, files)
        except SaomError as error:
            yield _without_place(str(error), path).removeprefix(f"sample {key} ")
            return
        problems = list(sample_problems(sample))
        yield from problems
        # Frames of an earlier version of the rooms are as sound, but show what that one made.
        if not problems and _is_of_present_rooms(sample.meta):
            self._count(sample)
        if job:
            yield from _job_problems(sample, number, path, job)

    def _count(self, sample: Sample) -> None:
        split = str(sample.meta.get("split"))
        self._frames[split] += 1
        self._classes[split].update(entry["class"] for entry in sample.meta["objects"])

    def _frequency_problems(self) -> Iterator[str]:
        for split, frames in self._frames.items():
            counts = self._classes[split]
            for name, least in too_rare(counts, frames, split).items():
                yield (
                    f"shows {counts[name]} objects of class {name} in {frames} frames of rooms for {split}; "
                    f"{FREQUENCIES_FILE.name} expects {least:.0f}: is it still placed?"
                )

    def _report(self, path: Place, problem: str) -> str:
        self.broken[path.name] += 1
        return f"{path}: {problem}"


def sample_problems(sample: Sample) -> Iterator[str]:
    """What is wrong with a decoded sample: the json against the maps and the class list."""
    meta = sample.meta
    if not isinstance(meta, dict):
        yield f"has a json that is a {type(meta).__name__}; expected a mapping"
        return
    if meta.get("schema") != FRAME_SCHEMA:
        yield f"has schema {meta.get('schema')!r} in its json; this version reads {FRAME_SCHEMA}"
    yield from _object_problems(meta.get("objects"), sample.instances)
    if meta.get("simulator") == "rooms" and meta.get("split") != "test":
        yield from _held_out_problems(meta)
    if sample.parts is not None:
        yield from _part_problems(meta.get("part_to_object"), sample.parts, sample.instances)
    intrinsics = meta.get("intrinsics")
    height, width = sample.instances.shape
    if isinstance(intrinsics, dict) and (intrinsics.get("width"), intrinsics.get("height")) != (width, height):
        yield (
            f"has intrinsics for {intrinsics.get('width')}x{intrinsics.get('height')} px, but is {width}x{height} px"
        )


def _object_problems(objects: Any, instances: NDArray[np.uint16]) -> Iterator[str]:
    if not isinstance(objects, list) or not all(
        isinstance(entry, dict) and isinstance(entry.get("id"), int) for entry in objects
    ):
        yield "has no list of objects with an id each in its json"
        return
    listed = Counter(entry["id"] for entry in objects)
    seen = set(np.unique(instances).tolist()) - {0}
    for label in sorted(label for label, count in listed.items() if count > 1):
        yield f"lists object {label} {listed[label]} times in its json"
    if missing := sorted(seen - set(listed)):
        yield f"shows {_ids(missing)} that its json does not list"
    if absent := sorted(set(listed) - seen):
        yield f"lists {_ids(absent)} in its json that its instance map does not show"
    known = {*class_names(), UNKNOWN_CLASS}
    for entry in objects:
        if entry.get("class") not in known:
            yield f"has object {entry['id']} of class {entry.get('class')!r}, which {CLASSES_FILE.name} does not list"


def _is_of_present_rooms(meta: Mapping[str, Any]) -> bool:
    return meta.get("simulator") == "rooms" and meta.get("simulator_version") == VERSION


def _held_out_problems(meta: Mapping[str, Any]) -> Iterator[str]:
    """Classes that a model must not see before it is tested on them."""
    entries = meta.get("objects")
    shown = {entry.get("class") for entry in entries if isinstance(entry, dict)} if isinstance(entries, list) else set()
    for name in sorted(held_out_classes() & shown):
        yield f"shows the held-out class {name} in the {meta.get('split')} split; collect it again"


def _part_problems(part_to_object: Any, parts: NDArray[np.uint16], instances: NDArray[np.uint16]) -> Iterator[str]:
    """Parts lie inside the object that the json gives them to."""
    try:
        table = np.zeros(65536, np.uint16)
        for part, label in part_to_object.items():
            table[int(part)] = label
    except (AttributeError, TypeError, ValueError, IndexError, OverflowError):
        yield "has parts, but no part_to_object with a number for each in its json"
        return
    wrong = (table[parts] != instances) & (parts > 0) | (parts > 0) & (instances == 0)
    if wrong.any():
        yield f"has {_ids(np.unique(parts[wrong]).tolist(), 'part')} outside the object that its json names"


def _read_record(folder: Place) -> tuple[Job | None, str | None]:
    """The collection's record, or what is wrong with it; neither where there is none."""
    path = folder / RECORD_NAME
    if not path.exists():
        return None, None
    try:
        held = json.loads(path.read_text())
        # A record that was written before a field came to be has its default.
        return Job(**{entry.name: held[entry.name] for entry in fields(Job) if entry.name in held}), None
    except (OSError, ValueError, TypeError) as error:
        return None, f"is damaged: {error}"


def _record_problems(job: Job, sizes: Mapping[str, int]) -> Iterator[str]:
    """Shards that the record does not allow: `sizes` are samples by file name."""
    expected = [job.shard_name(number) for number in range(len(sizes))]
    for name in sorted(set(sizes) - set(expected)):
        yield f"does not account for {name} among {len(sizes)} shards"
    for name in sorted(set(expected) - set(sizes)):
        yield f"expects {name}, which is missing; collect again with the same command"
    last = max(sizes)
    for name, size in sorted(sizes.items()):
        if size > job.frames_per_shard or (size < job.frames_per_shard and name != last):
            yield f"expects {job.frames_per_shard} frames in {name}, which holds {size}"


def _job_problems(sample: Sample, number: int, path: Place, job: Job) -> Iterator[str]:
    for name in _RECORDED:
        if sample.meta.get(name, getattr(job, name)) != getattr(job, name):
            yield f"has {name} {sample.meta[name]!r}, but {RECORD_NAME} says {getattr(job, name)!r}"
    height, width = sample.instances.shape
    if (width, height) != (job.width, job.height):
        yield f"is {width}x{height} px, but {RECORD_NAME} says {job.width}x{job.height}"
    shard = path.stem.rpartition("-")[2]
    if shard.isdecimal() and sample.key != job.key(int(shard), number):
        yield f"should have the key {job.key(int(shard), number)} at its place"


def _repeated_names(path: Place) -> list[str]:
    """Names that a shard holds more than once; readers would take the last without a word."""
    try:
        with path.open("rb") as file, tarfile.open(fileobj=file, mode="r:") as tar:
            counts = Counter(tar.getnames())
    except (tarfile.TarError, OSError, EOFError):
        return []  # reading the members tells what is wrong
    return sorted(name for name, count in counts.items() if count > 1)


def _without_place(message: str, path: Place) -> str:
    """The message without the shard's path that it begins with."""
    return message.removeprefix(f"shard {path}").removeprefix(":").strip()


def _ids(values: list[int], kind: str = "object", shown: int = 5) -> str:
    listed = ", ".join(map(str, values[:shown]))
    more = f" and {len(values) - shown} more" if len(values) > shown else ""
    return f"{kind}{'s' if len(values) > 1 else ''} {listed}{more}"
