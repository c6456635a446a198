"""Train a promptable model to answer one point with one whole object.

One YAML file is the whole run (``training.finetuning.config``). Batches come from ``training.finetuning.batches``, the
training step from ``training.finetuning.module``; Lightning drives one CPU, one GPU or several. A run writes
``last.ckpt`` every ``checkpoint_seconds`` and goes on from there when it is started again, also on another machine.
Ctrl-C and SIGTERM end it after the step in hand, saved.
"""

import argparse
import json
import sys
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import lightning
import torch
from lightning.pytorch.callbacks import LearningRateMonitor, TQDMProgressBar, WeightAveraging
from lightning.pytorch.loggers import CSVLogger, TensorBoardLogger
from lightning.pytorch.utilities.rank_zero import rank_zero_only

from saom_ros.errors import SaomError
from training.data.shards import list_shards, read_members
from training.finetuning.averaging import moving_average
from training.finetuning.batches import stage_batches
from training.finetuning.checkpoints import Checkpoints, save_whole
from training.finetuning.config import FinetuneConfig, load_config, plain
from training.finetuning.frame_store import FrameStore
from training.finetuning.grid_report import grid_report
from training.finetuning.interruption import Interruption, StoppedError
from training.finetuning.module import WholeObjects
from training.finetuning.run_data import RunData
from training.finetuning.start import check_heads, weights_of
from training.version import code_version

VALIDATIONS = 5
"""At least so many in a run, so that there is a curve to look at."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Flags of ``python -m training finetune``."""
    parser.add_argument("--config", type=Path, required=True, help="YAML file, e.g. training/configs/small.yaml")
    parser.add_argument(
        "--init",
        type=Path,
        help="weights to start from: a checkpoint of this command, a bundle of family small such as "
        "saom_ros/models/default, or an official file such as sam_vit_b_01ec64.pth",
    )
    parser.add_argument("--data", help="folder of training shards, instead of the configuration's")
    parser.add_argument("--validation", help="folder of validation shards, instead of the configuration's")
    parser.add_argument(
        "--out", type=Path, help="folder of the run (default: runs/NAME); a run that is there is continued"
    )


def main(args: argparse.Namespace) -> int:
    """Train, or go on training; 130 or 143 where SIGINT or SIGTERM ended it."""
    as_written = load_config(args.config)  # this is what bundles tell: paths of a machine concern nobody else
    config = replace(as_written, data=args.data or as_written.data, validation=args.validation or as_written.validation)
    out = args.out or Path("runs") / config.name
    with Interruption() as interruption:
        try:
            train(config, plain(as_written), args.init, out, interruption)
        except (KeyboardInterrupt, SystemExit, StoppedError):  # Lightning makes an exit of an interrupt
            if interruption.number is None:
                raise
            return _tell_interruption(out / "last.ckpt", interruption.status)
    print(f"trained: {out / 'last.ckpt'}")
    return 0


def train(
    config: FinetuneConfig, described: dict[str, Any], init: Path | None, out: Path, interruption: Interruption
) -> None:
    """Train into ``out``, or go on training there. ``described``: the configuration as checkpoints tell it.

    Raises:
        SaomError: data, weights or the run that is there do not fit.
        KeyboardInterrupt, SystemExit, StoppedError: it was interrupted.
    """
    for folder in (config.data, config.validation):
        _refuse_test_frames(Path(folder))
    training_frames = FrameStore(Path(config.data), maps=config.needed_maps())
    data = RunData(config, training_frames, FrameStore(Path(config.validation)))
    torch.set_float32_matmul_precision("high")
    lightning.seed_everything(config.seed, verbose=False)

    record = {"frames": len(training_frames), "seed": config.seed, "version": code_version()}
    module = WholeObjects(config, total_steps(config), {**record, "config": described})
    last = out / "last.ckpt"
    start = last if last.exists() else init
    if start:
        if start == last:
            check_heads(last, module)
        module.model.load_state_dict(weights_of(start, module.model, config, training_frames).state_dict())
    _report_grid(module, training_frames)
    trainer = make_trainer(config, out, interruption)
    trainer.fit(module, datamodule=data, ckpt_path=last if last.exists() else None, weights_only=True)
    save_whole(trainer, last)
    if interruption.number is not None:  # it came after the last step: the run is done, what called it is not
        raise StoppedError


def _tell_interruption(last: Path, status: int) -> int:
    """Say how to go on. Of several processes one speaks, and the others end in peace: Lightning kills a run, and not
    gently, where one of its processes has another status than 0.
    """
    if rank_zero_only.rank:
        return 0
    kept = f"{last} is saved, the same command goes on from there" if last.exists() else "the same command begins anew"
    print(f"interrupted; {kept}", file=sys.stderr)
    return status


def _refuse_test_frames(folder: Path) -> None:
    """SaomError where a shard is of the test split; a shard has one split, so its first frame tells."""
    for shard in list_shards(folder):
        for _, files in islice(read_members(shard), 1):
            if json.loads(files.get("json", b"{}")).get("split") == "test":
                raise SaomError(f"{shard} is of the test split, which must stay unseen; collect --split train and val")


def total_steps(config: FinetuneConfig) -> int:
    """Optimizer steps of the whole run."""
    batches = sum(stage_batches(stage, config.devices * config.nodes) for stage in config.stages)
    return -(-batches // config.accumulate)


def validation_interval(config: FinetuneConfig) -> int:
    """Batches between validations: what the configuration says, but five in a run of 100 batches and more."""
    batches = total_steps(config) * config.accumulate
    return min(config.validate_every, batches if batches < 100 else batches // VALIDATIONS)


def _report_grid(module: WholeObjects, frames: FrameStore) -> None:
    """Say what the grid cannot reach, and keep it in the run's record."""
    stage = module.config.stages[-1]
    report = grid_report(frames, module.config.prompting(module.model.objectness_stride), stage.height, stage.width)
    print(report)
    module.record["grid_report"] = plain(report)


def make_trainer(config: FinetuneConfig, out: Path, interruption: Interruption) -> lightning.Trainer:
    """Lightning's trainer of a run: moving average, checkpoints, TensorBoard and CSV logs below ``out``."""
    steps = total_steps(config)
    # Each family has parameters that a run does not use (SAM's box prompts, heads without a loss).
    several = config.devices * config.nodes > 1
    return lightning.Trainer(
        accelerator="auto",
        strategy="ddp_find_unused_parameters_true" if several else "auto",
        devices=config.devices,
        num_nodes=config.nodes,
        precision=config.precision,
        max_steps=steps,
        max_epochs=1,
        accumulate_grad_batches=config.accumulate,
        default_root_dir=out,
        gradient_clip_val=config.clip,
        val_check_interval=validation_interval(config),
        check_val_every_n_epoch=None,
        num_sanity_val_steps=0,
        use_distributed_sampler=False,
        log_every_n_steps=25,
        logger=[TensorBoardLogger(out, name="", version="tensorboard"), CSVLogger(out, name="", version="csv")],
        callbacks=[
            WeightAveraging(multi_avg_fn=moving_average(config.ema_decay)),
            Checkpoints(out / "last.ckpt", config.checkpoint_seconds, interruption),
            LearningRateMonitor("step"),
            RunProgress(steps * config.accumulate),
        ],
    )


class RunProgress(TQDMProgressBar):
    """Progress over the whole run, also after a resume."""

    def __init__(self, total_batches: int) -> None:
        super().__init__(refresh_rate=20)
        self._total = total_batches

    @property
    def total_train_batches(self) -> int:
        """Batches of the whole run."""
        return self._total

    def init_train_tqdm(self) -> Any:
        """The bar; a run that goes on in the middle of its epoch never gets its total elsewhere."""
        bar = super().init_train_tqdm()
        bar.total = self._total
        return bar
