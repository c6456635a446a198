"""Contact sheets: samples side by side, each picture above the same picture with its objects coloured and outlined."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from saom_ros.errors import SaomError
from saom_ros.overlay import draw_labels
from training.shards import decode_sample, list_shards, read_members

Image = NDArray[np.uint8]

SHEET_NAME = "sheet.png"
_COLUMNS = 6
_TILE_WIDTH = 320
_TILES = 24


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


def write_sheet(folder: Path, tiles: int = _TILES) -> Path:
    """Draw `folder/sheet.png` from samples spread evenly over the folder's shards.

    Raises SaomError where shards or samples cannot be read or the sheet cannot be written.
    """
    shards = list_shards(folder)
    chosen = []
    per_shard = -(-tiles // len(shards))
    for path in shards[:: max(1, len(shards) // tiles)]:
        members = list(read_members(path))
        if not members:
            continue
        for number in np.unique(np.linspace(0, len(members) - 1, per_shard).astype(int)):
            sample = decode_sample(path, *members[number])
            chosen.append(tile(sample.rgb, sample.instances))
    if not chosen:
        raise SaomError(f"the shards in {folder} hold no frames; collect some first")
    sheet = arrange(chosen[:tiles])
    target = folder / SHEET_NAME
    if not cv2.imwrite(str(target), np.ascontiguousarray(sheet[..., ::-1])):
        raise SaomError(f"cannot write {target}; is the folder writable and the disk not full?")
    return target
