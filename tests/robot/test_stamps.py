"""Stamps of images against the node's clock, without ROS."""

from types import SimpleNamespace

import pytest

from saom_ros.nodes.stamps import AHEAD, BEHIND, NO_STAMP, WENT_BACK, StampWatch, age_of, stamp_of

SECOND = 1_000_000_000
NOW = 1_700_000_000 * SECOND


def test_a_stamp_is_nanoseconds_to_the_last_digit_also_below_zero():
    def header(sec, nanosec):
        return SimpleNamespace(stamp=SimpleNamespace(sec=sec, nanosec=nanosec))

    assert stamp_of(header(1_700_000_000, 123_456_789)) == 1_700_000_000_123_456_789
    assert stamp_of(header(-2, 500_000_000)) == -1_500_000_000


def test_the_age_is_in_seconds_and_negative_for_the_future():
    assert age_of(NOW - 2 * SECOND, NOW) == 2.0
    assert age_of(NOW + SECOND, NOW) == -1.0


@pytest.mark.parametrize(("stamp", "now"), [(0, NOW), (NOW, 0), (0, 0)])
def test_without_a_stamp_or_before_simulated_time_begins_the_age_is_unknown(stamp, now):
    assert age_of(stamp, now) is None


def test_stamps_near_the_clock_are_in_order():
    watch = StampWatch()
    for lag in (5 * SECOND, 0, 0, -SECOND // 2):
        assert watch.oddities(NOW - lag, NOW, "/image") == {}


def test_before_simulated_time_begins_no_stamp_is_far_from_the_clock():
    assert StampWatch().oddities(1000 * SECOND, 0, "/image") == {}


@pytest.mark.parametrize(
    ("ahead", "oddity", "said"),
    [
        (-6 * SECOND, BEHIND, "stamps of /image are far behind the node's clock (6.0 s when first seen)"),
        (SECOND, AHEAD, "stamps of /image are far ahead of the node's clock (1.0 s when first seen)"),
    ],
)
def test_a_stamp_far_from_the_clock_is_told_with_the_distance_and_the_mend(ahead, oddity, said):
    oddities = StampWatch().oddities(NOW + ahead, NOW, "/image")
    assert list(oddities) == [oddity]
    assert oddities[oddity].startswith(said)
    assert "use_sim_time" in oddities[oddity]


def test_a_stamp_below_the_one_before_went_back_whatever_came_first():
    watch = StampWatch()
    assert watch.oddities(-SECOND, 0, "/image") == {}
    assert watch.oddities(NOW, NOW, "/image") == {}
    assert list(watch.oddities(NOW - 1, NOW, "/image")) == [WENT_BACK]
    assert watch.oddities(NOW, NOW, "/image") == {}


def test_an_image_without_a_stamp_is_told_of_and_no_step_back():
    watch = StampWatch()
    watch.oddities(NOW, NOW, "/image")
    assert list(watch.oddities(0, NOW, "/image")) == [NO_STAMP]
    assert watch.oddities(NOW, NOW, "/image") == {}
