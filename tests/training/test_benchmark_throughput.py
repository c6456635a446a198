"""Throughput of training: rows of a tiny model, and FLOPs that are known by hand. No time is asserted."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from tests.training.tiny_sam import TINY_SAM
from training.benchmarking import throughput as benchmark
from training.benchmarking.frames import labelled_frames, write_shard
from training.benchmarking.throughput import CONFIGS, training_rows
from training.data.shards import read_shard
from training.finetuning.batches import Stage
from training.finetuning.config import load_config
from training.finetuning.frame_store import FrameStore
from training.finetuning.module import WholeObjects

TINY = {
    "small": {"encoder_channels": [16, 16, 16, 16], "embedding_dim": 32, "pixel_dim": 16},
    "sam_small": TINY_SAM,
}


def tiny(name):
    config = load_config(Path(benchmark.__file__).parents[1] / "configs" / f"{name}.yaml")
    stage = Stage(height=64, width=64, images=8, batch_size=2)
    return replace(config, model=TINY[name], stages=[stage], grid=(4, 4) if config.grid else None)


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return FrameStore(write_shard(tmp_path_factory.mktemp("shards"), 2), show_progress=False, maps=["parts"])


@pytest.mark.parametrize("name", CONFIGS)
def test_rows_of_loader_and_model(store, name):
    rows = {row.name: row for row in training_rows(tiny(name), store, 1, 1e9, torch.device("cpu"))}
    what = f"{name}, 64x64"
    model, loader = rows[f"{what}, model"], rows[f"{what}, one loader process"]
    assert model.unit == loader.unit == "images/s"
    assert rows[f"{what}, loader"].value == pytest.approx(loader.value / model.value, rel=0.02)
    flop = rows[f"{what}, FLOPs of an image, forward and backward"].value
    assert rows[f"{what}, FLOP/s"].value == pytest.approx(flop * model.value, rel=0.1, abs=0.02)  # peak of 1 GFLOP/s
    assert flop > 0


def test_counting_flops_leaves_no_gradients(store):
    module = WholeObjects(tiny("small"), 1, {})
    prompting = module.config.prompting(module.model.objectness_stride)
    batches = benchmark.TrainingBatches(store, module.config.stages, module.config.augmentation, prompting, 0)
    once, again = (benchmark.count_flops(module, batches.batch(0)) for _ in range(2))
    assert once == again > 0
    assert all(parameter.grad is None for parameter in module.parameters())


def test_frames_made_on_the_spot_have_objects_of_two_parts(tmp_path):
    (shard,) = write_shard(tmp_path / "shards", 1).glob("*.tar")
    (sample,) = read_shard(shard)
    (frame,) = labelled_frames(1)
    assert (sample.instances == frame.instances).all()
    assert ((sample.parts > 0) == (sample.instances > 0)).all()
    visible = sample.instances > 0
    assert (sample.parts[visible] // 2 == sample.instances[visible]).all()
