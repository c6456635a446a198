import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from saom_ros.letterbox import PAD_COLOR, Letterbox, grid_points, letterbox_image, letterbox_labels

boxes = st.builds(
    Letterbox.fit,
    st.integers(1, 4000),
    st.integers(1, 4000),
    st.integers(1, 32).map(lambda n: 32 * n),
    st.integers(1, 32).map(lambda n: 32 * n),
)
small_boxes = st.builds(
    Letterbox.fit, st.integers(1, 90), st.integers(1, 90), st.sampled_from([32, 64]), st.sampled_from([32, 96])
)


@pytest.mark.parametrize(
    ("image", "model_input", "content"),
    [
        ((480, 640), (384, 512), (384, 512)),  # 4:3 fills the input
        ((720, 1280), (384, 512), (288, 512)),  # wide: padding below
        ((1280, 720), (384, 512), (384, 216)),  # tall: padding at the right
        ((96, 128), (384, 512), (384, 512)),  # small images are enlarged
        ((7000, 3), (96, 128), (96, 1)),  # never less than a pixel
        ((1, 1), (96, 128), (96, 96)),
    ],
)
def test_content_is_the_largest_that_fits(image, model_input, content):
    box = Letterbox.fit(*image, *model_input)
    assert (box.content_height, box.content_width) == content


@given(boxes)
def test_content_fills_one_axis_and_stays_inside(box):
    assert 1 <= box.content_height <= box.input_height
    assert 1 <= box.content_width <= box.input_width
    assert box.content_height == box.input_height or box.content_width == box.input_width


@given(boxes)
def test_aspect_is_kept_to_a_pixel(box):
    scale = min(box.input_height / box.image_height, box.input_width / box.image_width)
    assert abs(box.content_height - max(box.image_height * scale, 1)) <= 0.5 + 1e-9
    assert abs(box.content_width - max(box.image_width * scale, 1)) <= 0.5 + 1e-9


@given(boxes, st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=1, max_size=5))
def test_points_survive_the_round_trip(box, fractions):
    points = np.array(fractions) * (box.image_width, box.image_height)
    np.testing.assert_allclose(box.to_image(box.to_input(points)), points, rtol=1e-12, atol=1e-9)


@given(boxes)
def test_image_corners_meet_content_corners(box):
    corners = box.to_input(np.array([[0, 0, box.image_width, box.image_height]]))
    np.testing.assert_allclose(corners, [[0, 0, box.content_width, box.content_height]], rtol=1e-12)


@given(boxes, st.integers(1, 40), st.integers(1, 40))
def test_grid_points_lie_inside_the_content(box, rows, cols):
    points = grid_points(rows, cols, box)
    assert points.shape == (rows * cols, 2)
    assert points.dtype == np.float32
    assert (points > 0).all()
    assert (points < (box.content_width, box.content_height)).all()


def test_grid_points_are_cell_centres_row_by_row():
    box = Letterbox.fit(100, 200, 64, 64)  # content 32 x 64
    assert grid_points(2, 2, box).tolist() == [[16, 8], [48, 8], [16, 24], [48, 24]]


@given(small_boxes, st.integers(0, 2**32 - 1))
def test_letterboxed_image_is_padded_with_the_mean_colour(box, seed):
    image = np.random.default_rng(seed).integers(0, 256, (box.image_height, box.image_width, 3), dtype=np.uint8)
    result = letterbox_image(image, box)
    assert result.shape == (box.input_height, box.input_width, 3)
    assert result.dtype == np.uint8
    assert (result[box.content_height :] == PAD_COLOR).all()
    assert (result[:, box.content_width :] == PAD_COLOR).all()


def test_an_image_of_the_input_size_passes_unchanged():
    image = np.random.default_rng(0).integers(0, 256, (96, 128, 3), dtype=np.uint8)
    assert (letterbox_image(image, Letterbox.fit(96, 128, 96, 128)) == image).all()


def test_shrinking_averages_pixels():
    image = np.zeros((64, 64, 3), np.uint8)
    image[:, ::2] = 200  # stripes of one pixel alias with any sampling that does not average
    assert (letterbox_image(image, Letterbox.fit(64, 64, 32, 32)) == 100).all()


@given(small_boxes, st.integers(0, 2**32 - 1), st.sampled_from([np.uint8, np.uint16, np.int32]))
def test_letterboxed_labels_are_the_labels_under_pixel_centres(box, seed, dtype):
    labels = np.random.default_rng(seed).integers(0, 200, (box.image_height, box.image_width)).astype(dtype)
    result = letterbox_labels(labels, box)
    assert result.dtype == dtype
    assert (result[box.content_height :] == 0).all()
    assert (result[:, box.content_width :] == 0).all()
    y, x = box.content_height // 2, box.content_width // 2
    source = box.to_image(np.array([[x + 0.5, y + 0.5]]))[0]
    if (np.abs(source - source.round()) > 1e-6).all():  # on a border between two pixels either is right
        assert result[y, x] == labels[int(source[1]), int(source[0])]


def test_letterboxed_labels_of_half_the_size():
    labels = np.arange(64 * 64, dtype=np.uint16).reshape(64, 64)
    assert (letterbox_labels(labels, Letterbox.fit(64, 64, 32, 32)) == labels[1::2, 1::2]).all()


@pytest.mark.parametrize("sizes", [(0, 5, 32, 32), (5, 0, 32, 32), (5, 5, 0, 32), (-1, 5, 32, 32)])
def test_sizes_below_one_are_refused(sizes):
    with pytest.raises(ValueError, match="sizes must be >= 1"):
        Letterbox.fit(*sizes)


def test_an_image_of_another_size_is_refused():
    with pytest.raises(ValueError, match=r"array is \(5, 6\), the letterbox is for \(5, 5\)"):
        letterbox_image(np.zeros((5, 6, 3), np.uint8), Letterbox.fit(5, 5, 32, 32))


def test_a_large_image_is_averaged_over_all_its_pixels():
    ramp = np.add.outer(np.arange(720) * 0.1, np.arange(1280) * 0.1)
    noise = np.random.default_rng(0).integers(-40, 41, ramp.shape)
    rgb = np.repeat(np.clip(ramp + noise + 40, 0, 255).astype(np.uint8)[..., None], 3, axis=2)
    box = Letterbox.fit(720, 1280, 288, 384)

    content = letterbox_image(rgb, box)[: box.content_height, : box.content_width, 0].astype(float)

    y, x = (np.arange(box.content_height) + 0.5) / 0.3, (np.arange(box.content_width) + 0.5) / 0.3
    expected = np.add.outer((y - 0.5) * 0.1, (x - 0.5) * 0.1) + 39.5
    assert abs((content - expected).mean()) < 0.5
    assert (content - expected).std() < 9, "about eight pixels of noise 23 are averaged"
