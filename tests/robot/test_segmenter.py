import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from tiny_bundle import COLORS, color_blocks

from saom_ros import ImageError, SaomError, Segmenter
from saom_ros.bundle import Thresholds
from saom_ros.errors import BundleError
from saom_ros.segmenter import MAX_PIXELS, MAX_SIDE

names = list(COLORS)


def iou(a, b):
    return (a & b).sum() / (a | b).sum()


def centre_of(truth, color):
    y, x = np.nonzero(truth == names.index(color) + 1)
    return x.mean() + 0.5, y.mean() + 0.5


@pytest.mark.parametrize("size", [(96, 128), (480, 640), (720, 1280), (400, 300)])
def test_coloured_blocks_are_found_where_they_are(segmenter, size):
    rgb, truth = color_blocks(*size)
    instances = segmenter(rgb)
    assert sorted(instances.class_ids) == [0, 1, 2, 3]
    assert (np.diff(instances.scores) <= 0).all()
    for identifier, class_id in zip(instances.ids, instances.class_ids, strict=True):
        assert iou(instances.label_map == identifier, truth == class_id + 1) > 0.85


def test_an_image_without_objects_gives_none(segmenter):
    instances = segmenter(np.full((48, 64, 3), 128, np.uint8))
    assert len(instances) == 0
    assert not instances.label_map.any()


@pytest.mark.parametrize("color", names)
def test_a_prompt_finds_the_object_under_it_and_no_other(segmenter, color):
    rgb, truth = color_blocks(480, 640)
    instances = segmenter(rgb, points=[centre_of(truth, color)])
    assert [names[k] for k in instances.class_ids] == [color]


def test_several_prompts_find_their_objects(segmenter):
    rgb, truth = color_blocks(480, 640)
    points = np.array([centre_of(truth, "blue"), centre_of(truth, "green"), (1.0, 1.0)])
    assert sorted(segmenter(rgb, points=points).class_ids) == [1, 2]


def test_prompts_ignore_the_objectness_threshold(segmenter):
    rgb, truth = color_blocks(480, 640)
    segmenter.thresholds = Thresholds(score=0.3, objectness=1.0, overlap=0.5)
    assert len(segmenter(rgb)) == 0
    assert len(segmenter(rgb, points=[centre_of(truth, "red")])) == 1


def test_no_prompt_finds_nothing(segmenter):
    rgb, _ = color_blocks(48, 64)
    assert len(segmenter(rgb, points=np.zeros((0, 2)))) == 0


def test_thresholds_and_min_area_can_change_while_running(segmenter):
    rgb, _ = color_blocks(480, 640)
    everything = segmenter(rgb)
    assert len(everything) == 4
    segmenter.thresholds = Thresholds(score=float(everything.scores[1]) - 1e-4, objectness=0.5, overlap=0.5)
    assert len(segmenter(rgb)) == 2
    segmenter.min_area = int(everything.areas[0])
    assert segmenter(rgb).areas.tolist() == [everything.areas[0]]


@pytest.mark.parametrize("value", [0, -5, 1.5, True, "9"])
def test_a_senseless_min_area_is_refused(segmenter, value):
    with pytest.raises(SaomError, match=r"min_area is .*; it must be an integer of at least 1"):
        segmenter.min_area = value


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(st.integers(1, 150), st.integers(1, 150), st.integers(0, 2**32 - 1))
@example(1, 1, 0)
@example(1, 2000, 0)
@example(7000, 3, 0)
@example(3, 7000, 0)
@example(40000, 1, 0)
def test_any_image_size_gives_consistent_instances(segmenter, height, width, seed):
    generator = np.random.default_rng(seed)
    palette = np.array([*COLORS.values(), (128, 128, 128)], np.uint8)
    rgb = palette[generator.integers(0, len(palette), (height, width))]
    segmenter.min_area = 1
    instances = segmenter(rgb)
    assert instances.label_map.shape == (height, width)
    assert (
        np.bincount(instances.label_map.ravel(), minlength=len(instances) + 1)[1:].tolist() == instances.areas.tolist()
    )
    assert (instances.boxes[:, :2] >= 0).all()
    assert (instances.boxes[:, 2:] <= (width, height)).all()


@pytest.mark.parametrize(
    "view",
    [
        lambda rgb: rgb[::2, ::3],
        lambda rgb: rgb[::-1],
        lambda rgb: rgb[:, :, ::-1],
        lambda rgb: rgb.transpose(1, 0, 2),
        lambda rgb: np.asfortranarray(rgb),
        lambda rgb: np.dstack([rgb, rgb[:, :, :1]])[:, :, :3],
    ],
)
def test_views_give_what_their_copies_give(segmenter, view):
    image = view(color_blocks(120, 160)[0])
    image.setflags(write=False)
    assert (segmenter(image).label_map == segmenter(image.copy(order="C")).label_map).all()


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (None, "image is a NoneType; expected a numpy array"),
        ([[1, 2, 3]], "image is a list"),
        (np.zeros((4, 5), np.uint8), r"image has shape \(4, 5\); expected \(H, W, 3\)"),
        (np.zeros((4, 5, 4), np.uint8), r"image has shape \(4, 5, 4\)"),
        (np.zeros((1, 4, 5, 3), np.uint8), r"image has shape \(1, 4, 5, 3\)"),
        (np.zeros((4, 5, 3), np.float32), "image has dtype float32; expected uint8"),
        (np.zeros((4, 5, 3), np.uint16), "image has dtype uint16"),
        (np.zeros((4, 5, 3), bool), "image has dtype bool"),
        (np.zeros((0, 5, 3), np.uint8), "image is empty \\(5x0 px\\)"),
        (np.zeros((4, 0, 3), np.uint8), "image is empty \\(0x4 px\\)"),
        (
            np.broadcast_to(np.zeros((1, 1, 3), np.uint8), (1, MAX_PIXELS + 1, 3)),
            f"above the limit of {MAX_PIXELS} pixels; scale it down",
        ),
        (
            np.broadcast_to(np.zeros((1, 1, 3), np.uint8), (1, MAX_SIDE + 1, 3)),
            f"has a side above the limit of {MAX_SIDE} px; cut it in pieces",
        ),
    ],
)
def test_what_is_no_rgb_image_is_refused(segmenter, image, message):
    with pytest.raises(ImageError, match=message):
        segmenter(image)


@pytest.mark.parametrize(
    ("points", "message"),
    [
        ([[1, 2, 3]], r"points have shape \(1, 3\); expected \(N, 2\)"),
        ([1.0, 2.0], r"points have shape \(2,\)"),
        ([["a", "b"]], "points are .*; expected numbers"),
        ([[1, 2], [3]], "points are .*; expected numbers"),
        ([[np.nan, 2]], r"point \(nan, 2\) lies outside the image of 64x48 px"),
        ([[5, 5], [np.inf, 2]], r"point \(inf, 2\) lies outside"),
        ([[-0.5, 2]], r"point \(-0.5, 2\) lies outside"),
        ([[64, 2]], r"point \(64, 2\) lies outside"),
        ([[2, 48]], r"point \(2, 48\) lies outside"),
        ([[1, 1]] * 9, "9 points; this model takes at most 8"),
    ],
)
def test_senseless_points_are_refused(segmenter, points, message):
    with pytest.raises(ImageError, match=message):
        segmenter(np.zeros((48, 64, 3), np.uint8), points=points)


def test_integer_points_are_fine(segmenter):
    rgb, truth = color_blocks(480, 640)
    x, y = centre_of(truth, "red")
    assert len(segmenter(rgb, points=np.array([[int(x), int(y)]]))) == 1


def test_a_missing_bundle_is_named(tmp_path):
    with pytest.raises(BundleError, match="nowhere: no such model bundle"):
        Segmenter.load(tmp_path / "nowhere")


def test_a_runtime_that_returns_something_else_is_a_defect(segmenter):
    class Broken:
        name = "broken"

        def run(self, inputs):
            return {"masks": np.zeros(3)}

    with pytest.raises(ValueError, match="tensor masks is float64"):
        Segmenter(segmenter.config, Broken())(np.zeros((4, 5, 3), np.uint8))


def test_the_graph_gets_the_tensors_that_the_bundle_promises(segmenter):
    from saom_ros.runtimes.base import check_arrays, graph_inputs

    seen = {}

    class Spy:
        name = "spy"

        def run(self, inputs):
            seen.update(inputs)
            return inner.run(inputs)

    inner, segmenter.runtime = segmenter.runtime, Spy()
    rgb, _ = color_blocks(100, 200)
    segmenter(rgb)
    check_arrays(graph_inputs(segmenter.config), seen)
    assert all(array.flags.c_contiguous for array in seen.values())
    assert seen["points"].max(axis=0) == pytest.approx([124, 64 - 64 / 24])  # content is 128 x 64
    segmenter(rgb, points=[(100, 50)])
    check_arrays(graph_inputs(segmenter.config), seen)
    assert seen["points"][0].tolist() == [64, 32]
    assert (seen["points"][1:] == -1).all()
    assert seen["objectness_threshold"].tolist() == [-1]
