"""Auxiliary tasks that teach a small model's features at every pixel; their heads are thrown away after training.

Edges: where objects end, and where only parts of one do. Both look alike to an edge detector; telling them apart is
what a whole-object mask needs at each of its pixels. Depth: which is nearer. Semantics: what is there.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from training.classes import class_names
from training.finetuning.answer_losses import classes_of
from training.finetuning.batches import Batch
from training.finetuning.config import LossWeights
from training.sam.model import Features

OBJECT, PART = 0, 1
"""Channels of edges."""
IGNORED = -1
"""Class of padding and of objects whose class is not known."""


class AuxiliaryHeads(nn.Module):
    """One linear map from features to each task whose weight is not 0."""

    def __init__(self, weights: LossWeights, embedding_dim: int, pixel_dim: int) -> None:
        super().__init__()
        self.edges = nn.Conv2d(pixel_dim, 2, 1) if weights.edges else None
        self.depth = nn.Conv2d(pixel_dim, 1, 1) if weights.depth else None
        self.semantics = nn.Conv2d(embedding_dim, len(class_names()) + 1, 1) if weights.semantics else None

    def forward(self, features: Features, batch: Batch) -> dict[str, Tensor]:
        """The losses by the name of their weight."""
        found = {}
        if self.edges is not None:
            assert batch.parts is not None
            found["edges"] = edge_loss(self.edges(features.pixels), *edge_targets(batch.labels, batch.parts))
        if self.depth is not None:
            assert batch.depth is not None
            found["depth"] = depth_loss(self.depth(features.pixels)[:, 0], batch.depth)
        if self.semantics is not None:
            logits = self.semantics(features.embedding)
            step = batch.labels.shape[1] // logits.shape[2]
            found["semantics"] = semantic_loss(logits, class_map(batch.labels[:, ::step, ::step], batch.classes))
        return found


def edge_targets(labels: Tensor, parts: Tensor) -> tuple[Tensor, Tensor]:
    """Edges float 0/1 (B, 2, h, w) of objects, and of parts within an object; known bool (B, 1, h, w).

    labels, parts: int (B, h, w), 0 = background, labels -1 = padding, which is not known. Cells on both sides of an
    edge are edge; where an object ends, its parts' edges do not count.
    """
    inside = (labels >= 0)[:, None]
    of_objects = _differs_from_neighbour(labels) & inside
    of_parts = _differs_from_neighbour(torch.where(labels > 0, parts, labels)) & inside & ~of_objects
    return torch.cat([of_objects, of_parts], 1).float(), inside


def edge_loss(logits: Tensor, targets: Tensor, known: Tensor) -> Tensor:
    """Binary cross-entropy of logits (B, 2, h, w), half from edges and half from the rest, however few edges are."""
    each = F.binary_cross_entropy_with_logits(logits.float(), targets, reduction="none")
    known = known.expand_as(each)
    losses = []
    for channel in (OBJECT, PART):
        for value in (1, 0):
            chosen = known[:, channel] & (targets[:, channel] == value)
            losses.append((each[:, channel] * chosen).sum() / chosen.sum().clamp(min=1))
    return torch.stack(losses).mean()


def depth_loss(predicted: Tensor, depth: Tensor) -> Tensor:
    """Mean absolute error of log depth (B, h, w) up to each image's own scale and shift (MiDaS, arXiv 1907.01341).

    depth: mm (B, h, w), 0 or less = unknown.
    """
    known = (depth > 0).float()
    target = depth.clamp(min=1).float().log()
    error = (_standardised(predicted.float(), known) - _standardised(target, known)).abs()
    return (error * known).sum() / known.sum().clamp(min=1)


def class_map(labels: Tensor, classes: Tensor) -> Tensor:
    """Class ids int64 (B, h, w) of instance ids (B, h, w) by their table (B, ids); background is the last class."""
    of_objects = classes_of(labels.flatten(1).long(), classes).view_as(labels)
    return torch.where(labels == 0, len(class_names()), of_objects)


def semantic_loss(logits: Tensor, classes: Tensor) -> Tensor:
    """Cross-entropy of logits (B, K, h, w) where the class is known, mean over those cells; 0 where none is."""
    total = F.cross_entropy(logits.float(), classes, ignore_index=IGNORED, reduction="sum")
    return total / (classes != IGNORED).sum().clamp(min=1)


def _standardised(values: Tensor, known: Tensor) -> Tensor:
    """Values (B, h, w) less their mean, in units of their mean absolute deviation, over each image's known cells."""
    count = known.sum((1, 2), keepdim=True).clamp(min=1)
    centred = values - (values * known).sum((1, 2), keepdim=True) / count
    spread = (centred.abs() * known).sum((1, 2), keepdim=True) / count
    return centred / spread.clamp(min=1e-2)


def _differs_from_neighbour(ids: Tensor) -> Tensor:
    """bool (B, 1, h, w): whether a cell's right, left, lower or upper neighbour has another id; padding has none."""
    across = (ids[:, :, 1:] != ids[:, :, :-1]) & (ids[:, :, 1:] >= 0) & (ids[:, :, :-1] >= 0)
    down = (ids[:, 1:] != ids[:, :-1]) & (ids[:, 1:] >= 0) & (ids[:, :-1] >= 0)
    sides = F.pad(across, (1, 0)) | F.pad(across, (0, 1)) | F.pad(down, (0, 0, 1, 0)) | F.pad(down, (0, 0, 0, 1))
    return sides[:, None]
