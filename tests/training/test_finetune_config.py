"""Run files: what they inherit and what they refuse."""

from pathlib import Path

import pytest
import yaml

from saom_ros.errors import SaomError
from training.finetuning.config import load_config

CONFIGS = Path(__file__).parents[2] / "training" / "configs"
SAOM = sorted(path.name for path in CONFIGS.glob("sa*m*.yaml"))
STAGES = [{"width": 64, "height": 64, "images": 8}]
OF_PARTS = [{**STAGES[0], "parts": True}]
TINY = {"name": "tiny", "data": "d", "validation": "v", "stages": STAGES}
SEPARATE = {"family": "sam_small", "model": {"image_size": 64}}


def written(folder, values, file="run.yaml"):
    path = folder / file
    path.write_text(yaml.safe_dump(values))
    return path


def test_a_file_names_only_what_differs_from_its_base(tmp_path):
    written(tmp_path, {**TINY, "loss": {"dice": 5, "score": 1}, "grid": [8, 8]}, "base.yaml")
    written(tmp_path, {"base": "base.yaml", "grid": [16, 16]}, "middle.yaml")
    config = load_config(written(tmp_path, {"base": "middle.yaml", "name": "heir", "loss": {"score": 3}}))
    assert (config.name, config.grid, config.loss.dice, config.loss.score) == ("heir", (16, 16), 5.0, 3.0)


def test_a_base_that_is_missing_or_leads_back_is_named(tmp_path):
    with pytest.raises(SaomError, match=r"base .*nowhere\.yaml does not exist"):
        load_config(written(tmp_path, {"base": "nowhere.yaml"}))
    written(tmp_path, {"base": "run.yaml"}, "other.yaml")
    with pytest.raises(SaomError, match="leads back"):
        load_config(written(tmp_path, {"base": "other.yaml"}))


def test_the_model_of_a_run_is_written_out_in_full(tmp_path):
    config = load_config(written(tmp_path, {**TINY, **SEPARATE}))
    assert config.model["image_size"] == 64
    assert config.model["decoder"]["depth"] == 2


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"family": "sam3"}, "model family 'sam3' is not known"),
        ({**SEPARATE, "model": {"image_size": 128}}, r"stage 64x64: family sam_small takes 128x128"),
        ({"target": "ambiguous"}, "family small answers with one mask"),
        ({"target": "everything"}, "target"),
        ({"cache_embeddings": True}, "set train_encoder: false"),
        (
            {"cache_embeddings": True, "train_encoder": False, "stages": [*STAGES, {**STAGES[0], "width": 96}]},
            "one input size",
        ),
        ({"loss": {"classes": 1}}, "the model has no class head; set model.classes"),
        (
            {**SEPARATE, "model": {"image_size": 64, "classes": 9999}},
            "model.classes is 9999; training/classes.yaml has",
        ),
        ({**SEPARATE, "loss": {"edges": 1}}, "loss.edges is 1.0; only family small"),
        ({"loss": {"depth": 1}, "cache_embeddings": True, "train_encoder": False}, "loss.depth is 1.0; only"),
        ({**SEPARATE, "target": "ambiguous", "target_stride": 2}, "target_stride is 2; with target ambiguous"),
        ({"target_stride": 3}, "target_stride"),
        ({**SEPARATE, "target": "ambiguous", "stages": OF_PARTS}, "parts is true; with target ambiguous"),
        ({"stages": OF_PARTS, "loss": {"edges": 1}}, "parts is true, and loss.edges is 1.0; it must be 0 then"),
        ({"stages": OF_PARTS, "loss": {"semantics": 0.2}}, "loss.semantics is 0.2; it must be 0 then"),
        ({"decay": "step"}, "decay"),
        ({"model": {"embedding_stride": 32}}, "embedding_stride"),
        ({"loss": {"depth": -1}}, "loss.depth is -1.0; it must be a number from 0"),
        ({"augmentation": {"paste": 25}}, r"augmentation.paste is 25.0; it must be in 0\.\.1"),
        ({"loss": {"mask": 0, "dice": 0}}, "masks need at least one"),
        ({"prompts": {"assignment": "farthest"}}, "assignment"),
        ({"prompts": {"objects": 0}}, "prompts.objects is 0; it must be at least 1"),
        ({"prompts": {"background": -1}}, "prompts.background is -1; it must be at least 0"),
        ({"grid": [0, 32]}, r"grid is \[0, 32\]"),
        ({"grid": [32]}, "grid"),
        ({"accumulate": 0}, "accumulate is 0; it must be at least 1"),
        ({"nodes": 0}, "nodes is 0"),
        ({"ema_decay": 1}, "ema_decay is 1"),
        ({"precision": "16-true"}, "precision"),
    ],
)
def test_what_no_run_can_have_is_refused_by_name(tmp_path, changes, message):
    with pytest.raises(SaomError, match=message):
        load_config(written(tmp_path, {**TINY, **changes}))


def test_a_stage_of_parts_needs_their_maps(tmp_path):
    assert load_config(written(tmp_path, TINY)).needed_maps() == ()
    assert load_config(written(tmp_path, {**TINY, "stages": OF_PARTS})).needed_maps() == ("parts",)


def test_the_published_recipe_is_configured_as_published():
    config = load_config(CONFIGS / "saom_vit_b.yaml")
    assert (config.family, config.grid, config.model["classes"], config.learning_rate) == ("vit_b", (32, 32), 55, 1e-3)
    assert (config.stages[0].height, config.stages[0].width) == (1024, 1024)
    assert not config.train_encoder
    prompts, loss = config.prompts, config.loss
    assert (prompts.assignment, prompts.inside, prompts.background, prompts.extra) == ("nearest", False, 0, "none")
    assert (loss.dice, loss.focal, loss.classes, loss.over) == (1, 1, 1, "images")
    assert (loss.mask, loss.box, loss.score, loss.objectness) == (0, 0, 0, 0)


@pytest.mark.parametrize("name", [name for name in SAOM if name.endswith("_fixed.yaml")])
def test_our_column_mends_each_trap_and_keeps_the_rest(name):
    published, ours = load_config(CONFIGS / name.replace("_fixed", "")), load_config(CONFIGS / name)
    assert (ours.family, ours.grid, ours.stages) == (published.family, published.grid, published.stages)
    assert ours.prompts.inside
    assert ours.prompts.background > 0
    assert ours.prompts.extra == "grid"
    assert ours.loss.score > 0
    assert ours.loss.objectness > 0


def test_every_family_has_both_recipes():
    families = {load_config(CONFIGS / name).family for name in SAOM if name.startswith("saom")}
    assert families == {"vit_b", "vit_l", "vit_h", "mobile_sam"}
    assert len([name for name in SAOM if name.startswith("saom")]) == 8
