"""Bakes a scene into buffers: one of vertices, one of indices, and the runs of these that are drawn as one."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from training.simulators.rooms.scene import Part, Scene

_MAX_ID = 65535
_VERTEX = np.dtype([("position", "3f4"), ("normal", "3f4"), ("uv", "2f4"), ("material", "f4"), ("id", "u4")])


@dataclass(frozen=True)
class Draw:
    """A run of indices that is drawn or culled as one: a transparent part, the opaque parts of an object between two of
    these (mostly the whole object), or one piece of structure."""

    first: int
    count: int
    centre: NDArray[np.float64]
    radius: float
    casts_shadow: bool
    alpha: float
    """1 for opaque runs, which are drawn first; else of the one transparent part."""


@dataclass(frozen=True)
class SceneGeometry:
    """A scene baked into buffers."""

    vertices: NDArray[np.void]
    indices: NDArray[np.uint32]
    materials: NDArray[np.float32]
    """`(M, 16)`, rows of `Material.row()`."""
    draws: tuple[Draw, ...]
    part_to_object: NDArray[np.uint16]
    """`(P + 1,)`: instance id of each part number; entry 0 is structure."""


def bake(scene: Scene) -> SceneGeometry:
    """Put all parts of a scene into one vertex and one index buffer, in the room's frame.

    Raises ValueError when a scene has more parts than 16-bit ids can name.
    """
    parts = sum(len(item.parts) for item in scene.objects)
    if parts > _MAX_ID:
        raise ValueError(f"scene has {parts} parts; 16-bit part maps hold at most {_MAX_ID}")
    baker = _Baker()
    for part in scene.structure:
        baker.add([part], np.eye(3), np.zeros(3), instance=0, casts_shadow=True)
    for index, item in enumerate(scene.objects):
        # A lamp stands round its own bulb and would leave the room dark.
        casts_shadow = item.casts_shadow and item.light is None
        baker.add(item.parts, item.rotation, item.position, instance=index + 1, casts_shadow=casts_shadow)
    return baker.finish()


class _Baker:
    def __init__(self) -> None:
        self._vertices: list[NDArray[np.void]] = []
        self._indices: list[NDArray[np.uint32]] = []
        self._materials: list[NDArray[np.float32]] = []
        self._draws: list[Draw] = []
        self._part_to_object = [0]
        self._vertex_count = self._index_count = 0

    def add(
        self,
        parts: list[Part],
        rotation: NDArray[np.floating],
        position: NDArray[np.floating],
        instance: int,
        casts_shadow: bool,
    ) -> None:
        for opaque, run in itertools.groupby(parts, lambda part: part.material.alpha == 1.0):
            for drawn in [list(run)] if opaque else [[part] for part in run]:
                self._add_run(drawn, rotation, position, instance, casts_shadow)

    def _add_run(
        self,
        parts: list[Part],
        rotation: NDArray[np.floating],
        position: NDArray[np.floating],
        instance: int,
        casts_shadow: bool,
    ) -> None:
        first, start = self._index_count, len(self._vertices)
        for part in parts:
            if instance:
                self._part_to_object.append(instance)
            part_id = len(self._part_to_object) - 1 if instance else 0
            mesh = part.mesh
            rows = np.zeros(len(mesh.vertices), _VERTEX)
            rows["position"] = mesh.vertices @ rotation.T + position
            rows["normal"] = mesh.normals @ rotation.T
            rows["uv"] = mesh.uvs
            rows["material"] = len(self._materials)
            rows["id"] = instance | part_id << 16
            self._materials.append(part.material.row())
            self._vertices.append(rows)
            self._indices.append((np.asarray(mesh.faces).ravel() + self._vertex_count).astype(np.uint32))
            self._vertex_count += len(rows)
            self._index_count += np.asarray(mesh.faces).size
        points = np.concatenate([rows["position"] for rows in self._vertices[start:]])
        low, high = points.min(axis=0).astype(np.float64), points.max(axis=0).astype(np.float64)
        self._draws.append(
            Draw(
                first,
                self._index_count - first,
                (low + high) / 2,
                float(np.linalg.norm(high - low)) / 2,
                casts_shadow,
                parts[0].material.alpha,
            )
        )

    def finish(self) -> SceneGeometry:
        return SceneGeometry(
            np.concatenate(self._vertices),
            np.concatenate(self._indices),
            np.stack(self._materials),
            tuple(self._draws),
            np.array(self._part_to_object, np.uint16),
        )
