"""Training on two processes of one CPU."""

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import lightning
import torch
import yaml

from tests.training.tiny_sam import TINY_SAM, write_part_shards
from training.finetuning.batches import Batch, TrainingBatches
from training.finetuning.config import load_config
from training.finetuning.embedding_cache import EmbeddingCache
from training.finetuning.frame_store import FrameStore
from training.finetuning.module import WholeObjects
from training.sam.checkpoint import load_checkpoint

ROOT = Path(__file__).parents[2]
TWO = {
    "name": "two",
    "family": "sam_small",
    "model": TINY_SAM,
    "grid": [16, 16],
    "stages": [{"width": 64, "height": 64, "images": 8, "batch_size": 2}],
    "prompts": {"objects": 4, "background": 2, "own_peaks": 2, "min_area": 16},
    "loss": {"over": "images", "score": 0, "objectness": 0},
    "train_encoder": False,
    "cache_embeddings": True,
    "loader_workers": 0,
    "validation_frames": 1,
    "devices": 2,
}


def test_two_processes_average_their_gradients(tmp_path):
    """Each process steps with the gradient that one process finds for both batches together.

    The losses are sums over an image's masks here, so the mean over four images is the mean of two means over two.
    """
    data, validation = write_part_shards(tmp_path / "train", 6, 0), write_part_shards(tmp_path / "val", 2, 1)
    run, out = tmp_path / "run.yaml", tmp_path / "out"
    run.write_text(yaml.safe_dump({**TWO, "data": str(data), "validation": str(validation)}))
    train("--config", run, "--out", out)
    described = load_checkpoint(out / "last.ckpt")[1]["training"]
    assert (described["batches"], described["images_seen"]) == (2, 8)
    first, second = (torch.load(out / f"gradients{rank}.pt", weights_only=True) for rank in (0, 1))

    expected = gradients_of_both_batches(load_config(run))
    assert expected.keys() <= first.keys()
    assert max(gradient.abs().max() for gradient in expected.values()) > 1e-3
    for name, gradient in expected.items():
        torch.testing.assert_close(first[name], second[name], rtol=0, atol=0, msg=name)
        torch.testing.assert_close(first[name], gradient, rtol=1e-3, atol=1e-6, msg=name)


def train(*flags):
    command = [sys.executable, "-m", "tests.training.ddp_gradients", "finetune", *map(str, flags)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-3000:]


def gradients_of_both_batches(config):
    lightning.seed_everything(config.seed, verbose=False)
    module = WholeObjects(config, 1, {})
    module.log = module.log_dict = lambda *args, **kwargs: None
    store = FrameStore(Path(config.data), show_progress=False)
    cache = EmbeddingCache(next(store.folder.glob("cache/embeddings-*.json")).with_suffix(""))
    prompting = config.prompting(module.model.objectness_stride)
    alone = [
        TrainingBatches(store, config.stages, config.augmentation, prompting, 0, 0, rank, 2, cache).batch(0)
        for rank in (0, 1)
    ]
    module.training_step(joined(*alone), 0).backward()
    return {name: p.grad for name, p in module.model.named_parameters() if p.grad is not None}


def joined(one, two):
    ids = max(one.classes.shape[1], two.classes.shape[1])
    padded = [
        replace(batch, classes=torch.nn.functional.pad(batch.classes, (0, ids - batch.classes.shape[1]), value=-1))
        for batch in (one, two)
    ]
    both = [batch.tensors() for batch in padded]
    return Batch(**{name: torch.cat([both[0][name], both[1][name]]) for name in both[0]})
