"""The stages of a recipe: what each depends on, what it runs, and what it found.

A stage does its work with the verbs that users have (`collect`, `finetune`, `evaluate`, `export`), and prints each
command before it runs it: whatever a recipe makes can be made by hand.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from saom_ros.bundle import CONFIG_NAME, GRAPH_NAME, RANGES_NAME, sha256
from saom_ros.errors import SaomError
from saom_ros.image_files import encode_png, write_atomically
from training.collecting.collection import RECORD_NAME, finished_shards
from training.collecting.job import Job
from training.data.shards import list_shards
from training.evaluation.frames import FrameSet, open_frames
from training.export import replace_bundle
from training.finetuning.config import FinetuneConfig, learned_before
from training.finetuning.once import checkpoint_of, is_trained, train_once
from training.recipe.card import model_card
from training.recipe.record import Record
from training.recipe.settings import Recipe, SplitFrames
from training.run_verb import run_verb
from training.sam.checkpoint import load_checkpoint
from training.simulators.base import SPLITS


@dataclass(frozen=True)
class Run:
    """One run of a recipe."""

    recipe: Recipe
    config: FinetuneConfig
    out: Path
    record: Record
    photos: Path | None = None
    """Photographs to score on, too: whatever `evaluate --data` takes."""

    def split(self, name: str) -> SplitFrames:
        """The frames wanted of a split."""
        return getattr(self.recipe.simulate, name)

    def data(self, split: str) -> Path:
        """Folder of a split's shards."""
        simulate = self.recipe.simulate
        return Path(simulate.data or self.out / "data") / f"{simulate.simulator}-{split}"

    def job(self, split: str) -> Job:
        """What is collected for a split."""
        s = self.recipe.simulate
        return Job(s.simulator, split, self.split(split).seed, s.width, s.height, s.frames_per_shard)

    @property
    def training(self) -> Path:
        """Folder of the training run."""
        return self.out / "finetune"

    @property
    def evaluation(self) -> Path:
        """Folder of what was measured."""
        return self.out / "evaluation"

    @property
    def candidate(self) -> Path:
        """The bundle that is scored; the one that ships has the same graph, and the card and figures besides."""
        return self.evaluation / "candidate"

    @property
    def bundle(self) -> Path:
        """The bundle."""
        return self.out / "bundle"


@dataclass(frozen=True)
class Stage:
    """One stage."""

    name: str
    settings: Callable[[Run], dict[str, Any]]
    """What is set for it."""
    inputs: Callable[[Run], dict[str, Any]]
    """What tells the files that it reads from any others."""
    work: Callable[[Run], dict[str, Any]]
    """Does it, or goes on with it; what it found."""
    is_there: Callable[[Run], bool]
    """Whether what it made is still there."""
    output: Callable[[Run], Path]
    when_changed: str
    """`refuse`, where hours of work would be thrown away; `again`, where it is made again; `continue`, where the work
    itself says what can go on."""
    completed: Callable[[dict[str, Any]], dict[str, Any]] = dict
    """What an earlier version recorded as set, as this one would have recorded it."""


def simulate(run: Run) -> dict[str, Any]:
    """Collect all splits."""
    s, found = run.recipe.simulate, {}
    for split in SPLITS:
        wanted, folder = run.split(split), run.data(split)
        workers = [] if s.workers is None else ["--workers", s.workers]
        size = ["--width", s.width, "--height", s.height, "--frames-per-shard", s.frames_per_shard]
        which = ["--simulator", s.simulator, "--split", split, "--frames", wanted.frames, "--seed", wanted.seed]
        run_verb("collect", *which, *size, *workers, "--out", folder)
        megabytes = sum(shard.stat().st_size for shard in list_shards(folder)) / 1e6
        found[split] = {"folder": str(folder), "frames": wanted.frames, "megabytes": round(megabytes, 1)}
    return found


def finetune(run: Run) -> dict[str, Any]:
    """Train, or go on training."""
    train_once(run.training, run.config, data=run.data("train"), validation=run.data("val"))
    model, described = load_checkpoint(checkpoint_of(run.training))
    return {
        "images_seen": described["training"]["images_seen"],
        "batches": described["training"]["batches"],
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        "version": described["training"]["version"],
    }


def evaluate(run: Run) -> dict[str, Any]:
    """Choose thresholds on validation frames, export with them, and score what was exported."""
    checkpoint, chosen, scores = checkpoint_of(run.training), run.evaluation / "thresholds.json", _scores(run, "test")
    run.evaluation.mkdir(parents=True, exist_ok=True)
    picture = run.evaluation / "golden.png"
    write_atomically(picture, encode_png(next(iter(open_frames(run.data("val"), limit=1))).rgb))
    limit = ["--limit", run.recipe.evaluate.threshold_frames]
    run_verb(
        "evaluate", "--model", checkpoint, "--data", run.data("val"), "--choose-thresholds", *limit, "--json", chosen
    )
    run_verb("export", *_export_options(run), "--evaluation", chosen, "--out", run.candidate)
    pages = ["--markdown", scores.with_suffix(".md"), "--html", scores.with_suffix(".html")]
    run_verb("evaluate", "--model", run.candidate, "--data", run.data("test"), "--json", scores, *pages)
    figures = {"thresholds": json.loads(chosen.read_text())["best"], "test": _figures(scores)}
    if run.photos:
        photos = _scores(run, "photos")
        run_verb("evaluate", "--model", run.candidate, "--data", run.photos, "--json", photos)
        figures["photos"] = _figures(photos)
    return figures


def export(run: Run) -> dict[str, Any]:
    """Write the bundle: the graph that was scored, with figures and model card."""
    notes = run.recipe.export.notes
    card = run.evaluation / "card.md"
    text = model_card(run.recipe, run.config, run.record, Path(notes).read_text() if notes else None)
    write_atomically(card, text.encode())
    figures = ["--evaluation", _scores(run, "test"), "--card", card]
    beside = run.bundle.with_name("bundle.new")
    run_verb("export", *_export_options(run), *figures, "--out", beside)
    digests = {}
    for name in (GRAPH_NAME, RANGES_NAME) if run.recipe.export.int8 else (GRAPH_NAME,):
        digests[name] = sha256(beside / name)
        if digests[name] != sha256(run.candidate / name):
            raise SaomError(
                f"{beside / name} is not what was scored, so it does not ship; remove {run.evaluation} and run the "
                "same command again"
            )
    replace_bundle(beside, run.bundle)
    megabytes = sum(path.stat().st_size for path in run.bundle.iterdir()) / 1e6
    return {"megabytes": round(megabytes, 2), "sha256": digests}


STAGES = (
    Stage(
        "simulate",
        lambda run: {
            name: value for name, value in asdict(run.recipe.simulate).items() if name not in ("workers", "data")
        },
        lambda run: {},
        simulate,
        lambda run: all(is_collected(run, split) for split in SPLITS),
        lambda run: run.data("train").parent,
        "continue",
    ),
    Stage(
        "finetune",
        lambda run: run.config.learned(),
        lambda run: {split: frames_of(run.data(split)) for split in ("train", "val")},
        finetune,
        lambda run: is_trained(run.training),
        lambda run: checkpoint_of(run.training),
        "refuse",
        learned_before,
    ),
    Stage(
        "evaluate",
        lambda run: {
            **asdict(run.recipe.evaluate),
            **{name: value for name, value in asdict(run.recipe.export).items() if name != "notes"},
        },
        lambda run: {
            "checkpoint": sha256(checkpoint_of(run.training)),
            **{split: frames_of(run.data(split)) for split in ("val", "test")},
            "photos": digest(open_frames(run.photos)) if run.photos else None,
        },
        evaluate,
        lambda run: (
            all(_scores(run, data).exists() for data in ("test", *(["photos"] if run.photos else [])))
            and (run.candidate / CONFIG_NAME).exists()
        ),
        lambda run: run.evaluation,
        "again",
    ),
    Stage(
        "export",
        lambda run: asdict(run.recipe.export),
        lambda run: {
            "scores": sha256(_scores(run, "test")),
            "photos": sha256(_scores(run, "photos")) if run.photos else None,
            "notes": sha256(Path(run.recipe.export.notes)) if run.recipe.export.notes else None,
        },
        export,
        lambda run: (run.bundle / CONFIG_NAME).exists(),
        lambda run: run.bundle,
        "again",
    ),
)
"""All stages in their order."""


def is_collected(run: Run, split: str) -> bool:
    """Whether all frames of a split are there."""
    return missing_frames(run, split) == 0


def missing_frames(run: Run, split: str) -> int:
    """Frames of a split that are still to be made. Raises SaomError where the folder holds more than wanted."""
    wanted, folder = run.split(split).frames, run.data(split)
    if not (folder / RECORD_NAME).exists():
        return wanted
    return wanted - sum(finished_shards(run.job(split), wanted, folder).values())


def frames_of(folder: Path) -> dict[str, Any]:
    """What tells a folder's frames from others: its collection, and name and size of each shard. A copy is the same."""
    collection = folder / RECORD_NAME
    return {
        "collection": json.loads(collection.read_text()) if collection.exists() else None,
        "shards": {shard.name: shard.stat().st_size for shard in list_shards(folder)},
    }


def digest(frames: FrameSet) -> str:
    """What tells photographs and their annotations from others, wherever they lie: pixels, labels, all that counts."""
    found = hashlib.sha256()
    for frame in frames:
        told = (frame.key, frame.split, frame.exhaustive, sorted(frame.classes.items()), frame.instances.shape)
        ignored = b"" if frame.ignore is None else frame.ignore.tobytes()
        for part in (repr(told).encode(), frame.rgb.tobytes(), frame.instances.tobytes(), ignored):
            found.update(part)
    return found.hexdigest()[:16]


def _export_options(run: Run) -> list[object]:
    e = run.recipe.export
    options: list[object] = ["--checkpoint", checkpoint_of(run.training), "--image", run.evaluation / "golden.png"]
    options += ["--name", e.name, "--model-version", e.version, "--max-prompts", e.max_prompts]
    options += ["--size", e.size] if e.size else []
    return [*options, *(["--fp16"] if e.fp16 else []), *(["--int8", run.data("val")] if e.int8 else [])]


def _scores(run: Run, data: str) -> Path:
    return run.evaluation / f"{data}.json"


def _figures(path: Path) -> dict[str, Any]:
    """Of what `evaluate` wrote: the command, the data, and each system's figures."""
    scored = json.loads(path.read_text())
    kept = ("figures", "counts", "class_groups")
    systems = {name: {key: system[key] for key in kept} for name, system in scored["systems"].items()}
    return {"command": scored["command"], "data": scored["data"], "systems": systems}
