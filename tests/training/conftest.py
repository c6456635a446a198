"""What several test files look at and takes long to make, made once. Nobody may write into it."""

from __future__ import annotations

from pathlib import Path

import pytest
from any_texture import AnyTexture
from toy_families import picture, write_checkpoint

from training.export import everything_mode, write_bundle
from training.simulators.rooms.layout import build_scene
from training.simulators.rooms.scene import Scene, SceneError, scene_seed


@pytest.fixture(scope="session")
def scenes() -> list[Scene]:
    """Ten seeded scenes at rest, rooms and tabletops, less those that are refused."""
    built = []
    for index in range(10):
        try:
            built.append(build_scene(scene_seed("train", 5, index), AnyTexture()))
        except SceneError:
            continue
    return built


@pytest.fixture(scope="session")
def sam_small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint of separate decoding."""
    return write_checkpoint(tmp_path_factory.mktemp("sam_small"), "sam_small", grid=[12, 16])


@pytest.fixture(scope="session")
def toy_bundle(sam_small: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Its bundle: fp32, fp16 and the ranges for 8 bits."""
    bundle = tmp_path_factory.mktemp("bundles") / "bundle"
    module, config = everything_mode(sam_small, max_prompts=70)
    write_bundle(module, config, bundle, picture(), "# toy\n", half=True, calibration=[picture()[::-1], picture()])
    return bundle
