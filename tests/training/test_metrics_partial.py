"""What an annotation leaves open: ignored regions, and frames in which only some objects are named."""

import numpy as np
import pytest

from tests.training.label_blocks import blocks
from training.metrics import counted_objects, counts, objective, score_prediction, summarize
from training.metrics.calibration import reliability
from training.metrics.summary import recall_by_class

TRUTH = blocks((20, 20, 60, 60), (200, 20, 60, 60))
IGNORE = np.zeros(TRUTH.shape, bool)
IGNORE[150:384, 250:512] = True
OF_PRECISION = {
    "overlap_precision",
    "overlap_f",
    "boundary_precision",
    "boundary_f",
    "ap",
    "ap_50",
    "ap_75",
    "precision_50",
    "pq",
    "sq",
    "rq",
    "ece_correct",
    "ece_iou",
}


def scored(predicted, scores=None, truth=TRUTH, ignore=None, **options):
    return score_prediction(counted_objects(truth, ignore), predicted, scores, **options)


class TestIgnoredRegions:
    def test_a_prediction_inside_is_dropped(self):
        inside = blocks((20, 20, 60, 60), (200, 20, 60, 60), (200, 300, 60, 60))
        assert summarize([scored(inside)])["precision_50"] == pytest.approx(200 / 3)
        frame = scored(inside, ignore=IGNORE)
        assert len(frame.prediction_best_iou) == 2
        result = summarize([frame])
        assert [result[name] for name in ("precision_50", "overlap_f", "boundary_f", "pq", "ap")] == [100] * 5

    def test_a_prediction_mostly_outside_stays_wrong(self):
        crossing = blocks((20, 20, 60, 60), (200, 20, 60, 60), (200, 200, 60, 90))
        assert summarize([scored(crossing, ignore=IGNORE)])["precision_50"] == pytest.approx(200 / 3)

    def test_pixels_inside_are_cut_from_predictions_that_stay(self):
        truth = blocks((200, 190, 60, 60))
        over = blocks((200, 190, 60, 100))
        assert scored(over, truth=truth).best_iou[0] == pytest.approx(0.6)
        assert scored(over, truth=truth, ignore=IGNORE).best_iou[0] == 1

    def test_objects_inside_are_not_missed(self):
        truth = blocks((20, 20, 60, 60), (200, 300, 60, 60))
        frame = scored(blocks((20, 20, 60, 60)), truth=truth, ignore=IGNORE)
        assert len(frame.best_iou) == 1
        assert frame.ignored_objects == 1
        assert summarize([frame])["recall_50"] == 100

    def test_one_mask_over_the_image_is_dropped_rather_than_right(self):
        truth = blocks((20, 20, 60, 60))
        frame = scored(np.ones_like(truth), truth=truth, ignore=truth == 0)
        assert summarize([frame])["recall_50"] == 0

    def test_an_empty_prediction_scores_nothing(self):
        result = summarize([scored(np.zeros_like(TRUTH), ignore=IGNORE)])
        assert all(value == 0 or np.isnan(value) for value in result.values())

    def test_nothing_but_ignored_objects_is_refused(self):
        with pytest.raises(ValueError, match="no object that is large enough"):
            summarize([scored(TRUTH, ignore=np.ones(TRUTH.shape, bool))])

    @pytest.mark.parametrize("ignore", [np.zeros((3, 4), bool), np.zeros(TRUTH.shape, np.uint8)])
    def test_a_region_that_does_not_fit_is_refused(self, ignore):
        with pytest.raises(ValueError, match=r"expected bool \(384, 512\)"):
            counted_objects(TRUTH, ignore)


class TestPartialAnnotation:
    found_more = blocks((20, 20, 60, 60), (200, 20, 60, 60), (200, 300, 60, 60))

    def test_recall_is_measured_and_precision_does_not_exist(self):
        result = summarize([scored(self.found_more, exhaustive=False)])
        assert {name for name, value in result.items() if np.isnan(value) and "small" not in name} == (
            OF_PRECISION | {"recall_50_large", "recall_75_large"}
        )
        for name in ("overlap_recall", "boundary_recall", "detected_75", "ar_100", "recall_50", "recall_75"):
            assert result[name] == pytest.approx(100), name

    def test_precision_is_that_of_the_other_frames(self):
        partial = scored(blocks((20, 20, 60, 60), (300, 300, 60, 60)), exhaustive=False)
        whole = scored(TRUTH)
        alone, both = summarize([whole]), summarize([whole, partial])
        assert {name: both[name] for name in OF_PRECISION} == pytest.approx(
            {name: alone[name] for name in OF_PRECISION}
        )
        assert both["recall_50"] == both["overlap_recall"] == 75
        assert both["ar_100"] == pytest.approx(75)

    def test_frames_in_full_without_objects_make_no_ap(self):
        nothing = np.zeros_like(TRUTH)
        result = summarize([scored(TRUTH, exhaustive=False), scored(self.found_more, truth=nothing)])
        assert np.isnan(result["ap"])
        assert result["precision_50"] == result["pq"] == 0

    def test_reliability_leaves_their_predictions_out(self):
        assert reliability([scored(self.found_more, exhaustive=False)]).counts.sum() == 0

    def test_nothing_is_chosen_on_them(self):
        with pytest.raises(ValueError, match="annotated in part only"):
            objective([scored(TRUTH), scored(TRUTH, exhaustive=False)])

    def test_they_are_counted(self):
        assert counts([scored(TRUTH), scored(TRUTH, exhaustive=False)])["exhaustive_frames"] == 1


def test_recall_by_class_counts_the_objects_of_each_class():
    predicted = blocks((20, 20, 60, 60), (200, 20, 60, 20))
    frames = [scored(predicted, classes={1: "Mug", 2: "Book"}), scored(predicted, classes={1: "Mug"})]
    figures = recall_by_class(frames)
    assert figures["Mug"] == {"objects": 2, "recall_50": 100, "recall_75": 100, "mean_iou": 100}
    assert figures["Book"] == pytest.approx({"objects": 1, "recall_50": 0, "recall_75": 0, "mean_iou": 100 / 3})
    assert list(figures) == ["Book", "Mug", "Unknown"]
