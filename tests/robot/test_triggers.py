"""Who is answered when: the rules of `~/trigger` without a node."""

import pytest

pytest.importorskip("rclpy", reason="rclpy is not installed: pip install 'saom_ros[ros]' or source a ROS 2")

from saom_ros.nodes.triggers import Answer, Triggers


def test_an_image_answers_all_who_asked_before_it_came_and_nobody_who_asked_later():
    triggers = Triggers()
    first, second = triggers.ask(deadline=9.0), triggers.ask(deadline=9.0)
    assert triggers.wanting
    triggers.take(1)
    late = triggers.ask(deadline=9.0)
    triggers.finish(1, "done")
    assert first.result() == second.result() == Answer(True, "done")
    assert not late.done()
    assert triggers.wanting


def test_a_newer_image_answers_in_the_place_of_one_that_was_dropped():
    triggers = Triggers()
    answer = triggers.ask(deadline=9.0)
    triggers.take(1)
    triggers.take(2)
    assert not triggers.wanting
    triggers.finish(2, "done")
    assert answer.result().success


def test_a_failed_image_leaves_its_caller_to_the_next_one():
    triggers = Triggers()
    answer = triggers.ask(deadline=9.0)
    triggers.take(1)
    triggers.fail(1, "broken")
    assert triggers.wanting
    assert not answer.done()
    triggers.take(2)
    triggers.finish(2, "done")
    assert answer.result().success


def test_a_failure_does_not_touch_callers_of_a_newer_image():
    triggers = Triggers()
    triggers.ask(deadline=9.0)
    triggers.take(2)
    triggers.fail(1, "broken")
    assert not triggers.wanting


def test_an_unusable_image_does_not_hold_up_the_one_that_is_under_way():
    triggers = Triggers()
    answer = triggers.ask(deadline=9.0)
    triggers.take(1)
    triggers.note("image 2 has an unknown encoding")
    triggers.finish(1, "done")
    assert answer.result().success


def test_only_those_whose_time_is_over_are_told_so_with_the_last_problem():
    triggers = Triggers()
    impatient, patient = triggers.ask(deadline=1.0), triggers.ask(deadline=9.0)
    triggers.note("broken")
    triggers.expire(now=1.0, reason="no image")
    assert impatient.result() == Answer(False, "no image; last problem: broken")
    assert not patient.done()
    triggers.refuse("the node was deactivated")
    assert patient.result() == Answer(False, "the node was deactivated")
    assert not triggers.waiting
