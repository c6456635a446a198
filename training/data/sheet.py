"""Contact sheets: samples side by side, each picture above the same picture with its objects coloured and outlined."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from saom_ros.errors import SaomError
from saom_ros.overlay import draw_labels
from training.data.shards import decode_sample, list_shards, read_members
from training.data.storage import Place

Image = NDArray[np.uint8]

SHEET_NAME = "sheet.png"
_COLUMNS = 6
_TILE_WIDTH = 320
_TILES = 24
_JPEG_QUALITY = 72
T = TypeVar("T")


def tile(rgb: Image, instances: NDArray[np.uint16], width: int = _TILE_WIDTH) -> Image:
    """Picture above overlay, `width` px wide: uint8 `(2 h, width, 3)`."""
    height = round(rgb.shape[0] * width / rgb.shape[1])
    pair = np.concatenate([rgb, draw_labels(rgb, instances)])
    return np.asarray(cv2.resize(pair, (width, 2 * height), interpolation=cv2.INTER_AREA), np.uint8)


def arrange(tiles: Sequence[Image], columns: int = _COLUMNS) -> Image:
    """Put tiles into rows from left to right, black where the last row is short or a tile is smaller than the largest.

    Raises ValueError without tiles.
    """
    if not tiles:
        raise ValueError("a contact sheet needs at least one tile")
    columns = min(columns, len(tiles))
    rows = -(-len(tiles) // columns)
    height, width = (max(image.shape[axis] for image in tiles) for axis in (0, 1))
    sheet = np.zeros((rows * height, columns * width, 3), np.uint8)
    for number, image in enumerate(tiles):
        top, left = number // columns * height, number % columns * width
        sheet[top : top + image.shape[0], left : left + image.shape[1]] = image
    return sheet


def write_sheet(
    folder: Place,
    target: Path | None = None,
    tiles: int = _TILES,
    columns: int = _COLUMNS,
    where: Mapping[str, str] | None = None,
) -> Path:
    """Draw `tiles` samples, spread evenly over the folder's shards, into `target` (default: `folder/sheet.png`).

    `where` asks for samples whose json has these values, as `{"room": "kitchen"}`.
    Raises SaomError where shards or samples cannot be read, none is as asked, or the sheet cannot be written.
    """
    chosen = _spread(list(_candidates(folder, tiles, where or {})), tiles)
    if not chosen:
        asked = " with " + " and ".join(f"{key}={value}" for key, value in where.items()) if where else ""
        raise SaomError(f"the shards in {folder} hold no frames{asked}; collect some first")
    samples = [decode_sample(path, key, files) for path, key, files in chosen]
    sheet = arrange([tile(sample.rgb, sample.instances) for sample in samples], columns)
    target = target or Path(str(folder)) / SHEET_NAME
    if not _write(target, np.ascontiguousarray(sheet[..., ::-1])):
        raise SaomError(f"cannot write {target}; is it a .png or .jpg in a writable folder, and the disk not full?")
    return target


def _candidates(folder: Place, tiles: int, where: Mapping[str, str]) -> Iterator[tuple[Place, str, dict[str, bytes]]]:
    """Undecoded samples to choose from: a few of each shard, or of each so-many-th where shards are plenty."""
    shards = list_shards(folder)
    if not where:
        shards = shards[:: max(1, len(shards) // tiles)]
    for path in shards:
        found = [(path, key, files) for key, files in read_members(path) if _is_as_asked(files, where)]
        # Where only some are as asked, they may all lie in a few shards.
        yield from _spread(found, -(-tiles * (4 if where else 1) // len(shards)))


def _is_as_asked(files: Mapping[str, bytes], where: Mapping[str, str]) -> bool:
    if not where:
        return True
    try:
        meta = json.loads(files.get("json", b"{}"))
    except ValueError:
        return False
    return all(str(meta.get(key)) == value for key, value in where.items())


def _spread(items: Sequence[T], count: int) -> list[T]:
    """At most `count` of the items, evenly spaced, the first and the last among them."""
    if not items:
        return []
    return [items[number] for number in np.unique(np.linspace(0, len(items) - 1, count).astype(int))]


def _write(target: Path, picture: Image) -> bool:
    try:
        return cv2.imwrite(str(target), picture, [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])
    except cv2.error:  # an ending that OpenCV does not know
        return False
