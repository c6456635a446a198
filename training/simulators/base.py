"""What every simulator gives: frames with whole-object ground truth, scene by scene, each scene from its own seed.

`collect` drives simulators through this interface only.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

FRAME_SCHEMA = 1

SPLITS = ("train", "val", "test")
"""Which frames a model may see: train to learn from, val to choose settings on, test for figures only."""


class SceneSkippedError(Exception):
    """This scene gives no frames, and never will: the same seed fails the same way. Take the next scene."""


@dataclass
class Frame:
    """One picture with its ground truth."""

    rgb: NDArray[np.uint8]
    """`(H, W, 3)`."""
    instances: NDArray[np.uint16]
    """`(H, W)`: 0 = background or structure, k = whole object k; visible pixels only."""
    parts: NDArray[np.uint16] | None
    """`(H, W)`: 0 where `instances` is 0, else the visible part; every part belongs to one object."""
    depth: NDArray[np.uint16] | None
    """`(H, W)` mm along the optical axis; 0 = unknown or beyond 65.535 m."""
    meta: dict[str, Any]
    """What KEY.json holds: schema, intrinsics, pose, objects, simulator, seed, scene, split, part_to_object."""
    jpeg_quality: int = 95
    """Compression is part of a simulated camera, so the simulator chooses it."""


class Simulator(Protocol):
    """A source of frames for one split and seed."""

    name: str

    def frames(self, scene: int) -> Iterator[Frame]:
        """Frames of scene number `scene`, at least 0, always the same ones in the same order.

        Raises SceneSkippedError where the scene gives none.
        """

    def close(self) -> None:
        """Give back what the simulator holds (graphics context, processes)."""
