"""Folders of pictures and label maps: for every picture a PNG of the same stem whose values are object ids.

Label maps are grey PNGs of 8 or 16 bits or palette PNGs (Pascal VOC, DAVIS), 0 is background. `STEM.labels.png`, what
`saom segment` writes, is understood too, also beside the pictures.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np

from saom_ros.errors import SaomError
from saom_ros.image_files import files_in, is_video, read_rgb
from training.data.interchange.importing import ImportedFrame, Loader, read_grey

OURS = ".labels.png"
_SHOWN = 3


def find_label_maps(images: Path, labels: Path, background: frozenset[int] = frozenset()) -> list[Loader]:
    """One loader for each picture in `images`, in name order; values of `background` are no objects, as 0 is none.

    Raises SaomError for folders that are missing or empty and where pictures and label maps do not pair up.
    """
    for folder in (images, labels):
        if not folder.is_dir():
            raise SaomError(f"{folder}: no such folder")
    pictures: dict[str, Path] = {}
    for path in files_in(images):
        if is_video(path):
            continue
        if path.stem in pictures:
            raise SaomError(f"{pictures[path.stem]} and {path} have the same stem; only one can have the label map")
        pictures[path.stem] = path
    maps = _maps(images, labels)
    _refuse_unpaired(pictures, maps, f"without a label map STEM.png or STEM{OURS} in {labels}")
    _refuse_unpaired(maps, pictures, f"without a picture in {images}")
    return [partial(_load, picture, maps[stem], background, images) for stem, picture in pictures.items()]


def _maps(images: Path, labels: Path) -> dict[str, Path]:
    ours = {path.name.removesuffix(OURS): path for path in labels.glob(f"*{OURS}")}
    if ours or images.resolve() == labels.resolve():
        return ours
    return {path.stem: path for path in labels.glob("*.png") if not path.name.endswith(".overlay.png")}


def _refuse_unpaired(paths: dict[str, Path], partners: dict[str, Path], what: str) -> None:
    lonely = [path for stem, path in paths.items() if stem not in partners]
    if lonely:
        shown = ", ".join(str(path) for path in lonely[:_SHOWN]) + (", ..." if len(lonely) > _SHOWN else "")
        raise SaomError(f"{len(lonely)} of {len(paths)} files {what}: {shown}; add what is missing or remove them")


def _load(picture: Path, label_map: Path, background: frozenset[int], root: Path) -> ImportedFrame:
    labels = read_grey(label_map)
    if labels.min() < 0 or labels.max() > 65535:
        raise SaomError(f"{label_map}: holds values from {labels.min()} to {labels.max()}; ids must be 0 to 65535")
    instances = np.where(np.isin(labels, list(background)), 0, labels).astype(np.uint16)
    return ImportedFrame(picture.name, root.name, read_rgb(picture), instances, {})
