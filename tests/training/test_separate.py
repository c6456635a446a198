"""SAM with separate decoding: our way through SAM's layers answers as SAM itself does."""

import copy

import numpy as np
import pytest
import torch
from segment_anything import SamAutomaticMaskGenerator, SamPredictor
from segment_anything.modeling.common import LayerNorm2d as StockLayerNorm2d

from saom_ros.errors import SaomError
from tests.training.tiny_sam import TINY_SAM
from training.sam import separate
from training.sam.layer_norm import LayerNorm2d, replace_layer_norms
from training.sam.model import Features
from training.sam.registry import build_model
from training.sam.separate import quality_logits

SHAPES = {
    "sam_small": {**TINY_SAM, "classes": 5},
    "vit_b": {"image_size": 64, "depth": 2},
    "mobile_sam": {"image_size": 64},
}


def build(family, **changes):
    torch.manual_seed(0)
    model = build_model(family, {**SHAPES[family], **changes}).eval()
    with torch.no_grad():  # qualities inside 0..1, each its own
        model.sam.mask_decoder.iou_prediction_head.layers[-1].bias.copy_(torch.linspace(0.3, 0.6, 4))
    return model


@pytest.fixture(scope="module")
def model():
    return build("sam_small")


@pytest.fixture(scope="module")
def features(model):
    with torch.no_grad():
        return model.encode(torch.rand(2, 3, 64, 64) * 255)


def picture():
    return np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)


@pytest.mark.parametrize("family", SHAPES)
def test_answers_are_those_of_sams_own_predictor(family):
    """Our point (x, y) is the predictor's (x - 0.5, y - 0.5): it counts from the centre of the first pixel."""
    model = build(family)
    predictor = SamPredictor(model.sam)
    predictor.set_image(picture())
    with torch.inference_mode():
        features = model.encode(torch.from_numpy(picture()).permute(2, 0, 1)[None])
        for point in np.array([[20.0, 30.5], [0.5, 63.5], [41.25, 7.0]]):
            prompt = {"point_coords": point[None] - 0.5, "point_labels": np.ones(1), "return_logits": True}
            _, _, whole = predictor.predict(**prompt, multimask_output=False)
            _, quality, three = predictor.predict(**prompt, multimask_output=True)
            asked = torch.from_numpy(point)[None, None]
            decoded, (masks, scores) = model.decode(features, asked), model.decode_every(features, asked)
            np.testing.assert_allclose(decoded.masks[0], whole, atol=1e-4)
            np.testing.assert_allclose(masks[0, 0], np.concatenate([whole, three]), atol=1e-4)
            np.testing.assert_allclose(scores[0, 0, 1:].sigmoid(), quality, atol=1e-5)


def test_each_quarter_of_an_embedding_cell_has_its_own_objectness(model):
    """Small objects lie closer together than 16 px, and so do grid points of a fine grid."""
    embedding = torch.zeros(1, 32, 4, 4)
    with torch.no_grad():
        quarters = model.objectness(Features(embedding))[0, 2:4, 2:4].flatten()
    assert len(set(quarters.tolist())) == 4


def test_shapes(model, features):
    decoded = model.decode(features, torch.rand(2, 3, 2) * 64)
    assert model.objectness(features).shape == (2, 8, 8)
    assert decoded.masks.shape == (2, 3, 16, 16)
    assert decoded.scores.shape == (2, 3)
    assert decoded.classes.shape == (2, 3, 5)
    assert decoded.boxes is None
    masks, scores = model.decode_every(features, torch.rand(2, 3, 2) * 64)
    assert masks.shape == (2, 3, 4, 16, 16)
    assert scores.shape == (2, 3, 4)


def test_a_model_without_classes_answers_none():
    model = build("sam_small", classes=0)
    with torch.inference_mode():
        assert model.decode(model.encode(torch.zeros(1, 3, 64, 64)), torch.zeros(1, 1, 2)).classes is None


def test_chunks_change_nothing(model, features, monkeypatch):
    points = torch.rand(2, 7, 2) * 64
    whole = model.decode(features, points)
    monkeypatch.setattr(separate, "PROMPT_CHUNK", 3)
    chunked = model.decode(features, points)
    for name in ("masks", "scores", "classes"):
        torch.testing.assert_close(getattr(chunked, name), getattr(whole, name), rtol=1e-4, atol=1e-5)


def test_each_image_is_answered_from_its_own_embedding(model, features):
    points = torch.rand(1, 2, 2).expand(2, -1, -1) * 64
    both = model.decode(features, points).masks
    second = model.decode(type(features)(features.embedding[1:]), points[1:]).masks
    torch.testing.assert_close(both[1:], second, rtol=1e-4, atol=1e-5)
    assert not torch.allclose(both[0], both[1], atol=1e-3)


def test_the_automatic_mask_generator_runs_on_the_wrapped_sam(model):
    generator = SamAutomaticMaskGenerator(
        model.sam, points_per_side=4, pred_iou_thresh=-9, stability_score_thresh=-1, box_nms_thresh=1.0
    )
    assert generator.generate(picture()[:48])


def test_another_input_size_is_refused(model):
    with pytest.raises(SaomError, match="input 96x64: sam_small takes 64x64"):
        model.encode(torch.zeros(1, 3, 64, 96))


def test_freezing_the_encoder_leaves_decoder_and_heads(model):
    model = copy.deepcopy(model)
    for parameter in model.encoder_parameters():
        parameter.requires_grad = False
    model.decode(model.encode(torch.rand(1, 3, 64, 64) * 255), torch.rand(1, 2, 2)).masks.sum().backward()
    learning = {
        name.split(".")[0] + "." + name.split(".")[1] for name, p in model.named_parameters() if p.requires_grad
    }
    assert "sam.image_encoder" not in learning
    assert {"sam.mask_decoder", "sam.prompt_encoder", "objectness_head.0", "class_head.weight"} <= learning
    assert model.sam.mask_decoder.mask_tokens.weight.grad.abs().sum() > 0


def test_a_score_is_sams_predicted_iou():
    raw = torch.tensor([0.0, 0.25, 0.88, 1.2, -3.0, 40.0])
    torch.testing.assert_close(quality_logits(raw).sigmoid(), raw.clamp(1e-4, 1 - 1e-4))


def test_a_squared_error_of_scores_is_one_of_raw_predictions():
    """Also outside 0..1, where a plain clamp would stop learning."""
    raw = torch.tensor([0.3, 1.5, -2.0], requires_grad=True)
    (quality_logits(raw).sigmoid() - 0.5).square().sum().backward()
    torch.testing.assert_close(raw.grad, 2 * (raw.detach().clamp(1e-4, 1 - 1e-4) - 0.5), rtol=1e-3, atol=1e-5)


def test_layer_norm_equals_sams_and_keeps_its_names():
    torch.manual_seed(0)
    stock = torch.nn.Sequential(torch.nn.Sequential(StockLayerNorm2d(8)))
    torch.nn.init.normal_(stock[0][0].weight)
    torch.nn.init.normal_(stock[0][0].bias)
    ours = copy.deepcopy(stock)
    replace_layer_norms(ours)
    x = torch.randn(2, 8, 5, 3) * 100 + 30
    assert isinstance(ours[0][0], LayerNorm2d)
    assert list(ours.state_dict()) == list(stock.state_dict())
    torch.testing.assert_close(ours(x), stock(x), rtol=1e-5, atol=1e-5)


def test_layer_norm_survives_half_precision():
    """The stock module squares in fp16: 300 squared is more than fp16 holds."""
    x = torch.randn(1, 8, 4, 4) * 300
    expected = LayerNorm2d(8)(x)
    torch.testing.assert_close(LayerNorm2d(8).half()(x.half()).float(), expected, rtol=1e-2, atol=1e-2)
