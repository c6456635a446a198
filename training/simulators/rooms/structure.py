"""The shell of a room: floor, ceiling, walls with a window opening, baseboards and wainscot, all of it background."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from training.simulators.rooms.materials import Color, Palette
from training.simulators.rooms.mesh import box, place, rotation
from training.simulators.rooms.scene import Material, Mesh, Part, Window

WALL_YAW = (0.0, 270.0, 180.0, 90.0)
"""Degrees from the frame 'wall ahead at +y' to each wall, in the order of Window.wall."""

FLOORS = (
    "planks",
    "planks",
    "wood",
    "tiles",
    "tiles",
    "carpet",
    "marble",
    "checks",
    "speckle",
    "voronoi",
    "bricks",
    "plain",
    "weave",
)
WALLS = (
    "plain",
    "plain",
    "plain",
    "noise",
    "stripes",
    "damask",
    "bricks",
    "tiles",
    "dots",
    "grad",
    "checks",
    "plaid",
    "weave",
)
ACCENTS = ("plain", "noise", "bricks", "stripes", "damask", "tiles")
CEILINGS = ("plain", "plain", "noise", "planks", "tiles")
THICKNESS = 0.05


@dataclass
class Shell:
    """The structure's parts and the mean colours that its surfaces throw back."""

    parts: list[Part]
    wall_color: Color
    floor_color: Color
    ceiling_color: Color


def wall_extent(half_size: tuple[float, float, float], wall: int) -> tuple[float, float]:
    """(half length of the wall, its distance from the room's centre), m."""
    w, d, _ = half_size
    return (w, d) if wall % 2 == 0 else (d, w)


def build_shell(paint: Palette, half_size: tuple[float, float, float], window: Window | None) -> Shell:
    """Draw the room's surfaces and cut the window out of its wall."""
    rng = paint.rng
    w, d, h = half_size
    floor = paint.pattern(
        FLOORS,
        rng.uniform(0.15, 0.9),
        bump=0.001,
        scale=rng.uniform(0.8, 1.6),
        color=paint.wood_color() if paint.chance(0.5) else paint.color(),
        contrast=0.2,
    )
    wall = paint.pattern(
        WALLS, rng.uniform(0.4, 0.95), bump=0.0006, scale=rng.uniform(0.5, 1.4), color=paint.color(0.75), contrast=0.12
    )
    ceiling_tone = np.full(3, 0.9) * rng.uniform(0.6, 1.05)
    ceiling = paint.pattern(CEILINGS, 0.9, scale=1.2, color=ceiling_tone, contrast=0.06)
    accent_wall = int(rng.integers(4)) if paint.chance(0.35) else None
    accent = paint.pattern(ACCENTS, 0.8, scale=1.0, color=paint.color(0.3))
    board = paint.wood() if paint.chance(0.4) else paint.plain()
    wainscot = paint.surface(1.0) if paint.chance(0.2) else None
    slab = box(w + 2 * THICKNESS, d + 2 * THICKNESS, THICKNESS, 0.001)
    parts = [Part(place(slab, (0, 0, -THICKNESS)), floor), Part(place(slab, (0, 0, h + THICKNESS)), ceiling)]
    for side in range(4):
        opening = window if window is not None and window.wall == side else None
        material = accent if side == accent_wall else wall
        parts += _wall(half_size, side, opening, material, board if paint.chance(0.95) else None, wainscot)
    return Shell(parts, _mean(wall), _mean(floor), _mean(ceiling))


def _wall(
    half_size: tuple[float, float, float],
    side: int,
    window: Window | None,
    material: Material,
    board: Material | None,
    wainscot: Material | None,
) -> list[Part]:
    length, distance = wall_extent(half_size, side)
    height, end = half_size[2], length + 2 * THICKNESS
    turn = rotation("z", WALL_YAW[side])
    if window is None:
        panels = [(-end, end, 0.0, height)]
    else:
        left, right = window.u - window.half_width, window.u + window.half_width
        low, high = window.z - window.half_height, window.z + window.half_height
        panels = [
            (-end, left, 0.0, height),
            (right, end, 0.0, height),
            (left, right, 0.0, low),
            (left, right, high, height),
        ]
    parts = [Part(place(_panel(*panel, distance), turn=turn), material) for panel in panels]
    trims = []
    if board is not None:
        trims.append((box(length, 0.008, 0.045, 0.003), (0, distance - 0.008, 0.045), board))
    if wainscot is not None and (window is None or window.z - window.half_height > 0.95):
        trims.append((box(length, 0.003, 0.45, 0.002), (0, distance - 0.003, 0.45), wainscot))
        trims.append((box(length, 0.008, 0.02, 0.004), (0, distance - 0.008, 0.92), board or wainscot))
    return parts + [Part(place(place(mesh, at), turn=turn), trim) for mesh, at, trim in trims]


def _panel(left: float, right: float, low: float, high: float, distance: float) -> Mesh:
    """Wall piece whose uv run on from its neighbours, so that a pattern does not break at the window."""
    mesh = place(
        box((right - left) / 2, THICKNESS, (high - low) / 2, 0.0005),
        ((left + right) / 2, distance + THICKNESS, (low + high) / 2),
    )
    facing = np.abs(mesh.normals[:, 1:2]) > 0.5
    return mesh._replace(uvs=np.where(facing, mesh.vertices[:, [0, 2]], mesh.uvs).astype(np.float32))


def _mean(material: Material) -> Color:
    return 0.6 * np.array(material.color) + 0.4 * np.array(material.color2)
