"""The training step around a promptable model: features, points asked, losses, optimizer, validation.

With ``target: whole_objects`` a point is answered with one whole object; with ``ambiguous`` with SAM's three masks.
"""

from pathlib import Path
from typing import Any

import lightning
import torch
import torch.nn.functional as F
from torch import Tensor

from saom_ros.bundle import MASK_STRIDE
from saom_ros.errors import SaomError
from training.finetuning import losses
from training.finetuning.answer_losses import Answers, answer_losses, truth_of
from training.finetuning.auxiliary import AuxiliaryHeads
from training.finetuning.batches import Batch, images_seen
from training.finetuning.config import AUXILIARY, FinetuneConfig
from training.finetuning.optimizer import adamw, warmup_and_decay
from training.sam.checkpoint import describe
from training.sam.everything import prompt_rank
from training.sam.model import Features, best_scored, cell_index
from training.sam.registry import build_model


class WholeObjects(lightning.LightningModule):
    """A model in training."""

    def __init__(self, config: FinetuneConfig, total_steps: int, record: dict[str, Any]) -> None:
        """``total_steps``: optimizer steps of the whole run. ``record``: what the checkpoint tells about it."""
        super().__init__()
        self.config, self.total_steps, self.record = config, total_steps, record
        self.model = build_model(config.family, config.model).to(memory_format=torch.channels_last)
        self.auxiliary = None
        if any(getattr(config.loss, name) for name in AUXILIARY):
            shape = self.model.config
            self.auxiliary = AuxiliaryHeads(config.loss, shape.embedding_dim, shape.pixel_dim)
        if not config.train_encoder:
            for module in self.model.encoder_modules():
                module.requires_grad_(False).eval()  # Lightning keeps the mode of each module

    def training_step(self, batch: Batch, index: int) -> Tensor:
        """Loss of one batch."""
        features = self._features(batch)
        ambiguous = self.config.target == "ambiguous"
        parts = self._ambiguous_losses(features, batch) if ambiguous else self._losses(features, batch)
        loss = torch.stack([getattr(self.config.loss, name) * parts[name] for name in parts if name != "iou"]).sum()
        if not torch.isfinite(loss):  # a checkpoint of such weights would overwrite the last good one
            raise self._bad_batch(batch, index, loss, parts)
        self.log_dict({f"train/{name}": value for name, value in parts.items()})
        self.log("loss", loss, prog_bar=True)
        self.log("iou", parts["iou"], prog_bar=True)
        return loss

    def _features(self, batch: Batch) -> Features:
        if batch.images is not None:
            return self.model.encode(batch.images.float())
        assert batch.embedding is not None
        return Features(batch.embedding.float(), None if batch.pixels is None else batch.pixels.float())

    def _losses(self, features: Features, batch: Batch) -> dict[str, Tensor]:
        """Losses of whole-object answers; also asks the points that the model's own objectness map would ask."""
        objectness = self.model.objectness(features)
        peaks, peak_ids = self._own_peaks(objectness.detach(), batch)
        points, ids = torch.cat([batch.points, peaks], 1), torch.cat([batch.point_ids, peak_ids], 1)
        decoded = self.model.decode(features, points)
        masks = decoded.masks
        if batch.fine_labels is not None:
            masks = F.interpolate(masks, batch.fine_labels.shape[-2:], mode="bilinear", align_corners=False)
        answers = Answers(masks[:, :, None], decoded.scores[..., None], decoded.boxes, decoded.classes)
        parts = answer_losses(answers, truth_of(batch, ids), self.config.loss)
        if self.config.loss.objectness:
            parts["objectness"] = losses.objectness_focal(objectness, batch.objectness)
        return parts if self.auxiliary is None else parts | self.auxiliary(features, batch)

    def _ambiguous_losses(self, features: Features, batch: Batch) -> dict[str, Tensor]:
        """Losses of SAM's four answers to each point, whose truth is a part or a whole object.

        Of the three ambiguous ones the best learns; the one alone learns whatever is asked, so that tuning starts
        from an answer and not from noise.
        """
        masks, scores = self.model.decode_every(features, batch.points)
        truth = truth_of(batch, batch.point_ids, batch.part_ids)
        alone = answer_losses(Answers(masks[:, :, :1], scores[:, :, :1]), truth, self.config.loss)
        parts = answer_losses(Answers(masks[:, :, 1:], scores[:, :, 1:]), truth, self.config.loss)
        parts = {name: value if name == "iou" else (value + alone[name]) / 2 for name, value in parts.items()}
        if self.config.loss.objectness:
            parts["objectness"] = losses.objectness_focal(self.model.objectness(features), batch.objectness)
        return parts

    def _own_peaks(self, objectness: Tensor, batch: Batch) -> tuple[Tensor, Tensor]:
        """The grid points (B, n, 2) px that everything mode would ask first, and the instances under them (B, n)."""
        stride = self.model.objectness_stride
        size = objectness.shape[-2] * stride, objectness.shape[-1] * stride
        rank = prompt_rank(objectness, batch.grid, *self.config.prompting(stride).grid_shape(*size), stride)
        index = rank.topk(self.config.prompts.own_peaks).indices
        points = batch.grid.gather(1, index[..., None].expand(-1, -1, 2))
        height, width = batch.labels.shape[-2:]
        cells = cell_index(points, height, width, MASK_STRIDE)
        return points, batch.labels.flatten(1).gather(1, cells).clamp(min=0).long()

    def _bad_batch(self, batch: Batch, index: int, loss: Tensor, parts: dict[str, Tensor]) -> SaomError:
        """Save the batch that gave no finite loss; the error that names it."""
        values = {name: value.item() for name, value in parts.items()}
        path = Path(self.trainer.default_root_dir) / "bad_batch.pt"
        path.parent.mkdir(parents=True, exist_ok=True)
        torch.save({"index": index, "losses": values, **batch.tensors()}, path)
        return SaomError(
            f"loss is {loss.item()} at step {self.trainer.global_step} ({values}); the batch is in {path}; lower "
            "learning_rate, or train with precision 32-true"
        )

    def validation_step(self, batch: Batch, _index: int) -> None:
        """IoU of the answers to assigned grid points on frames from other rooms; one without objects says nothing."""
        truth = truth_of(batch, batch.point_ids)
        seen = truth.masks.sum((2, 3)) >= 6
        if not seen.any():  # a mean over nothing is NaN, and so would be that over all frames
            return
        features = self._features(batch)
        if self.config.target == "ambiguous":  # the mask that SAM itself would choose
            masks, scores = (every[:, :, 1:] for every in self.model.decode_every(features, batch.points))
            masks = best_scored(masks, scores)[0]
        else:
            masks = self.model.decode(features, batch.points).masks
        iou = losses.mask_iou(masks, truth.masks)[seen]
        for name, value in {
            "prompted_miou": iou.mean(),
            "prompted_recall50": (iou >= 0.5).float().mean(),
            "prompted_recall75": (iou >= 0.75).float().mean(),
        }.items():
            self.log(f"val/{name}", 100 * value, prog_bar=name == "prompted_miou", batch_size=len(iou), sync_dist=True)

    def on_fit_start(self) -> None:
        """Compile what runs most, as functions: as modules, weights would get other names. The moving average has its
        own copy by now.
        """
        wanted = self.config.compile
        if not (self.device.type == "cuda" if wanted is None else wanted):
            return
        # Input sizes are few, and each is worth kernels of its own; the number of points differs from batch to batch.
        setattr(self.model, "encode", torch.compile(self.model.encode, dynamic=False))  # noqa: B010
        if self.model.decoding == "joint":  # separate decoding loops over points: a graph without end
            setattr(self.model, "decode", torch.compile(self.model.decode))  # noqa: B010

    def configure_optimizers(self) -> Any:
        """AdamW with warm-up and decay over the whole run."""
        optimizer = adamw(self.parameters(), self.config.learning_rate, self.config.weight_decay)
        scheduler = warmup_and_decay(optimizer, self.config.warmup, self.total_steps, self.config.decay)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}

    def configure_gradient_clipping(
        self,
        optimizer: torch.optim.Optimizer,
        gradient_clip_val: float | None = None,
        gradient_clip_algorithm: str | None = None,
    ) -> None:
        """Limit the norm of all gradients together. Lightning itself refuses to with fused kernels and mixed precision,
        for the sake of float16's scaler, which bfloat16 does without.
        """
        if gradient_clip_val:
            parameters = [p for group in optimizer.param_groups for p in group["params"]]
            torch.nn.utils.clip_grad_norm_(parameters, gradient_clip_val)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Describe the model and the run in plain values, so that the file can be read without running code."""
        batches = self.trainer.global_step * self.config.accumulate
        images = images_seen(self.config.stages, batches, self.trainer.world_size)
        checkpoint["saom"] = describe(self.model, {**self.record, "images_seen": images, "batches": batches})
