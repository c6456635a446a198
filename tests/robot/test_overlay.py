import itertools

import cv2
import numpy as np
import pytest

from saom_ros.instances import Instances
from saom_ros.overlay import draw_labels, draw_overlay, id_color


def two_squares(size=200):
    label_map = np.zeros((size, size), np.uint16)
    label_map[20:90, 20:120] = 1
    label_map[110:190, 60:180] = 2
    return Instances(
        label_map=label_map,
        ids=np.array([1, 2], np.int32),
        scores=np.array([0.9, 0.6], np.float32),
        boxes=np.array([[20, 20, 120, 90], [60, 110, 180, 190]], np.float32),
        class_ids=np.array([0, -1], np.int32),
        areas=np.array([7000, 9600], np.int64),
    )


def test_objects_take_the_colour_of_their_id_and_the_background_none():
    gray = np.full((200, 200, 3), 100, np.uint8)
    drawn = draw_labels(gray, two_squares().label_map)
    assert drawn.dtype == np.uint8
    np.testing.assert_allclose(drawn[50, 60], 0.6 * 100 + 0.4 * np.array(id_color(1)), atol=1)
    np.testing.assert_allclose(drawn[150, 100], 0.6 * 100 + 0.4 * np.array(id_color(2)), atol=1)
    assert drawn[5, 5].tolist() == [60, 60, 60]


def test_outlines_are_lighter_than_the_tint_and_lie_inside():
    drawn = draw_labels(np.full((200, 200, 3), 100, np.uint8), two_squares().label_map).astype(int)
    assert drawn[20, 60].sum() > drawn[50, 60].sum()
    assert drawn[19, 60].tolist() == [60, 60, 60]


def test_the_image_is_not_changed():
    image = np.full((200, 200, 3), 100, np.uint8)
    image.setflags(write=False)
    draw_overlay(image, two_squares(), ("mug",))
    assert (image == 100).all()


def test_an_id_keeps_its_colour():
    label_map = two_squares().label_map
    alone = np.where(label_map == 2, label_map, 0)
    image = np.zeros((200, 200, 3), np.uint8)
    assert (draw_labels(image, alone)[150, 100] == draw_labels(image, label_map)[150, 100]).all()


def test_neighbouring_ids_are_easy_to_tell_apart():
    def lab(identifier):
        return cv2.cvtColor(np.array([[id_color(identifier)]], np.float32) / 255, cv2.COLOR_RGB2Lab)[0, 0]

    for k in range(1, 65):
        distances = [np.linalg.norm(lab(k) - lab(k + step)) for step in (1, 2)]
        assert min(distances) > 30, k
    assert len({id_color(k) for k in range(1, 200)}) > 190


def test_tags_are_drawn_for_objects_with_room_only():
    instances = two_squares()
    image = np.full((200, 200, 3), 100, np.uint8)
    plain = draw_overlay(image, instances, tags=False)
    tagged = draw_overlay(image, instances, ("mug",))
    changed = (plain != tagged).any(axis=2)
    assert changed[20:90, 20:120].any()
    assert changed[110:190, 60:180].any()
    instances.boxes[:] = [[20, 20, 23, 23], [60, 110, 62, 190]]
    assert (draw_overlay(image, instances, ("mug",)) == plain).all()


@pytest.mark.parametrize("size", itertools.product((1, 2, 37), (1, 500)))
def test_any_size_can_be_drawn(size):
    label_map = np.full(size, 65535, np.uint16)
    label_map[:, 1:] = 3
    instances = Instances.empty(*size)
    instances.label_map, instances.ids, instances.scores = label_map, np.array([3]), np.array([0.5])
    instances.boxes, instances.class_ids = np.array([[0, 0, size[1], size[0]]]), np.array([7])
    assert draw_overlay(np.zeros((*size, 3), np.uint8), instances, ("mug",)).shape == (*size, 3)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int32, np.int64])
def test_any_integer_label_map_can_be_drawn(dtype):
    assert draw_labels(np.zeros((4, 4, 3), np.uint8), np.eye(4, dtype=dtype)).any()


def test_sizes_that_differ_are_refused():
    with pytest.raises(ValueError, match=r"image is \(4, 4\), label map \(4, 5\)"):
        draw_labels(np.zeros((4, 4, 3), np.uint8), np.zeros((4, 5), int))
