"""Decoded frames beside their shards: images, instances, parts and classes."""

import numpy as np
import pytest

from saom_ros.errors import SaomError
from tests.training.shard_files import change_meta, mug_on_book, write_shards
from training.classes import class_names
from training.data.shards import read_shards
from training.finetuning.frame_store import FrameStore


def opened(folder, **options):
    return FrameStore(folder, show_progress=False, **options)


def test_frames_come_back_as_they_were_written(tmp_path):
    store = opened(write_shards(tmp_path, [mug_on_book(n) for n in range(3)]), maps=["parts"])
    assert len(store) == 3
    for index, sample in enumerate(read_shards(tmp_path)):
        np.testing.assert_array_equal(store[index][0], sample.rgb)
        np.testing.assert_array_equal(store[index][1], sample.instances)
        np.testing.assert_array_equal(store.maps(index)["parts"], sample.parts)


def test_depth_comes_back_where_it_is_asked_for_and_frames_without_it_are_refused(tmp_path):
    frame = mug_on_book()
    frame.depth = np.full(frame.instances.shape, 1234, np.uint16)
    (tmp_path / "with").mkdir()
    store = opened(write_shards(tmp_path / "with", [frame]), maps=["parts", "depth"])
    assert set(store.maps(0)) == {"instances", "parts", "depth"}
    assert (store.maps(0)["depth"] == 1234).all()
    frame.depth = None
    (tmp_path / "without").mkdir()
    with pytest.raises(SaomError, match=r"sample 0000 has no depth\.png; train with 'loss: {depth: 0}'"):
        opened(write_shards(tmp_path / "without", [frame]), maps=["depth"])


def test_classes_are_indexed_by_instance_id_and_unknown_ones_are_minus_one(tmp_path):
    write_shards(tmp_path, [mug_on_book()])
    change_meta(tmp_path / "toy-000000.tar", "0000", objects=[{"id": 3, "class": "Sphinx"}, {"id": 7, "class": "Mug"}])
    classes = opened(tmp_path).classes(0)
    assert classes.tolist() == [-1] * 7 + [class_names().index("Mug")]


def test_frames_decoded_before_parts_were_asked_are_kept(tmp_path):
    write_shards(tmp_path, [mug_on_book()])
    opened(tmp_path)
    for path in (tmp_path / "cache").glob("*.objects"):
        path.unlink()  # as in a cache of an older checkout
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "cache").iterdir()}
    store = opened(tmp_path, maps=["parts"])
    assert store.maps(0)["parts"].max() == 5
    assert (store.classes(0) >= 0).sum() == 2
    assert {path: path.stat().st_mtime_ns for path in before} == before


def test_frames_without_parts_are_refused_where_parts_are_wanted(tmp_path):
    frame = mug_on_book()
    frame.parts = None
    write_shards(tmp_path, [frame])
    opened(tmp_path)
    with pytest.raises(SaomError, match=r"sample 0000 has no parts\.png; train with 'target: whole_objects'"):
        opened(tmp_path, maps=["parts"])
    assert not list((tmp_path / "cache").glob("*.part*"))
