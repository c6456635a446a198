"""The small SAM that ships: a light timm encoder, SAM's point code and prompt tokens, masks decoded jointly.

All prompts of an image are answered over one embedding without a two-way transformer: a prompt token is the point's
Fourier code plus the embedding at the point, and hypernetworks turn it into a box, a mask and a score. The mask is the
sum of SAM's hypernetwork product, a dynamic convolution over coordinates relative to the predicted box (CondInst, arXiv
2003.05664), and a prior that keeps it near that box. ``docs/architecture.md`` tells why.
"""

from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from segment_anything.modeling.mask_decoder import MLP
from segment_anything.modeling.prompt_encoder import PositionEmbeddingRandom
from torch import Tensor, nn

from saom_ros.bundle import MASK_STRIDE
from saom_ros.errors import SaomError
from training.sam.encoders import timm_backbone
from training.sam.model import PIXEL_MEAN, PIXEL_STD, Decoded, Features, PromptableModel, cell_index, objectness_head

OBJECTNESS_STRIDE = 8
"""Input pixels per cell of the objectness map and the grid of point prompts, and of the embedding as it ships."""

_DYNAMIC_WIDTH = 8
_COORDINATES = 4  # u, v relative to the box; x, y relative to the point


@dataclass(frozen=True)
class SmallSamConfig:
    """Shape of the small model; stored in every checkpoint."""

    encoder: str = "resnet18"
    """Name of a timm model with features at strides 4, 8, 16 and 32."""
    encoder_channels: tuple[int, ...] = (48, 96, 192, 256)
    """Widths of the encoder's four stages; empty for the timm model's own."""
    embedding_dim: int = 128
    """Channels of the image embedding and of a prompt token."""
    pixel_dim: int = 64
    """Channels of the stride-4 features that masks are read from."""
    embedding_stride: Literal[8, 16] = 8
    """Input pixels per cell of the image embedding."""
    pixel_layers: int = 1
    """3x3 convolutions with norm that the stride-4 features pass through, from 1."""


class SmallSam(PromptableModel):
    """The ``small`` family: joint decoding over one embedding."""

    family = "small"
    decoding = "joint"
    objectness_stride = OBJECTNESS_STRIDE
    config: SmallSamConfig

    def __init__(self, config: SmallSamConfig) -> None:
        super().__init__()
        self.config = config
        if config.pixel_layers < 1:
            raise SaomError(f"pixel_layers is {config.pixel_layers}; it must be at least 1")
        dim, stride = config.embedding_dim, config.embedding_stride
        self.encoder = timm_backbone(config.encoder, config.encoder_channels)
        self.neck = FeaturePyramid(self.encoder.feature_info.channels(), dim, stride)
        self.pixel_decoder = PixelDecoder(config, self.encoder.feature_info.channels()[0])
        self.objectness_head = objectness_head(dim, stride // OBJECTNESS_STRIDE)
        self.prompts = PromptTokens(dim, stride)
        self.mask_head = MaskHead(dim, config.pixel_dim)
        self.score_head = MLP(dim, dim, 1, 3)
        self.register_buffer("pixel_mean", torch.tensor(PIXEL_MEAN).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("pixel_std", torch.tensor(PIXEL_STD).view(1, 3, 1, 1), persistent=False)

    def encode(self, images: Tensor) -> Features:
        """Encode uint8 or float RGB images (B, 3, h, w) in 0..255; h and w multiples of 32."""
        levels = self.encoder((images.to(self.pixel_mean.dtype) - self.pixel_mean) / self.pixel_std)
        embedding = self.neck(levels)
        return Features(embedding, self.pixel_decoder(embedding, levels[0]))

    def objectness(self, features: Features) -> Tensor:
        """Objectness logits (B, h/8, w/8): is this cell's grid point the one to prompt?"""
        return self.objectness_head(features.embedding)[:, 0]

    def decode(self, features: Features, points: Tensor) -> Decoded:
        """Answer points (B, N, 2), xy in input px, all in one pass."""
        assert features.pixels is not None
        token = self.prompts(features.embedding, points)
        masks, boxes = self.mask_head(token, features.pixels, points)
        return Decoded(masks, self.score_head(token)[..., 0], boxes)

    def encoder_modules(self) -> list[nn.Module]:
        """The timm encoder and the two necks that make the features."""
        return [self.encoder, self.neck, self.pixel_decoder]


class FeaturePyramid(nn.Module):
    """Encoder levels (strides 4 to 32) merged top-down into the embedding at stride 8 or 16."""

    def __init__(self, channels: list[int], dim: int, stride: int) -> None:
        super().__init__()
        self.lateral = nn.ModuleList(nn.Conv2d(width, dim, 1) for width in channels)
        self.context = nn.Conv2d(dim, dim, 1)
        self.smooth16 = conv_block(dim, dim)
        self.smooth8 = conv_block(dim, dim) if stride == OBJECTNESS_STRIDE else None
        self.out = conv_block(dim, dim)

    def forward(self, levels: list[Tensor]) -> Tensor:
        """Levels (B, C_i, h/s, w/s) for s = 4, 8, 16, 32 to the embedding (B, C, h/stride, w/stride)."""
        fine, eighth, sixteenth, coarse = (lateral(x) for lateral, x in zip(self.lateral, levels, strict=True))
        coarse = coarse + self.context(coarse.mean((2, 3), keepdim=True))
        fine = F.avg_pool2d(fine, 2)
        if self.smooth8 is None:
            x = self.smooth16(upsample(coarse, 2) + sixteenth + F.avg_pool2d(eighth + fine, 2))
        else:
            x = self.smooth16(upsample(coarse, 2) + sixteenth)
            x = self.smooth8(upsample(x, 2) + eighth + fine)
        return self.out(x)


class PixelDecoder(nn.Module):
    """Stride-4 features that hypernetworks read masks from: the embedding, sharpened by the encoder's finest level."""

    def __init__(self, config: SmallSamConfig, fine_channels: int) -> None:
        super().__init__()
        width = config.pixel_dim
        self.enlarge = config.embedding_stride // MASK_STRIDE
        self.coarse = nn.Conv2d(config.embedding_dim, width, 1)
        self.fine = nn.Conv2d(fine_channels, width, 1)
        blocks = [conv_block(width, width) for _ in range(config.pixel_layers)]
        self.mix = nn.Sequential(*blocks, nn.Conv2d(width, width, 3, padding=1))

    def forward(self, embedding: Tensor, fine: Tensor) -> Tensor:
        """Embedding (B, C, h/stride, w/stride) and finest level (B, C_4, h/4, w/4) to features (B, D, h/4, w/4)."""
        return self.mix(upsample(self.coarse(embedding), self.enlarge) + self.fine(fine))


class PromptTokens(nn.Module):
    """A point becomes a token: SAM's random Fourier code, a learned type, and the embedding of the point's cell."""

    def __init__(self, dim: int, stride: int) -> None:
        super().__init__()
        self.stride = stride
        self.code = PositionEmbeddingRandom(dim // 2)
        self.point_type = nn.Parameter(torch.randn(dim) * 0.02)
        self.feature = nn.Linear(dim, dim)
        self.norm = nn.LayerNorm(dim)
        self.mlp = MLP(dim, 2 * dim, dim, 2)

    def forward(self, embedding: Tensor, points: Tensor) -> Tensor:
        """Embedding (B, C, h/stride, w/stride) and points (B, N, 2) in input px to tokens (B, N, C)."""
        rows, cols = embedding.shape[-2:]
        size = torch.tensor([cols, rows], dtype=points.dtype, device=points.device) * self.stride
        code = self.code._pe_encoding(points / size).to(embedding.dtype)
        cells = cell_index(points, rows, cols, self.stride)
        at_point = embedding.flatten(2).transpose(1, 2).gather(1, cells[..., None].expand(-1, -1, embedding.shape[1]))
        token = code + self.point_type + self.feature(at_point)
        return token + self.mlp(self.norm(token))


class MaskHead(nn.Module):
    """Tokens to boxes and masks."""

    def __init__(self, dim: int, pixel_dim: int) -> None:
        super().__init__()
        self.box = MLP(dim, dim, 4, 3)
        nn.init.constant_(self.box.layers[-1].bias, -2.5)  # exp(-2.5): a box edge 8 % of the image away from the point
        self.hyper = MLP(dim, dim, pixel_dim + 1, 3)
        self.dynamic = MLP(dim, dim, _dynamic_parameters(), 3)
        self.dynamic_pixels = nn.Conv2d(pixel_dim, _DYNAMIC_WIDTH, 1)
        self.prior_slope = nn.Parameter(torch.tensor(4.0))

    def forward(self, token: Tensor, pixels: Tensor, points: Tensor) -> tuple[Tensor, Tensor]:
        """Tokens (B, N, C), features (B, D, h/4, w/4) and points (B, N, 2) px to masks and boxes of ``Decoded``."""
        rows, cols = pixels.shape[-2:]
        size = torch.tensor([cols * MASK_STRIDE, rows * MASK_STRIDE], dtype=points.dtype, device=points.device)
        reach = self.box(token).clamp(-6, 1.5).exp()  # distances left, top, right, bottom in image sizes
        boxes = torch.cat([points - reach[..., :2] * size, points + reach[..., 2:] * size], -1)
        axes = (*_relative_axes(boxes.detach(), rows, cols), *_point_axes(points, size, rows, cols))
        u, v, x, y = (axis.to(pixels.dtype) for axis in axes)

        hyper = self.hyper(token)
        masks = torch.einsum("bnc,bchw->bnhw", hyper[..., :-1], pixels) + hyper[..., -1, None, None]
        masks = masks + self._dynamic_convolution(token, pixels, u, v, x, y)
        distance = (u.abs() ** 4)[:, :, None, :] + (v.abs() ** 4)[:, :, :, None]  # a rounded box: 1 on its outline
        return masks + self.prior_slope * (1 - distance.clamp(min=1e-6) ** 0.25), boxes

    def _dynamic_convolution(self, token: Tensor, pixels: Tensor, u: Tensor, v: Tensor, x: Tensor, y: Tensor) -> Tensor:
        """Three 1x1 layers per prompt over pixel features and coordinates, whose terms are separable in x and y."""
        batch, prompts = token.shape[:2]
        rows, cols = pixels.shape[-2:]
        width = _DYNAMIC_WIDTH
        parts = self.dynamic(token).split([width * width, 4 * width, width, width * width, width, width, 1], -1)
        first, axes, bias1, second, bias2, third, bias3 = parts
        features = self.dynamic_pixels(F.relu(pixels)).flatten(2)  # (B, 8, hw)
        h = torch.matmul(first.reshape(batch, prompts * width, width), features).view(batch, prompts, width, rows, cols)
        axes = axes.reshape(batch, prompts, width, 4)
        along_x = axes[..., :1] * u[:, :, None] + axes[..., 2:3] * x[:, :, None] + bias1[..., None]
        along_y = axes[..., 1:2] * v[:, :, None] + axes[..., 3:4] * y[:, :, None]
        h = F.relu(h + along_x[:, :, :, None, :] + along_y[:, :, :, :, None]).flatten(3)
        h = F.relu(torch.matmul(second.reshape(batch, prompts, width, width), h) + bias2[..., None])
        out = torch.matmul(third[:, :, None], h)[:, :, 0] + bias3
        return out.view(batch, prompts, rows, cols)


def _dynamic_parameters() -> int:
    width = _DYNAMIC_WIDTH
    return width * width + _COORDINATES * width + width + width * width + width + width + 1


def _relative_axes(boxes: Tensor, rows: int, cols: int) -> tuple[Tensor, Tensor]:
    """Cell centres relative to boxes (B, N, 4) px: u (B, N, cols), v (B, N, rows); +-1 on the box's edges, cut at 3."""
    xs = (torch.arange(cols, device=boxes.device, dtype=boxes.dtype) + 0.5) * MASK_STRIDE
    ys = (torch.arange(rows, device=boxes.device, dtype=boxes.dtype) + 0.5) * MASK_STRIDE
    x0, y0, x1, y1 = boxes[..., 0:1], boxes[..., 1:2], boxes[..., 2:3], boxes[..., 3:4]
    u = (2 * xs - x0 - x1) / (x1 - x0)
    v = (2 * ys - y0 - y1) / (y1 - y0)
    return u.clamp(-3, 3), v.clamp(-3, 3)


def _point_axes(points: Tensor, size: Tensor, rows: int, cols: int) -> tuple[Tensor, Tensor]:
    """Cell centres relative to points (B, N, 2) px, in sixths of the image: x (B, N, cols), y (B, N, rows)."""
    xs = (torch.arange(cols, device=points.device, dtype=points.dtype) + 0.5) / cols
    ys = (torch.arange(rows, device=points.device, dtype=points.dtype) + 0.5) / rows
    relative = points / size
    return 6 * (xs - relative[..., 0:1]), 6 * (ys - relative[..., 1:2])


def conv_block(in_channels: int, out_channels: int) -> nn.Sequential:
    """3x3 convolution, batch norm, ReLU."""
    return nn.Sequential(
        nn.Conv2d(in_channels, out_channels, 3, padding=1, bias=False), nn.BatchNorm2d(out_channels), nn.ReLU()
    )


def upsample(x: Tensor, factor: int) -> Tensor:
    """Bilinear enlargement by a whole factor, half-pixel centres."""
    return F.interpolate(x, scale_factor=factor, mode="bilinear", align_corners=False)
