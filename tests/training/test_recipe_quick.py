"""What `--quick` makes of recipes with other encoders and families: small, but still theirs."""

import pytest
import torch
import yaml

from training.finetuning.config import load_config, plain
from training.recipe.settings import CONFIGS, finetune_config, load_recipe
from training.sam.registry import build_model, model_class


def quick_run(folder, **finetune):
    """The training run that `--quick` makes of a recipe's."""
    path = folder / "recipe.yaml"
    split = {"frames": 100, "seed": 0}
    simulate = {"train": split, "val": split, "test": split, "width": 640, "height": 480}
    values = {"simulate": simulate, "finetune": finetune, "evaluate": {}, "export": {"name": "x", "size": "512x384"}}
    path.write_text(yaml.safe_dump({"name": "x", "out": "runs/x", **values}))
    return finetune_config(load_recipe(str(path), quick=True))


@pytest.mark.parametrize(
    "finetune",
    [
        {"config": "small"},
        {"config": "small", "changes": {"model": {"encoder": "convnext_atto", "encoder_channels": []}}},
        {"config": "small", "changes": {"grid": [24, 32]}},
        {"config": "sam_small"},
        {"config": "saom_vit_b_fixed", "changes": {"cache_embeddings": False}},
        {"config": "saom_mobile_sam"},
    ],
    ids=lambda finetune: f"{finetune['config']} {finetune.get('changes', '')}",
)
def test_a_recipe_of_any_encoder_and_family_becomes_a_small_one_that_runs(tmp_path, finetune):
    config = quick_run(tmp_path, **finetune)
    stage = config.stages[0]
    assert (len(config.stages), stage.images, stage.height) == (1, 16, 64)
    model = build_model(config.family, config.model).eval()
    assert sum(parameter.numel() for parameter in model.parameters()) < 20e6
    with torch.no_grad():
        features = model.encode(torch.zeros(1, 3, stage.height, stage.width))
        objectness = model.objectness(features)
    rows, cols = config.prompting(model_class(config.family).objectness_stride).grid_shape(stage.height, stage.width)
    assert objectness.shape[-2:] == (stage.height // model.objectness_stride, stage.width // model.objectness_stride)
    assert config.prompts.own_peaks <= rows * cols <= 128


def test_what_is_learned_from_which_prompts_stays_the_recipes(tmp_path):
    changes = {"learning_rate": 0.123, "loss": {"dice": 7.0}, "prompts": {"objects": 3}}
    config = quick_run(tmp_path, config="small", changes=changes)
    assert (config.learning_rate, config.loss.dice, config.prompts.objects) == (0.123, 7.0, 3)
    assert plain(config)["model"]["encoder"] == "resnet18"


def test_a_recipes_own_configuration_file_is_made_small(tmp_path):
    own = tmp_path / "own.yaml"
    own.write_text(yaml.safe_dump({"base": str(CONFIGS / "small.yaml"), "name": "own", "model": {"embedding_dim": 96}}))
    config = quick_run(tmp_path, config=str(own))
    assert (config.name, config.model["embedding_dim"]) == ("own", 32)
    assert load_config(own).model["embedding_dim"] == 96
