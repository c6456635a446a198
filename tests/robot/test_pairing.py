"""Depth for an image: the nearest stamp within the tolerance, never a stale one, and a reason when nothing pairs."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from saom_ros.nodes.pairing import Pair, Pairing, Unpaired

MS = 10**6
SECOND = 10**9
EPOCH = 1_760_000_000 * SECOND
"""Today's stamps do not fit a float to the nanosecond."""


def test_depth_that_came_before_the_image_pairs_at_once():
    pairing = Pairing(0.02)
    assert pairing.add_depth(EPOCH - 5 * MS, "depth") is None
    assert pairing.add_image(EPOCH, "image") == Pair("image", "depth")


def test_an_image_waits_for_depth_that_comes_after_it():
    pairing = Pairing(0.02)
    assert pairing.add_image(EPOCH, "image") is None
    assert pairing.add_depth(EPOCH + 5 * MS, "depth") == Pair("image", "depth")
    assert pairing.add_depth(EPOCH + 6 * MS, "later depth") is None, "an image pairs once"


def test_an_image_that_waits_lets_depth_beyond_the_tolerance_pass():
    pairing = Pairing(0.02)
    pairing.add_image(EPOCH, "image")
    assert pairing.add_depth(EPOCH - 33 * MS, "too early") is None
    assert pairing.add_depth(EPOCH, "right") == Pair("image", "right")


@pytest.mark.parametrize(("gap", "pairs"), [(20 * MS, True), (-20 * MS, True), (20 * MS + 1, False)])
def test_the_tolerance_holds_to_the_nanosecond(gap, pairs):
    for depth_first in (True, False):
        pairing = Pairing(0.02)
        if depth_first:
            pairing.add_depth(EPOCH + gap, "depth")
            pair = pairing.add_image(EPOCH, "image")
        else:
            pairing.add_image(EPOCH, "image")
            pair = pairing.add_depth(EPOCH + gap, "depth")
        assert (pair is not None) == pairs


@pytest.mark.parametrize(("gap", "pairs"), [(0, True), (1, False), (-1, False)])
def test_tolerance_zero_pairs_equal_stamps_only(gap, pairs):
    pairing = Pairing(0.0)
    pairing.add_depth(EPOCH + gap, "depth")
    assert (pairing.add_image(EPOCH, "image") is not None) == pairs


def test_the_tolerance_can_be_changed_while_running():
    pairing = Pairing(0.0)
    pairing.tolerance = 0.1
    assert pairing.tolerance == 0.1
    pairing.add_depth(EPOCH + 99 * MS, "depth")
    assert pairing.add_image(EPOCH, "image") is not None


def test_a_newer_image_replaces_the_one_that_waits():
    pairing = Pairing(0.001)
    pairing.add_image(0, "old")
    pairing.add_image(10 * MS, "new")
    assert pairing.replaced == 1
    assert pairing.add_depth(0, "depth of the old") is None
    assert pairing.add_depth(10 * MS, "depth of the new") == Pair("new", "depth of the new")


def test_one_depth_serves_two_images_of_a_faster_camera():
    pairing = Pairing(0.02)
    pairing.add_depth(EPOCH, "depth")
    assert pairing.add_image(EPOCH - 8 * MS, "first") == Pair("first", "depth")
    assert pairing.add_image(EPOCH + 8 * MS, "second") == Pair("second", "depth")
    assert (pairing.paired, pairing.replaced) == (2, 0)


def test_of_depths_with_equal_stamps_the_newest_counts():
    pairing = Pairing(0.02)
    pairing.add_depth(0, "old")
    pairing.add_depth(0, "new")
    assert len(pairing) == 1
    assert pairing.add_image(0, "image") == Pair("image", "new")


def test_the_store_holds_the_newest_depths_only():
    pairing = Pairing(0.0, capacity=3)
    for k in range(10):
        pairing.add_depth(k, k)
    assert len(pairing) == 3
    assert pairing.add_image(6, "image") is None
    assert pairing.add_image(7, "image") == Pair("image", 7)


@pytest.mark.parametrize("first", ["image", "depth"])
def test_a_bag_that_loops_pairs_again_with_its_new_depth_only(first):
    pairing = Pairing(0.02)
    for k in range(5):
        pairing.add_depth(k * 33 * MS, ("first round", k))
        pairing.add_image(k * 33 * MS, k)
    if first == "image":
        assert pairing.add_image(0, "again") is None
        assert pairing.add_depth(0, ("second round", 0)) == Pair("again", ("second round", 0))
    else:
        assert pairing.add_depth(0, ("second round", 0)) is None
        assert pairing.add_image(0, "again") == Pair("again", ("second round", 0))
    assert pairing.jumps == 1


def test_an_image_that_waits_is_forgotten_when_time_jumps_backwards():
    pairing = Pairing(0.02)
    pairing.add_depth(5 * SECOND, "depth")
    pairing.add_image(SECOND, "waits")
    assert pairing.add_depth(SECOND, "depth of another time") is None


def test_a_late_image_of_the_time_before_a_jump_does_not_stop_the_pairing():
    pairing = Pairing(0.02)
    pairing.add_image(9 * SECOND, "before")
    pairing.add_depth(9 * SECOND + SECOND // 2, "before")
    pairing.add_depth(0, "after")
    assert pairing.add_image(9 * SECOND + SECOND // 2, "late") is None
    assert pairing.add_image(MS, "after") is None
    pairing.add_depth(33 * MS, "after")
    assert pairing.add_image(33 * MS, "after") is not None


def test_clearing_forgets_everything():
    pairing = Pairing(0.02)
    pairing.add_depth(SECOND, "depth")
    pairing.add_image(0, "image")
    pairing.clear()
    assert len(pairing) == 0
    assert pairing.add_depth(0, "depth") is None
    assert pairing.jumps == 0


events = st.lists(st.tuples(st.sampled_from(["image", "depth"]), st.integers(0, 12)), min_size=1, max_size=60)


@settings(max_examples=50)
@given(events=events, tolerance=st.integers(0, 4), capacity=st.integers(1, 4))
def test_pairs_are_those_of_a_plain_search_in_what_came_since_the_last_jump(events, tolerance, capacity):
    """The rules once more, by search in the whole history: nearest, in tolerance, newest image, nothing from before."""
    pairing = Pairing(tolerance / 1e9, capacity)
    depths, waiting, last = [], None, {}
    for number, (kind, stamp) in enumerate(events):
        if stamp < last.get(kind, stamp):
            depths, waiting, last = [], None, {}
        last[kind] = stamp
        expected = None
        if kind == "depth":
            pair = pairing.add_depth(stamp, (stamp, number))
            depths = [*(d for d in depths if d[0] != stamp), (stamp, number)][-capacity:]
            if waiting is not None and abs(waiting[0] - stamp) <= tolerance:
                expected, waiting = Pair(waiting, (stamp, number)), None
        else:
            pair = pairing.add_image(stamp, (stamp, number))
            waiting = (stamp, number)
            near = [d for d in depths if abs(d[0] - stamp) <= tolerance]
            if near:
                best = min(near, key=lambda depth: (abs(depth[0] - stamp), depth[0]))
                expected, waiting = Pair((stamp, number), best), None
        assert pair == expected
        assert len(pairing) == len(depths) <= capacity


@settings(max_examples=50)
@given(stamps=st.lists(st.integers(0, 10**10), unique=True, min_size=1, max_size=30), image=st.integers(0, 10**10))
def test_the_nearest_depth_is_chosen_among_many(stamps, image):
    pairing = Pairing(100.0)
    for stamp in sorted(stamps):
        pairing.add_depth(stamp, stamp)
    pair = pairing.add_image(image, "image")
    assert abs(pair.depth - image) == min(abs(stamp - image) for stamp in stamps)


def poll(pairing, seconds):
    """What the node is told when it asks once a second."""
    return [said for now in seconds if (said := pairing.unpaired(float(now))) is not None]


def test_when_nothing_pairs_for_two_seconds_both_stamps_and_the_gap_are_said_once():
    pairing = Pairing(0.02)
    assert poll(pairing, [0]) == []
    pairing.add_depth(EPOCH + 1, "depth")
    pairing.add_image(EPOCH + 50 * MS + 1, "image")
    assert poll(pairing, [1, 2]) == []
    said = poll(pairing, [3, 4, 5])
    assert said == [Unpaired(EPOCH + 50 * MS + 1, EPOCH + 1, 20 * MS)]
    assert str(said[0]).startswith(
        "image and depth do not pair: image stamp 1760000000.050000001 s, nearest depth stamp 1760000000.000000001 s, "
        "gap -50.000 ms, sync_tolerance 20 ms;"
    )


def test_the_gap_said_is_that_of_the_nearest_depth():
    pairing = Pairing(0.0)
    for stamp in (0, 40 * MS):
        pairing.add_depth(stamp, "depth")
    pairing.add_image(45 * MS, "image")
    pairing.add_depth(80 * MS, "depth")
    assert poll(pairing, [0, 2])[0].gap == -5 * MS
    pairing.clear()
    pairing.add_image(45 * MS, "image")
    pairing.add_depth(20 * MS, "depth")
    pairing.add_depth(48 * MS, "depth")
    assert poll(pairing, [3, 4, 6])[0].gap == 3 * MS


def test_missing_depth_is_said_as_such():
    pairing = Pairing(0.02)
    pairing.add_image(SECOND, "image")
    said = poll(pairing, [0, 2])
    assert [(s.depth_stamp, s.gap) for s in said] == [(None, None)]
    assert str(said[0]).startswith("no depth image has come for the image of stamp 1.000000000 s")


def test_images_whose_depth_always_comes_a_little_later_are_no_reason_to_complain():
    pairing = Pairing(0.02)
    for second in range(10):
        pairing.add_image(second * SECOND, "image")
        assert pairing.unpaired(float(second)) is None
        assert pairing.add_depth(second * SECOND + MS, "depth") is not None


def test_a_missing_pair_is_said_again_after_something_paired():
    pairing = Pairing(0.0)
    pairing.add_image(1, "image")
    assert len(poll(pairing, [0, 2, 4])) == 1
    pairing.add_depth(1, "depth")
    pairing.add_image(2, "image")
    assert len(poll(pairing, [5, 6, 7, 8, 9])) == 1


def test_a_bag_that_loops_does_not_say_it_again():
    pairing = Pairing(0.0)
    said = []
    for second in range(12):
        pairing.add_image(second % 4, "image")
        said += poll(pairing, [second])
        pairing.add_depth(100 + second % 4, "depth")
        said += poll(pairing, [second + 0.5])
    assert pairing.jumps == 2, "one jump is one jump, though both streams show it"
    assert len(said) == 1


def test_without_images_there_is_nothing_to_complain_about():
    pairing = Pairing(0.02)
    pairing.add_depth(0, "depth")
    assert poll(pairing, range(10)) == []
