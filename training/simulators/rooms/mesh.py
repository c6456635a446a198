"""The few solids that every simulated object is made of: rounded boxes, lathed profiles, superellipsoids, swept tubes,
prisms, leaves and cloths. Pure functions from dimensions in metres to meshes with outward unit normals; z is up."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from training.simulators.rooms.scene import Mesh

TINY = 1e-9


def rotation(axis: str, degrees: float) -> NDArray[np.float64]:
    """`(3, 3)` rotation about 'x', 'y' or 'z', right-handed."""
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    rows = {
        "x": [[1, 0, 0], [0, c, -s], [0, s, c]],
        "y": [[c, 0, s], [0, 1, 0], [-s, 0, c]],
        "z": [[c, -s, 0], [s, c, 0], [0, 0, 1]],
    }
    return np.array(rows[axis], np.float64)


def place(mesh: Mesh, at: ArrayLike = (0, 0, 0), turn: ArrayLike | None = None, scale: ArrayLike | None = None) -> Mesh:
    """The mesh scaled per axis, then turned by a `(3, 3)` rotation, then moved to `at`."""
    vertices, normals = mesh.vertices, mesh.normals
    if scale is not None:
        factors = np.asarray(scale, np.float32) * np.ones(3, np.float32)
        vertices = vertices * factors
        normals = _unit(normals / factors)
    if turn is not None:
        matrix = np.asarray(turn, np.float32)
        vertices, normals = vertices @ matrix.T, normals @ matrix.T
    return Mesh(vertices + np.asarray(at, np.float32), normals, mesh.uvs, mesh.faces)


def merge(meshes: Sequence[Mesh]) -> Mesh:
    """One mesh of several, for pieces that share a material (the keys of a keyboard)."""
    offsets = np.cumsum([0] + [len(mesh.vertices) for mesh in meshes[:-1]])
    return Mesh(
        np.concatenate([mesh.vertices for mesh in meshes]),
        np.concatenate([mesh.normals for mesh in meshes]),
        np.concatenate([mesh.uvs for mesh in meshes]),
        np.concatenate([mesh.faces + offset for mesh, offset in zip(meshes, offsets, strict=True)]),
    )


def box(hx: float, hy: float, hz: float, bevel: float = 0.004, printed: bool = False) -> Mesh:
    """Box of half extents hx, hy, hz around the origin with rounded edges.

    `printed` gives every face uv 0..1, for a label or a picture; otherwise uv is in metres.
    """
    half = np.array([hx, hy, hz], np.float64)
    bevel = min(bevel, 0.45 * half.min())
    template = _box_template()
    core = template.sides * (half - bevel)
    surface = core + template.outer * bevel
    uvs = np.take_along_axis(surface, template.uv_axes, 1) * template.uv_signs
    if printed:
        uvs = (uvs / half[template.uv_axes] + 1) / 2
    return _mesh(core + bevel * template.normals, template.normals, uvs, template.faces)


class _BoxTemplate(NamedTuple):
    """What all rounded boxes share: six faces of 4 x 4 vertices, 96 in all."""

    sides: NDArray[np.float64]
    """`(96, 3)`, -1 or 1: the corner of the box that the vertex belongs to."""
    outer: NDArray[np.float64]
    """`(96, 3)`, -1, 0 or 1: where the vertex lies on the sharp box, in bevels from its corner of the inner box."""
    normals: NDArray[np.float64]
    uv_axes: NDArray[np.int64]
    """`(96, 2)`: the axes that u and v run along."""
    uv_signs: NDArray[np.float64]
    faces: NDArray[np.int64]


@lru_cache(maxsize=1)
def _box_template() -> _BoxTemplate:
    steps = np.array([-2.0, -1.0, 1.0, 2.0])
    points, uv_axes, uv_signs = [], [], []
    for axis in range(3):
        a, b = (axis + 1) % 3, (axis + 2) % 3
        for side in (-1, 1):
            grid_a, grid_b = np.meshgrid(steps * side, steps, indexing="ij")
            face = np.zeros((16, 3))
            face[:, a], face[:, b], face[:, axis] = grid_a.ravel(), grid_b.ravel(), 2 * side
            points.append(face)
            # Texture upright on the sides and readable from outside.
            axes, signs = [((1, 2), (side, 1)), ((0, 2), (-side, 1)), ((0, 1), (1, 1))][axis]
            uv_axes.append(np.tile(axes, (16, 1)))
            uv_signs.append(np.tile(signs, (16, 1)))
    grid = np.concatenate(points)
    outer = np.sign(grid) * (np.abs(grid) == 2)
    faces = np.concatenate([_grid_faces(4, 4) + 16 * number for number in range(6)])
    return _BoxTemplate(np.sign(grid), outer, _unit(outer), np.concatenate(uv_axes), np.concatenate(uv_signs), faces)


def lathe(
    profile: Sequence[tuple[float, float]],
    segments: int = 28,
    wrapped: bool = True,
    crease: float = 35.0,
    start: float = 0.0,
    end: float = 360.0,
) -> Mesh:
    """Surface of revolution about z of a polyline of (radius, height).

    The solid lies to the left of the walk along the polyline: walk outer walls upwards, inner walls downwards.
    Corners sharper than `crease` degrees stay sharp. `wrapped` gives uv 0..1 around and along, else metres.
    `start` and `end` in degrees make a sector.
    """
    points = np.asarray(profile, np.float64)
    keep = np.linalg.norm(np.diff(points, axis=0), axis=1) > 1e-7
    points = np.concatenate([points[:1], points[1:][keep]])
    steps = np.diff(points, axis=0)
    lengths = np.linalg.norm(steps, axis=1)
    flat = np.stack([steps[:, 1], -steps[:, 0]], 1) / lengths[:, None]
    arc_length = np.r_[0, np.cumsum(lengths)]
    ring = []  # radius, height, normal r, normal z, arc length: two rows a segment
    for i in range(len(steps)):
        for step_end in (0, 1):
            normal, neighbour = flat[i], i - 1 + 2 * step_end
            if 0 <= neighbour < len(steps) and flat[i] @ flat[neighbour] > np.cos(np.radians(crease)):
                normal = flat[i] + flat[neighbour]
                normal = normal / np.linalg.norm(normal)
            ring.append((*points[i + step_end], *normal, arc_length[i + step_end]))
    rows = np.array(ring)
    angles = np.radians(np.linspace(start, end, segments + 1))
    cos, sin, count = np.cos(angles), np.sin(angles), len(rows)
    height, normal_z = np.tile(rows[:, 1], (segments + 1, 1)), np.tile(rows[:, 3], (segments + 1, 1))
    vertices = np.stack([np.outer(cos, rows[:, 0]), np.outer(sin, rows[:, 0]), height], -1).reshape(-1, 3)
    normals = np.stack([np.outer(cos, rows[:, 2]), np.outer(sin, rows[:, 2]), normal_z], -1).reshape(-1, 3)
    widest = np.abs(rows[:, 0]).max()
    u = angles / (2 * np.pi) if wrapped else angles * widest
    v = rows[:, 4] / (arc_length[-1] if wrapped else 1.0)
    uvs = np.stack(np.meshgrid(u, v, indexing="ij"), -1).reshape(-1, 2)
    column, row = np.meshgrid(np.arange(segments), np.arange(0, count, 2), indexing="ij")
    first = (column * count + row).ravel()
    faces = np.concatenate(
        [
            np.stack([first, first + count, first + count + 1], 1),
            np.stack([first, first + count + 1, first + 1], 1),
        ]
    )
    return _mesh(vertices, normals, uvs, faces)


def cylinder(radius: float, bottom: float, top: float, segments: int = 24, top_radius: float | None = None) -> Mesh:
    """Closed cylinder or truncated cone about z with slightly rounded rims."""
    upper = radius if top_radius is None else top_radius
    bevel = min(0.0015, 0.2 * radius, 0.2 * upper, 0.4 * (top - bottom))
    profile = [
        (0, bottom),
        (radius - bevel, bottom),
        (radius, bottom + bevel),
        (upper, top - bevel),
        (upper - bevel, top),
        (0, top),
    ]
    return lathe(profile, segments)


def ring(radius: float, thickness: float, segments: int = 24, sides: int = 8) -> Mesh:
    """Torus about z around the origin; `thickness` is the radius of its tube."""
    angles = np.linspace(0, 2 * np.pi, segments, endpoint=False)
    path = np.stack([radius * np.cos(angles), radius * np.sin(angles), 0 * angles], 1)
    return tube(path, thickness, sides, closed=True)


def ellipsoid(
    rx: float,
    ry: float,
    rz: float,
    vertical: float = 1.0,
    horizontal: float = 1.0,
    around: int = 20,
    along: int = 12,
    noise: float = 0.0,
    rng: np.random.Generator | None = None,
) -> Mesh:
    """Superellipsoid around the origin: exponents below 1 make it boxy, above 1 pinched.

    `noise` is the relative amplitude of smooth bumps drawn from `rng` (a potato, a pile of cloth).
    """
    longitude = np.linspace(-np.pi, np.pi, around)
    latitude = np.linspace(-np.pi / 2, np.pi / 2, along)
    a, b = np.meshgrid(longitude, latitude, indexing="ij")
    x = _power(np.cos(b), vertical) * _power(np.cos(a), horizontal)
    y = _power(np.cos(b), vertical) * _power(np.sin(a), horizontal)
    z = _power(np.sin(b), vertical)
    points = np.stack([rx * x, ry * y, rz * z], -1)
    if noise and rng is not None:
        directions, phases = rng.normal(size=(5, 3)) * 2.5, rng.uniform(0, 6, 5)
        unit = np.stack([x, y, z], -1)
        waves = sum(np.sin(unit @ direction + phase) for direction, phase in zip(directions, phases, strict=True))
        points = points * (1 + noise * np.asarray(waves)[..., None] / 3)
    points[:, 0], points[:, -1], points[-1] = points[:, 0].mean(0), points[:, -1].mean(0), points[0]
    vertices, faces = points.reshape(-1, 3), _grid_faces(around, along)
    # The seam and the poles are doubled vertices: their normals are summed so that no crease shows.
    normals = _vertex_normals(vertices, faces).reshape(around, along, 3)
    normals[0] = normals[-1] = normals[0] + normals[-1]
    normals[:, 0], normals[:, -1] = normals[:, 0].sum(0), normals[:, -1].sum(0)
    uvs = np.stack([a / np.pi * max(rx, ry) * 2, b * rz * 2], -1).reshape(-1, 2)
    return _mesh(vertices, _unit(normals.reshape(-1, 3)), uvs, faces)


def tube(
    path: ArrayLike,
    radius: float | Sequence[float] | NDArray[np.float64],
    sides: int = 8,
    closed: bool = False,
    flatness: float = 1.0,
) -> Mesh:
    """Circle swept along a path `(N, 3)`; `flatness` scales it across the path's first sideways direction.

    `radius` is one number or one a point. `closed` joins the end to the start, otherwise both ends are capped.
    """
    points = np.asarray(path, np.float64)
    if closed:
        tangents = np.roll(points, -1, 0) - np.roll(points, 1, 0)
    else:
        tangents = np.gradient(points, axis=0)
    tangents = _unit(tangents)
    radii = np.ones(len(points)) * np.asarray(radius, np.float64)
    if closed:
        points, tangents, radii = np.r_[points, points[:1]], np.r_[tangents, tangents[:1]], np.r_[radii, radii[:1]]
    count = len(points)
    up = np.array([0, 0, 1.0]) if abs(tangents[0, 2]) < 0.9 else np.array([1.0, 0, 0])
    side = np.cross(tangents[0], up)
    angles = np.linspace(0, 2 * np.pi, sides + 1)
    sides_of = np.empty_like(points)
    for i, tangent in enumerate(tangents):  # carried from ring to ring, so that the tube does not twist
        side = side - tangent * (side @ tangent)
        side = sides_of[i] = side / np.sqrt(side @ side)
    across, upright = sides_of[:, None], np.cross(tangents, sides_of)[:, None]
    cos, sin = np.cos(angles)[:, None], np.sin(angles)[:, None]
    rings = points[:, None] + radii[:, None, None] * (cos * across + flatness * sin * upright)
    ring_normals = _unit(flatness * cos * across + sin * upright)
    arc_length = np.r_[0, np.cumsum(np.linalg.norm(np.diff(points, axis=0), axis=1))]
    vertices, normals = rings.reshape(-1, 3), ring_normals.reshape(-1, 3)
    uvs = np.stack([np.tile(angles * radii.mean(), count), np.repeat(arc_length, sides + 1)], 1)
    faces = _grid_faces(count, sides + 1)[:, [0, 2, 1]]
    if closed:
        return _mesh(vertices, normals, uvs, faces)
    caps = []
    corner = np.arange(sides)
    for i, outward in ((0, -1), (count - 1, 1)):
        fan = np.stack([np.zeros(sides, int), 1 + corner, 2 + corner], 1)
        if outward < 0:
            fan = fan[:, [0, 2, 1]]
        cap = np.r_[points[i][None], rings[i]]
        caps.append(_mesh(cap, np.tile(outward * tangents[i], (len(cap), 1)), np.zeros((len(cap), 2)), fan))
    return merge([_mesh(vertices, normals, uvs, faces), *caps])


def prism(outline: Sequence[Sequence[float]] | NDArray[np.float64], bottom: float, top: float) -> Mesh:
    """Upright prism over a star-shaped, counter-clockwise outline `(N, 2)`."""
    corners = np.asarray(outline, np.float64)
    count, index = len(corners), np.arange(len(corners))
    fan = np.r_[corners.mean(0)[None], corners]
    triangles = np.stack([np.zeros(count, int), 1 + index, 1 + (index + 1) % count], 1)
    pieces = []
    for height, side in ((bottom, -1), (top, 1)):
        normals = np.tile([0, 0, side], (count + 1, 1))
        pieces.append(_mesh(np.c_[fan, np.full(count + 1, height)], normals, fan, triangles[:, ::side]))
    following = np.roll(corners, -1, 0)
    edges = following - corners
    lengths = np.linalg.norm(edges, axis=1)
    outward = np.stack([edges[:, 1], -edges[:, 0], 0 * lengths], 1) / lengths[:, None]
    low, high, zero = np.full(count, bottom), np.full(count, top), 0 * lengths
    walls = np.stack(
        [np.c_[corners, low], np.c_[following, low], np.c_[following, high], np.c_[corners, high]], 1
    ).reshape(-1, 3)
    uvs = np.stack([np.c_[zero, low], np.c_[lengths, low], np.c_[lengths, high], np.c_[zero, high]], 1).reshape(-1, 2)
    quads = (4 * index[:, None, None] + np.array([[0, 1, 2], [0, 2, 3]])).reshape(-1, 3)
    pieces.append(_mesh(walls, np.repeat(outward, 4, 0), uvs, quads))
    return merge(pieces)


def disc(radius: float, bottom: float, top: float, segments: int = 28) -> Mesh:
    """Flat round plate whose uv are metres around its centre, for dials and printed lids."""
    return prism(circle(radius, segments), bottom, top)


def leaf(length: float, half_width: float, bend: float, rows: int = 5, fold: float = 0.25) -> Mesh:
    """A leaf along +x, bent by `bend` rad and folded along its middle; an open sheet."""
    along = np.linspace(0, 1, rows)
    widths = half_width * np.sin(np.pi * np.clip(along, 0.02, 0.98)) ** 0.8 * (1 - 0.3 * along)
    angles = bend * along
    x = np.cumsum(np.r_[0, np.cos(angles[1:]) * length / (rows - 1)])
    z = np.cumsum(np.r_[0, np.sin(angles[1:]) * length / (rows - 1)])
    left = np.stack([x, widths, z + fold * widths], 1)
    right = np.stack([x, -widths, z + fold * widths], 1)
    vertices = np.stack([right, np.stack([x, 0 * x, z], 1), left], 1).reshape(-1, 3)
    faces = _grid_faces(rows, 3)
    return _mesh(vertices, _unit(_vertex_normals(vertices, faces)), vertices[:, :2] * 6, faces)


def sheet(heights: NDArray[np.float64], half_x: float, half_y: float, thickness: float = 0.004) -> Mesh:
    """Closed cloth over a grid of heights `(nx, ny)` m, as thick as `thickness` downwards."""
    nx, ny = heights.shape
    x, y = np.meshgrid(np.linspace(-half_x, half_x, nx), np.linspace(-half_y, half_y, ny), indexing="ij")
    return sheet_through(np.stack([x, y, heights], -1), thickness)


def sheet_through(points: NDArray[np.float64], thickness: float) -> Mesh:
    """Closed sheet through a grid of points `(nx, ny, 3)`, thick against its normals; uv in metres along the grid."""
    nx, ny = points.shape[:2]
    upper, faces = points.reshape(-1, 3), _grid_faces(nx, ny)
    normals = _unit(_vertex_normals(upper, faces))
    step_x = np.linalg.norm(np.diff(points, axis=0), axis=2).mean()
    step_y = np.linalg.norm(np.diff(points, axis=1), axis=2).mean()
    i, j = np.meshgrid(np.arange(nx) * step_x, np.arange(ny) * step_y, indexing="ij")
    uvs = np.stack([i, j], -1).reshape(-1, 2)
    lower = upper - thickness * normals
    rim = np.concatenate(
        [
            np.arange(nx - 1) * ny,
            (nx - 1) * ny + np.arange(ny - 1),
            (nx - 1 - np.arange(nx - 1)) * ny + ny - 1,
            ny - 1 - np.arange(ny - 1),
        ]
    )
    following = np.roll(rim, -1)
    corners = np.stack([lower[rim], lower[following], upper[following], upper[rim]], 1)
    outward = _unit(np.cross(corners[:, 1] - corners[:, 0], corners[:, 3] - corners[:, 0]))
    quads = (4 * np.arange(len(rim))[:, None, None] + np.array([[0, 1, 2], [0, 2, 3]])).reshape(-1, 3)
    edge = _mesh(corners.reshape(-1, 3), np.repeat(outward, 4, 0), np.zeros((4 * len(rim), 2)), quads)
    return merge([_mesh(upper, normals, uvs, faces), _mesh(lower, -normals, uvs, faces[:, ::-1]), edge])


def loft(rings: NDArray[np.float64]) -> Mesh:
    """Closed surface through rings of points `(R, S + 1, 3)`, counter-clockwise about the direction from first to last.

    The last point of a ring repeats its first. uv is 0..1 around and along.
    """
    count, around = rings.shape[:2]
    vertices, faces = rings.reshape(-1, 3), _grid_faces(count, around)[:, [0, 2, 1]]
    normals = _vertex_normals(vertices, faces).reshape(count, around, 3)
    normals[:, 0] = normals[:, -1] = normals[:, 0] + normals[:, -1]
    uvs = np.stack(np.meshgrid(np.linspace(0, 1, count), np.linspace(0, 1, around), indexing="ij"), -1)
    pieces = [_mesh(vertices, _unit(normals.reshape(-1, 3)), uvs.reshape(-1, 2), faces)]
    index = np.arange(around - 1)
    fan = np.stack([np.zeros_like(index), 1 + index, 2 + index], 1)
    along = _unit(rings[-1].mean(0) - rings[0].mean(0))
    for end, side in ((rings[0], -1), (rings[-1], 1)):
        cap = np.r_[end[:-1].mean(0)[None], end]
        pieces.append(_mesh(cap, np.tile(side * along, (len(cap), 1)), np.zeros((len(cap), 2)), fan[:, ::side]))
    return merge(pieces)


def arc(
    center: ArrayLike,
    radius: float,
    start: float,
    end: float,
    count: int,
    plane: str = "xz",
    other: float | None = None,
) -> NDArray[np.float64]:
    """Points `(count, 3)` from `start` to `end` degrees in the plane 'xy', 'xz' or 'yz'; `other`: second radius."""
    angles = np.radians(np.linspace(start, end, count))
    points = np.zeros((count, 3))
    points[:, "xyz".index(plane[0])] = radius * np.cos(angles)
    points[:, "xyz".index(plane[1])] = (radius if other is None else other) * np.sin(angles)
    return points + np.asarray(center, np.float64)


def circle(radius: float, count: int) -> NDArray[np.float64]:
    """Counter-clockwise outline `(count, 2)` of a circle around the origin."""
    angles = np.linspace(0, 2 * np.pi, count, endpoint=False)
    return np.stack([radius * np.cos(angles), radius * np.sin(angles)], 1)


def _mesh(vertices: NDArray, normals: NDArray, uvs: NDArray, faces: NDArray) -> Mesh:
    return Mesh(
        np.asarray(vertices, np.float32),
        np.asarray(normals, np.float32),
        np.asarray(uvs, np.float32),
        np.asarray(faces, np.int64),
    )


def _unit(vectors: NDArray) -> NDArray:
    return vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), TINY)


def _power(values: NDArray, exponent: float) -> NDArray:
    return np.sign(values) * np.abs(values) ** exponent


@lru_cache(maxsize=256)
def _grid_faces(rows: int, columns: int) -> NDArray[np.int64]:
    """Two triangles a cell of a `(rows, columns)` vertex grid, facing rows x columns."""
    cell = np.arange((rows - 1) * (columns - 1))
    first = (cell // (columns - 1)) * columns + cell % (columns - 1)
    upper = np.stack([first, first + columns, first + columns + 1], 1)
    lower = np.stack([first, first + columns + 1, first + 1], 1)
    faces = np.concatenate([upper, lower]).astype(np.int64)
    faces.flags.writeable = False
    return faces


def _vertex_normals(vertices: NDArray, faces: NDArray) -> NDArray:
    """Area-weighted sums of face normals, not normalised."""
    corners = vertices[faces]
    weighted = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    normals = np.zeros_like(vertices)
    for corner in range(3):
        np.add.at(normals, faces[:, corner], weighted)
    return normals
