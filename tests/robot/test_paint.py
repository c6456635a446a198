import math

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from saom_ros.canvas import COARSEST, HALF, PIXELS_PER_CELL
from saom_ros.instances import Instances, paint
from saom_ros.letterbox import Letterbox

STRIDE = 4


def cells_box(mask):
    """The box that a graph gives: the cells above one half, in input pixels."""
    ys, xs = np.nonzero(mask > HALF)
    if len(ys) == 0:
        return [0.0, 0.0, 0.0, 0.0]
    return [STRIDE * float(v) for v in (xs.min(), ys.min(), xs.max() + 1, ys.max() + 1)]


def paint_masks(masks, scores, box, min_area=1, boxes=None, class_ids=None):
    masks = np.asarray(masks, np.uint8)
    boxes = [cells_box(mask) for mask in masks] if boxes is None else boxes
    class_ids = np.arange(len(masks)) if class_ids is None else class_ids
    return paint(
        masks,
        np.asarray(scores, np.float32),
        np.asarray(boxes, np.float32).reshape(-1, 4),
        np.asarray(class_ids, np.int32),
        box,
        min_area,
    )


def rectangle(rows, cols, shape=(8, 8), value=255):
    mask = np.zeros(shape, np.uint8)
    mask[rows, cols] = value
    return mask


# An image of the input's own size: one cell is 4 x 4 pixels.
PLAIN = Letterbox.fit(32, 32, 32, 32)


def test_a_block_of_cells_paints_its_pixels_with_rounded_corners():
    result = paint_masks([rectangle(slice(2, 5), slice(1, 7))], [0.9], PLAIN)
    expected = np.zeros((32, 32), bool)
    expected[8:20, 4:28] = True
    # Bilinear interpolation takes the corner pixel of a block: 0.625 * 0.625 < 0.5 at its centre.
    expected[[8, 8, 19, 19], [4, 27, 4, 27]] = False
    assert ((result.label_map == 1) == expected).all()
    assert result.boxes.tolist() == [[4, 8, 28, 20]]
    assert result.areas.tolist() == [expected.sum()]
    assert result.ids.tolist() == [1]
    assert result.class_ids.tolist() == [0]


def test_dtypes_and_shapes_are_those_documented():
    result = paint_masks([rectangle(slice(2, 5), slice(1, 7))], [0.9], PLAIN)
    assert (result.label_map.dtype, result.label_map.shape) == (np.uint16, (32, 32))
    assert (result.ids.dtype, result.scores.dtype, result.boxes.dtype) == (np.int32, np.float32, np.float32)
    assert (result.class_ids.dtype, result.areas.dtype) == (np.int32, np.int64)


def test_the_higher_score_wins_where_masks_overlap():
    wide, small = rectangle(slice(1, 7), slice(1, 7)), rectangle(slice(3, 5), slice(3, 5))
    result = paint_masks([wide, small], [0.5, 0.9], PLAIN)
    assert result.scores.tolist() == pytest.approx([0.9, 0.5])
    assert result.class_ids.tolist() == [1, 0]
    assert result.label_map[16, 16] == 1
    assert result.label_map[6, 6] == 2


def test_probability_times_score_decides_not_the_score_alone():
    sure, unsure = rectangle(slice(2, 6), slice(2, 6)), rectangle(slice(2, 6), slice(2, 6), value=140)
    result = paint_masks([unsure, sure], [0.9, 0.6], PLAIN)
    assert result.class_ids[result.label_map[16, 16] - 1] == 1


def test_more_objects_than_a_byte_can_tell_apart():
    box = Letterbox.fit(18 * 8, 18 * 8, 18 * 8, 18 * 8)
    places = [(2 * row, 2 * col) for row in range(18) for col in range(18)]
    masks = [rectangle(row, col, (36, 36)) for row, col in places]
    result = paint_masks(masks, np.linspace(1.0, 0.5, len(places)), box)
    centres = [result.label_map[4 * row + 2, 4 * col + 2] for row, col in places]
    assert centres == result.ids.tolist() == list(range(1, 325))


def test_pixels_at_or_below_one_half_belong_to_nobody():
    result = paint_masks([np.full((8, 8), 127)], [0.9], PLAIN, boxes=[[0, 0, 32, 32]])
    assert len(result) == 0
    assert not result.label_map.any()


def test_a_mask_is_painted_inside_its_box_only():
    result = paint_masks([np.full((8, 8), 255)], [0.9], PLAIN, boxes=[[12, 12, 20, 20]])
    padded = [8, 8, 24, 24]  # one cell around the box, for the contour's sake
    assert result.boxes.tolist() == [padded]
    inside = np.zeros((32, 32), bool)
    inside[8:24, 8:24] = True
    assert ((result.label_map == 1) == inside).all()


def test_the_contour_may_run_half_a_cell_outside_the_box():
    mask = rectangle(slice(2, 6), slice(2, 6), value=255)
    mask[2:6, 6] = 120  # below one half, yet the contour comes close to this cell's centre at x = 26
    result = paint_masks([mask], [0.9], PLAIN)
    assert cells_box(mask)[2] == 24
    assert result.boxes[0, 2] == 26


@pytest.mark.parametrize("boxes", [[[math.nan] * 4], [[0, 0, math.inf, 5]], [[9, 9, 3, 3]], [[500, 500, 900, 900]]])
def test_a_senseless_box_hides_its_mask(boxes):
    assert len(paint_masks([np.full((8, 8), 255)], [0.9], PLAIN, boxes=boxes)) == 0


@pytest.mark.parametrize("score", [0.0, -1.0, math.nan])
def test_unused_rows_are_ignored_whatever_they_hold(score):
    masks = np.full((2, 8, 8), 255)
    result = paint_masks(masks, [0.9, score], PLAIN, boxes=[[0, 0, 32, 32], [math.nan] * 4])
    assert result.class_ids.tolist() == [0]


def test_nothing_to_paint_gives_an_empty_label_map():
    result = paint_masks(np.zeros((0, 8, 8)), [], PLAIN)
    assert len(result) == 0
    assert result.label_map.shape == (32, 32)
    assert result.boxes.shape == (0, 4)


def test_pixels_of_a_dropped_object_go_to_the_next_best():
    # The speck has the better score and would punch a hole of 4 pixels into the plate.
    plate, speck = rectangle(slice(1, 7), slice(1, 7)), rectangle(slice(3, 4), slice(3, 4))
    whole = paint_masks([plate], [0.5], PLAIN)
    result = paint_masks([plate, speck], [0.5, 0.9], PLAIN, min_area=60)
    assert result.class_ids.tolist() == [0]
    assert (result.label_map == whole.label_map).all()


def test_objects_of_exactly_min_area_stay():
    mask = rectangle(slice(3, 5), slice(3, 5))
    area = int(paint_masks([mask], [0.9], PLAIN).areas[0])
    assert len(paint_masks([mask], [0.9], PLAIN, min_area=area)) == 1
    assert len(paint_masks([mask], [0.9], PLAIN, min_area=area + 1)) == 0


def test_an_image_at_the_end_of_the_content_is_not_eroded_by_the_padding():
    box = Letterbox.fit(30, 100, 96, 128)  # content 38 x 128: the last row of cells lies half in the padding
    mask = np.zeros((24, 32), np.uint8)
    mask[:9] = 255  # cells with centres inside the content
    result = paint_masks([mask], [0.9], box)
    assert result.areas[0] == 30 * 100


@pytest.mark.parametrize("size", [(384, 512), (480, 640), (720, 1280), (641, 479), (1000, 333), (200, 260)])
def test_a_disc_comes_back_where_it_was(size):
    # Cells hold the share of the disc's area, as a model trained on such masks gives. Half a cell of misalignment
    # would move the centroid by more than a pixel at each of these sizes.
    box = Letterbox.fit(*size, 384, 512)
    height, width = size
    radius, centre = 0.3 * min(size), (0.47 * width, 0.52 * height)
    fine = 32
    step = STRIDE / fine
    xs = ((np.arange(512 * fine // STRIDE) + 0.5) * step) / box.scale_xy[0]
    ys = ((np.arange(384 * fine // STRIDE) + 0.5) * step) / box.scale_xy[1]
    inside = (xs[None] - centre[0]) ** 2 + (ys[:, None] - centre[1]) ** 2 <= radius**2
    mask = np.rint(inside.reshape(96, fine, 128, fine).mean(axis=(1, 3)) * 255)
    result = paint_masks([mask], [0.9], box)

    y, x = np.nonzero(result.label_map)
    assert abs((x + 0.5).mean() - centre[0]) < 0.2
    assert abs((y + 0.5).mean() - centre[1]) < 0.2
    truth = (np.arange(width) + 0.5 - centre[0]) ** 2 + (np.arange(height)[:, None] + 0.5 - centre[1]) ** 2 <= radius**2
    iou = (truth & (result.label_map > 0)).sum() / (truth | (result.label_map > 0)).sum()
    assert iou > 0.98


def test_a_straight_edge_is_exact():
    # A half plane whose edge at x = 13 crosses cell 3 (12..16) at a quarter: bilinear interpolation has it exact.
    mask = np.zeros((8, 8), np.uint8)
    mask[:, :3], mask[:, 3] = 255, 64
    result = paint_masks([mask], [0.9], PLAIN)
    columns = (result.label_map > 0).any(axis=0)
    assert np.flatnonzero(columns).max() in (12, 13)


def places(image, content):
    """Where in the cells each image pixel is decided: at the centre of the canvas pixel that its own centre lies in."""
    cell = STRIDE * image / content  # image pixels
    finer = max(min(math.ceil(cell), PIXELS_PER_CELL), math.ceil(cell / COARSEST))
    last = max(math.ceil(content / STRIDE - 0.5) - 1, 0)
    centres = [(math.floor((pixel + 0.5) / cell * finer) + 0.5) / finer - 0.5 for pixel in range(image)]
    return [min(max(place, 0), last) for place in centres], last


def bilinear(mask, box):
    """Mask values at all image pixels, written as plainly as can be."""
    values = np.zeros((box.image_height, box.image_width))
    vs, last_y = places(box.image_height, box.content_height)
    us, last_x = places(box.image_width, box.content_width)
    for y, v in enumerate(vs):
        i, i1, b = int(v), min(int(v) + 1, last_y), v - int(v)
        for x, u in enumerate(us):
            j, j1, a = int(u), min(int(u) + 1, last_x), u - int(u)
            top = mask[i, j] * (1 - a) + mask[i, j1] * a
            values[y, x] = top * (1 - b) + (mask[i1, j] * (1 - a) + mask[i1, j1] * a) * b
    return values


def reference(masks, scores, box, min_area):
    """Label map by the rules of `paint`, and the margin by which the nearest decision was taken."""
    order = [k for k in np.argsort(-scores, kind="stable") if scores[k] > 0]
    values = [bilinear(masks[k].astype(float), box) for k in order]
    planes = [np.where(value > HALF, value * scores[k], 0.0) for value, k in zip(values, order, strict=True)]
    halves = [np.abs(value - HALF).min() for value in values]
    gaps = [np.abs(p - q)[(p > 0) & (q > 0)] for i, p in enumerate(planes) for q in planes[:i]]
    margin = min([math.inf, *halves, *(gap.min() for gap in gaps if gap.size)])

    def owners(alive):
        stack = np.stack([np.zeros((box.image_height, box.image_width)), *(planes[i] for i in alive)])
        return np.array([-1, *alive])[stack.argmax(axis=0)]

    alive = sorted(set(owners(range(len(planes))).ravel().tolist()) - {-1})
    for i in reversed(range(len(planes))):
        if i in alive and (owners(alive) == i).sum() < min_area:
            alive.remove(i)
    owner = owners(alive)
    return sum((owner == i) * number for number, i in enumerate(alive, start=1)) + np.zeros(owner.shape, int), margin


seeds = st.integers(0, 2**32 - 1)


def random_case(seed, count, height, width):
    generator = np.random.default_rng(seed)
    coarse = generator.integers(0, 256, (count, 2, 3))
    masks = np.repeat(np.repeat(coarse, 3, axis=1), 3, axis=2)[:, :6, :8]  # patches, not noise
    noise = generator.integers(-40, 41, masks.shape)
    scores = generator.permutation(np.linspace(0.0, 1.0, count + 1)[-count:]) if count else np.zeros(0)
    box = Letterbox.fit(height, width, 24, 32)
    return np.clip(masks + noise, 0, 255).astype(np.uint8), scores.astype(np.float32), box


# Sides from a part of a cell to many canvas pixels a cell.
@settings(max_examples=50)
@given(seeds, st.integers(1, 4), st.integers(1, 100), st.integers(1, 100), st.integers(1, 60))
def test_painting_follows_its_rules(seed, count, height, width, min_area):
    masks, scores, box = random_case(seed, count, height, width)
    whole = np.tile([0.0, 0.0, 32.0, 24.0], (count, 1))
    expected, margin = reference(masks, scores, box, min_area)
    assume(margin > 1e-3)  # ties within float32's rounding may go either way
    result = paint_masks(masks, scores, box, min_area, boxes=whole)
    assert (result.label_map == expected).all()


@given(seeds, st.integers(0, 6), st.integers(1, 60), st.integers(1, 60), st.integers(1, 60))
def test_what_is_listed_is_what_is_painted(seed, count, height, width, min_area):
    masks, scores, box = random_case(seed, count, height, width)
    result = paint_masks(masks, scores, box, min_area)
    count_found = len(result)
    assert result.label_map.shape == (height, width)
    assert result.ids.tolist() == list(range(1, count_found + 1))
    assert sorted(set(result.label_map.ravel().tolist()) - {0}) == result.ids.tolist()
    assert (np.diff(result.scores) <= 0).all()
    assert scores[result.class_ids].tolist() == result.scores.tolist()  # class k marks mask k
    for k, identifier in enumerate(result.ids):
        ys, xs = np.nonzero(result.label_map == identifier)
        assert result.areas[k] == len(ys) >= min_area
        assert result.boxes[k].tolist() == [xs.min(), ys.min(), xs.max() + 1, ys.max() + 1]


@given(seeds, st.integers(1, 60), st.integers(1, 60))
def test_boxes_of_the_cells_clip_no_contour(seed, height, width):
    masks, scores, box = random_case(seed, 1, height, width)
    whole = paint_masks(masks, scores, box, boxes=[[0, 0, 32, 24]])
    assert (paint_masks(masks, scores, box).label_map == whole.label_map).all()


def test_arguments_are_not_changed():
    masks, scores, box = random_case(5, 4, 40, 50)
    boxes = np.array([cells_box(m) for m in masks], np.float32)
    before = masks.copy(), scores.copy(), boxes.copy()
    for array in (masks, scores, boxes):
        array.setflags(write=False)
    paint(masks, scores, boxes, np.zeros(4, np.int32), box, 1)
    assert all((a == b).all() for a, b in zip((masks, scores, boxes), before, strict=True))


@pytest.mark.parametrize(
    ("masks", "scores", "boxes", "message"),
    [
        (np.zeros((2, 8, 8), np.float32), np.zeros(2), np.zeros((2, 4)), "masks are float32"),
        (np.zeros((8, 8), np.uint8), np.zeros(2), np.zeros((2, 4)), "expected uint8 \\(M, h/4, w/4\\)"),
        (np.zeros((2, 8, 8), np.uint8), np.zeros(3), np.zeros((2, 4)), "2 masks, but scores \\(3,\\)"),
        (np.zeros((2, 8, 8), np.uint8), np.zeros(2), np.zeros((2, 5)), "boxes \\(2, 5\\)"),
    ],
)
def test_arrays_that_do_not_fit_together_are_refused(masks, scores, boxes, message):
    with pytest.raises(ValueError, match=message):
        paint(masks, scores, boxes, np.zeros(2, np.int32), PLAIN, 1)


def test_empty_instances_have_the_image_size():
    empty = Instances.empty(5, 7)
    assert len(empty) == 0
    assert empty.label_map.shape == (5, 7)
    assert empty.boxes.shape == (0, 4)


def test_where_one_mask_outdoes_another_everywhere_only_it_paints():
    sure, weak = np.full((8, 8), 250, np.uint8), np.full((8, 8), 130, np.uint8)
    result = paint_masks([sure, weak], [0.9, 0.8], PLAIN)
    assert (result.label_map == 1).all()


def test_a_huge_image_has_no_coarse_stairs():
    box = Letterbox.fit(3200, 3200, 32, 32)  # a cell covers 400 pixels
    label_map = paint_masks([np.tri(8, dtype=np.uint8) * 255], [0.9], box).label_map
    changes = np.flatnonzero(np.diff((label_map > 0).sum(axis=1)))
    assert np.diff(changes).min() <= COARSEST


def test_pixels_can_be_looked_at_without_writing_the_map():
    found = paint_masks([rectangle(slice(2, 5), slice(1, 7))], [0.9], Letterbox.fit(200, 200, 32, 32))
    assert found.size == (200, 200)
    assert ((found.sampled(7) > 0) == (found.label_map[3::7, 3::7] > 0)).all()


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_other_ids_are_for_the_same_pixels(dtype):
    row = np.ones(2, np.float32)
    boxes = np.array([[0, 0, 1, 1], [1, 0, 2, 1]], np.float32)
    painted = Instances(np.array([[5, 3, 0]], dtype), np.array([5, 3], np.int32), row, boxes, row, row)
    other = painted.renumbered(np.array([65535, 1], np.int32))
    assert other.label_map.dtype == np.uint16
    assert other.label_map.tolist() == [[65535, 1, 0]]
    assert painted.label_map.tolist() == [[5, 3, 0]]
