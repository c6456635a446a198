"""Shards of two-coloured shapes on plain ground: something a small model can learn in seconds."""

from pathlib import Path

import cv2
import numpy as np

from training.data.shards import ShardWriter
from training.simulators.base import Frame

HEIGHT, WIDTH = 96, 128


def toy_frame(random: np.random.Generator) -> Frame:
    rgb = np.full((HEIGHT, WIDTH, 3), random.integers(0, 256, 3), np.uint8)
    instances = np.zeros((HEIGHT, WIDTH), np.uint16)
    for label in range(1, int(random.integers(3, 6))):
        centre = [int(v) for v in random.integers([20, 20], [WIDTH - 20, HEIGHT - 20])]
        mask = np.zeros((HEIGHT, WIDTH), np.uint8)
        axes = [int(v) for v in random.integers(8, 20, 2)]
        cv2.ellipse(mask, centre, axes, float(random.uniform(0, 180)), 0, 360, 1, -1)
        rgb[mask > 0] = random.integers(0, 256, 3)
        mask_below = mask.copy()
        mask_below[: centre[1]] = 0
        rgb[mask_below > 0] = random.integers(0, 256, 3)
        instances[mask > 0] = label
    meta = {
        "schema": 1,
        "intrinsics": {"fx": 100.0, "fy": 100.0, "cx": WIDTH / 2, "cy": HEIGHT / 2, "width": WIDTH, "height": HEIGHT},
        "pose": np.eye(4).tolist(),
        "objects": [{"id": int(i), "class": "Box"} for i in np.unique(instances) if i],
        "simulator": "toy",
        "seed": 0,
        "scene": 0,
        "split": "train",
    }
    return Frame(rgb=rgb, instances=instances, parts=None, depth=None, meta=meta)


def write_toy_shards(folder: Path, frames: int, seed: int) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(seed)
    with ShardWriter(folder / "toy-000000.tar") as writer:
        for index in range(frames):
            writer.add(f"{index:06d}", toy_frame(random))
    return folder
