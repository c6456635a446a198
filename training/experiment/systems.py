"""What each arm is scored as: the base as SAM is used, by its automatic mask generator; the others as the robot runs
them, by objectness prompts, and beside it over the full grid.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from saom_ros.instances import Instances
from saom_ros.segmenter import Segmenter
from training.evaluation import automatic_masks
from training.evaluation.automatic_masks import AutomaticMasks
from training.evaluation.choosing import choose_thresholds
from training.evaluation.frames import LabelledFrame
from training.evaluation.systems import System, image_grid, load_system
from training.evaluation.torch_prompter import TorchPrompter
from training.export import TorchRuntime, everything_mode
from training.sam.model import Decoded, Features, PromptableModel, best_scored
from training.sam.separate import SeparateSam

FULL_GRID_THRESHOLDS: dict[str, tuple[float, ...]] = {
    "score": (0.1, 0.2, 0.3, 0.4, 0.5, 0.6),
    "overlap": (0.3, 0.5, 0.7),
}
"""What is tried for a full grid; it has no objectness to threshold."""


def base_system(checkpoint: Path, points_per_side: int, frames: Sequence[LabelledFrame]) -> tuple[System, dict]:
    """The automatic mask generator over a model trained like SAM, its thresholds tuned on validation frames.

    A single prompt is answered with the best scored of the three masks, as SAM's users take it. Returns the system and
    what was chosen.
    """
    model, segmenter = _separate(checkpoint)
    generator = AutomaticMasks(model.sam, points_per_side)
    tuned = automatic_masks.tune(generator, frames)
    return System(generator, TorchPrompter(BestOfThree(model), segmenter)), {"thresholds": tuned.best}


def objectness_system(checkpoint: Path, frames: Sequence[LabelledFrame]) -> tuple[System, dict]:
    """Everything mode as on the robot, thresholds chosen on validation frames; the system and what was chosen."""
    system, segmenter = load_system(checkpoint)
    return system, {"thresholds": choose_thresholds(segmenter, frames).best}


def full_grid_system(checkpoint: Path, frames: Sequence[LabelledFrame]) -> tuple[System, dict]:
    """The same with every grid point asked; the system and what was chosen."""
    _, config = everything_mode(checkpoint)
    module, config = everything_mode(checkpoint, max_prompts=config.grid.rows * config.grid.cols)
    segmenter = Segmenter(config, TorchRuntime(module))
    asked = FullGrid(segmenter)
    chosen = choose_thresholds(asked, frames, FULL_GRID_THRESHOLDS)
    return System(asked), {"thresholds": chosen.best}


class FullGrid(Segmenter):
    """A segmenter whose everything mode asks each point of the grid, as SAM's does."""

    def __init__(self, segmenter: Segmenter) -> None:
        super().__init__(segmenter.config, segmenter.runtime)

    def __call__(self, rgb: NDArray[np.uint8], points: Any = None) -> Instances:
        """Segment an RGB image uint8 (H, W, 3)."""
        return super().__call__(rgb, image_grid(self, rgb.shape[0], rgb.shape[1]))


class BestOfThree(PromptableModel):
    """A model whose one answer to a point is the best scored of SAM's three."""

    decoding = "separate"

    def __init__(self, model: SeparateSam) -> None:
        super().__init__()
        self.model = model
        self.family, self.config, self.objectness_stride = model.family, model.config, model.objectness_stride

    def encode(self, images: Tensor) -> Features:
        """See `PromptableModel`."""
        return self.model.encode(images)

    def objectness(self, features: Features) -> Tensor:
        """See `PromptableModel`."""
        return self.model.objectness(features)

    def decode(self, features: Features, points: Tensor) -> Decoded:
        """See `PromptableModel`."""
        masks, scores = (every[:, :, 1:] for every in self.model.decode_every(features, points))
        return Decoded(*best_scored(masks, scores))

    def encoder_modules(self) -> list[torch.nn.Module]:
        """See `PromptableModel`."""
        return self.model.encoder_modules()


def _separate(checkpoint: Path) -> tuple[SeparateSam, Segmenter]:
    module, config = everything_mode(checkpoint)
    assert isinstance(module.model, SeparateSam)
    return module.model, Segmenter(config, TorchRuntime(module))
