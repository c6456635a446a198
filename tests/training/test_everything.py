"""What everything mode asks and answers with grids and models of every kind."""

import dataclasses

import pytest
import torch

from training.sam.everything import EverythingMode, class_ids, prompt_rank
from training.sam.registry import build_model

STRIDE = 16


def grid(rows, cols, height=64, width=64):
    y, x = torch.meshgrid(
        (torch.arange(rows) + 0.5) * height / rows, (torch.arange(cols) + 0.5) * width / cols, indexing="ij"
    )
    return torch.stack([x, y], -1).reshape(1, -1, 2)


def cells(*peaks, value=2.0):
    """Objectness logits (1, 4, 4), low but at ``peaks``."""
    logits = torch.full((1, 4, 4), -5.0)
    for row, col in peaks:
        logits[0, row, col] = value
    return logits


def asked(objectness, rows, cols, **content):
    rank = prompt_rank(objectness, grid(rows, cols, **content), rows, cols, STRIDE)
    return [divmod(int(i), cols) for i in (rank[0] > 0.5).nonzero()]


def test_a_grid_of_one_point_a_cell_asks_the_peaks():
    assert asked(cells((0, 0), (2, 3)), 4, 4) == [(0, 0), (2, 3)]


def test_a_lower_neighbour_is_not_asked():
    objectness = cells((1, 1))
    objectness[0, 1, 2] = 1.0
    assert asked(objectness, 4, 4) == [(1, 1)]


@pytest.mark.parametrize("rows", [6, 8, 16])
def test_of_many_points_in_one_cell_one_is_asked(rows):
    assert len(asked(cells((1, 1)), rows, rows)) == 1


@pytest.mark.parametrize("rows", [6, 8, 16])
@pytest.mark.parametrize("second", [(2, 3), (2, 1), (1, 2), (3, 2), (3, 3), (1, 1)])
def test_a_finer_grid_asks_no_lower_cell_beside_the_peak(rows, second):
    objectness = cells((2, 2))
    objectness[0, second[0], second[1]] = 1.0
    assert len(asked(objectness, rows, rows)) == 1


def test_a_coarser_grid_asks_maxima_among_its_own_points():
    """Of two points of the grid the higher; a cell between them is higher still, but no point reads it."""
    objectness = cells((1, 1))
    objectness[0, 1, 3] = 1.0
    objectness[0, 1, 2] = 3.0
    assert asked(objectness, 2, 2) == [(0, 0)]


def test_the_grid_lies_over_the_content_of_a_letterbox():
    assert asked(cells((0, 0)), 4, 4, height=32) == [(0, 0)]


def test_rank_is_the_probability_of_the_cell():
    rank = prompt_rank(cells((1, 1)), grid(4, 4), 4, 4, STRIDE)
    torch.testing.assert_close(rank.max(), torch.tensor(2.0).sigmoid())


def test_a_class_below_half_is_unknown():
    logits = torch.tensor([[4.0, 0.0, 0.0], [0.1, 0.0, 0.0], [0.0, 0.0, 4.0]])
    assert class_ids(logits).tolist() == [0, -1, 2]


@pytest.fixture(scope="module")
def sam_small():
    torch.manual_seed(0)
    shape = {"encoder_channels": [16, 16, 16, 16], "image_size": 64, "classes": 3}
    model = build_model("sam_small", {**shape, "decoder": {"dim": 32, "mlp_dim": 64, "heads": 2}}).eval()
    with torch.no_grad():
        model.sam.mask_decoder.iou_prediction_head.layers[-1].bias.fill_(0.6)
    return model


def run(model, points, objectness=-1.0, overlap=1.0, max_prompts=8, grid=(8, 8)):
    graph = EverythingMode(model, 64, 64, grid, max_prompts, max_prompts)
    image = torch.randint(0, 256, (1, 64, 64, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    thresholds = (torch.tensor([value]) for value in (0.0, objectness, overlap))
    with torch.no_grad():
        return image, graph(image, points, *thresholds)


def test_a_separate_model_answers_its_points(sam_small):
    """With nothing suppressed, what comes out is what decoding the points gives."""
    points = torch.full((64, 2), -1.0)
    points[:3] = torch.tensor([[10.0, 12.0], [40.0, 8.0], [30.0, 55.0]])
    image, (masks, scores, _, classes) = run(sam_small, points)
    with torch.no_grad():
        decoded = sam_small.decode(sam_small.encode(image.permute(0, 3, 1, 2)), points[None, :3])
    expected = {tuple(mask.flatten().tolist()) for mask in (decoded.masks[0].sigmoid() * 255).round().to(torch.uint8)}
    used = scores > 0
    assert used.any()
    assert {tuple(mask.flatten().tolist()) for mask in masks[used]} <= expected
    assert set(classes[used].tolist()) <= {-1, 0, 1, 2}


def test_classes_stay_with_their_masks(sam_small):
    """Sorting by score twice moves classes along: each point's class is told by its place in the image."""

    class ClassByPlace(torch.nn.Module):
        objectness_stride = 16

        def encode(self, images):
            return sam_small.encode(images)

        def objectness(self, features):
            return sam_small.objectness(features)

        def decode(self, features, points):
            decoded = sam_small.decode(features, points)
            masks = torch.full_like(decoded.masks, -9.0)
            scores = torch.zeros_like(decoded.scores)
            for i, (x, y) in enumerate(points[0].int().tolist()):
                masks[0, i, y // 4, x // 4] = 9.0
                scores[0, i] = (x * 7 % 5) / 5
            classes = 9.0 * torch.nn.functional.one_hot((points[..., 0] // 16).long().clamp(0), 4)
            return dataclasses.replace(decoded, masks=masks, scores=scores, classes=classes)

    points = torch.full((64, 2), -1.0)
    points[:4, 0] = torch.tensor([10.0, 57.0, 25.0, 43.0])
    points[:4, 1] = 30.0
    _, (_, scores, boxes, classes) = run(ClassByPlace(), points)
    assert (scores > 0).sum() == 4
    assert (boxes[:4, 0] // 16).int().tolist() == classes[:4].tolist()


def test_the_whole_grid_can_be_asked(sam_small):
    _, (_, scores, _, _) = run(sam_small, grid(8, 8)[0], max_prompts=64)
    assert (scores > 0).sum() > 32
