"""Objects and cameras that move far from one frame to the next: what a tracker on a slow computer sees."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from saom_ros.camera_motion import camera_motion
from saom_ros.tracker import Tracker, _mask_iou, _Sight
from tests.robot.test_tracker import id_at, instances_of, scene, track

SHAPE = (240, 320)
SIZE = (320, 240)


def picture(*squares, side=24):
    return scene(*squares, side=side, shape=SHAPE)


def names(instances, reference):
    """Ids of the objects in the order of the labels that the hand-made picture gave them."""
    return [id_at(instances, *np.argwhere(reference.label_map == k)[0]) for k in reference.ids]


def assert_ids_last(frames, **kwargs):
    """Every label of the hand-made pictures has one id, and no two labels the same."""
    id_of = {}
    for frame, result in zip(frames, track(Tracker(), frames, **kwargs), strict=True):
        for label, given_id in zip(frame.ids.tolist(), names(result, frame), strict=True):
            assert id_of.setdefault(label, given_id) == given_id
    assert len(set(id_of.values())) == len(id_of)


def test_two_equal_objects_side_by_side_do_not_swap():
    steps = [0, 7, 14, 21, 28, 21, 14, 7]  # more than half of their width apart from step to step in both directions
    assert_ids_last([picture((1, 100, 60 + 2 * s), (2, 100, 85 + 2 * s)) for s in steps])


def test_two_equal_objects_side_by_side_do_not_swap_when_one_is_missed():
    left, right = (1, 100, 60), (2, 100, 85)
    assert_ids_last([picture(left, right), picture(left), picture(left, right), picture(right), picture(left, right)])


def test_an_object_thrown_through_the_picture_keeps_its_id():
    standing = [(1, 180, 20), (2, 180, 120), (3, 180, 220), (4, 180, 280)]
    assert_ids_last([picture(*standing, (5, 40, x)) for x in range(0, 290, 36)])


def test_objects_that_cross_keep_their_ids():
    # Object 1 passes in front of object 2, which comes the other way and is hidden in between.
    assert_ids_last([picture((2, 100, 200 - x), (1, 102, x), side=24) for x in range(60, 145, 6)])


@pytest.mark.parametrize("pan", [12, 24])
def test_ids_last_while_the_camera_pans_by_half_or_all_of_their_width(pan):
    places = [(1, 30, 40), (2, 40, 75), (3, 100, 50), (4, 110, 110), (5, 170, 60), (6, 180, 160)]
    frames = [picture(*((k, y, x + pan * step) for k, y, x in places)) for step in range(4)]
    assert_ids_last(frames)


def test_an_object_hidden_during_a_pan_comes_back_with_its_id():
    # In place of object 2 as seen last stands its twin, object 3, when it comes back 60 px further.
    places = {1: (30, 20), 2: (100, 100), 3: (100, 40), 4: (180, 30), 5: (180, 90), 6: (30, 90)}
    frames = [
        picture(*((k, y, x + 20 * step) for k, (y, x) in places.items() if k != 2 or step not in (1, 2)))
        for step in range(4)
    ]
    assert_ids_last(frames)


def test_a_small_object_a_size_away_keeps_its_id_though_nothing_overlaps():
    assert_ids_last([scene((1, 100, 100 + 9 * k), (2, 30, 30), side=6, shape=SHAPE) for k in range(5)])


def test_a_much_smaller_object_nearby_is_another():
    first, second = np.zeros((2, *SHAPE), np.uint16)
    first[50:70, 50:70], second[55:65, 70:80] = 1, 1
    results = track(Tracker(), [instances_of(first), instances_of(second)])
    assert [result.ids.tolist() for result in results] == [[1], [2]]


def test_a_full_picture_of_other_objects_is_a_scene_cut_though_something_is_always_near():
    rooms = [
        picture(*((k + 1, 60 * (k // 4) + 3 * (k % 3), 80 * (k % 4) + 5 * (k % 2)) for k in range(16))),
        picture(*((k + 1, 80 * (k // 5) + 34 - 4 * (k % 2), 62 * (k % 5) + 36 - 9 * (k % 3)) for k in range(15))),
    ]
    tracker = Tracker()
    results = track(tracker, rooms)
    assert tracker.reset_reason is not None
    assert tracker.reset_reason.startswith("scene cut: ")
    assert results[-1].ids.min() > results[0].ids.max()


points = st.lists(st.tuples(st.floats(0, 320), st.floats(0, 240)), min_size=6, max_size=12, unique=True).map(np.array)


@settings(max_examples=50)
@given(points, st.floats(-80, 80), st.floats(-80, 80))
def test_a_common_shift_is_found_exactly(before, dx, dy):
    moved = camera_motion(before, before + np.array([dx, dy]), SIZE, at=before)
    assert moved == pytest.approx(np.tile([dx, dy], (len(before), 1)), abs=1e-6)


def lattice():
    return np.array([(x, y) for x in (20.0, 110.0, 200.0, 290.0) for y in (20.0, 120.0, 220.0)])


def test_near_objects_may_move_further_than_those_far_away():
    before = lattice()
    after = before + np.column_stack([10 + before[:, 1] / 6, np.zeros(12)])
    assert np.abs(before + camera_motion(before, after, SIZE, at=before) - after).max() < 1


def test_objects_that_move_by_themselves_do_not_count():
    before = lattice()
    after = before + np.array([15, -5])
    after[[0, 5, 9]] += [(60, 40), (-70, 0), (0, 90)]
    assert np.abs(camera_motion(before, after, SIZE, at=before) - (15, -5)).max() < 2


def test_two_objects_tell_nothing_of_the_camera():
    before = lattice()[:2]
    assert not camera_motion(before, before + 30, SIZE, at=before).any()


def moved(mask, right, down):
    """A boolean mask shifted by whole pixels; what leaves the picture is cut off."""
    padded = np.pad(mask, ((200, 200), (200, 200)))
    return np.roll(padded, (down, right), (0, 1))[200:-200, 200:-200]


@settings(max_examples=40)
@given(st.integers(0, 2**32 - 1), st.sampled_from([0, 3, 40, 150]))
def test_overlaps_are_those_of_shifted_masks(seed, reach):
    generator = np.random.default_rng(seed)
    shape = tuple(generator.integers(1, 40, 2).tolist())
    before, after = (instances_of(generator.integers(0, 4, shape)) for _ in range(2))
    shift = generator.integers(-reach, reach + 1, (len(before), 2)).astype(float)
    if not (len(before) and len(after)):
        return
    iou = _mask_iou(_Sight.of(before).masks, _Sight.of(after).masks, shift, shape)
    for k, (right, down) in enumerate(shift.astype(int).tolist()):
        a = moved(before.label_map == before.ids[k], right, down)
        for j in range(len(after)):
            b = after.label_map == after.ids[j]
            assert iou[k, j] == pytest.approx((a & b).sum() / max((a | b).sum(), 1))
