"""COCO instance annotations to frames: RLE (compressed or not) and polygons; crowds are no objects but ignored pixels.

Objects are numbered in the order of their annotations. Every listed picture becomes a frame, also one without objects.
`"exhaustive": false` in the entry of a picture, which COCO does not know, says that not all its objects are annotated.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco_mask

from saom_ros.errors import SaomError
from saom_ros.image_files import read_rgb
from training.data.interchange.importing import ImportedFrame, Loader, paint, read_json

_LISTS = ("images", "annotations", "categories")
_FARTHEST = 10.0
"""Polygons may leave the picture, but not by more than this many times its longer side."""


def find_coco_frames(annotations: Path, images: Path) -> list[Loader]:
    """One loader for each picture that the annotation file lists, in its order; file names are relative to `images`.

    Raises SaomError for a file that is no COCO JSON or contradicts itself, and for missing pictures.
    """
    content = read_json(annotations)
    if not isinstance(content, dict) or not all(isinstance(content.get(name), list) for name in _LISTS):
        raise SaomError(f"{annotations}: is no COCO instance file; expected lists {', '.join(_LISTS)}")
    if not images.is_dir():
        raise SaomError(f"{images}: no such folder; give the folder that the pictures lie in")
    try:
        names = {entry["id"]: str(entry["name"]) for entry in content["categories"]}
        pictures = {entry["id"]: entry for entry in content["images"]}
        found: dict[Any, list[dict[str, Any]]] = {number: [] for number in pictures}
        for entry in content["annotations"]:
            if entry["image_id"] not in found or entry["category_id"] not in names:
                raise SaomError(
                    f"{annotations}: annotation {entry.get('id')} names image {entry['image_id']} and category "
                    f"{entry['category_id']}, which are not both listed"
                )
            found[entry["image_id"]].append(entry)
        missing = [path for entry in pictures.values() if not (path := images / entry["file_name"]).is_file()]
    except (KeyError, TypeError) as error:
        raise SaomError(f"{annotations}: is no COCO instance file: {error!r} in one of its entries") from None
    if not pictures:
        raise SaomError(f"{annotations}: lists no image")
    if missing:
        raise SaomError(f"{missing[0]}: no such file; {len(missing)} of {len(pictures)} pictures are missing")
    return [partial(_load, annotations, images, entry, found[number], names) for number, entry in pictures.items()]


def _load(
    annotations: Path, images: Path, picture: dict[str, Any], entries: list[dict[str, Any]], names: dict[Any, str]
) -> ImportedFrame:
    path = images / picture["file_name"]
    rgb = read_rgb(path)
    height, width = rgb.shape[:2]
    if (picture.get("width"), picture.get("height")) != (width, height):
        raise SaomError(
            f"{path}: is {width}x{height} px, but {annotations.name} says {picture.get('width')}x"
            f"{picture.get('height')}; masks would not fit"
        )
    masks: list[tuple[int, NDArray[np.bool_]]] = []
    classes: dict[int, str] = {}
    crowds = np.zeros((height, width), bool)
    for entry in entries:
        try:
            mask = decode_segmentation(entry.get("segmentation"), height, width)
        except ValueError as error:
            raise SaomError(f"{annotations}: annotation {entry.get('id')} of {path.name} {error}") from None
        if entry.get("iscrowd"):
            crowds |= mask
        else:
            label = len(masks) + 1
            masks.append((label, mask))
            classes[label] = names[entry["category_id"]]
    instances = paint(masks, (height, width))
    scene = str(Path(picture["file_name"]).parent)
    return ImportedFrame(
        source=str(picture["file_name"]),
        scene=images.name if scene == "." else scene,
        rgb=rgb,
        instances=instances,
        classes=classes,
        ignore=crowds & (instances == 0) if crowds.any() else None,
        exhaustive=picture.get("exhaustive") is not False,
    )


def decode_segmentation(segmentation: Any, height: int, width: int) -> NDArray[np.bool_]:
    """Mask `(H, W)` of an annotation's `segmentation`. Raises ValueError that says what is wrong with it."""
    if isinstance(segmentation, list) and segmentation:
        rles = coco_mask.frPyObjects(_polygons(segmentation, max(height, width)), height, width)
        return np.asarray(coco_mask.decode(coco_mask.merge(rles)), bool)
    if not isinstance(segmentation, dict):
        raise ValueError("has no segmentation; boxes alone make no masks")
    if segmentation.get("size") != [height, width]:
        raise ValueError(f"has an RLE of size {segmentation.get('size')}; its picture is {[height, width]}")
    counts = segmentation.get("counts")
    if isinstance(counts, list):
        return _runs(counts, height, width)
    if not isinstance(counts, str) or not counts.isascii():
        raise ValueError("has an RLE whose counts are neither a list nor text")
    try:
        return np.asarray(coco_mask.decode({"size": [height, width], "counts": counts.encode()}), bool)
    except Exception as error:  # pycocotools raises whatever comes; a damaged mask must not look like a defect of ours
        raise ValueError(f"has a damaged RLE: {error}") from None


def _polygons(segmentation: list[Any], side: int) -> list[list[float]]:
    """The polygons that enclose anything; a point or a line has no area."""
    polygons = []
    for polygon in segmentation:
        try:
            corners = np.array(polygon, np.float64)
        except (TypeError, ValueError):
            corners = np.zeros((0, 0))
        if corners.ndim != 1 or len(corners) % 2 or not (np.abs(corners) <= _FARTHEST * side).all():
            raise ValueError("has a polygon that is no list x1, y1, x2, y2, ... of px in its picture")
        if len(corners) >= 6:
            polygons.append(corners.tolist())
    if not polygons:
        raise ValueError("has no polygon of three corners or more")
    return polygons


def _runs(counts: list[Any], height: int, width: int) -> NDArray[np.bool_]:
    """Mask of uncompressed RLE: lengths of runs of 0 and 1 in turn, down the columns."""
    if not all(isinstance(count, int) and count >= 0 for count in counts) or sum(counts) != height * width:
        raise ValueError(f"has an RLE whose counts do not sum up to its picture's {height * width} px")
    values = np.repeat(np.arange(len(counts)) % 2 == 1, counts)
    return values.reshape((height, width), order="F")
