"""Builds a TensorRT engine beside a running segmenter and puts it in its place between two frames.

One thread drives the builders, which are child processes, and loads the result; the worker's thread takes it over when
it is between frames. Nothing here knows ROS.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

from saom_ros.engine_build import Cancelled, EngineBuild
from saom_ros.engines import EngineCache, find_device, open_engine
from saom_ros.errors import SaomError
from saom_ros.runtimes import TENSORRT, Runtime
from saom_ros.runtimes.base import Unavailable
from saom_ros.segmenter import Segmenter

STOP_SECONDS = 10.0
"""How long the end waits for the thread, whose builder is killed at once."""


def start(
    folder: Path, segmenter: Segmenter, cache_folder: Path | None, report: Callable[[str], object]
) -> EngineSwap | None:
    """Start to build an engine for the segmenter's bundle, which lies in `folder`.

    None where it runs on TensorRT already, or there is none: the runtime's note tells why. `report` is called from
    another thread with one line when it is done.
    """
    if segmenter.runtime.name == TENSORRT:
        return None
    try:
        device = find_device()
    except Unavailable:
        return None
    build = EngineBuild(folder, segmenter.config, device, EngineCache(cache_folder))
    return EngineSwap(build, lambda: open_engine(folder, segmenter.config, cache_folder), report)


class EngineSwap:
    """A build under way and what came of it."""

    def __init__(self, build: EngineBuild, load: Callable[[], Runtime], report: Callable[[str], object]) -> None:
        self._build, self._load, self._report = build, load, report
        self._ready: Runtime | None = None
        self._outcome = ""
        self._thread = threading.Thread(target=self._run, name="engine build", daemon=True)
        self._thread.start()

    @property
    def status(self) -> str:
        """How far it is, in one line."""
        return self._outcome or self._build.progress or "preparing"

    def swap(self, segmenter: Segmenter) -> None:
        """Give the segmenter the engine, once, if it is ready. Between two calls of the segmenter."""
        ready, self._ready = self._ready, None
        if ready is not None:
            segmenter.runtime = ready

    def wait(self, alive: Callable[[], bool]) -> None:
        """Wait until the build has come to an end; raises `SaomError` when `alive` says that nobody waits any more."""
        while self._thread.is_alive():
            if not alive():
                self.stop()
                raise SaomError("the process ends before the engine is built")
            self._thread.join(0.2)

    def stop(self) -> None:
        """Give the build up."""
        self._build.cancel()
        self._thread.join(STOP_SECONDS)

    def _run(self) -> None:
        try:
            self._build.run()
            runtime = self._load()
        except Cancelled as error:
            self._outcome = str(error)
        except Exception as error:  # whatever it is, the node goes on with the runtime that it has
            what = str(error) if isinstance(error, SaomError) else f"{type(error).__name__}: {error}"
            self._outcome = f"no TensorRT engine: {what}"
            self._report(self._outcome)
        else:
            self._outcome = f"done: {runtime.name} {runtime.note}"
            self._ready = runtime
            self._report(f"the TensorRT engine is ready: {runtime.note}")
