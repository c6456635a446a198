"""Labelled frames made on the spot, for benchmarks that nobody gave data: coloured ellipses of two parts on noise.

They cost a model as much as frames of rooms do; nothing that is measured on them tells how good a model is.
"""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from training.data.shards import ShardWriter
from training.evaluation.frames import LabelledFrame
from training.simulators.base import FRAME_SCHEMA, Frame

WIDTH, HEIGHT, OBJECTS = 512, 384, 12


def labelled_frames(count: int, seed: int = 0) -> list[LabelledFrame]:
    """Frames to segment."""
    made = (_ellipses(np.random.default_rng([seed, number])) for number in range(count))
    return [LabelledFrame(f"{number:06d}", rgb, instances) for number, (rgb, instances, _) in enumerate(made)]


def write_shard(folder: Path, count: int, seed: int = 0) -> Path:
    """The same frames as a folder with one shard, to train on; returns the folder, made where missing."""
    folder.mkdir(parents=True, exist_ok=True)
    with ShardWriter(folder / "ellipses-000000.tar") as writer:
        for number in range(count):
            rgb, instances, parts = _ellipses(np.random.default_rng([seed, number]))
            objects = [{"id": int(i), "class": "Unknown"} for i in np.unique(instances) if i]
            meta = {"schema": FRAME_SCHEMA, "objects": objects, "simulator": "ellipses", "seed": seed, "split": "train"}
            depth = np.where(instances > 0, 800, 1000).astype(np.uint16)  # mm
            writer.add(f"{number:06d}", Frame(rgb, instances, parts, depth, meta))
    return folder


def _ellipses(random: np.random.Generator) -> tuple[NDArray[np.uint8], NDArray[np.uint16], NDArray[np.uint16]]:
    """RGB (H, W, 3), instances (H, W) and parts (H, W): the upper and the lower half of each."""
    rgb = random.integers(90, 160, (HEIGHT, WIDTH, 3), np.uint8)
    instances = np.zeros((HEIGHT, WIDTH), np.uint16)
    parts = np.zeros_like(instances)
    rows = np.arange(HEIGHT)[:, None]
    for label in range(1, OBJECTS + 1):
        x, y = (int(v) for v in random.integers(20, [WIDTH - 20, HEIGHT - 20]))
        axes = [int(v) for v in random.integers(15, 60, 2)]
        mask = cv2.ellipse(np.zeros((HEIGHT, WIDTH), np.uint8), (x, y), axes, 0, 0, 360, 1, -1) > 0
        lower = mask & (rows > y)
        rgb[mask], rgb[lower] = random.integers(0, 256, 3), random.integers(0, 256, 3)
        instances[mask], parts[mask], parts[lower] = label, 2 * label, 2 * label + 1
    return rgb, instances, parts
