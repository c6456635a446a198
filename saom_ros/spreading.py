"""Spreads the work around the model over two threads: while a frame is prepared or painted, the model's cores are idle.

NumPy and OpenCV let go of the interpreter in long calls, so two threads get nearly twice as far. What is computed does
not depend on how it is spread.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol, TypeVar

Part = TypeVar("Part")

EVERY_OTHER = (slice(0, None, 2), slice(1, None, 2))
"""The two halves of a sequence whose neighbours take about as long as each other."""


class Spread(Protocol):
    """How to call a function with each of some parts."""

    def __call__(self, work: Callable[[Part], Any], parts: Sequence[Part], /) -> None:
        """Call it with each part, in any order and maybe at once; return when all calls have."""


def in_turn(work: Callable[[Part], Any], parts: Sequence[Part], /) -> None:
    """One part after the other, in the calling thread."""
    for part in parts:
        work(part)


class TwoThreads:
    """The first part in the calling thread, the others in one thread beside it. May be shared by several threads."""

    def __init__(self) -> None:
        self._beside = ThreadPoolExecutor(1, thread_name_prefix="beside")  # starts its thread when there is work

    def __call__(self, work: Callable[[Part], Any], parts: Sequence[Part], /) -> None:
        """See `Spread`. An exception in any part is raised."""
        others = [self._beside.submit(work, part) for part in parts[1:]]
        try:
            work(parts[0])
        finally:
            for other in others:
                other.result()
