"""Official checkpoint files: Meta's SAM ViT-B, L and H and MobileSAM's ``mobile_sam.pt``.

A file is read as plain tensors (never as code) and must hold exactly the layout of the family that is asked for; what
does not fit is named as the file names it.
"""

import pickle
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from segment_anything.modeling import Sam
from torch import Tensor

from saom_ros.errors import SaomError
from training.sam import tiny_vit
from training.sam.encoders import VIT_SHAPES
from training.sam.tiny_vit import TinyVitEncoder

_ENCODER = "image_encoder."
_UNUSED = (f"{_ENCODER}norm_head.", f"{_ENCODER}head.")
"""TinyViT's classifier, which ``mobile_sam.pt`` carries along and MobileSAM never runs."""
_NAMED = 3
"""How many wrong names an error lists."""


def load_weights(sam: Sam, path: Path, family: str) -> None:
    """Load the official file of ``family`` into ``sam``.

    Raises SaomError for a missing or damaged file, one that holds code, another family's file (and says whose), and
    keys or shapes that do not fit.
    """
    weights = _read_tensors(path)
    found = identify(weights)
    if found != family:
        what = f"weights of {found}" if found else "no weights of a known SAM"
        mend = f"give family {found}" if found else "official files are sam_vit_b_01ec64.pth and the like"
        raise SaomError(f"{path}: holds {what}, asked was {family}; {mend}")
    names = published_names(sam)
    _check_layout(path, weights, {names[name]: tensor.shape for name, tensor in sam.state_dict().items()})
    sam.load_state_dict({name: weights[published] for name, published in names.items()})


def identify(weights: Mapping[str, Tensor]) -> str | None:
    """The family whose layout the weights have, from telling names and widths; None where it is none."""
    if f"{_ENCODER}patch_embed.seq.0.c.weight" in weights:
        return "mobile_sam"
    position = weights.get(f"{_ENCODER}pos_embed")
    widths = {shape.width: family for family, shape in VIT_SHAPES.items()}
    return widths.get(position.shape[-1]) if position is not None and position.ndim == 4 else None


def published_names(sam: Sam) -> dict[str, str]:
    """Name in the published file of each parameter and buffer of ``sam``."""
    names = {name: name for name in sam.state_dict()}
    if isinstance(sam.image_encoder, TinyVitEncoder):
        for name in names:
            if name.startswith(_ENCODER):
                names[name] = _ENCODER + tiny_vit.published_name(name.removeprefix(_ENCODER))
    return names


def _read_tensors(path: Path) -> dict[str, Tensor]:
    if not path.is_file():
        raise SaomError(f"{path}: no such file; download the official checkpoint and give its path")
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        if "Unsupported" in str(error):
            raise SaomError(f"{path}: holds code besides weights, which is not run; get the official file") from error
        raise SaomError(f"{path}: not a readable weights file; download it again") from error
    except Exception as error:  # torch raises whatever its zip reader meets in a damaged file
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise SaomError(f"{path}: not a readable weights file ({reason}); is it whole? download it again") from error
    if isinstance(content, dict) and "saom" in content:
        raise SaomError(f"{path}: is a checkpoint of 'python -m training finetune', not an official file")
    if not isinstance(content, dict) or not all(isinstance(value, Tensor) for value in content.values()):
        raise SaomError(f"{path}: is no table of tensors by name; get the official file")
    return content


def _check_layout(path: Path, weights: Mapping[str, Tensor], expected: Mapping[str, torch.Size]) -> None:
    """SaomError that names the first keys that are missing, too many or of another shape."""
    missing = [name for name in expected if name not in weights]
    extra = [name for name in weights if name not in expected and not name.startswith(_UNUSED)]
    wrong = [
        f"{name} is {tuple(weights[name].shape)}, expected {tuple(shape)}"
        for name, shape in expected.items()
        if name in weights and weights[name].shape != shape
    ]
    for what, names in (("lacks", missing), ("has unknown", extra), ("has wrong shapes:", wrong)):
        if names:
            raise SaomError(f"{path}: {what} {_few(names)}; get the official file of this family")


def _few(names: Sequence[str]) -> str:
    more = len(names) - _NAMED
    return ", ".join(names[:_NAMED]) + (f" and {more} more" if more > 0 else "")
