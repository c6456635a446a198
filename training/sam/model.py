"""What every family of promptable models offers: encode an image once, tell which grid points to ask, answer points.

Fine-tuning, everything mode and export lean on this interface alone. ``small.py`` answers all points of an image
jointly; ``separate.py`` answers each alone, as the official SAM does.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn

from saom_ros.errors import SaomError

PIXEL_MEAN = (123.675, 116.28, 103.53)
PIXEL_STD = (58.395, 57.12, 57.375)
"""Normalisation of RGB in 0..255, that of ImageNet and of SAM."""
SAM_GRID = (32, 32)
"""Rows and columns of SAM's own everything mode, as published (arXiv 2304.02643)."""


@dataclass
class Features:
    """What the encoder gives the decoder, float; ``s`` is the encoder's stride.

    embedding: (B, C, h/s, w/s). pixels: (B, D, h/4, w/4) where masks are read from finer features, else None.
    """

    embedding: Tensor
    pixels: Tensor | None = None


@dataclass
class Decoded:
    """Answers to N prompts of each of B images.

    masks: logits (B, N, h/4, w/4). scores: logits (B, N); their sigmoid is the predicted IoU. boxes: (B, N, 4) xyxy
    input px where the family predicts them. classes: logits (B, N, K) where the model has a class head.
    """

    masks: Tensor
    scores: Tensor
    boxes: Tensor | None = None
    classes: Tensor | None = None


class PromptableModel(nn.Module, ABC):
    """Image and points in, one whole-object mask per point out."""

    family: str
    """Name in the registry, written into checkpoints and bundles."""
    decoding: ClassVar[Literal["joint", "separate"]]
    """``joint``: all points of an image answered together; ``separate``: each alone, as SAM does."""
    objectness_stride: int
    """Input px per cell of the objectness map."""
    config: Any
    """Frozen dataclass with the shape; ``build_model(family, asdict(config))`` builds the same model."""

    @property
    def input_size(self) -> tuple[int, int] | None:
        """The only input size (height, width) in px that the model takes; None where any multiple of 32 will do."""
        return None

    @abstractmethod
    def encode(self, images: Tensor) -> Features:
        """Encode uint8 or float RGB images (B, 3, h, w) in 0..255."""

    @abstractmethod
    def objectness(self, features: Features) -> Tensor:
        """Objectness logits (B, h/s, w/s), ``s`` = ``objectness_stride``: is a grid point in this cell to be asked?"""

    @abstractmethod
    def decode(self, features: Features, points: Tensor) -> Decoded:
        """Answer points (B, N, 2), xy in input px (pixel c covers [c, c + 1)), with one whole object each."""

    def decode_every(self, features: Features, points: Tensor) -> tuple[Tensor, Tensor]:
        """SAM's four answers to each point (B, N, 2) px: mask logits (B, N, 4, h/4, w/4), score logits (B, N, 4).

        Row 0 is the answer that ``decode`` gives, rows 1 to 3 are those for an ambiguous point: part, object, whole.

        Raises SaomError for families that answer with one mask only.
        """
        raise SaomError(f"family {self.family!r} has no ambiguous masks; use sam_small or an official SAM")

    @abstractmethod
    def encoder_modules(self) -> list[nn.Module]:
        """The modules that ``encode`` runs; all others belong to the decoder's side. A frozen encoder is these with
        gradients off and in evaluation mode.
        """

    def encoder_parameters(self) -> Iterator[nn.Parameter]:
        """Parameters of ``encoder_modules``."""
        for module in self.encoder_modules():
            yield from module.parameters()


def objectness_head(dim: int, finer: int) -> nn.Sequential:
    """A head from the embedding (B, dim, h, w) to objectness logits (B, 1, h * finer, w * finer)."""
    head = nn.Sequential(nn.Conv2d(dim, dim, 3, padding=1), nn.ReLU(), nn.Conv2d(dim, finer**2, 1))
    nn.init.constant_(head[-1].bias, -3.0)
    return head.append(nn.PixelShuffle(finer)) if finer > 1 else head


def grid_shape(
    chosen: Sequence[int] | None, decoding: Literal["joint", "separate"], stride: int, height: int, width: int
) -> tuple[int, int]:
    """Rows and columns of everything mode's grid over an input of height x width px: what training asks and export
    writes.

    ``chosen``: the configuration's; None = a point per objectness cell of ``stride`` px with joint decoding, SAM's own
    grid with separate.
    """
    if chosen:
        rows, cols = chosen
        return rows, cols
    return SAM_GRID if decoding == "separate" else (height // stride, width // stride)


def best_scored(masks: Tensor, scores: Tensor) -> tuple[Tensor, Tensor]:
    """Of n answers to a point the one that scores highest: masks (B, N, n, h, w) and scores (B, N, n) to (B, N, h, w)
    and (B, N).
    """
    scores, best = scores.max(2)
    index = best[..., None, None, None].expand(-1, -1, 1, *masks.shape[3:])
    return masks.gather(2, index)[:, :, 0], scores


def cell_index(points: Tensor, rows: int, cols: int, stride: int) -> Tensor:
    """Index (..., N) int64 into a flattened map of rows x cols cells of the cell that holds each point (..., N, 2)
    px; points outside read the nearest cell.
    """
    cells = torch.floor(points / stride).long()
    return cells[..., 1].clamp(0, rows - 1) * cols + cells[..., 0].clamp(0, cols - 1)
