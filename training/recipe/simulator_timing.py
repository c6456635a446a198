"""How fast a simulator renders, measured in a process of its own, as in a worker of `collect`.

A module of its own, too: that process imports it, and is spared PyTorch.
"""

from __future__ import annotations

import multiprocessing
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

from saom_ros.errors import SaomError
from training.collecting.egl_devices import choose_device
from training.collecting.job import Job, MakeSimulator, make_shard

_FRAMES = 6


def time_simulator(job: Job, make_simulator: MakeSimulator) -> tuple[float, float]:
    """Seconds to start, and seconds a frame.

    Raises:
        SaomError: scene after scene gives no frame, or the process dies.
    """
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        try:
            return pool.submit(_time_simulator, job, make_simulator).result()
        except BrokenProcessPool:
            raise SaomError(
                "the simulator's process died while it was timed, as when the machine is out of memory; free some, or "
                f"make frames smaller than {job.width}x{job.height} (simulate.width, simulate.height)"
            ) from None


def _time_simulator(job: Job, make_simulator: MakeSimulator) -> tuple[float, float]:
    began = time.perf_counter()
    choose_device(0)
    simulator = make_simulator(job)
    start, began = time.perf_counter() - began, time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        make_shard(job, simulator, 0, _FRAMES, Path(folder), lambda event: None)
    seconds = time.perf_counter() - began
    simulator.close()
    return start, seconds / _FRAMES
