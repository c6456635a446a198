import threading

import pytest

from saom_ros.spreading import EVERY_OTHER, TwoThreads, in_turn


@pytest.mark.parametrize("spread", [in_turn, TwoThreads()], ids=["in turn", "two threads"])
def test_every_part_is_done_when_it_returns(spread):
    done = []
    spread(done.append, [1, 2, 3])
    assert sorted(done) == [1, 2, 3]


def test_two_threads_work_at_once():
    meeting = threading.Barrier(2)
    TwoThreads()(lambda _: meeting.wait(timeout=60), [1, 2])  # alone, a thread would wait in vain


@pytest.mark.parametrize("spread", [in_turn, TwoThreads()], ids=["in turn", "two threads"])
@pytest.mark.parametrize("bad", [0, 1])
def test_an_exception_in_any_part_is_raised(spread, bad):
    def work(part):
        if part == bad:
            raise ValueError(f"part {part}")

    with pytest.raises(ValueError, match=f"part {bad}"):
        spread(work, [0, 1])


def test_every_other_covers_all_once():
    assert sorted(k for part in EVERY_OTHER for k in range(7)[part]) == list(range(7))
