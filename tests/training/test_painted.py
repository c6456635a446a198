"""Instances out of label maps and binary masks."""

import numpy as np
import pytest

from training.evaluation.painted import instances_of_labels, paint_masks


def block(top, left, bottom, right):
    mask = np.zeros((10, 20), bool)
    mask[top:bottom, left:right] = True
    return mask


def test_instances_are_sorted_by_score_with_boxes_and_areas_of_their_pixels():
    labels = np.zeros((10, 20), np.int32)
    labels[1:3, 2:5] = 1
    labels[4:9, 10:18] = 2
    instances = instances_of_labels(labels, np.array([0.3, 0.6]))
    assert instances.ids.tolist() == [1, 2]
    assert instances.areas.tolist() == [40, 6]
    assert instances.boxes.tolist() == [[10, 4, 18, 9], [2, 1, 5, 3]]
    assert instances.label_map[5, 12] == 1
    assert instances.label_map.dtype == np.uint16
    assert instances.scores.tolist() == pytest.approx([0.6, 0.3])
    assert instances.class_ids.tolist() == [-1, -1]


def test_a_pixel_goes_to_the_best_scored_mask():
    instances = paint_masks([block(0, 0, 8, 8), block(4, 4, 10, 20)], [0.5, 0.9], 10, 20, min_area=1)
    assert instances.scores.tolist() == pytest.approx([0.9, 0.5])
    assert instances.label_map[5, 5] == 1
    assert instances.label_map[1, 1] == 2
    assert instances.areas.tolist() == [96, 48]


def test_masks_that_own_too_few_pixels_are_dropped():
    hidden, speck = block(5, 5, 6, 6), block(0, 0, 1, 2)
    instances = paint_masks([block(4, 4, 10, 20), hidden, speck], [0.9, 0.8, 0.7], 10, 20, min_area=3)
    assert instances.ids.tolist() == [1]
    assert instances.label_map[0, 0] == 0


def test_no_mask_gives_no_instance():
    assert len(paint_masks([], [], 10, 20, min_area=1)) == 0
