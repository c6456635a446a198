"""What every import shares: frames of other tools become samples of shards, in a folder that appears whole or not.

Conventions of the shards hold for what comes in: visible pixels only, so where masks overlap the smaller object is on
top (what lies on or in something is mostly the smaller one); walls, floors, ceilings and grounds are background;
classes that training/classes.yaml lacks become `Unknown` and keep their name as `source_class`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from saom_ros.errors import SaomError
from training.classes import object_entry, small_letters
from training.data.interchange.folders import new_folder
from training.data.shards import ShardWriter
from training.simulators.base import FRAME_SCHEMA, Frame

FRAMES_PER_SHARD = 100
STRUCTURE = frozenset({"wall", "floor", "ceiling", "ground", "groundplane", "background", "unlabelled", "unlabeled"})
"""Class names (small letters only) that are background here, whatever the tool calls an instance."""

_JPEG_QUALITY = 98
_GREY_MODES = ("1", "L", "P", "I", "I;16", "I;16B")


@dataclass
class ImportedFrame:
    """One frame as another tool wrote it."""

    source: str
    """Where the picture lies, relative to what is imported."""
    scene: str
    """What tells rooms apart, usually the folder that the picture lies in."""
    rgb: NDArray[np.uint8]
    """`(H, W, 3)`."""
    instances: NDArray[np.uint16]
    """`(H, W)`, 0 = background."""
    classes: dict[int, str]
    """Class of each id of `instances` in the tool's words; ids without one are of unknown class."""
    depth: NDArray[np.uint16] | None = None
    """`(H, W)` mm along the optical axis, 0 = unknown."""
    intrinsics: dict[str, float] | None = None
    """fx, fy, cx, cy in px; the centre of the first pixel is (0, 0)."""
    pose: list[list[float]] | None = None
    """Camera-to-world transform, m."""
    ignore: NDArray[np.bool_] | None = None
    """`(H, W)`, pixels that the annotation leaves open; background in shards."""
    exhaustive: bool = True
    """Whether every object outside `ignore` is annotated."""


Loader = Callable[[], ImportedFrame]
"""Reads one frame when called; raises SaomError that names the file that is missing or damaged."""


def write_dataset(
    loaders: Sequence[Loader], origin: str, name: str, split: str, out: Path, progress: Callable[[], object]
) -> None:
    """Write all frames to shards `ORIGIN-NNNNNN.tar` in the new folder `out`; `progress` is called after each frame.

    Raises SaomError when a frame cannot be read or `out` exists or cannot be written; nothing is left then.
    """
    plain_name = re.sub(r"[^A-Za-z0-9_-]", "-", name) or origin
    with new_folder(out) as partial:
        for first in range(0, len(loaders), FRAMES_PER_SHARD):
            with ShardWriter(partial / f"{origin}-{first // FRAMES_PER_SHARD:06d}.tar") as writer:
                for number, load in enumerate(loaders[first : first + FRAMES_PER_SHARD], start=first):
                    writer.add(f"{origin}-{plain_name}-{split}-{number:06d}", to_frame(load(), origin, split))
                    progress()


def to_frame(imported: ImportedFrame, origin: str, split: str) -> Frame:
    """The frame as shards hold it; structure becomes background.

    Raises SaomError where picture and maps differ in size.
    """
    height, width = imported.rgb.shape[:2]
    for kind, image in (("instance map", imported.instances), ("depth", imported.depth)):
        if image is not None and image.shape != (height, width):
            raise SaomError(
                f"{imported.source}: the picture is {width}x{height} px, its {kind} {image.shape[1]}x{image.shape[0]}; "
                "both must show the same pixels"
            )
    structure = [label for label, name in imported.classes.items() if small_letters(name) in STRUCTURE]
    instances = np.where(np.isin(imported.instances, structure), 0, imported.instances).astype(np.uint16)
    labels = np.unique(instances[instances > 0]).tolist()
    meta: dict[str, Any] = {
        "schema": FRAME_SCHEMA,
        "simulator": origin,
        "split": split,
        "scene": imported.scene,
        "source": imported.source,
        "objects": [object_entry(label, imported.classes.get(label, "")) for label in labels],
    }
    if imported.intrinsics is not None:
        meta["intrinsics"] = {**imported.intrinsics, "width": width, "height": height}
    if imported.pose is not None:
        meta["pose"] = imported.pose
    return Frame(imported.rgb, instances, None, imported.depth, meta, _JPEG_QUALITY)


def paint(masks: Iterable[tuple[int, NDArray[np.bool_]]], shape: tuple[int, int]) -> NDArray[np.uint16]:
    """Instance map `(H, W)` of masks `(H, W)` with their ids, the smaller ones on top."""
    instances = np.zeros(shape, np.uint16)
    for label, mask in sorted(masks, key=lambda entry: -int(entry[1].sum())):
        instances[mask] = label
    return instances


def read_json(path: Path) -> Any:
    """A JSON file's content. Raises SaomError that names the file where it is missing or no JSON."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SaomError(f"{path}: cannot be read: {error.strerror}") from None
    except ValueError as error:
        raise SaomError(f"{path}: is not valid JSON: {error}") from None


def read_grey(path: Path) -> NDArray[np.int64]:
    """The values `(H, W)` of a grey image of 8 or 16 bits, or the palette indices of a palette image.

    Raises SaomError that names the file where it is missing, damaged or coloured.
    """
    image = read_pixels(path)
    if image.ndim != 2:
        raise SaomError(f"{path}: is a colour image; expected 8- or 16-bit grey, or a palette PNG, one value an object")
    return image.astype(np.int64)


def read_pixels(path: Path) -> NDArray[Any]:
    """The stored values of an image: `(H, W)`, palette indices not resolved, or `(H, W, 4)` RGBA of a colour image.

    Raises SaomError that names the file where it is missing or damaged.
    """
    try:
        with Image.open(path) as image:
            return np.asarray(image if image.mode in _GREY_MODES else image.convert("RGBA"))
    except FileNotFoundError:
        raise SaomError(f"{path}: no such file; every picture needs its masks") from None
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise SaomError(f"{path}: cannot be decoded ({error}); it may be truncated, copy it again") from None


def millimetres(depth: NDArray[Any], scale: float) -> NDArray[np.uint16]:
    """Depth times `scale` as uint16 mm; what is infinite, negative or beyond 65.535 m becomes 0, unknown."""
    values = np.nan_to_num(np.asarray(depth, np.float64) * scale, nan=0.0, posinf=0.0, neginf=0.0)
    return np.where((values >= 0) & (values < 65535.5), np.rint(values), 0).astype(np.uint16)
