"""Callers of `~/trigger`, who ask for one picture now and wait until its mask is published.

All of it runs in the executor's thread. A call is answered through a Future on which the service's coroutine waits, so
that any number of callers can wait while images, parameters and the other services go on.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from rclpy.task import Future


class Answer(NamedTuple):
    """What a caller is told."""

    success: bool
    message: str


@dataclass
class _Caller:
    answer: Future
    deadline: float
    """Monotonic seconds."""
    image: int | None = None
    """Number of the image that is under way for the caller."""


class Triggers:
    """Those who wait for the next image of one camera."""

    def __init__(self) -> None:
        self._callers: list[_Caller] = []
        self._problem = ""

    def ask(self, deadline: float) -> Future:
        """A Future of `Answer`; `deadline` in monotonic seconds. The next image that comes will answer it."""
        if not self._callers:
            self._problem = ""
        caller = _Caller(Future(), deadline)
        self._callers.append(caller)
        return caller.answer

    @property
    def wanting(self) -> bool:
        """Whether somebody waits for whom no image is under way."""
        return any(caller.image is None for caller in self._callers)

    @property
    def waiting(self) -> bool:
        """Whether somebody waits."""
        return bool(self._callers)

    def take(self, image: int) -> None:
        """The image of that number is under way for all who have none; a later image may answer in its place."""
        for caller in self._callers:
            if caller.image is None:
                caller.image = image

    def note(self, problem: str) -> None:
        """An image came that cannot be used; whoever runs out of time is told."""
        self._problem = problem

    def fail(self, image: int, problem: str) -> None:
        """The image that was under way could not be segmented: those who waited for it wait for the next one."""
        self.note(problem)
        for caller in self._callers:
            if caller.image is not None and caller.image <= image:
                caller.image = None

    def finish(self, image: int, message: str) -> None:
        """The results of the image are published."""
        self._answer(Answer(True, message), lambda caller: caller.image is not None and caller.image <= image)

    def expire(self, now: float, reason: str) -> None:
        """Give up on those whose time is over."""
        told = f"{reason}; last problem: {self._problem}" if self._problem else reason
        self._answer(Answer(False, told), lambda caller: now >= caller.deadline)

    def refuse(self, reason: str) -> None:
        """Give up on all."""
        self._answer(Answer(False, reason), lambda caller: True)

    def _answer(self, answer: Answer, chosen: Callable[[_Caller], bool]) -> None:
        done = [caller for caller in self._callers if chosen(caller)]
        self._callers = [caller for caller in self._callers if not chosen(caller)]
        for caller in done:
            caller.answer.set_result(answer)
