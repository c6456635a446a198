"""Losses of a model's answers to points: which mask, box, class and score each should have been.

A family answers each point with one mask, or with three of which the best is trained (SAM, arXiv 2304.02643, 3): here
masks always have that axis, of length A.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from saom_ros.bundle import MASK_STRIDE
from training.finetuning import losses
from training.finetuning.batches import FINE_STRIDE, Batch
from training.finetuning.config import LossWeights

MASK_LOSSES = {"mask": losses.mask_bce, "dice": losses.dice, "focal": losses.mask_focal}
"""Losses of masks by the name of their weight."""
_OUTSIDE = -20.0
"""Mask logit that is put over the padding, so that nothing is learned there."""


@dataclass
class Answers:
    """What a model said to N points of each of B images.

    masks: logits (B, N, A, h/4, w/4), or at the stride of finer labels. scores: logits (B, N, A). boxes: (B, N, 4) xyxy
    input px or None. classes: logits (B, N, K) or None.
    """

    masks: Tensor
    scores: Tensor
    boxes: Tensor | None = None
    classes: Tensor | None = None


@dataclass
class Truth:
    """What it should have said.

    masks: float 0/1 (B, N, h/4, w/4). asked: float 0/1 (B, N), 0 where a point only fills up or its target has no
    mask cell. inside: float 0/1 (B, 1, h/4, w/4), 0 in the padding. classes: int64 (B, N), -1 = unknown or background.
    stride: input px per mask cell, 4 here, 2 with finer labels.
    """

    masks: Tensor
    asked: Tensor
    inside: Tensor
    classes: Tensor
    stride: int = MASK_STRIDE


def truth_of(batch: Batch, ids: Tensor, part_ids: Tensor | None = None) -> Truth:
    """The truth of a batch at points that ask for instances ``ids`` int64 (B, N), or for the parts ``part_ids`` where
    these are not 0. From finer labels where the batch has them.
    """
    labels, stride = (batch.labels, MASK_STRIDE) if batch.fine_labels is None else (batch.fine_labels, FINE_STRIDE)
    masks = labels[:, None] == torch.where(ids > 0, ids, -2)[..., None, None]
    if part_ids is not None and batch.parts is not None:
        of_part = batch.parts[:, None] == part_ids[..., None, None]
        masks = torch.where((part_ids > 0)[..., None, None], of_part, masks)
    classes = classes_of(ids, batch.classes)
    asked = (ids == 0) | masks.flatten(2).any(2)
    return Truth(masks.float(), asked.float(), (labels >= 0).float()[:, None], classes, stride)


def classes_of(ids: Tensor, table: Tensor) -> Tensor:
    """Class ids int64 (B, N) of instance ids int64 (B, N) by a batch's table (B, ids); -1 = unknown, or no instance."""
    length = table.shape[1]
    if not length:
        return torch.full_like(ids, -1)
    return torch.where((ids > 0) & (ids < length), table.gather(1, ids.clamp(0, length - 1)), -1)


def answer_losses(answers: Answers, truth: Truth, weights: LossWeights) -> dict[str, Tensor]:
    """The losses whose weight is not 0, by name, and the mean IoU of the masks that were trained.

    Of A masks, the one with the smallest loss against the truth learns; each of the A scores learns its own mask's IoU.
    """
    target, inside = truth.masks[:, :, None], truth.inside[:, :, None]
    masks = answers.masks.float() * inside + _OUTSIDE * (1 - inside)  # areas are no bf16 numbers
    is_object = (truth.masks.sum((2, 3)) > 0).float()

    weight = {name: getattr(weights, name) for name in MASK_LOSSES if getattr(weights, name)}
    terms = {name: MASK_LOSSES[name](masks, target) for name in weight}
    best = torch.stack([weight[name] * term.detach() for name, term in terms.items()]).sum(0).argmin(2, keepdim=True)
    found = {name: _over(term.gather(2, best)[..., 0], is_object, weights) for name, term in terms.items()}
    if weights.box and answers.boxes is not None:
        found["box"] = _over(_box_loss(answers.boxes, truth.masks, truth.stride), is_object, weights)
    if weights.classes and answers.classes is not None:
        known = (truth.classes >= 0) & (truth.classes < answers.classes.shape[2])
        logits, classes = answers.classes.flatten(0, 1).float(), torch.where(known, truth.classes, -1).flatten()
        entropy = F.cross_entropy(logits, classes, ignore_index=-1, reduction="none")
        found["classes"] = _over(entropy.view_as(known), known.float() * is_object, weights)
    iou = losses.mask_iou(masks, target) * is_object[..., None]
    if weights.score:
        error = (answers.scores.float().sigmoid() - iou).square().mean(2)
        found["score"] = (error * truth.asked).sum() / truth.asked.sum().clamp(min=1)
    found["iou"] = (iou.gather(2, best)[..., 0]).sum() / is_object.sum().clamp(min=1)
    return found


def _over(loss: Tensor, counted: Tensor, weights: LossWeights) -> Tensor:
    """Losses (B, N) of counted points: their mean, or each image's sum averaged over images."""
    total = (loss * counted).sum()
    return total / (counted.sum().clamp(min=1) if weights.over == "objects" else len(loss))


def _box_loss(boxes: Tensor, masks: Tensor, stride: int) -> Tensor:
    """Generalised IoU loss (B, N) of boxes (B, N, 4) px and those of masks (B, N, h/stride, w/stride), in shares of the
    image.
    """
    height, width = masks.shape[-2] * stride, masks.shape[-1] * stride
    limits = torch.tensor([width, height, width, height], device=masks.device, dtype=boxes.dtype)
    return losses.box_giou(boxes / limits, losses.boxes_of_masks(masks, stride) / limits)
