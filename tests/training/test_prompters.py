"""Single prompts: bundles and torch models answer each point with its own mask, at the image's size."""

import numpy as np
import pytest
import torch

from saom_ros.bundle import BundleConfig, Grid, InputSize, Thresholds
from saom_ros.errors import SaomError
from saom_ros.segmenter import Segmenter
from tests.robot.tiny_bundle import color_blocks, write_tiny_bundle
from training.evaluation.frames import LabelledFrame
from training.evaluation.run import ask_each_object
from training.evaluation.systems import SegmenterPrompter, load_system
from training.evaluation.torch_prompter import TorchPrompter
from training.export import TorchRuntime
from training.metrics import counted_objects
from training.sam.everything import EverythingMode
from training.sam.registry import build_model

HEIGHT, WIDTH = 192, 256


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    return write_tiny_bundle(tmp_path_factory.mktemp("bundle"))


@pytest.fixture(scope="module")
def torch_segmenter():
    """A small model of random weights in everything mode at 96 x 64, and its segmenter."""
    torch.manual_seed(0)
    shape = {"encoder_channels": [8, 8, 8, 8], "embedding_dim": 16, "pixel_dim": 8}
    module = EverythingMode(build_model("small", shape), 64, 96, (8, 12), 16, 16).eval()
    config = BundleConfig(
        name="random",
        version="1",
        family="small",
        decoding="joint",
        input=InputSize(64, 96),
        grid=Grid(8, 12),
        max_prompts=16,
        max_instances=16,
        classes=(),
        thresholds=Thresholds(score=0.5, objectness=0.5, overlap=0.5),
        licence="Apache-2.0",
    )
    return module, Segmenter(config, TorchRuntime(module))


class Recorder:
    """Answers every prompt with nothing and remembers it."""

    def grid(self, height, width):
        return np.array([[24.0, 24.0], [72.0, 24.0], [200.0, 180.0]], np.float32)

    def masks(self, rgb, points):
        self.points = points
        return iter(np.zeros((len(points), *rgb.shape[:2]), bool))


def test_a_bundle_answers_each_point_with_the_object_under_it(bundle):
    system, _ = load_system(bundle)
    rgb, truth = color_blocks(HEIGHT, WIDTH)
    points = [np.argwhere(truth == label).mean(axis=0)[::-1] for label in (3, 1)]
    masks = list(system.prompter.masks(rgb, np.array(points, np.float32)))
    for mask, label in zip(masks, (3, 1), strict=True):
        assert (mask & (truth == label)).sum() / (mask | (truth == label)).sum() > 0.9


def test_thresholds_do_not_hide_the_answer_to_a_prompt(bundle):
    segmenter = Segmenter.load(bundle)
    segmenter.thresholds = Thresholds(score=1.0, objectness=1.0, overlap=0.5)
    segmenter.min_area = HEIGHT * WIDTH
    rgb, truth = color_blocks(HEIGHT, WIDTH)
    y, x = np.argwhere(truth == 1).mean(axis=0)
    (mask,) = SegmenterPrompter(segmenter).masks(rgb, np.array([[x, y]], np.float32))
    assert mask.any()
    assert segmenter.thresholds.score == 1.0


def test_the_grid_is_that_of_everything_mode_in_image_pixels(bundle):
    system, segmenter = load_system(bundle)
    grid = system.prompter.grid(HEIGHT, WIDTH)
    assert grid.shape == (segmenter.config.grid.rows * segmenter.config.grid.cols, 2)
    np.testing.assert_allclose(grid[[0, -1]], [[8, 8], [248, 184]])


def test_torch_and_segmenter_give_the_same_masks(torch_segmenter):
    """Also where the image is letterboxed."""
    module, segmenter = torch_segmenter
    rgb = np.random.default_rng(0).integers(0, 255, (80, 150, 3), np.uint8)
    points = np.array([[3.5, 4.5], [75.0, 40.0], [149.5, 79.5]], np.float32)
    together = list(TorchPrompter(module.model, segmenter).masks(rgb, points))
    single = list(SegmenterPrompter(segmenter).masks(rgb, points))
    assert len(together) == 3
    for fast, slow in zip(together, single, strict=True):
        assert fast.shape == (80, 150)
        assert (fast == slow).mean() > 0.999
    assert 0 < np.mean(together) < 1


def test_more_points_than_the_graph_takes_are_answered(torch_segmenter):
    module, segmenter = torch_segmenter
    rgb = np.zeros((64, 96, 3), np.uint8)
    points = np.random.default_rng(0).uniform(0, 64, (70, 2)).astype(np.float32)
    assert len(list(TorchPrompter(module.model, segmenter).masks(rgb, points))) == 70


def test_each_object_is_asked_at_its_nearest_inner_grid_point_or_its_own_deepest():
    truth = np.zeros((HEIGHT, WIDTH), np.uint16)
    truth[10:50, 10:90] = 4
    truth[100:140, 100:121] = 7
    frame = LabelledFrame("one", np.zeros((HEIGHT, WIDTH, 3), np.uint8), truth, {4: "Mug", 7: "Book"})
    recorder = Recorder()
    scores = ask_each_object(frame, counted_objects(truth), recorder)
    assert scores.classes == ["Mug", "Book"]
    assert scores.on_grid.tolist() == [True, False]
    assert recorder.points[0].tolist() in ([24, 24], [72, 24])
    assert truth[tuple(recorder.points[1].astype(int)[::-1])] == 7
    assert abs(recorder.points[1][0] - 110.5) <= 1
    assert scores.intersections.tolist() == [0, 0]


def test_a_checkpoint_that_is_none_is_refused(tmp_path):
    path = tmp_path / "model.ckpt"
    path.write_bytes(b"nothing")
    with pytest.raises(SaomError, match="not a readable checkpoint"):
        load_system(path)
