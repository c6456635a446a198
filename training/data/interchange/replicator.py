"""Output of Isaac Sim Replicator's BasicWriter with `rgb=True, instance_segmentation=True`.

For frame NNNN: `rgb_NNNN.png`, `instance_segmentation_NNNN.png` (RGBA colours, or 16-bit ids without colorize), beside
it `instance_segmentation_mapping_NNNN.json` (colour or id -> prim path), perhaps
`instance_segmentation_semantics_mapping_NNNN.json` (-> semantics) and, with `distance_to_image_plane=True`,
`distance_to_image_plane_NNNN.npy` (float32 m). Files lie in one folder or, with several cameras, in `CAMERA/rgb/`,
`CAMERA/instance_segmentation/` and so on. An instance is a prim with semantics: label whole objects, not their parts.
"""

from __future__ import annotations

import re
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from saom_ros.errors import SaomError
from saom_ros.image_files import read_rgb
from training.data.interchange.importing import ImportedFrame, Loader, millimetres, read_json, read_pixels

_SEGMENTATION = "instance_segmentation"
_DEPTH = "distance_to_image_plane"
_METRE = 1000.0
_BLACK = frozenset({0x00000000, 0xFF000000})
"""Codes of the colours of background and of what has no semantics; the mapping may leave them out."""
_NOTHING = ("BACKGROUND", "UNLABELLED")
"""What the mapping calls them."""


def find_replicator_frames(folder: Path) -> list[Loader]:
    """One loader for each `rgb_*` picture in the folder or below.

    Raises SaomError where there is none, or one lacks its instance segmentation.
    """
    if not folder.is_dir():
        raise SaomError(f"{folder}: no such folder")
    pictures = sorted(path for suffix in ("png", "jpg", "jpeg") for path in folder.rglob(f"rgb_*.{suffix}"))
    if not pictures:
        raise SaomError(f"{folder}: holds no rgb_*.png; let BasicWriter write rgb and instance_segmentation")
    for picture in pictures:
        _required(picture, f"{_SEGMENTATION}_{{}}.png")
        _required(picture, f"{_SEGMENTATION}_mapping_{{}}.json")
    return [partial(_load, folder, picture) for picture in pictures]


def _load(root: Path, picture: Path) -> ImportedFrame:
    mapping = _required(picture, f"{_SEGMENTATION}_mapping_{{}}.json")
    semantics = _partner(picture, _SEGMENTATION, f"{_SEGMENTATION}_semantics_mapping_{{}}.json")
    depth = _partner(picture, _DEPTH, f"{_DEPTH}_{{}}.npy")
    names = {code: prim.rsplit("/", 1)[-1] for code, prim in _texts(_mapping(mapping)).items()}
    if semantics is not None:
        names |= _texts(_mapping(semantics))
    instances, classes = _instances(_required(picture, f"{_SEGMENTATION}_{{}}.png"), mapping, names)
    place = _base(picture)
    return ImportedFrame(
        source=str(picture.relative_to(root)),
        scene=str(place.relative_to(root)) if place != root else root.name,
        rgb=read_rgb(picture),
        instances=instances,
        classes=classes,
        depth=None if depth is None else _depth(depth),
    )


def _instances(segmentation: Path, mapping: Path, names: dict[int, str]) -> tuple[NDArray[np.uint16], dict[int, str]]:
    """Number the instances that can be seen from 1 in the order of their codes; background and unlabelled get none."""
    image = _codes(read_pixels(segmentation))
    codes, inverse = np.unique(image, return_inverse=True)
    background = _BLACK | {code for code, name in names.items() if name.upper() in _NOTHING}
    seen = [code for code in codes.tolist() if code not in background]
    if unknown := [code for code in seen if code not in names]:
        raise SaomError(f"{segmentation}: shows {_show(unknown[0])}, which {mapping.name} does not list")
    if len(seen) > 65535:
        raise SaomError(f"{segmentation}: shows {len(seen)} instances; at most 65535 are possible")
    labels = {code: label for label, code in enumerate(seen, start=1)}
    table = np.array([labels.get(code, 0) for code in codes.tolist()], np.uint16)
    return table[inverse.reshape(image.shape)], {label: names[code] for code, label in labels.items()}


def _codes(pixels: NDArray[Any]) -> NDArray[np.int64]:
    """One number a pixel: the id, or the colour's bytes RGBA with red lowest."""
    values = pixels.astype(np.int64)
    return values if values.ndim == 2 else values @ np.array([1, 1 << 8, 1 << 16, 1 << 24], np.int64)


def _mapping(path: Path) -> dict[int, Any]:
    """Code -> value of a mapping file, whose keys are `(r, g, b, a)` or ids."""
    content = read_json(path)
    found = {}
    for key, value in content.items() if isinstance(content, dict) else [("", None)]:
        numbers = [int(number) for number in re.findall(r"\d+", key)]
        if len(numbers) not in (1, 4) or (len(numbers) == 4 and max(numbers) > 255):
            raise SaomError(f"{path}: has the key {key!r}; expected colours (r, g, b, a) or ids, as BasicWriter writes")
        found[numbers[0] if len(numbers) == 1 else int(_codes(np.array([[numbers]]))[0, 0])] = value
    return found


def _texts(mapping: dict[int, Any]) -> dict[int, str]:
    """Values as text: a prim path as it is; of semantics the `class`, else whatever type comes first."""
    texts = {}
    for code, value in mapping.items():
        if isinstance(value, dict):
            value = value.get("class", next(iter(value.values()), ""))
        texts[code] = str(value)
    return texts


def _depth(path: Path) -> NDArray[np.uint16]:
    try:
        metres = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise SaomError(f"{path}: cannot be read as a NumPy array: {error}") from None
    if metres.ndim == 3 and metres.shape[2] == 1:
        metres = metres[..., 0]
    if metres.ndim != 2 or not np.issubdtype(metres.dtype, np.floating):
        raise SaomError(f"{path}: is {metres.dtype} {metres.shape}; expected float32 (H, W), metres")
    return millimetres(metres, _METRE)


def _base(picture: Path) -> Path:
    """The folder of a camera's files; each annotator may have a subfolder of its own there."""
    return picture.parent.parent if picture.parent.name == "rgb" else picture.parent


def _required(picture: Path, name: str) -> Path:
    """A file of the same frame's instance segmentation. Raises SaomError where there is none."""
    found = _partner(picture, _SEGMENTATION, name)
    if found is None:
        missing = name.format(picture.stem.removeprefix("rgb_"))
        raise SaomError(f"{picture}: lacks {missing} beside it; let BasicWriter write instance_segmentation, too")
    return found


def _partner(picture: Path, annotator: str, name: str) -> Path | None:
    """Another annotator's file of the same frame; None where there is none."""
    file_name = name.format(picture.stem.removeprefix("rgb_"))
    base = _base(picture)
    return next((path for path in (base / file_name, base / annotator / file_name) if path.is_file()), None)


def _show(code: int) -> str:
    return (
        f"the colour ({code & 255}, {code >> 8 & 255}, {code >> 16 & 255}, {code >> 24})" if code >> 16 else str(code)
    )
