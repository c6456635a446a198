"""SAM's layer norm over channels as one native operation, numerically equal and safe in half precision.

The stock module squares and sums by hand: in fp16 that overflows and silently gives finite wrong values, and it becomes
six ONNX nodes, one of which TensorRT 8.6 misreads. ``torch.nn.functional.layer_norm`` is one node that is right.
"""

import torch
import torch.nn.functional as F
from segment_anything.modeling.common import LayerNorm2d as StockLayerNorm2d
from torch import Tensor, nn


class LayerNorm2d(nn.Module):
    """Normalises (B, C, h, w) over C; parameters named as in SAM."""

    def __init__(self, channels: int, eps: float = 1e-6) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        """Normalise; same shape and dtype."""
        channels_last = x.permute(0, 2, 3, 1)
        return F.layer_norm(channels_last, self.weight.shape, self.weight, self.bias, self.eps).permute(0, 3, 1, 2)


def replace_layer_norms(module: nn.Module) -> None:
    """Put ``LayerNorm2d`` in the place of each of SAM's own below ``module``, keeping weights and their names."""
    for name, child in module.named_children():
        if isinstance(child, StockLayerNorm2d):
            ours = LayerNorm2d(len(child.weight), child.eps)
            ours.weight, ours.bias = child.weight, child.bias
            setattr(module, name, ours)
        else:
            replace_layer_norms(child)
