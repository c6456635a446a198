"""A room whose geometry a test can compute by hand: an empty box with cubes of known place and size."""

from __future__ import annotations

import numpy as np

from training.simulators.rooms.lighting import Ambient, Light, Lighting
from training.simulators.rooms.scene import IDENTITY, Material, Mesh, Part, Scene, SceneObject

HALF = 2.0
"""The room is 4 m x 4 m x 4 m, floor at z = 0."""
TEXTURES = np.full((1, 8, 8, 4), 128, np.uint8)


def cube(centre: tuple[float, float, float], half: float, color: tuple[float, float, float] = (0.8, 0.2, 0.2)) -> Part:
    """Axis-aligned cube, one quad a side."""
    vertices, normals, faces = [], [], []
    for axis in range(3):
        for sign in (-1.0, 1.0):
            across, up = np.eye(3)[(axis + 1) % 3], np.eye(3)[(axis + 2) % 3]
            normal = sign * np.eye(3)[axis]
            corners = [normal + a * across + b * up for a, b in ((-1, -1), (1, -1), (1, 1), (-1, 1))]
            first = len(vertices)
            vertices += corners
            normals += [normal] * 4
            faces += [[first, first + 1, first + 2], [first, first + 2, first + 3]]
    mesh = Mesh(
        np.array(vertices, np.float32) * half + np.array(centre, np.float32),
        np.array(normals, np.float32),
        np.zeros((len(vertices), 2), np.float32),
        np.array(faces, np.int64),
    )
    return Part(mesh, Material(color, 0, color))


def scene(objects: list[SceneObject]) -> Scene:
    grey = np.full(3, 0.6)
    walls = cube((0, 0, HALF), HALF, (0.6, 0.6, 0.6))
    return Scene("hand-made", (HALF, HALF, 2 * HALF), objects, [walls], None, grey, grey, grey)


def box_object(
    position: tuple[float, float, float], half: float, parts: int = 1, category: str = "Box", furniture: bool = False
) -> SceneObject:
    """A cube; further parts are smaller cubes stacked on top."""
    pieces = [cube((0, 0, 2 * half * k), half * 0.9**k, (0.8, 0.2 + 0.2 * k, 0.2)) for k in range(parts)]
    return SceneObject(category, pieces, np.array(position, np.float64), IDENTITY, furniture)


def pane(y: float, half: float, alpha: float, color: tuple[float, float, float] = (0.2, 0.8, 0.2)) -> SceneObject:
    """An upright square of glass that faces -y, 1 m above the floor at x = 0; one quad, so a ray meets one surface."""
    corners = np.array([[-half, 0, -half], [half, 0, -half], [half, 0, half], [-half, 0, half]], np.float32)
    normals, uvs = np.tile(np.array([0, -1, 0], np.float32), (4, 1)), np.zeros((4, 2), np.float32)
    mesh = Mesh(corners, normals, uvs, np.array([[0, 1, 2], [0, 2, 3]], np.int64))
    material = Material(color, 0, color, roughness=0.06, alpha=alpha)
    return SceneObject("Pane", [Part(mesh, material)], np.array([0, y, 1.0]), IDENTITY, False)


def lighting(strength: float = 6.0) -> Lighting:
    lamp = Light(np.array([0.0, 0.0, 3.8]), np.array([0.0, 0.0, -1.0]), np.full(3, strength), False, 2.5, 2.0)
    dim = np.full(3, 0.2)
    return Lighting((lamp,), Ambient(dim, dim, dim, np.array([0.0, 0.0, 1.0]), 0.5))
