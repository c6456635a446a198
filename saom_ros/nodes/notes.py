"""What is said once: in the log when it is found, and in the diagnostics from then on."""

from __future__ import annotations

from collections.abc import Callable


class Notes:
    """One line each about things that go on as they are: a parameter nobody knows, a QoS that does not fit.

    >>> notes = Notes(print)
    >>> notes.add("image", "stamps of image lie in the future")
    stamps of image lie in the future
    >>> notes.add("image", "stamps of image lie in the future")
    >>> notes.lines
    ('stamps of image lie in the future',)
    """

    def __init__(self, warn: Callable[[str], None]) -> None:
        """`warn` takes each new line to the log."""
        self._warn = warn
        self._line_of: dict[str, str] = {}

    @property
    def lines(self) -> tuple[str, ...]:
        """All that was said, oldest first."""
        return tuple(self._line_of.values())

    def add(self, subject: str, line: str) -> None:
        """Say the line, unless something was said about the subject before."""
        if subject not in self._line_of:
            self._line_of[subject] = line
            self._warn(line)

    def clear(self) -> None:
        """Forget all: what is found again is said again."""
        self._line_of = {}
