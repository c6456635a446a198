"""A runtime that remembers what the model said answers as one that asks again."""

import numpy as np
import pytest
import torch

from training.evaluation.remembering import RememberingRuntime
from training.export import TorchRuntime
from training.sam.everything import OUTPUT_NAMES, EverythingMode
from training.sam.registry import build_model

THRESHOLDS = [(0.0, 0.0, 0.5), (0.3, 0.0, 0.9), (0.0, 0.5, 0.3), (0.2, -1.0, 0.7), (0.99, 0.4, 0.0)]


@pytest.fixture(params=["small", "sam_small"])
def runtime(request):
    torch.manual_seed(0)
    shape = {"encoder_channels": [8, 8, 8, 8], **({"image_size": 64} if request.param == "sam_small" else {})}
    return TorchRuntime(EverythingMode(build_model(request.param, shape), 64, 64, (8, 8), 16, 8))


def inputs(seed, score, objectness, overlap):
    generator = np.random.default_rng(seed)
    thresholds = {"score_threshold": score, "objectness_threshold": objectness, "overlap_threshold": overlap}
    return {
        "image": generator.integers(0, 255, (1, 64, 64, 3), np.uint8),
        "points": generator.uniform(0, 64, (64, 2)).astype(np.float32),
        **{name: np.array([value], np.float32) for name, value in thresholds.items()},
    }


def test_remembered_answers_equal_new_ones_bit_by_bit(runtime):
    remembering = RememberingRuntime(runtime)
    for thresholds in THRESHOLDS:
        for seed in (0, 1):
            expected = runtime.run(inputs(seed, *thresholds))
            found = remembering.run(inputs(seed, *thresholds))
            assert all(np.array_equal(found[name], expected[name]) for name in OUTPUT_NAMES)


def test_the_model_is_asked_once_an_image_and_once_more_for_every_point(runtime, monkeypatch):
    remembering, asked = RememberingRuntime(runtime), []
    ask = runtime.module.ask
    monkeypatch.setattr(runtime.module, "ask", lambda *values: asked.append(values) or ask(*values))
    for thresholds in THRESHOLDS:
        remembering.run(inputs(0, *thresholds))
    assert len(asked) == 2
