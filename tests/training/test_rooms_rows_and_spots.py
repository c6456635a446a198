"""Long things laid side by side, and the spots that throw sharp shadows of them."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import numpy as np
import pytest
from any_texture import palette

from training.simulators.rooms.clutter import CUTLERY, SLENDER_SETS, Clutter, PlacedSurface
from training.simulators.rooms.lighting import MAX_LIGHTS, light_scene
from training.simulators.rooms.objects_catalogue import SMALL_OBJECTS
from training.simulators.rooms.scene import Scene, SceneObject

SHARP = 0.004
"""m: a shadow of a fork's handle would vanish in a blur that is larger."""

SHADOW_SIZE = 1024
"""Texels of a light's shadow map, a side: the renderer's default."""


def table() -> PlacedSurface:
    return PlacedSurface(np.array([0.1, -0.2, 0.7]), np.eye(3), 0.6, 0.5, 1.0)


def rows(count: int) -> Iterator[tuple[list[SceneObject], PlacedSurface]]:
    """What rows of eight hold, with the part of the table that each lies on."""
    for seed in range(count):
        clutter = Clutter(palette(seed), frozenset())
        region = clutter.side_by_side(table(), 8)
        if region is not None:
            yield clutter.loose, region


def test_sets_name_existing_objects() -> None:
    assert {name for names in SLENDER_SETS for name in names} <= set(SMALL_OBJECTS)


def test_objects_of_a_row_lie_within_their_region_and_have_their_middles_on_the_table() -> None:
    found = list(rows(40))
    assert len(found) > 35
    for loose, region in found:
        for item in loose:
            low, high = item.bounds()
            assert low[2] >= 0.7
            at = (low[:2] + high[:2]) / 2 - table().origin[:2]
            assert np.all(np.abs(at) <= (0.6, 0.5))
            reach = np.maximum(np.abs(low[:2] - region.origin[:2]), np.abs(high[:2] - region.origin[:2]))
            assert np.all(reach <= np.array([region.half_x, region.half_y]) + 1e-4)


def test_some_rows_are_parallel_and_close_and_others_cross() -> None:
    spreads = []
    for loose, _ in rows(60):
        yaw = np.array([np.arctan2(item.rotation[1, 0], item.rotation[0, 0]) for item in loose])
        turns = np.abs(np.angle(np.exp(2j * np.diff(yaw)))) / 2  # a fork that lies the other way round is parallel, too
        spreads.append(np.degrees(turns.mean()) if len(turns) else 0.0)
    assert np.mean(np.array(spreads) < 4) > 0.25
    assert np.mean(np.array(spreads) > 10) > 0.1


def test_what_may_cross_begins_above_the_last() -> None:
    for loose, _ in rows(60):
        lowest = [item.bounds()[0][2] for item in loose]
        assert lowest == pytest.approx([0.703] * len(loose), abs=1e-4) or all(a < b for a, b in pairwise(lowest))


def test_cutlery_of_a_set_has_the_materials_of_its_first_piece() -> None:
    rows_of_cutlery = [loose for loose, _ in rows(80) if {item.category for item in loose} <= set(CUTLERY)]
    sets = [{item.parts[0].material for item in loose} for loose in rows_of_cutlery if len(loose) > 2]
    assert sum(len(handles) == 1 for handles in sets) > len(sets) / 2
    assert any(len(handles) > 1 for handles in sets)


def test_nothing_is_placed_where_every_kind_is_excluded() -> None:
    clutter = Clutter(palette(), frozenset(name for names in SLENDER_SETS for name in names))
    assert clutter.side_by_side(table(), 5) is None
    assert clutter.loose == []


def test_spots_are_some_of_the_lights_and_most_throw_sharp_shadows(scenes: list[Scene]) -> None:
    blurs, total = [], 0  # m, at one metre
    for number in range(12 * len(scenes)):
        lighting = light_scene(scenes[number % len(scenes)], np.random.default_rng(number))
        assert 1 <= len(lighting.lights) <= MAX_LIGHTS
        last, total = lighting.lights[-1], total + 1
        if not last.sun and last.extent < 1.3:
            blurs.append(last.softness * 2 * np.tan(last.extent / 2) / SHADOW_SIZE)
            assert np.linalg.norm(last.direction) == pytest.approx(1)
            assert np.all(np.abs(last.position[:2]) < scenes[number % len(scenes)].half_size[:2])
    assert 0.15 < len(blurs) / total < 0.5
    assert 0.3 < np.mean(np.array(blurs) < SHARP) < 1
