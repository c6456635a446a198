"""One arm with one seed: train it, unless it is trained; score it, unless that is done too.

Everything of a run lies in its folder `OUT/ARM-seed-S`: `config.yaml` as it was trained, `last.ckpt`, the logs, and
`scores.json`. A run that was interrupted goes on where it stopped.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import yaml

from saom_ros.errors import SaomError
from training.evaluation.choosing import validation_frames
from training.evaluation.frames import FrameSet, open_frames
from training.evaluation.run import evaluate
from training.evaluation.systems import System
from training.experiment.arms import ARMS, Arm
from training.experiment.systems import base_system, full_grid_system, objectness_system
from training.finetuning import verb as finetune
from training.finetuning.config import load_config
from training.reports.json_files import write_json

FULL_GRID_ARM = "saom"
"""The arm that is scored over the full grid, too."""
TINY_SIDE = 64
TINY_GRID = (8, 8)


@dataclass(frozen=True)
class Setting:
    """What all runs of an experiment share."""

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


def run_folder(setting: Setting, arm: Arm, seed: int) -> Path:
    """Where everything of the run lies."""
    return setting.out / f"{arm.name}-seed-{seed}"


def train(setting: Setting, arm: Arm, seed: int) -> Path:
    """Train the arm, or go on training it; its checkpoint. The arm that it starts from must be trained.

    Raises:
        SaomError: the folder holds a run with other settings.
    """
    folder = run_folder(setting, arm, seed)
    checkpoint, config, trained = folder / "last.ckpt", folder / "config.yaml", folder / "trained"
    wanted = yaml.safe_dump(_changed(setting, arm, seed), sort_keys=False)
    if config.exists() and config.read_text() != wanted:
        raise SaomError(f"{config}: this run was begun with other settings; give another --out, or remove {folder}")
    folder.mkdir(parents=True, exist_ok=True)
    config.write_text(wanted)
    if not trained.exists():
        start = run_folder(setting, ARMS[arm.start], seed) / checkpoint.name if arm.start else None
        finetune.main(argparse.Namespace(config=config, init=start, data=None, validation=None, out=folder))
        trained.touch()
    return checkpoint


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
    if arm.name == FULL_GRID_ARM:
        name = f"{arm.name}, full grid"
        systems[name], choices[name] = full_grid_system(checkpoint, chosen_on)
    scores = {}
    for data, frames in setting.test.items():
        results = evaluate(systems, iter(frames))
        scores[data] = {name: result.report() for name, result in results.items()}
    content = {"arm": arm.name, "seed": seed, "frames": frames_of(setting), "chosen": choices, "scores": scores}
    write_json(path, content)


def read_scores(setting: Setting, arm: Arm, seed: int) -> dict[str, Any] | None:
    """What `score` has written; None where it has not been yet, or on other frames."""
    path = run_folder(setting, arm, seed) / "scores.json"
    found = json.loads(path.read_text()) if path.exists() else {}
    return found if found.get("frames") == frames_of(setting) else None


def frames_of(setting: Setting) -> dict[str, list[Any]]:
    """What figures rest on: folder and number of the frames of each test set, and of those for the thresholds."""
    tested = {name: [frames.name, len(frames)] for name, frames in setting.test.items()}
    return {**tested, "thresholds": [str(setting.validation), setting.choice_frames]}


def _changed(setting: Setting, arm: Arm, seed: int) -> dict[str, Any]:
    """The run's configuration: the arm's file, and what this experiment changes in it."""
    config = load_config(arm.config)
    changes: dict[str, Any] = {
        "base": str(arm.config),
        "data": str(setting.train),
        "validation": str(setting.validation),
        "seed": seed,
        "stages": [asdict(replace(stage, images=_scaled(stage.images, setting))) for stage in config.stages],
    }
    if setting.tiny:
        changes["stages"] = [{**stage, "width": TINY_SIDE, "height": TINY_SIDE} for stage in changes["stages"]]
        if config.family == "sam_small":
            changes |= {"model": {"image_size": TINY_SIDE}, "grid": list(TINY_GRID)}
    return changes


def _scaled(images: int, setting: Setting) -> int:
    return max(1, round(images * setting.images))
