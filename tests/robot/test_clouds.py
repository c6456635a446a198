"""Points of objects from depth: the right pixels, the right places, the right colours."""

import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from saom_ros.clouds import POINT, Intrinsics, object_points, project, unpacked_rgb
from saom_ros.errors import ImageError, SaomError

CAMERA = Intrinsics(fx=2.0, fy=4.0, cx=1.0, cy=0.5)


def picture(depth, labels=None):
    depth = np.array(depth, np.float32)
    labels = np.ones(depth.shape) if labels is None else np.array(labels)
    rgb = np.zeros((*depth.shape, 3), np.uint8)
    rgb[..., 0], rgb[..., 1] = np.indices(depth.shape)
    rgb[..., 2] = 200
    return depth, labels.astype(np.uint16), rgb


def test_x_points_right_y_down_and_z_forward_in_metres():
    points = object_points(*picture([[4.0, 4.0, 4.0], [2.0, 2.0, 2.0]]), CAMERA)
    assert points["x"].tolist() == [-2.0, 0.0, 2.0, -1.0, 0.0, 1.0]
    assert points["y"].tolist() == [-0.5] * 3 + [0.25] * 3
    assert points["z"].tolist() == [4.0] * 3 + [2.0] * 3


def test_only_objects_give_points_and_carry_their_ids():
    points = object_points(*picture([[1.0, 2.0], [3.0, 4.0]], [[0, 7], [65535, 0]]), CAMERA)
    assert points["z"].tolist() == [2.0, 3.0]
    assert points["label"].tolist() == [7, 65535]


@pytest.mark.parametrize("invalid", [np.nan, 0.0, -1.0, np.inf, -np.inf])
def test_invalid_depth_gives_no_point(invalid):
    points = object_points(*picture([[1.0, invalid, 2.0]]), CAMERA)
    assert points["z"].tolist() == [1.0, 2.0]


def test_the_stride_takes_every_nth_row_and_column_from_the_first_on():
    depth = np.arange(1, 36).reshape(5, 7)
    points = object_points(*picture(depth), CAMERA, stride=3)
    assert points["z"].tolist() == [1, 4, 7, 22, 25, 28]
    whole = object_points(*picture(depth), CAMERA)
    assert points.tolist() == [point for point in whole.tolist() if point[2] in (1, 4, 7, 22, 25, 28)]


def test_a_stride_below_one_is_a_defect():
    with pytest.raises(ValueError, match="stride is 0"):
        object_points(*picture([[1.0]]), CAMERA, stride=0)


def test_no_object_gives_an_empty_cloud():
    points = object_points(*picture([[1.0, 2.0]], [[0, 0]]), CAMERA)
    assert len(points) == 0
    assert points.dtype == POINT


def test_the_colour_bits_are_those_of_0x00rrggbb():
    depth, labels, rgb = picture([[1.0]])
    rgb[:] = (0x12, 0x34, 0x56)
    packed = object_points(depth, labels, rgb, CAMERA)["rgb"]
    assert int.from_bytes(packed.tobytes(), sys.byteorder) == 0x00123456
    assert unpacked_rgb(packed).tolist() == [[0x12, 0x34, 0x56]]


def test_a_point_has_the_colour_of_its_pixel():
    points = object_points(*picture(np.ones((3, 4)), np.eye(3, 4)), CAMERA)
    assert unpacked_rgb(points["rgb"]).tolist() == [[0, 0, 200], [1, 1, 200], [2, 2, 200]]


def test_depth_of_another_size_is_refused_with_both_sizes_and_the_mend():
    _, labels, rgb = picture(np.ones((480, 640)))
    with pytest.raises(ImageError, match=r"depth is 848x480, the image 640x480 pixels; .*align_depth"):
        object_points(np.ones((480, 848), np.float32), labels, rgb, CAMERA)


def test_a_label_map_of_another_size_is_refused():
    depth, _, rgb = picture(np.ones((2, 3)))
    with pytest.raises(ImageError, match="label map is 3x1, the image 3x2"):
        object_points(depth, np.ones((1, 3), np.uint16), rgb, CAMERA)


@settings(max_examples=50)
@given(
    fx=st.floats(50, 2000),
    fy=st.floats(50, 2000),
    cx=st.floats(-5, 20),
    cy=st.floats(-5, 20),
    stride=st.integers(1, 4),
    seed=st.integers(0, 99),
)
def test_every_point_projects_back_onto_a_pixel_of_its_object_and_depth(fx, fy, cx, cy, stride, seed):
    random = np.random.default_rng(seed)
    labels = random.integers(0, 4, (6, 8))
    depth, labels, rgb = picture(random.uniform(0.1, 20.0, labels.shape), labels)
    camera = Intrinsics(fx, fy, cx, cy)
    points = object_points(depth, labels, rgb, camera, stride)
    assert len(points) == np.count_nonzero(labels[::stride, ::stride])
    for x, y, z, _, label in points.tolist():
        column, row = project((x, y, z), camera)
        assert (column, row) == pytest.approx((round(column), round(row)), abs=1e-2)
        assert round(column) % stride == round(row) % stride == 0
        assert (z, label) == (depth[round(row), round(column)], labels[round(row), round(column)])


@pytest.mark.parametrize("z", [0.0, -1.0])
def test_a_point_behind_the_camera_has_no_pixel(z):
    with pytest.raises(SaomError, match="behind the camera"):
        project((0.0, 0.0, z), CAMERA)


@pytest.mark.parametrize("point", [(np.nan, 0, 1), (0, np.inf, 1), (0, 0, np.nan), (0, 0, np.inf)])
def test_a_point_that_is_not_finite_has_no_pixel(point):
    with pytest.raises(SaomError, match="not finite"):
        project(point, CAMERA)
