"""Losses of whole-object prompting, each a pure function of tensors; normalised per object, because half of all
objects cover less than one percent of the image and a mean over pixels would let them vanish."""

import torch
import torch.nn.functional as F
from torch import Tensor
from torchvision.ops import sigmoid_focal_loss


def mask_bce(logits: Tensor, targets: Tensor) -> Tensor:
    """Binary cross-entropy (...) of mask logits (..., h, w) against 0/1 targets, balanced per object.

    Positives are averaged over the object's area; negatives over the area plus 2 % of the image, so that they weigh
    alike.
    """
    bce = F.binary_cross_entropy_with_logits(logits, targets.expand_as(logits), reduction="none")
    area = targets.sum((-2, -1)).clamp(min=4)
    cells = logits.shape[-1] * logits.shape[-2]
    positives = (bce * targets).sum((-2, -1)) / area
    negatives = (bce * (1 - targets)).sum((-2, -1)) / (area + 0.02 * cells)
    return positives + negatives


def dice(logits: Tensor, targets: Tensor) -> Tensor:
    """Dice loss (...) of mask logits (..., h, w) against 0/1 targets (V-Net, arXiv 1606.04797)."""
    probability = logits.sigmoid()
    overlap = 2 * (probability * targets).sum((-2, -1)) + 1
    return 1 - overlap / (probability.sum((-2, -1)) + targets.sum((-2, -1)) + 1)


def mask_focal(logits: Tensor, targets: Tensor) -> Tensor:
    """Focal loss (...) of mask logits (..., h, w) against 0/1 targets, alpha 0.25, gamma 2, mean over pixels: SAM's
    (arXiv 1708.02002).
    """
    targets = targets.expand_as(logits)
    return sigmoid_focal_loss(logits, targets, alpha=0.25, gamma=2.0, reduction="none").mean((-2, -1))


def mask_iou(logits: Tensor, targets: Tensor) -> Tensor:
    """IoU (...) in 0..1 of thresholded masks and 0/1 targets (..., h, w); 0 where both are empty; no gradient."""
    with torch.no_grad():
        predicted = (logits > 0).to(targets.dtype)
        intersection = (predicted * targets).sum((-2, -1))
        union = predicted.sum((-2, -1)) + targets.sum((-2, -1)) - intersection
        return intersection / union.clamp(min=1)


def objectness_focal(logits: Tensor, targets: Tensor) -> Tensor:
    """Penalty-reduced focal loss of CenterNet (arXiv 1904.07850, eq. 1), mean over objects; logits and targets (B, h,
    w).
    """
    logits = logits.float()
    p = logits.sigmoid().clamp(1e-4, 1 - 1e-4)
    positive = (targets >= 0.999).to(p.dtype)
    loss = positive * (1 - p) ** 2 * p.log() + (1 - positive) * (1 - targets) ** 4 * p**2 * (1 - p).log()
    return -loss.sum() / positive.sum().clamp(min=1)


def box_giou(boxes: Tensor, targets: Tensor) -> Tensor:
    """1 - generalised IoU (arXiv 1902.09630) of xyxy boxes (..., 4); in 0..2."""
    top_left = torch.maximum(boxes[..., :2], targets[..., :2])
    bottom_right = torch.minimum(boxes[..., 2:], targets[..., 2:])
    intersection = (bottom_right - top_left).clamp(min=0).prod(-1)
    area = (boxes[..., 2:] - boxes[..., :2]).clamp(min=0).prod(-1)
    target_area = (targets[..., 2:] - targets[..., :2]).clamp(min=0).prod(-1)
    union = area + target_area - intersection
    hull = (torch.maximum(boxes[..., 2:], targets[..., 2:]) - torch.minimum(boxes[..., :2], targets[..., :2])).prod(-1)
    return 1 - intersection / union.clamp(min=1e-6) + (hull - union) / hull.clamp(min=1e-6)


def boxes_of_masks(masks: Tensor, stride: int) -> Tensor:
    """Boxes (..., 4) xyxy px, exclusive maximum, of 0/1 masks (..., h, w) at ``stride``; an empty mask gives zeros."""
    rows, cols = masks.amax(-1) > 0, masks.amax(-2) > 0
    height, width = masks.shape[-2:]
    y = torch.arange(height, device=masks.device, dtype=torch.float32)
    x = torch.arange(width, device=masks.device, dtype=torch.float32)
    x0 = torch.where(cols, x, float(width)).amin(-1)
    y0 = torch.where(rows, y, float(height)).amin(-1)
    x1 = torch.where(cols, x + 1, 0.0).amax(-1)
    y1 = torch.where(rows, y + 1, 0.0).amax(-1)
    boxes = torch.stack([x0, y0, x1, y1], -1) * stride
    return torch.where(cols.any(-1)[..., None], boxes, torch.zeros_like(boxes))
