"""The model card of a bundle that a recipe made: what went in, what it cost, what it reaches, what it is for.

Everything in it comes from the recipe's record, so that no figure is copied by hand. What only eyes can judge comes
from the recipe's notes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from training.evaluation.report import ROWS, cell
from training.finetuning.config import FinetuneConfig
from training.recipe.record import Record, StageRecord
from training.recipe.settings import Recipe
from training.reports.pages import Section, markdown_page
from training.simulators.base import SPLITS

_GROUP_FIGURES = (("recall@0.5", "recall_50"), ("recall@0.75", "recall_75"), ("GT-prompted mIoU", "prompted_miou"))
_HELD_OUT = "held out of training"


def model_card(recipe: Recipe, config: FinetuneConfig, record: Record, notes: str | None = None) -> str:
    """Markdown of the card, once everything before the export is done; `notes` stand as they are after the figures."""
    scored = record.stages["evaluate"].figures
    sections = [
        Section("How it was made", (_LEAD,), [["", ""], *_facts(recipe, config, record)]),
        Section("Figures on unseen rooms", _basis(scored["test"]), _figures(scored["test"]["systems"])),
        Section("Classes that training never showed", (), _groups(scored["test"]["systems"])),
        _photographs(scored.get("photos")),
    ]
    page = markdown_page(recipe.export.name, sections)
    return "\n".join([page, *([f"{notes.strip()}\n"] if notes else []), _USE])


def _facts(recipe: Recipe, config: FinetuneConfig, record: Record) -> list[list[str]]:
    trained, scored = record.stages["finetune"].figures, record.stages["evaluate"].figures
    last = config.stages[-1]
    sizes = ", ".join(f"{stage.images} at {stage.width}x{stage.height}" for stage in config.stages)
    thresholds = ", ".join(f"{name} {value:g}" for name, value in scored["thresholds"].items())
    return [
        ["family", f"{config.family}, {trained['parameters'] / 1e6:.1f} million parameters, trained last at "
         f"{last.width}x{last.height} px"],
        ["data", _data(recipe)],
        ["training", f"{trained['images_seen']} images seen ({sizes}), seed {config.seed}, learning rate "
         f"{config.learning_rate:g}; all settings stand in `model.yaml`"],
        ["compute", f"{_time(record.stages['simulate'])} to simulate, {_time(record.stages['finetune'])} to train, on "
         f"{record.about['machine']}"],
        ["thresholds", f"{thresholds}; chosen on {recipe.evaluate.threshold_frames} simulated validation frames"],
        ["code", trained["version"]],
        ["made by", f"`{record.about['command']}`"],
        ["licence", "Apache-2.0"],
    ]  # fmt: skip


def _data(recipe: Recipe) -> str:
    s = recipe.simulate
    splits = ", ".join(
        f"{wanted.frames} {split} (seed {wanted.seed})" for split in SPLITS for wanted in [getattr(s, split)]
    )
    return f"frames of the simulator {s.simulator}, {s.width}x{s.height} px: {splits}; no real image"


def _time(stage: StageRecord) -> str:
    """Seconds of a stage in words that do not differ from run to run more than they must."""
    minutes = round(stage.seconds / 60)
    text = f"{minutes} minutes" if minutes > 1 else "a minute or less"
    return f"more than {text}" if stage.killed_runs else text


def _basis(scored: Mapping[str, Any]) -> tuple[str, ...]:
    count = next(iter(scored["systems"].values()))["counts"]
    return (
        f"{count['frames']} frames of the test split with {count['objects']} objects that count; none was trained on, "
        "and nothing was chosen on them. The baseline's parameters were tuned on validation frames.",
        "The command: `python -m training evaluate --model BUNDLE --data SHARDS`, on frames collected as above.",
    )


def _figures(systems: Mapping[str, Mapping[str, Any]]) -> list[list[str]]:
    """One row a figure, one column a system."""
    return [["%", *systems], *([label, *(cell(s["figures"][key]) for s in systems.values())] for label, key in ROWS)]


def _groups(systems: Mapping[str, Mapping[str, Any]]) -> list[list[str]]:
    held_out = {name: system["class_groups"][_HELD_OUT] for name, system in systems.items()}
    count = next(iter(held_out.values()))["objects"]
    rows = [[label, *(cell(group[key]) for group in held_out.values())] for label, key in _GROUP_FIGURES]
    return [[f"%, {count} objects", *held_out], *rows]


def _photographs(scored: Mapping[str, Any] | None) -> Section:
    """Figures that only who has the photographs can make again."""
    title = "Figures on photographs"
    if scored is None:
        own = "python -m training evaluate --model BUNDLE --data LABEL_MAP_FOLDER"
        return Section(title, (f"None were measured. Measure on your own: `{own}`.",))
    count = next(iter(scored["systems"].values()))["counts"]
    exhaustive = count["exhaustive_frames"]
    text = (
        f"{count['frames']} real photographs with {count['objects']} annotated objects, none trained on, nothing "
        f"chosen on them. {exhaustive} of them are annotated in full: precision, F, AP and PQ are of those. Unlike the "
        "rows above, only who has these photographs can make them again."
    )
    return Section(title, (text,), _figures(scored["systems"]))


_LEAD = "Whole-object masks for every object in an image, learned from simulated images only."
_USE = """## Intended use

Picking up things with a person near, developing against saom_ros's topics, and as the start of your own training. Not
for unattended manipulation: measure on images of your own robot first.
"""
