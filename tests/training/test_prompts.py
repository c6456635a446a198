"""Grid prompts and nearest-neighbour assignment."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from saom_ros.letterbox import Letterbox, grid_points
from training.prompts import (
    PromptSampling,
    assign_grid_points,
    depth_inside,
    labels_at,
    objectness_target,
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


def test_half_of_the_prompts_are_random_visible_pixels_and_all_carry_the_right_id():
    instances = square() + square(top=44, left=44, size=12, label=5)
    grid = whole_grid(64, 64)
    assignment = assign_grid_points(instances, grid)
    sampling = PromptSampling(objects=10, background=3)
    points, ids = sample_prompts(assignment, instances, grid, sampling, np.random.default_rng(0))
    assert points.shape == (13, 2)
    assert labels_at(instances, points).tolist() == ids.tolist()
    assert (ids == 0).sum() == 3
    assert set(ids.tolist()) == {0, 3, 5}


@settings(max_examples=30, deadline=None)
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
