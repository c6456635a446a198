"""The thread that segments, so that the executor's thread stays free for parameters, services and shutdown.

Frames go in through a mailbox in which the newest of each source wins; results come back through a queue that the
executor's thread empties.
"""

from __future__ import annotations

import contextlib
import queue
import threading
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

from saom_ros.nodes.frames import NewestFrames

Frame = TypeVar("Frame")
Result = TypeVar("Result")


class Worker(Generic[Frame, Result]):
    """Runs `work` on the newest frame of each source in turn, one at a time, until it is stopped.

    `work` must not raise. `wake` is called from the worker's thread after each result; it should make another thread
    call `results` soon (a guard condition of rclpy does; a Future set from another thread does not wake an executor).
    """

    def __init__(self, work: Callable[[Frame], Result], wake: Callable[[], None]) -> None:
        self._work = work
        self._wake = wake
        self._mailbox: NewestFrames[Frame] = NewestFrames()
        self._results: queue.SimpleQueue[Result] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="inference", daemon=True)
        self._thread.start()

    def put(self, source: Hashable, frame: Frame) -> bool:
        """Hand in a frame; returns whether an older one of the same source was dropped for it."""
        return self._mailbox.put(source, frame)

    def results(self) -> list[Result]:
        """All results since the last call, oldest first. Does not wait."""
        ready = []
        with contextlib.suppress(queue.Empty):
            while True:
                ready.append(self._results.get_nowait())
        return ready

    def stop(self, timeout: float | None = None) -> bool:
        """Let the frame in work finish, drop the others, and end the thread. Returns whether it ended in time (s)."""
        self._mailbox.close()
        self._thread.join(timeout)
        return not self._thread.is_alive()

    def _run(self) -> None:
        while (frame := self._mailbox.take()) is not None:
            self._results.put(self._work(frame))
            # Drop the references: an image of a stopped camera should not live on here.
            del frame
            # The node may be gone when a long inference ends after shutdown.
            with contextlib.suppress(Exception):
                self._wake()
