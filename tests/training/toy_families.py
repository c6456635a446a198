"""A small model of every family with random weights, and a picture for it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from tests.training.tiny_sam import TINY_SAM
from training.sam.checkpoint import describe
from training.sam.registry import build_model

SHAPES: dict[str, dict[str, Any]] = {
    "small": {"encoder_channels": [16, 16, 16, 16], "embedding_dim": 32, "pixel_dim": 16},
    "sam_small": {**TINY_SAM, "image_size": 96, "classes": 3},
    "vit_b": {"image_size": 64, "depth": 1},
    "mobile_sam": {"image_size": 64},
}
SIDE = {"small": 96, "sam_small": 96, "vit_b": 64, "mobile_sam": 64}


def write_checkpoint(folder: Path, family: str, shape: Mapping[str, Any] | None = None, **config: Any) -> Path:
    """A checkpoint as a run writes it, with random weights whose masks have a shape; `shape` changes that of SHAPES."""
    torch.manual_seed(1)
    model = build_model(family, {**SHAPES[family], **(shape or {})})
    with torch.no_grad():
        [layer for layer in model.objectness_head if hasattr(layer, "weight")][-1].weight.mul_(20)
        if family != "small":
            model.sam.mask_decoder.iou_prediction_head.layers[-1].bias.fill_(0.6)
            model.sam.mask_decoder.output_hypernetworks_mlps[0].layers[-1].weight.mul_(30)
    side = SIDE[family]
    record = {"config": {"name": "toy", "stages": [{"height": side, "width": side}], "grid": None, **config}}
    weights = {f"model.{name}": tensor for name, tensor in model.state_dict().items()}
    torch.save({"state_dict": weights, "saom": describe(model, record)}, folder / f"{family}.ckpt")
    return folder / f"{family}.ckpt"


def picture() -> NDArray[np.uint8]:
    """RGB uint8 (96, 128, 3): blocks of random colours."""
    rng = np.random.default_rng(0)
    blocks = rng.integers(0, 256, (6, 8, 3), np.uint8)
    return np.kron(blocks, np.ones((16, 16, 1), np.uint8))
