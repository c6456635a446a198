"""Scenes of the rooms simulator: same seed, same scene; every class occurs; everything stands on something."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from training.simulators.rooms import furniture, furniture_wall, mesh
from training.simulators.rooms.layout import ALL_CATEGORIES, build_scene
from training.simulators.rooms.materials import Palette
from training.simulators.rooms.objects_catalogue import SMALL_OBJECTS, THEMES
from training.simulators.rooms.scene import Mesh, Scene, SceneError, SceneObject, scene_seed
from training.simulators.rooms.settle import penetration, quaternion, rotation_from_quaternion, settle

CLASSES = yaml.safe_load((Path(__file__).parents[2] / "training" / "classes.yaml").read_text())
BUILDERS = SMALL_OBJECTS | furniture.BUILDERS | furniture_wall.BUILDERS
SCENES = 20


class AnyTexture(dict):
    """A texture bank that has one layer of every kind asked for."""

    def __missing__(self, kind: str) -> list[int]:
        self[kind] = [len(self)]
        return self[kind]


def palette(seed: int = 0) -> Palette:
    return Palette(np.random.default_rng(seed), AnyTexture())


@pytest.fixture(scope="module")
def scenes() -> list[Scene]:
    built = []
    for index in range(SCENES):
        try:
            built.append(build_scene(scene_seed("train", 5, index), AnyTexture()))
        except SceneError:
            continue
    return built


def signed_volume(solid: Mesh) -> float:
    corners = solid.vertices.astype(np.float64)[solid.faces]
    return float(np.einsum("ij,ij->i", corners[:, 0], np.cross(corners[:, 1], corners[:, 2])).sum() / 6)


def share_of_faces_along_their_normals(solid: Mesh) -> float:
    corners = solid.vertices.astype(np.float64)[solid.faces]
    across = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    solid_faces = np.linalg.norm(across, axis=1) > 1e-12
    mean_normals = solid.normals[solid.faces].mean(axis=1)
    return float(((across * mean_normals).sum(axis=1)[solid_faces] > 0).mean())


# Meshes


@pytest.mark.parametrize(
    ("solid", "volume"),
    [
        (mesh.box(0.1, 0.2, 0.3, bevel=0.0001), 0.048),
        (mesh.cylinder(0.1, 0.0, 0.2, segments=200), np.pi * 0.01 * 0.2),
        (mesh.ellipsoid(0.1, 0.2, 0.3, around=120, along=80), 4 / 3 * np.pi * 0.006),
        (mesh.ring(0.2, 0.05, segments=120, sides=60), 2 * np.pi**2 * 0.2 * 0.05**2),
        (mesh.tube([(0, 0, 0), (0.5, 0, 0), (1, 0, 0)], 0.1, sides=100), np.pi * 0.01),
        (mesh.prism([(0, 0), (1, 0), (1, 1), (0, 1)], 0.0, 0.5), 0.5),
        (mesh.sheet(np.zeros((4, 5)), 0.5, 0.5, thickness=0.01), 0.01),
        (mesh.lathe([(0, 0), (0.1, 0), (0.1, 0.2), (0.05, 0.2), (0.05, 0.1), (0, 0.1)], 200), np.pi * 0.00175),
    ],
    ids=["box", "cylinder", "ellipsoid", "ring", "tube", "prism", "sheet", "cup"],
)
def test_closed_solids_face_outwards_and_enclose_their_volume(solid: Mesh, volume: float) -> None:
    assert signed_volume(solid) == pytest.approx(volume, rel=0.02)
    assert share_of_faces_along_their_normals(solid) == 1.0


@given(
    axis=st.sampled_from("xyz"),
    degrees=st.floats(-360, 360),
    scale=st.tuples(*[st.floats(0.2, 3.0)] * 3),
    shift=st.tuples(*[st.floats(-2, 2)] * 3),
)
@settings(max_examples=30, deadline=None)
def test_placing_a_solid_keeps_it_closed_and_scales_its_volume(
    axis: str, degrees: float, scale: tuple[float, float, float], shift: tuple[float, float, float]
) -> None:
    solid = mesh.ellipsoid(0.1, 0.2, 0.15)
    placed = mesh.place(solid, shift, mesh.rotation(axis, degrees), scale)
    assert signed_volume(placed) == pytest.approx(signed_volume(solid) * np.prod(scale), rel=1e-2, abs=1e-5)
    np.testing.assert_allclose(np.linalg.norm(placed.normals, axis=1), 1, atol=1e-4)


@given(st.tuples(*[st.floats(-180, 180)] * 3))
@settings(max_examples=30, deadline=None)
def test_quaternions_give_back_their_rotation(angles: tuple[float, float, float]) -> None:
    turn = mesh.rotation("x", angles[0]) @ mesh.rotation("y", angles[1]) @ mesh.rotation("z", angles[2])
    np.testing.assert_allclose(rotation_from_quaternion(np.array(quaternion(turn))), turn, atol=1e-6)


# Objects


@pytest.mark.parametrize("category", sorted(BUILDERS))
def test_an_object_is_sound(category: str) -> None:
    for seed in range(3):
        model = BUILDERS[category](palette(seed))
        assert model.category == category
        for part in model.parts:
            solid = part.mesh
            assert solid.faces.min() >= 0
            assert solid.faces.max() < len(solid.vertices) == len(solid.normals) == len(solid.uvs)
            assert all(np.isfinite(array).all() for array in (solid.vertices, solid.normals, solid.uvs))
            np.testing.assert_allclose(np.linalg.norm(solid.normals, axis=1), 1, atol=1e-3)
            assert share_of_faces_along_their_normals(solid) > 0.9
            assert part.material.row().shape == (16,)


@pytest.mark.parametrize("category", sorted(SMALL_OBJECTS))
def test_a_small_object_stands_on_its_colliders(category: str) -> None:
    model = SMALL_OBJECTS[category](palette(1))
    alone = SceneObject(category, model.parts, np.array([0, 0, 0.001]), np.eye(3), False, colliders=model.colliders)
    depth, _ = penetration([], [alone], (1.0, 1.0, 2.0))
    assert depth[0] < 0.006
    sunk = SceneObject(category, model.parts, np.array([0, 0, -0.013]), np.eye(3), False, colliders=model.colliders)
    assert penetration([], [sunk], (1.0, 1.0, 2.0))[1][0], "the lowest collider lies more than 13 mm above the mesh"


def test_most_objects_have_several_parts() -> None:
    counts = [len(builder(palette()).parts) for builder in BUILDERS.values()]
    assert min(counts) >= 1
    assert np.mean([count >= 2 for count in counts]) > 0.9


def test_colors_and_roughness_stay_in_range() -> None:
    for builder in list(BUILDERS.values())[::5]:
        for part in builder(palette(3)).parts:
            row = part.material.row()
            assert (row[[0, 1, 2, 4, 5, 6, 8, 9]] >= 0).all()
            assert (row[[0, 1, 2, 4, 5, 6, 8, 9]] <= 1).all()


# Classes


def test_every_class_that_can_be_placed_is_listed_once() -> None:
    assert set(ALL_CATEGORIES) <= set(CLASSES["classes"])
    assert len(set(CLASSES["classes"])) == len(CLASSES["classes"])


def test_held_out_classes_can_be_placed() -> None:
    assert 4 <= len(CLASSES["held_out_classes"]) <= 6
    assert set(CLASSES["held_out_classes"]) <= set(ALL_CATEGORIES)


def test_themes_name_existing_objects_and_reach_all_of_them() -> None:
    named = {name for theme in THEMES.values() for name in theme}
    assert named <= set(SMALL_OBJECTS)
    assert set(SMALL_OBJECTS) <= named


def test_scenes_show_furniture_and_objects_of_every_sort(scenes: list[Scene]) -> None:
    seen = Counter(item.category for scene in scenes for item in scene.objects)
    for required in (
        "Chair",
        "Cabinet",
        "Shelf",
        "DiningTable",
        "Sofa",
        "Bed",
        "Window",
        "Curtains",
        "Door",
        "Rug",
        "Painting",
    ):
        assert seen[required], f"no {required} in {len(scenes)} scenes: placement may be broken"
    assert len(seen) > 0.7 * len(ALL_CATEGORIES)
    assert seen.most_common(1)[0][1] < 0.12 * sum(seen.values()), f"{seen.most_common(1)} dominate"


def test_excluded_classes_never_occur() -> None:
    exclude = frozenset(CLASSES["held_out_classes"]) | {"Book", "Chair", "Bowl"}
    for index in range(3):
        scene = build_scene(scene_seed("train", 6, index), AnyTexture(), exclude)
        assert not exclude & {item.category for item in scene.objects}


# Scenes


def test_the_same_seed_gives_the_same_scene() -> None:
    first, second = (build_scene(scene_seed("val", 3, 7), AnyTexture()) for _ in range(2))
    assert [item.category for item in first.objects] == [item.category for item in second.objects]
    for one, other in zip(first.objects, second.objects, strict=True):
        np.testing.assert_array_equal(one.position, other.position)
        np.testing.assert_array_equal(one.rotation, other.rotation)
        assert [part.material for part in one.parts] == [part.material for part in other.parts]
        for part, same in zip(one.parts, other.parts, strict=True):
            np.testing.assert_array_equal(part.mesh.vertices, same.mesh.vertices)


def test_splits_never_share_a_seed() -> None:
    states = {
        tuple(scene_seed(split, seed, index).generate_state(4))
        for split in ("train", "val", "test")
        for seed in range(4)
        for index in range(4)
    }
    assert len(states) == 3 * 4 * 4


@pytest.mark.parametrize("arguments", [("training", 0, 0), ("train", -1, 0), ("train", 0, -1)])
def test_a_wrong_split_or_number_is_refused(arguments: tuple[str, int, int]) -> None:
    with pytest.raises(ValueError, match=r"training|negative"):
        scene_seed(*arguments)


def test_small_objects_rest_on_something_and_do_not_interpenetrate(scenes: list[Scene]) -> None:
    depths = []
    for scene in scenes:
        fixed = [item for item in scene.objects if item.furniture]
        loose = [item for item in scene.objects if not item.furniture]
        depth, touching = penetration(fixed, loose, scene.half_size)
        assert touching.all()
        depths.append(depth)
    assert np.quantile(np.concatenate(depths), 0.99) < 0.001
    assert np.concatenate(depths).max() < 0.004


def test_furniture_stays_inside_the_room(scenes: list[Scene]) -> None:
    for scene in scenes:
        limit = np.array(scene.half_size[:2]) + 0.06
        for item in scene.objects:
            low, high = item.bounds()
            assert (-limit < low[:2]).all(), item.category
            assert (high[:2] < limit).all(), item.category


def test_places_of_interest_carry_objects(scenes: list[Scene]) -> None:
    tabletops = [scene for scene in scenes if scene.kind == "tabletop"]
    assert tabletops
    for scene in tabletops:
        positions = np.array([item.position for item in scene.objects if not item.furniture])
        centers = np.array([focus.center for focus in scene.focus])
        nearest = np.linalg.norm(positions[:, None] - centers[None], axis=2).min()
        assert nearest < 0.6


def test_both_rooms_and_tabletops_are_made(scenes: list[Scene]) -> None:
    kinds = Counter(scene.kind for scene in scenes)
    assert kinds["tabletop"] >= 3
    assert len(kinds) >= 4


def test_an_object_in_the_air_falls_to_the_floor() -> None:
    model = SMALL_OBJECTS["Can"](palette())
    can = SceneObject("Can", model.parts, np.array([0.1, 0.2, 0.4]), np.eye(3), False, colliders=model.colliders)
    (resting,) = settle([], [can], (1.0, 1.0, 2.0))
    assert resting.position[2] == pytest.approx(0, abs=0.001)
    assert resting.position[:2] == pytest.approx([0.1, 0.2], abs=0.01)


def test_an_object_outside_the_room_is_taken_out() -> None:
    model = SMALL_OBJECTS["Can"](palette())
    can = SceneObject("Can", model.parts, np.array([3.0, 0, 0.1]), np.eye(3), False, colliders=model.colliders)
    assert settle([], [can], (1.0, 1.0, 2.0)) == []
