"""Loaders of a training run, and the embeddings of a frozen encoder that they read instead of images."""

from pathlib import Path

import lightning
import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

from training.finetuning.batches import Batch, Prompting, Stage, TrainingBatches, assigned_batch
from training.finetuning.config import FinetuneConfig
from training.finetuning.embedding_cache import EmbeddingCache, cache_path, make_embeddings
from training.finetuning.frame_store import FrameStore
from training.finetuning.interruption import ignore_signals
from training.finetuning.module import WholeObjects
from training.sam.model import Features


class RunData(lightning.LightningDataModule):
    """Loaders of a run; training goes on at the batch where a restored run stopped."""

    def __init__(self, config: FinetuneConfig, training: FrameStore, validation: FrameStore) -> None:
        super().__init__()
        self.config, self.training, self.validation = config, training, validation
        self._embeddings: EmbeddingCache | None = None

    def prepare_data(self) -> None:
        """Compute the embeddings that are to be cached; Lightning calls this in one process of a machine."""
        if not self.config.cache_embeddings:
            return
        trainer, stage = self._trainer(), self.config.stages[-1]
        model = self._module().model.to(trainer.strategy.root_device)

        def encode(images: torch.Tensor) -> Features:
            with torch.no_grad(), trainer.precision_plugin.forward_context():
                return model.encode(images.to(trainer.strategy.root_device).float())

        make_embeddings(self._cache_path(), self.training, encode, stage.height, stage.width)

    def setup(self, stage: str) -> None:
        """Open the cached embeddings; Lightning calls this in every process."""
        if self.config.cache_embeddings:
            self._embeddings = EmbeddingCache(self._cache_path())

    def train_dataloader(self) -> DataLoader:
        """Batches from the trainer's current step on."""
        trainer = self._trainer()
        batches = TrainingBatches(
            self.training,
            self.config.stages,
            self.config.augmentation,
            self._prompting(),
            self.config.seed,
            start=trainer.global_step * self.config.accumulate,
            rank=trainer.global_rank,
            world_size=trainer.world_size,
            embeddings=self._embeddings,
        )
        workers = self.config.loader_workers
        return DataLoader(
            batches,
            batch_size=None,
            num_workers=workers,
            prefetch_factor=4 if workers else None,
            pin_memory=trainer.strategy.root_device.type == "cuda",
            worker_init_fn=ignore_signals,
        )

    def val_dataloader(self) -> DataLoader:
        """One frame a batch, each with all its objects asked."""
        frames = ValidationFrames(
            self.validation, self.config.stages[-1], self._prompting(), self.config.validation_frames
        )
        return DataLoader(frames, batch_size=None)

    def _cache_path(self) -> Path:
        stage = self.config.stages[-1]
        return cache_path(self.training, self._module().model, stage.height, stage.width, self.config.precision)

    def _prompting(self) -> Prompting:
        return self.config.prompting(self._module().model.objectness_stride)

    def _module(self) -> WholeObjects:
        module = self._trainer().lightning_module
        assert isinstance(module, WholeObjects)
        return module

    def _trainer(self) -> lightning.Trainer:
        assert self.trainer is not None
        return self.trainer


class ValidationFrames(Dataset):
    """Letterboxed frames with one assigned grid point per object; one item is a batch of one image size."""

    def __init__(self, store: FrameStore, stage: Stage, prompting: Prompting, frames: int) -> None:
        self.store, self.stage, self.prompting = store, stage, prompting
        self.chosen = np.linspace(0, len(store) - 1, min(frames, len(store))).astype(int)

    def __len__(self) -> int:
        return len(self.chosen)

    def __getitem__(self, index: int) -> Batch:
        rgb, instances = self.store[int(self.chosen[index])]
        return assigned_batch(rgb, instances, self.stage.height, self.stage.width, self.prompting)
