"""Weights that come back out of a bundle, so that training goes on from a model that has shipped."""

import shutil

import numpy as np
import pytest
import torch
import yaml
from toy_families import SHAPES, picture, write_checkpoint
from toy_frames import write_toy_shards

from saom_ros.bundle import DEFAULT_BUNDLE, sha256
from saom_ros.errors import SaomError
from training.__main__ import main
from training.export import everything_mode, write_bundle
from training.sam.bundle_weights import load_bundle_weights
from training.sam.checkpoint import load_checkpoint

IMAGES = torch.rand(4, 3, 96, 96, generator=torch.Generator().manual_seed(0)) * 255


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    """A small model whose norms have seen something, scale it and shift it."""
    path = write_checkpoint(tmp_path_factory.mktemp("checkpoint"), "small")
    content = torch.load(path, weights_only=True)
    random = torch.Generator().manual_seed(3)
    for name, tensor in content["state_dict"].items():
        if "running_var" in name:
            before = name.replace("running_var", "")
            tensor.copy_(torch.rand(tensor.shape, generator=random) + 0.5)
            for other in ("weight", "bias", "running_mean"):
                content["state_dict"][before + other].add_(0.3 * torch.randn(tensor.shape, generator=random))
    content["saom"]["training"]["config"]["model"] = SHAPES["small"]
    torch.save(content, path)
    return path


@pytest.fixture(scope="module")
def bundle(checkpoint, tmp_path_factory):
    folder = tmp_path_factory.mktemp("small") / "bundle"
    write_bundle(*everything_mode(checkpoint), folder, picture(), "# toy\n")
    return folder


def test_a_model_answers_after_its_bundle_as_it_did_before(checkpoint, bundle):
    before, after = load_checkpoint(checkpoint)[0], load_bundle_weights(bundle, [IMAGES])
    assert not after.training
    points = torch.rand(4, 5, 2) * 96
    with torch.no_grad():
        expected, found = (model.decode(model.encode(IMAGES), points) for model in (before, after))
    torch.testing.assert_close(found.masks, expected.masks, rtol=1e-3, atol=1e-3)
    torch.testing.assert_close(found.scores, expected.scores, rtol=1e-3, atol=1e-3)


def test_norms_expect_what_the_images_give_them(bundle):
    model = load_bundle_weights(bundle, [IMAGES[:2], IMAGES[2:]])
    with torch.no_grad():
        evaluated, trained = model.encode(IMAGES).embedding, model.train().encode(IMAGES).embedding
    torch.testing.assert_close(trained, evaluated, rtol=0.02, atol=0.02)


def test_the_model_in_the_box_can_be_trained_on():
    """Its golden outputs come again, or this raises."""
    model = load_bundle_weights(DEFAULT_BUNDLE, [IMAGES])
    assert sum(parameter.numel() for parameter in model.parameters()) > 1e6


def test_a_run_starts_from_a_bundle_of_its_own_shape_only(tmp_path, bundle, capsys):
    run = {
        "name": "on",
        "data": str(write_toy_shards(tmp_path / "train", 8, 0)),
        "validation": str(write_toy_shards(tmp_path / "val", 2, 1)),
        "stages": [{"width": 96, "height": 96, "images": 4, "batch_size": 4}],
        "learning_rate": 1e-9,
        "ema_decay": 0.0,
        "loader_workers": 0,
        "model": SHAPES["small"],
    }
    (tmp_path / "run.yaml").write_text(yaml.safe_dump(run))
    command = ["finetune", "--config", str(tmp_path / "run.yaml"), "--init", str(bundle), "--out"]
    assert main([*command, str(tmp_path / "out")]) == 0
    weights = dict(load_checkpoint(tmp_path / "out" / "last.ckpt")[0].named_parameters())
    for name, expected in load_bundle_weights(bundle, [IMAGES]).named_parameters():
        if "bn" not in name and ".1." not in name:  # norms depend on the images
            torch.testing.assert_close(weights[name], expected, rtol=1e-4, atol=1e-6)

    (tmp_path / "run.yaml").write_text(yaml.safe_dump({**run, "model": {**SHAPES["small"], "embedding_dim": 64}}))
    assert main([*command, str(tmp_path / "other")]) == 2
    assert "use its model or another --out" in capsys.readouterr().err


def test_a_bundle_of_another_family_is_refused(toy_bundle):
    with pytest.raises(SaomError, match="is of family sam_small; training starts from bundles of family small only"):
        load_bundle_weights(toy_bundle, [IMAGES])


def test_a_bundle_that_does_not_tell_its_shape_is_refused(tmp_path, bundle):
    without = shutil.copytree(bundle, tmp_path / "bundle")
    described = yaml.safe_load((without / "model.yaml").read_text())
    (without / "model.yaml").write_text(yaml.safe_dump({**described, "training": {}}))
    with pytest.raises(SaomError, match=r"training\.config\.model is missing"):
        load_bundle_weights(without, [IMAGES])


def test_a_bundle_whose_graph_does_not_give_its_golden_outputs_is_refused(tmp_path, bundle):
    other = shutil.copytree(bundle, tmp_path / "bundle")
    golden = dict(np.load(bundle / "golden.npz"))
    np.savez_compressed(other / "golden.npz", **{**golden, "masks": 255 - golden["masks"]})
    described = yaml.safe_load((other / "model.yaml").read_text())
    described["files"]["golden.npz"] = sha256(other / "golden.npz")
    (other / "model.yaml").write_text(yaml.safe_dump(described))
    with pytest.raises(SaomError, match="do not answer as it does: mean mask IoU 0"):
        load_bundle_weights(other, [IMAGES])


def test_weights_of_another_shape_are_refused(tmp_path, bundle):
    other = shutil.copytree(bundle, tmp_path / "bundle")
    described = yaml.safe_load((other / "model.yaml").read_text())
    described["training"]["config"]["model"]["pixel_dim"] = 24
    (other / "model.yaml").write_text(yaml.safe_dump(described))
    with pytest.raises(SaomError, match="its graph is not one of ours"):
        load_bundle_weights(other, [IMAGES])
