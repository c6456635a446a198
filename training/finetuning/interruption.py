"""SIGINT and SIGTERM of a training run: heard at the end of an optimizer step, so that what is saved is whole.

A second signal, or one before the first step, ends the run at once; the last checkpoint is then what is left.
"""

import signal
from types import FrameType, TracebackType
from typing import Any

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class StoppedError(Exception):
    """The run was told to stop, and has saved where it stands."""


class Interruption:
    """Takes both signals while it is entered; only in a process's main thread."""

    def __init__(self) -> None:
        self.number: int | None = None
        """The first signal that came."""
        self._in_steps = False
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> "Interruption":
        self._before = {number: signal.signal(number, self._hear) for number in SIGNALS}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    @property
    def status(self) -> int:
        """The exit status that shells give a process which the signal ended."""
        return 128 + (self.number or 0)

    def begin_steps(self) -> None:
        """From now on the first signal is noted only. Takes SIGTERM from Lightning, whose handler talks to the other
        processes in the middle of whatever they do.
        """
        for number in SIGNALS:
            signal.signal(number, self._hear)
        self._in_steps = True

    def end_steps(self) -> None:
        """From now on a signal ends the run at once."""
        self._in_steps = False

    def _hear(self, number: int, _frame: FrameType | None) -> None:
        first = self.number is None
        self.number = self.number or number
        if not (first and self._in_steps):
            raise KeyboardInterrupt


def ignore_signals(_worker: int = 0) -> None:
    """Of a loader process: a terminal and a cluster signal every process of a run, and the run needs one more batch."""
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)
