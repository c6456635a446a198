"""Pinhole cameras in a room: where a robot, its arm or an overhead rig would look from.

The camera frame is that of OpenCV and REP 103 optical frames: x right, y down, z forward, metres.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from training.simulators.rooms.scene import Focus, Scene

Vector = NDArray[np.float64]
ViewKind = Literal["room", "object", "furniture", "tabletop", "closeup"]

# How often each kind of view is tried. Most robots look at a handful of objects from arm's length.
_VIEW_SHARES: dict[ViewKind, float] = {
    "room": 0.24,
    "object": 0.38,
    "furniture": 0.12,
    "tabletop": 0.14,
    "closeup": 0.12,
}
_CROWDED_VIEW_SHARES: dict[ViewKind, float] = {
    "room": 0.08,
    "object": 0.25,
    "furniture": 0.05,
    "tabletop": 0.47,
    "closeup": 0.15,
}
"""The same for scenes built around crowded surfaces, whose surroundings are bare."""
ROBOT_CAMERAS = {
    "RealSense D435, 640x480": 42.5,
    "RealSense D435, full frame": 42.0,
    "RealSense D455, 640x480": 64.0,
    "RealSense L515": 43.0,
    "Azure Kinect, 4:3": 74.3,
    "Kinect v1, Xtion": 45.0,
    "ZED 2, VGA": 54.0,
    "webcam": 38.0,
}
"""Vertical fields of view in degrees as in data sheets; single cameras differ by a few percent."""
_ROBOT_CAMERA_SHARE = 0.5
_WALL_CLEARANCE = 0.12
_OBJECT_CLEARANCE = 0.08
_ATTEMPTS = 60
_FOCUS_SHARE = 0.8
"""Share of tabletop views that look at one of the scene's own places of interest."""


@dataclass(frozen=True)
class Intrinsics:
    """Pinhole without distortion, px. The centre of the first pixel is (0, 0), as in OpenCV and ROS."""

    fx: float
    fy: float
    cx: float
    cy: float
    width: int
    height: int


@dataclass(frozen=True)
class View:
    """A camera in a room."""

    kind: ViewKind
    eye: Vector
    """`(3,)` m in the room's frame."""
    rotation: NDArray[np.float64]
    """`(3, 3)`, columns are the camera's x (right), y (down), z (forward) in the room's frame."""
    vertical_fov: float
    """rad."""

    def pose(self) -> NDArray[np.float64]:
        """Camera-to-room transform `(4, 4)`."""
        pose = np.eye(4)
        pose[:3, :3] = self.rotation
        pose[:3, 3] = self.eye
        return pose

    def intrinsics(self, width: int, height: int) -> Intrinsics:
        """Intrinsics for an image of that size; pixels are square."""
        focal = height / 2 / np.tan(self.vertical_fov / 2)
        return Intrinsics(float(focal), float(focal), (width - 1) / 2, (height - 1) / 2, width, height)


def look_at(eye: Vector, target: Vector, roll: float = 0.0) -> NDArray[np.float64]:
    """Rotation `(3, 3)` of a camera at `eye` that looks at `target`, upright but for `roll` (rad, clockwise image).

    Raises ValueError when both points are the same.
    """
    forward = np.asarray(target, np.float64) - eye
    length = np.linalg.norm(forward)
    if length < 1e-9:
        raise ValueError(f"camera at {np.asarray(eye).tolist()} looks at itself; eye and target must differ")
    forward /= length
    right = np.cross(forward, [0.0, 0.0, 1.0])
    if np.linalg.norm(right) < 1e-4:  # straight up or down: any right will do
        right = np.array([1.0, 0.0, 0.0]) - forward[0] * forward
    right /= np.linalg.norm(right)
    down = np.cross(forward, right)
    c, s = np.cos(roll), np.sin(roll)
    return np.stack([c * right + s * down, -s * right + c * down, forward], axis=1)


def orbit(view: View, target: Vector, angle: float) -> View:
    """The view turned about the vertical axis through `target` `(3,)` m by `angle` (rad), with camera and all."""
    c, s = np.cos(angle), np.sin(angle)
    turn = np.array([[c, -s, 0.0], [s, c, 0.0], [0.0, 0.0, 1.0]])
    return replace(view, eye=target + turn @ (view.eye - target), rotation=turn @ view.rotation)


class ViewSampler:
    """Draws views of one scene that are inside the room and outside its objects."""

    def __init__(self, scene: Scene, rng: np.random.Generator) -> None:
        self._scene = scene
        self._rng = rng
        bounds = [item.bounds() for item in scene.objects]
        self._low = np.array([low for low, _ in bounds]).reshape(-1, 3)
        self._high = np.array([high for _, high in bounds]).reshape(-1, 3)
        furniture = np.array([item.furniture for item in scene.objects], bool)
        # Flat things on the floor (rugs) must not forbid a camera near the floor.
        self._solid = self._high[:, 2] - self._low[:, 2] > 0.03 if len(bounds) else np.zeros(0, bool)
        self._small = np.flatnonzero(~furniture)
        self._large = np.flatnonzero(furniture)

    def sample(self) -> View | None:
        """One view, or None when the room leaves no place for a camera."""
        table = _CROWDED_VIEW_SHARES if self._scene.focus else _VIEW_SHARES
        kinds, shares = list(table), np.array(list(table.values()))
        for _ in range(_ATTEMPTS):
            view = self._propose(kinds[self._rng.choice(len(kinds), p=shares / shares.sum())])
            if view is not None and self._is_free(view):
                return view
        return None

    def _propose(self, kind: ViewKind) -> View | None:
        if kind == "room":
            return self._room_view()
        if kind == "tabletop" and self._scene.focus and self._rng.random() < _FOCUS_SHARE:
            return self._focus_view(self._scene.focus[int(self._rng.integers(len(self._scene.focus)))])
        group = self._large if kind == "furniture" else self._small
        if len(group) == 0:
            return None
        index = int(self._rng.choice(group))
        centre = (self._low[index] + self._high[index]) / 2
        size = float(np.linalg.norm(self._high[index] - self._low[index]))
        if kind == "closeup":
            return self._closeup_view(centre, size)
        return self._orbit_view(kind, centre, size)

    def _room_view(self) -> View:
        """What a mobile robot sees: eye level between a vacuum cleaner's mast and a person's head."""
        rng = self._rng
        width, depth, _ = self._scene.half_size
        eye = np.array([rng.uniform(-0.93, 0.93) * width, rng.uniform(-0.93, 0.93) * depth, rng.uniform(0.6, 1.8)])
        yaw = np.arctan2(-eye[1], -eye[0]) + rng.normal(0, 1.1)
        pitch = np.radians(rng.uniform(-5, 40))
        ahead = np.array([np.cos(yaw) * np.cos(pitch), np.sin(yaw) * np.cos(pitch), -np.sin(pitch)])
        return self._view("room", eye, eye + ahead, self._field_of_view(50, 80))

    def _orbit_view(self, kind: ViewKind, centre: Vector, size: float) -> View:
        """What an arm's camera or a person at the table sees: around one object, tabletop views from high above."""
        rng = self._rng
        # Furniture fills the frame now and then, as a bed or a stove does before a robot that works there.
        nearest = min(max(0.32, (0.55 if kind == "furniture" else 1.1) * size), 3.0)
        farthest = 1.3 if kind == "tabletop" else 3.2
        distance = np.exp(rng.uniform(np.log(min(nearest, farthest)), np.log(farthest)))
        elevation = np.radians(rng.uniform(50, 88) if kind == "tabletop" else rng.uniform(2, 60))
        eye = centre + distance * _direction(rng.uniform(0, 2 * np.pi), elevation)
        return self._view(kind, eye, centre + rng.normal(0, 0.12 * distance, 3), self._field_of_view(35, 70))

    def _closeup_view(self, centre: Vector, size: float) -> View:
        """One object that fills 40 % to 110 % of the frame's height, as on a product photo or just before a grasp."""
        rng = self._rng
        fov = rng.uniform(30, 60)
        fill = rng.uniform(0.4, 1.1)
        distance = max(size / 2 / (fill * np.tan(np.radians(fov) / 2)), 0.2)
        elevation = np.radians(rng.uniform(5, 75))
        eye = centre + distance * _direction(rng.uniform(0, 2 * np.pi), elevation)
        return self._view("closeup", eye, centre + rng.normal(0, 0.08 * size, 3), fov)

    def _focus_view(self, focus: Focus) -> View:
        """A surface crowded with objects (table, shelf, bin) that fills most of the frame."""
        rng = self._rng
        azimuth, elevation = rng.uniform(0, 2 * np.pi), rng.uniform(20, 85)
        if focus.top_only:
            elevation = rng.uniform(60, 88)
        elif focus.front is not None:
            azimuth = np.arctan2(focus.front[1], focus.front[0]) + rng.normal(0, 0.35)
            elevation = rng.uniform(0, 40)
        fov = self._field_of_view(35, 70)
        size = min(2 * float(np.hypot(*focus.half_size)), 1.6)
        distance = max(rng.uniform(0.5, 1.2) * size / 2 / np.tan(np.radians(fov) / 2), 0.3)
        centre = np.array(focus.center)
        eye = centre + distance * _direction(azimuth, np.radians(elevation))
        return self._view("tabletop", eye, centre + rng.normal(0, 0.08 * distance, 3), fov)

    def _field_of_view(self, narrowest: float, widest: float) -> float:
        """Vertical, degrees: that of a robot's camera, or any in the range."""
        rng = self._rng
        if rng.random() < _ROBOT_CAMERA_SHARE:
            return float(rng.choice(list(ROBOT_CAMERAS.values())) * rng.normal(1, 0.015))
        return float(rng.uniform(narrowest, widest))

    def _view(self, kind: ViewKind, eye: Vector, target: Vector, fov_degrees: float) -> View:
        roll = np.radians(self._rng.normal(0, 3.5))
        return View(kind, eye, look_at(eye, target, roll), float(np.radians(fov_degrees)))

    def _is_free(self, view: View) -> bool:
        width, depth, height = self._scene.half_size
        x, y, z = view.eye
        if abs(x) > width - _WALL_CLEARANCE or abs(y) > depth - _WALL_CLEARANCE or not 0.12 < z < height - 0.1:
            return False
        inside = (view.eye > self._low - _OBJECT_CLEARANCE) & (view.eye < self._high + _OBJECT_CLEARANCE)
        return not np.any(inside.all(axis=1) & self._solid)


def _direction(azimuth: float, elevation: float) -> Vector:
    return np.array([np.cos(azimuth) * np.cos(elevation), np.sin(azimuth) * np.cos(elevation), np.sin(elevation)])
