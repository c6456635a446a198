"""Draws rooms headless with OpenGL 3.3 over EGL: Mesa's llvmpipe on a CPU, the vendor's driver on a GPU.

Per scene: upload and one shadow atlas. Per view: an id pass at the image's own size (whole object, part, depth), then,
where the view is wanted, ambient occlusion and a supersampled colour pass in linear HDR, opaque things first, then the
transparent ones over them. On llvmpipe a depth pre-pass, unrolled light loops and supersampling instead of
multisampling made a frame seven times cheaper.
"""

from __future__ import annotations

from typing import NamedTuple

import cv2
import moderngl
import numpy as np
from numpy.typing import NDArray

from training.simulators.rooms.baking import SceneGeometry
from training.simulators.rooms.camera import View
from training.simulators.rooms.lighting import MAX_LIGHTS, Light, Lighting
from training.simulators.rooms.loaded_scene import LoadedScene, Programs
from training.simulators.rooms.opengl import nearest, set_matrix, set_rows, set_uniform, shader
from training.simulators.rooms.projection import light_matrix, view_projection

_SHADOW_SAMPLES = 4
_OCCLUSION_RADIUS = 0.22  # m


class GroundTruth(NamedTuple):
    """What each pixel of a view shows."""

    instances: NDArray[np.uint16]
    """`(H, W)`: 0 = structure, k = object k."""
    parts: NDArray[np.uint16]
    """`(H, W)`: 0 = structure, else a part number that is unique in the scene."""
    depth: NDArray[np.float32]
    """`(H, W)` m along the optical axis."""


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
        self._scene: LoadedScene | None = None
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
        programs = Programs(
            self._id_program,
            self._depth_program,
            self._glass_shadow_program,
            self._color_program(len(lights), transparent=False),
            self._color_program(len(lights), transparent=True),
        )
        self._scene = LoadedScene(self._context, geometry, programs)
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
        matrix = view_projection(view, self.width / self.height)
        target.use()
        context.viewport = (0, 0, *target.size)
        target.clear(0.0, 0.0, 0.0, 1.0, depth=1.0)

        set_matrix(self._depth_program, matrix)
        target.color_mask = (False, False, False, False)
        scene.draw(scene.depth_array, visible)
        target.color_mask = (True, True, True, True)

        context.depth_func = "<="
        set_matrix(scene.programs.color, matrix)
        set_uniform(scene.programs.color, "eye", tuple(view.eye))
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
        set_matrix(program, view_projection(view, self.width / self.height))
        set_uniform(program, "eye", tuple(view.eye))
        set_uniform(program, "forward", tuple(view.rotation[:, 2]))
        scene.draw(scene.id_array, keep)

    def _draw_transparent(self, view: View, matrix: NDArray[np.float64], keep: NDArray[np.bool_]) -> None:
        """Blend transparent parts over the colour target, far parts before near ones, of each its far side first."""
        scene, context, target = self._loaded(), self._context, self._color_target
        program = scene.programs.glass
        set_matrix(program, matrix)
        set_uniform(program, "eye", tuple(view.eye))
        context.enable(moderngl.BLEND | moderngl.CULL_FACE)
        context.blend_func = (moderngl.ONE, moderngl.ONE_MINUS_SRC_ALPHA)
        target.depth_mask = False
        for index in back_to_front(scene.centres, scene.radii, view.eye, keep):
            draw = scene.geometry.draws[index]
            set_uniform(program, "alpha_head_on", draw.alpha)
            for hidden_side in ("front", "back"):
                context.cull_face = hidden_side
                scene.glass_array.render(first=draw.first, vertices=draw.count)
        target.depth_mask = True
        context.disable(moderngl.BLEND | moderngl.CULL_FACE)

    def _make_programs(self) -> None:
        context = self._context
        self._id_program = context.program(shader("scene.vert"), fragment_shader=shader("ids.frag"))
        self._depth_program = context.program(shader("depth.vert"), fragment_shader=shader("depth.frag"))
        self._glass_shadow_program = context.program(shader("depth.vert"), fragment_shader=shader("glass_shadow.frag"))
        self._color_programs: dict[tuple[int, bool], moderngl.Program] = {}
        occlusion = context.program(shader("screen.vert"), fragment_shader=shader("occlusion.frag"))
        blur = context.program(shader("screen.vert"), fragment_shader=shader("blur.frag"))
        self._occlusion_pass = context.vertex_array(occlusion, [])
        self._blur_pass = context.vertex_array(blur, [])

    def _color_program(self, lights: int, transparent: bool) -> moderngl.Program:
        if (lights, transparent) not in self._color_programs:
            constants = {"LIGHTS": lights, "SHADOW_SAMPLES": _SHADOW_SAMPLES, "SHADOW_SIZE": self._shadow_size}
            if transparent:
                constants["TRANSPARENT"] = 1
            self._color_programs[lights, transparent] = self._context.program(
                shader("scene.vert"), fragment_shader=shader("color.frag", constants)
            )
        return self._color_programs[lights, transparent]

    def _make_targets(self, color_width: int, color_height: int) -> None:
        context, size = self._context, (self.width, self.height)
        self._id_texture = context.texture(size, 2, dtype="u2")
        self._depth_texture = nearest(context.texture(size, 1, dtype="f4"))
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
            matrix = light_matrix(light)
            context.viewport = (place % 2 * size, place // 2 * size, size, size)
            set_matrix(self._depth_program, matrix)
            scene.draw(scene.depth_array, casts_shadow & ~scene.transparent)
            set_matrix(self._glass_shadow_program, matrix)
            scene.draw(scene.glass_shadow_array, casts_shadow & scene.transparent)
            matrices.append(matrix)
        context.polygon_offset = (0.0, 0.0)
        return matrices

    def _set_lighting(self, program: moderngl.Program, lighting: Lighting, matrices: list[NDArray[np.float64]]) -> None:
        lights, ambient = lighting.lights, lighting.ambient
        set_rows(program, "light_position", [[*light.position, float(light.sun)] for light in lights])
        set_rows(program, "light_direction", [[*light.direction, light.softness] for light in lights])
        texels = [2 * (light.extent if light.sun else np.tan(light.extent / 2)) / self._shadow_size for light in lights]
        colors = [[*light.color, texel] for light, texel in zip(lights, texels, strict=True)]
        set_rows(program, "light_color", colors)
        set_rows(program, "light_matrix", [matrix.T.ravel() for matrix in matrices])
        set_uniform(program, "ambient_above", tuple(ambient.above))
        set_uniform(program, "ambient_below", tuple(ambient.below))
        set_uniform(program, "ambient_around", tuple(ambient.around))
        set_uniform(program, "window_glow", (*ambient.glow_direction, ambient.glow))
        set_uniform(program, "resolution", tuple(map(float, self._color_target.size)))
        for unit, name in enumerate(("textures", "materials", "occlusion_map", "shadow_atlas")):
            set_uniform(program, name, unit)

    def _draw_occlusion(self, view: View) -> None:
        context, size = self._context, self._occlusion_target.size
        tan_y = np.tan(view.vertical_fov / 2)
        context.disable(moderngl.DEPTH_TEST)
        self._depth_texture.use(0)
        self._occlusion_target.use()
        context.viewport = (0, 0, *size)
        program = self._occlusion_pass.program
        set_uniform(program, "depth_map", 0)
        set_uniform(program, "tan_half", (tan_y * self.width / self.height, tan_y))
        set_uniform(program, "radius", _OCCLUSION_RADIUS)
        self._occlusion_pass.render(moderngl.TRIANGLES, vertices=3)
        self._blur_target.use()
        context.viewport = (0, 0, *size)
        self._occlusion_texture.use(1)
        program = self._blur_pass.program
        set_uniform(program, "depth_map", 0)
        set_uniform(program, "occlusion_map", 1)
        set_uniform(program, "texel", (1 / size[0], 1 / size[1]))
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

    def _loaded(self) -> LoadedScene:
        if self._scene is None:
            raise RuntimeError("no scene is loaded; call Renderer.load first")
        return self._scene
