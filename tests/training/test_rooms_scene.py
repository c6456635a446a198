"""Solids, objects and scenes of the rooms simulator: closed and sound; same seed, same scene."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from any_texture import AnyTexture, palette
from hypothesis import given, settings
from hypothesis import strategies as st

from training.simulators.rooms import furniture, furniture_wall, mesh
from training.simulators.rooms.layout import build_scene
from training.simulators.rooms.objects_catalogue import SMALL_OBJECTS
from training.simulators.rooms.scene import Mesh, Scene, scene_seed

BUILDERS = SMALL_OBJECTS | furniture.BUILDERS | furniture_wall.BUILDERS


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
@settings(max_examples=30)
def test_placing_a_solid_keeps_it_closed_and_scales_its_volume(
    axis: str, degrees: float, scale: tuple[float, float, float], shift: tuple[float, float, float]
) -> None:
    solid = mesh.ellipsoid(0.1, 0.2, 0.15)
    placed = mesh.place(solid, shift, mesh.rotation(axis, degrees), scale)
    assert signed_volume(placed) == pytest.approx(signed_volume(solid) * np.prod(scale), rel=1e-2, abs=1e-5)
    np.testing.assert_allclose(np.linalg.norm(placed.normals, axis=1), 1, atol=1e-4)


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


def test_most_objects_have_several_parts() -> None:
    counts = [len(builder(palette()).parts) for builder in BUILDERS.values()]
    assert min(counts) >= 1
    assert np.mean([count >= 2 for count in counts]) > 0.9


def test_what_may_be_of_glass_shows_what_is_behind_it() -> None:
    def see_through(category: str) -> list[bool]:
        models = [BUILDERS[category](palette(seed)) for seed in range(30)]
        assert all(0 < part.material.alpha <= 1 for model in models for part in model.parts)
        return [any(part.material.alpha < 1 for part in model.parts) for model in models]

    assert all(see_through("WineGlass"))
    for category in ("Cup", "Bottle", "Jar", "Vase", "Bowl", "LightBulb", "SoapBottle"):
        assert set(see_through(category)) == {True, False}
    for category in ("Mug", "Book", "CellPhone"):
        assert not any(see_through(category))


def test_colors_and_roughness_stay_in_range() -> None:
    for builder in list(BUILDERS.values())[::5]:
        for part in builder(palette(3)).parts:
            row = part.material.row()
            assert (row[[0, 1, 2, 4, 5, 6, 8, 9]] >= 0).all()
            assert (row[[0, 1, 2, 4, 5, 6, 8, 9]] <= 1).all()


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
    assert len(kinds) >= 3
