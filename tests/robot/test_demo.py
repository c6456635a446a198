"""The demo as a newcomer runs it: real processes, real DDS, an honest exit status."""

import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

pytest.importorskip("rclpy", reason="rclpy is not installed: pip install 'saom_ros[ros]' or source a ROS 2")

from tiny_bundle import color_blocks, write_tiny_bundle

from saom_ros.nodes.demo import DemoError, Mask, Record, conclude, table

ROOT = Path(__file__).resolve().parents[2]


def run_demo(*arguments: object) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-m", "saom_ros.nodes.demo", *map(str, arguments)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
    )


@pytest.fixture(scope="module")
def bundle(tmp_path_factory) -> Path:
    return write_tiny_bundle(tmp_path_factory.mktemp("bundle"))


def write_images(folder: Path, images: list[np.ndarray]) -> Path:
    folder.mkdir()
    for index, rgb in enumerate(images):
        cv2.imwrite(str(folder / f"{index:03}.png"), cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR))
    return folder


def test_the_demo_prints_its_figures_and_writes_an_overlay(bundle, tmp_path):
    rgb, _ = color_blocks(240, 320)
    folder = write_images(tmp_path / "my images #1", [rgb, np.roll(rgb, 20, axis=1)])
    out = tmp_path / "out"

    done = run_demo("--input", folder, "--rate", 30, "--model", bundle, "--seconds", 2, "--out", out)

    assert done.returncode == 0, done.stdout + done.stderr
    figures = dict(line.strip().rsplit("  ", 1) for line in done.stdout.splitlines() if line.startswith("  "))
    figures = {name.strip(): value.strip() for name, value in figures.items()}
    assert 5 <= int(figures["segmented"]) <= int(figures["images sent"])
    assert int(figures["images sent"]) > 40
    assert float(figures["rate"].split()[0]) > 1.0
    assert figures["objects per image"] == "4.0"
    assert figures["latency p95"].endswith(" ms")
    assert f"Overlay: {out}/overlay.png" in done.stdout
    assert cv2.imread(str(out / "overlay.png")).shape == (240, 320, 3)


def test_masks_without_any_object_are_no_success(tmp_path, capsys):
    record = Record(sent={1, 2}, masks=[Mask(1, 0.1, 0.0, 0), Mask(2, 0.1, 0.1, 0)])
    record.add_overlay(1, np.zeros((4, 4, 3), np.uint8))
    with pytest.raises(DemoError, match="2 masks came, but the model found no object in any of them"):
        conclude(record, tmp_path)
    assert f"Overlay: {tmp_path}/overlay.png" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--input", "/nowhere"], "error: /nowhere: no such file or folder"),
        (["--seconds", "0"], "error: --seconds is 0; it must lie in 1..3600"),
        (["--rate", "nan"], "error: --rate is nan; it must lie in 0..1000 Hz"),
    ],
)
def test_a_wrong_argument_ends_the_demo_with_one_line(arguments, reason, tmp_path):
    done = run_demo(*arguments, "--out", tmp_path)
    assert done.returncode == 2
    assert done.stderr.startswith(reason)
    assert done.stderr.count("\n") == 1


def test_a_missing_model_ends_the_demo_with_the_nodes_reason(tmp_path):
    folder = write_images(tmp_path / "images", [color_blocks(120, 160)[0]])
    done = run_demo("--input", folder, "--model", tmp_path / "no_model", "--out", tmp_path / "out")
    assert done.returncode == 1
    assert f"cannot configure: {tmp_path}/no_model: no such model bundle" in done.stderr


def test_images_before_the_nodes_met_do_not_count_as_sent():
    record = Record(sent={1, 2, 3, 4}, masks=[Mask(3, 0.050, 10.0, 2), Mask(4, 0.060, 10.1, 4)])
    lines = table(record, {"received_frames": "2", "dropped_frames": "0"}).splitlines()
    assert [line.split("  ")[-1].strip() for line in lines] == ["2", "2", "2", "0", "55 ms", "60 ms", "10.0 Hz", "3.0"]


def test_the_overlay_with_the_most_objects_is_kept():
    record = Record(masks=[Mask(1, 0.1, 0.0, 1), Mask(2, 0.1, 0.1, 5), Mask(3, 0.1, 0.2, 3)])
    for stamp in (1, 2, 3):
        record.add_overlay(stamp, np.full((2, 2, 3), stamp, np.uint8))
    assert record.best_overlay.tolist() == np.full((2, 2, 3), 2).tolist()
