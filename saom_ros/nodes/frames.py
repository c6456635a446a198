"""What happens to frames between the camera and the network: the newest wins, some are skipped, all are counted.

Plain Python without ROS, so that the rules can be tested without a node. Times are seconds of a monotonic clock.
"""

from __future__ import annotations

import statistics
import threading
from collections import deque
from collections.abc import Hashable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

Frame = TypeVar("Frame")


class NewestFrames(Generic[Frame]):
    """A mailbox with room for one frame per source, between the thread that receives and the thread that computes.

    A frame that arrives before the last one of its source was taken replaces it: results are about now, never about a
    backlog. Sources take turns: a source that was served queues up behind those that wait.
    """

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self._frames: dict[Hashable, Frame] = {}
        self._closed = False

    def put(self, source: Hashable, frame: Frame) -> bool:
        """Leave a frame. Returns whether an older one of the same source, never taken, had to go for it."""
        with self._condition:
            dropped = source in self._frames
            self._frames[source] = frame  # a dict keeps the place of a key that it has: the turn stays
            self._condition.notify()
            return dropped

    def take(self) -> Frame | None:
        """Wait for a frame and take the one whose source waits longest; None once the mailbox is closed."""
        with self._condition:
            self._condition.wait_for(lambda: self._closed or self._frames)
            return None if self._closed else self._frames.pop(next(iter(self._frames)))

    def close(self) -> None:
        """Wake the taker with None, now and ever after."""
        with self._condition:
            self._closed = True
            self._frames.clear()
            self._condition.notify_all()


class RateLimit:
    """Lets frames through at a given average rate, whatever the rate of the camera.

    Slots advance by whole periods, so that 30 Hz in and 20 Hz allowed gives 20 Hz out, not every second frame.
    """

    def __init__(self) -> None:
        self._slot = float("-inf")
        """When the last frame that passed was due."""

    def allows(self, now: float, max_rate: float) -> bool:
        """Whether the frame that came at `now` may pass. `max_rate` in Hz; 0 = every frame."""
        if max_rate <= 0.0:
            self._slot = now
            return True
        period = 1.0 / max_rate
        due = self._slot + period
        if now < due:
            return False
        # After a gap the slots start anew, or the frames that were missing would pass in a burst.
        self._slot = now if now - due > period else due
        return True


@dataclass
class FrameStatistics:
    """Counts since activation, and rate and times over the last few seconds. For one thread, the executor's."""

    received: int = 0
    """Frames that came in, good or bad."""
    segmented: int = 0
    """Frames whose results were published."""
    dropped: int = 0
    """Frames that a newer one replaced before they were looked at."""
    skipped: int = 0
    """Frames that `max_rate` held back."""
    rejected: int = 0
    """Frames that could not be read or segmented."""
    unwanted: int = 0
    """Frames that came while nobody subscribed to a result."""
    missed_clouds: int = 0
    """Pairs of image and depth that a newer pair replaced before their cloud was made."""
    _window: float = 5.0
    _done: deque[tuple[float, float, float, float | None]] = field(default_factory=deque, repr=False)

    def count(self, name: str) -> None:
        """Add one to the counter of that name."""
        setattr(self, name, getattr(self, name) + 1)

    def finished(self, now: float, inference: float, overhead: float, latency: float | None) -> None:
        """Note a published frame: seconds of inference and of all else, and its age in seconds, None without stamp."""
        self.segmented += 1
        self._done.append((now, inference, overhead, latency))

    def recent(self, now: float) -> RecentFrames:
        """Rate and medians of the frames published within the window."""
        while self._done and self._done[0][0] < now - self._window:
            self._done.popleft()
        done = list(self._done)
        # Of n frames in a row there are n - 1 intervals; fewer than two frames have no rate.
        span = now - done[0][0] if done else 0.0
        return RecentFrames(
            rate=(len(done) - 1) / span if len(done) > 1 and span > 0.0 else 0.0,
            inference=statistics.median(d[1] for d in done) if done else None,
            overhead=statistics.median(d[2] for d in done) if done else None,
            latency=_median([d[3] for d in done if d[3] is not None]),
        )


@dataclass(frozen=True)
class RecentFrames:
    """Figures over the last seconds; None where there was no frame."""

    rate: float = 0.0
    """Published frames per second (Hz)."""
    inference: float | None = None
    """Median seconds in the model's runtime."""
    overhead: float | None = None
    """Median seconds that everything else took, from when both the image and the worker were there until the results
    were published: checking, decoding, scaling, painting, tracking, making and publishing messages."""
    latency: float | None = None
    """Median seconds from the image's stamp to publishing."""


def _median(values: list[float]) -> float | None:
    return statistics.median(values) if values else None
