"""The texture bank: reproducible, complete, and patterns that tile without a seam."""

from __future__ import annotations

import numpy as np
import pytest

from training.simulators.rooms.textures import (
    LABELS,
    PATTERNS,
    TEXTURE_SIZE,
    fractal_noise,
    paint_pattern,
    texture_bank,
)


def test_bank_is_reproducible_and_its_kinds_cover_every_layer() -> None:
    layers, kinds = texture_bank(3, patterns=len(PATTERNS), labels=16)
    again, _ = texture_bank(3, patterns=len(PATTERNS), labels=16)
    other, _ = texture_bank(4, patterns=len(PATTERNS), labels=16)
    assert layers.shape == (len(PATTERNS) + 16, TEXTURE_SIZE, TEXTURE_SIZE, 4)
    assert layers.tobytes() == again.tobytes()
    assert layers.tobytes() != other.tobytes()
    assert set(kinds) == {*PATTERNS, *LABELS}
    assert sorted(layer for owned in kinds.values() for layer in owned) == list(range(len(layers)))


def test_noise_fills_its_range_and_tiles() -> None:
    noise = fractal_noise(np.random.default_rng(0))
    assert noise.min() == 0
    assert noise.max() == pytest.approx(1, abs=1e-4)
    seam = np.abs(noise[:, 0] - noise[:, -1]).mean()
    inside = np.abs(np.diff(noise, axis=1)).mean()
    assert seam < 2 * inside


@pytest.mark.parametrize("kind", sorted(PATTERNS))
def test_pattern_has_both_colours_except_plain(kind: str) -> None:
    mask = paint_pattern(np.random.default_rng(0), kind)[..., 0]
    assert (np.ptp(mask) > 60) == (kind != "plain")
