"""What a simulated room is made of, as plain data: meshes, materials, whole objects with their parts, and the room.

Layout builds it, settling moves its objects to rest, and the renderer draws it; none of them needs to know the others.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from training.simulators.base import SPLITS

IDENTITY = np.eye(3)


class SceneError(RuntimeError):
    """This seed gives no usable scene. The same seed always raises, so a collector skips it and takes the next one."""


class Mesh(NamedTuple):
    """A triangle mesh in metres, z up. Sharp edges are stored as doubled vertices."""

    vertices: NDArray[np.float32]
    """`(V, 3)` m."""
    normals: NDArray[np.float32]
    """`(V, 3)`, unit length, pointing out of the solid."""
    uvs: NDArray[np.float32]
    """`(V, 2)`: metres for patterns, 0..1 for printed faces; a material scales them to texture repeats."""
    faces: NDArray[np.int64]
    """`(F, 3)` vertex indices, counter-clockwise seen from outside."""


@dataclass(frozen=True)
class Material:
    """How a surface looks. The renderer reads it as one row of 16 numbers, and `alpha` beside it."""

    color: tuple[float, float, float]
    """Linear RGB 0..1; the tint of the texture where `mode` is 1."""
    layer: int
    """Layer of the texture bank."""
    color2: tuple[float, float, float] = (1.0, 1.0, 1.0)
    mode: int = 0
    """0: the layer is a pattern that mixes `color` and `color2`. 1: the layer is a picture (label, screen), tinted."""
    roughness: float = 0.5
    metallic: float = 0.0
    bump: float = 0.0
    """Height of the pattern's relief, m."""
    emission: float = 0.0
    """Light given off, as a multiple of the colour."""
    scale_u: float = 1.0
    scale_v: float = 1.0
    """Texture repeats per unit of uv."""
    rotation: float = 0.0
    """Rotation of the texture, rad."""
    offset: float = 0.0
    """Shift of the texture, in repeats, so that equal materials do not show equal patterns."""
    alpha: float = 1.0
    """Share of the light from behind that one surface seen head-on absorbs, 0..1. Below 1 the part is transparent: the
    renderer blends it over what is opaque, and its highlights stay as bright as they are."""

    def row(self) -> NDArray[np.float32]:
        """float32 `(16,)`: the fields in their order here, with `layer` after `color` and `mode` after `color2`.

        `alpha` is not among them: it decides in which pass a part is drawn."""
        surface = (self.roughness, self.metallic, self.bump, self.emission)
        mapping = (self.scale_u, self.scale_v, self.rotation, self.offset)
        return np.array([*self.color, self.layer, *self.color2, self.mode, *surface, *mapping], np.float32)


@dataclass
class Part:
    """One piece of an object, or of the room's structure, in one material."""

    mesh: Mesh
    material: Material


Shape = Literal["box", "cylinder", "sphere"]


@dataclass(frozen=True)
class Collider:
    """A primitive that stands for a piece of an object while objects settle."""

    shape: Shape
    size: tuple[float, ...]
    """m. box: half extents x y z; cylinder (axis z): radius, half height; sphere: radius."""
    position: NDArray[np.float64]
    """`(3,)` centre in the object's frame, m."""
    rotation: NDArray[np.float64]
    """`(3, 3)` in the object's frame."""


@dataclass(frozen=True)
class PointLight:
    """A lamp's bulb."""

    position: tuple[float, float, float]
    """In the object's frame, m."""
    color: tuple[float, float, float]
    """Linear RGB; the object's own frame decides nothing about its brightness."""
    power: float


@dataclass
class SceneObject:
    """One whole object: what a robot would pick up or push as one thing. Its index in the scene + 1 is its id."""

    category: str
    """A name of training/classes.yaml."""
    parts: list[Part]
    position: NDArray[np.float64]
    """`(3,)` m in the room's frame."""
    rotation: NDArray[np.float64]
    """`(3, 3)`, object frame to room frame."""
    furniture: bool
    """True for what stands fixed while small objects settle on it."""
    casts_shadow: bool = True
    light: PointLight | None = None
    colliders: list[Collider] = field(default_factory=list)

    def bounds(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Lowest and highest corner `(3,)` of the axis-aligned box around the object, m in the room's frame."""
        points = np.concatenate([part.mesh.vertices for part in self.parts]) @ self.rotation.T + self.position
        return points.min(axis=0), points.max(axis=0)


@dataclass(frozen=True)
class Window:
    """The opening that daylight comes through."""

    wall: int
    """0: y = +D, 1: x = +W, 2: y = -D, 3: x = -W."""
    u: float
    """Centre along the wall, m: to the right for someone in the room who faces the wall."""
    z: float
    half_width: float
    half_height: float


@dataclass(frozen=True)
class Focus:
    """Where a close-up camera should look: a small region dense with objects."""

    center: tuple[float, float, float]
    """m in the room's frame, on the surface that carries the objects."""
    half_size: tuple[float, float]
    """Half extents of the surface along its own axes, m."""
    yaw: float
    """Rotation of those axes about z, rad."""
    front: tuple[float, float] | None = None
    """Horizontal unit vector towards the open side when the region is seen from one side only (a shelf)."""
    top_only: bool = False
    """True when only a view from above shows the content (a deep box)."""


@dataclass
class Scene:
    """A furnished room with its objects at rest. x in [-W, W], y in [-D, D], z in [0, H]."""

    kind: str
    """'kitchen', 'living', ... or 'tabletop'."""
    half_size: tuple[float, float, float]
    """(W, D, H) m."""
    objects: list[SceneObject]
    structure: list[Part]
    """Walls, floor, ceiling, baseboards: background, instance 0."""
    window: Window | None
    wall_color: NDArray[np.float64]
    floor_color: NDArray[np.float64]
    ceiling_color: NDArray[np.float64]
    """`(3,)` mean linear RGB, for bounced light."""
    focus: list[Focus] = field(default_factory=list)


def scene_seed(split: str, seed: int, index: int) -> np.random.SeedSequence:
    """Seed of scene number `index` of a split. Splits never share a scene, whatever the seeds and indices: the index of
    the split in SPLITS, whose order is part of the data format, is the first word of the seed.

    Raises ValueError for an unknown split or a negative number.
    """
    if split not in SPLITS:
        raise ValueError(f"split {split!r} is unknown; expected one of {', '.join(SPLITS)}")
    if seed < 0 or index < 0:
        raise ValueError(f"seed {seed} and scene index {index} must not be negative")
    return np.random.SeedSequence([SPLITS.index(split), seed, index])
