"""What a training run costs in FLOPs, so that arms of different shapes can be given equally much.

FLOPs are PyTorch's count of matrix products and convolutions, forward and backward, on batches made on the spot. They
are the same on every machine; time is not, and layers that move more memory a FLOP take longer than they tell.
"""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path

from training.benchmarking.frames import write_shard
from training.benchmarking.throughput import count_flops
from training.finetuning.batches import TrainingBatches
from training.finetuning.config import FinetuneConfig
from training.finetuning.frame_store import FrameStore
from training.finetuning.module import WholeObjects

_FRAMES = 2


def run_flops(config: FinetuneConfig) -> float:
    """FLOPs of all images that a run sees."""
    module = WholeObjects(config, 1, {})
    prompting, total = config.prompting(module.model.objectness_stride), 0.0
    with tempfile.TemporaryDirectory() as folder:
        store = FrameStore(write_shard(Path(folder), _FRAMES), show_progress=False, maps=config.needed_maps())
        for stage in config.stages:
            small = replace(stage, batch_size=_FRAMES)
            batch = TrainingBatches(store, [small], config.augmentation, prompting, config.seed).batch(0)
            total += stage.images * count_flops(module, batch) / _FRAMES
    return total
