"""Draws rooms headless with OpenGL 3.3 over EGL: Mesa's llvmpipe on a CPU, the vendor's driver on a GPU.

Per scene: upload and one shadow atlas. Per view: an id pass at the image's own size (whole object, part, depth), then,
where the view is wanted, ambient occlusion and a supersampled colour pass in linear HDR, opaque things first, then the
transparent ones over them. On llvmpipe a depth pre-pass, unrolled light loops and supersampling instead of
multisampling made a frame seven times cheaper.
"""

from __future__ import annotations

import itertools
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import moderngl
import numpy as np
from numpy.typing import NDArray

from saom_ros.errors import SaomError
from training.simulators.rooms.camera import View
from training.simulators.rooms.lighting import MAX_LIGHTS, Light, Lighting
from training.simulators.rooms.scene import Part, Scene

_SHADERS = Path(__file__).parent / "shaders"
_NEAR, _FAR = 0.04, 40.0
_SHADOW_SAMPLES = 4
_OCCLUSION_RADIUS = 0.22  # m
_MAX_ID = 65535
_VERTEX = np.dtype([("position", "3f4"), ("normal", "3f4"), ("uv", "2f4"), ("material", "f4"), ("id", "u4")])
# Unversioned library names exist only where -dev packages are installed.
_CONTEXT: dict[str, Any] = {
    "standalone": True,
    "require": 330,
    "backend": "egl",
    "libgl": "libGL.so.1",
    "libegl": "libEGL.so.1",
}


class GroundTruth(NamedTuple):
    """What each pixel of a view shows."""

    instances: NDArray[np.uint16]
    """`(H, W)`: 0 = structure, k = object k."""
    parts: NDArray[np.uint16]
    """`(H, W)`: 0 = structure, else a part number that is unique in the scene."""
    depth: NDArray[np.float32]
    """`(H, W)` m along the optical axis."""


@dataclass(frozen=True)
class _Draw:
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
    draws: tuple[_Draw, ...]
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


def back_to_front(
    centres: NDArray[np.float64], radii: NDArray[np.float64], eye: NDArray[np.float64], keep: NDArray[np.bool_]
) -> list[int]:
    """Indices of the kept runs, by falling distance of their centres `(N, 3)` from the eye `(3,)`.

    Of two as far, the one with the larger radius `(N,)` comes first, then by place, so that the order in which things
    were made plays no part.
    """
    distance = np.linalg.norm(centres - eye, axis=1)
    order = np.lexsort((*centres.T, -radii, -distance))
    return [int(index) for index in order if keep[index]]


class _Baker:
    def __init__(self) -> None:
        self._vertices: list[NDArray[np.void]] = []
        self._indices: list[NDArray[np.uint32]] = []
        self._materials: list[NDArray[np.float32]] = []
        self._draws: list[_Draw] = []
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
            _Draw(
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


class Renderer:
    """Draws one scene at a time at one image size.

    Use: `load(scene)`, then `ground_truth(view)` and `color(view)` for any number of views. Owns the context.
    """

    def __init__(
        self,
        context: moderngl.Context,
        width: int,
        height: int,
        textures: NDArray[np.uint8],
        supersampling: float = 1.5,
        shadow_size: int = 1024,
    ) -> None:
        self.width, self.height = width, height
        self._shadow_size = shadow_size
        self._context = context
        self.name = str(self._context.info["GL_RENDERER"])
        self._scene: _LoadedScene | None = None
        self._make_programs()
        self._make_targets(round(width * supersampling), round(height * supersampling))
        self._textures = self._upload_textures(textures)
        self._context.enable(moderngl.DEPTH_TEST)

    def load(self, geometry: SceneGeometry, lighting: Lighting) -> None:
        """Upload a scene and draw its shadow maps; the scene before it is released."""
        if self._scene is not None:
            self._scene.release()
        lights = lighting.lights
        if not 1 <= len(lights) <= MAX_LIGHTS:
            raise ValueError(f"scene has {len(lights)} lights; the shadow atlas holds 1 to {MAX_LIGHTS}")
        programs = _Programs(
            self._id_program,
            self._depth_program,
            self._glass_shadow_program,
            self._color_program(len(lights), transparent=False),
            self._color_program(len(lights), transparent=True),
        )
        self._scene = _LoadedScene(self._context, geometry, programs)
        matrices = self._draw_shadows(lights)
        self._set_lighting(programs.color, lighting, matrices)
        self._set_lighting(programs.glass, lighting, matrices)

    def ground_truth(self, view: View) -> GroundTruth:
        """Instances, parts and depth of a view; cheap enough to try many views."""
        self._draw_ids(view, self._visible(view))
        ids = np.frombuffer(self._id_texture.read(), np.uint16).reshape(self.height, self.width, 2)[::-1]
        depth = np.frombuffer(self._depth_texture.read(), np.float32).reshape(self.height, self.width)[::-1]
        return GroundTruth(
            np.ascontiguousarray(ids[..., 0]), np.ascontiguousarray(ids[..., 1]), np.ascontiguousarray(depth)
        )

    def color(self, view: View) -> NDArray[np.float32]:
        """Linear HDR colour of the view that `ground_truth` drew last: float32 `(H, W, 3)`."""
        scene, context, target = self._loaded(), self._context, self._color_target
        visible = self._visible(view)
        transparent, visible = visible & scene.transparent, visible & ~scene.transparent
        if transparent.any():
            self._draw_ids(view, visible)  # a glass hides no ambient light, so occlusion must not see its depth
        self._draw_occlusion(view)
        matrix = self._view_projection(view)
        target.use()
        context.viewport = (0, 0, *target.size)
        target.clear(0.0, 0.0, 0.0, 1.0, depth=1.0)

        _set_matrix(self._depth_program, matrix)
        target.color_mask = (False, False, False, False)
        scene.draw(scene.depth_array, visible)
        target.color_mask = (True, True, True, True)

        context.depth_func = "<="
        _set_matrix(scene.programs.color, matrix)
        _set(scene.programs.color, "eye", tuple(view.eye))
        self._textures.use(0)
        scene.material_texture.use(1)
        self._blur_texture.use(2)
        self._shadow_atlas.use(3)
        scene.draw(scene.color_array, visible)
        context.depth_func = "<"
        if transparent.any():
            self._draw_transparent(view, matrix, transparent)

        width, height = target.size
        hdr = np.frombuffer(target.read(components=3, dtype="f2"), np.float16).reshape(height, width, 3)[::-1]
        return np.asarray(
            cv2.resize(hdr.astype(np.float32), (self.width, self.height), interpolation=cv2.INTER_AREA), np.float32
        )

    def release(self) -> None:
        """Free the context; the renderer cannot be used afterwards."""
        self._context.release()

    def _draw_ids(self, view: View, keep: NDArray[np.bool_]) -> None:
        scene, program = self._loaded(), self._id_program
        self._id_target.use()
        self._context.viewport = (0, 0, self.width, self.height)
        self._id_target.clear(0.0, 0.0, 0.0, 0.0, depth=1.0)
        _set_matrix(program, self._view_projection(view))
        _set(program, "eye", tuple(view.eye))
        _set(program, "forward", tuple(view.rotation[:, 2]))
        scene.draw(scene.id_array, keep)

    def _draw_transparent(self, view: View, matrix: NDArray[np.float64], keep: NDArray[np.bool_]) -> None:
        """Blend transparent parts over the colour target, far parts before near ones, of each its far side first."""
        scene, context, target = self._loaded(), self._context, self._color_target
        program = scene.programs.glass
        _set_matrix(program, matrix)
        _set(program, "eye", tuple(view.eye))
        context.enable(moderngl.BLEND | moderngl.CULL_FACE)
        context.blend_func = (moderngl.ONE, moderngl.ONE_MINUS_SRC_ALPHA)
        target.depth_mask = False
        for index in back_to_front(scene.centres, scene.radii, view.eye, keep):
            draw = scene.geometry.draws[index]
            _set(program, "alpha_head_on", draw.alpha)
            for hidden_side in ("front", "back"):
                context.cull_face = hidden_side
                scene.glass_array.render(first=draw.first, vertices=draw.count)
        target.depth_mask = True
        context.disable(moderngl.BLEND | moderngl.CULL_FACE)

    def _make_programs(self) -> None:
        context = self._context
        self._id_program = context.program(_shader("scene.vert"), fragment_shader=_shader("ids.frag"))
        self._depth_program = context.program(_shader("depth.vert"), fragment_shader=_shader("depth.frag"))
        self._glass_shadow_program = context.program(
            _shader("depth.vert"), fragment_shader=_shader("glass_shadow.frag")
        )
        self._color_programs: dict[tuple[int, bool], moderngl.Program] = {}
        occlusion = context.program(_shader("screen.vert"), fragment_shader=_shader("occlusion.frag"))
        blur = context.program(_shader("screen.vert"), fragment_shader=_shader("blur.frag"))
        self._occlusion_pass = context.vertex_array(occlusion, [])
        self._blur_pass = context.vertex_array(blur, [])

    def _color_program(self, lights: int, transparent: bool) -> moderngl.Program:
        if (lights, transparent) not in self._color_programs:
            constants = {"LIGHTS": lights, "SHADOW_SAMPLES": _SHADOW_SAMPLES, "SHADOW_SIZE": self._shadow_size}
            if transparent:
                constants["TRANSPARENT"] = 1
            self._color_programs[lights, transparent] = self._context.program(
                _shader("scene.vert"), fragment_shader=_shader("color.frag", constants)
            )
        return self._color_programs[lights, transparent]

    def _make_targets(self, color_width: int, color_height: int) -> None:
        context, size = self._context, (self.width, self.height)
        self._id_texture = context.texture(size, 2, dtype="u2")
        self._depth_texture = _nearest(context.texture(size, 1, dtype="f4"))
        self._id_target = context.framebuffer([self._id_texture, self._depth_texture], context.depth_renderbuffer(size))
        half = (max(1, color_width // 2), max(1, color_height // 2))
        self._occlusion_texture = context.texture(half, 1, dtype="f1")
        self._occlusion_target = context.framebuffer([self._occlusion_texture])
        self._blur_texture = context.texture(half, 1, dtype="f1")
        self._blur_target = context.framebuffer([self._blur_texture])
        color_size = (color_width, color_height)
        self._color_target = context.framebuffer(
            [context.renderbuffer(color_size, 4, dtype="f2")], context.depth_renderbuffer(color_size)
        )
        self._shadow_atlas = context.depth_texture((2 * self._shadow_size, 2 * self._shadow_size))
        self._shadow_atlas.compare_func = "<="
        self._shadow_atlas.filter = (moderngl.LINEAR, moderngl.LINEAR)
        self._shadow_atlas.repeat_x = self._shadow_atlas.repeat_y = False
        self._shadow_target = context.framebuffer(depth_attachment=self._shadow_atlas)

    def _upload_textures(self, textures: NDArray[np.uint8]) -> moderngl.TextureArray:
        layers, height, width, channels = textures.shape
        # The array itself, not a copy of its 64 MB: this is where a worker's memory peaks.
        pixels = np.ascontiguousarray(textures)
        uploaded = self._context.texture_array((width, height, layers), channels, pixels.data)
        uploaded.build_mipmaps()
        uploaded.filter = (moderngl.LINEAR_MIPMAP_LINEAR, moderngl.LINEAR)
        # Anisotropic filtering is free on a GPU and doubles the colour pass in software.
        uploaded.anisotropy = 1.0 if "llvmpipe" in self.name else 8.0
        return uploaded

    def _draw_shadows(self, lights: tuple[Light, ...]) -> list[NDArray[np.float64]]:
        """Fill the atlas; returns each light's clip matrix."""
        scene, context, size = self._loaded(), self._context, self._shadow_size
        casts_shadow = np.array([draw.casts_shadow for draw in scene.geometry.draws])
        self._shadow_target.use()
        context.viewport = (0, 0, 2 * size, 2 * size)
        self._shadow_target.clear(depth=1.0)
        context.polygon_offset = (2.0, 2.0)
        matrices = []
        for place, light in enumerate(lights):
            matrix = _light_matrix(light)
            context.viewport = (place % 2 * size, place // 2 * size, size, size)
            _set_matrix(self._depth_program, matrix)
            scene.draw(scene.depth_array, casts_shadow & ~scene.transparent)
            _set_matrix(self._glass_shadow_program, matrix)
            scene.draw(scene.glass_shadow_array, casts_shadow & scene.transparent)
            matrices.append(matrix)
        context.polygon_offset = (0.0, 0.0)
        return matrices

    def _set_lighting(self, program: moderngl.Program, lighting: Lighting, matrices: list[NDArray[np.float64]]) -> None:
        lights, ambient = lighting.lights, lighting.ambient
        _set_rows(program, "light_position", [[*light.position, float(light.sun)] for light in lights])
        _set_rows(program, "light_direction", [[*light.direction, light.softness] for light in lights])
        texels = [2 * (light.extent if light.sun else np.tan(light.extent / 2)) / self._shadow_size for light in lights]
        colors = [[*light.color, texel] for light, texel in zip(lights, texels, strict=True)]
        _set_rows(program, "light_color", colors)
        _set_rows(program, "light_matrix", [matrix.T.ravel() for matrix in matrices])
        _set(program, "ambient_above", tuple(ambient.above))
        _set(program, "ambient_below", tuple(ambient.below))
        _set(program, "ambient_around", tuple(ambient.around))
        _set(program, "window_glow", (*ambient.glow_direction, ambient.glow))
        _set(program, "resolution", tuple(map(float, self._color_target.size)))
        for unit, name in enumerate(("textures", "materials", "occlusion_map", "shadow_atlas")):
            _set(program, name, unit)

    def _draw_occlusion(self, view: View) -> None:
        context, size = self._context, self._occlusion_target.size
        tan_y = np.tan(view.vertical_fov / 2)
        context.disable(moderngl.DEPTH_TEST)
        self._depth_texture.use(0)
        self._occlusion_target.use()
        context.viewport = (0, 0, *size)
        program = self._occlusion_pass.program
        _set(program, "depth_map", 0)
        _set(program, "tan_half", (tan_y * self.width / self.height, tan_y))
        _set(program, "radius", _OCCLUSION_RADIUS)
        self._occlusion_pass.render(moderngl.TRIANGLES, vertices=3)
        self._blur_target.use()
        context.viewport = (0, 0, *size)
        self._occlusion_texture.use(1)
        program = self._blur_pass.program
        _set(program, "depth_map", 0)
        _set(program, "occlusion_map", 1)
        _set(program, "texel", (1 / size[0], 1 / size[1]))
        self._blur_pass.render(moderngl.TRIANGLES, vertices=3)
        context.enable(moderngl.DEPTH_TEST)

    def _visible(self, view: View) -> NDArray[np.bool_]:
        """Which draws may touch the view's frustum, by their bounding spheres."""
        scene = self._loaded()
        offset = (scene.centres - view.eye) @ view.rotation
        tan_y = np.tan(view.vertical_fov / 2)
        tan_x = tan_y * self.width / self.height
        ahead = np.maximum(offset[:, 2], 0)
        reach_x = ahead * tan_x + scene.radii * np.hypot(1, tan_x)
        reach_y = ahead * tan_y + scene.radii * np.hypot(1, tan_y)
        inside = (np.abs(offset[:, 0]) < reach_x) & (np.abs(offset[:, 1]) < reach_y)
        return np.asarray((offset[:, 2] > -scene.radii) & inside, np.bool_)

    def _view_projection(self, view: View) -> NDArray[np.float64]:
        return _perspective(view.vertical_fov, self.width / self.height, _NEAR, _FAR) @ _camera_matrix(
            view.eye, view.rotation
        )

    def _loaded(self) -> _LoadedScene:
        if self._scene is None:
            raise RuntimeError("no scene is loaded; call Renderer.load first")
        return self._scene


class _Programs(NamedTuple):
    """The shaders that draw a scene's geometry."""

    ids: moderngl.Program
    depth: moderngl.Program
    glass_shadow: moderngl.Program
    color: moderngl.Program
    glass: moderngl.Program


class _LoadedScene:
    """The GPU side of one scene."""

    def __init__(
        self,
        context: moderngl.Context,
        geometry: SceneGeometry,
        programs: _Programs,
    ) -> None:
        self.geometry = geometry
        self.programs = programs
        self.centres = np.array([draw.centre for draw in geometry.draws])
        self.radii = np.array([draw.radius for draw in geometry.draws])
        self.transparent = np.array([draw.alpha < 1.0 for draw in geometry.draws])
        self._vertices = context.buffer(geometry.vertices.tobytes())
        self._indices = context.buffer(geometry.indices.tobytes())
        rows = geometry.materials.reshape(-1, 4, 4)
        self.material_texture = _nearest(context.texture((4, len(rows)), 4, rows.tobytes(), dtype="f4"))
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


def create_context() -> moderngl.Context:
    """A headless OpenGL 3.3 context.

    Raises SaomError with the packages to install where EGL or OpenGL is missing.
    """
    # One process draws one scene; several processes use the other cores, so more threads would only fight over them.
    os.environ.setdefault("LP_NUM_THREADS", "1")
    try:
        return moderngl.create_context(**_CONTEXT)
    except Exception as error:  # moderngl raises bare Exception, ImportError and OSError alike
        raise SaomError(
            f"no OpenGL 3.3 over EGL on this machine ({error}); the room simulator draws with it. "
            "On Debian or Ubuntu: sudo apt install libegl1 libgl1 libgl1-mesa-dri"
        ) from error


def _shader(name: str, constants: dict[str, int] | None = None) -> str:
    source = (_SHADERS / name).read_text()
    version, rest = source.split("\n", 1)
    defines = "".join(f"#define {key} {value}\n" for key, value in (constants or {}).items())
    return f"{version}\n{defines}{rest}"


def _nearest(texture: moderngl.Texture) -> moderngl.Texture:
    texture.filter = (moderngl.NEAREST, moderngl.NEAREST)
    texture.repeat_x = texture.repeat_y = False
    return texture


def _set(program: moderngl.Program, name: str, value: Any) -> None:
    """Set a uniform, unless the compiler dropped it as unused."""
    uniform = program.get(name, None)
    if isinstance(uniform, moderngl.Uniform):
        uniform.value = value


def _set_rows(program: moderngl.Program, name: str, rows: list[Any]) -> None:
    uniform = program[name]
    assert isinstance(uniform, moderngl.Uniform)
    uniform.write(np.array(rows, np.float32).tobytes())


def _set_matrix(program: moderngl.Program, matrix: NDArray[np.float64]) -> None:
    _set_rows(program, "view_projection", [matrix.T])


def _light_matrix(light: Light) -> NDArray[np.float64]:
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
