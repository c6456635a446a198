"""Frames of procedural rooms, end to end but small: consistent maps, complete metadata, same seed same bytes."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

from training.__main__ import main
from training.data.shards import encode_frame, read_shards
from training.simulators.base import Frame
from training.simulators.rooms import simulator as simulator_module
from training.simulators.rooms.simulator import RoomSimulator
from training.simulators.rooms.textures import PATTERNS

WIDTH, HEIGHT = 128, 96


@pytest.fixture(scope="module", autouse=True)
def small_bank() -> Iterator[None]:
    """The whole bank takes five seconds of painting; a room needs one layer of each kind only."""
    with pytest.MonkeyPatch.context() as patch:
        whole = simulator_module.texture_bank
        patch.setattr(simulator_module, "texture_bank", lambda seed: whole(seed, patterns=len(PATTERNS), labels=16))
        yield


@pytest.fixture(scope="module")
def frames() -> list[Frame]:
    simulator = RoomSimulator("train", 0, WIDTH, HEIGHT, views=3)
    made = [frame for scene in range(2) for frame in simulator.frames(scene)]
    simulator.close()
    return made


def test_scene_gives_several_frames(frames: list[Frame]) -> None:
    assert 4 <= len(frames) <= 6


def test_listed_objects_are_those_in_the_instance_map(frames: list[Frame]) -> None:
    for frame in frames:
        listed = [entry["id"] for entry in frame.meta["objects"]]
        assert listed == [int(k) for k in np.unique(frame.instances) if k]
        assert all(entry["class"] for entry in frame.meta["objects"])


def test_part_map_refines_instance_map(frames: list[Frame]) -> None:
    for frame in frames:
        owners = np.zeros(65536, np.uint16)
        for part, owner in frame.meta["part_to_object"].items():
            owners[int(part)] = owner
        np.testing.assert_array_equal(owners[frame.parts], frame.instances)


def test_objects_show_several_parts(frames: list[Frame]) -> None:
    parts = sum(len(frame.meta["part_to_object"]) for frame in frames)
    assert parts > 2 * sum(len(frame.meta["objects"]) for frame in frames)


def test_every_pixel_has_depth_inside_the_room(frames: list[Frame]) -> None:
    for frame in frames:
        assert frame.depth is not None
        assert (frame.depth > 0).mean() > 0.95
        assert frame.depth.max() < 12_000


def test_pictures_are_exposed_and_not_flat(frames: list[Frame]) -> None:
    for frame in frames:
        assert 15 < frame.rgb.mean() < 240
        assert frame.rgb.std() > 10


def test_meta_says_where_the_frame_comes_from(frames: list[Frame]) -> None:
    meta = frames[0].meta
    assert (meta["schema"], meta["simulator"], meta["split"], meta["seed"], meta["scene"]) == (
        1,
        "rooms",
        "train",
        0,
        0,
    )
    assert meta["intrinsics"]["width"] == WIDTH
    pose = np.array(meta["pose"])
    np.testing.assert_allclose(pose[:3, :3] @ pose[:3, :3].T, np.eye(3), atol=1e-4)


def test_same_seed_gives_the_same_bytes_and_splits_differ(frames: list[Frame]) -> None:
    def digest(split: str) -> str:
        simulator = RoomSimulator(split, 0, WIDTH, HEIGHT, views=3)
        files = [content for frame in simulator.frames(0) for content in encode_frame(frame).values()]
        simulator.close()
        return hashlib.sha256(b"".join(files)).hexdigest()

    first = [frame for frame in frames if frame.meta["scene"] == 0]
    expected = hashlib.sha256(b"".join(c for frame in first for c in encode_frame(frame).values())).hexdigest()
    assert digest("train") == expected
    assert digest("val") != expected


def test_collect_command_makes_shards_and_a_sheet(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = [
        "--split",
        "val",
        "--frames",
        "2",
        "--width",
        str(WIDTH),
        "--height",
        str(HEIGHT),
        "--out",
        str(tmp_path),
    ]
    assert main(["collect", "--simulator", "rooms", *arguments]) == 0
    assert len(list(read_shards(tmp_path))) == 2
    assert (tmp_path / "sheet.png").is_file()
    assert "2 frames in" in capsys.readouterr().out


def test_sequence_command_renders_numbered_pictures_of_one_room(tmp_path: Path) -> None:
    size = ["--width", str(WIDTH), "--height", str(HEIGHT)]
    arguments = ["--scene", "1", "--frames", "3", *size, "--out", str(tmp_path / "sequence")]
    assert main(["sequence", *arguments]) == 0
    paths = sorted((tmp_path / "sequence").iterdir())
    assert [path.name for path in paths] == ["000.jpg", "001.jpg", "002.jpg"]
    pictures = [cv2.imread(str(path)).astype(int) for path in paths]
    assert pictures[0].shape == (HEIGHT, WIDTH, 3)
    assert 0 < np.abs(pictures[0] - pictures[1]).mean() < 60
    assert main(["sequence", *arguments]) == 2, "a folder that holds pictures is not written into"
