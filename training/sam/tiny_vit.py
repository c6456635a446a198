"""MobileSAM's image encoder: TinyViT-5M (arXiv 2207.10666) as MobileSAM (arXiv 2306.14289) uses it, over timm's.

MobileSAM's last stage keeps the resolution (stride 16 instead of 32), its classifier is not used, and SAM's neck
follows. The published file names and places some parts otherwise than timm; ``published_name`` translates.
"""

import re

import timm
from torch import Tensor, nn

from training.sam.layer_norm import LayerNorm2d

_PUBLISHED = (
    (r"^patch_embed\.conv1\.", "patch_embed.seq.0."),
    (r"^patch_embed\.conv2\.", "patch_embed.seq.2."),
    (r"\.conv\.weight$", ".c.weight"),
    (r"^stages\.", "layers."),
)
_STAGE_CHANNELS = 320


class TinyVitEncoder(nn.Module):
    """TinyViT-5M and SAM's neck: normalised images (B, 3, s, s) to the embedding (B, C, s/16, s/16)."""

    def __init__(self, image_size: int, out_channels: int) -> None:
        super().__init__()
        self.img_size = image_size
        tiny_vit = timm.create_model("tiny_vit_5m_224", drop_path_rate=0.0)
        self.patch_embed, self.stages = tiny_vit.patch_embed, tiny_vit.stages
        self.stages[3].downsample.conv2.conv.stride = (1, 1)
        self.neck = nn.Sequential(
            nn.Conv2d(_STAGE_CHANNELS, out_channels, 1, bias=False),
            LayerNorm2d(out_channels),
            nn.Conv2d(out_channels, out_channels, 3, padding=1, bias=False),
            LayerNorm2d(out_channels),
        )

    def forward(self, images: Tensor) -> Tensor:
        """Encode; see the class."""
        return self.neck(self.stages(self.patch_embed(images)))


def published_name(name: str) -> str:
    """The name in ``mobile_sam.pt`` (without ``image_encoder.``) of a parameter or buffer of ``TinyVitEncoder``."""
    # timm's stage begins with its downsampling, the published one ends with the next stage's.
    name = re.sub(r"^stages\.(\d)\.downsample\.", lambda match: f"stages.{int(match[1]) - 1}.downsample.", name)
    for pattern, replacement in _PUBLISHED:
        name = re.sub(pattern, replacement, name)
    return name
