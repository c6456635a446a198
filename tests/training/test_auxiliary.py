"""Auxiliary tasks: edges of objects and of their parts, relative depth, classes."""

import torch

from training.classes import class_names
from training.finetuning.auxiliary import (
    IGNORED,
    OBJECT,
    PART,
    class_map,
    depth_loss,
    edge_loss,
    edge_targets,
    semantic_loss,
)

LABELS = torch.tensor([[[0, 0, 1, 1, 1, 2, -1]]])
PARTS = torch.tensor([[[0, 0, 7, 7, 8, 9, 0]]])


def test_both_sides_of_an_edge_are_edge_and_an_objects_end_is_no_edge_of_its_parts():
    targets, known = edge_targets(LABELS, PARTS)
    assert targets[0, OBJECT, 0].tolist() == [0, 1, 1, 0, 1, 1, 0]
    assert targets[0, PART, 0].tolist() == [0, 0, 0, 1, 0, 0, 0]
    assert known[0, 0, 0].tolist() == [True] * 6 + [False]


def test_edges_run_down_as_well_as_across():
    targets, _ = edge_targets(LABELS.transpose(1, 2), PARTS.transpose(1, 2))
    assert targets[0, OBJECT, :, 0].tolist() == [0, 1, 1, 0, 1, 1, 0]


def test_an_object_at_the_padding_has_no_edge_there():
    targets, _ = edge_targets(torch.tensor([[[0, 1, 1, -1]]]), torch.tensor([[[0, 7, 7, 0]]]))
    assert targets[0, OBJECT, 0].tolist() == [1, 1, 0, 0]
    assert targets[0, PART, 0].tolist() == [0, 0, 0, 0]


def test_parts_of_the_background_are_no_edges():
    targets, _ = edge_targets(torch.zeros(1, 1, 4, dtype=torch.int64), torch.tensor([[[1, 1, 2, 2]]]))
    assert targets.sum() == 0


def test_right_answers_cost_nothing_and_few_edges_weigh_as_much_as_many_others():
    targets, known = edge_targets(LABELS, PARTS)
    right = 40 * targets - 20
    assert edge_loss(right, targets, known) < 1e-6
    missed, invented = right.clone(), right.clone()
    missed[:, PART] = -20.0
    invented[:, PART] = torch.where(targets[:, PART] == 0, 20.0, right[:, PART])
    torch.testing.assert_close(edge_loss(missed, targets, known), edge_loss(invented, targets, known))


def test_the_padding_and_a_missing_kind_of_edge_say_nothing():
    targets, known = edge_targets(LABELS, PARTS)
    logits = 40 * targets - 20
    logits[..., -1] = 99.0
    assert edge_loss(logits, targets, known) < 1e-6
    plain = torch.zeros(1, 2, 3, 3)
    assert torch.isfinite(edge_loss(plain, plain, torch.ones(1, 1, 3, 3, dtype=torch.bool)))


def test_depth_counts_up_to_scale_and_shift_of_its_logarithm_and_where_it_is_known():
    depth = torch.tensor([[[500, 1000, 2000, 0, -1]]])
    right = 3 * depth.clamp(min=1).float().log() - 7
    right[..., 3:] = 99.0
    assert depth_loss(right, depth) < 1e-5
    assert depth_loss(-right, depth) > 1
    assert depth_loss(torch.zeros(1, 1, 5), torch.zeros(1, 1, 5)) == 0
    flat = torch.zeros(1, 1, 5, requires_grad=True)
    depth_loss(flat, depth).backward()
    assert torch.isfinite(flat.grad).all()


def test_classes_are_read_from_the_table_and_unknown_ones_are_ignored():
    labels = torch.tensor([[[0, 1, 2, 3, -1]]])
    background = len(class_names())
    assert class_map(labels, torch.tensor([[-1, 7, -1]])).tolist() == [[[background, 7, IGNORED, IGNORED, IGNORED]]]
    assert class_map(labels, torch.zeros(1, 0, dtype=torch.int64))[0, 0].tolist() == [background] + [IGNORED] * 4


def test_semantics_cost_nothing_where_right_and_are_finite_where_nothing_is_known():
    classes = torch.tensor([[[0, 2, IGNORED]]])
    logits = torch.zeros(1, 3, 1, 3)
    logits[0, 0, 0, 0] = logits[0, 2, 0, 1] = 30.0
    assert semantic_loss(logits, classes) < 1e-6
    assert semantic_loss(torch.zeros(1, 3, 1, 3), classes).item() == torch.tensor(3.0).log().item()
    assert semantic_loss(logits, torch.full((1, 1, 3), IGNORED)) == 0
