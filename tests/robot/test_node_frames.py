"""Which frames are segmented and what is counted, without ROS: mailbox, rate limit, figures, worker, diagnostics."""

import threading

import pytest

from saom_ros.nodes.diagnostics import ERROR, OK, WARN, Health, key_values, level_and_message
from saom_ros.nodes.frames import FrameStatistics, NewestFrames, RateLimit, RecentFrames
from saom_ros.nodes.worker import Worker


def test_the_newest_frame_replaces_one_that_was_not_taken():
    mailbox = NewestFrames()
    assert not mailbox.put("front", "old")
    assert mailbox.put("front", "new"), "an old frame was dropped"
    assert mailbox.take() == "new"
    assert not mailbox.put("front", "next")


def test_a_fast_camera_does_not_starve_a_slow_one():
    mailbox = NewestFrames()
    taken = []
    mailbox.put("slow", "slow")
    for number in range(6):
        mailbox.put("fast", f"fast {number}")
        if number == 3:
            mailbox.put("slow", "slow")
        if number % 2:
            taken.append(mailbox.take())
    assert taken == ["slow", "fast 3", "slow"]


def test_a_closed_mailbox_wakes_its_taker():
    mailbox = NewestFrames()
    taken = []
    taker = threading.Thread(target=lambda: taken.append(mailbox.take()))
    taker.start()
    mailbox.close()
    taker.join(10)
    assert taken == [None]


def test_a_slow_worker_segments_the_newest_frame_next():
    started, go_on, woken = threading.Event(), threading.Event(), threading.Semaphore(0)

    def work(frame):
        started.set()
        assert go_on.wait(10)
        return frame

    worker = Worker(work, woken.release)
    worker.put("camera", 1)
    assert started.wait(10)
    dropped = [worker.put("camera", frame) for frame in (2, 3, 4)]
    go_on.set()
    assert woken.acquire(timeout=10)
    assert woken.acquire(timeout=10)
    assert dropped == [False, True, True]
    assert worker.results() == [1, 4]
    assert worker.stop(10)


def test_a_stopped_worker_leaves_waiting_frames_alone():
    started, go_on = threading.Event(), threading.Event()
    seen = []

    def work(frame):
        seen.append(frame)
        started.set()
        assert go_on.wait(10)

    worker = Worker(work, lambda: None)
    worker.put("camera", 1)
    assert started.wait(10)
    worker.put("camera", 2)
    assert not worker.stop(0.01), "the frame in work is still in work"
    go_on.set()
    assert worker.stop(10)
    assert seen == [1]


@pytest.mark.parametrize(
    ("camera_hz", "max_rate", "expected_hz"), [(30, 20, 20), (30, 0, 30), (30, 100, 30), (10, 1, 1), (30, 7, 7)]
)
def test_max_rate_holds_on_average_whatever_the_camera(camera_hz, max_rate, expected_hz):
    limit = RateLimit()
    seconds = 20
    passed = sum(limit.allows(i / camera_hz, max_rate) for i in range(camera_hz * seconds))
    assert passed / seconds == pytest.approx(expected_hz, rel=0.06)


def test_raising_max_rate_takes_effect_at_once():
    limit = RateLimit()
    assert limit.allows(0.0, 0.1)
    assert not limit.allows(5.0, 0.1)
    assert limit.allows(5.1, 0.0)
    assert not limit.allows(5.5, 2.0)
    assert limit.allows(5.7, 2.0)


def test_rate_and_medians_cover_the_last_seconds_only():
    counts = FrameStatistics()
    counts.finished(0.0, 9.0, 9.0, 9.0)
    for i in range(11):
        counts.finished(100.0 + 0.2 * i, 0.05, 0.003, 0.2 if i else None)
    recent = counts.recent(102.0)
    assert counts.segmented == 12
    assert recent.rate == pytest.approx(5.0)
    assert recent.inference == pytest.approx(0.05)
    assert recent.overhead == pytest.approx(0.003)
    assert recent.latency == pytest.approx(0.2)


def test_the_rate_falls_when_frames_stop():
    counts = FrameStatistics()
    for i in range(11):
        counts.finished(0.1 * i, 0.05, 0.003, None)
    assert counts.recent(1.0).rate == pytest.approx(10.0)
    assert counts.recent(4.0).rate < 3.0
    assert counts.recent(60.0) == RecentFrames(rate=0.0, inference=None, latency=None)


def health(**changes) -> Health:
    values = {
        "state": "active",
        "model": "tiny 1",
        "runtime": "onnxruntime",
        "failure": "",
        "counts": FrameStatistics(received=5, segmented=3, dropped=1, rejected=1),
        "recent": RecentFrames(rate=4.0, inference=0.05, latency=0.0824),
        "wanted": True,
        "topic": "/camera/image",
        "publishers": 1,
        "quiet": 0.1,
        "problem": "",
        "problem_age": 0.0,
        "notes": (),
    }
    return Health(**(values | changes))


IDLE = RecentFrames(rate=0.0, inference=None, latency=None)


@pytest.mark.parametrize(
    ("changes", "level", "message"),
    [
        ({}, OK, "segmenting 4.0 frames/s"),
        ({"state": "inactive"}, OK, "inactive"),
        ({"state": "unconfigured", "failure": "cannot configure: x"}, ERROR, "unconfigured: cannot configure: x"),
        ({"quiet": 9.0}, WARN, "no image on /camera/image for 9 s, though 1 publish there"),
        ({"quiet": 9.0, "publishers": 0}, WARN, "nobody publishes images on /camera/image; check the name or remap"),
        ({"problem": "bad", "problem_age": 1.0}, WARN, "bad"),
        ({"problem": "bad", "problem_age": 1.0, "recent": IDLE}, ERROR, "bad"),
        ({"problem": "bad", "problem_age": 60.0}, OK, "segmenting"),
        ({"wanted": False}, OK, "idle: nobody subscribes"),
    ],
)
def test_diagnostics_say_the_most_important_thing_first(changes, level, message):
    found = level_and_message(health(**changes))
    assert found[0] == level
    assert found[1].startswith(message)


def test_diagnostics_list_figures_and_the_last_problem():
    values = key_values(health(problem="image is 0x0", problem_age=7.2, notes=("a", "b")))
    assert values["latency_ms"] == "82.4"
    assert values["inference_ms"] == "50.0"
    assert values["dropped_frames"] == "1"
    assert values["last_problem"] == "7 s ago: image is 0x0"
    assert values["notes"] == "a; b"
    assert key_values(health(recent=IDLE, model=""))["latency_ms"] == "unknown"
