"""What answers cost, on masks of 4 x 4 cells that can be counted by hand."""

import math

import pytest
import torch

from training.finetuning.answer_losses import Answers, Truth, answer_losses, truth_of
from training.finetuning.batches import Batch
from training.finetuning.config import LossWeights

PUBLISHED = LossWeights(mask=0, dice=1, focal=1, box=0, classes=1, score=0, objectness=0, over="images")
LEFT = torch.tensor([[1.0, 1, 0, 0]]).expand(4, 4)
TOP = LEFT.T
NOTHING = torch.zeros(4, 4)


def truth(*masks, asked=None, classes=None):
    stacked = torch.stack(masks)[None]
    count = len(masks)
    asked = torch.ones(1, count) if asked is None else torch.tensor([asked]).float()
    classes = torch.full((1, count), -1) if classes is None else torch.tensor([classes])
    return Truth(stacked, asked, torch.ones(1, 1, 4, 4), classes)


def answers(*masks, scores=None, classes=None):
    """Sure answers, each point with its masks."""
    given = torch.stack([torch.stack(row) for row in masks])[None]
    scores = torch.zeros(given.shape[:3]) if scores is None else torch.tensor([scores])
    return Answers(given * 40 - 20, scores, classes=classes)


def test_a_right_answer_costs_nothing():
    found = answer_losses(answers([LEFT], scores=[[20.0]]), truth(LEFT), LossWeights())
    assert found["iou"] == 1
    assert {name: round(found[name].item(), 5) for name in ("mask", "dice", "score")} == {
        "mask": 0,
        "dice": 0,
        "score": 0,
    }


def test_losses_of_weight_zero_are_left_out():
    assert set(answer_losses(answers([LEFT]), truth(LEFT), PUBLISHED)) == {"dice", "focal", "iou"}


def test_the_published_mix_sums_over_an_images_masks_ours_is_a_mean():
    wrong = answers([TOP], [TOP], [TOP])
    right = truth(LEFT, LEFT, LEFT)
    one = answer_losses(answers([TOP]), truth(LEFT), PUBLISHED)["dice"]
    assert answer_losses(wrong, right, PUBLISHED)["dice"].item() == pytest.approx(3 * one.item())
    assert answer_losses(wrong, right, LossWeights())["dice"].item() == pytest.approx(one.item())


def test_the_score_learns_the_true_iou_and_zero_on_background():
    half = answers([LEFT * TOP], [LEFT], scores=[[0.0], [0.0]])
    found = answer_losses(half, truth(LEFT, NOTHING), LossWeights())
    assert found["score"].item() == pytest.approx((0 + 0.5**2) / 2)  # 0.5 is the true IoU of the first, 0 of the second


def test_masks_learn_nothing_from_background_and_points_that_fill_up():
    wrong = answers([LEFT], [LEFT], scores=[[5.0], [5.0]])
    found = answer_losses(wrong, truth(NOTHING, NOTHING, asked=[0, 0]), LossWeights())
    assert all(found[name] == 0 for name in ("mask", "dice", "score", "iou"))


def test_of_three_masks_the_best_learns_and_each_score_learns_its_own_iou():
    three = answers([TOP, LEFT, NOTHING], scores=[[0.0, 0.0, 0.0]])
    three.masks.requires_grad_()
    found = answer_losses(three, truth(LEFT), LossWeights())
    assert found["iou"] == 1
    assert found["score"].item() == pytest.approx(((0.5 - 1 / 3) ** 2 + 0.5**2 + 0.5**2) / 3)
    (found["mask"] + found["dice"]).backward()
    learned = three.masks.grad.abs().amax((0, 1, 3, 4)) > 0
    assert learned.tolist() == [False, True, False]


def test_classes_are_learned_where_they_are_known():
    """Class 7 is beyond a head of two classes, -1 is unknown, the last object's class is 1."""
    logits = torch.zeros(1, 3, 2)
    said = answers([LEFT], [LEFT], [LEFT], classes=logits)
    found = answer_losses(said, truth(LEFT, LEFT, LEFT, classes=[7, -1, 1]), LossWeights(classes=1))
    assert found["classes"].item() == pytest.approx(math.log(2))
    none = answer_losses(said, truth(LEFT, LEFT, LEFT), LossWeights(classes=1))
    assert none["classes"] == 0


def batch(**changes):
    labels = (LEFT * 5).int()[None]
    values = {
        "labels": labels,
        "points": torch.zeros(1, 4, 2),
        "point_ids": torch.tensor([[5, 0, -1, 9]]),
        "grid": torch.zeros(1, 1, 2),
        "objectness": torch.zeros(1, 1, 1),
        "classes": torch.tensor([[-1, -1, -1, -1, -1, 2]]),
    }
    return Batch(**(values | changes))


def test_truth_is_the_instance_background_or_nothing():
    """Instance 9 has no mask cell here: its point is not asked, for 0 would be a wrong score."""
    found = truth_of(batch(), batch().point_ids)
    assert torch.equal(found.masks[0, 0], LEFT)
    assert not found.masks[0, 1:].any()
    assert found.asked.tolist() == [[1, 1, 0, 0]]
    assert found.classes.tolist() == [[2, -1, -1, -1]]


def test_finer_labels_are_the_truth_where_a_batch_has_them():
    fine = torch.zeros(1, 8, 8, dtype=torch.int32)
    fine[:, 1:5, 2:7] = 5
    found = truth_of(batch(fine_labels=fine), torch.tensor([[5]]))
    assert torch.equal(found.masks[0, 0], (fine[0] == 5).float())
    assert found.stride == 2
    boxes = torch.tensor([[[4.0, 2.0, 14.0, 10.0]]])  # px
    right = Answers(found.masks[:, :, None] * 40 - 20, torch.full((1, 1, 1), 20.0), boxes)
    costs = answer_losses(right, found, LossWeights())
    assert {name: round(costs[name].item(), 4) for name in ("mask", "dice", "box", "score")} == {
        "mask": 0,
        "dice": 0,
        "box": 0,
        "score": 0,
    }


def test_truth_is_the_part_where_one_was_drawn():
    parts = (LEFT * TOP * 31).int()[None]
    ids, part_ids = torch.tensor([[5, 5]]), torch.tensor([[31, 0]])
    found = truth_of(batch(parts=parts), ids, part_ids)
    assert torch.equal(found.masks[0, 0], LEFT * TOP)
    assert torch.equal(found.masks[0, 1], LEFT)


def test_nothing_is_learned_in_the_padding():
    padded = truth_of(batch(labels=torch.where(TOP.bool(), (LEFT * 5).int(), -1)[None]), torch.tensor([[5]]))
    everywhere = Answers(torch.full((1, 1, 1, 4, 4), 5.0, requires_grad=True), torch.zeros(1, 1, 1))
    found = answer_losses(everywhere, padded, LossWeights())
    found["mask"].backward()
    assert not everywhere.masks.grad[0, 0, 0, 2:].any()
    assert everywhere.masks.grad[0, 0, 0, :2].any()
