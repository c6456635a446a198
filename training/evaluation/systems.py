"""What is scored: systems that segment an image, and that answer single prompts where they can."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from saom_ros.bundle import Thresholds
from saom_ros.errors import SaomError
from saom_ros.instances import Instances
from saom_ros.letterbox import Letterbox, grid_points
from saom_ros.runtimes import AUTO
from saom_ros.segmenter import Segmenter

_BUNDLE_SUFFIXES = (".onnx", ".yaml", ".npz")
_EVERY_MASK = Thresholds(score=0.0, objectness=0.0, overlap=1.0)


class Prompter(Protocol):
    """Answers single prompts, each for itself."""

    def grid(self, height: int, width: int) -> NDArray[np.float32]:
        """Points (P, 2), x y px, that everything mode asks in an image of this size."""

    def masks(self, rgb: NDArray[np.uint8], points: NDArray[np.float32]) -> Iterator[NDArray[np.bool_]]:
        """The mask (H, W) of each point (N, 2), x y px, in an RGB image uint8 (H, W, 3), whatever its score."""


@dataclass(frozen=True)
class System:
    """Something that is scored."""

    segment: Callable[[NDArray[np.uint8]], Instances]
    """RGB image uint8 (H, W, 3) to instances: a Segmenter, the baseline."""
    prompter: Prompter | None = None
    """None where single prompts cannot be asked: figures with prompts do not exist then."""


def load_system(model: Path, threads: int = 0, runtime: str = AUTO) -> tuple[System, Segmenter]:
    """The system of a bundle folder, in a runtime of `saom_ros.runtimes`, or of a checkpoint file (torch, whatever
    `runtime` says), and its segmenter.

    Raises:
        SaomError: the path does not exist, or what lies there is not a model; the runtime is unknown or not installed.
    """
    if model.is_dir():
        segmenter = Segmenter.load(model, runtime, threads)
        return System(segmenter, SegmenterPrompter(segmenter)), segmenter
    if not model.exists():
        raise SaomError(f"model {model} does not exist; give a bundle folder or a checkpoint file (.ckpt)")
    if model.suffix in _BUNDLE_SUFFIXES:
        raise SaomError(f"model {model} is a file; of a bundle, give the folder that it lies in")
    import torch  # needed for checkpoints only

    from training.evaluation.torch_prompter import TorchPrompter
    from training.export import TorchRuntime, everything_mode

    if threads:
        torch.set_num_threads(threads)
    module, config = everything_mode(model)
    segmenter = Segmenter(config, TorchRuntime(module))
    return System(segmenter, TorchPrompter(module.model, segmenter)), segmenter


def image_grid(segmenter: Segmenter, height: int, width: int) -> NDArray[np.float32]:
    """The grid of a segmenter's everything mode in pixels of an image of this size, float32 (P, 2)."""
    config = segmenter.config
    box = Letterbox.fit(height, width, config.input.height, config.input.width)
    return box.to_image(grid_points(config.grid.rows, config.grid.cols, box)).astype(np.float32)


class SegmenterPrompter:
    """Prompted mode of a segmenter, one point a call: a bundle does not tell which mask answers which point."""

    def __init__(self, segmenter: Segmenter) -> None:
        # A segmenter of its own over the same runtime: no mask is dropped for its score or its size.
        self._segmenter = Segmenter(replace(segmenter.config, thresholds=_EVERY_MASK), segmenter.runtime)
        self._segmenter.min_area = 1

    def grid(self, height: int, width: int) -> NDArray[np.float32]:
        """See `Prompter`."""
        return image_grid(self._segmenter, height, width)

    def masks(self, rgb: NDArray[np.uint8], points: NDArray[np.float32]) -> Iterator[NDArray[np.bool_]]:
        """See `Prompter`."""
        for point in points:
            yield self._segmenter(rgb, points=point[None]).label_map > 0
