"""Folders that appear whole or not at all, and what a killed run leaves behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from training.data.interchange.folders import new_folder

PROGRAM = """
import os, signal, sys
from pathlib import Path
from training.data.interchange.folders import new_folder

with new_folder(Path(sys.argv[1])) as partial:
    (partial / "half").write_text("")
    os.kill(os.getpid(), signal.SIGKILL)
"""


def hidden(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.name.startswith("."))


def kill_half_way(out: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    run = subprocess.run([sys.executable, "-c", PROGRAM, str(out)], env=environment)
    assert run.returncode == -signal.SIGKILL


def test_next_run_removes_what_a_killed_one_left(tmp_path: Path) -> None:
    kill_half_way(tmp_path / "data")
    assert len(hidden(tmp_path)) == 1
    with new_folder(tmp_path / "data") as partial:
        assert hidden(tmp_path) == [partial.name]
    assert hidden(tmp_path) == []
    assert (tmp_path / "data").is_dir()


def test_what_belongs_to_another_output_stays(tmp_path: Path) -> None:
    kill_half_way(tmp_path / "data.v2")
    left = hidden(tmp_path)
    with new_folder(tmp_path / "data"):
        pass
    assert hidden(tmp_path) == left


def test_folder_of_a_living_run_stays(tmp_path: Path) -> None:
    with new_folder(tmp_path / "data") as first:
        with pytest.raises(RuntimeError, match="given up"), new_folder(tmp_path / "data"):
            raise RuntimeError("given up")
        assert first.is_dir()
