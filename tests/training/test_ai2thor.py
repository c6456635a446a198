"""Collecting with the real client library of AI2-THOR, whose executable is a protocol double (`ai2thor_double.py`)."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import ai2thor_double
import numpy as np
import pytest

from saom_ros.errors import SaomError
from training.__main__ import main
from training.data.shards import read_shards
from training.simulators.ai2thor.places import place_of_scene, rooms
from training.simulators.ai2thor.process import ControllerLostError, ControllerOptions, ControllerProcess, Patience
from training.simulators.ai2thor.simulator import Ai2ThorSimulator
from training.simulators.ai2thor.views import is_worth_learning
from training.simulators.ai2thor.whole_objects import class_table
from training.simulators.base import Frame
from training.simulators.rooms import simulator as rooms_simulator
from training.simulators.rooms.camera import ViewSampler, look_at
from training.simulators.rooms.sensor import develop, sample_sensor
from training.simulators.rooms.simulator import RoomSimulator
from training.simulators.rooms.textures import PATTERNS, texture_bank

pytest.importorskip("ai2thor", reason="the client library of AI2-THOR is an optional extra")

ROOT = Path(__file__).parents[2]
WIDTH, HEIGHT = 64, 48
STRUCK = 3
"""The teleport of a scene at which faults strike."""


def write_double(folder: Path) -> str:
    """A program that starts the double; its path has a space, which the library would split at."""
    program = folder / "a build" / "thor"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{ai2thor_double.__file__}" "$@"\n')
    program.chmod(0o755)
    return str(program)


@pytest.fixture
def double(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("HOME", str(tmp_path))  # the library keeps builds and logs there
    monkeypatch.setenv("DISPLAY", ":9")
    return write_double(tmp_path)


def strike(monkeypatch: pytest.MonkeyPatch, journal: Path, kind: str, launches: int = 1) -> None:
    fault = {"kind": kind, "teleport": STRUCK, "launches": launches, "journal": str(journal)}
    monkeypatch.setenv("AI2THOR_DOUBLE_FAULT", json.dumps(fault))


def options(executable: str | None) -> ControllerOptions:
    return ControllerOptions(WIDTH, HEIGHT, executable)


def scene_of_even_room(split: str) -> int:
    """Even rooms of the double hold a watering can."""
    places = rooms(split)
    return next(scene for scene in range(20) if int(place_of_scene(places, split, 0, scene).name[-1]) % 2 == 0)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Frame]]:
    """Frames of scenes 0 and 1 of train, of a room with a held-out class in train, and of one in test."""
    folder = tmp_path_factory.mktemp("undisturbed")
    frames = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOME", str(folder))
        patch.setenv("DISPLAY", ":9")
        executable = write_double(folder)
        for split, scenes in {
            "train": [0, 1, scene_of_even_room("train")],
            "test": [scene_of_even_room("test")],
        }.items():
            simulator = Ai2ThorSimulator(split, 0, options(executable))
            for scene in scenes:
                frames[f"{split} {scene}"] = list(simulator.frames(scene))
            simulator.close()
    return frames


@pytest.fixture(scope="session")
def room_pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Level pictures of one of our own rooms, rendered once, with ids and types as AI2-THOR would give them."""
    thor_type = {ours: theirs for theirs, ours in class_table().items()}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            rooms_simulator, "texture_bank", lambda seed: texture_bank(seed, patterns=len(PATTERNS), labels=16)
        )
        simulator = RoomSimulator("train", 0, 4 * WIDTH, 4 * HEIGHT)
    room, _, rng = simulator._enter(0)
    sampler, taken = ViewSampler(room, rng), []
    for _ in range(200):
        view = sampler.sample()
        if view is None or len(taken) == 3:
            break
        level = look_at(view.eye, view.eye + view.rotation[:, 2])
        view = replace(view, rotation=level, vertical_fov=np.pi / 2)
        truth = simulator._renderer.ground_truth(view)
        if is_worth_learning(truth.instances, truth.depth):
            rgb = develop(simulator._renderer.color(view), sample_sensor(rng), rng)
            taken.append((rgb, truth.instances, truth.depth, view.pose()))
    simulator.close()
    names = [
        f"{thor_type.get(item.category, item.category)}|{item.position[0]:+.2f}|{item.position[2]:+.2f}|{number:+d}"
        for number, item in enumerate(room.objects, 1)
    ]
    low, high = map(np.array, zip(*(item.bounds() for item in room.objects), strict=True))
    images = {
        key: np.stack(values)
        for key, values in zip(("rgb", "instances", "depth", "pose"), zip(*taken, strict=True), strict=True)
    }
    path = tmp_path_factory.mktemp("pictures") / "room.npz"
    np.savez(path, name=np.array(names), low=low, high=high, **images)
    return path


def assert_same(found: list[Frame], expected: list[Frame]) -> None:
    assert len(found) == len(expected)
    for one, other in zip(found, expected, strict=True):
        assert one.meta == other.meta
        for name in ("rgb", "instances", "parts", "depth"):
            np.testing.assert_array_equal(getattr(one, name), getattr(other, name))


def test_scenes_give_several_different_frames(undisturbed: dict[str, list[Frame]]) -> None:
    frames = undisturbed["train 0"] + undisturbed["train 1"]
    assert len(frames) >= 6
    assert len({frame.rgb.tobytes() for frame in frames}) == len(frames)
    assert all(frame.rgb.shape == (HEIGHT, WIDTH, 3) for frame in frames)
    assert all(frame.meta["simulator"] == "ai2thor" and frame.meta["split"] == "train" for frame in frames)
    assert all(frame.meta["simulator_version"] == version("ai2thor") for frame in frames)


def test_places_are_changed_by_seed_with_materials_of_the_split(undisturbed: dict[str, list[Frame]]) -> None:
    changes = [set(frame.meta["changes"]) for frames in undisturbed.values() for frame in frames]
    assert all({"SetRandomSeed", "RandomizeLighting"} <= made for made in changes)
    assert any("InitialRandomSpawn" in made for made in changes)
    assert any("RandomizeMaterials" in made for made in changes)  # the double refuses those of another split


def test_drawers_basins_and_burners_are_parts_of_whole_objects(undisturbed: dict[str, list[Frame]]) -> None:
    frames = [frame for frames in undisturbed.values() for frame in frames]
    classes = [entry["class"] for frame in frames for entry in frame.meta["objects"]]
    assert {"Dresser", "Sink", "Stove", "Cabinet", "Mug", "Cloth"} <= set(classes)
    assert not {"Drawer", "SinkBasin", "StoveBurner"} & set(classes)
    for frame in frames:
        owners = {int(part): whole for part, whole in frame.meta["part_to_object"].items()}
        assert frame.parts is not None
        assert {p: o for p, o in set(zip(frame.parts.flat, frame.instances.flat, strict=True)) if p} == owners
        assert {entry["id"] for entry in frame.meta["objects"]} == set(np.unique(frame.instances)) - {0}
    dressers = [f for f in frames for e in f.meta["objects"] if e["class"] == "Dresser"]
    assert any(list(frame.meta["part_to_object"].values()).count(1) >= 2 for frame in dressers)


def test_walls_floor_and_scenery_are_background(undisturbed: dict[str, list[Frame]]) -> None:
    frames = [frame for frames in undisturbed.values() for frame in frames]
    assert all((frame.instances == 0).any() for frame in frames)
    assert any("Clutter" in frame.meta["scenery"] for frame in frames)
    assert not any(entry["name"].startswith(("Clutter", "Floor")) for f in frames for entry in f.meta["objects"])


def test_depth_intrinsics_and_pose_put_pixels_where_the_object_is(undisturbed: dict[str, list[Frame]]) -> None:
    centre, size = (np.array(ai2thor_double.FURNITURE["CounterTop|1"])[:, [0, 2, 1]]).tolist()  # Unity's y is our z
    seen = 0
    for frame in [frame for frames in undisturbed.values() for frame in frames]:
        number = next((e["id"] for e in frame.meta["objects"] if e["class"] == "CounterTop"), None)
        if number is None:
            continue
        rows, columns = np.nonzero(frame.instances == number)
        assert frame.depth is not None
        z = frame.depth[rows, columns] / 1000
        camera = frame.meta["intrinsics"]
        rays = [(columns - camera["cx"]) / camera["fx"], (rows - camera["cy"]) / camera["fy"], np.ones(len(z))]
        pose = np.array(frame.meta["pose"])
        points = (np.stack(rays, axis=1) * z[:, None]) @ pose[:3, :3].T + pose[:3, 3]
        assert (np.abs(points - centre) <= np.array(size) / 2 + 0.003).all()
        assert np.linalg.det(pose[:3, :3]) == pytest.approx(1, abs=1e-4)
        seen += len(z)
    assert seen > 500


def test_held_out_classes_show_in_test_only(undisturbed: dict[str, list[Frame]]) -> None:
    classes = {
        split: {
            e["class"] for key, frames in undisturbed.items() if split in key for f in frames for e in f.meta["objects"]
        }
        for split in ("train", "test")
    }
    assert "WateringCan" not in classes["train"]
    assert "WateringCan" in classes["test"]


FAULTS = [
    "exits at start",
    "dies between steps",
    "dies in a step",
    "wrong sequence number",
    "truncated image",
    "missing image",
]


@pytest.mark.parametrize("kind", FAULTS)
def test_after_a_fault_every_frame_is_there_once(
    kind: str, double: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, undisturbed: dict[str, list[Frame]]
) -> None:
    strike(monkeypatch, tmp_path / "launches", kind)
    simulator = Ai2ThorSimulator("train", 0, options(double))
    frames = list(simulator.frames(0))
    simulator.close()
    assert_same(frames, undisturbed["train 0"])
    assert len((tmp_path / "launches").read_text().split()) == 2


def test_failing_again_and_again_ends_in_an_error_that_says_why(
    double: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    strike(monkeypatch, tmp_path / "launches", "exits at start", launches=99)
    with pytest.raises(SaomError, match=r"failed 3 times in a row in FloorPlan.*exited with status 3"):
        next(Ai2ThorSimulator("train", 0, options(double)).frames(0))
    assert len((tmp_path / "launches").read_text().split()) == 3


def test_hanging_at_start_ends_in_an_error(double: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    strike(monkeypatch, tmp_path / "launches", "hangs at start", launches=99)
    patience = Patience(start=0.7)
    with pytest.raises(SaomError, match=r"failed 3 times in a row.*no answer to start.* within 0\.7 s"):
        next(Ai2ThorSimulator("train", 0, options(double), patience=patience).frames(0))


def test_hanging_in_a_step_is_noticed_and_nothing_is_left_running(
    double: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    strike(monkeypatch, tmp_path / "launches", "hangs in a step")
    controller = ControllerProcess(options(double), Patience(step=0.5))
    with pytest.raises(ControllerLostError, match=r"no answer to step TeleportFull within 0\.5 s"):
        teleport(controller, STRUCK)
    controller.close()
    assert wait_for_end(int((tmp_path / "launches").read_text()))


def test_executable_ends_with_a_killed_collector(double: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    strike(monkeypatch, tmp_path / "launches", "none")
    program = (
        "import os, signal, sys; from training.simulators.ai2thor.process import *\n"
        f"held = ControllerProcess(ControllerOptions(64, 48, {double!r}), Patience())\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=False, env={**os.environ, "TMPDIR": str(tmp_path)})
    assert wait_for_end(int((tmp_path / "launches").read_text()))
    assert not list(tmp_path.glob("ai2thor-*"))  # where the pipes were


def teleport(controller: ControllerProcess, times: int) -> None:
    for _ in range(times):
        position, rotation = {"x": 2.0, "y": 0.9, "z": 2.0}, {"y": 0.0}
        controller.step("TeleportFull", position=position, rotation=rotation, horizon=0.0, standing=True)


def wait_for_end(process: int) -> bool:
    """Whether a process is gone within half a minute."""
    for _ in range(300):
        state = Path(f"/proc/{process}/stat")
        if not state.exists() or state.read_text().rpartition(")")[2].split()[0] == "Z":
            return True
        time.sleep(0.1)
    return False


def test_refused_action_is_no_failure(double: str) -> None:
    controller = ControllerProcess(options(double), Patience())
    refused = controller.step("Fly")
    assert not refused.success
    assert "Fly is not a valid action" in refused.error
    assert controller.step("GetReachablePositions").success
    with pytest.raises(SaomError, match="this build of AI2-THOR has no room FloorPlan99"):
        controller.reset("FloorPlan99")
    controller.close()


def test_collect_command_writes_shards_through_a_fault(
    double: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    strike(monkeypatch, tmp_path / "launches", "dies in a step")
    out = tmp_path / "out"
    command = ["collect", "--simulator", "ai2thor", "--split", "val", "--frames", "10", "--frames-per-shard", "5"]
    sizes = ["--width", str(WIDTH), "--height", str(HEIGHT), "--workers", "2"]
    assert main([*command, *sizes, "--out", str(out), "--executable", double]) == 0
    samples = list(read_shards(out))
    assert sorted(sample.key for sample in samples) == [
        f"ai2thor-val-0-{s:06d}-{k:04d}" for s in (0, 1) for k in range(5)
    ]
    assert all(21 <= int(sample.meta["place"].removeprefix("FloorPlan")) % 100 <= 25 for sample in samples)
    assert all(sample.depth is not None and sample.depth.max() < 6000 for sample in samples)


def test_collect_command_writes_rendered_rooms_as_they_were_served(
    double: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, room_pictures: Path
) -> None:
    monkeypatch.setenv("AI2THOR_DOUBLE_PICTURES", str(room_pictures))
    out = tmp_path / "out"
    command = ["collect", "--simulator", "ai2thor", "--split", "train", "--frames", "6", "--frames-per-shard", "6"]
    sizes = ["--width", str(WIDTH), "--height", str(HEIGHT), "--workers", "1"]
    assert main([*command, *sizes, "--out", str(out), "--executable", double]) == 0
    served = ai2thor_double.Pictures(str(room_pictures))
    low, size = served.boxes[0] - served.boxes[1] / 2, served.boxes[1]
    classes = set()
    samples = list(read_shards(out))
    assert len(samples) == 6
    for sample in samples:
        assert sample.depth is not None
        camera, pose = sample.meta["intrinsics"], np.array(sample.meta["pose"])
        fov = np.rad2deg(2 * np.arctan(HEIGHT / 2 / camera["fy"]))
        number = int(np.abs(served.pose - pose).max(axis=(1, 2)).argmin())
        np.testing.assert_allclose(pose, served.pose[number], atol=1e-4)
        pixels = (number, *served.pixels(fov, WIDTH, HEIGHT))
        assert np.abs(sample.rgb.astype(int) - served.rgb[pixels]).mean() < 8  # JPEG
        np.testing.assert_allclose(sample.depth / 1000, served.depth[pixels], atol=0.001)
        truth = served.instances[pixels]
        np.testing.assert_array_equal(sample.instances > 0, truth > 0)
        for entry in sample.meta["objects"]:
            classes.add(entry["class"])
            shown = sample.instances == entry["id"]
            if entry["class"] not in ("Cabinet", "Stove"):  # neighbours of these are joined
                assert np.unique(truth[shown]).tolist() == [served.name.index(entry["name"]) + 1]
            rows, columns = np.nonzero(shown)
            z = sample.depth[shown] / 1000
            rays = [(columns - camera["cx"]) / camera["fx"], (rows - camera["cy"]) / camera["fy"], np.ones(len(z))]
            points = (np.stack(rays, axis=1) * z[:, None]) @ pose[:3, :3].T + pose[:3, 3]
            whole = np.isin(np.arange(1, len(size) + 1), truth[shown])
            lowest, highest = low[whole].min(axis=0), (low + size)[whole].max(axis=0)
            # A pixel here shows the nearest one of the larger picture, half of whose width may be 15 mm off at 3 m.
            slack = 0.01 + z[:, None] / HEIGHT / 4
            assert ((points >= lowest - slack) & (points <= highest + slack)).all(), entry
    assert len(classes) >= 5


def test_houses_of_a_file_are_visited(double: str, tmp_path: Path) -> None:
    agent = {"position": {"x": 2.0, "y": 0.9, "z": 2.0}, "rotation": {"y": 0.0}, "horizon": 30, "standing": True}
    boxes = {**ai2thor_double.FURNITURE, **ai2thor_double.SMALL}
    house: dict[str, Any] = {"metadata": {"agent": agent}, "rooms": [], "boxes": boxes}
    (tmp_path / "train.jsonl").write_text(json.dumps(house) + "\n")
    simulator = Ai2ThorSimulator("train", 0, options(double), house_file=tmp_path / "train.jsonl")
    frame = next(simulator.frames(0))
    simulator.close()
    assert (frame.meta["room"], frame.meta["place"]) == ("house", "train-0")
    assert "RandomizeMaterials" not in frame.meta["changes"]


def test_missing_library_is_told_with_the_mend(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(SaomError, match=r"install it with `pip install -e '\.\[ai2thor\]' && pip install --no-deps"):
        ControllerProcess(options(None), Patience())


def test_executable_that_cannot_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SaomError, match="nothing-here is no program that may be run"):
        ControllerProcess(options(str(tmp_path / "nothing-here")), Patience())


def test_missing_display_is_told_with_the_mend(double: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DISPLAY")
    with pytest.raises(SaomError, match=r"needs an X display and DISPLAY is not set.*CloudRendering"):
        ControllerProcess(options(double), Patience())


def test_build_that_cannot_be_downloaded_is_told_with_the_mend(double: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")  # nobody listens there
    with pytest.raises(SaomError, match=r"cannot be had.* would lie in ~/\.ai2thor/releases/thor-.*--executable PATH"):
        ControllerProcess(options(None), Patience())


def test_options_of_ai2thor_are_refused_for_rooms(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = [
        "collect",
        "--split",
        "train",
        "--frames",
        "1",
        "--out",
        str(tmp_path / "out"),
        "--houses",
        "houses.json",
    ]
    assert main(command) == 2
    assert "options of --simulator ai2thor, not of rooms" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
