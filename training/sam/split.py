"""Everything mode of a model with separate decoding cut in three graphs: encoder, decoder of 64 points, selection.

For SAM's full grid with the big models, whose points do not fit one graph, and for asking one frame more than once:
``saom_ros.runtimes.split`` encodes once, asks as often as there are points and then selects. Each graph is a part of
``EverythingMode``, so nothing is computed in two ways.
"""

import torch
from torch import Tensor, nn

from training.sam.everything import EverythingMode
from training.sam.model import Features


class EncoderGraph(nn.Module):
    """Image to embedding."""

    def __init__(self, mode: EverythingMode) -> None:
        super().__init__()
        self.mode = mode

    def forward(self, image: Tensor, points: Tensor) -> tuple[Tensor, Tensor]:
        """Image uint8 (1, h, w, 3) and the grid's points float32 (P, 2) px to the embedding and the points' rank
        float32 (P,).
        """
        features = self.mode.model.encode(image.float().permute(0, 3, 1, 2))
        return features.embedding, self.mode.rank(features, points)


class DecoderGraph(nn.Module):
    """Embedding and points to one whole-object mask a point; nothing is suppressed and nothing sorted."""

    def __init__(self, mode: EverythingMode) -> None:
        super().__init__()
        self.mode = mode

    def forward(self, embedding: Tensor, points: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Masks uint8 (N, h/4, w/4), probability x 255, scores float32 (N,) and class ids int32 (N,), -1 = unknown, of
        points float32 (N, 2) px.
        """
        probabilities, scores, classes = self.mode.answer(Features(embedding), points)
        return (probabilities * 255).round().to(torch.uint8), scores, classes


class SelectionGraph(nn.Module):
    """The decoder's answers to the bundle's outputs."""

    def __init__(self, mode: EverythingMode) -> None:
        super().__init__()
        self.mode = mode

    def forward(
        self, masks: Tensor, scores: Tensor, class_ids: Tensor, score_threshold: Tensor, overlap_threshold: Tensor
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Answers to ``max_prompts`` points, with score 0 where fewer were asked; see ``EverythingMode.select``."""
        return self.mode.select(masks.float() / 255, scores, class_ids, score_threshold, overlap_threshold)
