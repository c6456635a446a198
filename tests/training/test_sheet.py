"""Contact sheets: what a tile shows, how tiles are arranged, and which samples are chosen."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import striped_simulator

from training.collecting.job import Job
from training.collecting.verb import collect
from training.data.sheet import arrange, tile, write_sheet


def test_tile_is_picture_above_picture_with_its_objects_coloured() -> None:
    instances = np.zeros((30, 40), np.uint16)
    instances[:, 20:] = 1
    image = tile(np.full((30, 40, 3), 90, np.uint8), instances, width=20)
    assert image.shape == (30, 20, 3)
    assert (image[:15] == 90).all()
    assert np.ptp(image[20, 15]) > 20


def test_short_last_row_is_black() -> None:
    sheet = arrange([np.full((2, 3, 3), 9, np.uint8)] * 3, columns=2)
    assert sheet.shape == (4, 6, 3)
    assert (sheet[2:, 3:] == 0).all()
    assert (sheet[:2] == 9).all()


def test_sheet_without_tiles_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one tile"):
        arrange([])


@pytest.mark.parametrize(("frames", "rows", "columns"), [(1, 1, 1), (7, 2, 6), (40, 4, 6)])
def test_sheet_shows_every_frame_up_to_its_limit(tmp_path: Path, frames: int, rows: int, columns: int) -> None:
    collect(Job("stripes", "train", 0, 32, 32, 3), frames, 1, tmp_path, striped_simulator.make)
    sheet = cv2.imread(str(write_sheet(tmp_path)))
    assert sheet.shape == (rows * 640, columns * 320, 3)
