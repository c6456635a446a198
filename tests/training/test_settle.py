"""Objects at rest: they stand on what they touch, hold nothing inside each other, and nothing floats."""

from __future__ import annotations

import numpy as np
import pytest
from any_texture import palette
from hypothesis import given, settings
from hypothesis import strategies as st

from training.simulators.rooms import layout, mesh
from training.simulators.rooms.objects import ObjectModel
from training.simulators.rooms.objects_catalogue import SMALL_OBJECTS, YIELDING
from training.simulators.rooms.scene import Material, Scene, SceneObject
from training.simulators.rooms.settle import penetration, quaternion, rotation_from_quaternion, settle

ROOM = (1.0, 1.0, 2.0)
GREY = Material((0.5, 0.5, 0.5), 0)
MOST = 0.001
"""m that objects may reach into each other."""


def block(at: tuple[float, float, float], half: tuple[float, float, float] = (0.05, 0.05, 0.05)) -> SceneObject:
    """A solid box whose centre is at a place."""
    model = ObjectModel("Box").add(mesh.box(*half), GREY).solid_box(*half, (0, 0, 0))
    return model.placed(np.array(at, np.float64), np.eye(3), furniture=False)


def test_small_objects_touch_something_and_reach_at_most_a_millimetre_into_it(scenes: list[Scene]) -> None:
    for scene in scenes:
        fixed = [item for item in scene.objects if item.furniture]
        loose = [item for item in scene.objects if not item.furniture]
        depth, touching = penetration(fixed, loose, scene.half_size)
        assert [item.category for item, touches in zip(loose, touching, strict=True) if not touches] == []
        assert [item.category for item, deep in zip(loose, depth, strict=True) if deep > MOST] == []


def test_furniture_reaches_at_most_a_millimetre_into_furniture_rugs_walls_and_floor(scenes: list[Scene]) -> None:
    """`settle` never moves fixed pieces, so they must be put right; here each is free to touch all others."""
    assert len(scenes) >= 8
    deep = []
    for number, scene in enumerate(scenes):
        solid = [item for item in scene.objects if item.furniture and item.colliders]
        depth, _ = penetration([], solid, scene.half_size)
        deep += [(number, item.category, mm) for item, mm in zip(solid, (depth * 1000).round(1), strict=True) if mm > 1]
    assert deep == []


def test_furniture_stands_on_top_of_rugs_or_beside_them(scenes: list[Scene]) -> None:
    for scene in scenes:
        for rug in [item for item in scene.objects if item.category == "Rug"]:
            for piece in [item for item in scene.objects if item.furniture and item is not rug]:
                feet = layout._feet(piece)
                if piece.position[2] < 0.02 and len(feet):
                    covered = layout._lies_under(rug, feet)
                    assert covered.all() or not covered.any(), f"{piece.category} stands half on a rug"
                    assert piece.position[2] == pytest.approx(rug.bounds()[1][2] if covered.all() else 0.0)


def test_table_stands_on_top_of_a_rug_or_beside_it_but_not_on_its_edge() -> None:
    room = layout._Room(palette(), frozenset())
    rug = (
        ObjectModel("Rug").add(mesh.box(0.8, 0.7, 0.005), GREY, (0, 0, 0.005)).solid_box(0.8, 0.7, 0.005, (0, 0, 0.005))
    )
    table = ObjectModel("DiningTable").add(mesh.box(0.4, 0.3, 0.4), GREY, (0, 0, 0.4))
    table.solid_box(0.4, 0.3, 0.4, (0, 0, 0.4))
    assert room.try_fix(rug, 0, 0, 0) is not None
    assert room.try_fix(table, 0.6, 0, 0) is None
    beside, on_top = room.try_fix(table, 1.5, 0, 0), room.try_fix(table, 0.1, 0, 20)
    assert beside is not None
    assert on_top is not None
    assert beside.position[2] == 0
    assert on_top.position[2] == pytest.approx(0.01)


@pytest.mark.parametrize("across", [0, 1])
def test_solid_piece_is_not_put_into_the_wall(across: int) -> None:
    room = layout._Room(palette(), frozenset())
    model = room.build("OfficeChair")
    assert model is not None
    at = [0.0, 0.0]
    at[across] = room.half_size[across] - float(model.bounds()[1][across]) + 0.003
    assert room.try_fix(model, *at, 0) is None
    at[across] -= 0.004
    assert room.try_fix(model, *at, 0) is not None


def test_meshes_do_not_sink_into_the_floor(scenes: list[Scene]) -> None:
    """Colliders are boxes and cylinders, so a leaf or a fold may reach below the floor, but no body does."""
    lowest = np.array([item.bounds()[0][2] for scene in scenes for item in scene.objects])
    assert lowest.min() > -0.03
    assert (lowest < -0.006).mean() < 0.01


@pytest.mark.parametrize("category", sorted(SMALL_OBJECTS))
def test_small_object_stands_on_the_lowest_point_of_its_mesh(category: str) -> None:
    model = SMALL_OBJECTS[category](palette(1))
    low = model.bounds()[0][2]
    upright = model.placed(np.array([0, 0, 1e-4 - low]), np.eye(3), furniture=False)
    assert penetration([], [upright], ROOM)[0][0] < MOST, "its colliders reach below its mesh: it would float"
    sunk = 0.016 if category in YIELDING else 0.001
    lower = model.placed(np.array([0, 0, -sunk - low]), np.eye(3), furniture=False)
    assert penetration([], [lower], ROOM)[1][0], "its colliders end above its mesh: it would sink in"


def test_object_in_the_air_falls_to_the_floor() -> None:
    (resting,) = settle([], [block((0.1, 0.2, 0.4))], ROOM)
    assert resting.position == pytest.approx([0.1, 0.2, 0.05], abs=0.005)
    assert resting.position[2] == pytest.approx(0.05, abs=0.001)


def test_object_outside_the_room_is_taken_out() -> None:
    assert settle([], [block((3.0, 0, 0.1))], ROOM) == []


def test_objects_placed_inside_each_other_come_apart_or_are_taken_out() -> None:
    kept = settle([], [block((0, 0, 0.06)), block((0.02, 0.01, 0.07))], ROOM)
    assert kept
    assert (penetration([], kept, ROOM)[0] <= MOST).all()


def test_object_that_cannot_get_out_of_a_fixed_one_is_taken_out() -> None:
    shell = ObjectModel("Safe")
    for axis in range(3):
        for side in (-1, 1):
            half, at = np.full(3, 0.06), np.zeros(3)
            half[axis], at[axis] = 0.02, side * 0.06
            shell.add(mesh.box(*half), GREY, at).solid_box(*half, at)
    wall = shell.placed(np.array([0, 0, 0.5]), np.eye(3), furniture=True)
    assert settle([wall], [block((0, 0, 0.5))], ROOM) == []


def test_what_stood_on_an_object_that_was_taken_out_falls_instead_of_floating() -> None:
    support = block((0.97, 0, 0.05))  # half in the wall
    on_top = block((0.9, 0, 0.151))
    kept = settle([], [support, on_top], ROOM)
    depth, touching = penetration([], kept, ROOM)
    assert touching.all()
    assert (depth <= MOST).all()
    if len(kept) == 1:
        assert kept[0].position[2] < 0.1


@given(st.tuples(*[st.floats(-180, 180)] * 3))
@settings(max_examples=30)
def test_quaternions_give_back_their_rotation(angles: tuple[float, float, float]) -> None:
    turn = mesh.rotation("x", angles[0]) @ mesh.rotation("y", angles[1]) @ mesh.rotation("z", angles[2])
    np.testing.assert_allclose(rotation_from_quaternion(np.array(quaternion(turn))), turn, atol=1e-6)
