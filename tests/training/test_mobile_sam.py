"""MobileSAM: our encoder over timm's TinyViT has the published layout and loads the published file."""

import pytest
import torch
from published_mobile_sam import encoder_layout

from training.sam.official import published_names
from training.sam.registry import build_model, load_official


def random_file():
    """Random weights in the layout of `mobile_sam.pt`; they do not depend on the image's size."""
    torch.manual_seed(0)
    sam = build_model("mobile_sam", {"image_size": 64}).sam
    weights = {name: tensor for name, tensor in sam.state_dict().items() if not name.startswith("image_encoder.")}
    for name, shape in encoder_layout().items():
        whole = name.endswith("num_batches_tracked")
        weights[f"image_encoder.{name}"] = torch.tensor(7) if whole else 0.5 * torch.rand(shape) + 0.1
    return weights


@pytest.fixture(scope="module")
def weights():
    return random_file()


@pytest.fixture(scope="module")
def path(weights, tmp_path_factory):
    path = tmp_path_factory.mktemp("official") / "mobile_sam.pt"
    torch.save(weights, path)
    return path


def test_the_published_file_has_the_published_size(weights):
    """10.13 million parameters, 302 tensors in the encoder, as published; 40.7 MB."""
    counted = [
        tensor.numel() for name, tensor in weights.items() if not name.endswith(("mean", "var", "tracked", "matrix"))
    ]
    assert len(encoder_layout()) == 302
    assert sum(counted) == 10_130_092


def test_our_names_and_shapes_are_the_published_ones_without_the_classifier():
    with torch.device("meta"):
        sam = build_model("mobile_sam", {}).sam
    ours = {published_names(sam)[name]: tuple(tensor.shape) for name, tensor in sam.state_dict().items()}
    encoder = {name.removeprefix("image_encoder."): shape for name, shape in ours.items() if name.startswith("image_")}
    published = {
        name: shape for name, shape in encoder_layout().items() if not name.startswith(("head.", "norm_head."))
    }
    assert encoder == published


def test_the_published_file_loads(path, weights):
    model = load_official(path, "mobile_sam", {"image_size": 64, "classes": 4})
    names = published_names(model.sam)
    for name, tensor in model.sam.state_dict().items():
        torch.testing.assert_close(tensor, weights[names[name]], msg=name)
    assert model.config.classes == 4
    assert not model.training


def test_downsampling_lies_between_its_stages(path, weights):
    """The published stage ends with it, timm's begins with it."""
    encoder = load_official(path, "mobile_sam", {"image_size": 64}).sam.image_encoder
    for stage in (0, 1, 2):
        ours = encoder.stages[stage + 1].downsample.conv1.conv.weight
        torch.testing.assert_close(ours, weights[f"image_encoder.layers.{stage}.downsample.conv1.c.weight"])


def test_the_last_stage_keeps_the_resolution():
    model = build_model("mobile_sam", {"image_size": 64}).eval()
    with torch.no_grad():
        assert model.encode(torch.zeros(1, 3, 64, 64)).embedding.shape == (1, 256, 4, 4)
