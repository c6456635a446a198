"""Everything mode as one static graph: image in, instances out, no prompt from the user.

Normalise, encode, pick the grid points that the objectness map asks, decode one whole-object mask for each, score,
suppress duplicates with Matrix NMS (SOLOv2, arXiv 2003.10152), keep the best. Only tensor operations of fixed shapes:
the very module that is exported to ONNX is the one that evaluation runs.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from saom_ros.bundle import MASK_STRIDE
from training.sam.model import Features, PromptableModel, cell_index

INPUT_NAMES = ("image", "points", "score_threshold", "objectness_threshold", "overlap_threshold")
OUTPUT_NAMES = ("masks", "scores", "boxes", "class_ids")

_KNOWN_CLASS = 0.5
"""A class is told where it is more likely than all others together; else it is unknown."""
_TIE = 1e-7
"""How much less a grid point ranks than the one before it, so that of equals one is a maximum."""
_CONTAINMENT_WEIGHT = 0.625
"""A mask of which 80 % lies in a better one counts like a mask of IoU 0.5 with it."""
_SUPPRESSION_RAMP = 0.2
"""Scores fall linearly to zero between the overlap threshold and this much above it."""


class EverythingMode(nn.Module):
    """The bundle's graph over a promptable model; see ``docs/architecture.md`` for its tensors."""

    def __init__(
        self,
        model: PromptableModel,
        height: int,
        width: int,
        grid: tuple[int, int],
        max_prompts: int,
        max_instances: int,
    ) -> None:
        """Fix the shapes. ``height`` and ``width`` are input px, multiples of 32; ``grid`` is rows and columns of the
        points; ``max_instances <= max_prompts <= rows * cols``.
        """
        super().__init__()
        self.model = model
        self.height, self.width = height, width
        self.grid_rows, self.grid_cols = grid
        points = self.grid_rows * self.grid_cols
        if not max_instances <= max_prompts <= points:
            raise ValueError(f"max_instances {max_instances} <= max_prompts {max_prompts} <= {points} points must hold")
        self.max_prompts, self.max_instances = max_prompts, max_instances
        later = torch.ones(max_prompts, max_prompts).triu(1)
        self.register_buffer("worse_than", later, persistent=False)  # [i, j] = 1 where i is ranked above j

    def forward(
        self,
        image: Tensor,
        points: Tensor,
        score_threshold: Tensor,
        objectness_threshold: Tensor,
        overlap_threshold: Tensor,
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Segment ``image`` uint8 (1, h, w, 3); ``points`` float32 (P, 2) px, unused rows negative; thresholds
        float32 (1,).

        A negative objectness threshold asks every valid point. Returns masks uint8 (M, h/4, w/4), scores float32
        (M,), boxes float32 (M, 4) px and class ids int32 (M,), sorted by score; unused rows have score 0.
        """
        rank, probabilities, scores, classes = self.ask(image, points, objectness_threshold < 0)
        scores = scores * (rank > objectness_threshold)
        return self.select(probabilities, scores, classes, score_threshold, overlap_threshold)

    def ask(self, image: Tensor, points: Tensor, every_point: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Ask the points of highest rank, whatever the thresholds, or with ``every_point`` bool (1,) any valid ones.

        Returns their rank (K,), -1 = invalid, and what ``answer`` gives for them.
        """
        # TensorRT takes uint8 as an input only when nothing but a cast reads it.
        features = self.model.encode(image.float().permute(0, 3, 1, 2))
        asked, rank = self._pick_prompts(self.rank(features, points), points, every_point)
        return rank, *self.answer(features, asked)

    def rank(self, features: Features, points: Tensor) -> Tensor:
        """How much each of the grid's points (P, 2) is worth asking, float32 (P,); see ``prompt_rank``."""
        objectness = self.model.objectness(features)
        return prompt_rank(objectness, points[None], self.grid_rows, self.grid_cols, self.model.objectness_stride)[0]

    def answer(self, features: Features, points: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Ask points (N, 2): mask probabilities float32 (N, h/4, w/4), scores float32 (N,), class ids int32 (N,)."""
        decoded = self.model.decode(features, points[None])
        probabilities = decoded.masks[0].float().sigmoid()  # areas of cells are beyond what fp16 counts exactly
        scores = self._score(probabilities, decoded.scores[0].float().sigmoid())
        classes = torch.full_like(scores, -1) if decoded.classes is None else class_ids(decoded.classes[0])
        return probabilities, scores, classes.to(torch.int32)

    def select(
        self,
        probabilities: Tensor,
        scores: Tensor,
        classes: Tensor,
        score_threshold: Tensor,
        overlap_threshold: Tensor,
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """The outputs from what ``answer`` gave for ``max_prompts`` points: duplicates suppressed, the best kept."""
        scores, order = scores.topk(self.max_prompts)
        probabilities = probabilities[order]
        scores = scores * self._suppression(probabilities, overlap_threshold)
        scores, best = scores.topk(self.max_instances)
        scores = torch.where(scores >= score_threshold, scores, torch.zeros_like(scores))
        probabilities = probabilities[best]
        masks = (probabilities * 255).round().to(torch.uint8)
        return masks, scores, self._boxes(probabilities), classes[order][best]

    def _pick_prompts(self, rank: Tensor, points: Tensor, every_point: Tensor) -> tuple[Tensor, Tensor]:
        """The K points of highest rank (K, 2), best first, and their rank (K,); invalid points rank -1."""
        rank = torch.where(every_point, torch.ones_like(rank), rank)
        rank = torch.where(points[:, 0] >= 0, rank, -torch.ones_like(rank))
        rank, index = rank.topk(self.max_prompts)
        return points[index], rank

    def _score(self, probabilities: Tensor, predicted_iou: Tensor) -> Tensor:
        """Predicted IoU (K,) tempered by how decided the mask (K, h/4, w/4) is inside itself (SOLOv2's maskness)."""
        inside = (probabilities > 0.5).float()
        area = inside.sum((1, 2))
        maskness = (probabilities * inside).sum((1, 2)) / area.clamp(min=1)
        return predicted_iou * maskness * (area > 0)

    def _suppression(self, probabilities: Tensor, threshold: Tensor) -> Tensor:
        """Matrix NMS factors (K,) in 0..1 of masks (K, h/4, w/4) sorted by score."""
        masks = (probabilities > 0.5).float().flatten(1)
        intersection = masks @ masks.T
        area = masks.sum(1)
        iou = intersection / (area[:, None] + area[None] - intersection).clamp(min=1)
        containment = intersection / area[None].clamp(min=1)  # share of the worse mask j inside the better mask i
        overlap = torch.maximum(iou, _CONTAINMENT_WEIGHT * containment) * self.worse_than
        excess = ((overlap - threshold) / _SUPPRESSION_RAMP).clamp(0, 1) * self.worse_than
        suppressed = excess.amax(0)  # how far mask i is itself suppressed by better ones: it then suppresses less
        decay = (1 - excess) / (1 - suppressed[:, None]).clamp(min=1e-3)
        return decay.amin(0).clamp(0, 1)

    def _boxes(self, probabilities: Tensor) -> Tensor:
        """Boxes (M, 4) xyxy px, exclusive maximum, of masks (M, h/4, w/4)."""
        inside = (probabilities > 0.5).float()
        cols, rows = inside.amax(1), inside.amax(2)
        x = torch.arange(cols.shape[1], device=cols.device, dtype=cols.dtype)
        y = torch.arange(rows.shape[1], device=rows.device, dtype=rows.dtype)
        x0 = torch.where(cols > 0, x, torch.full_like(x, cols.shape[1])).amin(1)
        y0 = torch.where(rows > 0, y, torch.full_like(y, rows.shape[1])).amin(1)
        x1 = (cols * (x + 1)).amax(1)
        y1 = (rows * (y + 1)).amax(1)
        boxes = torch.stack([x0, y0, x1, y1], 1) * MASK_STRIDE
        return torch.where((x1 > 0)[:, None], boxes, torch.zeros_like(boxes))


def prompt_rank(objectness: Tensor, points: Tensor, rows: int, cols: int, stride: int) -> Tensor:
    """How much each point of a grid is worth asking: float32 (B, P) in 0..1, 0 where a neighbour is worth more.

    ``objectness`` are logits (B, h, w) of cells of ``stride`` px; ``points`` (B, P, 2) px lie row by row on a grid of
    rows x cols, finer or coarser than the cells, and read the cell that holds them. Neighbours are the next points, or
    all those within the next cell where the grid is the finer one.
    """
    height, width = objectness.shape[-2:]
    cells = cell_index(points, height, width, stride)
    probability = objectness.float().sigmoid().flatten(1).gather(1, cells)
    rank = probability - _TIE * torch.arange(rows * cols, dtype=probability.dtype, device=points.device)
    reach = (math.ceil(rows / height), math.ceil(cols / width))
    window = (2 * reach[0] + 1, 2 * reach[1] + 1)
    highest = F.max_pool2d(rank.unflatten(1, (rows, cols))[:, None], window, 1, reach).flatten(1)
    return torch.where(rank >= highest, probability, torch.zeros_like(probability))


def class_ids(logits: Tensor) -> Tensor:
    """Class logits (..., K) to the likeliest class, int64 (...,), or -1 where none has half the probability."""
    probability, best = logits.float().softmax(-1).max(-1)
    return torch.where(probability > _KNOWN_CLASS, best, torch.full_like(best, -1))
