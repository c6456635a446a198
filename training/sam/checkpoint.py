"""Checkpoints of the SAM family: one safe way to read them, whichever run wrote them."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

import dacite
import torch

from saom_ros.errors import SaomError
from training.sam.small import SmallSam, SmallSamConfig

_PREFIX = "model."


def load_checkpoint(path: Path) -> tuple[SmallSam, dict[str, Any]]:
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
    if described.get("family") != "small":
        raise SaomError(f"{path}: model family {described.get('family')!r} is not known; expected 'small'")
    model = SmallSam(dacite.from_dict(SmallSamConfig, described["model"], dacite.Config(cast=[tuple], strict=True)))
    tensors = content["state_dict"].items()
    weights = {name.removeprefix(_PREFIX): tensor for name, tensor in tensors if name.startswith(_PREFIX)}
    try:
        model.load_state_dict(weights)
    except RuntimeError as error:
        raise SaomError(f"{path}: weights do not fit the model that the file describes: {error}") from error
    return model.eval(), described


def describe(model: SmallSam, training: dict[str, Any]) -> dict[str, Any]:
    """The ``saom`` entry of a checkpoint: family, model shape and the run's record, plain values only."""
    shape = {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(model.config).items()}
    return {"family": "small", "model": shape, "training": training}
