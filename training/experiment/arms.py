"""The experiments and their arms: what each arm changes, where it starts, and what it is held against.

Each arm is a configuration of `finetune` in a folder of `training/configs/`, which names only what differs from the arm
before it. All arms of an experiment see the same frames, and either equally many images or equally much computing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from saom_ros.errors import SaomError

CONFIGS = Path(__file__).parents[1] / "configs"


@dataclass(frozen=True)
class Arm:
    """One way to train."""

    name: str
    question: str
    """What the arm tells, for the report."""
    start: str | None = None
    """The arm whose weights it starts from; None = random weights."""
    usual: bool = False
    """Whether it runs without being asked for."""
    ambiguous: bool = False
    """Whether it answers with SAM's three masks, and is scored as SAM is used."""
    full_grid: bool = False
    """Whether it is scored over the full grid, too."""


@dataclass(frozen=True)
class Experiment:
    """Arms that differ in one thing."""

    name: str
    """As on the command line; its configurations are in `training/configs/` under this name, with `_` for `-`."""
    title: str
    """Of the report."""
    note: str
    """What the report says about its figures."""
    arms: Mapping[str, Arm]
    """By name, in the order of the report."""
    rival: str
    """The arm that gains are told over."""
    equal: Literal["images", "compute"] = "images"
    """What arms that are held against each other have in common: the images that their files say, or the FLOPs of the
    rival's training, with as many images as these allow."""

    def config(self, arm: Arm) -> Path:
        """The arm's configuration of `finetune`."""
        return CONFIGS / self.name.replace("-", "_") / f"{arm.name}.yaml"

    def chosen(self, names: list[str] | None) -> list[Arm]:
        """The arms asked for, or the usual ones, after those that they start from.

        Raises:
            SaomError: a name is no arm.
        """
        wanted = names or [arm.name for arm in self.arms.values() if arm.usual]
        for name in wanted:
            if name not in self.arms:
                raise SaomError(f"arm {name!r} is not known; expected some of {', '.join(self.arms)}")
        needed = set(wanted) | {start for name in wanted if (start := self.arms[name].start)}
        return [arm for arm in self.arms.values() if arm.name in needed]


def _by_name(*arms: Arm) -> dict[str, Arm]:
    return {arm.name: arm for arm in arms}


CLAIM = Experiment(
    "saom-claim",
    "SAOM's claim",
    "The base is scored as SAM is used, by its automatic masks.",
    _by_name(
        Arm("base", "SAM: parts and wholes, three ambiguous masks", usual=True, ambiguous=True),
        Arm(
            "base_longer",
            "the base, trained on as SAM for as many images as the arms below",
            "base",
            usual=True,
            ambiguous=True,
        ),
        Arm(
            "saom",
            "SAOM: assigned and other grid points on the visible mask, frozen encoder",
            "base",
            usual=True,
            full_grid=True,
        ),
        Arm("random_point", "random visible pixels instead of grid points", "base", usual=True),
        Arm("one_point", "the assigned grid point only", "base"),
        Arm("centre", "the deepest interior point only", "base"),
        Arm("outside", "the nearest grid point only, wherever it lies, as published", "base"),
        Arm("no_background", "no background prompts, as published", "base"),
        Arm("grid_16", "a grid of 16 x 16 instead of 32 x 32", "base"),
        Arm("grid_64", "a grid of 64 x 64 instead of 32 x 32", "base"),
        Arm("trained_encoder", "the encoder learns too", "base"),
        Arm("joint", "joint decoding: the small family, from random weights, all its images on whole objects"),
    ),
    rival="base_longer",
)
"""A base trained like SAM, SAOM, and what it is held against; the rival has seen as many images as SAOM."""

ARCHITECTURE = Experiment(
    "architecture",
    "The small model's architecture at equal compute",
    "Every arm has spent the FLOPs of the base, forward and backward, on as many images as they allow.",
    _by_name(
        Arm("base", "the default model, 128 x 96 throughout", usual=True),
        Arm("resnet18", "ResNet-18 at its full width", usual=True),
        Arm("regnety_008", "RegNetY-800MF", usual=True),
        Arm("mobilenetv4", "MobileNetV4-Conv-M", usual=True),
        Arm("repvit", "RepViT-M0.9", usual=True),
        Arm("convnext", "ConvNeXt-Atto", usual=True),
        Arm("size_192", "inputs of 192 x 160", usual=True),
        Arm("size_256", "inputs of 256 x 192", usual=True),
        Arm("growing", "128 x 96 for half of the compute, then 256 x 192", usual=True),
        Arm("parts_first", "parts taught as objects for the first third, then whole objects", usual=True),
        Arm("batch_4", "twice as many steps on batches of 4, learning rate 0.0005 instead of 0.0007", usual=True),
        Arm("grid_sparse", "a grid of one point per 16 px instead of 8 px", usual=True),
        Arm("stride_16", "an embedding of one cell per 16 px; grid and objectness stay at 8 px", usual=True),
        Arm("decoder_narrow", "embedding of 96 and pixel features of 32 channels", usual=True),
        Arm("decoder_wide", "embedding of 192 and pixel features of 96 channels", usual=True),
        Arm("decoder_deep", "three 3x3 convolutions before masks are read, instead of one", usual=True),
        Arm("linear", "a learning rate that falls along a line instead of a cosine", usual=True),
        Arm("prompts_few", "half as many points of each kind", usual=True),
        Arm("prompts_many", "twice as many points of each kind", usual=True),
        Arm("no_own_peaks", "no points of the model's own objectness map", usual=True),
        Arm("no_average", "the last weights instead of their moving average", usual=True),
        Arm("no_crop", "whole frames instead of crops", usual=True),
        Arm("plain_look", "no change of colour, no blur, noise or JPEG", usual=True),
        Arm("paste", "objects of another frame pasted into half of the images", usual=True),
        Arm("shade", "uneven light over half of the images", usual=True),
        Arm("fine_targets", "masks compared at 2 px a cell instead of 4", usual=True),
        Arm("depth", "an auxiliary map of relative depth", usual=True),
        Arm("semantics", "an auxiliary map of classes", usual=True),
        Arm("edges", "an auxiliary map of the edges of objects and of their parts", usual=True),
    ),
    rival="base",
    equal="compute",
)
"""What the small model is made of, how it is asked and what it is shown, one change at a time."""

EXPERIMENTS = {experiment.name: experiment for experiment in (CLAIM, ARCHITECTURE)}
"""All experiments by name."""
