"""Losses on masks small enough to count by hand."""

import pytest
import torch

from training.finetuning import losses

MASK = torch.zeros(1, 1, 8, 8)
MASK[..., 2:6, 2:6] = 1


def sure(mask):
    return (mask * 2 - 1) * 20


def test_a_perfect_mask_costs_nothing():
    assert losses.mask_bce(sure(MASK), MASK).item() == pytest.approx(0, abs=1e-6)
    assert losses.dice(sure(MASK), MASK).item() == pytest.approx(0, abs=1e-3)
    assert losses.mask_iou(sure(MASK), MASK).item() == 1


def test_iou_counts_cells():
    half = torch.zeros_like(MASK)
    half[..., 2:6, 2:4] = 1
    assert losses.mask_iou(sure(half), MASK).item() == 0.5


def test_an_empty_answer_has_iou_zero():
    assert losses.mask_iou(sure(torch.zeros_like(MASK)), MASK).item() == 0
    assert losses.mask_iou(sure(torch.zeros_like(MASK)), torch.zeros_like(MASK)).item() == 0


def test_small_objects_weigh_as_much_as_large_ones():
    small = torch.zeros_like(MASK)
    small[..., 3:5, 3:5] = 1
    undecided = torch.zeros_like(MASK)
    ratio = losses.mask_bce(undecided, small).item() / losses.mask_bce(undecided, MASK).item()
    assert 0.3 < ratio < 5


def test_the_focal_loss_is_the_published_one():
    """alpha 0.25 and gamma 2 at probability 0.5: positives 0.25 x 0.25 x ln 2, negatives three times that."""
    target = torch.zeros(1, 1, 2, 2)
    target[..., 0, 0] = 1
    expected = (0.25 + 3 * 0.75) * 0.25 * torch.log(torch.tensor(2.0)) / 4
    assert losses.mask_focal(torch.zeros(1, 1, 2, 2), target).item() == pytest.approx(expected.item(), rel=1e-5)


def test_boxes_of_masks_are_exclusive_and_in_pixels():
    assert losses.boxes_of_masks(MASK, 4).tolist() == [[[8.0, 8.0, 24.0, 24.0]]]
    assert losses.boxes_of_masks(torch.zeros_like(MASK), 4).tolist() == [[[0.0, 0.0, 0.0, 0.0]]]


@pytest.mark.parametrize(
    ("box", "expected"),
    [([0, 0, 4, 4], 0.0), ([0, 0, 4, 2], 0.5), ([4, 0, 8, 4], 1.0), ([8, 0, 12, 4], 4 / 3)],
)
def test_generalised_iou_of_boxes(box, expected):
    target = torch.tensor([0.0, 0.0, 4.0, 4.0])
    assert losses.box_giou(torch.tensor(box).float(), target).item() == pytest.approx(expected)


def test_objectness_loss_falls_when_the_peak_is_right():
    target = torch.zeros(1, 4, 4)
    target[0, 1, 2] = 1
    right, wrong = torch.full((1, 4, 4), -4.0), torch.full((1, 4, 4), -4.0)
    right[0, 1, 2] = 4
    wrong[0, 3, 0] = 4
    assert losses.objectness_focal(right, target) < 0.05 < losses.objectness_focal(wrong, target)
