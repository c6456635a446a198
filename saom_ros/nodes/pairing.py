"""Which depth image belongs to an image: the one with the nearest stamp within a tolerance, from a bounded store.

Plain Python without ROS and without queues that go stale: the newest image wins, and everything is forgotten when time
jumps backwards. Stamps are integer nanoseconds, so that equal means equal.
"""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass
from typing import Generic, TypeVar

Image = TypeVar("Image")
Depth = TypeVar("Depth")

UNPAIRED_SECONDS = 2.0
"""After so long with images but without a pair, it is time to say why."""


@dataclass(frozen=True)
class Pair(Generic[Image, Depth]):
    """An image and the depth that belongs to it."""

    image: Image
    depth: Depth


@dataclass(frozen=True)
class Unpaired:
    """Why nothing pairs. Stamps and gap in ns."""

    image_stamp: int
    depth_stamp: int | None
    """The nearest depth's, or None when no depth has come."""
    tolerance: int

    @property
    def gap(self) -> int | None:
        """Depth's stamp minus image's, or None without depth."""
        return None if self.depth_stamp is None else self.depth_stamp - self.image_stamp

    def __str__(self) -> str:
        """One sentence for log and diagnostics."""
        image = _seconds(self.image_stamp)
        if self.depth_stamp is None or self.gap is None:
            return f"no depth image has come for the image of stamp {image} s; check the name or remap 'depth'"
        return (
            f"image and depth do not pair: image stamp {image} s, nearest depth stamp {_seconds(self.depth_stamp)} s, "
            f"gap {self.gap / 1e6:+.3f} ms, sync_tolerance {self.tolerance / 1e6:g} ms; synchronise the camera's "
            "streams or raise sync_tolerance"
        )


class Pairing(Generic[Image, Depth]):
    """Pairs images with depth. May be used from several threads.

    An image pairs with the nearest depth at hand (the older of two equally near ones); only where none is within the
    tolerance does it wait for the next one, until a newer image replaces it. Whoever hands in finished results instead
    of fresh images delays nothing: by then the depths before and after the image have come. A depth may serve several
    images.

    A stamp below the last one of its stream means that time jumped backwards (a bag loops, a simulation restarts):
    everything stored is forgotten, so that no pair joins two times.
    """

    def __init__(self, tolerance: float, capacity: int = 30) -> None:
        """`tolerance` in seconds, 0 = equal stamps only; `capacity`: depth images kept, at least 1."""
        self._lock = threading.Lock()
        self._depths: deque[tuple[int, Depth]] = deque(maxlen=capacity)
        self._waiting: tuple[int, Image] | None = None
        self._last_image: int | None = None
        self._last_depth: int | None = None
        self._unpaired: tuple[int, int | None] | None = None
        self._unpaired_since: float | None = None
        self._said = False
        self._paired_before = 0
        self.paired = 0
        """Pairs made."""
        self.replaced = 0
        """Images that a newer one replaced before their depth came."""
        self.jumps = 0
        """How often time jumped backwards."""
        self.tolerance = tolerance

    @property
    def tolerance(self) -> float:
        """Seconds that image and depth may lie apart; may be changed at any time."""
        return self._tolerance / 1e9

    @tolerance.setter
    def tolerance(self, seconds: float) -> None:
        self._tolerance = round(seconds * 1e9)

    def __len__(self) -> int:
        """Depth images in the store."""
        return len(self._depths)

    def add_image(self, stamp: int, image: Image) -> Pair[Image, Depth] | None:
        """An image came (stamp in ns): its pair, or None while it waits for depth."""
        with self._lock:
            self._check_time(stamp, self._last_image)
            self._last_image = stamp
            self.replaced += self._waiting is not None
            self._waiting = None
            nearest = min(self._depths, key=lambda entry: abs(entry[0] - stamp), default=None)
            if nearest is not None and abs(nearest[0] - stamp) <= self._tolerance:
                return self._pair(image, nearest[1])
            self._waiting = (stamp, image)
            self._unpaired = (stamp, nearest[0] if nearest is not None else None)
            return None

    def add_depth(self, stamp: int, depth: Depth) -> Pair[Image, Depth] | None:
        """A depth image came (stamp in ns): its pair with the image that waits, or None."""
        with self._lock:
            self._check_time(stamp, self._last_depth)
            if stamp == self._last_depth:
                self._depths.pop()  # of equal stamps the newest counts
            self._last_depth = stamp
            self._depths.append((stamp, depth))
            if self._waiting is None:
                return None
            image_stamp, image = self._waiting
            if abs(stamp - image_stamp) <= self._tolerance:
                return self._pair(image, depth)
            self._note_nearest(image_stamp, stamp)
            return None

    def unpaired(self, now: float) -> Unpaired | None:
        """Why nothing pairs; once, when images have found no depth for `UNPAIRED_SECONDS`.

        To be asked about once a second; `now` in seconds of a monotonic clock. Says nothing again before something
        has paired.
        """
        with self._lock:
            if self.paired != self._paired_before:
                self._paired_before, self._unpaired_since, self._said = self.paired, None, False
            if self._unpaired is None:
                self._unpaired_since = None
            elif self._unpaired_since is None:
                self._unpaired_since = now
            elif not self._said and now - self._unpaired_since >= UNPAIRED_SECONDS:
                self._said = True
                return Unpaired(*self._unpaired, self._tolerance)
            return None

    def clear(self) -> None:
        """Forget all images and stamps, for example because nobody wants pairs any more."""
        with self._lock:
            self._forget()
            self._unpaired_since, self._said = None, False

    def _pair(self, image: Image, depth: Depth) -> Pair[Image, Depth]:
        self._waiting = self._unpaired = None
        self.paired += 1
        return Pair(image, depth)

    def _check_time(self, stamp: int, last: int | None) -> None:
        if last is not None and stamp < last:
            self.jumps += 1
            self._forget()

    def _forget(self) -> None:
        self._depths.clear()
        self._waiting = self._unpaired = None
        self._last_image = self._last_depth = None

    def _note_nearest(self, image_stamp: int, depth_stamp: int) -> None:
        """Keep, for the explanation, the depth nearest to the image that waits."""
        known = self._unpaired[1] if self._unpaired is not None else None
        if known is None or abs(depth_stamp - image_stamp) < abs(known - image_stamp):
            self._unpaired = (image_stamp, depth_stamp)


def _seconds(stamp: int) -> str:
    """A stamp in seconds with all its digits; a float would lose the last ones of today's time."""
    sign, (whole, nanoseconds) = "-" if stamp < 0 else "", divmod(abs(stamp), 10**9)
    return f"{sign}{whole}.{nanoseconds:09d}"
