"""`dataset check`: whole folders pass; each kind of damage is named with its shard and sample, and exits 1."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import striped_simulator
from shard_files import change_meta, members, mug_on_book, replace_member, write_members, write_shards

from training.__main__ import main
from training.collecting.job import Job
from training.collecting.verb import collect
from training.data.check import FolderCheck

JOB = Job("stripes", "train", 0, 32, 32, 4)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_shards(tmp_path / "data", [mug_on_book(scene) for scene in range(4)])


@pytest.fixture
def collected(tmp_path: Path) -> Path:
    collect(JOB, 10, 1, tmp_path, striped_simulator.make)
    (tmp_path / "collect.json").write_text(json.dumps(asdict(JOB)))
    return tmp_path


def problems(folder: Path) -> list[str]:
    return [problem for problem in FolderCheck(folder).problems() if problem is not None]


def png(image: np.ndarray) -> bytes:
    return cv2.imencode(".png", image)[1].tobytes()


def test_whole_folder_passes(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["dataset", "check", str(folder)]) == 0
    assert "4 frames in 2 shards, nothing broken" in capsys.readouterr().out


def test_collected_folder_agrees_with_its_record(collected: Path) -> None:
    assert problems(collected) == []


def test_record_of_a_version_that_knew_fewer_settings_is_read(collected: Path) -> None:
    record = {name: value for name, value in asdict(JOB).items() if name not in ("houses", "rules")}
    (collected / "collect.json").write_text(json.dumps(record))
    assert problems(collected) == []


def test_problems_are_listed_and_the_exit_status_is_one(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    change_meta(folder / "toy-000001.tar", "0003", schema=9)
    assert main(["dataset", "check", str(folder)]) == 1
    output = capsys.readouterr().out
    assert "toy-000001.tar: sample 0003 has schema 9 in its json; this version reads 1" in output
    assert "4 frames in 2 shards, 1 problems in toy-000001.tar" in output


@pytest.mark.parametrize("cut", [0, 100, 3000])
def test_other_shards_are_checked_after_a_cut_one(folder: Path, cut: int) -> None:
    first, second = folder / "toy-000000.tar", folder / "toy-000001.tar"
    first.write_bytes(first.read_bytes()[:cut])
    change_meta(second, "0002", schema=9)
    found = problems(folder)
    assert len(found) == 2
    assert found[0].startswith(f"{first}: is broken")
    assert "toy-000001.tar: sample 0002 has schema 9" in found[1]


def test_shard_that_is_no_tar_is_named(folder: Path) -> None:
    (folder / "toy-000000.tar").write_bytes(b"no tar at all" * 999)
    (problem,) = problems(folder)
    assert "toy-000000.tar: is broken" in problem


def test_every_damaged_sample_of_a_shard_is_named(folder: Path) -> None:
    shard = folder / "toy-000000.tar"
    replace_member(shard, "0000.instances.png", dict(members(shard))["0000.instances.png"][:-20])
    replace_member(shard, "0001.json", b"{")
    found = problems(folder)
    assert len(found) == 2
    assert "toy-000000.tar: sample 0000 has a truncated instances.png of " in found[0]
    assert "toy-000000.tar: sample 0001 has a damaged json" in found[1]


@pytest.mark.parametrize("name", ["rgb.jpg", "instances.png", "json"])
def test_missing_member_is_named(folder: Path, name: str) -> None:
    shard = folder / "toy-000000.tar"
    write_members(shard, [entry for entry in members(shard) if entry[0] != f"0001.{name}"])
    (problem,) = problems(folder)
    assert f"sample 0001 lacks {name}" in problem


@pytest.mark.parametrize("name", ["parts.png", "depth.png"])
def test_a_map_that_need_not_be_there_is_missed_where_it_was_written(folder: Path, name: str) -> None:
    shard = folder / "toy-000000.tar"
    write_members(shard, [entry for entry in members(shard) if entry[0] != f"0001.{name}"])
    (problem,) = problems(folder)
    assert f"sample 0001 lacks {name}, which it was written with" in problem


@pytest.mark.parametrize("name", ["instances", "parts", "depth"])
def test_map_of_another_size_is_named(folder: Path, name: str) -> None:
    change_meta(folder / "toy-000000.tar", "0001", crc32={})  # as others write
    replace_member(folder / "toy-000000.tar", f"0001.{name}.png", png(np.zeros((5, 7), np.uint16)))
    (problem,) = problems(folder)
    assert f"sample 0001 has {name} of uint16 (5, 7); expected uint16 (24, 32)" in problem


def test_bytes_changed_inside_a_map_are_noticed(folder: Path) -> None:
    shard = folder / "toy-000000.tar"
    content = bytearray(dict(members(shard))["0000.depth.png"])
    content[len(content) // 2] ^= 0xFF
    replace_member(shard, "0000.depth.png", bytes(content))
    (problem,) = problems(folder)
    assert "sample 0000 has a damaged depth" in problem


def test_bytes_changed_inside_a_picture_are_noticed(folder: Path) -> None:
    """A JPEG decodes all the same, to something else."""
    shard = folder / "toy-000000.tar"
    content = bytearray(dict(members(shard))["0000.rgb.jpg"])
    content[-len(content) // 4] ^= 0x15
    assert cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR) is not None
    replace_member(shard, "0000.rgb.jpg", bytes(content))
    (problem,) = problems(folder)
    assert "sample 0000 has a damaged rgb.jpg" in problem


@pytest.mark.parametrize(
    ("objects", "problem"),
    [
        ([{"id": 3, "class": "Book"}], "shows object 7 that its json does not list"),
        (
            [{"id": k, "class": "Mug"} for k in (3, 7, 8, 9)],
            "lists objects 8, 9 in its json that its instance map does",
        ),
        ([{"id": k, "class": "Mug"} for k in (3, 7, 7)], "lists object 7 2 times"),
        ([{"id": 3, "class": "Blook"}, {"id": 7, "class": "Mug"}], "has object 3 of class 'Blook', which classes.yaml"),
        (None, "has no list of objects"),
        ([{"class": "Mug"}], "has no list of objects"),
    ],
)
def test_objects_that_do_not_fit_are_named(folder: Path, objects: object, problem: str) -> None:
    change_meta(folder / "toy-000001.tar", "0002", objects=objects)
    (found,) = problems(folder)
    assert f"toy-000001.tar: sample 0002 {problem}" in found


@pytest.mark.parametrize("table", [{"1": 7, "2": 3, "5": 3}, {"1": 7, "5": 3}, None, {"1": 7, "two": 7, "5": 3}])
def test_parts_of_another_object_are_named(folder: Path, table: object) -> None:
    change_meta(folder / "toy-000000.tar", "0000", part_to_object=table)
    (problem,) = problems(folder)
    assert "sample 0000 has part" in problem


def test_intrinsics_of_another_image_size_are_named(folder: Path) -> None:
    change_meta(folder / "toy-000000.tar", "0000", intrinsics={"width": 640, "height": 480})
    (problem,) = problems(folder)
    assert "sample 0000 has intrinsics for 640x480 px, but is 32x24 px" in problem


def test_key_of_an_earlier_shard_is_named(folder: Path) -> None:
    (folder / "toy-000002.tar").write_bytes((folder / "toy-000000.tar").read_bytes())
    found = problems(folder)
    assert len(found) == 2
    assert "toy-000002.tar: sample 0000 has a key that toy-000000.tar uses already" in found[0]


def test_name_that_a_shard_holds_twice_is_named(folder: Path) -> None:
    shard = folder / "toy-000000.tar"
    entries = members(shard)
    write_members(shard, [entries[0], *entries])
    (problem,) = problems(folder)
    assert f"toy-000000.tar: holds {entries[0][0]} twice" in problem


def test_unknown_member_is_named(folder: Path) -> None:
    shard = folder / "toy-000000.tar"
    write_members(shard, [*members(shard), ("0001.normals.png", png(np.zeros((24, 32), np.uint16)))])
    (problem,) = problems(folder)
    assert "sample 0001 has a member normals.png that no reader knows" in problem


def test_empty_shard_is_named(folder: Path) -> None:
    write_shards(folder / "more", [mug_on_book()])
    write_members(folder / "toy-000009.tar", [])
    (problem,) = problems(folder)
    assert "toy-000009.tar: holds no sample" in problem


def test_missing_shard_of_a_collection_is_named(collected: Path) -> None:
    (collected / "stripes-000001.tar").unlink()
    found = problems(collected)
    assert any("collect.json: expects stripes-000001.tar, which is missing" in problem for problem in found)


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"width": 64}, "sample stripes-train-0-000000-0000 is 32x32 px, but collect.json says 64x32"),
        ({"seed": 1}, "should have the key stripes-train-1-000000-0000"),
        ({"frames_per_shard": 5}, "collect.json: expects 5 frames in stripes-000000.tar, which holds 4"),
        ({"simulator": "rooms"}, "collect.json: does not account for stripes-000000.tar"),
    ],
)
def test_record_of_another_collection_is_noticed(collected: Path, change: dict[str, object], problem: str) -> None:
    (collected / "collect.json").write_text(json.dumps(asdict(replace(JOB, **change))))  # type: ignore[arg-type]
    assert any(problem in found for found in problems(collected)), problems(collected)


@pytest.mark.parametrize(("record", "problem"), [("{", "is damaged"), ("[]", "is damaged"), ("{}", "is damaged")])
def test_damaged_record_is_named(collected: Path, record: str, problem: str) -> None:
    (collected / "collect.json").write_text(record)
    (found,) = problems(collected)
    assert f"collect.json: {problem}" in found


def test_folder_without_shards_is_a_mistake_of_the_user(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["dataset", "check", str(tmp_path)]) == 2
    assert "holds no *.tar shard" in capsys.readouterr().err
