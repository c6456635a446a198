"""The families of promptable models by name: a model from its family and shape, or from an official file."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import dacite
from torch import nn

from saom_ros.errors import SaomError
from training.sam import official
from training.sam.encoders import SAM_IMAGE_SIZE, VIT_SHAPES, TimmEncoder, vit_encoder
from training.sam.model import PromptableModel
from training.sam.separate import DecoderShape, SeparateSam, assemble_sam
from training.sam.small import SmallSam, SmallSamConfig
from training.sam.tiny_vit import TinyVitEncoder


@dataclass(frozen=True)
class SamSmallConfig:
    """Shape of ``sam_small``: a real SAM around a small timm encoder, trained by us."""

    encoder: str = "resnet18"
    """Name of a timm model with features at strides 4, 8, 16 and 32."""
    encoder_channels: tuple[int, ...] = (48, 96, 192, 256)
    """Widths of the encoder's four stages; empty for the timm model's own."""
    image_size: int = 384
    """Side in px of the square input; a multiple of 32."""
    decoder: DecoderShape = field(default_factory=lambda: DecoderShape(dim=128, mlp_dim=512, heads=4))
    """Shape of SAM's mask decoder."""
    classes: int = 0
    """Names that the class head knows; 0 for no class head."""


@dataclass(frozen=True)
class OfficialSamConfig:
    """Shape of an official SAM or MobileSAM; the defaults are those of the published files."""

    image_size: int = SAM_IMAGE_SIZE
    """Side in px of the square input, a multiple of 32. Published weights of a ViT fit 1024 only."""
    depth: int | None = None
    """Blocks of a ViT encoder where they are to be fewer than published, as in tests."""
    classes: int = 0
    """Names that the class head knows; 0 for no class head, which published files lack."""


OFFICIAL_FAMILIES = (*VIT_SHAPES, "mobile_sam")
FAMILIES = {
    "small": SmallSamConfig,
    "sam_small": SamSmallConfig,
    **dict.fromkeys(OFFICIAL_FAMILIES, OfficialSamConfig),
}
"""Every family and the dataclass of its shape."""


def build_model(family: str, shape: Mapping[str, Any]) -> PromptableModel:
    """A model with random weights. ``shape`` holds fields of the family's dataclass in ``FAMILIES``, those left out
    having defaults. Raises SaomError for an unknown family, unknown fields and shapes that cannot be.
    """
    config = read_shape(family, shape)
    if isinstance(config, SmallSamConfig):
        return SmallSam(config)
    _check_side(config.image_size)
    if config.classes < 0:
        raise SaomError(f"classes is {config.classes}; it must be at least 0")
    if isinstance(config, SamSmallConfig):
        decoder = config.decoder
        encoder = TimmEncoder(config.encoder, config.encoder_channels, config.image_size, decoder.dim)
        return SeparateSam(family, config, assemble_sam(encoder, decoder), config.classes)
    decoder = DecoderShape()
    encoder = _official_encoder(family, config, decoder.dim)
    return SeparateSam(family, config, assemble_sam(encoder, decoder), config.classes)


def model_class(family: str) -> type[SmallSam] | type[SeparateSam]:
    """The class of a family's models, which tells decoding and objectness stride without building one.

    Raises SaomError for an unknown family.
    """
    return SmallSam if _shape_class(family) is SmallSamConfig else SeparateSam


def read_shape(family: str, shape: Mapping[str, Any]) -> SmallSamConfig | SamSmallConfig | OfficialSamConfig:
    """The shape as the family's dataclass; SaomError names what does not fit."""
    kind = _shape_class(family)
    try:
        return dacite.from_dict(kind, shape, dacite.Config(cast=[tuple], strict=True))
    except (dacite.DaciteError, TypeError, ValueError, AttributeError) as error:
        raise SaomError(f"model of family {family!r}: {error}; see {kind.__name__}") from error


def load_official(path: Path, family: str, shape: Mapping[str, Any] | None = None) -> SeparateSam:
    """A model with the weights of an official file, in evaluation mode; the heads that SAM lacks are random.

    ``shape`` as in ``build_model``, for example ``{"classes": 55}``. Raises SaomError for a family without official
    files and for files that do not fit, naming what does not.
    """
    if family not in OFFICIAL_FAMILIES:
        raise SaomError(f"family {family!r} has no official files; expected one of {', '.join(OFFICIAL_FAMILIES)}")
    model = build_model(family, shape or {})
    assert isinstance(model, SeparateSam)
    official.load_weights(model.sam, path, family)
    return model.eval()


def _shape_class(family: str) -> type[SmallSamConfig] | type[SamSmallConfig] | type[OfficialSamConfig]:
    if family not in FAMILIES:
        raise SaomError(f"model family {family!r} is not known; expected one of {', '.join(FAMILIES)}")
    return FAMILIES[family]


def _official_encoder(family: str, config: OfficialSamConfig, out_channels: int) -> nn.Module:
    if family == "mobile_sam":
        if config.depth is not None:
            raise SaomError(f"depth is {config.depth}; mobile_sam's is fixed, leave it out")
        return TinyVitEncoder(config.image_size, out_channels)
    shape = VIT_SHAPES[family]
    if config.depth is not None:
        if not 1 <= config.depth <= shape.depth:
            raise SaomError(f"depth is {config.depth}; {family} has 1 to {shape.depth} blocks")
        shape = replace(shape, depth=config.depth)
    return vit_encoder(shape, config.image_size, out_channels)


def _check_side(side: int) -> None:
    if side % 32 or not 64 <= side <= 2048:
        raise SaomError(f"image_size is {side}; it must be a multiple of 32 in 64..2048")
