"""Every figure against hand-made frames whose answer is known."""

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from tests.training.label_blocks import HEIGHT, WIDTH, blocks, random_labels
from training import metrics
from training.metrics import score_frame, summarize

LOSS_FIGURES = {"over_segmented", "under_segmented", "ece_correct", "ece_iou"}
COLORED_BLOCKS = ((20, 20, 60, 60), (20, 200, 100, 100), (200, 40, 120, 160))


def figures(truth, predicted, scores=None, **options):
    return summarize([score_frame(truth, predicted, scores, **options)])


def test_a_perfect_prediction_reaches_100_everywhere():
    truth = blocks(*COLORED_BLOCKS)
    result = figures(truth, truth)
    for name, value in result.items():
        if name.endswith("small"):
            assert np.isnan(value), name
        else:
            assert value == pytest.approx(0 if name in LOSS_FIGURES else 100), name


def test_an_empty_prediction_scores_nothing_not_even_precision():
    truth = blocks(*COLORED_BLOCKS)
    result = figures(truth, np.zeros_like(truth))
    for name, value in result.items():
        assert value == 0 or np.isnan(value), name
    assert not np.isnan(result["overlap_precision"])
    assert result["precision_50"] == 0


def test_one_mask_over_the_whole_image_does_not_score_well():
    truth = blocks(*COLORED_BLOCKS)
    result = figures(truth, np.ones_like(truth))
    assert result["overlap_f"] < 25
    assert result["recall_50"] == result["precision_50"] == result["ar_100"] == 0
    assert result["under_segmented"] == 100


def test_shifted_objects_have_the_iou_of_their_shift():
    truth, moved = blocks((50, 50, 60, 80)), blocks((50, 50, 60, 80), shift=20)
    result = figures(truth, moved)
    assert result["mean_iou"] == pytest.approx(100 * 60 / 100)
    assert result["overlap_precision"] == result["overlap_recall"] == pytest.approx(75)
    assert (result["recall_50"], result["recall_75"], result["precision_50"]) == (100, 0, 100)
    # IoU 0.60 passes 0.50, 0.55 and 0.60 of the ten thresholds.
    assert result["ar_100"] == pytest.approx(30)
    assert (result["ap_50"], result["ap_75"]) == (pytest.approx(100), 0)
    # F of 0.75 is not above DETECTED_F.
    assert result["detected_75"] == 0


def test_overlap_precision_counts_all_predicted_pixels_and_recall_all_true_ones():
    truth = blocks((20, 20, 40, 40), (200, 20, 40, 40))
    predicted = blocks((20, 20, 40, 40), (300, 400, 40, 80))
    totals = score_frame(truth, predicted).overlap
    assert totals == metrics.MatchTotals(1600, 1600, 1600 + 3200, 3200)
    result = figures(truth, predicted)
    assert result["overlap_precision"] == pytest.approx(100 / 3)
    assert result["overlap_recall"] == pytest.approx(50)
    assert result["overlap_f"] == pytest.approx(40)
    assert result["detected_75"] == 50


def test_each_object_is_matched_to_one_prediction_at_most():
    truth = blocks((20, 20, 40, 100))
    halves = blocks((20, 20, 40, 60), (20, 80, 40, 40))
    totals = score_frame(truth, halves).overlap
    assert (totals.matched_true, totals.predicted, totals.true) == (2400, 4000, 4000)


def test_an_object_in_two_pieces_is_over_segmented():
    result = figures(blocks((20, 20, 40, 100)), blocks((20, 20, 40, 50), (20, 70, 40, 50)))
    assert (result["over_segmented"], result["under_segmented"]) == (100, 0)


@pytest.mark.parametrize(
    ("pieces", "why"),
    [
        (((20, 20, 40, 80), (20, 100, 40, 20)), "the best IoU is 0.8"),
        (((20, 20, 40, 50), (20, 70, 40, 9)), "the second piece covers less than a tenth"),
        (((20, 20, 40, 50), (20, 90, 40, 60)), "the second piece lies half outside"),
        (((20, 20, 40, 50),), "there is one piece only"),
    ],
)
def test_what_is_not_over_segmented(pieces, why):
    assert figures(blocks((20, 20, 40, 100)), blocks(*pieces))["over_segmented"] == 0, why


def test_two_objects_under_one_mask_are_under_segmented():
    truth = blocks((20, 20, 40, 50), (20, 70, 40, 50), (200, 200, 50, 50))
    merged = blocks((20, 20, 40, 100), (200, 200, 50, 50))
    result = figures(truth, merged)
    assert result["under_segmented"] == pytest.approx(200 / 3)
    assert result["over_segmented"] == 0


def test_a_mask_over_less_than_half_of_the_neighbour_is_not_under_segmentation():
    truth = blocks((20, 20, 40, 50), (20, 70, 40, 50))
    assert figures(truth, blocks((20, 20, 40, 74)))["under_segmented"] == 0
    assert figures(truth, blocks((20, 20, 40, 75)))["under_segmented"] == 100


def test_boundary_band_is_the_diagonal_share_rounded_up():
    assert metrics.boundary_radius(384, 512) == 2
    assert metrics.boundary_radius(480, 640) == 3
    assert metrics.boundary_radius(96, 128) == 1


def test_contours_match_inside_the_band_only():
    truth = blocks((100, 100, 60, 60))
    assert figures(truth, blocks((100, 100, 60, 60), shift=2))["boundary_f"] == pytest.approx(100)
    # Beyond the band the two upright sides are lost, the level ones still agree.
    assert 40 < figures(truth, blocks((100, 100, 60, 60), shift=5))["boundary_f"] < 60


def test_contour_is_the_outermost_pixels_of_the_mask():
    mask = np.zeros((6, 7), bool)
    mask[1:6, 1:6] = True
    mask[3, 3] = False
    expected = mask.copy()
    expected[2:5, 2:5] = False
    np.testing.assert_array_equal(metrics.mask_contour(mask), expected)


@pytest.mark.parametrize("seed", range(5))
def test_boundary_totals_in_crops_equal_those_of_whole_images(seed):
    rng = np.random.default_rng(seed)
    truth, predicted = random_labels(rng, 12), random_labels(rng, 9)
    true_index, _ = metrics.compact_labels(truth)
    predicted_index, _ = metrics.compact_labels(predicted)
    matches = metrics.match_by_f(metrics.contingency(true_index, predicted_index))
    y, x = np.ogrid[-2:3, -2:3]
    disk = (x * x + y * y <= 4).astype(np.uint8)

    def edge(index, label):
        return metrics.mask_contour(index == label)

    def near(contour):
        return cv2.dilate(contour.astype(np.uint8), disk).astype(bool)

    expected = metrics.MatchTotals(
        sum(int((edge(predicted_index, j + 1) & near(edge(true_index, i + 1))).sum()) for i, j in matches),
        sum(int((edge(true_index, i + 1) & near(edge(predicted_index, j + 1))).sum()) for i, j in matches),
        sum(int(edge(predicted_index, k).sum()) for k in range(1, predicted_index.max() + 1)),
        sum(int(edge(true_index, k).sum()) for k in range(1, true_index.max() + 1)),
    )
    assert matches
    assert metrics.boundary_totals(true_index, predicted_index, matches) == expected


class TestIgnoredObjects:
    """Objects below 100 visible px at 512 x 384."""

    truth = blocks((20, 20, 60, 60), (200, 200, 9, 11))

    def test_they_are_not_missed(self):
        scores = score_frame(self.truth, blocks((20, 20, 60, 60)))
        assert scores.ignored_objects == 1
        assert len(scores.best_iou) == 1
        result = summarize([scores])
        assert result["recall_50"] == result["overlap_f"] == result["boundary_f"] == result["ar_100"] == 100

    def test_finding_them_is_no_false_positive(self):
        assert figures(self.truth, self.truth) == pytest.approx(
            figures(self.truth, blocks((20, 20, 60, 60))), nan_ok=True
        )

    def test_a_mask_mostly_beside_them_stays_a_false_positive(self):
        result = figures(self.truth, blocks((20, 20, 60, 60), (200, 200, 40, 40)))
        assert result["precision_50"] == 50
        assert result["overlap_precision"] < 75

    def test_a_mask_that_runs_over_one_is_as_good_as_one_that_leaves_it_out(self):
        truth = blocks((20, 20, 60, 60), (40, 40, 9, 9))
        over, around = blocks((20, 20, 60, 60)), blocks((20, 20, 60, 60), (40, 40, 9, 9))
        assert figures(truth, over) == pytest.approx(figures(truth, around), nan_ok=True)
        assert figures(truth, over)["mean_iou"] == 100

    def test_the_limit_scales_with_the_image(self):
        truth = blocks((20, 20, 60, 60), (200, 200, 10, 10))
        assert score_frame(truth, truth).ignored_objects == 0
        half = truth[::2, ::2]
        assert score_frame(half, half).ignored_objects == 0
        half = blocks((20, 20, 60, 60), (200, 200, 8, 8))[::2, ::2]
        assert score_frame(half, half).ignored_objects == 1

    def test_the_limit_can_be_set(self):
        assert score_frame(self.truth, self.truth, min_object_area=99).ignored_objects == 0


def test_sizes_follow_coco():
    names = metrics.size_names(np.array([100, 1023, 1024, 9215, 9216]))
    assert list(names) == ["small", "small", "medium", "medium", "large"]


def test_recall_by_size_counts_its_own_objects():
    truth = blocks((20, 20, 20, 20), (100, 100, 50, 50), (200, 200, 120, 120))
    result = figures(truth, blocks((100, 100, 50, 50), (200, 200, 120, 120)))
    assert [result[f"recall_50_{size}"] for size in metrics.SIZES] == [0, 100, 100]


def test_frames_without_objects_count_against_precision_and_not_for_recall():
    truth, nothing = blocks(*COLORED_BLOCKS), np.zeros((HEIGHT, WIDTH), np.uint16)
    good, false = score_frame(truth, truth), score_frame(nothing, blocks((20, 20, 60, 60)))
    result = summarize([good, false])
    assert (result["overlap_precision"], result["overlap_recall"], result["overlap_f"]) == (50, 100, 50)
    assert result["precision_50"] == 75
    assert result["recall_50"] == result["detected_75"] == 100
    assert summarize([good, score_frame(nothing, nothing)])["overlap_f"] == 100


def test_no_object_at_all_is_refused():
    nothing = np.zeros((HEIGHT, WIDTH), np.uint16)
    with pytest.raises(ValueError, match="no object that is large enough to count"):
        summarize([score_frame(nothing, nothing)])
    with pytest.raises(ValueError, match="no object"):
        metrics.objective([score_frame(nothing, nothing)])


@pytest.mark.parametrize("seed", range(3))
def test_ar_and_ap_agree_with_pycocotools_on_full_masks(seed):
    rng = np.random.default_rng(seed)
    truths = [random_labels(rng, 15) for _ in range(4)]
    moved = [np.roll(truth, shift, axis=1) for shift, truth in enumerate(truths)]
    # Half of the objects moved a little, the rest painted over by masks that have nothing to do with them.
    pairs = [
        (truth, np.where(near % 2 == 0, near, random_labels(rng, 19)))
        for truth, near in zip(truths, moved, strict=True)
    ]
    scores = [{k: float(rng.random()) for k in range(20)} for _ in pairs]
    result = summarize([score_frame(t, p, s, min_object_area=0) for (t, p), s in zip(pairs, scores, strict=True)])
    stats = direct_coco(pairs, scores)
    assert result["ar_100"] == pytest.approx(100 * stats[8])
    assert [result["ap"], result["ap_50"], result["ap_75"]] == pytest.approx(list(100 * stats[:3]))
    assert result["ar_100"] > 10


def direct_coco(pairs, scores):
    """COCOeval.stats of all masks, the long way round."""

    def entries(labels):
        return [
            (int(k), coco_mask.encode(np.asfortranarray(labels == k).astype(np.uint8)))
            for k in np.unique(labels)
            if k > 0
        ]

    annotations, detections = [], []
    for image, ((truth, predicted), score) in enumerate(zip(pairs, scores, strict=True)):
        for _, code in entries(truth):
            annotations.append(
                {"id": len(annotations) + 1, "image_id": image, "category_id": 1, "iscrowd": 0, "segmentation": code}
                | {"area": float(coco_mask.area(code)), "bbox": coco_mask.toBbox(code).tolist()}
            )
        for k, code in entries(predicted):
            detections.append({"image_id": image, "category_id": 1, "segmentation": code, "score": score[k]})
    coco = COCO()
    coco.dataset = {
        "info": {},
        "images": [{"id": k, "height": HEIGHT, "width": WIDTH} for k in range(len(pairs))],
        "categories": [{"id": 1, "name": "object"}],
        "annotations": annotations,
    }
    coco.createIndex()
    evaluation = COCOeval(coco, coco.loadRes(detections), "segm")
    evaluation.params.useCats = 0
    evaluation.evaluate()
    evaluation.accumulate()
    evaluation.summarize()
    return evaluation.stats


@settings(max_examples=50)
@given(arrays(np.int32, st.tuples(st.integers(1, 8), st.integers(1, 8)), elements=st.integers(0, 4)))
def test_run_length_codes_decode_to_their_masks(labels):
    index, ids = metrics.compact_labels(labels)
    codes = metrics.run_length_codes(index)
    assert len(codes) == len(ids)
    for code, label in zip(codes, ids, strict=True):
        np.testing.assert_array_equal(coco_mask.decode(code), labels == label)


def test_better_scores_on_better_masks_raise_ap():
    truth, predicted = blocks((20, 20, 60, 60)), blocks((20, 20, 60, 60), (200, 200, 60, 60))
    assert figures(truth, predicted, {1: 0.9, 2: 0.1})["ap"] == pytest.approx(100)
    assert figures(truth, predicted, {1: 0.1, 2: 0.9})["ap"] == pytest.approx(50)


@settings(max_examples=15)
@given(seed=st.integers(0, 2**32 - 1), objects=st.integers(1, 12), predictions=st.integers(0, 12))
def test_figures_are_percentages_and_do_not_depend_on_ids(seed, objects, predictions):
    rng = np.random.default_rng(seed)
    truth, predicted = random_labels(rng, objects)[::3, ::3], random_labels(rng, predictions)[::3, ::3]
    scores = {k: float(rng.random()) for k in range(1, predictions + 1)}
    frame = score_frame(truth, predicted, scores)
    true_names = np.concatenate([[0], 1 + rng.permutation(60000)[:objects]]).astype(np.uint16)
    names = np.concatenate([[0], 1 + rng.permutation(60000)[:predictions]]).astype(np.uint16)
    renamed = score_frame(true_names[truth], names[predicted], {int(names[k]): s for k, s in scores.items()})
    assert renamed.overlap.matched_true <= renamed.overlap.true
    assert np.sort(frame.best_iou) == pytest.approx(np.sort(renamed.best_iou))
    if len(frame.best_iou) == 0:
        return
    result = summarize([frame])
    assert result == pytest.approx(summarize([renamed]), nan_ok=True)
    for name, value in result.items():
        assert np.isnan(value) or -1e-9 <= value <= 100 + 1e-9, name
    assert 0 <= metrics.objective([frame]) <= 100


def test_objective_is_the_mean_of_three_figures():
    frame = score_frame(blocks(*COLORED_BLOCKS), blocks(*COLORED_BLOCKS[:2], shift=7))
    result = summarize([frame])
    expected = (result["overlap_f"] + result["boundary_f"] + result["recall_50"]) / 3
    assert metrics.objective([frame]) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("predicted", "message"),
    [
        (np.zeros((384, 511), np.uint16), r"\(384, 511\)"),
        (np.zeros((384, 512), np.float32), "float32; expected an integer"),
        (np.full((384, 512), -3, np.int32), "id -3"),
    ],
)
def test_maps_that_cannot_be_compared_are_refused(predicted, message):
    with pytest.raises(ValueError, match=message):
        score_frame(blocks(*COLORED_BLOCKS), predicted)


def test_counts_say_what_the_figures_rest_on():
    truth = blocks((20, 20, 20, 20), (200, 200, 120, 120), (300, 20, 5, 5))
    nothing = np.zeros_like(truth)
    count = metrics.counts([score_frame(truth, truth), score_frame(nothing, nothing)])
    assert count == {
        "frames": 2,
        "exhaustive_frames": 2,
        "frames_without_objects": 1,
        "objects": 2,
        "objects_small": 1,
        "objects_medium": 0,
        "objects_large": 1,
        "ignored_objects": 1,
        "predictions": 2,
    }
