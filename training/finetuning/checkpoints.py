"""``last.ckpt`` of a training run: written every so often by the clock and when the run is told to stop.

Only between optimizer steps, which is where a run can go on bit for bit, and under another name first: a kill in the
middle of writing leaves the checkpoint before it.
"""

import os
import time
from pathlib import Path
from typing import Any

import lightning
import torch
from lightning.pytorch.callbacks import Checkpoint

from training.finetuning.interruption import Interruption, StoppedError


class Checkpoints(Checkpoint):
    """Saves, and stops the run where it is told to. Lightning calls it after every callback that is no Checkpoint, so
    that the moving average is that of the same step.
    """

    def __init__(self, path: Path, seconds: float, interruption: Interruption) -> None:
        """``seconds`` between checkpoints, at least; 0 saves after every optimizer step."""
        self._path, self._seconds, self._interruption = path, seconds, interruption
        self._saved = time.monotonic()

    def on_train_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Start the clock, and hear signals between steps."""
        self._saved = time.monotonic()
        self._interruption.begin_steps()

    def on_train_batch_end(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Save where it is time to. Raises StoppedError where the run was told to stop, once it is saved."""
        if (batch_idx + 1) % trainer.accumulate_grad_batches:
            return
        due = time.monotonic() - self._saved >= self._seconds
        number, save = _greatest(trainer, [self._interruption.number or 0, int(due)])
        if save or number:
            save_whole(trainer, self._path)
            self._saved = time.monotonic()
        if number:
            self._interruption.number = number
            raise StoppedError

    def on_train_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Wait for no further step."""
        self._interruption.end_steps()


def save_whole(trainer: lightning.Trainer, path: Path) -> None:
    """Replace a checkpoint by what the trainer holds, in one go. Every process of the run calls this."""
    partial = path.with_name(f"{path.name}.part")
    trainer.save_checkpoint(partial, weights_only=False)
    if trainer.is_global_zero:
        os.replace(partial, path)


def _greatest(trainer: lightning.Trainer, values: list[int]) -> list[int]:
    """Each value's greatest over all processes, so that they save and stop at the same step."""
    if trainer.world_size == 1:
        return values
    reduced = trainer.strategy.reduce(torch.tensor(values, device=trainer.strategy.root_device), reduce_op="max")
    assert isinstance(reduced, torch.Tensor)
    return reduced.tolist()
