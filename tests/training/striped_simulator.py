"""A simulator without graphics for tests of `collect`: coloured stripes, new ones in every picture."""

from __future__ import annotations

import os
import resource
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from saom_ros.errors import SaomError
from training.collecting.job import Job
from training.simulators.base import Frame, SceneSkippedError

VIEWS = 3
EVERY_SKIPPED = 4
"""Scenes 3, 7, 11, ... give no frame."""


class StripedSimulator:
    """Two objects, a left and a right stripe of random width; each object has an upper and a lower part."""

    name = "stripes"

    def __init__(self, job: Job, seconds: float = 0.0) -> None:
        self._job, self._seconds = job, seconds

    def frames(self, scene: int) -> Iterator[Frame]:
        if scene % EVERY_SKIPPED == EVERY_SKIPPED - 1:
            raise SceneSkippedError("no stripes")
        rng = np.random.default_rng([self._job.seed, scene])
        for _ in range(VIEWS):
            time.sleep(self._seconds)
            yield striped_frame(rng, self._job, scene)

    def close(self) -> None:
        pass


def striped_frame(rng: np.random.Generator, job: Job, scene: int = 0) -> Frame:
    height, width = job.height, job.width
    instances = np.zeros((height, width), np.uint16)
    instances[:, : int(rng.integers(1, width // 2))] = 1
    instances[:, width // 2 :] = 2
    lower = np.arange(height)[:, None] >= height // 2
    parts = np.where(instances > 0, instances * 2 - lower, 0).astype(np.uint16)
    rgb = rng.integers(0, 256, (3, 3), np.uint8)[instances]
    objects = [{"id": 1, "class": "Mug"}, {"id": 2, "class": "Book"}]
    meta = {"schema": 1, "scene": scene, "objects": objects, "part_to_object": {"1": 1, "2": 1, "3": 2, "4": 2}}
    return Frame(rgb, instances, parts, np.full((height, width), 1500, np.uint16), meta)


def make(job: Job) -> StripedSimulator:
    return StripedSimulator(job)


def make_slow(job: Job) -> StripedSimulator:
    return StripedSimulator(job, seconds=0.05)


def make_without_graphics(job: Job) -> StripedSimulator:
    raise SaomError("no OpenGL here; sudo apt install libegl1")


class BarrenSimulator(StripedSimulator):
    """None of its scenes gives a frame."""

    def frames(self, scene: int) -> Iterator[Frame]:
        raise SceneSkippedError("no stripes")


def make_barren(job: Job) -> BarrenSimulator:
    return BarrenSimulator(job)


class DyingSimulator(StripedSimulator):
    """Its process vanishes, as when the system is out of memory."""

    def frames(self, scene: int) -> Iterator[Frame]:
        yield from super().frames(scene)
        os._exit(9)


def make_dying(job: Job) -> DyingSimulator:
    return DyingSimulator(job)


class HangingSimulator(StripedSimulator):
    """On one node of a cluster its second shard never ends, which gives a test the time to kill that node in it.

    That one then makes the file `hanging`; the others wait for it before shard 4 is over.
    """

    def __init__(self, job: Job, hangs: bool, hanging: Path) -> None:
        super().__init__(job)
        self._hangs, self._hanging = hangs, hanging
        self._shards: set[int] = set()

    def frames(self, scene: int) -> Iterator[Frame]:
        shard = scene // 10_000
        self._shards.add(shard)
        for number, frame in enumerate(super().frames(scene)):
            yield frame
            if self._hangs and len(self._shards) == 2 and number == 1:
                self._hanging.touch()
                time.sleep(120)
            while not self._hangs and shard >= 4 and not self._hanging.exists():
                time.sleep(0.02)


def make_hanging(job: Job, node: str, hanging: Path) -> HangingSimulator:
    import ray

    return HangingSimulator(job, ray.get_runtime_context().get_node_id() == node, hanging)


class FullDiskSimulator(StripedSimulator):
    """Its process may write no more than 1 kB into a file from shard 1 on, which is how a full disk looks."""

    def frames(self, scene: int) -> Iterator[Frame]:
        if scene >= 10_000:
            _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
            resource.setrlimit(resource.RLIMIT_FSIZE, (1024, hard))
        yield from super().frames(scene)


def make_on_full_disk(job: Job) -> FullDiskSimulator:
    return FullDiskSimulator(job)
