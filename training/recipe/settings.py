"""The settings of a recipe: one dataclass a stage, one YAML file (see `training.settings_files`), read strictly."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import dacite
import yaml

from saom_ros.errors import SaomError
from training.collecting.verb import SIMULATORS
from training.export import GRAPH_PROMPTS, MODEL_VERSION, describe_bundle, parse_size, require_openvino
from training.finetuning.config import FinetuneConfig, plain
from training.finetuning.once import changed_config
from training.recipe.quick import tiny_changes
from training.settings_files import merged, read_settings
from training.simulators.base import SPLITS

CONFIGS = Path(__file__).parents[1] / "configs"
RECIPES = CONFIGS / "recipes"
QUICK = RECIPES / "quick.yaml"
"""What `--quick` puts over a recipe; its training run is made small by `training.recipe.quick`."""


@dataclass(frozen=True)
class SplitFrames:
    """The frames of one split; equal seeds give other frames in each split."""

    frames: int
    """How many."""
    seed: int
    """Seed of their scenes."""


@dataclass(frozen=True)
class Simulate:
    """The data."""

    train: SplitFrames
    """Frames to learn from."""
    val: SplitFrames
    """Frames that thresholds are chosen on, and training is watched on."""
    test: SplitFrames
    """Frames that figures are measured on, and nothing else; they alone show the held-out classes."""
    simulator: str = "rooms"
    """As in `collect --simulator`."""
    width: int = 512
    """Image width in px."""
    height: int = 384
    """Image height in px."""
    frames_per_shard: int = 100
    """Frames of a shard, what one worker makes at a time."""
    workers: int | None = None
    """Processes that render; left out: one for each core."""
    data: str | None = None
    """Folder of the splits' folders (SIMULATOR-train, -val, -test); left out: data/ in the recipe's own. What was made
    there beforehand with the same settings is used."""


@dataclass(frozen=True)
class Finetune:
    """The training run."""

    config: str = "small"
    """A configuration of `finetune`: the name of one in training/configs, or the path of a YAML file."""
    changes: dict[str, Any] = field(default_factory=dict)
    """What differs from it, as in its file; tables are merged."""


@dataclass(frozen=True)
class Evaluate:
    """How thresholds are chosen; figures are those of all test frames."""

    threshold_frames: int = 100
    """Validation frames, spread over all, that thresholds are chosen on."""


@dataclass(frozen=True)
class Export:
    """The bundle."""

    name: str
    """Name of the model."""
    version: str = MODEL_VERSION
    """Its version."""
    size: str | None = None
    """Input size in px, such as 384x288; left out: the last that it was trained at."""
    max_prompts: int = 0
    """Points asked at most; 0: the usual."""
    fp16: bool = False
    """Whether to write a graph in half precision, too."""
    int8: bool = False
    """Whether validation frames tell the ranges for 8 bits on CPUs; needs OpenVINO."""
    notes: str | None = None
    """Markdown file whose text stands in the model card after the figures: what people saw who looked at results."""


@dataclass(frozen=True)
class Recipe:
    """A whole recipe, as in the YAML file."""

    name: str
    """What it makes."""
    out: str
    """Folder of everything that it makes, but data that lie elsewhere."""
    simulate: Simulate
    finetune: Finetune
    evaluate: Evaluate
    export: Export


def load_recipe(name: str, quick: bool = False) -> Recipe:
    """The recipe of that name in training/configs/recipes, or of a YAML file; `quick` as with `--quick`.

    Raises:
        SaomError: there is none, a key is not known, or a value cannot be; names the file.
    """
    path = Path(name) if name.endswith((".yaml", ".yml")) else RECIPES / f"{name}.yaml"
    if not path.is_file():
        known = ", ".join(sorted(each.stem for each in RECIPES.glob("*.yaml") if each != QUICK))
        raise SaomError(f"recipe {name!r} is not known; expected {known} or the path of a YAML file")
    try:
        values = read_settings(path)
        if quick:
            values = merged(values, yaml.safe_load(QUICK.read_text()))
        recipe = dacite.from_dict(Recipe, values, dacite.Config(strict=True))
        recipe = _tiny(recipe) if quick else recipe
        _check(recipe)
        _check_export(recipe.export, finetune_config(recipe))
    except (yaml.YAMLError, dacite.DaciteError, TypeError, ValueError, AttributeError) as error:
        raise SaomError(f"{path}: {error}; the fields are described in training/recipe/settings.py") from error
    except SaomError as error:
        raise SaomError(f"{path}: {error}") from error
    return recipe


def finetune_config(recipe: Recipe) -> FinetuneConfig:
    """The configuration of the recipe's training run. Raises SaomError where there is none, or it does not fit."""
    name = recipe.finetune.config
    path = Path(name) if name.endswith((".yaml", ".yml")) else CONFIGS / f"{name}.yaml"
    try:
        return changed_config(path, recipe.finetune.changes)
    except SaomError as error:
        raise SaomError(f"finetune: {error}") from error


def _tiny(recipe: Recipe) -> Recipe:
    """The recipe with a training run of seconds, and a folder of its own."""
    changes = merged(recipe.finetune.changes, tiny_changes(finetune_config(recipe)))
    return replace(recipe, out=f"{recipe.out}-quick", finetune=replace(recipe.finetune, changes=changes))


def _check_export(export: Export, config: FinetuneConfig) -> None:
    """SaomError where the model that is to be trained cannot have such a bundle."""
    width, height = parse_size(export.size) if export.size else (0, 0)
    described = {"family": config.family, "model": config.model, "training": {"config": plain(config)}}
    try:
        bundle = describe_bundle(described, height, width, export.max_prompts)
        replace(bundle, name=export.name, version=export.version)
    except SaomError as error:
        raise SaomError(f"export: {error}") from error


def _check(recipe: Recipe) -> None:
    """SaomError for values that no recipe can have, before hours are spent on those that can."""
    simulate, evaluate, export = recipe.simulate, recipe.evaluate, recipe.export
    if simulate.simulator not in SIMULATORS:
        raise SaomError(
            f"simulate.simulator is {simulate.simulator!r}; expected one of {', '.join(sorted(SIMULATORS))}"
        )
    least = {f"simulate.{split}.frames": getattr(simulate, split).frames for split in SPLITS}
    least |= {"simulate.workers": 1 if simulate.workers is None else simulate.workers}
    least |= {"simulate.frames_per_shard": simulate.frames_per_shard}
    for name, value in (least | {"evaluate.threshold_frames": evaluate.threshold_frames}).items():
        if value < 1:
            raise SaomError(f"{name} is {value}; it must be at least 1")
    for split in SPLITS:
        if (seed := getattr(simulate, split).seed) < 0:
            raise SaomError(f"simulate.{split}.seed is {seed}; it must be at least 0")
    for name, side in (("width", simulate.width), ("height", simulate.height)):
        if not 32 <= side <= 4096:
            raise SaomError(f"simulate.{name} is {side}; it must be in 32..4096 px")
    if evaluate.threshold_frames > simulate.val.frames:
        raise SaomError(
            f"evaluate.threshold_frames is {evaluate.threshold_frames}, but simulate.val.frames {simulate.val.frames}; "
            "thresholds can be chosen on frames only that there are"
        )
    if not 0 <= export.max_prompts <= GRAPH_PROMPTS:
        raise SaomError(f"export.max_prompts is {export.max_prompts}; it must be in 0..{GRAPH_PROMPTS}")
    if export.int8:
        require_openvino("export.int8")
    if export.notes and not Path(export.notes).is_file():
        raise SaomError(f"export.notes {export.notes} is no file; name a Markdown file, or leave it out")
