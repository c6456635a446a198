"""Projection matrices of cameras and lights, float64 `(4, 4)`, from the room's frame to OpenGL's clip space."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from training.simulators.rooms.camera import View
from training.simulators.rooms.lighting import Light

_NEAR, _FAR = 0.04, 40.0
"""m."""


def view_projection(view: View, aspect: float) -> NDArray[np.float64]:
    """Of a view whose image is `aspect` times as wide as high."""
    return _perspective(view.vertical_fov, aspect, _NEAR, _FAR) @ _camera_matrix(view.eye, view.rotation)


def light_matrix(light: Light) -> NDArray[np.float64]:
    """Of a light as its shadow map sees the room; a sun's is orthographic."""
    forward = light.direction / np.linalg.norm(light.direction)
    right = np.cross(forward, [0.0, 0.0, 1.0])
    right = np.array([1.0, 0.0, 0.0]) if np.linalg.norm(right) < 1e-4 else right / np.linalg.norm(right)
    rotation = np.stack([right, np.cross(forward, right), forward], axis=1)
    projection = _orthographic(light.extent, 0.1, 30.0) if light.sun else _perspective(light.extent, 1.0, 0.08, 20.0)
    return projection @ _camera_matrix(light.position, rotation)


def _perspective(vertical_fov: float, aspect: float, near: float, far: float) -> NDArray[np.float64]:
    focal = 1 / np.tan(vertical_fov / 2)
    return np.array(
        [
            [focal / aspect, 0, 0, 0],
            [0, focal, 0, 0],
            [0, 0, (far + near) / (near - far), 2 * far * near / (near - far)],
            [0, 0, -1, 0],
        ]
    )


def _orthographic(half: float, near: float, far: float) -> NDArray[np.float64]:
    matrix = np.diag([1 / half, 1 / half, -2 / (far - near), 1.0])
    matrix[2, 3] = -(far + near) / (far - near)
    return matrix


def _camera_matrix(eye: NDArray[np.float64], rotation: NDArray[np.float64]) -> NDArray[np.float64]:
    """Room to OpenGL's eye frame (x right, y up, z backwards) for a camera with x right, y down, z forward."""
    matrix = np.eye(4)
    matrix[:3, :3] = rotation.T * np.array([[1.0], [-1.0], [-1.0]])
    matrix[:3, 3] = -matrix[:3, :3] @ eye
    return matrix
