"""The model card of a bundle that a recipe made: what went in, what it cost, what it reaches, what it is for.

Everything in it comes from the recipe's record, so that no figure is copied by hand. What only eyes can judge comes
from the recipe's notes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from training.evaluation.report import ROWS, cell
from training.finetuning.config import FinetuneConfig
from training.recipe.record import Record, Stretch
from training.recipe.settings import Recipe
from training.reports.pages import Section, markdown_page
from training.simulators.base import SPLITS

_GROUP_FIGURES = (("recall@0.5", "recall_50"), ("recall@0.75", "recall_75"), ("GT-prompted mIoU", "prompted_miou"))
_HELD_OUT = "held out of training"


def model_card(recipe: Recipe, config: FinetuneConfig, record: Record, notes: str | None = None) -> str:
    """Markdown of the card, once everything before the export is done; `notes` stand as they are after the figures."""
    scored = record.stages["evaluate"].figures
    sections = [
        Section("How it was made", (_LEAD, "\n".join(_facts(recipe, config, record)))),
        Section("Figures on unseen rooms", _basis(recipe, scored["test"]), _figures(scored["test"]["systems"])),
        Section("Classes that training never showed", (), _groups(scored["test"]["systems"])),
        _photographs(scored.get("photos")),
    ]
    page = markdown_page(recipe.export.name, sections)
    return "\n".join([page, *([f"{notes.strip()}\n"] if notes else []), _USE])


def _facts(recipe: Recipe, config: FinetuneConfig, record: Record) -> list[str]:
    """A list in Markdown."""
    trained, scored = record.stages["finetune"].figures, record.stages["evaluate"].figures
    sizes = ", ".join(f"{stage.images} at {stage.width}x{stage.height}" for stage in config.stages)
    thresholds = ", ".join(f"{name} {value:g}" for name, value in scored["thresholds"].items())
    compute = "; ".join(
        f"to {verb} {_compute(record.stages[stage].stretches)}"
        for stage, verb in (("simulate", "simulate"), ("finetune", "train"))
    )
    facts = {
        "family": f"{config.family}, {trained['parameters'] / 1e6:.1f} million parameters",
        "data": f"{_data(recipe)}; no real image",
        "training": f"{trained['images_seen']} images seen (of {sizes}), seed {config.seed}, learning rate "
        f"{config.learning_rate:g}; `model.yaml` holds all settings",
        "compute": compute,
        "thresholds": f"{thresholds}; chosen on {recipe.evaluate.threshold_frames} simulated validation frames",
        "made by": f"`{record.about['made_by']}`, saom_ros {trained['version']}",
        "licence": "Apache-2.0",
    }
    return [f"- {name}: {fact}" for name, fact in facts.items()]


def _data(recipe: Recipe) -> str:
    s = recipe.simulate
    splits = ", ".join(
        f"{wanted.frames} {split} (seed {wanted.seed})" for split in SPLITS for wanted in [getattr(s, split)]
    )
    return f"frames of the simulator {s.simulator}, {s.width}x{s.height} px: {splits}"


def _compute(stretches: Sequence[Stretch]) -> str:
    """What a stage took on each machine that it ran on."""
    machines = dict.fromkeys(stretch.machine for stretch in stretches)
    return ", ".join(f"{_time([s for s in stretches if s.machine == machine])} on {machine}" for machine in machines)


def _time(stretches: Sequence[Stretch]) -> str:
    """Seconds in words that do not differ from run to run more than they must."""
    minutes = round(sum(stretch.seconds or 0 for stretch in stretches) / 60)
    text = f"{minutes} minutes" if minutes > 1 else "about a minute"
    killed = any(stretch.seconds is None for stretch in stretches)
    return f"{text} and what a killed run took" if killed else text


def _basis(recipe: Recipe, scored: Mapping[str, Any]) -> tuple[str, ...]:
    """What the figures rest on, and how anyone can make them again."""
    s = recipe.simulate
    collect = (
        f"python -m training collect --simulator {s.simulator} --split test --frames {s.test.frames} --seed "
        f"{s.test.seed} --width {s.width} --height {s.height} --frames-per-shard {s.frames_per_shard} --out SHARDS"
    )
    count = next(iter(scored["systems"].values()))["counts"]
    return (
        f"{count['frames']} frames of the test split with {count['objects']} objects that count; none was trained on, "
        "and nothing was chosen on them. The baseline's parameters are those tuned once on 32 validation frames of "
        "rooms, seed 1.",
        f"Anyone can make them again: `{collect}`, then `python -m training evaluate --model BUNDLE --data SHARDS`.",
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
