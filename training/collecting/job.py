"""What a collection consists of: a job, cut into shards that can be made anywhere and in any order.

A shard draws from a range of scenes of its own, so its bytes depend on the job and its number only: never on the number
of workers or machines, on which of them makes it, or on how often it had to be begun.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from saom_ros.errors import SaomError
from training.data.shards import ShardWriter
from training.simulators.base import SceneSkippedError, Simulator

_SCENES_PER_SHARD = 10_000
"""Width of a shard's range of scene numbers; far more than it can use up."""
_MAX_SKIPPED_IN_A_ROW = 50

MakeSimulator = Callable[["Job"], Simulator]
Event = tuple[str, Any]
"""("frame", how many more), ("skipped", reason), ("finished", shard number) or another word for the user's eyes."""


@dataclass(frozen=True)
class Job:
    """What decides the bytes of a collection, apart from how many frames it has."""

    simulator: str
    split: str
    seed: int
    width: int
    height: int
    frames_per_shard: int
    houses: str | None = None
    """File of ProcTHOR houses to visit instead of iTHOR's rooms; only AI2-THOR has them."""
    rules: str | None = None
    """File that says which of AI2-THOR's objects make up whole ones; None = training/configs/ai2thor.yaml."""

    def shard_name(self, shard: int) -> str:
        """File name of shard number `shard`."""
        return f"{self.simulator}-{shard:06d}.tar"

    def key(self, shard: int, number: int) -> str:
        """Sample key, unique over simulators, splits and seeds, so that collections can be merged."""
        return f"{self.simulator}-{self.split}-{self.seed}-{shard:06d}-{number:04d}"

    def shard_sizes(self, frames: int) -> dict[int, int]:
        """Shard number -> how many frames it holds in a collection of `frames` frames; only the last may be short."""
        shards = range(-(-frames // self.frames_per_shard))
        return {shard: min(self.frames_per_shard, frames - shard * self.frames_per_shard) for shard in shards}


def make_shard(
    job: Job, simulator: Simulator, shard: int, size: int, folder: Path, report: Callable[[Event], object]
) -> Path:
    """Write shard number `shard` with `size` frames into a local folder; its path.

    `report` hears of every frame and of scenes that give none. Raises SaomError where the disk refuses or the scenes
    do not suffice; nothing is left then.
    """
    count = skipped = 0
    path = folder / job.shard_name(shard)
    with ShardWriter(path) as writer:
        for scene in range(shard * _SCENES_PER_SHARD, (shard + 1) * _SCENES_PER_SHARD):
            before = count
            for frame in _frames(simulator, scene, report):
                writer.add(job.key(shard, count), frame)
                report(("frame", 1))
                count += 1
                if count == size:
                    return path
            skipped = skipped + 1 if count == before else 0
            if skipped >= _MAX_SKIPPED_IN_A_ROW:
                raise SaomError(f"{skipped} scenes in a row gave no frame (up to scene {scene}); try another --seed")
    raise SaomError(f"shard {shard} used up its {_SCENES_PER_SHARD} scenes")


def _frames(simulator: Simulator, scene: int, report: Callable[[Event], object]) -> Iterator[Any]:
    try:
        yield from simulator.frames(scene)
    except SceneSkippedError as reason:
        report(("skipped", f"scene {scene}: {reason}"))
