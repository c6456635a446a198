"""How fast training is: images a second of loader and model in turns, and the model's share of the machine's peak.

The peak is what a large matrix product reaches in the same run, so a busy machine lowers both. FLOPs are counted by
PyTorch over the forward and the backward pass.
"""

from __future__ import annotations

import tempfile
import time
import warnings
from dataclasses import replace
from pathlib import Path

import torch
from torch.utils.flop_counter import FlopCounterMode

from saom_ros.benchmark_rows import Row, Stopwatch, ratio_row
from training.benchmarking.frames import write_shard
from training.finetuning.batches import Batch, Stage, TrainingBatches
from training.finetuning.config import FinetuneConfig, load_config
from training.finetuning.frame_store import FrameStore
from training.finetuning.module import WholeObjects

AREA = "training"
CONFIGS = ("small", "sam_small")
"""Runs of training/configs whose last stage is measured."""
STEPS, QUICK_STEPS = 12, 2
LEAST_RATIO = 2
"""Target: one loader process makes so many times the images that the model takes."""
_MATRIX, _PRODUCTS = 2048, 5
_FRAMES = 16


def rows(quick: bool, data: Path | None = None) -> list[Row]:
    """Rows of each configuration; `data`: a folder of shards with parts, None = frames made on the spot."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    peak = matmul_flops(device)
    found = [Row(AREA, f"peak, matrix product in fp32 on {device.type}", round(peak / 1e9, 1), "GFLOP/s")]
    with tempfile.TemporaryDirectory() as folder:
        frames = data or write_shard(Path(folder), _FRAMES)
        for name in CONFIGS:
            config = load_config(Path(__file__).parents[1] / "configs" / f"{name}.yaml")
            store = FrameStore(frames, show_progress=False, maps=config.needed_maps())
            found += training_rows(config, store, QUICK_STEPS if quick else STEPS, peak, device)
    return found


def matmul_flops(device: torch.device) -> float:
    """FLOP/s of the fastest of a few products of square matrices in fp32."""
    a = torch.rand(_MATRIX, _MATRIX, device=device)
    fastest = float("inf")
    for _ in range(_PRODUCTS):
        began = time.perf_counter()
        float((a @ a)[0, 0])  # reads it, so a GPU has finished
        fastest = min(fastest, time.perf_counter() - began)
    return 2 * _MATRIX**3 / fastest


def training_rows(
    config: FinetuneConfig, store: FrameStore, steps: int, peak: float, device: torch.device
) -> list[Row]:
    """Loader and model of a run's last stage; `peak` in FLOP/s."""
    torch.manual_seed(config.seed)
    stage = replace(config.stages[-1], images=(1 + steps) * config.stages[-1].batch_size)
    module = WholeObjects(config, steps, {}).to(device)
    prompting = config.prompting(module.model.objectness_stride)
    batches = TrainingBatches(store, [stage], config.augmentation, prompting, config.seed)
    optimizer = module.configure_optimizers()["optimizer"]
    watch = Stopwatch()
    flops = count_flops(module, batches.batch(0).to(device))  # warms up, too
    for number in range(1, 1 + steps):
        batch = watch.measure("loader", batches.batch, number)
        watch.measure("model", _step, module, batch.to(device), optimizer)
    return _rows(config.name, stage, watch, flops, peak)


def count_flops(module: WholeObjects, batch: Batch) -> int:
    """FLOPs of the forward and the backward pass of a batch."""
    with FlopCounterMode(display=False) as counter:
        _loss(module, batch).backward()
    module.zero_grad()
    return counter.get_total_flops()


def _rows(name: str, stage: Stage, watch: Stopwatch, flops: int, peak: float) -> list[Row]:
    what = f"{name}, {stage.width}x{stage.height}"
    loader, model = (stage.batch_size / watch.median(part) for part in ("loader", "model"))
    reached = flops / watch.median("model")
    return [
        Row(AREA, f"{what}, model", round(model, 2), "images/s"),
        Row(AREA, f"{what}, one loader process", round(loader, 2), "images/s"),
        ratio_row(AREA, f"{what}, loader", loader / model, f"the model (target: at least {LEAST_RATIO})"),
        Row(
            AREA, f"{what}, FLOPs of an image, forward and backward", round(flops / stage.batch_size / 1e9, 2), "GFLOP"
        ),
        ratio_row(AREA, f"{what}, FLOP/s", reached / peak, "the peak"),
    ]


def _step(module: WholeObjects, batch: Batch, optimizer: torch.optim.Optimizer) -> float:
    """One optimizer step, as Lightning makes it; the loss, read so that a GPU has finished."""
    optimizer.zero_grad()
    loss = _loss(module, batch)
    loss.backward()
    torch.nn.utils.clip_grad_norm_(module.parameters(), module.config.clip)
    optimizer.step()
    return float(loss.detach())


def _loss(module: WholeObjects, batch: Batch) -> torch.Tensor:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*self.log.*")  # there is no trainer to log to
        return module.training_step(batch, 0)
