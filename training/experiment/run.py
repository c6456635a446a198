"""One arm with one seed: train it, unless it is trained; score it, unless that is done too.

Everything of a run lies in its folder `OUT/ARM-seed-S`: `config.yaml` as it was trained, `last.ckpt`, the logs,
`scores.json` and `examples/`. A run that was interrupted goes on where it stopped.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from training.evaluation.choosing import validation_frames
from training.evaluation.frames import FrameSet, open_frames
from training.evaluation.run import evaluate
from training.evaluation.systems import System
from training.experiment.arms import Arm, Experiment
from training.experiment.compute import run_flops
from training.experiment.examples import save_examples
from training.experiment.systems import base_system, full_grid_system, objectness_system
from training.finetuning.batches import Stage
from training.finetuning.config import FinetuneConfig, Precision, load_config
from training.finetuning.once import changed_config, checkpoint_of, train_once
from training.reports.json_files import write_json
from training.sam.checkpoint import load_checkpoint

TINY_SIDE = 64
TINY_GRID = (8, 8)


@dataclass(frozen=True)
class Setting:
    """What all runs of an experiment share."""

    experiment: Experiment
    out: Path
    train: Path
    validation: Path
    """Shards that thresholds are chosen on."""
    test: Mapping[str, FrameSet]
    """Frames to score on, by name: unseen rooms, photographs."""
    choice_frames: int
    """Validation frames that thresholds are chosen on."""
    images: float = 1.0
    """Factor on the images that every arm sees."""
    tiny: bool = False
    """Whether inputs and grids are so small that a run takes seconds and its figures mean nothing."""
    precision: Precision = "32-true"
    """Lightning's precision, of every arm."""


def run_folder(setting: Setting, arm: Arm, seed: int) -> Path:
    """Where everything of the run lies."""
    return setting.out / f"{arm.name}-seed-{seed}"


def train(setting: Setting, arm: Arm, seed: int) -> Path:
    """Train the arm, or go on training it; its checkpoint. The arm that it starts from must be trained.

    Raises:
        SaomError: the folder holds a run with other settings.
    """
    before = setting.experiment.arms[arm.start] if arm.start else None
    start = checkpoint_of(run_folder(setting, before, seed)) if before else None
    return train_once(run_folder(setting, arm, seed), run_config(setting, arm, seed), start)


def score(setting: Setting, arm: Arm, seed: int, checkpoint: Path) -> None:
    """Score the arm on every test set and write `scores.json`, unless that is there, of the same frames and newer than
    the checkpoint.
    """
    path = checkpoint.parent / "scores.json"
    if read_scores(setting, arm, seed) is not None and path.stat().st_mtime > checkpoint.stat().st_mtime:
        return
    chosen_on = validation_frames(open_frames(setting.validation, limit=setting.choice_frames))
    systems: dict[str, System] = {}
    choices = {}
    if arm.ambiguous:
        points = load_config(checkpoint.parent / "config.yaml").grid
        assert points is not None
        systems[arm.name], choices[arm.name] = base_system(checkpoint, points[0], chosen_on)
    else:
        systems[arm.name], choices[arm.name] = objectness_system(checkpoint, chosen_on)
    if arm.full_grid:
        name = f"{arm.name}, full grid"
        systems[name], choices[name] = full_grid_system(checkpoint, chosen_on)
    scores = {}
    for data, frames in setting.test.items():
        results = evaluate(systems, iter(frames))
        scores[data] = {name: result.report() for name, result in results.items()}
    save_examples(checkpoint.parent, systems, next(iter(setting.test.values())))
    images = load_checkpoint(checkpoint)[1]["training"]["images_seen"]
    content = {"arm": arm.name, "seed": seed, "images": images, "frames": frames_of(setting), "chosen": choices}
    write_json(path, {**content, "scores": scores})


def read_scores(setting: Setting, arm: Arm, seed: int) -> dict[str, Any] | None:
    """What `score` has written; None where it has not been yet, or on other frames."""
    path = run_folder(setting, arm, seed) / "scores.json"
    found = json.loads(path.read_text()) if path.exists() else {}
    return found if found.get("frames") == frames_of(setting) else None


def frames_of(setting: Setting) -> dict[str, list[Any]]:
    """What figures rest on: folder and number of the frames of each test set, and of those for the thresholds."""
    tested = {name: [frames.name, len(frames)] for name, frames in setting.test.items()}
    return {**tested, "thresholds": [str(setting.validation), setting.choice_frames]}


def run_config(setting: Setting, arm: Arm, seed: int) -> FinetuneConfig:
    """The run's configuration: the arm's file, and what this experiment changes in it."""
    config = _resized(setting, arm)
    factor = setting.images
    if setting.experiment.equal == "compute" and arm.name != setting.experiment.rival:
        rival = _resized(setting, setting.experiment.arms[setting.experiment.rival])
        factor *= run_flops(rival) / run_flops(config)
    stages = [replace(stage, images=max(1, round(factor * stage.images))) for stage in config.stages]
    config = replace(config, data=str(setting.train), validation=str(setting.validation), seed=seed, stages=stages)
    return replace(config, precision=setting.precision)


def _resized(setting: Setting, arm: Arm) -> FinetuneConfig:
    """The arm's configuration; with `setting.tiny`, at a size that takes seconds."""
    path = setting.experiment.config(arm)
    config = load_config(path)
    if not setting.tiny:
        return config
    changes: dict[str, Any] = {"stages": [asdict(_tiny(stage)) for stage in config.stages]}
    if config.family == "sam_small":
        changes |= {"model": {"image_size": TINY_SIDE}, "grid": list(TINY_GRID)}
    return changed_config(path, changes)


def _tiny(stage: Stage) -> Stage:
    return replace(stage, width=TINY_SIDE, height=TINY_SIDE)
