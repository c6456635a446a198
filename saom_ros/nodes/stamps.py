"""Stamps of images against the node's clock: how old an image is, and what is odd about its stamp.

Plain Python without ROS. Stamps and times are integer nanoseconds, so that equal means equal.
"""

from __future__ import annotations

from typing import Any

ALLOWED_AGE, ALLOWED_FUTURE = 5.0, 0.5
"""Seconds by which a stamp may lie behind and ahead of the node's clock before that is worth a remark."""

NO_STAMP, WENT_BACK, BEHIND, AHEAD = "no stamp", "stamps went back", "stamps behind", "stamps ahead"
"""What can be odd about a stamp."""


def stamp_of(header: Any) -> int:
    """Stamp of a header in ns. Not by rclpy's Time: it refuses negative seconds, which must not end the node."""
    return int(header.stamp.sec) * 10**9 + int(header.stamp.nanosec)


def age_of(stamp: int, now: int) -> float | None:
    """Seconds from a stamp to the node's time `now` (both ns).

    None where one of them is 0: an image without a stamp, and simulated time before the first message of /clock.
    """
    return (now - stamp) * 1e-9 if stamp and now else None


class StampWatch:
    """Notices what is odd about the stamps of one topic, image by image."""

    def __init__(self) -> None:
        self._latest: int | None = None

    def oddities(self, stamp: int, now: int, topic: str) -> dict[str, str]:
        """What is odd about an image's stamp at the node's time `now` (both ns): NO_STAMP ... AHEAD -> a sentence."""
        if not stamp:
            return {NO_STAMP: f"images of {topic} have no stamp: latency is unknown, and depth cannot be paired"}
        found = {}
        if self._latest is not None and stamp < self._latest:
            found[WENT_BACK] = (
                f"stamps of {topic} went backwards (a bag that loops, a simulation that restarts): object ids and the "
                "pairing of depth begin anew"
            )
        self._latest = stamp
        age = age_of(stamp, now)
        if age is not None and not -ALLOWED_FUTURE <= age <= ALLOWED_AGE:
            oddity, side = (BEHIND, "behind") if age > 0 else (AHEAD, "ahead of")
            found[oddity] = (
                f"stamps of {topic} are far {side} the node's clock ({abs(age):.1f} s when first seen): set "
                "use_sim_time for a bag or a simulation, or synchronise the clocks"
            )
        return found
