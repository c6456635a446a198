"""What the stages of a recipe will take, from short measurements on this machine, before anything is spent.

Measured are the simulator on a few frames, training on a few batches of each input size, and everything mode with
random weights on a few frames. What else runs on the machine later is not foreseen, nor is the time of an export.
"""

from __future__ import annotations

import os
import tempfile
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import TypedDict

import torch

from saom_ros.benchmark_rows import Stopwatch
from saom_ros.segmenter import Segmenter
from training.benchmarking.frames import labelled_frames, write_shard
from training.benchmarking.throughput import training_rows
from training.collecting.verb import SIMULATORS
from training.evaluation.baseline import FelzenszwalbBaseline
from training.export import TorchRuntime, everything_mode
from training.finetuning.config import FinetuneConfig, plain
from training.finetuning.frame_store import FrameStore
from training.recipe.simulator_timing import time_simulator
from training.recipe.stages import Run, missing_frames
from training.sam.checkpoint import describe
from training.sam.registry import build_model
from training.simulators.base import SPLITS

_STEPS = 2
_FRAMES = 4
_TRIALS = 25
"""Evaluations that choosing thresholds takes, about."""
_OBJECTS = 12
"""Objects of a frame that are asked for one by one, about."""


class Prediction(TypedDict):
    """What a stage will take."""

    seconds: float | None
    """From where it stands; None where that is not predicted."""
    measured: dict[str, float]
    """What that rests on."""


def predict(run: Run, stage: str) -> Prediction:
    """Measure, and predict one stage."""
    if stage == "simulate":
        seconds, measured = _simulation(run)
    elif stage == "finetune":
        seconds, measured = _training(run.config)
    elif stage == "evaluate":
        seconds, measured = _evaluation(run)
    else:
        return {"seconds": None, "measured": {}}
    return {"seconds": round(seconds, 3), "measured": measured}


def _simulation(run: Run) -> tuple[float, dict[str, float]]:
    """The simulator's frames a second."""
    missing = {split: frames for split in SPLITS if (frames := missing_frames(run, split))}
    if not missing:
        return 0.0, {}
    job = run.job(next(iter(missing)))
    start, frame = time_simulator(job, SIMULATORS[job.simulator])
    seconds = 0.0
    for frames in missing.values():
        workers = run.recipe.simulate.workers or len(os.sched_getaffinity(0))
        seconds += start + frame * frames / min(workers, len(job.shard_sizes(frames)))
    return seconds, {"seconds to start a worker": round(start, 2), "frames/s of a worker": round(1 / frame, 2)}


def _training(config: FinetuneConfig) -> tuple[float, dict[str, float]]:
    """Images a second of each stage of the training run, on this machine's GPU where it has one."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    half = config.precision == "bf16-mixed"
    seconds, measured = 0.0, {}
    with tempfile.TemporaryDirectory() as folder:
        store = FrameStore(write_shard(Path(folder), _FRAMES), show_progress=False, maps=config.needed_maps())
        for stage in config.stages:
            alone = replace(config, stages=[stage])
            with torch.autocast(device.type, torch.bfloat16) if half else nullcontext():
                rows = training_rows(alone, store, _STEPS, 1.0, device)
            model, loader = (float(row.value) for row in rows if row.unit == "images/s")
            if device.type == "cuda":
                image = max(1 / model, 1 / (loader * max(config.loader_workers, 1)))
            else:  # loader and model share the cores, and a loader has one of them
                image = 1 / model + 1 / (loader * (torch.get_num_threads() if config.loader_workers else 1))
            seconds += stage.images * image / (config.devices * config.nodes)
            measured[f"images/s at {stage.width}x{stage.height}"] = round(1 / image, 2)
    return seconds, measured


def _evaluation(run: Run) -> tuple[float, dict[str, float]]:
    """Everything mode with random weights, and the baseline."""
    watch, baseline = Stopwatch(), FelzenszwalbBaseline()
    segmenter = _untrained(run.config)
    for frame in labelled_frames(_FRAMES):
        watch.measure("segment", segmenter, frame.rgb)
        watch.measure("baseline", baseline, frame.rgb)
    segment, base = watch.median("segment"), watch.median("baseline")
    trials = _TRIALS * run.recipe.evaluate.threshold_frames * segment
    scored = run.split("test").frames * ((1 + _OBJECTS) * segment + base)
    return trials + scored, {"frames/s of everything mode": round(1 / segment, 2)}


def _untrained(config: FinetuneConfig) -> Segmenter:
    """Everything mode of the run's model with random weights."""
    model = build_model(config.family, config.model)
    content = {f"model.{name}": tensor for name, tensor in model.state_dict().items()}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "untrained.ckpt"
        torch.save({"state_dict": content, "saom": describe(model, {"config": plain(config)})}, path)
        module, description = everything_mode(path)
    return Segmenter(description, TorchRuntime(module))
