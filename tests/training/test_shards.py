"""Shards: what is written is read back, other WebDataset readers understand it, and damage is named."""

from __future__ import annotations

import io
import json
import resource
import tarfile
import zlib
from pathlib import Path

import numpy as np
import pytest
import webdataset
from striped_simulator import striped_frame

from saom_ros.errors import SaomError
from training.collecting.job import Job
from training.data.shards import ShardWriter, count_samples, list_shards, read_shard, read_shards
from training.simulators.base import Frame

JOB = Job("stripes", "train", 0, 24, 16, 3)


@pytest.fixture
def frames() -> list[Frame]:
    rng = np.random.default_rng(0)
    return [striped_frame(rng, JOB) for _ in range(3)]


@pytest.fixture
def shard(tmp_path: Path, frames: list[Frame]) -> Path:
    path = tmp_path / "stripes-000000.tar"
    with ShardWriter(path) as writer:
        for number, frame in enumerate(frames):
            writer.add(f"s-{number}", frame)
    return path


def test_maps_and_meta_come_back_exactly_and_colours_nearly(shard: Path, frames: list[Frame]) -> None:
    samples = list(read_shards(shard.parent))
    assert [sample.key for sample in samples] == ["s-0", "s-1", "s-2"]
    for sample, frame in zip(samples, frames, strict=True):
        np.testing.assert_array_equal(sample.instances, frame.instances)
        np.testing.assert_array_equal(sample.parts, frame.parts)
        np.testing.assert_array_equal(sample.depth, frame.depth)
        assert sample.meta == frame.meta
        assert sample.rgb.dtype == np.uint8
        assert np.abs(sample.rgb.mean(axis=(0, 1)) - frame.rgb.mean(axis=(0, 1))).max() < 4


def test_frame_without_parts_and_depth_is_allowed(tmp_path: Path, frames: list[Frame]) -> None:
    frames[0].parts = frames[0].depth = None
    with ShardWriter(tmp_path / "a-000000.tar") as writer:
        writer.add("k", frames[0])
    (sample,) = read_shards(tmp_path)
    assert sample.parts is None
    assert sample.depth is None


def test_webdataset_reads_it(shard: Path, frames: list[Frame]) -> None:
    dataset = webdataset.WebDataset(str(shard), shardshuffle=False)
    samples = list(dataset)
    assert [sample["__key__"] for sample in samples] == ["s-0", "s-1", "s-2"]
    assert set(samples[0]) >= {"rgb.jpg", "instances.png", "parts.png", "depth.png", "json"}
    meta = json.loads(samples[0]["json"])
    images = [name for name in samples[0] if name.endswith((".jpg", ".png"))]
    assert meta.pop("crc32") == {name: zlib.crc32(samples[0][name]) for name in images}
    assert meta == frames[0].meta


def test_failed_shard_leaves_nothing(tmp_path: Path, frames: list[Frame]) -> None:
    def write_half() -> None:
        with ShardWriter(tmp_path / "a-000000.tar") as writer:
            writer.add("k", frames[0])
            raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        write_half()
    assert not list(tmp_path.iterdir())


def write_many(path: Path, frame: Frame) -> None:
    with ShardWriter(path) as writer:
        for number in range(20):
            writer.add(f"k{number}", frame)


def test_full_disk_is_reported_and_leaves_nothing(tmp_path: Path, frames: list[Frame]) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1024, hard))
    try:
        with pytest.raises(SaomError, match=r"cannot write shard .*a-000000\.tar: File too large; free space"):
            write_many(tmp_path / "a-000000.tar", frames[0])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert not list(tmp_path.iterdir())


def test_unfinished_shard_is_not_listed(shard: Path) -> None:
    (shard.parent / ".stripes-000001.tar.7.partial").write_bytes(b"half")
    assert list_shards(shard.parent) == [shard]


@pytest.mark.parametrize("cut", ["in a member", "between members", "to nothing"])
def test_truncated_shard_is_named(shard: Path, cut: str) -> None:
    with tarfile.open(shard) as tar:
        member = tar.getmember("s-1.instances.png")
    length = {"in a member": member.offset_data + 5, "between members": member.offset, "to nothing": 0}[cut]
    shard.write_bytes(shard.read_bytes()[:length])
    with pytest.raises(SaomError, match=r"stripes-000000\.tar is broken"):
        list(read_shard(shard))


def test_shard_that_is_no_tar_is_named(shard: Path) -> None:
    shard.write_bytes(b"not a tar" * 1000)
    with pytest.raises(SaomError, match=r"stripes-000000\.tar is broken"):
        count_samples(shard)


def rewrite(shard: Path, name: str, content: bytes | None) -> None:
    """Replace one member of the tar, or drop it."""
    with tarfile.open(shard) as tar:
        members = {member.name: tar.extractfile(member).read() for member in tar.getmembers()}  # type: ignore[union-attr]
    with tarfile.open(shard, "w") as tar:
        for key, value in members.items():
            kept = content if key == name else value
            if kept is not None:
                info = tarfile.TarInfo(key)
                info.size = len(kept)
                tar.addfile(info, io.BytesIO(kept))


@pytest.mark.parametrize("name", ["rgb.jpg", "instances.png", "json"])
def test_missing_member_is_named(shard: Path, name: str) -> None:
    rewrite(shard, f"s-1.{name}", None)
    with pytest.raises(SaomError, match=rf"stripes-000000\.tar: sample s-1 lacks {name}"):
        list(read_shard(shard))


@pytest.mark.parametrize("name", ["rgb.jpg", "parts.png", "json"])
def test_damaged_member_is_named(shard: Path, name: str) -> None:
    rewrite(shard, f"s-1.{name}", b"\xff\xd8 damaged")
    with pytest.raises(SaomError, match=rf"stripes-000000\.tar: sample s-1 has a damaged {name}"):
        list(read_shard(shard))


def test_map_of_another_size_is_refused(frames: list[Frame], tmp_path: Path) -> None:
    frames[0].instances = frames[0].instances[:8]
    with (
        pytest.raises(ValueError, match=r"instances is uint16 \(8, 24\); expected uint16 \(16, 24\)"),
        ShardWriter(tmp_path / "a-000000.tar") as writer,
    ):
        writer.add("k", frames[0])


def test_key_with_a_dot_is_refused(frames: list[Frame], tmp_path: Path) -> None:
    with (
        pytest.raises(ValueError, match=r"sample key 'a\.b' must be a plain name"),
        ShardWriter(tmp_path / "a-000000.tar") as writer,
    ):
        writer.add("a.b", frames[0])


def test_missing_or_empty_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SaomError, match="does not exist"):
        list_shards(tmp_path / "nothing")
    with pytest.raises(SaomError, match=r"holds no \*\.tar shard"):
        list_shards(tmp_path)
