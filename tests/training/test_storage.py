"""Shards behind a URL: the same bytes as in a folder, resumed from what is listed, whole or absent whatever fails."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fsspec
import pytest
import striped_simulator
from fsspec.implementations.memory import MemoryFileSystem
from shard_files import mug_on_book, write_shards
from upath import UPath

from saom_ros.errors import SaomError
from training.__main__ import main
from training.collecting.collection import claim
from training.collecting.job import Job
from training.collecting.verb import collect
from training.data.shards import list_shards, read_shards
from training.data.storage import as_place, scratch_folder, upload

JOB = Job("stripes", "train", 0, 32, 32, 5)
URL = "memory://bucket/data"


class SmallDisk(MemoryFileSystem):
    """A remote disk that takes so many bytes in all, then refuses."""

    protocol = "smalldisk"
    store: dict[str, Any] = {}  # noqa: RUF012 as MemoryFileSystem's: one for all instances
    pseudo_dirs = [""]  # noqa: RUF012
    room = 0
    refusal = errno.ENOSPC

    @classmethod
    def _strip_protocol(cls, path: str) -> str:
        return str(super()._strip_protocol(path.removeprefix("smalldisk:/")))

    def _open(self, path: str, mode: str = "rb", **options: Any) -> Any:
        file = super()._open(path, mode, **options)
        if "w" in mode:
            file.write = lambda content: self._write(file, content)
        return file

    def _write(self, file: Any, content: bytes) -> int:
        if sum(held.size for held in self.store.values()) + file.size + len(content) > self.room:
            raise OSError(self.refusal, os.strerror(self.refusal))
        return int(type(file).write(file, content))


@pytest.fixture(autouse=True)
def empty_memory() -> Iterator[None]:
    fsspec.register_implementation("smalldisk", SmallDisk, clobber=True)
    yield
    for store in (MemoryFileSystem, SmallDisk):
        store.store.clear()
        store.pseudo_dirs[:] = [""]


@pytest.fixture
def local(tmp_path: Path) -> Path:
    """12 frames in 3 shards, collected into a folder."""
    collect(JOB, 12, 1, tmp_path, striped_simulator.make)
    return tmp_path


def contents(place: Path | UPath) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in place.glob("*.tar")}


def collect_at(url: str, frames: int) -> None:
    place = as_place(url)
    claim(JOB, place)
    collect(JOB, frames, 1, place, striped_simulator.make)


def test_url_holds_the_bytes_of_a_local_run(local: Path) -> None:
    collect_at(URL, 12)
    assert contents(as_place(URL)) == contents(local)
    assert json.loads((as_place(URL) / "collect.json").read_text())["seed"] == JOB.seed


def test_run_goes_on_where_the_listing_ends(local: Path) -> None:
    collect_at(URL, 7)
    kept = as_place(URL) / "stripes-000000.tar"
    before = kept.stat().st_mtime
    collect_at(URL, 12)
    assert kept.stat().st_mtime == before
    assert contents(as_place(URL)) == contents(local)


def test_url_does_not_shrink() -> None:
    collect_at(URL, 12)
    with pytest.raises(SaomError, match="more than 7 frames"):
        collect_at(URL, 7)


def test_shard_cut_behind_a_url_is_named() -> None:
    collect_at(URL, 5)
    shard = as_place(URL) / "stripes-000000.tar"
    shard.write_bytes(shard.read_bytes()[:-600])
    with pytest.raises(SaomError, match=r"memory://.*stripes-000000\.tar is broken: it ends early; delete it"):
        collect_at(URL, 10)


def test_url_of_another_job_is_refused() -> None:
    claim(Job("stripes", "train", 1, 32, 32, 5), as_place(URL))
    with pytest.raises(SaomError, match="holds frames with --seed 1, not 0"):
        collect_at(URL, 5)


def test_file_url_is_a_plain_folder(tmp_path: Path) -> None:
    assert as_place(f"file://{tmp_path}") == tmp_path
    assert as_place("data/rooms") == Path("data/rooms")


def test_full_disk_far_away_ends_the_run_and_keeps_what_is_finished(
    local: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    size = (local / "stripes-000000.tar").stat().st_size
    monkeypatch.setattr(SmallDisk, "room", round(1.5 * size))
    with pytest.raises(
        SaomError,
        match=r"cannot write smalldisk://.*stripes-000001\.tar: OSError: No space left on device; .*free space",
    ):
        collect_at("smalldisk://data", 12)
    (shard,) = list_shards(as_place("smalldisk://data"))
    assert shard.read_bytes() == (local / "stripes-000000.tar").read_bytes()
    monkeypatch.setattr(SmallDisk, "room", 10 * size)
    collect_at("smalldisk://data", 12)
    assert contents(as_place("smalldisk://data")) == contents(local)


def test_place_that_may_not_be_written_is_named(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(SmallDisk, "refusal", errno.EROFS)
    assert main(["collect", "--split", "train", "--frames", "5", "--out", "smalldisk://data"]) == 2
    assert re.search(r"error: cannot write to --out smalldisk://.*: Read-only file system; .*", capsys.readouterr().err)


def test_interrupted_upload_leaves_nothing(local: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SmallDisk, "room", 100)
    with pytest.raises(SaomError, match="cannot write"):
        upload(local / "stripes-000000.tar", UPath("smalldisk://data"))
    assert SmallDisk.store == {}


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("nodriver://bucket/data", "the driver of nodriver:// is not installed (Install no-such-driver to use it)"),
        ("s4://bucket/data", "s4://bucket/data cannot be opened"),
    ],
)
def test_protocol_without_driver_is_refused(url: str, message: str, capsys: pytest.CaptureFixture[str]) -> None:
    fsspec.register_implementation(
        "nodriver", "no_such_driver.FileSystem", clobber=True, errtxt="Install no-such-driver to use it"
    )
    assert main(["collect", "--split", "train", "--frames", "5", "--out", url]) == 2
    assert message in capsys.readouterr().err


def test_info_and_check_read_a_url(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for shard in list_shards(write_shards(tmp_path, [mug_on_book(scene) for scene in range(3)])):
        assert isinstance(shard, Path)
        upload(shard, UPath(URL))
    assert main(["dataset", "info", "--json", URL]) == 0
    assert json.loads(capsys.readouterr().out)["frames"] == 3
    assert main(["dataset", "check", URL]) == 0
    assert f"{URL}: 3 frames in 2 shards, nothing broken" in capsys.readouterr().out
    assert [sample.key for sample in read_shards(UPath(URL))] == ["0000", "0001", "0002"]


def test_missing_folder_behind_a_url_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["dataset", "check", "memory://nothing"]) == 2
    assert "data folder memory://nothing does not exist" in capsys.readouterr().err


def test_scratch_folder_goes_and_takes_what_killed_processes_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    old, new = tmp_path / "saom_ros-collect-old", tmp_path / "saom_ros-collect-new"
    for folder in (old, new):
        folder.mkdir()
    os.utime(old, (0, 0))
    with scratch_folder() as living:
        os.utime(living, (0, 0))
        with scratch_folder() as second:
            assert sorted(tmp_path.iterdir()) == sorted([new, living, second])
    assert list(tmp_path.iterdir()) == [new]
