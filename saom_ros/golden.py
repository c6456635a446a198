"""The golden pair of a bundle: one input and its outputs, and how far a runtime's answer may be from them.

TensorRT has built engines that are fast and silently wrong, so an engine is used only after it has given these outputs.
"""

from __future__ import annotations

import math
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from saom_ros.bundle import BundleConfig
from saom_ros.errors import BundleError
from saom_ros.runtimes.base import Tensor, graph_inputs, graph_outputs

GOLDEN_NAME = "golden.npz"

MIN_MASK_IOU = 0.98
MIN_BOX_IOU = 0.9
"""One stray cell at a mask's rim moves its box, so boxes are held to less than masks."""
MAX_SCORE_DIFFERENCE = 0.02
"""Half precision and TF32 move scores by thousandths; thresholds are chosen to hundredths."""

Arrays = Mapping[str, NDArray]


class Agreement(NamedTuple):
    """How well found outputs agree with expected ones, over the used masks matched by IoU."""

    mask_iou: float
    """Mean IoU of each mask with its likest, the worse of both directions: missing and surplus masks both count."""
    box_iou: float
    """Mean IoU of the boxes of matched masks."""
    score_difference: float
    """Largest difference of the scores of matched masks."""

    @property
    def problem(self) -> str:
        """Which limit is broken, or empty."""
        if not self.mask_iou >= MIN_MASK_IOU:
            return f"mean mask IoU {self.mask_iou:.3f} with the golden outputs, at least {MIN_MASK_IOU} is due"
        if not self.score_difference <= MAX_SCORE_DIFFERENCE:
            return f"a score differs by {self.score_difference:.3f} from the golden one, {MAX_SCORE_DIFFERENCE} may be"
        if not self.box_iou >= MIN_BOX_IOU:
            return f"mean box IoU {self.box_iou:.3f} with the golden outputs, at least {MIN_BOX_IOU} is due"
        return ""


def load_golden(folder: Path, config: BundleConfig) -> tuple[dict[str, NDArray], dict[str, NDArray]]:
    """Inputs and outputs in `golden.npz` of the bundle in `folder`.

    Raises `BundleError` where the pair is missing or is not of the dtypes and shapes that `config` implies; nothing is
    allocated for what does not fit.
    """
    path = folder / GOLDEN_NAME
    if GOLDEN_NAME not in config.files:
        raise BundleError(f"{path}: the bundle lists no golden pair to compare with; export the model again")
    try:
        with zipfile.ZipFile(path) as archive:
            pair = [
                {name: _read(archive, f"{name}.npy", tensor) for name, tensor in tensors.items()}
                for tensors in (graph_inputs(config), graph_outputs(config))
            ]
    except OSError as error:
        raise BundleError(f"{path}: cannot be read: {error.strerror or error}") from None
    except Exception as error:  # zipfile, zlib and NumPy's header reader raise what they like on damaged files
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise BundleError(f"{path}: is no golden pair of this model: {reason}; export the model again") from None
    return pair[0], pair[1]


def compare(expected: Arrays, found: Arrays) -> Agreement:
    """How well a graph's outputs `found` agree with those `expected`; unused rows (score 0) do not count."""
    rows = [np.flatnonzero(outputs["scores"] > 0) for outputs in (expected, found)]
    if not len(rows[0]) or not len(rows[1]):
        same = float(len(rows[0]) == len(rows[1]))
        return Agreement(same, same, 1.0 - same)
    iou = mask_iou(expected["masks"][rows[0]], found["masks"][rows[1]])
    likest = iou.argmax(1)
    boxes = _box_iou(expected["boxes"][rows[0]], found["boxes"][rows[1]][likest])
    scores = np.abs(expected["scores"][rows[0]] - found["scores"][rows[1]][likest])
    matched = iou.max(1) >= 0.5
    return Agreement(
        float(min(iou.max(1).mean(), iou.max(0).mean())),
        float(boxes[matched].mean()) if matched.any() else 0.0,
        float(scores[matched].max(initial=0.0)),
    )


def mask_iou(first: NDArray, second: NDArray) -> NDArray[np.float32]:
    """IoU `(N, M)` of masks uint8 `(N, h, w)` with `(M, h, w)`, inside above one half; 0 for empty masks."""
    masks = [
        (array.reshape(len(array), math.prod(array.shape[1:])) > 127).astype(np.float32) for array in (first, second)
    ]
    shared = masks[0] @ masks[1].T
    areas = [mask.sum(1) for mask in masks]
    return shared / np.maximum(areas[0][:, None] + areas[1][None] - shared, 1)


def _box_iou(first: NDArray, second: NDArray) -> NDArray:
    """IoU `(N,)` of boxes float32 `(N, 4)`, pair by pair."""
    low, high = np.maximum(first[:, :2], second[:, :2]), np.minimum(first[:, 2:], second[:, 2:])
    shared = (high - low).clip(0).prod(1)
    areas = [(boxes[:, 2:] - boxes[:, :2]).clip(0).prod(1) for boxes in (first, second)]
    return shared / np.maximum(areas[0] + areas[1] - shared, 1e-6)


def _read(archive: zipfile.ZipFile, name: str, expected: Tensor) -> NDArray:
    """One array of the file; its header is compared before anything is allocated for it."""
    with archive.open(name) as stream:
        version = np.lib.format.read_magic(stream)
        read_header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, fortran, dtype = read_header(stream)
        found = Tensor(dtype.name, shape)
        if found != expected or fortran or dtype.hasobject:
            raise ValueError(f"{name} is {found}; model.yaml implies {expected}")
        size = dtype.itemsize * int(np.prod(shape, dtype=np.int64))
        content = stream.read(size)
        if len(content) != size:
            raise ValueError(f"{name} ends after {len(content)} of {size} bytes")
        return np.frombuffer(content, dtype).reshape(shape)
