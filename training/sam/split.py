"""A promptable model as two graphs, an encoder and a decoder of a fixed number of points.

For SAM's full grid with the big models, whose points do not fit one graph, and for asking one frame more than once:
the features are computed once and the decoder runs as often as there are points.
"""

import torch
from torch import Tensor, nn

from training.sam.everything import class_ids
from training.sam.model import Features, PromptableModel

FEATURE_NAMES = ("embedding", "pixels")
"""What goes from the encoder to the decoder; families that read masks from the embedding alone have no ``pixels``."""
DECODER_OUTPUTS = ("masks", "scores", "class_ids")


class EncoderGraph(nn.Module):
    """Image uint8 (1, h, w, 3) to the features and objectness probabilities float32 (1, h/s, w/s)."""

    def __init__(self, model: PromptableModel) -> None:
        super().__init__()
        self.model = model

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        """``embedding``, ``pixels`` where the family has them, and ``objectness``."""
        features = self.model.encode(image.permute(0, 3, 1, 2))
        found = (features.embedding,) if features.pixels is None else (features.embedding, features.pixels)
        return (*found, self.model.objectness(features).float().sigmoid())


class DecoderGraph(nn.Module):
    """Features and points to one whole-object mask a point; nothing is suppressed and nothing sorted."""

    def __init__(self, model: PromptableModel) -> None:
        super().__init__()
        self.model = model

    def forward(self, *features_and_points: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The encoder's features, then points float32 (N, 2) px. Returns masks uint8 (N, h/4, w/4), probability x 255,
        predicted IoUs float32 (N,) and class ids int32 (N,), -1 = unknown.
        """
        *features, points = features_and_points
        decoded = self.model.decode(Features(*features), points[None])
        masks = (decoded.masks[0].float().sigmoid() * 255).round().to(torch.uint8)
        unknown = torch.full(points.shape[:1], -1, device=points.device)
        classes = unknown if decoded.classes is None else class_ids(decoded.classes[0])
        return masks, decoded.scores[0].float().sigmoid(), classes.to(torch.int32)
