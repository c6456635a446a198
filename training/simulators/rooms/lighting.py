"""Lights a room: ceiling and table lamps, sun through the window, now and then a narrow spot, and light thrown back by
walls, floor and ceiling.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from training.simulators.rooms.mesh import rotation
from training.simulators.rooms.scene import Scene
from training.simulators.rooms.structure import WALL_YAW, wall_extent

MAX_LIGHTS = 4
"""The shadow atlas has two by two places."""
_TABLE_LAMP_LIMIT = 3
_SPOT_SHARE, _FOCUS_SPOT_SHARE = 0.2, 0.4
"""How often a spot shines at one thing of a room, and at the place that a crowded scene is about."""


@dataclass(frozen=True)
class Light:
    """One light that casts shadows. Directions are unit vectors in the room's frame."""

    position: NDArray[np.float64]
    """`(3,)` m; for the sun, where its shadow map is taken from."""
    direction: NDArray[np.float64]
    """`(3,)`, the way the light goes."""
    color: NDArray[np.float64]
    """`(3,)` linear RGB intensity."""
    sun: bool
    """Parallel light; otherwise a spot whose strength falls with the square of the distance."""
    extent: float
    """Full opening angle of the shadow map, rad; for the sun its half width, m."""
    softness: float
    """Radius of the blur of the shadow's edge, in shadow texels."""


@dataclass(frozen=True)
class Ambient:
    """Indirect light, linear RGB `(3,)`, by the direction it comes from."""

    above: NDArray[np.float64]
    below: NDArray[np.float64]
    around: NDArray[np.float64]
    glow_direction: NDArray[np.float64]
    """`(3,)` towards the window, which shows in reflections."""
    glow: float

    def times(self, factor: float) -> Ambient:
        """The same light, `factor` times as strong."""
        above, below, around = (factor * light for light in (self.above, self.below, self.around))
        return replace(self, above=above, below=below, around=around, glow=factor * self.glow)


@dataclass(frozen=True)
class Lighting:
    """All light of one room; at most `MAX_LIGHTS` lights."""

    lights: tuple[Light, ...]
    ambient: Ambient


def light_scene(scene: Scene, rng: np.random.Generator) -> Lighting:
    """Choose the lights of a room: one to three lamps, often the sun, sometimes a narrow spot among lights that are
    dimmed for it, and ambient light tinted by its surfaces.
    """
    lights = _ceiling_lights(scene, rng)
    if scene.window is not None and rng.random() < 0.5:
        lights = [*lights[:2], _sun(scene, rng)]
    for item in scene.objects:
        # Ceiling lamps count as ceiling lights; a bulb below is a table or floor lamp.
        if item.light is not None and len(lights) < _TABLE_LAMP_LIMIT and not _at_ceiling(scene, item.position):
            lights.append(
                Light(
                    position=item.position + item.rotation @ np.asarray(item.light.position),
                    direction=np.array([0.0, 0.0, -1.0]),
                    color=np.asarray(item.light.color) * item.light.power,
                    sun=False,
                    extent=2.3,
                    softness=2.0,
                )
            )
    ambient = _ambient(scene, rng)
    if rng.random() < (_FOCUS_SPOT_SHARE if scene.focus else _SPOT_SHARE):
        dimmed = float(rng.uniform(0.2, 1.0))
        lights = [replace(light, color=light.color * dimmed) for light in lights[: MAX_LIGHTS - 1]]
        lights.append(_spot(scene, rng))
        ambient = ambient.times(dimmed)
    return Lighting(tuple(lights[:MAX_LIGHTS]), ambient)


def _at_ceiling(scene: Scene, position: NDArray[np.float64]) -> bool:
    return bool(position[2] > scene.half_size[2] - 0.05)


def _ceiling_lights(scene: Scene, rng: np.random.Generator) -> list[Light]:
    width, depth, height = scene.half_size
    lamps = [item for item in scene.objects if item.light is not None and _at_ceiling(scene, item.position)]
    lights = []
    for number in range(int(rng.choice([1, 2, 2, 3]))):
        if number == 0 and lamps:
            low, _ = lamps[0].bounds()
            position = np.array([*lamps[0].position[:2], low[2] - 0.03])
        else:
            x, y = rng.uniform(-0.8, 0.8, 2) * (width, depth)
            position = np.array([x, y, height - rng.uniform(0.05, 0.4)])
        down = np.array([rng.normal(0, 0.18), rng.normal(0, 0.18), -1.0])
        color = _warmth(rng) * rng.uniform(0.8, 4) * (height / 2.5) ** 2
        lights.append(Light(position, down / np.linalg.norm(down), color, False, 2.5, float(rng.uniform(1, 5))))
    return lights


def _sun(scene: Scene, rng: np.random.Generator) -> Light:
    window = scene.window
    assert window is not None
    turn = rotation("z", WALL_YAW[window.wall])
    _, wall_distance = wall_extent(scene.half_size, window.wall)
    centre = turn @ np.array([window.u, wall_distance, window.z])
    inwards = turn @ np.array([rng.uniform(-0.7, 0.7), -1.0, -rng.uniform(0.35, 1.2)])
    inwards /= np.linalg.norm(inwards)
    color = np.array([1, rng.uniform(0.8, 0.97), rng.uniform(0.6, 0.9)]) * rng.uniform(2, 9)
    return Light(centre - inwards * 6, inwards, color, True, 4.2, float(rng.uniform(0.5, 2)))


def _spot(scene: Scene, rng: np.random.Generator) -> Light:
    """A lamp near what it shines at: a round bright patch with an edge; most shadows show a fork."""
    if scene.focus:
        target = np.array(scene.focus[int(rng.integers(len(scene.focus)))].center)
    else:
        low, high = scene.objects[int(rng.integers(len(scene.objects)))].bounds()
        target = (low + high) / 2
    distance, extent = rng.uniform(0.6, 1.8), rng.uniform(0.4, 1.3)
    azimuth, elevation = rng.uniform(0, 2 * np.pi), np.radians(rng.uniform(15, 85))
    towards = np.array([np.cos(azimuth) * np.cos(elevation), np.sin(azimuth) * np.cos(elevation), np.sin(elevation)])
    limits = np.asarray(scene.half_size) - 0.05
    position = np.clip(target + distance * towards, (-limits[0], -limits[1], 0.1), limits)
    way = target - position + rng.normal(0, 0.15, 3)
    color = _warmth(rng) * rng.uniform(0.6, 4) * float(way @ way)  # what arrives does not depend on the distance
    return Light(position, way / np.linalg.norm(way), color, False, float(extent), float(rng.uniform(0.7, 6)))


def _ambient(scene: Scene, rng: np.random.Generator) -> Ambient:
    base = rng.uniform(0.12, 0.5) * _warmth(rng)
    towards_window = np.array([0.0, 0.0, 1.0])
    if scene.window is not None:
        towards_window = rotation("z", WALL_YAW[scene.window.wall]) @ np.array([0.0, 1.0, 0.25])
    return Ambient(
        above=base * (0.35 + 0.65 * np.asarray(scene.ceiling_color)),
        below=base * (0.25 + 0.6 * np.asarray(scene.floor_color)) * 0.8,
        around=base * (0.3 + 0.7 * np.asarray(scene.wall_color)),
        glow_direction=towards_window / np.linalg.norm(towards_window),
        glow=float(rng.uniform(0.3, 2.5)),
    )


def _warmth(rng: np.random.Generator) -> NDArray[np.float64]:
    """Colour of a lamp: mostly warm, sometimes cold."""
    if rng.random() < 0.7:
        return np.array([1.0, rng.uniform(0.72, 1), rng.uniform(0.45, 1)])
    return np.array([rng.uniform(0.7, 1), rng.uniform(0.85, 1), 1.0])
