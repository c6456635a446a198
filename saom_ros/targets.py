"""The one object that somebody asked for: picked by a pixel or a 3D point, then followed by its id.

A target is for grasp planners and pose estimators, which want no surprise: it is picked in one label map only, it never
changes to another object by itself, and what cannot be picked is refused with a reason and an empty mask.
"""

from __future__ import annotations

import math
import threading
from dataclasses import dataclass
from enum import Enum

import numpy as np
from numpy.typing import NDArray

from saom_ros.clouds import Intrinsics, project
from saom_ros.errors import SaomError
from saom_ros.instances import Instances

SNAP_PIXELS = 3
"""How far (px) from a pixel of the background its object may begin: the borders of masks are about that uncertain, and
a thin object is hard to hit."""


class TargetStatus(Enum):
    """What has become of the object asked for."""

    NONE = "none"
    WAITING = "waiting"
    FOLLOWING = "following"
    LOST = "lost"
    REFUSED = "refused"


@dataclass(frozen=True)
class TargetState:
    """What a person or a planner should know about the target."""

    status: TargetStatus
    object_id: int = 0
    """Its value in the label map while following or lost, else 0."""
    lost_since: int = 0
    """Stamp in ns of the first image without it, while lost."""
    reason: str = ""
    """Why there is no object, where the target was refused."""

    def __str__(self) -> str:
        """One line for diagnostics."""
        if self.status is TargetStatus.NONE:
            return "no target asked for"
        if self.status is TargetStatus.WAITING:
            return "waiting for the next image to pick the target"
        if self.status is TargetStatus.FOLLOWING:
            return f"following object {self.object_id}"
        if self.status is TargetStatus.LOST:
            return f"lost object {self.object_id} since stamp {self.lost_since / 1e9:.3f} s"
        return f"target refused: {self.reason}"


class Target:
    """The object asked for, from one image to the next.

    A request is decided on the next label map: either an object is picked or the request is refused; a refused request
    also ends the target before it. A picked object is followed by its id, through images without it, until the next
    request, so the ids must stay with their objects (a tracker's do). May be used from several threads.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._request: _Pixel | _Point | None = None
        self._state = TargetState(TargetStatus.NONE)

    @property
    def state(self) -> TargetState:
        """What `update` found last, or that a request waits for it."""
        return self._state

    def ask_pixel(self, x: float, y: float) -> None:
        """Ask for the object at image coordinates `x`, `y` in pixels; whole numbers are the centres of pixels."""
        self._ask(_Pixel(x, y))

    def ask_point(self, x: float, y: float, z: float) -> None:
        """Ask for the object seen at a point in metres, in the optical frame of the camera."""
        self._ask(_Point(x, y, z))

    def refuse(self, reason: str) -> None:
        """End the target: a request that could not be made, or ids that no longer mean the same objects."""
        with self._lock:
            self._request = None
            self._state = TargetState(TargetStatus.REFUSED, reason=reason)

    def update(self, instances: Instances, stamp: int, intrinsics: Intrinsics | None = None) -> TargetState:
        """Look for the target in the instances of the next image, whether or not its mask is wanted.

        Args:
            instances: of the image, with ids that stay with their objects.
            stamp: of the image in ns.
            intrinsics: of the image; None = unknown, and targets by 3D point are refused.
        """
        with self._lock:
            if self._request is not None:
                self._state = _picked(self._request, instances.label_map, intrinsics)
                self._request = None
            elif self._state.object_id:
                self._state = _followed(self._state, instances.ids, stamp)
            return self._state

    def mask(self, instances: Instances) -> NDArray[np.uint8]:
        """uint8 `(H, W)`: 255 on the target's pixels, 0 elsewhere; all 0 while there is none. Call `update` before."""
        state = self._state
        if state.status is not TargetStatus.FOLLOWING:
            return np.zeros(instances.label_map.shape, np.uint8)
        return np.multiply(instances.label_map == state.object_id, 255, dtype=np.uint8)

    def _ask(self, request: _Pixel | _Point) -> None:
        with self._lock:
            self._request = request
            self._state = TargetState(TargetStatus.WAITING)


def object_at(label_map: NDArray[np.uint16], x: float, y: float) -> int:
    """Id of the object at image coordinates (px); on background, of the nearest within `SNAP_PIXELS`.

    Of objects that are equally near, the smaller id. Raises SaomError where there is none, and outside the image.
    """
    height, width = label_map.shape
    inside = math.isfinite(x) and math.isfinite(y) and -0.5 <= x < width - 0.5 and -0.5 <= y < height - 0.5
    if not inside:
        raise SaomError(
            f"target pixel ({x:.6g}, {y:.6g}) lies outside the {width}x{height} image; x is 0..{width - 1} from the "
            f"left, y is 0..{height - 1} from the top"
        )
    column, row = math.floor(x + 0.5), math.floor(y + 0.5)
    if label_map[row, column]:
        return int(label_map[row, column])
    top, left = max(row - SNAP_PIXELS, 0), max(column - SNAP_PIXELS, 0)
    window = label_map[top : row + SNAP_PIXELS + 1, left : column + SNAP_PIXELS + 1]
    rows, cols = np.nonzero(window)
    squares = (rows + top - row) ** 2 + (cols + left - column) ** 2
    near = squares <= SNAP_PIXELS**2
    if not near.any():
        raise SaomError(
            f"no object at pixel ({column}, {row}) or within {SNAP_PIXELS} pixels of it; look at ~/overlay and ask for "
            "a pixel well inside an object"
        )
    return int(window[rows, cols][squares == squares[near].min()].min())


@dataclass(frozen=True)
class _Pixel:
    x: float
    y: float


@dataclass(frozen=True)
class _Point:
    x: float
    y: float
    z: float


def _picked(request: _Pixel | _Point, label_map: NDArray[np.uint16], intrinsics: Intrinsics | None) -> TargetState:
    try:
        if isinstance(request, _Point):
            if intrinsics is None:
                raise SaomError(
                    "a target by 3D point needs the camera's intrinsics; publish camera_info of the image's frame and "
                    "size, or ask by target_pixel"
                )
            x, y = project((request.x, request.y, request.z), intrinsics)
        else:
            x, y = request.x, request.y
        return TargetState(TargetStatus.FOLLOWING, object_at(label_map, x, y))
    except SaomError as error:
        return TargetState(TargetStatus.REFUSED, reason=str(error))


def _followed(state: TargetState, ids: NDArray[np.int32], stamp: int) -> TargetState:
    if np.any(ids == state.object_id):
        return TargetState(TargetStatus.FOLLOWING, state.object_id)
    if state.status is TargetStatus.LOST:
        return state
    return TargetState(TargetStatus.LOST, state.object_id, lost_since=stamp)
