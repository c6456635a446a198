"""The tiny bundle together with a golden pair, and engines of it as `fake_gpu` understands them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import yaml
from fake_gpu import PREFIX
from tiny_bundle import GRID_COLS, GRID_ROWS, HEIGHT, WIDTH, color_blocks, write_tiny_bundle

from saom_ros import runtimes
from saom_ros.bundle import load_config, sha256
from saom_ros.letterbox import Letterbox, grid_points


def write_golden_bundle(folder: Path) -> Path:
    """Write the bundle into `folder` (made where missing) and return it."""
    write_tiny_bundle(folder)
    config = load_config(folder)
    inputs = {
        "image": color_blocks(HEIGHT, WIDTH)[0][None],
        "points": grid_points(GRID_ROWS, GRID_COLS, Letterbox.fit(HEIGHT, WIDTH, HEIGHT, WIDTH)),
        **{f"{name}_threshold": np.array([0.3], np.float32) for name in ("score", "objectness", "overlap")},
    }
    outputs = runtimes.create(folder, config, "onnxruntime").run(inputs)
    np.savez_compressed(folder / "golden.npz", **inputs, **outputs)
    list_file(folder, "golden.npz")
    return folder


def list_file(folder: Path, name: str) -> None:
    """Put a file's checksum into `model.yaml`."""
    mapping = yaml.safe_load((folder / "model.yaml").read_text())
    mapping["files"][name] = sha256(folder / name)
    (folder / "model.yaml").write_text(yaml.safe_dump(mapping))


def engine_of(folder: Path) -> bytes:
    """What a builder would make of the bundle's graph."""
    return PREFIX + (folder / "model.onnx").read_bytes()
