"""The arms of the experiment on SAOM's claim: what each changes, and where it starts.

Each arm is a configuration of `finetune` in `training/configs/saom_claim/`, which names only what differs from the arm
before it. All arms see the same frames, and all that start from `base` see equally many images.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from saom_ros.errors import SaomError

CONFIGS = Path(__file__).parents[1] / "configs" / "saom_claim"
BASE = "base"
RIVAL = "base_longer"
"""The base after as many images as the arms that start from it: what gains are told over."""


@dataclass(frozen=True)
class Arm:
    """One way to train."""

    name: str
    question: str
    """What the arm tells, for the report."""
    start: str | None = BASE
    """The arm whose weights it starts from; None = random weights."""
    usual: bool = False
    """Whether it runs without being asked for."""
    ambiguous: bool = False
    """Whether it answers with SAM's three masks, and is scored as SAM is used."""

    @property
    def config(self) -> Path:
        """The arm's configuration of `finetune`."""
        return CONFIGS / f"{self.name}.yaml"


ARMS = {
    arm.name: arm
    for arm in (
        Arm(BASE, "SAM: parts and wholes, three ambiguous masks", start=None, usual=True, ambiguous=True),
        Arm(RIVAL, "the base, trained on as SAM for as many images as the arms below", usual=True, ambiguous=True),
        Arm("saom", "SAOM: assigned and other grid points on the visible mask, frozen encoder", usual=True),
        Arm("random_point", "random visible pixels instead of grid points", usual=True),
        Arm("one_point", "the assigned grid point only"),
        Arm("centre", "the deepest interior point only"),
        Arm("outside", "the nearest grid point only, wherever it lies, as published"),
        Arm("no_background", "no background prompts, as published"),
        Arm("grid_16", "a grid of 16 x 16 instead of 32 x 32"),
        Arm("grid_64", "a grid of 64 x 64 instead of 32 x 32"),
        Arm("trained_encoder", "the encoder learns too"),
        Arm(
            "joint",
            "joint decoding: the small family, from random weights, all its images on whole objects",
            start=None,
        ),
    )
}
"""All arms by name, in the order of the report."""


def chosen_arms(names: list[str] | None) -> list[Arm]:
    """The arms asked for, or the usual ones, after those that they start from.

    Raises:
        SaomError: a name is no arm.
    """
    wanted = names or [arm.name for arm in ARMS.values() if arm.usual]
    for name in wanted:
        if name not in ARMS:
            raise SaomError(f"arm {name!r} is not known; expected some of {', '.join(ARMS)}")
    needed = set(wanted) | {start for name in wanted if (start := ARMS[name].start)}
    return [arm for arm in ARMS.values() if arm.name in needed]
