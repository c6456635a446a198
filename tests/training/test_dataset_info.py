"""`dataset info` and `sheet`: figures that can be counted by hand, charts that show them, pictures for the eye."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from shard_files import change_meta, mug_on_book, write_members, write_shards

from saom_ros.errors import SaomError
from training.__main__ import main
from training.data.info import gather
from training.data.sheet import write_sheet
from training.reports.charts import columns_chart, rows_chart

MUG, BOOK = 6 * 8, 12 * 20 - 2 * 8
"""Visible px of the two objects; the mug hides two rows of the book."""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    frames = [mug_on_book(0), mug_on_book(0), mug_on_book(1, 48, 64)]
    frames[2].instances[frames[2].instances == 7] = 0
    frames[2].meta["objects"] = [{"id": 3, "class": "Unknown", "source_class": "obj_000003"}]
    return write_shards(tmp_path / "data", frames)


def test_figures_are_those_counted_by_hand(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["dataset", "info", "--json", str(folder)]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown == {
        "folder": str(folder),
        "shards": 2,
        "frames": 3,
        "scenes": 2,
        "rooms": 2,
        "objects": 5,
        "classes": 3,
        "median_objects_per_frame": 2.0,
        "median_object_area": BOOK,
        "median_object_share": BOOK / (48 * 64),
        "objects_per_class": {"Book": 2, "Mug": 2, "obj_000003": 1},
        "image_sizes": {"32x24": 2, "64x48": 1},
        "simulators": {"toy": 3},
        "splits": {"train": 3},
        "seeds": {"4": 3},
    }


def test_text_shows_the_same_figures(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["dataset", "info", str(folder)]) == 0
    lines = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    assert lines[0] == f"{folder}: 3 frames in 2 shards"
    sizes = "image sizes 32x24 (2), 64x48 (1)"
    assert {"scenes 2, in 2 rooms", sizes, "objects 5 of 3 classes", "Book 2"} <= set(lines)


def test_folder_without_objects_has_no_median(tmp_path: Path) -> None:
    frame = mug_on_book()
    frame.instances[:], frame.meta["objects"] = 0, []
    summary = gather(write_shards(tmp_path, [frame])).summary()
    assert (summary["frames"], summary["objects"], summary["median_object_area"]) == (1, 0, None)


def test_sample_that_cannot_be_counted_is_named(folder: Path) -> None:
    change_meta(folder / "toy-000000.tar", "0001", objects=[{"class": "Mug"}])
    with pytest.raises(SaomError, match=r"toy-000000\.tar: sample 0001 has a json that cannot be counted"):
        gather(folder)


def test_plots_are_written_as_pictures(folder: Path, tmp_path: Path) -> None:
    assert main(["dataset", "info", str(folder), "--plots", str(tmp_path / "new" / "plots")]) == 0
    paths = sorted((tmp_path / "new" / "plots").iterdir())
    assert [path.name for path in paths] == ["object_areas.png", "objects_per_class.png", "objects_per_frame.png"]
    assert all(np.ptp(cv2.imread(str(path))) > 100 for path in paths)


def test_plots_into_a_file_are_refused(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "plots").write_text("")
    assert main(["dataset", "info", str(folder), "--plots", str(tmp_path / "plots")]) == 2
    assert "cannot write charts to" in capsys.readouterr().err


def bar_pixels(image: np.ndarray) -> np.ndarray:
    return (image == (31, 119, 180)).all(axis=2)


def test_bars_are_as_long_as_their_values() -> None:
    rows = bar_pixels(rows_chart("t", ["a", "b"], [100, 25])).sum(axis=1)
    longest, shortest = rows[rows > 0].max(), rows[rows > 0].min()
    assert shortest / longest == pytest.approx(0.25, abs=0.01)


def test_columns_are_as_high_as_their_values() -> None:
    columns = bar_pixels(columns_chart("t", "x", ["0", "1", "2", "3"], [40, 0, 10])).sum(axis=0)
    assert columns[columns > 0].min() / columns.max() == pytest.approx(0.25, abs=0.02)
    third = len(columns) // 3
    assert columns[third + 60 : 2 * third - 20].sum() == 0


def test_sheet_is_drawn_beside_the_shards(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["dataset", "sheet", str(folder)]) == 0
    assert capsys.readouterr().out.strip() == str(folder / "sheet.png")
    assert cv2.imread(str(folder / "sheet.png")).shape == (480, 3 * 320, 3)


def test_sheet_shows_only_samples_whose_json_is_as_asked(folder: Path, tmp_path: Path) -> None:
    change_meta(folder / "toy-000000.tar", "0001", room="kitchen")
    target = tmp_path / "kitchen.jpg"
    asked = ["--where", "room=kitchen", "simulator=toy", "--out", str(target)]
    assert main(["dataset", "sheet", str(folder), *asked]) == 0
    assert cv2.imread(str(target)).shape == (480, 320, 3)


@pytest.mark.parametrize(
    ("options", "mistake"),
    [
        (["--where", "room=attic"], "hold no frames with room=attic"),
        (["--tiles", "0"], "--tiles 0 is too small"),
        (["--columns", "-1"], "--columns -1 is too small"),
        (["--out", "sheet.txt"], "cannot write sheet.txt"),
    ],
)
def test_sheet_that_cannot_be_drawn_is_refused(
    folder: Path, capsys: pytest.CaptureFixture[str], options: list[str], mistake: str
) -> None:
    assert main(["dataset", "sheet", str(folder), *options]) == 2
    assert mistake in capsys.readouterr().err


def test_sheet_passes_over_empty_shards(folder: Path, tmp_path: Path) -> None:
    write_members(folder / "toy-000005.tar", [])
    assert write_sheet(folder).exists()
    (tmp_path / "empty").mkdir()
    write_members(tmp_path / "empty" / "toy-000000.tar", [])
    with pytest.raises(SaomError, match="hold no frames"):
        write_sheet(tmp_path / "empty")
