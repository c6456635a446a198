import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from saom_ros.errors import SaomError
from saom_ros.instances import Instances
from saom_ros.tracker import Tracker

HEIGHT, WIDTH = 60, 80
SECOND = 1_000_000_000
FRAME = SECOND // 30
START = 1_700_000_000 * SECOND


def instances_of(label_map, ids=None):
    """Instances whose other columns tell which row they belong to: score and class are made from the row's id."""
    label_map = np.asarray(label_map, np.uint16)
    ids = np.unique(label_map[label_map > 0]) if ids is None else ids
    ids = np.asarray(ids, np.int32)
    return Instances(
        label_map=label_map,
        ids=ids,
        scores=(ids / 100).astype(np.float32),
        boxes=np.array([box_of(label_map == k) for k in ids], np.float32).reshape(-1, 4),
        class_ids=ids + 1000,
        areas=np.array([np.count_nonzero(label_map == k) for k in ids], np.int64),
    )


def box_of(mask):
    if not mask.any():
        return (0, 0, 0, 0)
    y, x = np.nonzero(mask)
    return (x.min(), y.min(), x.max() + 1, y.max() + 1)


def scene(*squares, side=12, shape=(HEIGHT, WIDTH)):
    """Squares (label, y, x of the upper left corner); later ones lie in front."""
    label_map = np.zeros(shape, np.uint16)
    for label, y, x in squares:
        label_map[y : y + side, x : x + side] = label
    return instances_of(label_map)


def track(tracker, frames, start=START, period=FRAME):
    """Feed frames at an equal pace; returns the outputs."""
    return [tracker.update(frame, start + k * period) for k, frame in enumerate(frames)]


def id_at(instances, y, x):
    return int(instances.label_map[y, x])


EMPTY = Instances.empty(HEIGHT, WIDTH)
PAIR = scene((1, 10, 10), (2, 10, 40))
ROOM = scene((1, 5, 5), (2, 5, 25), (3, 5, 45), (4, 25, 5), (5, 25, 25))
OTHER_ROOM = scene((1, 44, 8), (2, 44, 28), (3, 44, 48), (4, 44, 64), (5, 25, 62))


def test_ids_begin_at_1_in_the_order_of_the_rows():
    result = Tracker().update(instances_of(ROOM.label_map, ids=[3, 1, 5, 2, 4]), START)
    assert result.ids.tolist() == [1, 2, 3, 4, 5]
    assert id_at(result, 5, 45) == 1


def test_ids_stay_when_objects_move_a_little_and_change_their_order():
    first, second = track(Tracker(), [PAIR, scene((2, 12, 13), (1, 12, 37))])
    assert id_at(second, 18, 20) == id_at(first, 15, 15)
    assert id_at(second, 18, 40) == id_at(first, 15, 45)


def test_an_object_that_enters_gets_an_id_of_its_own():
    _, second = track(Tracker(), [PAIR, scene((1, 40, 30), (2, 10, 10), (3, 10, 40))])
    assert (id_at(second, 45, 35), id_at(second, 15, 15), id_at(second, 15, 45)) == (3, 1, 2)


def test_crossing_objects_keep_their_ids_by_their_masks():
    # A post stands in front of a bar that passes behind it: their boxes overlap widely, their masks never do.
    def crossing(x):
        label_map = np.zeros((HEIGHT, WIDTH), np.uint16)
        label_map[20:40, x : x + 30] = 1
        label_map[5:55, 38:44] = 2
        return instances_of(label_map)

    results = track(Tracker(), [crossing(x) for x in range(4, 46, 3)])
    assert {id_at(result, 10, 40) for result in results} == {2}
    assert all(result.ids.tolist() == [1, 2] for result in results)


def test_the_best_assignment_overall_wins_over_the_best_single_pair():
    # The old left object overlaps both new ones, the old right one only the new left one.
    before, after = np.zeros((2, 1, 40), np.uint16)
    before[0, 0:10], before[0, 10:22] = 1, 2
    after[0, 0:9], after[0, 9:22] = 2, 1
    first, second = track(Tracker(), [instances_of(before), instances_of(after)])
    assert (id_at(second, 0, 4), id_at(second, 0, 15)) == (id_at(first, 0, 4), id_at(first, 0, 15))


def test_an_object_in_two_pieces_for_a_frame_keeps_its_id_afterwards():
    whole, pieces, whole_again = np.zeros((3, 1, 20), np.uint16)
    whole[0, :20] = 1
    pieces[0, :11], pieces[0, 11:] = 1, 2
    whole_again[0, 3:20] = 1  # overlaps the smaller piece more than the larger one, which has the id
    results = track(Tracker(), [instances_of(m) for m in (whole, pieces, whole_again)])
    assert [id_at(result, 0, 5) for result in results] == [1, 1, 1]
    assert id_at(results[1], 0, 15) == 2


def test_an_object_hidden_for_a_moment_comes_back_with_its_id():
    hidden = [scene((1, 10, 10))] * 10
    results = track(Tracker(memory=0.5), [PAIR, *hidden, PAIR])
    assert results[-1].ids.tolist() == [1, 2]


def test_an_object_hidden_for_longer_than_the_memory_gets_a_new_id():
    hidden = [scene((1, 10, 10))] * 20
    results = track(Tracker(memory=0.5), [PAIR, *hidden, PAIR])
    assert results[-1].ids.tolist() == [1, 3]


def test_objects_of_the_latest_frame_are_known_however_slow_the_camera_is():
    results = track(Tracker(memory=0.1, max_gap=5.0), [PAIR, PAIR], period=4 * SECOND)
    assert results[-1].ids.tolist() == [1, 2]


def test_without_memory_one_missed_frame_costs_the_id():
    results = track(Tracker(memory=0.0), [PAIR, scene((1, 10, 10)), PAIR])
    assert results[-1].ids.tolist() == [1, 3]


def test_empty_frames_neither_reset_nor_take_ids():
    tracker = Tracker()
    results = track(tracker, [EMPTY, ROOM, EMPTY, EMPTY, ROOM])
    assert tracker.reset_reason is None
    assert results[0].ids.shape == (0,)
    assert not results[2].label_map.any()
    assert results[-1].ids.tolist() == results[1].ids.tolist() == [1, 2, 3, 4, 5]


def test_a_stamp_that_goes_back_forgets_all_and_ids_go_on():
    tracker = Tracker()
    track(tracker, [PAIR, PAIR], start=START)
    looped = tracker.update(PAIR, START - 7 * SECOND)
    assert looped.ids.tolist() == [3, 4]
    assert tracker.reset_reason == "stamps went back by 7.033 s"
    assert tracker.update(PAIR, START - 7 * SECOND + FRAME).ids.tolist() == [3, 4]
    assert tracker.reset_reason is None


def test_a_leap_ahead_forgets_all():
    tracker = Tracker(max_gap=5.0)
    results = track(tracker, [PAIR, PAIR], period=6 * SECOND)
    assert results[-1].ids.tolist() == [3, 4]
    assert tracker.reset_reason == "6.000 s between two frames"


def test_what_stands_still_keeps_its_id_between_images_that_were_asked_for():
    tracker = Tracker(max_gap=5.0)
    tracker.update(PAIR, START, asked_for=True)
    later = tracker.update(PAIR, START + 600 * SECOND, asked_for=True)
    assert later.ids.tolist() == [1, 2]
    assert tracker.reset_reason is None


def test_ids_of_new_objects_are_told():
    tracker = Tracker()
    tracker.update(PAIR, START)
    assert tracker.begun == {1, 2}
    tracker.update(PAIR, START + FRAME)
    assert tracker.begun == frozenset()


def test_the_same_stamp_twice_is_no_reset():
    assert track(Tracker(), [PAIR, PAIR], period=0)[-1].ids.tolist() == [1, 2]


def test_another_image_size_forgets_all():
    tracker = Tracker()
    shapes = [(HEIGHT, WIDTH), (HEIGHT * 2, WIDTH), (HEIGHT * 2, WIDTH)]
    results = track(tracker, [scene((1, 10, 10), (2, 10, 40), shape=shape) for shape in shapes])
    assert [result.ids.tolist() for result in results] == [[1, 2], [3, 4], [3, 4]]


def test_the_size_that_changed_is_named():
    tracker = Tracker()
    track(tracker, [PAIR, Instances.empty(30, 40)])
    assert tracker.reset_reason == "image size changed from 80x60 to 40x30"


def test_a_scene_cut_forgets_all():
    tracker = Tracker()
    results = track(tracker, [ROOM, OTHER_ROOM])
    assert results[-1].ids.tolist() == [6, 7, 8, 9, 10]
    assert tracker.reset_reason == "scene cut: 0 of 5 objects seen before"
    assert track(tracker, [ROOM], start=START + 2 * FRAME)[0].ids.tolist() == [11, 12, 13, 14, 15]


def test_few_new_objects_in_place_of_others_are_no_scene_cut():
    tracker = Tracker()
    track(tracker, [PAIR, scene((1, 40, 10), (2, 40, 40))])
    assert tracker.reset_reason is None
    assert track(tracker, [PAIR], start=START + 2 * FRAME)[0].ids.tolist() == [1, 2]


def test_reset_forgets_all_and_ids_go_on():
    tracker = Tracker()
    tracker.update(PAIR, START)
    tracker.reset()
    assert tracker.update(PAIR, START - SECOND).ids.tolist() == [3, 4]
    assert tracker.reset_reason is None, "nothing was left to forget"


@pytest.mark.parametrize("stamp", [None, 0, START])
def test_frames_without_stamps_or_of_one_stamp_count_as_a_thirtieth_of_a_second_apart(stamp):
    def ids_after(hidden):
        tracker = Tracker(memory=0.5)
        frames = [PAIR, *[scene((1, 10, 10))] * hidden, PAIR]
        return [tracker.update(frame, stamp) for frame in frames][-1].ids.tolist()

    assert ids_after(hidden=13) == [1, 2]
    assert ids_after(hidden=15) == [1, 3]


def test_a_clock_that_starts_late_is_no_leap():
    # With simulated time, the first stamps may be 0 until the clock is known.
    tracker = Tracker()
    results = [tracker.update(PAIR, stamp) for stamp in (0, 0, FRAME // 2, START, 0, START + FRAME)]
    assert results[2].ids.tolist() == [1, 2]
    assert tracker.reset_reason is None


def test_after_65535_the_id_unseen_for_longest_is_taken():
    tracker = Tracker()
    dots = instances_of(np.arange(1, 4097).reshape(64, 64))
    for k in range(15):
        ids = tracker.update(dots, START).ids
        assert (ids[0], ids[-1]) == (4096 * k + 1, 4096 * (k + 1))
        tracker.reset()
    result = tracker.update(dots, START)
    assert result.ids[-3:].tolist() == [65534, 65535, 1]
    assert result.label_map.ravel()[-3:].tolist() == [65534, 65535, 1]


def test_an_id_in_use_or_remembered_is_never_given_away(monkeypatch):
    monkeypatch.setattr("saom_ros.tracker.MAX_INSTANCES", 6)
    tracker = Tracker(memory=2.5 * FRAME / SECOND)
    # Object 1 stays, object 2 is hidden for one frame, others pass by, each at a place of its own.
    wide = (HEIGHT, 260)
    both = scene((1, 5, 5), (2, 5, 60), shape=wide)
    passing = [scene((1, 5, 5), (2, 40, x), shape=wide) for x in (5, 105, 165, 225, 5, 105, 165)]
    results = track(tracker, [both, passing[0], both, *passing[1:]])
    assert {id_at(result, 5, 5) for result in results} == {1}
    assert [int(result.ids[1]) for result in results] == [2, 3, 2, 4, 5, 6, 3, 2, 4]


def test_when_all_ids_are_taken_the_longest_hidden_object_makes_room(monkeypatch):
    monkeypatch.setattr("saom_ros.tracker.MAX_INSTANCES", 3)
    results = track(Tracker(), [scene((1, 5, 5)), scene((1, 5, 30)), scene((1, 30, 5), (2, 30, 30), (3, 5, 30))])
    assert results[-1].ids.tolist() == [3, 1, 2]


def test_sixty_four_objects_keep_their_ids_while_the_camera_moves():
    grid = [(1 + k, 90 * (k // 8) + 10, 160 * (k % 8) + 10) for k in range(64)]
    frames = [scene(*((k, y, x + 4 * step) for k, y, x in grid), side=50, shape=(720, 1280)) for step in range(5)]
    assert all(result.ids.tolist() == list(range(1, 65)) for result in track(Tracker(), frames))


def test_a_speck_at_full_hd_keeps_its_id():
    frames = [scene((1, 500, x), side=6, shape=(1080, 1920)) for x in (901, 902, 903)]
    assert [result.ids.tolist() for result in track(Tracker(), frames)] == [[1], [1], [1]]


def test_dtypes_are_kept_and_the_input_is_not_written_to():
    label_map, ids = ROOM.label_map.copy(), ROOM.ids.copy()
    tracker = Tracker()
    tracker.update(PAIR, START)
    result = tracker.update(ROOM, START + FRAME)
    assert (result.label_map.dtype, result.ids.dtype) == (np.uint16, np.int32)
    assert (ROOM.label_map == label_map).all()
    assert (ROOM.ids == ids).all()


@pytest.mark.parametrize("name", ["memory", "max_gap"])
@pytest.mark.parametrize("value", [-1.0, math.nan, math.inf])
def test_impossible_times_are_named(name, value):
    with pytest.raises(SaomError, match=rf"{name} is {value!r}; it must be a finite time of at least 0"):
        Tracker(**{name: value})


label_maps = st.integers(0, 2**32 - 1).map(lambda seed: np.random.default_rng(seed).integers(0, 7, (6, 8)))
clips = st.lists(st.tuples(label_maps, st.integers(-SECOND, 8 * SECOND)), min_size=1, max_size=6)


@settings(max_examples=50)
@given(clips)
def test_the_output_is_the_input_with_other_numbers(clip):
    tracker, stamp = Tracker(), START
    for label_map, step in clip:
        stamp += step
        given_instances = instances_of(label_map)
        result = tracker.update(given_instances, stamp)
        assert len(set(result.ids.tolist())) == len(result)
        assert len(result) == 0 or (result.ids.min() >= 1 and result.ids.max() <= 65535)
        assert ((result.label_map == 0) == (given_instances.label_map == 0)).all()
        for row, (old, new) in enumerate(zip(given_instances.ids, result.ids, strict=True)):
            assert ((result.label_map == new) == (given_instances.label_map == old)).all()
            assert result.areas[row] == np.count_nonzero(result.label_map == new)
        for column in ("scores", "boxes", "class_ids", "areas"):
            assert (getattr(result, column) == getattr(given_instances, column)).all()


@settings(max_examples=20)
@given(clips)
def test_the_same_frames_give_the_same_ids(clip):
    stamps = START + np.cumsum([step for _, step in clip])
    runs = []
    for _ in range(2):
        tracker = Tracker()
        runs.append(
            [tracker.update(instances_of(m), int(t)).ids.tolist() for (m, _), t in zip(clip, stamps, strict=True)]
        )
    assert runs[0] == runs[1]
