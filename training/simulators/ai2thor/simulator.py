"""AI2-THOR as a source of frames: enters a room, rearranges and relights it by seed, and photographs it from where its
robot can stand.

When the Controller fails, a new one enters the room again in the same way and goes on with the view that was due.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from saom_ros.errors import SaomError
from training.classes import held_out_classes
from training.simulators.ai2thor.places import Place, houses, place_of_scene, rooms
from training.simulators.ai2thor.process import (
    ControllerLostError,
    ControllerOptions,
    ControllerProcess,
    Patience,
    Snapshot,
)
from training.simulators.ai2thor.views import (
    GRID_SIZE,
    VIEWS_PER_SCENE,
    camera_pose,
    depth_millimetres,
    intrinsics,
    is_worth_learning,
    plan_views,
)
from training.simulators.ai2thor.whole_objects import DEFAULT_RULES, WholeObjects, load_rules, whole_objects
from training.simulators.base import FRAME_SCHEMA, SPLITS, Frame, SceneSkippedError

_TRIES = 3
"""Controllers that may fail in a row at the same view."""
_FIELD_OF_VIEW = (42.0, 90.0)
"""Degrees, vertical: from a RealSense D435's colour camera to AI2-THOR's own default."""
_STREAM = 1_000_081
"""Word that keeps these random numbers apart from other uses of the same seed and scene."""


@dataclass(frozen=True)
class Look:
    """How a scene is changed before it is photographed; everything that is drawn for it."""

    seed: int
    field_of_view: float
    rearrange: bool
    new_materials: bool
    brightness: float
    hue: float
    saturation: float


@dataclass(eq=False)
class _Visit:
    """A place as one scene shows it, the same for every Controller that has to show it."""

    scene: int
    place: Place
    look: Look
    rng: np.random.Generator
    """Draws the views."""
    views: list[dict[str, Any]] = field(default_factory=list)
    """Arguments of TeleportFull, in order; empty before the first Controller is there."""
    changes: list[str] = field(default_factory=list)
    """Actions that changed the place."""


class Ai2ThorSimulator:
    """Frames of AI2-THOR for one split and seed. See `Simulator`.

    What is drawn depends on seed and scene number only; whether AI2-THOR then shows the same pixels is up to it.
    Pictures that show a held-out class are left out of train and val.
    """

    name = "ai2thor"

    def __init__(
        self,
        split: str,
        seed: int,
        options: ControllerOptions,
        house_file: Path | None = None,
        rules: Path | None = None,
        patience: Patience | None = None,
    ) -> None:
        self._split, self._seed = split, seed
        self._rules = load_rules(rules or DEFAULT_RULES)
        self._places = rooms(split) if house_file is None else houses(house_file)
        self._excluded = frozenset[str]() if split == "test" else held_out_classes()
        self._options, self._patience = options, patience or Patience()
        self._controller: ControllerProcess | None = None
        self._inside: _Visit | None = None
        """What the running Controller shows."""

    def frames(self, scene: int) -> Iterator[Frame]:
        """See `Simulator.frames`."""
        rng = np.random.default_rng([SPLITS.index(self._split), self._seed, scene, _STREAM])
        visit = _Visit(scene, place_of_scene(self._places, self._split, self._seed, scene), _sample_look(rng), rng)
        kept = number = 0
        while kept < VIEWS_PER_SCENE and (snapshot := self._photograph(visit, number)) is not None:
            number += 1
            frame = self._frame(snapshot, visit) if snapshot.success else None
            if frame is not None:
                kept += 1
                yield frame

    def close(self) -> None:
        """See `Simulator.close`."""
        if self._controller is not None:
            self._controller.close()
            self._controller = None
        self._inside = None

    def _photograph(self, visit: _Visit, number: int) -> Snapshot | None:
        """What view number `number` shows, or None after the last one.

        A Controller that fails is replaced. Raises SaomError when that does not help.
        """
        reason: ControllerLostError | None = None
        for _ in range(_TRIES):
            try:
                if self._inside is not visit:
                    self._enter(visit)
                if number == len(visit.views):
                    return None
                return self._running().step("TeleportFull", images=True, forceAction=True, **visit.views[number])
            except ControllerLostError as error:
                self.close()
                reason = error
                print(f"AI2-THOR failed in {visit.place.name}: {error}", file=sys.stderr)
        raise SaomError(
            f"AI2-THOR failed {_TRIES} times in a row in {visit.place.name}, last because: {reason}. The same command "
            "continues from the finished shards; fewer --workers leave each more memory"
        ) from reason

    def _running(self) -> ControllerProcess:
        if self._controller is None:
            self._controller = ControllerProcess(self._options, self._patience)
        return self._controller

    def _enter(self, visit: _Visit) -> None:
        """Load the place, change it and, the first time, plan the views."""
        controller, place, look = self._running(), visit.place, visit.look
        controller.reset(place.scene, gridSize=GRID_SIZE, fieldOfView=look.field_of_view, snapToGrid=False)
        if isinstance(place.scene, dict):  # a house says where in it there is room to stand
            controller.step("TeleportFull", forceAction=True, **place.scene["metadata"]["agent"])
        visit.changes = [
            action for action, arguments in self._changes(place, look) if controller.step(action, **arguments).success
        ]
        if not visit.views:
            positions = controller.step("GetReachablePositions").action_return
            if not positions:
                raise SceneSkippedError(f"{place.name} has no position that can be reached")
            visit.views = plan_views(positions, visit.rng)
        self._inside = visit

    def _changes(self, place: Place, look: Look) -> Iterator[tuple[str, dict[str, Any]]]:
        yield "SetRandomSeed", {"seed": look.seed}  # RandomizeMaterials and RandomizeLighting have no seed of their own
        if look.rearrange:
            yield "InitialRandomSpawn", {"randomSeed": look.seed, "forceVisible": False, "placeStationary": True}
        if look.new_materials and place.kind != "house":  # a house's materials are its own
            of_split = {f"use{split.capitalize()}Materials": split == self._split for split in SPLITS}
            yield "RandomizeMaterials", of_split
        yield (
            "RandomizeLighting",
            {
                "brightness": [look.brightness] * 2,
                "randomizeColor": True,
                "hue": [look.hue] * 2,
                "saturation": [look.saturation] * 2,
                "synchronized": True,
            },
        )

    def _frame(self, snapshot: Snapshot, visit: _Visit) -> Frame | None:
        """The frame of a view, or None where it is not worth learning from."""
        assert snapshot.rgb is not None
        assert snapshot.depth is not None
        assert snapshot.ids is not None
        metadata = snapshot.metadata
        found = whole_objects(snapshot.ids, metadata["colors"], metadata["objects"], self._rules)
        if not is_worth_learning(found.instances, snapshot.depth) or self._shows_held_out(found):
            return None
        height, width = found.instances.shape
        meta = {
            "schema": FRAME_SCHEMA,
            "simulator": self.name,
            "simulator_version": version("ai2thor"),
            "split": self._split,
            "seed": self._seed,
            "scene": visit.scene,
            "room": visit.place.kind,
            "place": visit.place.name,
            "changes": visit.changes,
            "intrinsics": intrinsics(visit.look.field_of_view, width, height),
            "pose": camera_pose(metadata).round(6).tolist(),
            "objects": found.objects,
            "part_to_object": {str(part): whole for part, whole in found.part_to_object.items()},
            "scenery": found.scenery,
        }
        return Frame(snapshot.rgb, found.instances, found.parts, depth_millimetres(snapshot.depth), meta)

    def _shows_held_out(self, found: WholeObjects) -> bool:
        return any(entry["class"] in self._excluded for entry in found.objects)


def _sample_look(rng: np.random.Generator) -> Look:
    return Look(
        seed=int(rng.integers(1, 2**31 - 1)),
        field_of_view=round(float(rng.uniform(*_FIELD_OF_VIEW)), 2),
        rearrange=bool(rng.random() < 0.85),
        new_materials=bool(rng.random() < 0.6),
        brightness=round(float(rng.uniform(0.5, 1.5)), 3),
        hue=round(float(rng.random()), 3),
        saturation=round(float(rng.uniform(0.0, 0.35)), 3),
    )
