"""Checkpoints of the SAM family: one safe way to read them, whichever run wrote them."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from saom_ros.errors import SaomError
from training.sam.model import PromptableModel
from training.sam.registry import build_model

_PREFIX = "model."


def load_checkpoint(path: Path) -> tuple[PromptableModel, dict[str, Any]]:
    """Read a fine-tuning checkpoint: the averaged model in evaluation mode, and what the run recorded about itself.

    Reads tensors and plain values only (``weights_only``), so a checkpoint cannot run code. Raises SaomError for a
    missing, truncated or foreign file.
    """
    if not path.is_file():
        raise SaomError(f"{path}: no such checkpoint; 'python -m training finetune' writes RUN/last.ckpt")
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        raise SaomError(f"{path}: not a readable checkpoint ({error}); is the file whole?") from error
    if not isinstance(content, dict) or "state_dict" not in content or "saom" not in content:
        raise SaomError(f"{path}: not a checkpoint of 'python -m training finetune' (no 'saom' entry)")
    described = content["saom"]
    try:
        model = build_model(described["family"], described["model"])
        tensors = content["state_dict"].items()
        weights = {name.removeprefix(_PREFIX): tensor for name, tensor in tensors if name.startswith(_PREFIX)}
        model.load_state_dict(weights)
    except (SaomError, KeyError, TypeError, AttributeError) as error:
        raise SaomError(f"{path}: the model that the file describes cannot be built: {error}") from error
    except RuntimeError as error:
        raise SaomError(f"{path}: weights do not fit the model that the file describes: {error}") from error
    return model.eval(), described


def describe(model: PromptableModel, training: dict[str, Any]) -> dict[str, Any]:
    """The ``saom`` entry of a checkpoint: family, model shape and the run's record, plain values only."""
    shape = {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(model.config).items()}
    return {"family": model.family, "model": shape, "training": training}
