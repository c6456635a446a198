"""SAM's automatic mask generator as a system, on a SAM of toy size."""

import copy

import numpy as np
import pytest
import torch
from segment_anything.modeling import ImageEncoderViT, MaskDecoder, PromptEncoder, Sam, TwoWayTransformer

from training.evaluation.automatic_masks import AutomaticMasks, AutomaticMaskSettings, Remembered, tune
from training.evaluation.frames import LabelledFrame


@pytest.fixture(scope="module")
def sam():
    torch.manual_seed(0)
    dim = 32
    return Sam(
        ImageEncoderViT(img_size=64, patch_size=16, embed_dim=32, depth=1, num_heads=2, out_chans=dim),
        PromptEncoder(embed_dim=dim, image_embedding_size=(4, 4), input_image_size=(64, 64), mask_in_chans=4),
        MaskDecoder(
            transformer_dim=dim,
            transformer=TwoWayTransformer(depth=1, embedding_dim=dim, mlp_dim=32, num_heads=2),
            num_multimask_outputs=3,
            iou_head_depth=2,
            iou_head_hidden_dim=16,
        ),
    ).eval()


def noise(height=48, width=64):
    return np.random.default_rng(1).integers(0, 255, (height, width, 3), np.uint8)


def test_every_mask_that_passes_the_thresholds_is_painted_once(sam):
    everything = AutomaticMaskSettings(pred_iou_thresh=-9, stability_score_thresh=-1, box_nms_thresh=1.0)
    system = AutomaticMasks(sam, points_per_side=2, settings=everything)
    system.min_area = 1
    instances = system(noise())
    assert instances.label_map.shape == (48, 64)
    assert 1 <= len(instances) <= 12, "three masks of each of four points"
    assert np.bincount(instances.label_map.ravel(), minlength=len(instances) + 1)[1:].tolist() == list(instances.areas)
    assert (np.diff(instances.scores) <= 0).all()


def test_thresholds_that_nothing_passes_give_an_empty_label_map(sam):
    system = AutomaticMasks(sam, points_per_side=2, settings=AutomaticMaskSettings(pred_iou_thresh=9.0))
    assert not system(noise()).label_map.any()


@pytest.fixture(scope="module")
def many_shapes(sam):
    """A SAM whose masks differ in shape and stability."""
    many = copy.deepcopy(sam)
    with torch.no_grad():
        for network in many.mask_decoder.output_hypernetworks_mlps:
            network.layers[-1].weight.normal_(0, 30)
        many.prompt_encoder.pe_layer.positional_encoding_gaussian_matrix.mul_(3)
        for weight in many.mask_decoder.transformer.parameters():
            weight.mul_(3)
    return many


@pytest.mark.parametrize("iou", [-9.0, 0.1])
@pytest.mark.parametrize("stability", [-1.0, 0.7])
@pytest.mark.parametrize("overlap", [0.8, 0.9, 1.0])
def test_remembered_masks_answer_as_the_generator_does(many_shapes, monkeypatch, iou, stability, overlap):
    loosest = {"pred_iou_thresh": (-9.0,), "stability_score_thresh": (-1.0,), "box_nms_thresh": (0.7,)}
    monkeypatch.setattr("training.evaluation.automatic_masks.CANDIDATES", loosest)
    frame = noise()
    settings = AutomaticMaskSettings(iou, stability, overlap)
    system = AutomaticMasks(many_shapes, points_per_side=8, settings=settings)
    system.min_area = 1
    (remembered,) = Remembered(system, [LabelledFrame("noise", frame, np.zeros((48, 64), np.uint16))]).answers(settings)
    expected = system(frame)
    assert np.array_equal(remembered.label_map, expected.label_map)
    assert np.array_equal(remembered.scores, expected.scores)


def test_tuning_leaves_the_best_thresholds_set(sam, monkeypatch):
    candidates = {"pred_iou_thresh": (9.0, -9.0), "stability_score_thresh": (-1.0,), "box_nms_thresh": (0.7,)}
    monkeypatch.setattr("training.evaluation.automatic_masks.CANDIDATES", candidates)
    system = AutomaticMasks(sam, points_per_side=2)
    frame = noise()
    everything = AutomaticMasks(sam, 2, AutomaticMaskSettings(-9.0, -1.0, 0.7))
    truth = everything(frame).label_map
    result = tune(system, [LabelledFrame("noise", frame, truth)], min_object_area=1)
    assert (system.settings.pred_iou_thresh, system.settings.stability_score_thresh) == (-9.0, -1.0)
    assert result.value > result.start_value
