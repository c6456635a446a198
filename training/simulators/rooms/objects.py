"""The kit that object and furniture builders share: a model collects parts, collision primitives and carrying surfaces.

Its frame has the origin at the bottom centre, z up and the front towards -y; metres throughout.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from training.simulators.rooms.materials import Palette
from training.simulators.rooms.mesh import place
from training.simulators.rooms.scene import IDENTITY, Collider, Material, Mesh, Part, PointLight, SceneObject, Shape

Piece = tuple[Mesh, Material, tuple[float, float, float]]
"""Mesh, its material and where it goes, m."""


SMALLEST_HALF_EXTENT = 0.0015
"""m; thinner colliders tunnel through each other."""


@dataclass(frozen=True)
class Surface:
    """A horizontal rectangle of an object that carries other objects."""

    x: float
    y: float
    half_x: float
    half_y: float
    z: float
    headroom: float = 1.0
    """Free height above, m."""


@dataclass
class ObjectModel:
    """One whole object in its own frame, before it is placed."""

    category: str
    parts: list[Part] = field(default_factory=list)
    colliders: list[Collider] = field(default_factory=list)
    surfaces: list[Surface] = field(default_factory=list)
    light: PointLight | None = None
    casts_shadow: bool = True
    flat: bool = False
    """A stack may go on with something on top of it."""
    tips: bool = True
    """It may also lie on its side."""
    soft: bool = False
    """It carries pillows and blankets rather than mugs (sofa, bed)."""
    shelf: bool = False
    """Its surfaces are seen from the front only."""

    def add(
        self, mesh: Mesh, material: Material, at: ArrayLike = (0, 0, 0), turn: ArrayLike | None = None
    ) -> ObjectModel:
        """Add a part: its mesh turned, then moved to `at`."""
        self.parts.append(Part(place(mesh, at, turn), material))
        return self

    def add_scaled(self, pieces: Sequence[Piece], size: float) -> ObjectModel:
        """Add pieces that were drawn up for size 1."""
        for mesh, material, at in pieces:
            self.parts.append(Part(place(place(mesh, at), scale=size), material))
        return self

    def solid_box(
        self, hx: float, hy: float, hz: float, at: ArrayLike, turn: NDArray[np.float64] = IDENTITY
    ) -> ObjectModel:
        """Box of half extents around `at`."""
        return self._collide("box", (hx, hy, hz), np.asarray(at, np.float64), turn)

    def solid_cylinder(self, radius: float, bottom: float, top: float, x: float = 0.0, y: float = 0.0) -> ObjectModel:
        """Upright cylinder about the vertical through (x, y)."""
        return self.solid_rod(radius, (x, y, bottom), (x, y, top))

    def solid_rod(self, radius: float, start: ArrayLike, end: ArrayLike) -> ObjectModel:
        """Cylinder from `start` to `end`, in any direction."""
        first, last = np.asarray(start, np.float64), np.asarray(end, np.float64)
        length = float(np.linalg.norm(last - first))
        turn = frame_along((last - first) / length)
        return self._collide("cylinder", (radius, length / 2), (first + last) / 2, turn)

    def solid_sphere(self, radius: float, at: ArrayLike) -> ObjectModel:
        """Ball around `at`."""
        return self._collide("sphere", (radius,), np.asarray(at, np.float64), IDENTITY)

    def _collide(
        self, shape: Shape, size: tuple[float, ...], at: NDArray[np.float64], turn: NDArray[np.float64]
    ) -> ObjectModel:
        thick = tuple(max(float(extent), SMALLEST_HALF_EXTENT) for extent in size)
        self.colliders.append(Collider(shape, thick, at, turn))
        return self

    def stood(self) -> ObjectModel:
        """The model with its colliders moved up or down until they end where its meshes do, so that it neither floats
        above what it stands on nor sinks into it."""
        shift = np.array([0, 0, self.bounds()[0][2] - min(_lowest(collider) for collider in self.colliders)])
        self.colliders = [replace(collider, position=collider.position + shift) for collider in self.colliders]
        return self

    def placed(self, position: NDArray[np.float64], turn: NDArray[np.float64], furniture: bool) -> SceneObject:
        """The object in a room: `position` `(3,)` m and `turn` `(3, 3)` take its frame to the room's."""
        return SceneObject(
            self.category,
            self.parts,
            position,
            turn,
            furniture,
            casts_shadow=self.casts_shadow,
            light=self.light,
            colliders=self.colliders,
        )

    def bounds(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Lowest and highest corner `(3,)` over all parts."""
        points = np.concatenate([part.mesh.vertices for part in self.parts]).astype(np.float64)
        return points.min(axis=0), points.max(axis=0)


def _lowest(collider: Collider) -> float:
    """Height of its lowest point, m."""
    upward = np.abs(collider.rotation[2])
    if collider.shape == "box":
        reach = float(upward @ np.asarray(collider.size))
    elif collider.shape == "cylinder":
        radius, half_height = collider.size
        reach = float(upward[2] * half_height + np.hypot(upward[0], upward[1]) * radius)
    else:
        reach = collider.size[0]
    return float(collider.position[2]) - reach


def frame_along(axis: NDArray[np.float64]) -> NDArray[np.float64]:
    """`(3, 3)` rotation whose z axis is the unit vector `axis`."""
    helper = np.array([1.0, 0, 0]) if abs(axis[0]) < 0.9 else np.array([0, 1.0, 0])
    x = np.cross(helper, axis)
    x /= np.linalg.norm(x)
    return np.stack([x, np.cross(axis, x), axis], 1)


Builder = Callable[[Palette], ObjectModel]
