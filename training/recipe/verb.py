"""From nothing to a model bundle with its card: simulate, finetune, evaluate, export, by one YAML file.

    python -m training recipe default                    a model like the one in the box; hours to days on CPUs
    python -m training recipe default --quick            every stage on a few tiny frames, a minute or two
    python -m training recipe my.yaml --until simulate   make the data here, copy the folder, go on where a GPU is

A stage that is done with the same settings and inputs is skipped; one that was killed goes on (simulate, finetune) or
is done again whole (evaluate, export). Changed settings are told: other frames or another training run are refused, as
they would throw hours away; figures and bundle are made again. `OUT/recipe.json` records settings, seeds, predicted
and real time and figures of each stage, and the machine and versions of each run of it; `OUT/bundle` is the bundle.
"""

from __future__ import annotations

import argparse
import os
import platform
import shlex
import signal
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path

import torch

from saom_ros.errors import SaomError
from training.evaluation.frames import open_frames
from training.recipe.prediction import Prediction, predict
from training.recipe.record import Record, Stretch, only_run
from training.recipe.settings import finetune_config, load_recipe
from training.recipe.stages import STAGES, Run, Stage
from training.reports.pages import markdown_table
from training.version import code_version

_PACKAGES = ("lightning", "numpy", "onnx", "onnxruntime", "opencv-python-headless", "scipy", "timm", "torch")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `python -m training recipe`."""
    parser.add_argument("name", help="a recipe of training/configs/recipes, or a YAML file")
    parser.add_argument("--quick", action="store_true", help="tiny frames and a tiny net, to see that it runs")
    parser.add_argument("--out", type=Path, help="folder of everything that is made (default: the recipe's)")
    parser.add_argument(
        "--photos",
        type=Path,
        metavar="DATA",
        help="annotated photographs to score on, too, for the card: whatever `evaluate --data` takes",
    )
    parser.add_argument("--until", choices=[stage.name for stage in STAGES], help="stop after this stage")


def main(args: argparse.Namespace) -> int:
    """Make what is not made yet."""
    recipe = load_recipe(args.name, args.quick)
    out = args.out or Path(recipe.out)
    if args.photos:
        open_frames(args.photos)  # a folder that is none is told now, not after hours
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # what batch systems send is an interruption, too
    with only_run(out):
        run = Run(recipe, finetune_config(recipe), out, Record(out), args.photos)
        check_begun(run)
        names = [stage.name for stage in STAGES]
        stages = STAGES[: names.index(args.until) + 1 if args.until else None]
        made_by = ["python", "-m", "training", "recipe", Path(args.name).name, *["--quick"] * args.quick]
        told = {"recipe": asdict(recipe), "made_by": shlex.join(made_by), "predicted": predictions(run, stages)}
        run.record.tell(told)
        for stage in stages:
            make(run, stage)
    print(f"\n{closing_table(run)}\n\nrecord: {run.record.path}")
    return 0


def this_machine() -> Stretch:
    """Where a run of a stage that begins now takes place."""
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else None
    cores = f"{len(os.sched_getaffinity(0))} CPU cores"
    versions = {"python": platform.python_version(), **{name: version(name) for name in _PACKAGES}}
    return Stretch(f"{gpu} and {cores}" if gpu else cores, platform.platform(), code_version(), versions)


def predictions(run: Run, stages: Sequence[Stage]) -> dict[str, Prediction]:
    """What each stage will take, and what that rests on. Measured and told for those that have not begun; what was
    predicted of the others, or by a run of the same recipe, stays.
    """
    same = run.record.about.get("recipe") == asdict(run.recipe)
    found = dict(run.record.about.get("predicted", {}))
    missing = [
        stage.name for stage in stages if stage.name not in run.record.stages and not (same and stage.name in found)
    ]
    if missing:
        print(f"measuring, to predict what {', '.join(missing)} will take", flush=True)
        found |= {name: predict(run, name) for name in missing}
        rows = [[name, _time(found[name]["seconds"]), _rates(found[name]["measured"])] for name in missing]
        print(markdown_table([["stage", "predicted", "measured"], *rows]), flush=True)
    return found


def check_begun(run: Run) -> None:
    """Refuse what would mix with, or throw away, a training run that is there, before anything is spent.

    Raises:
        SaomError: the training run was begun with other settings or frames, or by nobody knows whom.
    """
    simulate, finetune = STAGES[:2]
    if not run.training.exists():
        run.record.stages.pop(finetune.name, None)
        return
    mend = f"give another --out, or remove {run.training} to train anew"
    if finetune.name not in run.record.stages:
        raise SaomError(f"{run.training} is there, but not in {run.record.path}; {mend}")
    inputs = run.record.stages[finetune.name].inputs
    changes = run.record.changes(finetune.name, finetune.settings(run), inputs, finetune.completed)
    if changes:
        raise SaomError(f"finetune: {'; '.join(changes)}; {mend}")
    changes = run.record.changes(simulate.name, simulate.settings(run), {})
    if changes := [change for change in changes if not change.startswith("test.")]:
        raise SaomError(f"simulate: {'; '.join(changes)}, and {run.training} learned from the former; {mend}")


def make(run: Run, stage: Stage) -> None:
    """Make one stage, unless it is done with the same settings and inputs.

    Raises:
        SaomError: it failed, or it would mix with what is there.
    """
    settings, inputs = stage.settings(run), stage.inputs(run)
    before = run.record.stages.get(stage.name)
    changes = run.record.changes(stage.name, settings, inputs, stage.completed)
    if before and before.stretches[0].code != code_version():
        print(f"note: {stage.name} was begun by version {before.stretches[0].code}, this is {code_version()}")
    if before and before.done and not changes and stage.is_there(run):
        print(f"{stage.name}: done already: {before.output}")
        return
    if changes and stage.when_changed == "refuse":
        raise SaomError(
            f"{stage.name}: {'; '.join(changes)}; give another --out, or remove {run.training} to train anew"
        )
    anew = before is None or stage.when_changed == "again" or (before.done and not changes)
    why = f", again: {'; '.join(changes)}" if changes else ""
    print(f"\n{stage.name}{why}", flush=True)
    run.record.begin(stage.name, settings, inputs, this_machine(), anew)
    with ExitStack() as stack:
        began = time.monotonic()
        stack.callback(lambda: run.record.end(stage.name, time.monotonic() - began))
        figures = stage.work(run)
    run.record.finish(stage.name, stage.output(run), figures)
    seconds, output = run.record.stages[stage.name].seconds, run.record.stages[stage.name].output
    print(f"{stage.name}: done in {_time(seconds)}: {output}", flush=True)


def closing_table(run: Run) -> str:
    """What each stage took, beside what was predicted, and where its output lies."""
    rows = [["stage", "time", "predicted", "output"]]
    for stage in STAGES:
        if (entry := run.record.stages.get(stage.name)) is None:
            rows.append([stage.name, "not begun", "", ""])
            continue
        took = f"{'> ' if entry.killed_runs else ''}{_time(entry.seconds)}"
        rows.append([stage.name, took, _time(entry.predicted_seconds), entry.output])
    return markdown_table(rows)


def _rates(measured: Mapping[str, float]) -> str:
    return ", ".join(f"{name}: {value:g}" for name, value in measured.items())


def _time(seconds: float | None) -> str:
    if seconds is None:
        return "-"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"
