"""How often each class must come in frames of rooms, and which classes of a collection come too rarely.

The figures stand in `frequencies.yaml` beside this file.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path

import yaml

from training.classes import held_out_classes

FREQUENCIES_FILE = Path(__file__).with_name("frequencies.yaml")
ENOUGH = 10
"""Objects that must be expected before too few of them mean anything."""


@cache
def least_frequencies() -> Mapping[str, int]:
    """Class -> objects in 1,000 frames, at least."""
    levels = yaml.safe_load(FREQUENCIES_FILE.read_text())
    return {name: least for least, names in levels.items() for name in names}


def too_rare(counts: Mapping[str, int], frames: int, split: str, enough: float = ENOUGH) -> dict[str, float]:
    """Classes that come less often than configured -> how many objects of them are expected at least.

    `counts` are objects by class in so many frames of one split. Classes of which the frames are too few to expect
    `enough` objects pass, and so do held-out classes outside the test split.
    """
    skipped = frozenset() if split == "test" else held_out_classes()
    expected = {name: least * frames / 1000 for name, least in least_frequencies().items() if name not in skipped}
    return {name: least for name, least in expected.items() if least >= enough and counts.get(name, 0) < least}
