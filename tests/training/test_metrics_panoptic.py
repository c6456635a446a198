"""Panoptic quality and calibration: by hand, and against torchmetrics."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torchmetrics.functional.classification import binary_calibration_error
from torchmetrics.functional.detection import panoptic_quality as published_panoptic_quality

from tests.training.label_blocks import blocks, random_labels
from training.metrics import score_frame, summarize
from training.metrics.calibration import BINS, reliability
from training.metrics.summary import panoptic_quality

TWO = blocks((20, 20, 40, 40), (200, 20, 40, 40))


def test_pq_is_the_iou_of_matches_over_matches_and_half_of_what_is_unmatched():
    # One object met with IoU 0.6, one missed, one false mask: 0.6 / (1 + 1/2 + 1/2).
    predicted = blocks((20, 30, 40, 40), (300, 400, 40, 40))
    result = panoptic_quality([score_frame(TWO, predicted)])
    assert result == pytest.approx({"pq": 100 * 0.6 / 2, "sq": 60, "rq": 50})


def test_an_iou_of_one_half_is_no_match():
    truth, larger = blocks((20, 20, 40, 40)), blocks((20, 20, 40, 80))
    assert panoptic_quality([score_frame(truth, larger)])["pq"] == 0


def test_pq_adds_up_segments_of_all_frames():
    nothing = np.zeros_like(TWO)
    perfect, missed = score_frame(TWO, TWO), score_frame(TWO, nothing)
    assert panoptic_quality([perfect, missed])["pq"] == pytest.approx(100 * 2 / (2 + 1))


def test_pq_of_nothing_predicted_is_0_and_of_nothing_at_all_does_not_exist():
    nothing = np.zeros_like(TWO)
    assert panoptic_quality([score_frame(TWO, nothing)]) == {"pq": 0, "sq": 0, "rq": 0}
    assert np.isnan(panoptic_quality([score_frame(nothing, nothing)])["pq"])


@pytest.mark.parametrize("seed", range(4))
def test_pq_agrees_with_torchmetrics(seed):
    rng = np.random.default_rng(seed)
    truth = random_labels(rng, 9)[::3, ::3]
    moved = np.where(np.isin(truth, (1, 2, 3, 4)), truth, 0)
    predicted = np.where(moved > 0, np.roll(moved, 1, axis=1), random_labels(rng, 4)[::3, ::3] + 20 * (seed % 2))

    def colors(labels):
        instances = torch.from_numpy(labels.astype(np.int64))
        return torch.stack([(instances > 0).long(), instances], -1)[None]

    of_objects = published_panoptic_quality(
        colors(predicted), colors(truth), things={1}, stuffs={0}, return_per_class=True
    )
    ours = panoptic_quality([score_frame(truth, predicted, min_object_area=0)])["pq"]
    assert ours == pytest.approx(100 * float(of_objects[0, 0]))
    assert 0 < ours < 100


def test_scores_that_are_the_iou_are_calibrated():
    predicted = blocks((20, 30, 40, 40), (200, 20, 40, 40))
    result = summarize([score_frame(TWO, predicted, {1: 0.6, 2: 1.0})])
    assert result["ece_iou"] == pytest.approx(0)
    # Both masks are right (IoU 0.5 or more), so 0.6 says too little about that: (0.4 + 0) / 2.
    assert result["ece_correct"] == pytest.approx(20)


def test_calibration_error_weighs_bins_by_their_predictions():
    wrong = blocks((20, 20, 40, 40), (300, 300, 40, 40), (300, 400, 40, 40))
    result = summarize([score_frame(TWO, wrong, {1: 0.9, 2: 0.5, 3: 0.5})])
    assert result["ece_correct"] == pytest.approx(100 * (1 * 0.1 + 2 * 0.5) / 3)


def test_a_silent_model_is_not_calibrated():
    result = summarize([score_frame(TWO, np.zeros_like(TWO))])
    assert np.isnan(result["ece_iou"])
    assert np.isnan(result["ece_correct"])


def test_reliability_gathers_predictions_by_score():
    bins = reliability([score_frame(TWO, TWO, {1: 0.32, 2: 1.0})])
    assert bins.counts.tolist() == [0] * 4 + [1] + [0] * 9 + [1]
    assert bins.scores[[4, 14]].tolist() == [0.32, 1.0]
    assert bins.iou[[4, 14]].tolist() == bins.correct[[4, 14]].tolist() == [1, 1]
    assert np.isnan(bins.iou[0])


@settings(max_examples=30)
@given(st.lists(st.tuples(st.integers(1, 999), st.booleans()), min_size=1, max_size=6))
def test_calibration_error_agrees_with_torchmetrics(answers):
    truth = blocks(*((20, 20 + 60 * k, 40, 40) for k, (_, right) in enumerate(answers) if right), (300, 20, 40, 40))
    predicted = blocks(*((20, 20 + 60 * k, 40, 40) for k in range(len(answers))))
    scores = {k: score / 1000 for k, (score, _) in enumerate(answers, start=1)}
    bins = reliability([score_frame(truth, predicted, scores)])
    expected = binary_calibration_error(
        torch.tensor(list(scores.values()), dtype=torch.float64),
        torch.tensor([int(right) for _, right in answers]),
        n_bins=BINS,
    )
    assert bins.error(bins.correct) == pytest.approx(100 * float(expected), abs=1e-4)
