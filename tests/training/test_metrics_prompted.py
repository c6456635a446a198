"""SAOM's own measure, one prompt an object, counted by hand."""

import numpy as np
import pytest

from tests.training.label_blocks import blocks
from training.metrics import counted_objects
from training.metrics.prompted import prompted_by_class, prompted_means, score_prompted

# Two mugs of 1600 and 400 px, and a book of 1600 px.
TRUTH = blocks((20, 20, 40, 40), (100, 20, 20, 20), (200, 20, 40, 40))
CLASSES = {1: "Mug", 2: "Mug", 3: "Book"}
ON_GRID = np.array([True, False, True])


def scored(*masks, truth=TRUTH, **options):
    return score_prompted(counted_objects(truth, **options), [mask > 0 for mask in masks], ON_GRID, CLASSES)


def test_pixels_of_a_class_are_added_up_before_they_are_divided():
    # The large mug is met, the small one gets a mask of 800 px that holds it, the book gets half of itself.
    frame = scored(blocks((20, 20, 40, 40)), blocks((100, 20, 20, 40)), blocks((200, 20, 40, 20)))
    figures = prompted_by_class([frame])
    assert figures["Mug"] == pytest.approx({"objects": 2, "iou": 100 * 2000 / 2400, "acc": 100})
    assert figures["Book"] == pytest.approx({"objects": 1, "iou": 50, "acc": 50})
    assert list(figures) == ["Book", "Mug"]


def test_means_are_over_classes_not_over_objects():
    frame = scored(blocks((20, 20, 40, 40)), blocks((100, 20, 20, 20)), np.zeros_like(TRUTH))
    means = prompted_means(prompted_by_class([frame, frame]))
    assert means == {"classes": 2, "objects": 6, "prompted_miou": 50, "prompted_macc": 50}


def test_means_of_wanted_classes_only():
    frame = scored(blocks((20, 20, 40, 40)), blocks((100, 20, 20, 20)), np.zeros_like(TRUTH))
    by_class = prompted_by_class([frame])
    assert prompted_means(by_class, {"Mug", "Teapot"})["prompted_miou"] == 100
    absent = prompted_means(by_class, {"Teapot"})
    assert absent["classes"] == absent["objects"] == 0
    assert np.isnan(absent["prompted_miou"])
    assert np.isnan(absent["prompted_macc"])


def test_empty_masks_score_nothing():
    nothing = np.zeros_like(TRUTH)
    means = prompted_means(prompted_by_class([scored(nothing, nothing, nothing)]))
    assert means["prompted_miou"] == means["prompted_macc"] == 0


def test_a_mask_over_everything_has_full_accuracy_and_little_iou():
    everything = np.ones_like(TRUTH)
    means = prompted_means(prompted_by_class([scored(everything, everything, everything)]))
    assert means["prompted_macc"] == 100
    assert means["prompted_miou"] < 2


def test_ignored_pixels_count_neither_for_nor_against():
    ignore = np.zeros(TRUTH.shape, bool)
    ignore[20:60, 60:200] = True
    beyond = scored(blocks((20, 20, 40, 180)), TRUTH == 2, TRUTH == 3, ignore=ignore)
    assert prompted_by_class([beyond])["Mug"]["iou"] == 100


def test_objects_too_small_to_count_are_not_asked():
    truth = blocks((20, 20, 40, 40), (100, 20, 20, 20), (200, 20, 40, 40), (300, 20, 5, 5))
    frame = scored(truth == 1, truth == 2, truth == 3, truth=truth)
    assert frame.classes == ["Mug", "Mug", "Book"]


def test_objects_without_a_name_are_one_class():
    frame = score_prompted(counted_objects(TRUTH), [np.equal(TRUTH, k) for k in (1, 2, 3)], ON_GRID, {})
    assert list(prompted_by_class([frame])) == ["Unknown"]


def test_every_object_needs_one_mask_of_the_frames_size():
    with pytest.raises(ValueError, match="1 masks and 3 prompts for 3 objects"):
        scored(TRUTH == 1)
    with pytest.raises(ValueError, match=r"mask of shape \(3, 3\)"):
        scored(np.zeros((3, 3)))
