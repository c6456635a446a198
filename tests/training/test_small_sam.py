"""The small model and its everything-mode graph."""

from dataclasses import replace

import pytest
import torch

from saom_ros.errors import SaomError
from training.sam.everything import EverythingMode
from training.sam.model import Decoded, Features, cell_index
from training.sam.small import SmallSam, SmallSamConfig

CONFIG = SmallSamConfig(encoder_channels=(16, 16, 16, 16), embedding_dim=32, pixel_dim=16)


@pytest.fixture
def model():
    torch.manual_seed(0)
    return SmallSam(CONFIG).eval()


def test_shapes(model):
    features = model.encode(torch.zeros(2, 3, 64, 96))
    decoded = model.decode(features, torch.rand(2, 5, 2) * 60)
    assert features.embedding.shape == (2, 32, 8, 12)
    assert model.objectness(features).shape == (2, 8, 12)
    assert decoded.masks.shape == (2, 5, 16, 24)
    assert decoded.scores.shape == (2, 5)
    assert decoded.boxes.shape == (2, 5, 4)


def test_the_embedding_may_be_coarser_than_the_grid():
    model = SmallSam(replace(CONFIG, embedding_stride=16)).eval()
    features = model.encode(torch.rand(1, 3, 64, 96) * 255)
    assert features.embedding.shape == (1, 32, 4, 6)
    assert features.pixels.shape == (1, 16, 16, 24)
    assert model.objectness(features).shape == (1, 8, 12)
    point = torch.tensor([[[24.0, 40.0]]])

    def score(row, col):
        changed = replace(features, embedding=features.embedding.clone())
        changed.embedding[..., row, col] += 1
        return model.decode(changed, point).scores

    assert score(2, 1) != score(3, 3) == model.decode(features, point).scores


def test_a_deeper_decoder_sees_further():
    """Each 3x3 convolution reaches one cell of 4 px further."""
    torch.manual_seed(0)
    for layers in (1, 3):
        decoder = SmallSam(replace(CONFIG, pixel_layers=layers)).eval().pixel_decoder
        fine = torch.zeros(1, 16, 16, 16)
        fine[..., 8, 8] = 1
        changed = decoder(torch.zeros(1, 32, 8, 8), fine) - decoder(torch.zeros(1, 32, 8, 8), 0 * fine)
        reached = changed[0].abs().amax((0, 1)) > 1e-9
        assert reached.nonzero().flatten().tolist() == list(range(7 - layers, 10 + layers))


def test_a_decoder_without_layers_is_refused():
    with pytest.raises(SaomError, match="pixel_layers is 0; it must be at least 1"):
        SmallSam(replace(CONFIG, pixel_layers=0))


def test_each_prompt_is_answered_alone_whatever_is_asked_beside_it(model):
    features = model.encode(torch.rand(1, 3, 64, 64) * 255)
    points = torch.rand(1, 6, 2) * 64
    together, alone = model.decode(features, points), model.decode(features, points[:, 2:3])
    torch.testing.assert_close(together.masks[:, 2:3], alone.masks, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(together.scores[:, 2:3], alone.scores, rtol=1e-4, atol=1e-4)


def test_the_box_holds_its_point(model):
    features = model.encode(torch.rand(1, 3, 64, 64) * 255)
    points = torch.rand(1, 20, 2) * 64
    boxes = model.decode(features, points).boxes
    assert (boxes[..., :2] < points).all()
    assert (boxes[..., 2:] > points).all()


def test_points_read_the_cell_that_holds_them():
    points = torch.tensor([[[0.0, 0.0], [7.9, 7.9], [8.0, 7.9], [95.9, 63.9], [200.0, -3.0]]])
    assert cell_index(points, rows=8, cols=12, stride=8).tolist() == [[0, 0, 1, 95, 11]]


class TwoBlobs(torch.nn.Module):
    """Stands where the trained model does: objectness peaks and masks by construction."""

    objectness_stride = 8

    def encode(self, images):
        return Features(images[:, :1, ::8, ::8], images[:, :1, ::4, ::4])

    def objectness(self, features):
        logits = torch.full((1, 8, 8), -9.0)
        logits[0, 2, 2], logits[0, 2, 3], logits[0, 6, 6] = 3.0, 2.0, 1.0
        return logits

    def decode(self, features, points):
        count = points.shape[1]
        masks = torch.full((1, count, 16, 16), -9.0)
        for i, (x, _) in enumerate(points[0]):
            if x < 32:
                masks[0, i, 2:8, 2:8] = 9.0
            else:
                masks[0, i, 10:14, 11:15] = 9.0
        scores = torch.linspace(2, 1, count)[None]
        return Decoded(masks, scores, torch.zeros(1, count, 4))


@pytest.fixture
def everything():
    return EverythingMode(TwoBlobs(), 64, 64, (8, 8), max_prompts=8, max_instances=4)


def grid():
    y, x = torch.meshgrid(torch.arange(8) * 8.0 + 4, torch.arange(8) * 8.0 + 4, indexing="ij")
    return torch.stack([x, y], -1).reshape(-1, 2)


def run(graph, points=None, score=0.3, objectness=0.5, overlap=0.5):
    image = torch.zeros(1, 64, 64, 3, dtype=torch.uint8)
    thresholds = (torch.tensor([t]) for t in (score, objectness, overlap))
    return graph(image, grid() if points is None else points, *thresholds)


def test_each_object_comes_out_once_with_its_box(everything):
    masks, scores, boxes, class_ids = run(everything)
    assert (scores > 0).tolist() == [True, True, False, False]
    assert boxes[:2].tolist() == [[8, 8, 32, 32], [44, 40, 60, 56]]
    assert masks.shape == (4, 16, 16)
    assert masks.dtype == torch.uint8
    assert class_ids.tolist() == [-1] * 4


def test_only_local_maxima_of_objectness_are_asked(everything):
    """The cell beside the first peak is above the threshold, too, but is no maximum."""
    assert (run(everything, overlap=1.0)[1] > 0).sum() == 2


def test_duplicates_are_suppressed_by_overlap(everything):
    points = torch.full((64, 2), -1.0)
    points[:3] = torch.tensor([[4.0, 4.0], [12.0, 12.0], [50.0, 50.0]])
    assert (run(everything, points, objectness=-1.0)[1] > 0).sum() == 2
    assert (run(everything, points, objectness=-1.0, overlap=1.0)[1] > 0).sum() == 3


def test_prompted_mode_asks_every_valid_point_and_no_other(everything):
    points = torch.full((64, 2), -1.0)
    points[0] = torch.tensor([50.0, 50.0])
    _, scores, boxes, _ = run(everything, points, objectness=-1.0)
    assert (scores > 0).tolist() == [True, False, False, False]
    assert boxes[0].tolist() == [44, 40, 60, 56]


def test_thresholds_cut(everything):
    assert (run(everything, objectness=0.9)[1] > 0).sum() == 1
    assert (run(everything, score=0.99)[1] > 0).sum() == 0


def test_impossible_sizes_are_refused():
    with pytest.raises(ValueError, match="max_prompts 100"):
        EverythingMode(TwoBlobs(), 64, 64, (8, 8), max_prompts=100, max_instances=4)
