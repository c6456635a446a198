"""The GPU side of one scene: its buffers, and the vertex arrays that bind them to the shaders."""

from __future__ import annotations

from typing import NamedTuple

import moderngl
import numpy as np
from numpy.typing import NDArray

from training.simulators.rooms.baking import SceneGeometry
from training.simulators.rooms.opengl import nearest


class Programs(NamedTuple):
    """The shaders that draw a scene's geometry."""

    ids: moderngl.Program
    depth: moderngl.Program
    glass_shadow: moderngl.Program
    color: moderngl.Program
    glass: moderngl.Program


class LoadedScene:
    """A scene uploaded for some programs; free it with `release`."""

    def __init__(
        self,
        context: moderngl.Context,
        geometry: SceneGeometry,
        programs: Programs,
    ) -> None:
        self.geometry = geometry
        self.programs = programs
        self.centres = np.array([draw.centre for draw in geometry.draws])
        self.radii = np.array([draw.radius for draw in geometry.draws])
        self.transparent = np.array([draw.alpha < 1.0 for draw in geometry.draws])
        self._vertices = context.buffer(geometry.vertices.tobytes())
        self._indices = context.buffer(geometry.indices.tobytes())
        rows = geometry.materials.reshape(-1, 4, 4)
        self.material_texture = nearest(context.texture((4, len(rows)), 4, rows.tobytes(), dtype="f4"))
        self.id_array = context.vertex_array(
            programs.ids, [(self._vertices, "3f4 24x 1u4", "in_position", "in_id")], self._indices
        )
        positions = [(self._vertices, "3f4 28x", "in_position")]
        self.depth_array = context.vertex_array(programs.depth, positions, self._indices)
        self.glass_shadow_array = context.vertex_array(programs.glass_shadow, positions, self._indices)
        names = ("in_position", "in_normal", "in_uv", "in_material")
        surfaces = [(self._vertices, "3f4 3f4 2f4 1f4 4x", *names)]
        self.color_array = context.vertex_array(programs.color, surfaces, self._indices)
        self.glass_array = context.vertex_array(programs.glass, surfaces, self._indices)

    def draw(self, array: moderngl.VertexArray, keep: NDArray[np.bool_]) -> None:
        """Draw the kept runs; neighbours in the buffer go in one call."""
        edges = np.flatnonzero(np.diff(np.concatenate([[False], keep, [False]]).astype(np.int8)))
        draws = self.geometry.draws
        for start, stop in edges.reshape(-1, 2):
            first, last = draws[start], draws[stop - 1]
            array.render(first=first.first, vertices=last.first + last.count - first.first)

    def release(self) -> None:
        """Free the scene's buffers."""
        for resource in (
            self.id_array,
            self.depth_array,
            self.glass_shadow_array,
            self.color_array,
            self.glass_array,
            self._vertices,
            self._indices,
            self.material_texture,
        ):
            resource.release()
