"""`dataset to-coco`: pycocotools reads it and gives every mask back exactly."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from pycocotools.coco import COCO
from shard_files import members, mug_on_book, write_members, write_shards

from training.__main__ import main
from training.classes import class_names
from training.data.shards import read_shards


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    frames = [mug_on_book(0), mug_on_book(1), mug_on_book(2, 40, 30)]
    frames[1].meta["objects"][0] = {"id": 3, "class": "Unknown", "source_class": "obj_000003"}
    return write_shards(tmp_path / "data", frames)


def export(folder: Path, out: Path) -> int:
    return main(["dataset", "to-coco", str(folder), str(out)])


def test_masks_and_classes_come_back_exactly(folder: Path, tmp_path: Path) -> None:
    assert export(folder, tmp_path / "coco") == 0
    coco = COCO(str(tmp_path / "coco" / "annotations.json"))
    samples = list(read_shards(folder))
    assert len(coco.imgs) == len(samples)
    names = {category["id"]: category["name"] for category in coco.cats.values()}
    for image, sample in zip(coco.imgs.values(), samples, strict=True):
        expected = {
            entry.get("source_class", entry["class"]): sample.instances == entry["id"]
            for entry in sample.meta["objects"]
        }
        found = coco.loadAnns(coco.getAnnIds(image["id"]))
        assert {names[annotation["category_id"]] for annotation in found} == set(expected)
        for annotation in found:
            mask = expected[names[annotation["category_id"]]]
            np.testing.assert_array_equal(coco.annToMask(annotation), mask)
            assert annotation["area"] == mask.sum()
            x, y, w, h = (int(value) for value in annotation["bbox"])
            assert mask[y : y + h, x : x + w].sum() == mask.sum()
            assert mask[y, x : x + w].any()
            assert mask[y : y + h, x].any()


def test_pictures_are_the_same_bytes(folder: Path, tmp_path: Path) -> None:
    export(folder, tmp_path / "coco")
    content = json.loads((tmp_path / "coco" / "annotations.json").read_text())
    stored = {name: data for path in sorted(folder.glob("*.tar")) for name, data in members(path)}
    assert [image["file_name"] for image in content["images"]] == ["0000.jpg", "0001.jpg", "0002.jpg"]
    for image in content["images"]:
        key = image["file_name"].removesuffix(".jpg")
        assert (tmp_path / "coco" / "images" / image["file_name"]).read_bytes() == stored[f"{key}.rgb.jpg"]


def test_category_ids_follow_the_class_list(folder: Path, tmp_path: Path) -> None:
    export(folder, tmp_path / "coco")
    content = json.loads((tmp_path / "coco" / "annotations.json").read_text())
    categories = {category["name"]: category["id"] for category in content["categories"]}
    assert categories["AlarmClock"] == 1
    assert categories["Mug"] == class_names().index("Mug") + 1
    assert categories["obj_000003"] == 10_001


@pytest.mark.parametrize("existing", ["file", "folder with something in it"])
def test_output_that_exists_is_refused(
    folder: Path, tmp_path: Path, existing: str, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "coco"
    if existing == "file":
        out.write_text("mine")
    else:
        out.mkdir()
        (out / "mine").write_text("mine")
    assert export(folder, out) == 2
    assert f"output {out} exists already; remove it or choose another" in capsys.readouterr().err
    assert (out if existing == "file" else out / "mine").read_text() == "mine"


def test_empty_folder_is_taken_as_output(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "coco").mkdir()
    assert export(folder, tmp_path / "coco") == 0
    assert (tmp_path / "coco" / "annotations.json").exists()


def test_output_below_a_file_is_refused(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("")
    assert export(folder, tmp_path / "file" / "coco") == 2
    assert "cannot write output" in capsys.readouterr().err


def test_failed_export_leaves_nothing(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shard = folder / "toy-000001.tar"
    shard.write_bytes(shard.read_bytes()[:1000])
    assert export(folder, tmp_path / "coco") == 2
    assert "toy-000001.tar is broken" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["data"]


def test_repeated_key_is_refused(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "toy-000009.tar").write_bytes((folder / "toy-000000.tar").read_bytes())
    assert export(folder, tmp_path / "coco") == 2
    assert "sample 0000 has the key of an earlier one" in capsys.readouterr().err


def test_key_with_a_path_is_refused(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shard = folder / "toy-000000.tar"
    write_members(shard, [(f"up/{name}", content) for name, content in members(shard)])
    assert export(folder, tmp_path / "coco") == 2
    assert "has a key that is no plain name" in capsys.readouterr().err
