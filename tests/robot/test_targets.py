"""The one object asked for: picked once, followed by its id, never exchanged for another without a new request."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from saom_ros.clouds import Intrinsics
from saom_ros.errors import SaomError
from saom_ros.instances import Instances
from saom_ros.targets import SNAP_PIXELS, Target, TargetStatus, object_at

CAMERA = Intrinsics(fx=10.0, fy=10.0, cx=10.0, cy=6.0)
SECOND = 10**9


def instances_of(label_map) -> Instances:
    label_map = np.asarray(label_map, np.uint16)
    found = Instances.empty(*label_map.shape)
    found.label_map = label_map
    found.ids = np.unique(label_map[label_map > 0]).astype(np.int32)
    return found


def two_objects() -> np.ndarray:
    """Object 3 in the columns 0..5, object 8 in the columns 14..19, background between them."""
    labels = np.zeros((12, 20), np.uint16)
    labels[:, :6], labels[:, 14:] = 3, 8
    return labels


@pytest.fixture
def target() -> Target:
    return Target()


def test_without_a_request_there_is_no_target(target):
    found = instances_of(two_objects())
    assert target.update(found, 0).status is TargetStatus.NONE
    assert not target.mask(found).any()


def test_the_object_under_the_pixel_is_picked_in_the_next_label_map(target):
    target.ask_pixel(15, 5)
    assert target.state.status is TargetStatus.WAITING
    found = instances_of(two_objects())
    assert str(target.update(found, 0)) == "following object 8"
    mask = target.mask(found)
    assert mask.dtype == np.uint8
    assert mask.tolist() == np.where(two_objects() == 8, 255, 0).tolist()


def test_the_object_at_a_point_is_the_one_that_the_camera_sees_there(target):
    target.ask_point(-0.9, 0.2, 1.0)  # pixel (1, 8)
    assert target.update(instances_of(two_objects()), 0, CAMERA).object_id == 3


def test_the_target_is_followed_by_its_id_wherever_it_goes(target):
    target.ask_pixel(2, 2)
    target.update(instances_of(two_objects()), 0)
    elsewhere = instances_of(two_objects()[:, ::-1])
    assert target.update(elsewhere, SECOND).object_id == 3
    assert np.array_equal(target.mask(elsewhere) == 255, elsewhere.label_map == 3)


def test_a_lost_target_gives_an_empty_mask_and_says_since_when(target):
    target.ask_pixel(15, 5)
    target.update(instances_of(two_objects()), SECOND)
    without = instances_of(np.where(two_objects() == 8, 0, two_objects()))
    assert str(target.update(without, 2 * SECOND)) == "lost object 8 since stamp 2.000 s"
    assert target.update(without, 3 * SECOND).lost_since == 2 * SECOND
    assert not target.mask(without).any()


def test_a_lost_target_is_followed_again_when_its_id_comes_back(target):
    target.ask_pixel(15, 5)
    found = instances_of(two_objects())
    target.update(found, 0)
    target.update(Instances.empty(12, 20), SECOND)
    assert target.update(found, 2 * SECOND).status is TargetStatus.FOLLOWING
    assert target.mask(found).any()


def test_a_new_request_replaces_the_target(target):
    found = instances_of(two_objects())
    target.ask_pixel(15, 5)
    target.update(found, 0)
    target.ask_pixel(1, 1)
    assert not target.mask(found).any()
    assert target.update(found, 0).object_id == 3


def test_of_two_requests_before_an_image_the_newer_counts(target):
    target.ask_pixel(15, 5)
    target.ask_pixel(1, 1)
    assert target.update(instances_of(two_objects()), 0).object_id == 3


def test_a_refused_request_ends_the_target_before_it(target):
    found = instances_of(two_objects())
    target.ask_pixel(15, 5)
    target.update(found, 0)
    target.ask_pixel(10, 5)
    assert target.update(found, SECOND).status is TargetStatus.REFUSED
    assert not target.mask(found).any()
    assert target.update(found, 2 * SECOND).status is TargetStatus.REFUSED


def test_a_request_is_not_kept_for_later_images(target):
    target.ask_pixel(15, 5)
    target.update(Instances.empty(12, 20), 0)
    assert target.update(instances_of(two_objects()), SECOND).status is TargetStatus.REFUSED


@pytest.mark.parametrize(
    ("ask", "intrinsics", "reason"),
    [
        (lambda target: target.ask_pixel(10, 5), None, "no object at pixel (10, 5) or within 3 pixels"),
        (lambda target: target.ask_pixel(20, 5), None, "(20, 5) lies outside the 20x12 image; x is 0..19"),
        (lambda target: target.ask_pixel(3, -1), None, "outside the 20x12 image"),
        (lambda target: target.ask_pixel(float("nan"), 0), None, "outside the 20x12 image"),
        (lambda target: target.ask_pixel(0, float("inf")), None, "outside the 20x12 image"),
        (lambda target: target.ask_pixel(1e300, 0.25), None, "(1e+300, 0.25) lies outside"),
        (lambda target: target.ask_point(0, 0, -1), CAMERA, "behind the camera"),
        (lambda target: target.ask_point(9, 0, 1), CAMERA, "(100, 6) lies outside the 20x12 image"),
        (lambda target: target.ask_point(0, 0, 1), None, "needs the camera's intrinsics; publish camera_info"),
        (lambda target: target.ask_point(1e300, 0, 1e-300), CAMERA, "outside the 20x12 image"),
    ],
)
def test_what_cannot_be_picked_is_refused_with_a_reason(target, ask, intrinsics, reason):
    ask(target)
    state = target.update(instances_of(two_objects()), 0, intrinsics)
    assert state.status is TargetStatus.REFUSED
    assert reason in str(state)


def test_the_node_can_end_the_target_with_a_reason(target):
    found = instances_of(two_objects())
    target.ask_pixel(15, 5)
    target.update(found, 0)
    target.refuse("time jumped backwards")
    assert str(target.update(found, 0)) == "target refused: time jumped backwards"
    assert not target.mask(found).any()


@pytest.mark.parametrize(("x", "expected"), [(-0.5, 3), (5.4, 3), (13.5, 8), (19.4, 8)])
def test_whole_numbers_are_the_centres_of_pixels(x, expected):
    assert object_at(two_objects(), x, 0) == expected


@pytest.mark.parametrize(("x", "expected"), [(6, 3), (5 + SNAP_PIXELS, 3), (14 - SNAP_PIXELS, 8), (13, 8)])
def test_just_beside_an_object_the_object_is_meant(x, expected):
    assert object_at(two_objects(), x, 5) == expected


def test_the_nearest_object_counts_even_against_the_larger():
    labels = np.zeros((9, 9), np.uint16)
    labels[:, :3], labels[4, 6] = 1, 9
    assert object_at(labels, 5, 4) == 9


def test_of_equally_near_objects_the_smaller_id_counts():
    labels = np.zeros((5, 5), np.uint16)
    labels[2, 0], labels[2, 4] = 6, 4
    assert object_at(labels, 2, 2) == 4


@settings(max_examples=50)
@given(seed=st.integers(0, 999), column=st.integers(0, 8), row=st.integers(0, 6))
def test_no_nearer_object_is_passed_over(seed, column, row):
    random = np.random.default_rng(seed)
    labels = (random.integers(1, 5, (7, 9)) * (random.random((7, 9)) < 0.06)).astype(np.uint16)
    distances = {
        int(labels[y, x]): min(np.hypot(x - column, y - row) for y, x in np.argwhere(labels == labels[y, x]))
        for y, x in np.argwhere(labels)
    }
    near = {k: d for k, d in distances.items() if d <= SNAP_PIXELS}
    if not near:
        with pytest.raises(SaomError, match="no object"):
            object_at(labels, column, row)
    else:
        assert object_at(labels, column, row) == min(near, key=lambda k: (near[k], k))
