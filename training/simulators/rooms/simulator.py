"""Rooms as a source of frames: builds a scene from its seed, tries views and photographs those worth learning from."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict

import numpy as np
from numpy.typing import NDArray

from training.classes import held_out_classes
from training.simulators.base import FRAME_SCHEMA, Frame, SceneSkippedError
from training.simulators.rooms import VERSION
from training.simulators.rooms.baking import SceneGeometry, bake
from training.simulators.rooms.camera import View, ViewSampler, orbit
from training.simulators.rooms.layout import build_scene
from training.simulators.rooms.lighting import light_scene
from training.simulators.rooms.opengl import create_context
from training.simulators.rooms.renderer import GroundTruth, Renderer
from training.simulators.rooms.scene import Scene, SceneError, scene_seed
from training.simulators.rooms.sensor import Sensor, develop, sample_sensor
from training.simulators.rooms.textures import texture_bank

VIEWS_PER_SCENE = 6
_TRIES_PER_VIEW = 4
_MIN_OBJECT_SHARE = 160 / (512 * 384)
"""An object counts as seen from this share of the image on."""
_TEXTURE_STREAM, _LOOK_STREAM = 1_000_003, 1_000_033
"""Words that keep the random numbers of textures, and of lights and cameras, apart from those of the layout."""


class RoomSimulator:
    """Frames of procedural rooms for one split and seed.

    Train and val never contain the held-out classes of training/classes.yaml; test does.
    """

    name = "rooms"

    def __init__(self, split: str, seed: int, width: int, height: int, views: int = VIEWS_PER_SCENE) -> None:
        self._split, self._seed, self._views = split, seed, views
        context = create_context()  # first: where graphics are missing, say so before painting textures for seconds
        # Each split has prints and patterns of its own, so that val and test show unseen packaging.
        words = [*scene_seed(split, seed, 0).entropy, _TEXTURE_STREAM]  # type: ignore[misc]
        bank, self._textures = texture_bank(int(np.random.SeedSequence(words).generate_state(1)[0]))
        self._exclude = frozenset[str]() if split == "test" else held_out_classes()
        self._renderer = Renderer(context, width, height, bank)

    def frames(self, scene: int) -> Iterator[Frame]:
        """See `Simulator.frames`."""
        room, geometry, rng = self._enter(scene)
        for view, truth in self._views_worth_learning(room, rng, self._views):
            yield self._photograph(room, geometry, view, truth, scene, sample_sensor(rng), rng)

    def sequence(self, scene: int, count: int, arc: float) -> Iterator[Frame]:
        """Frames along a camera path in one room: there and back along an arc (rad) around what the first good view
        shows, `count` frames in all, so that playing them in a loop shows no jump.

        Raises SceneSkippedError where the room cannot be built or the path leaves it.
        """
        room, geometry, rng = self._enter(scene)
        start = next(self._views_worth_learning(room, rng, self._views), None)
        if start is None:
            raise SceneSkippedError("no view worth showing")
        view, truth = start
        sensor = sample_sensor(rng)
        height, width = truth.depth.shape
        target = view.eye + view.rotation[:, 2] * float(
            np.median(truth.depth[height // 4 : -height // 4, width // 4 :])
        )
        for step in range(count):
            around = orbit(view, target, arc / 2 * float(np.sin(2 * np.pi * step / count)))
            yield self._photograph(room, geometry, around, self._renderer.ground_truth(around), scene, sensor, rng)

    def close(self) -> None:
        """See `Simulator.close`."""
        self._renderer.release()

    def _enter(self, scene: int) -> tuple[Scene, SceneGeometry, np.random.Generator]:
        """Build room number `scene`, light it and load it into the renderer."""
        seed = scene_seed(self._split, self._seed, scene)
        try:
            room = build_scene(seed, self._textures, self._exclude)
        except SceneError as error:
            raise SceneSkippedError(str(error)) from error
        except Exception as error:  # one odd room among thousands must not end a long run; it is reported, not hidden
            raise SceneSkippedError(f"{type(error).__name__} while building: {error}") from error
        rng = np.random.default_rng([*seed.entropy, _LOOK_STREAM])  # type: ignore[misc]
        geometry = bake(room)
        self._renderer.load(geometry, light_scene(room, rng))
        return room, geometry, rng

    def _views_worth_learning(
        self, room: Scene, rng: np.random.Generator, count: int
    ) -> Iterator[tuple[View, GroundTruth]]:
        sampler = ViewSampler(room, rng)
        kept = 0
        for _ in range(count * _TRIES_PER_VIEW):
            view = sampler.sample()
            if view is None or kept == count:
                return
            truth = self._renderer.ground_truth(view)
            if is_worth_learning(truth, view, int(rng.choice([3, 5, 7, 10], p=[0.15, 0.3, 0.35, 0.2]))):
                kept += 1
                yield view, truth

    def _photograph(
        self,
        room: Scene,
        geometry: SceneGeometry,
        view: View,
        truth: GroundTruth,
        scene: int,
        sensor: Sensor,
        rng: np.random.Generator,
    ) -> Frame:
        rgb = develop(self._renderer.color(view), sensor, rng)
        height, width = truth.instances.shape
        seen, parts = np.unique(truth.instances), np.unique(truth.parts)
        meta = {
            "schema": FRAME_SCHEMA,
            "simulator": self.name,
            "simulator_version": VERSION,
            "split": self._split,
            "seed": self._seed,
            "scene": scene,
            "room": room.kind,
            "view": view.kind,
            "intrinsics": asdict(view.intrinsics(width, height)),
            "pose": view.pose().round(6).tolist(),
            "objects": [{"id": int(k), "class": room.objects[k - 1].category} for k in seen if k],
            "part_to_object": {str(p): int(geometry.part_to_object[p]) for p in parts if p},
        }
        return Frame(rgb, truth.instances, truth.parts, depth_millimetres(truth.depth), meta, sensor.jpeg_quality)


def is_worth_learning(truth: GroundTruth, view: View, wanted: int) -> bool:
    """Whether a view shows enough: `wanted` objects of visible size (close-ups: two), none of them hiding all the rest.

    A camera inside or right behind something shows one huge object or nothing but wall.
    """
    share = np.bincount(truth.instances.ravel(), minlength=2) / truth.instances.size
    background, objects = share[0], share[1:]
    seen = truth.depth[truth.depth > 0]
    if len(seen) < truth.depth.size * 0.95:  # a hole in the room: the camera looks out of it
        return False
    closeup = view.kind == "closeup"
    if np.quantile(seen[:: max(1, len(seen) // 4096)], 0.02) < (0.1 if closeup else 0.18):
        return False
    if closeup:
        return bool((objects > _MIN_OBJECT_SHARE).sum() >= 2 and objects.max() < 0.85 and background < 0.9)
    largest = 0.85 if view.kind == "tabletop" else 0.6  # a table may fill the frame behind what stands on it
    least_background = 0.0 if view.kind == "tabletop" else 0.02
    enough = (objects > _MIN_OBJECT_SHARE).sum() >= wanted
    return bool(enough and objects.max() < largest and least_background <= background < 0.85)


def depth_millimetres(depth: NDArray[np.float32]) -> NDArray[np.uint16]:
    """Metres to millimetres; what uint16 cannot hold becomes 0, unknown."""
    millimetres = np.round(depth * 1000)
    return np.where((millimetres >= 0) & (millimetres <= 65535), millimetres, 0).astype(np.uint16)
