"""`collect`: the same bytes however it is run, exactly as many frames as asked for, and clear refusals."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict
from functools import partial
from pathlib import Path

import pytest
import striped_simulator
from hypothesis import given, settings
from hypothesis import strategies as st

from saom_ros import __version__
from saom_ros.errors import SaomError
from training.__main__ import main
from training.collecting import collection
from training.collecting.job import Job, make_shard
from training.collecting.verb import collect
from training.data.shards import read_shards
from training.simulators.base import Frame
from training.version import code_version

JOB = Job("stripes", "train", 0, 32, 32, 5)
ROOT = Path(__file__).parents[2]


def digests(folder: Path) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(folder.glob("*.tar"))}


def test_folder_holds_exactly_the_frames_asked_for(tmp_path: Path) -> None:
    collect(JOB, 12, 2, tmp_path, striped_simulator.make)
    samples = list(read_shards(tmp_path))
    assert len(samples) == 12
    assert len({sample.key for sample in samples}) == 12
    assert sorted(path.name for path in tmp_path.iterdir()) == [f"stripes-00000{k}.tar" for k in range(3)]


def test_bytes_do_not_depend_on_workers_or_growth(tmp_path: Path) -> None:
    one, two, grown = tmp_path / "one", tmp_path / "two", tmp_path / "grown"
    for folder in (one, two, grown):
        folder.mkdir()
    collect(JOB, 12, 1, one, striped_simulator.make)
    collect(JOB, 12, 2, two, striped_simulator.make)
    collect(JOB, 7, 1, grown, striped_simulator.make)
    collect(JOB, 12, 1, grown, striped_simulator.make)
    assert digests(one) == digests(two) == digests(grown)


@given(frames=st.integers(1, 500), per_shard=st.integers(1, 120))
@settings(max_examples=50)
def test_frames_are_cut_into_full_shards_and_at_most_one_short_one(frames: int, per_shard: int) -> None:
    sizes = Job("stripes", "train", 0, 32, 32, per_shard).shard_sizes(frames)
    assert sum(sizes.values()) == frames
    assert list(sizes) == list(range(len(sizes)))
    assert all(size == per_shard for size in list(sizes.values())[:-1])
    assert 1 <= sizes[len(sizes) - 1] <= per_shard


def test_shards_draw_from_scenes_of_their_own(tmp_path: Path) -> None:
    class Recording(striped_simulator.StripedSimulator):
        def frames(self, scene: int) -> Iterator[Frame]:
            drawn.append(scene)
            return super().frames(scene)

    seen = []
    for shard in range(3):
        drawn: list[int] = []
        make_shard(JOB, Recording(JOB), shard, 5, tmp_path, lambda event: None)
        seen += drawn
    assert len(seen) == len(set(seen)) > 3


def test_another_seed_gives_other_frames(tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    for folder, seed in ((first, 0), (second, 1)):
        folder.mkdir()
        collect(Job("stripes", "train", seed, 32, 32, 5), 5, 1, folder, striped_simulator.make)
    assert digests(first) != digests(second)


def test_finished_folder_is_left_alone(tmp_path: Path) -> None:
    collect(JOB, 5, 1, tmp_path, striped_simulator.make)
    written = (tmp_path / "stripes-000000.tar").stat().st_mtime_ns
    collect(JOB, 5, 1, tmp_path, striped_simulator.make)
    assert (tmp_path / "stripes-000000.tar").stat().st_mtime_ns == written


PROGRAM = """
import sys
import striped_simulator
from training.collecting import verb as collect
from training.__main__ import main

collect.SIMULATORS["rooms"] = striped_simulator.make_slow
if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
"""


@pytest.mark.parametrize(("how", "status"), [(signal.SIGKILL, -9), (signal.SIGINT, 130), (signal.SIGTERM, 130)])
def test_stopped_run_keeps_its_shards_and_resumes_to_the_same_bytes(
    tmp_path: Path, how: signal.Signals, status: int
) -> None:
    job = Job("rooms", "train", 0, 32, 32, 5)
    whole, stopped, script = tmp_path / "whole", tmp_path / "stopped", tmp_path / "run.py"
    whole.mkdir()
    collect(job, 40, 1, whole, striped_simulator.make)
    script.write_text(PROGRAM)
    options = ["--split", "train", "--frames", "40", "--workers", "2", "--frames-per-shard", "5"]
    size = ["--width", "32", "--height", "32"]
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}:{Path(__file__).parent}"}
    command = [sys.executable, str(script), "collect", *options, *size, "--out", str(stopped)]
    # A shell's background job ignores SIGINT, and so would the programs that it starts.
    restore = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
    run = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True, preexec_fn=restore)
    deadline = time.monotonic() + 60
    while not digests(stopped) and run.poll() is None and time.monotonic() < deadline:
        time.sleep(0.02)
    run.send_signal(how)
    _, errors = run.communicate(timeout=20)
    finished = digests(stopped)
    assert run.returncode == status
    assert "Traceback" not in errors
    assert 0 < len(finished) < 8
    assert finished.items() <= digests(whole).items()
    if status == 130:
        assert f"interrupted with {5 * len(finished)} of 40 frames" in errors
    collect(job, 40, 2, stopped, striped_simulator.make)
    assert digests(stopped) == digests(whole)
    assert not list(stopped.glob(".*"))


def test_worker_error_reaches_the_user(tmp_path: Path) -> None:
    with pytest.raises(SaomError, match="sudo apt install libegl1"):
        collect(JOB, 5, 2, tmp_path, striped_simulator.make_without_graphics)


def test_death_of_a_worker_is_reported_with_its_shard(tmp_path: Path) -> None:
    with pytest.raises(SaomError, match="worker on shard 0 died with exit code 9"):
        collect(JOB, 5, 1, tmp_path, striped_simulator.make_dying)
    assert not list(tmp_path.iterdir())


def test_full_disk_ends_the_run_and_keeps_what_is_finished(tmp_path: Path) -> None:
    with pytest.raises(SaomError, match=r"shard 1: cannot write shard .*000001\.tar: File too large; free space"):
        collect(JOB, 12, 1, tmp_path, striped_simulator.make_on_full_disk)
    assert [path.name for path in tmp_path.iterdir()] == ["stripes-000000.tar"]
    assert len(list(read_shards(tmp_path))) == 5


def test_corrupt_shard_is_named_before_anything_is_made(tmp_path: Path) -> None:
    (tmp_path / "stripes-000001.tar").write_bytes(b"half a shard")
    with pytest.raises(SaomError, match=r"stripes-000001\.tar is broken: .*; delete it and collect again"):
        collect(JOB, 12, 1, tmp_path, striped_simulator.make)
    assert len(list(tmp_path.iterdir())) == 1


def test_skipped_scene_is_reported(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    collect(Job("stripes", "train", 0, 32, 32, 12), 12, 1, tmp_path, striped_simulator.make)
    assert "skipped: scene 3: no stripes" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--frames", "0"], "--frames 0 is too small"),
        (["--frames", "5", "--workers", "-1"], "--workers -1 is too small"),
        (["--frames", "5", "--seed", "-1"], "--seed -1 is negative"),
        (["--frames", "5", "--width", "8"], "--width 8 is out of range"),
        (["--frames", "5", "--height", "-384"], "--height -384 is out of range"),
        (["--frames", "5", "--frames-per-shard", "0"], "--frames-per-shard 0 is too small"),
    ],
)
def test_bad_number_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], options: list[str], message: str
) -> None:
    assert main(["collect", "--split", "train", "--out", str(tmp_path), *options]) == 2
    assert message in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("options", [["--split", "holdout"], ["--split", "train", "--simulator", "unreal"]])
def test_unknown_split_or_simulator_is_refused(tmp_path: Path, options: list[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main(["collect", "--frames", "5", "--out", str(tmp_path), *options])
    assert stop.value.code == 2


def test_folder_of_another_seed_or_size_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "collect.json").write_text(
        '{"simulator": "rooms", "split": "train", "seed": 3, "width": 512, "height": 384, "frames_per_shard": 100}'
    )
    common = ["collect", "--split", "train", "--frames", "5", "--out", str(tmp_path)]
    assert main([*common, "--seed", "4"]) == 2
    assert "holds frames with --seed 3, not 4" in capsys.readouterr().err
    assert main([*common, "--seed", "3", "--width", "640"]) == 2
    assert "holds frames with --width 512, not 640" in capsys.readouterr().err


def test_folder_names_the_version_that_began_it_and_another_one_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    job = Job("rooms", "train", 0, 32, 32, 5)
    for version in ("1.0+abc", "1.0+abc", "1.1+def"):
        monkeypatch.setattr(collection, "code_version", lambda version=version: version)
        collection.claim(job, tmp_path)
    assert json.loads((tmp_path / "collect.json").read_text()) == {**asdict(job), "version": "1.0+abc"}
    warnings = capsys.readouterr().err.splitlines()
    assert len(warnings) == 1
    assert "was begun by 1.0+abc and goes on with 1.1+def" in warnings[0]


def test_version_names_package_and_commit() -> None:
    assert re.fullmatch(rf"{re.escape(__version__)}(\+[0-9a-f]+(\.dirty)?)?", code_version())


def test_damaged_record_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "collect.json").write_text("[]")
    assert main(["collect", "--split", "train", "--frames", "5", "--out", str(tmp_path)]) == 2
    assert "collect.json is damaged" in capsys.readouterr().err


def test_foreign_tar_is_refused(tmp_path: Path) -> None:
    (tmp_path / "stripes-old.tar").write_bytes(b"")
    with pytest.raises(SaomError, match=r"stripes-old\.tar is no shard of this collection"):
        collect(JOB, 5, 1, tmp_path, striped_simulator.make)


def test_second_run_in_the_same_folder_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    record = tmp_path / "collect.json"
    record.write_text(json.dumps(asdict(Job("rooms", "train", 0, 512, 384, 100))))
    with record.open() as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        assert main(["collect", "--split", "train", "--frames", "5", "--out", str(tmp_path)]) == 2
    assert "another run is collecting into" in capsys.readouterr().err


def test_folder_does_not_shrink(tmp_path: Path) -> None:
    collect(JOB, 10, 1, tmp_path, striped_simulator.make)
    with pytest.raises(SaomError, match="more than 7 frames"):
        collect(JOB, 7, 1, tmp_path, striped_simulator.make)


def test_folder_that_cannot_be_made_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    blocker = tmp_path / "file"
    blocker.write_text("")
    assert main(["collect", "--split", "train", "--frames", "5", "--out", str(blocker / "data")]) == 2
    assert "cannot write to --out" in capsys.readouterr().err
