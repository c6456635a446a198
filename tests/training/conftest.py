"""Scenes that several test files look at, built once."""

from __future__ import annotations

import pytest
from any_texture import AnyTexture

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
