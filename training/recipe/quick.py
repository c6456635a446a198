"""A training run of any family and encoder made so small that it takes seconds; its figures mean nothing."""

from __future__ import annotations

from typing import Any

from training.finetuning.config import FinetuneConfig
from training.sam.encoders import VIT_SHAPES

_SIDE = 64
"""Of the square that families with one input size see; the others see half as much again in width."""
_WIDTHS = [16, 16, 16, 16]
"""Of an encoder that can have any; others keep their own."""


def tiny_changes(config: FinetuneConfig) -> dict[str, Any]:
    """What to change in a configuration: its inputs, net and grid, but neither family and encoder nor what is learned
    from which prompts, so that what is special in it runs, too.
    """
    square = "image_size" in config.model
    stage = {"width": _SIDE if square else 3 * _SIDE // 2, "height": _SIDE, "images": 16, "batch_size": 4}
    return {
        "model": _tiny_model(config),
        "grid": [8, 8] if square or config.grid else None,
        "stages": [stage],
        "accumulate": 1,
        "devices": 1,
        "nodes": 1,
        "loader_workers": 0,
        "checkpoint_seconds": 0,
        "validation_frames": 2,
    }


def _tiny_model(config: FinetuneConfig) -> dict[str, Any]:
    """Fields of the family's shape, see `training.sam.registry`."""
    if config.family in VIT_SHAPES:
        return {"image_size": _SIDE, "depth": 1}
    if config.family == "mobile_sam":
        return {"image_size": _SIDE}
    widths = {"encoder_channels": _WIDTHS if config.model["encoder_channels"] else []}
    if config.family == "small":
        return {**widths, "embedding_dim": 32, "pixel_dim": 16}
    return {**widths, "image_size": _SIDE, "decoder": {"dim": 32, "depth": 1, "mlp_dim": 64, "heads": 2}}
