"""Whole runs of the separate families in seconds: both recipes, both kinds of --init, frozen encoders, resume."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

from saom_ros.letterbox import Letterbox, grid_points
from tests.training.tiny_sam import TINY_SAM, write_part_shards
from training.__main__ import main
from training.export import describe_bundle
from training.finetuning.batches import TrainingBatches
from training.finetuning.config import LossWeights, load_config, plain
from training.finetuning.frame_store import FrameStore
from training.finetuning.module import WholeObjects
from training.sam.checkpoint import describe, load_checkpoint
from training.sam.everything import EverythingMode
from training.sam.official import published_names
from training.sam.registry import build_model, model_class

CONFIGS = Path(__file__).parents[2] / "training" / "configs"
TINY_RUN = {
    "family": "sam_small",
    "model": TINY_SAM,
    "grid": [16, 16],
    "stages": [{"width": 64, "height": 64, "images": 8, "batch_size": 2}],
    "prompts": {"objects": 4, "background": 2, "own_peaks": 2, "min_area": 16},
    "loader_workers": 0,
    "validation_frames": 1,
}


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    root = tmp_path_factory.mktemp("data")
    return {
        "data": str(write_part_shards(root / "train", 8, 0)),
        "validation": str(write_part_shards(root / "val", 2, 1)),
    }


def trained(folder, values, *flags):
    """Run ``finetune`` on a configuration; the checkpoint's path."""
    folder.mkdir(parents=True, exist_ok=True)
    run = folder / "run.yaml"
    run.write_text(yaml.safe_dump({"name": folder.name, **values}))
    assert main(["finetune", "--config", str(run), "--out", str(folder / "out"), *flags]) == 0
    return folder / "out" / "last.ckpt"


def official_file(path, family, shape):
    """Random weights in the published layout."""
    torch.manual_seed(3)
    sam = build_model(family, shape).sam
    tensors = sam.state_dict()
    torch.save({published: tensors[name] for name, published in published_names(sam).items()}, path)
    return path


@pytest.mark.parametrize("recipe", ["saom_vit_b", "saom_vit_b_fixed", "saom_mobile_sam", "saom_mobile_sam_fixed"])
def test_recipes_start_from_official_files_and_leave_the_encoder_as_it_is(tmp_path, data, recipe):
    """The recipe itself, on smaller images (and one block of the ViT), for two steps."""
    family = "vit_b" if "vit" in recipe else "mobile_sam"
    shape = {"image_size": 64, **({"depth": 1} if family == "vit_b" else {})}
    start = official_file(tmp_path / "official.pth", family, shape)
    stages = [{"width": 64, "height": 64, "images": 4, "batch_size": 2}]
    few = {"prompts": {"objects": 4, "min_area": 16}, "loader_workers": 0, "validation_frames": 1}
    values = {"base": str(CONFIGS / f"{recipe}.yaml"), **data, "model": shape, "stages": stages, **few}
    model, described = load_checkpoint(trained(tmp_path / recipe, values, "--init", str(start)))
    assert described["training"]["batches"] == 2
    assert described["training"]["grid_report"]["grid"] == [32, 32]
    before, after = torch.load(start, weights_only=True), model.sam.state_dict()
    changed = {name: not torch.equal(after[name], before[old]) for name, old in published_names(model.sam).items()}
    assert not any(different for name, different in changed.items() if name.startswith("image_encoder"))
    assert changed["mask_decoder.mask_tokens.weight"]
    assert changed["prompt_encoder.point_embeddings.1.weight"]
    scores_learn = changed["mask_decoder.iou_prediction_head.layers.2.bias"]
    assert scores_learn == recipe.endswith("_fixed")


@pytest.fixture(scope="module")
def base(tmp_path_factory, data):
    """A base model trained on parts and wholes with three masks."""
    values = {**TINY_RUN, **data, "target": "ambiguous", "prompts": {"objects": 6, "min_area": 16}}
    return trained(tmp_path_factory.mktemp("base"), values)


def test_a_base_model_learns_its_mask_alone_and_its_three_ambiguous_ones(base, data):
    described = load_checkpoint(base)[1]["training"]["config"]
    assert described["target"] == "ambiguous"
    config = replace(load_config(base.parent.parent / "run.yaml"), loss=LossWeights(score=0, objectness=0))
    module = WholeObjects(config, 1, {})
    module.log = module.log_dict = lambda *args, **kwargs: None
    store = FrameStore(Path(data["data"]), show_progress=False, maps=["parts"])
    batch = TrainingBatches(store, config.stages, config.augmentation, config.prompting(8), 0).batch(0)
    module.training_step(batch, 0).backward()
    learned = module.model.sam.mask_decoder.mask_tokens.weight.grad.abs().amax(1) > 1e-9
    mlps = module.model.sam.mask_decoder.output_hypernetworks_mlps
    hyper = [any(parameter.grad is not None for parameter in mlp.parameters()) for mlp in mlps]
    assert learned[0]
    assert learned[1:].any()
    assert hyper == [True] * 4


@pytest.mark.parametrize("grid", [[16, 16], None])
def test_training_asks_the_points_that_everything_mode_will_ask(tmp_path, data, grid):
    """Of a grid finer than the objectness cells, too; else scores would learn on points that nobody asks."""
    run = tmp_path / "run.yaml"
    run.write_text(yaml.safe_dump({"name": "x", **TINY_RUN, **data, "grid": grid}))
    config = load_config(run)
    torch.manual_seed(0)
    module = WholeObjects(config, 1, {}).eval()
    torch.nn.init.normal_(module.model.objectness_head[2].weight)
    module.log = module.log_dict = lambda *args, **kwargs: None
    asked, decode = [], module.model.decode
    module.model.decode = lambda features, points: asked.append(points) or decode(features, points)
    store = FrameStore(Path(data["data"]), show_progress=False)
    batch = TrainingBatches(store, config.stages, config.augmentation, config.prompting(8), 0).batch(0)
    with torch.no_grad():
        module.training_step(batch, 0)
        grid = describe_bundle(describe(module.model, {"config": plain(config)})).grid
        everything = EverythingMode(module.model, 64, 64, (grid.rows, grid.cols), 2, 2)
        threshold = torch.zeros(1)
        for image, points in zip(batch.images, batch.grid, strict=True):
            everything(image.permute(1, 2, 0)[None], points, threshold, threshold, threshold)
    assert torch.equal(asked[0][:, -2:], torch.cat(asked[1:]))


@pytest.mark.parametrize("grid", [[12, 16], None])
@pytest.mark.parametrize("family", ["small", "sam_small", "vit_b", "mobile_sam"])
def test_training_and_export_have_one_grid(tmp_path, family, grid):
    """Whether the configuration names it or not."""
    run = tmp_path / "run.yaml"
    shape = {} if family == "small" else {"image_size": 128}
    stages = [{"width": 128, "height": 128, "images": 1}]
    values = {"data": "d", "validation": "v", "family": family, "model": shape, "grid": grid, "stages": stages}
    run.write_text(yaml.safe_dump({"name": "x", **values}))
    config = load_config(run)
    described = {"family": family, "model": config.model, "training": {"config": plain(config)}}
    exported = describe_bundle(described).grid
    box = Letterbox.fit(96, 128, 128, 128)
    trained_on = config.prompting(model_class(family).objectness_stride).grid_of(box)
    np.testing.assert_array_equal(trained_on, grid_points(exported.rows, exported.cols, box))


def test_fine_tuning_starts_from_our_own_base_with_a_frozen_encoder(tmp_path, data, base):
    frozen = {**TINY_RUN, **data, "train_encoder": False, "cache_embeddings": True}
    tuned = load_checkpoint(trained(tmp_path, frozen, "--init", str(base)))[0].state_dict()
    for name, tensor in load_checkpoint(base)[0].state_dict().items():
        if name.startswith("sam.image_encoder"):
            assert torch.equal(tuned[name], tensor), name
    assert not torch.equal(
        tuned["sam.mask_decoder.mask_tokens.weight"], load_checkpoint(base)[0].sam.mask_decoder.mask_tokens.weight
    )


def test_a_frozen_encoder_is_augmented_where_embeddings_are_not_cached(tmp_path, data, base):
    """Batch norms of a frozen encoder keep their statistics too."""
    tuned = load_checkpoint(trained(tmp_path, {**TINY_RUN, **data, "train_encoder": False}, "--init", str(base)))[0]
    before = load_checkpoint(base)[0].sam.image_encoder.state_dict()
    assert any("running_mean" in name for name in before)
    assert all(torch.equal(tensor, before[name]) for name, tensor in tuned.sam.image_encoder.state_dict().items())


def test_the_small_family_trains_over_cached_features(tmp_path, data):
    small = {"encoder_channels": [16, 16, 16, 16], "embedding_dim": 32, "pixel_dim": 16}
    values = {**TINY_RUN, **data, "family": "small", "model": small, "train_encoder": False, "cache_embeddings": True}
    assert load_checkpoint(trained(tmp_path, values))[1]["training"]["batches"] == 4


def test_another_familys_checkpoint_is_refused_as_start(tmp_path, data, base, capsys):
    run = tmp_path / "run.yaml"
    run.write_text(yaml.safe_dump({"name": "x", **TINY_RUN, **data, "family": "vit_b", "model": {"image_size": 64}}))
    assert main(["finetune", "--config", str(run), "--out", str(tmp_path / "out"), "--init", str(base)]) == 2
    assert "has sam_small" in capsys.readouterr().err


def test_bfloat16_trains_on_whatever_device_has_it(tmp_path, data):
    described = load_checkpoint(trained(tmp_path, {**TINY_RUN, **data, "precision": "bf16-mixed"}))[1]
    assert described["training"]["config"]["precision"] == "bf16-mixed"


def test_an_interrupted_run_with_accumulation_ends_bit_for_bit_as_an_unbroken_one(tmp_path, data):
    """Weights, their average, the optimizer and the schedule."""

    class KillError(Exception):
        pass

    step = WholeObjects.training_step

    def dies(self, batch, index):
        if index == 2:  # the second step's first batch
            raise KillError
        return step(self, batch, index)

    values = {**TINY_RUN, **data, "model": {**TINY_SAM, "classes": 55}, "accumulate": 2, "checkpoint_seconds": 0}
    values |= {"loss": {"classes": 1}, "validate_every": 99}
    unbroken = trained(tmp_path / "unbroken", values)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(WholeObjects, "training_step", dies)
        with pytest.raises(KillError):
            trained(tmp_path / "broken", values)
    assert load_checkpoint(tmp_path / "broken" / "out" / "last.ckpt")[1]["training"]["batches"] == 2
    broken = trained(tmp_path / "broken", values)
    expected, found = (torch.load(path, weights_only=True) for path in (unbroken, broken))
    for part in ("state_dict", "current_model_state", "optimizer_states", "lr_schedulers", "global_step"):
        assert_same(found[part], expected[part], part)
    assert found["global_step"] == 2


def assert_same(found, expected, where):
    if isinstance(expected, torch.Tensor):
        assert torch.equal(found, expected), where
    elif isinstance(expected, dict):
        assert found.keys() == expected.keys(), where
        for name in expected:
            assert_same(found[name], expected[name], f"{where}.{name}")
    elif isinstance(expected, list):
        for index, (a, b) in enumerate(zip(found, expected, strict=True)):
            assert_same(a, b, f"{where}[{index}]")
    else:
        assert found == expected, where
