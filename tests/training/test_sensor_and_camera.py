"""Sensor effects as pure functions, and cameras that stay inside the room and outside its objects."""

from __future__ import annotations

from dataclasses import replace

import hand_made_scene as hand
import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from training.simulators.rooms.camera import ROBOT_CAMERAS, View, ViewSampler, look_at, orbit
from training.simulators.rooms.renderer import GroundTruth
from training.simulators.rooms.scene import Focus
from training.simulators.rooms.sensor import (
    Sensor,
    add_noise,
    automatic_gain,
    darken_corners,
    develop,
    sample_sensor,
    smear,
    through_bayer,
    tone_curve,
)
from training.simulators.rooms.simulator import depth_millimetres, is_worth_learning

coordinate = st.floats(-3, 3)
point = st.tuples(coordinate, coordinate, coordinate)


@example(eye=(0.0, 0.0, 0.0), target=(1e-6, 0.0, 1.0), roll=0.0)  # all but straight up
@given(eye=point, target=point, roll=st.floats(-1, 1))
def test_camera_frame_is_right_handed_and_looks_at_its_target(
    eye: tuple[float, ...], target: tuple[float, ...], roll: float
) -> None:
    start, goal = np.array(eye), np.array(target)
    if np.linalg.norm(goal - start) < 1e-3:
        return
    rotation = look_at(start, goal, roll)
    np.testing.assert_allclose(rotation.T @ rotation, np.eye(3), atol=1e-9)
    assert np.linalg.det(rotation) == pytest.approx(1)
    np.testing.assert_allclose(rotation[:, 2], (goal - start) / np.linalg.norm(goal - start), atol=1e-9)


def test_upright_camera_has_gravity_along_its_y() -> None:
    np.testing.assert_allclose(look_at(np.zeros(3), np.array([0, 1.0, 0])).T @ [0, 0, -1], [0, 1, 0], atol=1e-12)


def test_camera_that_looks_at_itself_is_refused() -> None:
    with pytest.raises(ValueError, match="looks at itself"):
        look_at(np.ones(3), np.ones(3))


def test_intrinsics_give_the_field_of_view_between_the_outer_pixel_edges() -> None:
    view = View("room", np.zeros(3), np.eye(3), np.radians(60))
    camera = view.intrinsics(64, 48)
    assert (camera.cx, camera.cy) == (31.5, 23.5)
    assert 2 * np.degrees(np.arctan(24 / camera.fy)) == pytest.approx(60)


def test_sampled_cameras_are_inside_the_room_and_outside_objects() -> None:
    scene = hand.scene([hand.box_object((0, 0, 0.7), 0.7, furniture=True), hand.box_object((0.2, 0.1, 1.45), 0.05)])
    sampler = ViewSampler(scene, np.random.default_rng(0))
    views = [view for view in (sampler.sample() for _ in range(200)) if view is not None]
    assert len(views) == 200
    assert {view.kind for view in views} == {"room", "object", "furniture", "tabletop", "closeup"}
    for view in views:
        assert np.all(np.abs(view.eye[:2]) < hand.HALF)
        assert 0 < view.eye[2] < 2 * hand.HALF
        assert not np.all(np.abs(view.eye - [0, 0, 0.7]) < 0.75)


def test_empty_room_still_gives_room_views() -> None:
    view = ViewSampler(hand.scene([]), np.random.default_rng(0)).sample()
    assert view is not None
    assert view.kind == "room"


def test_shelf_is_looked_at_from_its_open_side() -> None:
    scene = hand.scene([hand.box_object((0, 1.8, 1.0), 0.1)])
    scene.focus = [Focus((0.0, 1.6, 1.0), (0.3, 0.1), 0.0, front=(0.0, -1.0))]
    sampler = ViewSampler(scene, np.random.default_rng(0))
    views = [sampler._focus_view(scene.focus[0]) for _ in range(50)]
    assert all(view.eye[1] < 1.6 for view in views)


def truth(instances: list[list[int]], depth: float = 1.0) -> GroundTruth:
    labels = np.repeat(np.repeat(np.array(instances, np.uint16), 8, 0), 8, 1)
    return GroundTruth(labels, labels, np.full(labels.shape, depth, np.float32))


ROOM_VIEW = View("room", np.zeros(3), np.eye(3), 1.0)
CLOSE_VIEW = View("closeup", np.zeros(3), np.eye(3), 1.0)
SIX_OBJECTS = [[0, 0, 1, 2], [0, 0, 3, 4], [0, 0, 5, 6]]
ONE_HUGE = [[1, 1, 1, 1], [1, 1, 1, 2], [0, 3, 4, 5]]


def test_view_with_enough_objects_is_kept() -> None:
    assert is_worth_learning(truth(SIX_OBJECTS), ROOM_VIEW, wanted=6)
    assert not is_worth_learning(truth(SIX_OBJECTS), ROOM_VIEW, wanted=7)


def test_view_too_near_to_something_is_dropped() -> None:
    assert not is_worth_learning(truth(SIX_OBJECTS, depth=0.1), ROOM_VIEW, wanted=3)


def test_one_object_may_fill_a_closeup_only() -> None:
    filled = [[1] * 4, [1] * 4, [1, 1, 2, 3]]
    assert is_worth_learning(truth(filled), CLOSE_VIEW, wanted=10)
    assert not is_worth_learning(truth(filled), ROOM_VIEW, wanted=2)


def test_a_table_may_fill_the_frame_behind_what_stands_on_it() -> None:
    table = [[1] * 4, [1, 2, 1, 3], [1, 1, 1, 1]]
    assert is_worth_learning(truth(table), replace(ROOM_VIEW, kind="tabletop"), wanted=3)
    assert not is_worth_learning(truth(table), ROOM_VIEW, wanted=3)


def test_view_out_of_the_room_is_dropped() -> None:
    seen = truth(SIX_OBJECTS)
    seen.depth[:8] = 0
    assert not is_worth_learning(seen, ROOM_VIEW, wanted=3)


def test_depth_is_whole_millimetres_and_too_far_is_unknown() -> None:
    np.testing.assert_array_equal(
        depth_millimetres(np.array([[0.0, 1.2344, 65.535, 70.0]], np.float32)), [[0, 1234, 65535, 0]]
    )


def test_exposure_brings_dark_and_bright_scenes_to_the_same_picture() -> None:
    scene = np.random.default_rng(0).uniform(0.2, 1, (16, 16, 3)).astype(np.float32)
    rng = np.random.default_rng(0)
    dark, bright = develop(scene * 0.7, Sensor(), rng), develop(scene * 2.0, Sensor(), rng)
    assert np.abs(dark.astype(int) - bright).mean() < 20


def test_gain_is_limited_in_the_dark() -> None:
    assert automatic_gain(np.zeros((4, 4, 3), np.float32)) == pytest.approx(6.0)


@pytest.mark.parametrize("filmic", [True, False])
def test_tone_curve_rises_from_black_to_white(filmic: bool) -> None:
    ramp = tone_curve(np.linspace(0, 60, 500, dtype=np.float32), filmic)
    assert ramp[0] == 0
    assert ramp[-1] == 1
    assert np.all(np.diff(ramp) >= 0)


def test_vignette_spares_the_centre() -> None:
    dimmed = darken_corners(np.ones((9, 9, 3), np.float32), 0.4)
    assert dimmed[4, 4, 0] == pytest.approx(1)
    assert dimmed[0, 0, 0] == pytest.approx(0.6)


@given(dx=st.floats(-8, 8), dy=st.floats(-8, 8))
def test_motion_blur_keeps_flat_light(dx: float, dy: float) -> None:
    flat = np.full((32, 32, 3), 0.5, np.float32)
    np.testing.assert_allclose(smear(flat, dx, dy), flat, atol=1e-5)


def test_noise_grows_with_light() -> None:
    rng = np.random.default_rng(0)
    dark = add_noise(np.full((64, 64, 3), 0.01, np.float32), 0.004, 0.0, rng)
    bright = add_noise(np.full((64, 64, 3), 1.0, np.float32), 0.004, 0.0, rng)
    assert bright.std() == pytest.approx(10 * dark.std(), rel=0.1)


@pytest.mark.parametrize("demosaic", ["bilinear", "edges"])
@pytest.mark.parametrize("color", [(1.0, 0.1, 0.1), (0.1, 1.0, 0.1), (0.1, 0.1, 1.0), (0.2, 0.5, 2.0)])
def test_bayer_sensor_keeps_flat_colours(demosaic: str, color: tuple[float, float, float]) -> None:
    flat = np.full((12, 16, 3), color, np.float32)
    np.testing.assert_allclose(through_bayer(flat, demosaic), flat, atol=1e-3)


def test_bayer_sensor_fringes_edges_with_colour() -> None:
    stripes = np.zeros((16, 16, 3), np.float32)
    stripes[:, ::2] = 1.0  # grey light, as fine as the filter
    seen = through_bayer(stripes, "bilinear")
    assert np.ptp(seen, axis=2).max() > 0.3
    assert np.ptp(stripes, axis=2).max() == 0


def test_bayer_sensor_takes_pictures_of_odd_size() -> None:
    assert through_bayer(np.full((7, 9, 3), 0.5, np.float32), "edges").shape == (7, 9, 3)


def test_half_of_the_views_have_the_field_of_view_of_a_robot_camera() -> None:
    scene = hand.scene([hand.box_object((0, 0, 0.7), 0.3, furniture=True), hand.box_object((0.2, 0.1, 1.05), 0.05)])
    sampler = ViewSampler(scene, np.random.default_rng(0))
    views = [view for view in (sampler.sample() for _ in range(300)) if view is not None and view.kind != "closeup"]
    degrees = np.degrees([view.vertical_fov for view in views])
    known = np.array(list(ROBOT_CAMERAS.values()))
    near = np.abs(degrees[:, None] / known - 1).min(axis=1) < 0.03
    assert 0.4 < near.mean() < 0.9


def test_realsense_has_the_focal_length_of_its_data_sheet() -> None:
    view = View("tabletop", np.zeros(3), np.eye(3), np.radians(ROBOT_CAMERAS["RealSense D435, 640x480"]))
    assert view.intrinsics(640, 480).fx == pytest.approx(615, rel=0.02)


def test_sampled_sensors_use_every_effect() -> None:
    rng = np.random.default_rng(0)
    sensors = [sample_sensor(rng) for _ in range(80)]
    clean = Sensor()
    for name in vars(clean):
        assert len({getattr(sensor, name) for sensor in sensors}) > 1, name


def test_sampled_sensors_differ_and_develop_every_kind_of_light() -> None:
    rng = np.random.default_rng(0)
    light = np.zeros((24, 32, 3), np.float32)
    light[8:, 8:] = 60
    sensors = [sample_sensor(rng) for _ in range(40)]
    assert len(set(sensors)) == 40
    for sensor in sensors:
        picture = develop(light, sensor, rng)
        assert picture.dtype == np.uint8
        assert picture.shape == light.shape
        assert picture[16:, 16:].mean() > picture[:4, :4].mean()


def test_an_orbit_keeps_its_target_in_the_middle_and_its_distance():
    target = np.array([0.3, -0.2, 0.8])
    view = View("tabletop", np.array([1.5, 0.4, 1.6]), look_at(np.array([1.5, 0.4, 1.6]), target), 1.0)
    around = orbit(view, target, np.radians(25))
    in_camera = around.rotation.T @ (target - around.eye)
    np.testing.assert_allclose(in_camera, [0, 0, np.linalg.norm(view.eye - target)], atol=1e-9)
    assert around.eye[2] == view.eye[2]
    np.testing.assert_allclose(orbit(around, target, -np.radians(25)).eye, view.eye)
