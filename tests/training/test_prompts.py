"""Grid prompts and nearest-neighbour assignment."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from saom_ros.letterbox import Letterbox, grid_points
from training.assignment import assign_grid_points, depth_inside, labels_at, objectness_target
from training.finetuning.batches import Prompting
from training.finetuning.prompt_sampling import (
    NOT_ASKED,
    PromptSampling,
    assign_prompts,
    sample_ambiguous,
    sample_prompts,
)


def square(height=64, width=64, top=16, left=16, size=24, label=3):
    instances = np.zeros((height, width), np.uint16)
    instances[top : top + size, left : left + size] = label
    return instances


def whole_grid(height, width, stride=8):
    return grid_points(height // stride, width // stride, Letterbox.fit(height, width, height, width))


def test_an_object_gets_the_grid_point_nearest_to_its_pole():
    assignment = assign_grid_points(square(), whole_grid(64, 64))
    assert assignment.ids.tolist() == [3]
    assert assignment.areas.tolist() == [24 * 24]
    assert assignment.points.tolist() == [[28.0, 28.0]]
    assert assignment.on_grid.all()


def test_the_assigned_point_lies_inside_the_visible_mask_even_where_the_nearest_grid_point_does_not():
    # An L whose grid points nearest to the bounding box's centre lie outside it.
    instances = np.zeros((64, 64), np.uint16)
    instances[8:56, 8:14] = 1
    instances[50:56, 8:56] = 1
    assignment = assign_grid_points(instances, whole_grid(64, 64))
    assert labels_at(instances, assignment.points).tolist() == [1]


def test_an_object_without_a_grid_point_keeps_its_own_pole():
    instances = square(top=17, left=17, size=2)
    assignment = assign_grid_points(instances, whole_grid(64, 64))
    assert not assignment.on_grid.any()
    assert labels_at(instances, assignment.points).tolist() == [3]


def test_every_grid_point_can_be_assigned():
    """Prior and grid share one coordinate frame: an object around any grid point is assigned exactly that point."""
    grid = whole_grid(64, 96)
    for x, y in grid:
        instances = np.zeros((64, 96), np.uint16)
        instances[int(y) - 3 : int(y) + 4, int(x) - 3 : int(x) + 4] = 1
        assert assign_grid_points(instances, grid).points.tolist() == [[x, y]]


def test_objects_below_the_smallest_area_are_left_out():
    assert len(assign_grid_points(square(size=6), whole_grid(64, 64), min_area=37).ids) == 0


def test_depth_is_the_distance_to_another_label_or_the_edge():
    depth = depth_inside(square(top=10, left=10, size=21))
    assert depth[20, 20] == depth[10:31, 10:31].max()
    assert depth[10, 10] == 0
    assert depth_inside(np.ones((9, 9), np.uint16))[4, 4] > depth_inside(np.ones((9, 9), np.uint16))[0, 4]


def test_objectness_is_one_at_the_assigned_cell_and_cut_to_the_mask():
    instances = square()
    assignment = assign_grid_points(instances, whole_grid(64, 64))
    target = objectness_target(assignment, instances, 8)
    assert target.shape == (8, 8)
    assert target[3, 3] == 1
    assert (target == 1).sum() == 1
    assert (target[instances[4::8, 4::8] == 0] == 0).all()


def test_points_carry_the_id_of_what_lies_under_them():
    instances = square() + square(top=44, left=44, size=12, label=5)
    grid = whole_grid(64, 64)
    assignment = assign_grid_points(instances, grid)
    sampling = PromptSampling(objects=10, background=3)
    points, ids = sample_prompts(assignment, instances, grid, sampling, np.random.default_rng(0))
    assert points.shape == (13, 2)
    assert labels_at(instances, points).tolist() == ids.tolist()
    assert (ids == 0).sum() == 3
    assert set(ids.tolist()) == {0, 3, 5}


def test_an_object_is_asked_once_at_most_at_its_prompt_and_in_half_of_the_frames():
    """The centres of pixels are no points of this grid, so a point tells which of the two it is."""
    grid = whole_grid(64, 64)
    assignment = assign_grid_points(square(), grid)
    random, sampling = np.random.default_rng(0), PromptSampling(objects=5, background=0)
    drawn = [sample_prompts(assignment, square(), grid, sampling, random)[0] for _ in range(200)]
    at_prompt = np.array([(points == assignment.points[0]).all(1).sum() for points in drawn])
    assert set(at_prompt) == {0, 1}
    assert 70 < at_prompt.sum() < 130


@settings(max_examples=30)
@given(st.integers(0, 2**32 - 1))
def test_prompts_of_any_frame_match_the_label_under_them(seed):
    random = np.random.default_rng(seed)
    instances = np.kron(random.integers(0, 4, (4, 6)), np.ones((16, 16), int)).astype(np.uint16)
    grid = whole_grid(64, 96)
    assignment = assign_grid_points(instances, grid)
    points, ids = sample_prompts(assignment, instances, grid, PromptSampling(), random)
    assert labels_at(instances, points).tolist() == ids.tolist()
    assert labels_at(instances, assignment.points).tolist() == assignment.ids.tolist()


def test_a_frame_that_is_one_single_object_or_empty_still_gives_prompts():
    grid = whole_grid(64, 64)
    for value in (0, 7):
        instances = np.full((64, 64), value, np.uint16)
        assignment = assign_grid_points(instances, grid)
        _, ids = sample_prompts(assignment, instances, grid, PromptSampling(), np.random.default_rng(0))
        assert set(ids.tolist()) == {value}


@pytest.mark.parametrize("side", [32, 64])
def test_all_points_of_the_grid_that_inference_uses_can_be_assigned(side):
    """A prior in 224 px coordinates against a grid in 1024 px ones would reach 49 of 1024 points only."""
    box = Letterbox.fit(224, 224, 256, 256)
    grid = Prompting(PromptSampling(), 16, (side, side)).grid_of(box)
    np.testing.assert_array_equal(grid, grid_points(side, side, box))
    cells = np.arange(1, side * side + 1).reshape(side, side)
    instances = np.kron(cells, np.ones((256 // side, 256 // side), int)).astype(np.uint16)
    np.testing.assert_array_equal(assign_grid_points(instances, grid).points, grid)


def test_the_grid_has_one_point_per_embedding_cell_unless_it_is_configured():
    box = Letterbox.fit(64, 96, 64, 96)
    np.testing.assert_array_equal(Prompting(PromptSampling(), 8).grid_of(box), whole_grid(64, 96))


def thin_ring():
    """A square frame of 3 px thickness around (28, 28), whose pole lies left of its middle."""
    instances = square(top=17, left=17, size=22, label=1)
    instances[20:36, 20:36] = 0
    return instances


def test_as_published_the_nearest_grid_point_is_taken_whatever_it_lies_on():
    grid = whole_grid(64, 64)
    anywhere = assign_grid_points(thin_ring(), grid, inside=False)
    assert anywhere.on_grid.all()
    assert labels_at(thin_ring(), anywhere.points).tolist() == [0]
    inside = assign_grid_points(thin_ring(), grid)
    assert labels_at(thin_ring(), inside.points).tolist() == [1]


def test_the_prior_lies_on_the_object_itself_not_on_one_that_looks_alike():
    instances = square(top=2, left=2, size=20, label=1) + square(top=40, left=40, size=20, label=2)
    sampling = PromptSampling(assignment="centre")
    points = assign_prompts(instances, whole_grid(64, 64), sampling, np.random.default_rng(0)).points
    assert np.abs(points - [[12, 12], [50, 50]]).max() <= 1


def test_a_random_assignment_takes_any_visible_pixel():
    random, sampling = np.random.default_rng(0), PromptSampling(assignment="random")
    drawn = np.stack([assign_prompts(square(), whole_grid(64, 64), sampling, random).points[0] for _ in range(200)])
    assert (labels_at(square(), drawn) == 3).all()
    assert np.ptp(drawn, axis=0).min() > 20


def asked(instances, sampling, seed=0):
    grid, random = whole_grid(*instances.shape), np.random.default_rng(seed)
    return sample_prompts(assign_prompts(instances, grid, sampling, random), instances, grid, sampling, random)


def test_extra_points_can_be_other_grid_points_of_the_object():
    points, ids = asked(square(), PromptSampling(objects=40, background=0, extra="grid"))
    assert (ids == 3).all()
    assert (labels_at(square(), points) == 3).all()
    grid = {tuple(point) for point in whole_grid(64, 64).tolist()}
    found = {tuple(point) for point in points.tolist()}
    assert found <= grid
    assert len(found) == 9


def test_extra_points_of_an_object_between_grid_points_are_its_pixels():
    between = square(top=17, left=17, size=2)
    points, _ = asked(between, PromptSampling(objects=10, background=0, min_area=1, extra="grid"))
    assert (labels_at(between, points) == 3).all()


def test_without_extra_points_each_object_is_asked_once():
    instances = square() + square(top=44, left=44, size=12, label=5)
    points, ids = asked(instances, PromptSampling(objects=6, background=2, extra="none"))
    assert sorted(ids.tolist()) == [NOT_ASKED] * 4 + [0, 0, 3, 5]
    known = ids != NOT_ASKED
    assert (labels_at(instances, points)[known] == ids[known]).all()


def test_background_is_not_asked_where_none_is_wanted():
    for extra in ("pixels", "grid", "none"):
        sampling = PromptSampling(objects=6, background=0, extra=extra)
        assert 0 not in asked(square(), sampling)[1]
        assert set(asked(np.zeros((64, 64), np.uint16), sampling)[1].tolist()) == {NOT_ASKED}


def two_part_object():
    """Object 3 of a left part 11 and a right part 12, half as wide."""
    instances, parts = square(), square(label=11)
    parts[16:40, 32:40] = 12
    return instances, parts


def test_ambiguous_points_lie_on_their_part_or_whole_and_both_are_drawn():
    instances, parts = two_part_object()
    sampling = PromptSampling(objects=60)
    points, ids, part_ids = sample_ambiguous(instances, parts, sampling, np.random.default_rng(0))
    assert set(ids.tolist()) == {3}
    assert set(part_ids.tolist()) == {0, 11, 12}
    assert 15 < (part_ids == 0).sum() < 45
    of_part = part_ids > 0
    assert (labels_at(parts, points)[of_part] == part_ids[of_part]).all()
    assert (labels_at(instances, points) == ids).all()


def test_parts_below_the_smallest_area_are_no_targets():
    instances, parts = two_part_object()
    sampling = PromptSampling(objects=40, min_area=24 * 8 + 1)
    assert set(sample_ambiguous(instances, parts, sampling, np.random.default_rng(0))[2].tolist()) == {0, 11}


def test_a_frame_without_objects_asks_nothing_ambiguous():
    nothing = np.zeros((64, 64), np.uint16)
    points, ids, _ = sample_ambiguous(nothing, nothing, PromptSampling(objects=3), np.random.default_rng(0))
    assert points.shape == (3, 2)
    assert ids.tolist() == [NOT_ASKED] * 3
