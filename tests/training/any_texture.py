"""A stand-in for the texture bank, for tests that build objects and rooms without painting or rendering them."""

from __future__ import annotations

import numpy as np

from training.simulators.rooms.materials import Palette


class AnyTexture(dict[str, list[int]]):
    """A texture bank that has one layer of every kind asked for."""

    def __missing__(self, kind: str) -> list[int]:
        self[kind] = [len(self)]
        return self[kind]


def palette(seed: int = 0) -> Palette:
    """Draws materials for tests."""
    return Palette(np.random.default_rng(seed), AnyTexture())
