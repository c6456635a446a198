"""Single prompts to a torch model: the image is encoded once, however many objects are asked for."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray

from saom_ros.instances import paint
from saom_ros.letterbox import Letterbox, letterbox_image
from saom_ros.segmenter import Segmenter
from training.evaluation.systems import image_grid
from training.sam.model import PromptableModel

_CHUNK = 64
"""Prompts decoded together."""


class TorchPrompter:
    """Answers single prompts with a model; input size and grid are those of the segmenter that runs it."""

    def __init__(self, model: PromptableModel, segmenter: Segmenter) -> None:
        self._model = model.eval()
        self._segmenter = segmenter

    def grid(self, height: int, width: int) -> NDArray[np.float32]:
        """See `training.evaluation.systems.Prompter`."""
        return image_grid(self._segmenter, height, width)

    def masks(self, rgb: NDArray[np.uint8], points: NDArray[np.float32]) -> Iterator[NDArray[np.bool_]]:
        """See `training.evaluation.systems.Prompter`; masks are painted as the robot paints them."""
        size = self._segmenter.config.input
        box = Letterbox.fit(rgb.shape[0], rgb.shape[1], size.height, size.width)
        whole_input = np.array([[0, 0, size.width, size.height]], np.float32)
        for probabilities in self._decode(letterbox_image(rgb, box), box.to_input(points).astype(np.float32)):
            for mask in probabilities:
                painted = paint(mask[None], np.ones(1, np.float32), whole_input, np.full(1, -1), box, min_area=1)
                yield painted.label_map > 0

    def _decode(self, image: NDArray[np.uint8], points: NDArray[np.float32]) -> Iterator[NDArray[np.uint8]]:
        """Mask probabilities x 255 of the points, uint8 (n, h/4, w/4) a chunk."""
        device = next(self._model.parameters()).device
        with torch.inference_mode():
            features = self._model.encode(torch.from_numpy(image).to(device).permute(2, 0, 1)[None].float())
        for chunk in torch.from_numpy(points).to(device).split(_CHUNK):
            with torch.inference_mode():
                decoded = self._model.decode(features, chunk[None])
                probabilities = (decoded.masks[0].float().sigmoid() * 255).round().to(torch.uint8)
            yield probabilities.cpu().numpy()
