"""What a frame of the rooms simulator costs: CPU seconds by stage, frames a second and memory of one worker.

A fresh process makes whole scenes as a worker of `collect` does, with a clock round each stage. CPU time counts every
thread, so that a software renderer that spreads over all cores is not flattered.
"""

from __future__ import annotations

import multiprocessing
import pkgutil
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

from saom_ros.benchmark_rows import Row, peak_megabytes, ratio_row, status_megabytes

WIDTH, HEIGHT = 512, 384
AREA = "simulation"
_QUICK_SCENES, _SCENES = 2, 8
_TARGETS = {"CPU a frame": 0.5, "memory of a worker (peak RSS)": 450.0}
"""Upper limits, in the row's unit."""
_STAGES = {
    "layout": "training.simulators.rooms.simulator.build_scene",
    "settle": "training.simulators.rooms.layout.settle",
    "bake": "training.simulators.rooms.simulator.bake",
    "upload and shadows": "training.simulators.rooms.renderer.Renderer.load",
    "labels and depth": "training.simulators.rooms.renderer.Renderer.ground_truth",
    "colour": "training.simulators.rooms.renderer.Renderer.color",
    "sensor": "training.simulators.rooms.simulator.develop",
    "encode": "training.data.shards.encode_frame",
    "write": "training.data.shards.ShardWriter._add_file",
}
"""Where the time goes: the function that each stage spends it in. `layout` calls `settle`, which is taken off it."""


def rows(quick: bool) -> list[Row]:
    """What a frame costs, with its ratio to the limit where one is set.

    `quick` makes 2 scenes instead of 8. Raises SaomError where there is no EGL.
    """
    spawn = multiprocessing.get_context("spawn")  # as `collect` starts its workers
    with ProcessPoolExecutor(1, mp_context=spawn) as pool:
        figures = pool.submit(_measure, _QUICK_SCENES if quick else _SCENES).result()
    found = []
    for name, value, unit in figures:
        found.append(Row(AREA, name, round(value, 4), unit))
        if name in _TARGETS:
            limit = _TARGETS[name]
            found.append(ratio_row(AREA, f"{name}, share of the limit", value / limit, f"{limit:g} {unit}"))
    return found


def _measure(scenes: int) -> list[tuple[str, float, str]]:
    """Figures of this process: what it spends on the frames of so many scenes, and what it holds afterwards."""
    import cv2

    from training.data.shards import ShardWriter
    from training.simulators.base import SceneSkippedError
    from training.simulators.rooms.simulator import RoomSimulator

    cv2.setNumThreads(1)
    began = time.process_time()
    simulator = RoomSimulator("train", 0, WIDTH, HEIGHT)
    start = time.process_time() - began
    spent, frames = dict.fromkeys(_STAGES, 0.0), 0
    began, wall = time.process_time(), time.perf_counter()
    with tempfile.TemporaryDirectory() as folder, _clocks(spent), ShardWriter(Path(folder) / "shard.tar") as writer:
        for scene in range(scenes):
            try:
                for frame in simulator.frames(scene):
                    writer.add(f"{frames:06d}", frame)
                    frames += 1
            except SceneSkippedError:
                continue
    total, wall = time.process_time() - began, time.perf_counter() - wall
    shared = status_megabytes("Pss", "smaps_rollup")
    simulator.close()
    spent["layout"] -= spent["settle"]
    spent["other"] = total - sum(spent.values())
    return [
        ("CPU a frame", total / frames, "s"),
        *((f"CPU a frame: {stage}", spent[stage] / frames, "s") for stage in (*_STAGES, "other")),
        ("frames a second, one worker", frames / wall, "1/s"),
        ("start of a worker (textures)", start, "s"),
        ("frames a scene", frames / scenes, ""),
        ("memory of a worker (peak RSS)", peak_megabytes(), "MB"),
        ("memory of a worker while it works (PSS)", shared, "MB"),
    ]


@contextmanager
def _clocks(spent: dict[str, float]) -> Iterator[None]:
    """Add the CPU time of each stage's function to `spent` while the context lasts."""
    with ExitStack() as stack:
        for stage, name in _STAGES.items():
            stack.enter_context(patch(name, _timed(pkgutil.resolve_name(name), stage, spent)))
        yield


def _timed(function: Callable[..., Any], stage: str, spent: dict[str, float]) -> Callable[..., Any]:
    def timed(*args: Any, **options: Any) -> Any:
        began = time.process_time()
        try:
            return function(*args, **options)
        finally:
            spent[stage] += time.process_time() - began

    return timed
