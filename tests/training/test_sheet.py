"""Contact sheets: size, colours and outlines."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import striped_simulator

from training.collect import Job, collect
from training.sheet import arrange, label_colors, mask_overlay, outlines, tile, write_sheet


def test_overlay_leaves_background_and_whitens_outlines() -> None:
    rgb = np.full((4, 6, 3), 40, np.uint8)
    instances = np.zeros((4, 6), np.uint16)
    instances[:, 3:] = 1
    overlay = mask_overlay(rgb, instances)
    assert (overlay[:, :2] == 40).all()
    assert (overlay[:, 2] == 255).all()
    assert (overlay[:, 3:] == 20 + label_colors(np.array(1)) // 2).all()


def test_outline_is_where_labels_meet() -> None:
    np.testing.assert_array_equal(outlines(np.array([[1, 1, 2], [1, 1, 2]])), [[0, 1, 0], [0, 1, 0]])


def test_first_hundred_colours_differ() -> None:
    assert len({tuple(color) for color in label_colors(np.arange(1, 101)).tolist()}) == 100


def test_tile_is_picture_above_overlay() -> None:
    image = tile(np.zeros((30, 40, 3), np.uint8), np.zeros((30, 40), np.uint16), width=20)
    assert image.shape == (30, 20, 3)


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
