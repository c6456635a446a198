"""Where the camera stands in an AI2-THOR room, and which of its pictures are worth keeping.

AI2-THOR's world is Unity's: metres, y up, left-handed, yaw clockwise from z, horizon positive downwards, both in
degrees. Ours is right-handed with z up: (x, y, z) here is (x, z, y) there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

VIEWS_PER_SCENE = 8
TRIES_PER_VIEW = 4
GRID_SIZE = 0.25
"""m between the positions that AI2-THOR says can be reached."""
_YAW_STEP = 15
_HORIZONS = (-15, 0, 15, 30, 45)
_STANDING_SHARE = 0.7
"""The camera is 1.58 m above the floor then, else 0.9 m."""
_MIN_OBJECT_SHARE = 160 / (512 * 384)
"""An object counts as seen from this share of the image on."""
_MIN_OBJECTS = 3
_MIN_MEDIAN_DEPTH = 0.7
"""m; nearer, the camera stands against a wall or a cupboard."""
_MIN_NEAR_DEPTH = 0.18
_LARGEST_SHARE = 0.7
_MOST_BACKGROUND = 0.85


def plan_views(positions: Sequence[Mapping[str, float]], rng: np.random.Generator) -> list[dict[str, Any]]:
    """Arguments of TeleportFull for the views to try, each from a position, direction and horizon drawn by `rng`.

    AI2-THOR lists positions in no promised order, so they are sorted first.
    """
    ordered = sorted(positions, key=lambda position: (position["x"], position["y"], position["z"]))
    return [
        {
            "position": dict(ordered[int(rng.integers(len(ordered)))]),
            "rotation": {"x": 0.0, "y": float(rng.integers(360 // _YAW_STEP) * _YAW_STEP), "z": 0.0},
            "horizon": float(rng.choice(_HORIZONS)),
            "standing": bool(rng.random() < _STANDING_SHARE),
        }
        for _ in range(VIEWS_PER_SCENE * TRIES_PER_VIEW)
    ]


def is_worth_learning(instances: NDArray[np.uint16], depth: NDArray[np.float32]) -> bool:
    """Whether a picture shows enough objects, none of them hiding all the rest, and not a wall right before it.

    `instances` is `(H, W)` with 0 = background, `depth` is `(H, W)` m.
    """
    if np.median(depth) < _MIN_MEDIAN_DEPTH or np.quantile(depth, 0.02) < _MIN_NEAR_DEPTH:
        return False
    share = np.bincount(instances.ravel(), minlength=2) / instances.size
    background, objects = share[0], share[1:]
    enough = (objects > _MIN_OBJECT_SHARE).sum() >= _MIN_OBJECTS
    return bool(enough and objects.max() < _LARGEST_SHARE and background < _MOST_BACKGROUND)


def camera_pose(metadata: Mapping[str, Any]) -> NDArray[np.float64]:
    """Camera-to-room transform `(4, 4)` of an answer, camera axes x right, y down, z forward (OpenCV, REP 103)."""
    yaw = np.deg2rad(metadata["agent"]["rotation"]["y"])
    horizon = np.deg2rad(metadata["agent"]["cameraHorizon"])
    forward = np.array([np.sin(yaw) * np.cos(horizon), np.cos(yaw) * np.cos(horizon), -np.sin(horizon)])
    right = np.array([np.cos(yaw), -np.sin(yaw), 0.0])
    pose = np.eye(4)
    pose[:3, :3] = np.stack([right, np.cross(forward, right), forward], axis=1)
    pose[:3, 3] = [metadata["cameraPosition"][axis] for axis in "xzy"]
    return pose


def intrinsics(vertical_fov: float, width: int, height: int) -> dict[str, float]:
    """Pinhole intrinsics in px for Unity's vertical field of view in degrees; the first pixel's centre is (0, 0)."""
    focal = float(height / 2 / np.tan(np.deg2rad(vertical_fov) / 2))
    return {"fx": focal, "fy": focal, "cx": (width - 1) / 2, "cy": (height - 1) / 2, "width": width, "height": height}


def depth_millimetres(depth: NDArray[np.float32]) -> NDArray[np.uint16]:
    """Metres to millimetres; what uint16 cannot hold becomes 0, unknown."""
    millimetres = np.round(depth * 1000)
    return np.where((millimetres >= 0) & (millimetres <= 65535), millimetres, 0).astype(np.uint16)
