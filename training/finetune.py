"""Train a promptable model to answer one point with one whole object.

One YAML file is the whole run. Batches come from ``training.dataset``, losses from ``training.losses``; Lightning
drives one CPU, one GPU or several. A run writes ``last.ckpt`` every ``checkpoint_every`` batches and goes on from
there when it is started again.
"""

import argparse
import math
import subprocess
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import dacite
import lightning
import numpy as np
import torch
import yaml
from lightning.pytorch.callbacks import EMAWeightAveraging, LearningRateMonitor, ModelCheckpoint, TQDMProgressBar
from lightning.pytorch.loggers import CSVLogger, TensorBoardLogger
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from saom_ros.bundle import MASK_STRIDE
from saom_ros.errors import SaomError
from training import losses
from training.dataset import (
    Augmentation,
    Batch,
    FrameStore,
    Stage,
    TrainingBatches,
    assigned_batch,
    images_seen,
    stage_batches,
)
from training.prompts import PromptSampling
from training.sam.checkpoint import describe, load_checkpoint
from training.sam.model import Decoded, local_maxima
from training.sam.small import EMBEDDING_STRIDE, SmallSam, SmallSamConfig


@dataclass(frozen=True)
class LossWeights:
    """Weight of each loss. Those of masks and boxes are means over objects, the score's over all points asked."""

    mask: float = 1.0
    """Balanced binary cross-entropy of the masks."""
    dice: float = 2.0
    """Dice loss of the masks."""
    box: float = 0.5
    """Generalised IoU loss of the boxes that masks are decoded in."""
    score: float = 2.0
    """Squared error of the score against the mask's true IoU; 0 is the truth on background."""
    objectness: float = 0.5
    """Focal loss of the objectness map, per object."""


@dataclass(frozen=True)
class FinetuneConfig:
    """A whole training run, as in the YAML file."""

    name: str
    """Name of the run; its folder below ``runs/``."""
    data: str
    """Folder of training shards."""
    validation: str
    """Folder of validation shards, from other rooms."""
    stages: list[Stage]
    """Input sizes and how long to train at each, smallest first."""
    model: SmallSamConfig = field(default_factory=SmallSamConfig)
    """Shape of the model."""
    augmentation: Augmentation = field(default_factory=Augmentation)
    """How far training images stray from the frames."""
    prompts: PromptSampling = field(default_factory=PromptSampling)
    """Which points are asked."""
    loss: LossWeights = field(default_factory=LossWeights)
    """Weights of the losses."""
    learning_rate: float = 8e-4
    """Peak learning rate of AdamW (betas 0.9, 0.98); linear warm-up, then cosine to one hundredth."""
    warmup: int = 200
    """Batches of linear warm-up."""
    weight_decay: float = 0.02
    """Decay of matrices and kernels; biases and norms have none."""
    clip: float = 1.0
    """Largest gradient norm."""
    ema_decay: float = 0.998
    """Decay of the exponential moving average of the weights; the average is what is saved and exported."""
    seed: int = 0
    """Seed of weights and batches."""
    precision: str = "32-true"
    """Lightning's precision: 32-true, or bf16-mixed where the device has it."""
    devices: int = 1
    """Devices to train on (processes, on CPU)."""
    loader_workers: int = 1
    """Processes that make batches, per device."""
    checkpoint_every: int = 250
    """Batches between checkpoints."""
    validate_every: int = 1000
    """Batches between validations."""
    validation_frames: int = 64
    """Frames of a validation."""


def load_config(path: Path) -> FinetuneConfig:
    """Read a YAML file strictly; SaomError names the file and the key that does not fit."""
    if not path.is_file():
        raise SaomError(f"{path}: no such configuration; see training/configs/")
    try:
        values = yaml.safe_load(path.read_text())
        config = dacite.from_dict(FinetuneConfig, values, dacite.Config(cast=[tuple, float], strict=True))
    except (yaml.YAMLError, dacite.DaciteError, TypeError, ValueError, AttributeError) as error:
        raise SaomError(f"{path}: {error}; the fields are described in training/finetune.py") from error
    for stage in config.stages:
        if stage.height % 32 or stage.width % 32 or min(stage.height, stage.width) < 64:
            raise SaomError(f"{path}: stage {stage.width}x{stage.height}: sides must be multiples of 32, at least 64")
        if stage.images < 1 or stage.batch_size < 1:
            raise SaomError(f"{path}: stage {stage.width}x{stage.height}: images and batch_size must be at least 1")
    if not config.stages:
        raise SaomError(f"{path}: stages is empty; give at least one")
    if not 0 < config.learning_rate < math.inf:
        raise SaomError(f"{path}: learning_rate is {config.learning_rate}; it must be a number above 0")
    lowest = {"devices": 1, "checkpoint_every": 1, "validate_every": 1, "validation_frames": 1}
    for name, least in {**lowest, "loader_workers": 0, "warmup": 0, "seed": 0}.items():
        if getattr(config, name) < least:
            raise SaomError(f"{path}: {name} is {getattr(config, name)}; it must be at least {least}")
    return config


class WholeObjects(lightning.LightningModule):
    """The training step around a model."""

    def __init__(self, config: FinetuneConfig, total_batches: int, record: dict[str, Any]) -> None:
        super().__init__()
        self.config, self.total_batches, self.record = config, total_batches, record
        self.model = SmallSam(config.model).to(memory_format=torch.channels_last)

    def training_step(self, batch: Batch, _index: int) -> Tensor:
        """Loss of one batch; also asks the points that the model's own objectness map would ask."""
        features = self.model.encode(batch.images.float())
        objectness = self.model.objectness(features)
        peaks, peak_ids = self._own_peaks(objectness.detach(), batch.labels)
        points, ids = torch.cat([batch.points, peaks], 1), torch.cat([batch.point_ids, peak_ids], 1)
        parts = whole_object_losses(self.model.decode(features, points), batch.labels, ids)
        parts["objectness"] = losses.objectness_focal(objectness, batch.objectness)
        weights = asdict(self.config.loss)
        loss = torch.stack([weights[name] * parts[name] for name in weights]).sum()
        if not torch.isfinite(loss):  # a checkpoint of such weights would overwrite the last good one
            values = {name: value.item() for name, value in parts.items()}
            raise SaomError(
                f"loss is {loss.item()} at batch {self.trainer.global_step} ({values}); lower learning_rate"
            )
        self.log_dict({f"train/{name}": value for name, value in parts.items()})
        self.log("loss", loss, prog_bar=True)
        self.log("iou", parts["iou"], prog_bar=True)
        return loss

    def _own_peaks(self, objectness: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Points (B, n, 2) px of the highest local maxima and the instance under each, int64 (B, n)."""
        index = local_maxima(objectness).flatten(1).topk(self.config.prompts.own_peaks).indices
        cols = objectness.shape[-1]
        cells = torch.stack([index % cols, index // cols], -1)
        # An embedding cell is two mask cells wide: its centre is the corner of four; take the lower right one.
        ids = labels.flatten(1).gather(1, (2 * cells[..., 1] + 1) * labels.shape[-1] + 2 * cells[..., 0] + 1)
        return (cells + 0.5) * EMBEDDING_STRIDE, ids.clamp(min=0).long()

    def validation_step(self, batch: Batch, _index: int) -> None:
        """IoU of the answers to assigned grid points on frames from other rooms."""
        features = self.model.encode(batch.images.float())
        decoded = self.model.decode(features, batch.points)
        targets = (batch.labels[:, None] == batch.point_ids[..., None, None]).float()
        asked = (batch.point_ids > 0) & (targets.sum((2, 3)) >= 6)
        iou = losses.mask_iou(decoded.masks, targets)[asked]
        for name, value in {
            "prompted_miou": iou.mean(),
            "prompted_recall50": (iou >= 0.5).float().mean(),
            "prompted_recall75": (iou >= 0.75).float().mean(),
        }.items():
            self.log(f"val/{name}", 100 * value, prog_bar=name == "prompted_miou", batch_size=len(iou), sync_dist=True)

    def configure_optimizers(self) -> Any:
        """AdamW with warm-up and cosine over the whole run."""
        decayed = [p for p in self.model.parameters() if p.ndim > 1]
        free = [p for p in self.model.parameters() if p.ndim <= 1]
        groups = [{"params": decayed, "weight_decay": self.config.weight_decay}, {"params": free, "weight_decay": 0.0}]
        optimizer = torch.optim.AdamW(groups, self.config.learning_rate, betas=(0.9, 0.98))

        def factor(step: int) -> float:
            warm = min(1.0, (step + 1) / max(self.config.warmup, 1))
            return warm * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * min(step / self.total_batches, 1.0))))

        scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, factor)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Describe the model and the run in plain values, so that the file can be read without running code."""
        batches = self.trainer.global_step
        images = images_seen(self.config.stages, batches, self.trainer.world_size)
        checkpoint["saom"] = describe(self.model, {**self.record, "images_seen": images, "batches": batches})


def whole_object_losses(decoded: Decoded, labels: Tensor, ids: Tensor) -> dict[str, Tensor]:
    """Losses and mean IoU of answers to points on instances ``ids`` int64 (B, N), 0 = background, given ``labels`` (B,
    h/4, w/4).
    """
    targets = (labels[:, None] == torch.where(ids > 0, ids, -2)[..., None, None]).to(decoded.masks.dtype)
    is_object = (targets.sum((2, 3)) > 0).to(decoded.masks.dtype)
    objects = is_object.sum().clamp(min=1)
    inside = (labels >= 0).to(decoded.masks.dtype)[:, None]
    masks = decoded.masks * inside - 20 * (1 - inside)  # nothing is learned from the padding

    def over_objects(loss: Tensor) -> Tensor:
        return (loss * is_object).sum() / objects

    iou = losses.mask_iou(masks, targets) * is_object
    height, width = labels.shape[-2] * MASK_STRIDE, labels.shape[-1] * MASK_STRIDE
    limits = torch.tensor([width, height, width, height], device=masks.device, dtype=decoded.boxes.dtype)
    boxes = decoded.boxes / limits
    return {
        "mask": over_objects(losses.mask_bce(masks, targets)),
        "dice": over_objects(losses.dice(masks, targets)),
        "box": over_objects(losses.box_giou(boxes, losses.boxes_of_masks(targets, MASK_STRIDE) / limits)),
        "score": (decoded.scores.sigmoid() - iou).square().mean(),
        "iou": iou.sum() / objects,
    }


class ValidationFrames(Dataset):
    """Letterboxed frames with one assigned grid point per object; one item is a batch of one image size."""

    def __init__(self, store: FrameStore, stage: Stage, frames: int) -> None:
        self.store, self.stage = store, stage
        self.chosen = np.linspace(0, len(store) - 1, min(frames, len(store))).astype(int)

    def __len__(self) -> int:
        return len(self.chosen)

    def __getitem__(self, index: int) -> Batch:
        rgb, instances = self.store[int(self.chosen[index])]
        return assigned_batch(rgb, instances, self.stage.height, self.stage.width)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Flags of ``python -m training finetune``."""
    parser.add_argument("--config", type=Path, required=True, help="YAML file, e.g. training/configs/small.yaml")
    parser.add_argument("--init", type=Path, help="checkpoint whose weights to start from")
    parser.add_argument("--data", help="folder of training shards, instead of the configuration's")
    parser.add_argument("--validation", help="folder of validation shards, instead of the configuration's")
    parser.add_argument(
        "--out", type=Path, help="folder of the run (default: runs/NAME); a run that is there is continued"
    )


def main(args: argparse.Namespace) -> int:
    """Train, or go on training."""
    as_written = load_config(args.config)  # this is what bundles tell: paths of a machine concern nobody else
    config = replace(as_written, data=args.data or as_written.data, validation=args.validation or as_written.validation)
    out = args.out or Path("runs") / config.name
    train_store, validation_store = FrameStore(Path(config.data)), FrameStore(Path(config.validation))
    torch.set_float32_matmul_precision("high")
    lightning.seed_everything(config.seed, verbose=False)

    total = sum(stage_batches(stage, config.devices) for stage in config.stages)
    record = {"frames": len(train_store), "seed": config.seed, "commit": current_commit(), "config": plain(as_written)}
    module = WholeObjects(config, total, record)
    if args.init:
        module.model.load_state_dict(_load_same_model(args.init, config).state_dict())
    last = out / "last.ckpt"
    if last.exists():
        _load_same_model(last, config)
    trainer = make_trainer(config, out, total)
    trainer.fit(
        module,
        datamodule=WholeObjectData(config, train_store, validation_store),
        ckpt_path=last if last.exists() else None,
        weights_only=True,
    )
    trainer.save_checkpoint(last)
    print(f"trained: {last}")
    return 0


def _load_same_model(path: Path, config: FinetuneConfig) -> SmallSam:
    """The model of a checkpoint. SaomError where it is damaged or not of the shape that the configuration asks for."""
    model, _ = load_checkpoint(path)
    if model.config != config.model:
        raise SaomError(f"{path}: has {model.config}, the configuration {config.model}; use its model or another --out")
    return model


def make_trainer(config: FinetuneConfig, out: Path, total_batches: int) -> lightning.Trainer:
    """Lightning's trainer of a run: moving average, checkpoints, TensorBoard and CSV logs below ``out``."""
    checkpoints = ModelCheckpoint(
        out, filename="last", enable_version_counter=False, every_n_train_steps=config.checkpoint_every
    )
    return lightning.Trainer(
        accelerator="auto",
        devices=config.devices,
        precision=config.precision,
        max_steps=total_batches,
        max_epochs=1,
        gradient_clip_val=config.clip,
        val_check_interval=min(config.validate_every, total_batches),
        check_val_every_n_epoch=None,
        num_sanity_val_steps=0,
        use_distributed_sampler=False,
        log_every_n_steps=25,
        logger=[TensorBoardLogger(out, name="", version="tensorboard"), CSVLogger(out, name="", version="csv")],
        callbacks=[
            EMAWeightAveraging(decay=config.ema_decay),
            checkpoints,
            LearningRateMonitor("step"),
            RunProgress(total_batches),
        ],
    )


class WholeObjectData(lightning.LightningDataModule):
    """Loaders of a run; training goes on at the batch where a restored run stopped."""

    def __init__(self, config: FinetuneConfig, training: FrameStore, validation: FrameStore) -> None:
        super().__init__()
        self.config, self.training, self.validation = config, training, validation

    def train_dataloader(self) -> DataLoader:
        """Batches from the trainer's current step on."""
        trainer = self.trainer
        assert trainer is not None
        batches = TrainingBatches(
            self.training,
            self.config.stages,
            self.config.augmentation,
            self.config.prompts,
            self.config.seed,
            start=trainer.global_step,
            rank=trainer.global_rank,
            world_size=trainer.world_size,
        )
        workers = self.config.loader_workers
        return DataLoader(batches, batch_size=None, num_workers=workers, prefetch_factor=4 if workers else None)

    def val_dataloader(self) -> DataLoader:
        """One frame a batch, each with all its objects asked."""
        frames = ValidationFrames(self.validation, self.config.stages[-1], self.config.validation_frames)
        return DataLoader(frames, batch_size=None)


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


def current_commit() -> str:
    """Git commit of the checkout that trains; 'unknown' outside git."""
    asked = subprocess.run(["git", "rev-parse", "HEAD"], cwd=Path(__file__).parent, capture_output=True, text=True)
    return asked.stdout.strip() if asked.returncode == 0 else "unknown"


def plain(config: FinetuneConfig) -> dict[str, Any]:
    """The configuration as plain values (lists for tuples), as in its YAML file."""
    return _without_tuples(asdict(config))


def _without_tuples(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_tuples(item) for key, item in value.items()}
    return [_without_tuples(item) for item in value] if isinstance(value, list | tuple) else value
