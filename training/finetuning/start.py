"""The weights that a run starts from: of a checkpoint, of a bundle, or of an official file."""

from collections.abc import Iterator
from dataclasses import asdict
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from saom_ros.errors import SaomError
from training.finetuning.batches import TrainingBatches
from training.finetuning.config import FinetuneConfig
from training.finetuning.frame_store import FrameStore
from training.finetuning.module import WholeObjects
from training.sam.bundle_weights import load_bundle_weights
from training.sam.checkpoint import load_checkpoint
from training.sam.model import PromptableModel
from training.sam.registry import OFFICIAL_FAMILIES, load_official

_NORM_BATCHES = 8
"""Batches that tell the norms of a bundle's model what images are like; its graph has forgotten."""


def weights_of(path: Path, model: PromptableModel, config: FinetuneConfig, frames: FrameStore) -> PromptableModel:
    """The model of a checkpoint of ours, of a bundle (a folder), or of an official file; of the shape of ``model``.

    Raises SaomError where it is damaged or of another shape.
    """
    if path.is_dir():
        found: PromptableModel = load_bundle_weights(path, _images(config, frames, model.objectness_stride))
    elif model.family in OFFICIAL_FAMILIES and not _is_ours(path):
        return load_official(path, model.family, asdict(model.config))
    else:
        found = load_checkpoint(path)[0]
    if (found.family, found.config) != (model.family, model.config):
        raise SaomError(
            f"{path}: has {found.family} {found.config}, the configuration {model.family} {model.config}; "
            "use its model or another --out"
        )
    return found


def check_heads(path: Path, module: WholeObjects) -> None:
    """Raise SaomError where the run of a checkpoint of ours learns other auxiliary maps than ``module`` does."""
    names = _peek(path).get("state_dict")
    if names is None:
        return  # what is wrong with a damaged file is told by who reads it
    found, wanted = ({name for name in each if name.startswith("auxiliary.")} for each in (names, module.state_dict()))
    if found != wanted:
        raise SaomError(
            f"{path}: was begun with other auxiliary losses (edges, depth, semantics) than the configuration names; "
            "use those, or another --out"
        )


def _images(config: FinetuneConfig, frames: FrameStore, stride: int) -> Iterator[Tensor]:
    """Batches of images uint8 (B, 3, h, w) as the run's last stage will show them."""
    batches = TrainingBatches(frames, config.stages[-1:], config.augmentation, config.prompting(stride), config.seed)
    for batch in islice(batches, _NORM_BATCHES):
        assert batch.images is not None
        yield batch.images


def _is_ours(path: Path) -> bool:
    """Whether a file is a checkpoint of ``finetune``; false for damaged ones, whose reader says what is wrong."""
    return "saom" in _peek(path)


def _peek(path: Path) -> dict[str, Any]:
    """What a file of PyTorch's holds, tensors without values; empty where it cannot be read or is no dictionary."""
    try:
        content = torch.load(path, map_location="meta", weights_only=True)
    except Exception:
        return {}
    return content if isinstance(content, dict) else {}
