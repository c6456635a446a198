"""`python -m training benchmark`: areas, options and what becomes of one that fails. No time is asserted."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import pytest

from saom_ros.benchmark_rows import Row, write_rows
from saom_ros.errors import SaomError
from training.__main__ import main
from training.benchmarking import verb as benchmark


@pytest.fixture
def areas(monkeypatch):
    """Areas that measure nothing; the arguments that each was given."""
    asked = {}

    def stub(area):
        def rows(*given):
            asked[area] = given
            return [Row(area, "figure", 1.0, "ms")]

        return rows

    monkeypatch.setattr(benchmark, "_robot", stub(benchmark.ROBOT))
    monkeypatch.setattr(benchmark.benchmark_simulation, "rows", stub(benchmark.SIMULATION))
    monkeypatch.setattr(benchmark, "_throughput", stub(benchmark.TRAINING))
    monkeypatch.setattr(benchmark, "_automatic_masks", stub(benchmark.EVERYTHING))
    monkeypatch.setattr(benchmark, "_graphs", stub(benchmark.GRAPHS))
    return asked


def test_all_areas_go_into_one_file(areas, tmp_path, capsys):
    assert main(["benchmark", "--quick", "--json", str(tmp_path / "bench.json")]) == 0
    entries = json.loads((tmp_path / "bench.json").read_text())
    assert list(dict.fromkeys(entry["area"] for entry in entries)) == ["machine", *benchmark.AREAS]
    assert areas[benchmark.SIMULATION] == (True,)
    assert "| figure" in capsys.readouterr().out


def test_an_area_can_be_measured_alone(areas):
    assert main(["benchmark", "--area", "training"]) == 0
    assert list(areas) == ["training"]


def test_an_area_that_cannot_be_measured_leaves_the_others(areas, monkeypatch, tmp_path, capsys):
    def no_egl(quick):
        raise SaomError("no EGL here; install libegl1")

    monkeypatch.setattr(benchmark.benchmark_simulation, "rows", no_egl)
    assert main(["benchmark", "--json", str(tmp_path / "bench.json")]) == 1
    assert "error: simulation: no EGL here" in capsys.readouterr().err
    found = {entry["area"] for entry in json.loads((tmp_path / "bench.json").read_text())}
    assert found == {"machine", *benchmark.AREAS} - {"simulation"}


@pytest.mark.parametrize("options", [["--frames", "0"], ["--checkpoint", "a.ckpt", "--area", "robot"]])
def test_options_that_cannot_be_are_refused(areas, options, capsys):
    assert main(["benchmark", *options]) == 2
    assert capsys.readouterr().err.startswith(f"error: {options[0]} is ")
    assert not areas


def test_the_robot_side_is_measured_in_a_process_without_torch(monkeypatch):
    def run(command, **_):
        commands.append(command)
        write_rows(Path(command[command.index("--json") + 1]), [Row("machine", "CPU", "x"), Row("robot", "run", 1.0)])
        return SimpleNamespace(returncode=0)

    commands: list[list[str]] = []
    monkeypatch.setattr(benchmark.subprocess, "run", run)
    assert benchmark._robot(True) == [Row("robot", "run", 1.0)]
    assert commands[0][1:4] == ["-m", "saom_ros", "bench"]
    assert "--quick" in commands[0]
