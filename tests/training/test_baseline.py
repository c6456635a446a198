"""The classical baseline and the search that tunes it."""

from dataclasses import replace

import numpy as np
import pytest

from training.evaluation.baseline import BaselineParameters, FelzenszwalbBaseline, drop_background, tune
from training.evaluation.frames import LabelledFrame
from training.evaluation.search import coordinate_search

LENIENT = BaselineParameters(scale=200, sigma=0.5, min_size=150, max_area=0.2, max_rim=0.05)


def room(seed=0):
    """A grey wall, a brown floor and three coloured boxes: RGB (96, 128, 3) and its instance map."""
    rng = np.random.default_rng(seed)
    rgb = np.full((96, 128, 3), 180, np.uint8)
    rgb[60:] = (110, 70, 40)
    truth = np.zeros((96, 128), np.uint16)
    for label, color in enumerate([(200, 30, 30), (30, 160, 40), (30, 40, 200)], start=1):
        top, left = int(rng.integers(5, 60)), 6 + 40 * (label - 1)
        window = slice(top, top + 24), slice(left, left + 20 + 4 * label)
        rgb[window], truth[window] = color, label
    return rgb, truth


def test_it_finds_plain_boxes_and_leaves_wall_and_floor_out():
    rgb, truth = room()
    instances = FelzenszwalbBaseline(LENIENT)(rgb)
    assert not instances.label_map[[0, -1]].any()
    for label in (1, 2, 3):
        found = instances.label_map == np.bincount(instances.label_map[truth == label]).argmax()
        assert (found & (truth == label)).sum() / (found | (truth == label)).sum() > 0.8


def test_an_image_of_one_colour_has_no_instances():
    instances = FelzenszwalbBaseline(LENIENT)(np.full((48, 64, 3), 90, np.uint8))
    assert len(instances) == 0
    assert instances.boxes.shape == (0, 4)


def test_large_segments_and_those_along_the_rim_are_background():
    segments = np.ones((40, 40), np.int32)
    segments[10:20, 10:20] = 2  # 6 % of the image, off the rim
    segments[0, 0:16] = 3  # a tenth of the rim
    segments[30:32, 30:32] = 4
    lenient = BaselineParameters(max_area=0.5, max_rim=0.2)
    assert drop_background(segments, lenient).max() == 3
    assert drop_background(segments, replace(lenient, max_rim=0.05)).max() == 2
    assert drop_background(segments, replace(lenient, max_area=0.05)).max() == 2
    everything = BaselineParameters(max_area=1, max_rim=1)
    np.testing.assert_array_equal(drop_background(segments, everything), segments)


def test_tuning_is_never_worse_than_its_start_and_can_be_repeated(monkeypatch):
    monkeypatch.setattr(
        "training.evaluation.baseline.CANDIDATES",
        {"scale": (50, 200), "max_area": (0.05, 0.2, 1.0), "max_rim": (0.05, 1.0)},
    )
    frames = [LabelledFrame(f"room {seed}", *room(seed)) for seed in range(3)]
    poor = BaselineParameters(scale=50, sigma=0.5, min_size=50, max_area=1.0, max_rim=1.0)
    result = tune(frames, poor)
    assert result.value > result.start_value
    assert result.best["max_area"] < 1
    assert tune(frames, BaselineParameters(**result.best)).start_value == pytest.approx(result.value)


def test_coordinate_search_climbs_one_setting_at_a_time():
    result = coordinate_search(
        {"x": 0.0, "y": 0.0}, {"x": (0, 1, 2, 3), "y": (0, 1, 2)}, lambda s: -((s["x"] - 2) ** 2) - (s["y"] - 1) ** 2
    )
    assert result.best == {"x": 2, "y": 1}
    assert (result.value, result.start_value) == (0, -5)


def test_coordinate_search_evaluates_nothing_twice_and_keeps_settings_without_effect():
    asked = []

    def evaluate(settings):
        asked.append((settings["x"], settings["idle"]))
        return -abs(settings["x"] - 1)

    result = coordinate_search({"x": 0.0, "idle": 0.5}, {"x": (0.0, 1.0), "idle": (0.1, 0.5, 0.9)}, evaluate, passes=3)
    assert result.best == {"x": 1.0, "idle": 0.5}
    assert len(asked) == len(set(asked)) == len(result.trials)
