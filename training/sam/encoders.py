"""Image encoders of the families: timm backbones for our own models, SAM's vision transformers for the official ones.

Each is what ``segment_anything.modeling.Sam`` wants of an image encoder: ``img_size`` px, square, and an embedding of
one cell per 16 px out.
"""

from dataclasses import dataclass
from functools import partial

import timm
import torch
import torch.nn.functional as F
from segment_anything.modeling import ImageEncoderViT
from torch import Tensor, nn

from saom_ros.errors import SaomError
from training.sam.layer_norm import LayerNorm2d

SAM_STRIDE = 16
"""Input px per cell of the embedding in every SAM."""
SAM_IMAGE_SIZE = 1024
"""Side in px of the square that the official models see."""


@dataclass(frozen=True)
class VitShape:
    """What tells SAM's three vision transformers apart (arXiv 2304.02643)."""

    width: int
    depth: int
    heads: int
    global_blocks: tuple[int, ...]
    """Blocks that attend to the whole image; the others to windows of 14 x 14 cells."""


VIT_SHAPES = {
    "vit_b": VitShape(768, 12, 12, (2, 5, 8, 11)),
    "vit_l": VitShape(1024, 24, 16, (5, 11, 17, 23)),
    "vit_h": VitShape(1280, 32, 16, (7, 15, 23, 31)),
}


def vit_encoder(shape: VitShape, image_size: int, out_channels: int) -> ImageEncoderViT:
    """SAM's encoder of the given shape for square images of ``image_size`` px."""
    return ImageEncoderViT(
        img_size=image_size,
        patch_size=SAM_STRIDE,
        embed_dim=shape.width,
        depth=shape.depth,
        num_heads=shape.heads,
        mlp_ratio=4,
        out_chans=out_channels,
        qkv_bias=True,
        norm_layer=partial(nn.LayerNorm, eps=1e-6),
        use_rel_pos=True,
        window_size=14,
        global_attn_indexes=shape.global_blocks,
    )


class TimmEncoder(nn.Module):
    """A convolutional timm backbone and a neck that gathers its levels at one cell per 16 px.

    The fine levels come in by convolutions that read each cell's own patch, so that the embedding keeps what lies
    inside a cell; SAM's decoder reads masks from nothing else.
    """

    def __init__(self, name: str, channels: tuple[int, ...], image_size: int, out_channels: int) -> None:
        super().__init__()
        self.img_size = image_size
        self.backbone = timm_backbone(name, channels)
        fourth, eighth, sixteenth, coarse = self.backbone.feature_info.channels()
        self.lateral = nn.ModuleList(
            nn.Conv2d(width, out_channels, patch, patch) for width, patch in ((fourth, 4), (eighth, 2), (sixteenth, 1))
        )
        self.coarse = nn.Conv2d(coarse, out_channels, 1)
        self.neck = nn.Sequential(
            LayerNorm2d(out_channels),
            nn.GELU(),
            nn.Conv2d(out_channels, out_channels, 3, padding=1, bias=False),
            LayerNorm2d(out_channels),
        )

    def forward(self, images: Tensor) -> Tensor:
        """Normalised images (B, 3, h, w), sides multiples of 32, to the embedding (B, C, h/16, w/16)."""
        *fine, coarse = self.backbone(images)
        x = F.interpolate(self.coarse(coarse), scale_factor=2, mode="bilinear", align_corners=False)
        return self.neck(torch.stack([x, *(conv(y) for conv, y in zip(self.lateral, fine, strict=True))]).sum(0))


def timm_backbone(name: str, channels: tuple[int, ...]) -> nn.Module:
    """A timm model that gives features at strides 4, 8, 16 and 32, with random weights.

    ``channels`` are the widths of its four stages; empty for the model's own. Raises SaomError where timm has no such
    model, or it has other strides.
    """
    widths = {"channels": channels} if channels else {}
    try:
        try:
            model = timm.create_model(name, features_only=True, out_indices=(1, 2, 3, 4), **widths)
        except IndexError:  # its stem has stride 4, so that it counts four levels, not five
            model = timm.create_model(name, features_only=True, out_indices=(0, 1, 2, 3), **widths)
    except (RuntimeError, TypeError, ValueError, IndexError) as error:
        raise SaomError(f"encoder {name!r} with channels {list(channels)}: timm says {error}") from error
    if (strides := model.feature_info.reduction()) != [4, 8, 16, 32]:
        raise SaomError(f"encoder {name!r} gives features at strides {strides}; it must be 4, 8, 16 and 32")
    return model
