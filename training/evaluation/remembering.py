"""A runtime that asks the model once about an image, for those who try many thresholds on it."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from training.export import TorchRuntime
from training.sam.everything import OUTPUT_NAMES


class RememberingRuntime(TorchRuntime):
    """Answers as `TorchRuntime` does, bit by bit, and keeps what the model said of each image.

    Thresholds choose among the answers and change none. An image takes K x h/4 x w/4 floats of memory.
    """

    def __init__(self, runtime: TorchRuntime) -> None:
        """The same model on the same device."""
        super().__init__(runtime.module, runtime.device)
        self._answers: dict[bytes, tuple[Tensor, ...]] = {}

    def run(self, inputs: Mapping[str, NDArray]) -> dict[str, NDArray]:
        """Run the graph, or what of it comes behind the model; see `saom_ros.runtimes.base.Runtime`."""
        objectness, *thresholds = (
            self._tensor(inputs[f"{name}_threshold"]) for name in ("objectness", "score", "overlap")
        )
        asked = inputs["image"], inputs["points"], inputs["objectness_threshold"] < 0
        key = b"".join(np.ascontiguousarray(one).tobytes() for one in asked)
        with torch.inference_mode():
            if key not in self._answers:
                self._answers[key] = self.module.ask(*map(self._tensor, asked))
            rank, probabilities, scores, classes = self._answers[key]
            outputs = self.module.select(probabilities, scores * (rank > objectness), classes, *thresholds)
        return {name: output.cpu().numpy() for name, output in zip(OUTPUT_NAMES, outputs, strict=True)}

    def _tensor(self, array: NDArray) -> Tensor:
        return torch.from_numpy(np.ascontiguousarray(array)).to(self.device)
