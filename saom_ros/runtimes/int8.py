"""Convolutions in 8 bits, made of a bundle's fp32 graph when it is opened: its weights are there, and the bundle's
`ranges.json` tells the ranges of what goes into them. So no second graph is shipped.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from saom_ros.bundle import RANGES_NAME
from saom_ros.errors import BundleError

MAX_BYTES = 1 << 20
"""A longer file is refused unread: real ones have a few kilobytes."""

WEIGHT_STEPS = 64
"""Weights take -64..64 of the -127..127 that a byte holds: CPUs without VNNI add two products in 16 bits."""

Ranges = Mapping[str, tuple[float, float]]
"""Smallest and largest value of a tensor, by its name in the ONNX graph."""


def load_ranges(folder: Path) -> Ranges:
    """The ranges in `ranges.json` of the bundle in `folder`. Raises `BundleError` where it holds anything else."""
    path = folder / RANGES_NAME
    try:
        with path.open("rb") as file:
            text = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise BundleError(f"{path}: cannot be read: {error.strerror or error}") from None
    if len(text) > MAX_BYTES:
        raise BundleError(f"{path}: is above the limit of {MAX_BYTES} bytes; export the model again")
    try:
        found = json.loads(text)
        ranges = {str(name): (float(low), float(high)) for name, (low, high) in found.items()}
    except (ValueError, TypeError, AttributeError, RecursionError, OverflowError):
        raise BundleError(f"{path}: is not a JSON object of [low, high] by tensor; export the model again") from None
    for name, (low, high) in ranges.items():
        if not (math.isfinite(low) and math.isfinite(high) and low < high):
            raise BundleError(f"{path}: the range of {name!r:.80} is {low!r}..{high!r}; export the model again")
    return ranges


def quantize(model: Any, ranges: Ranges) -> set[str]:
    """Let OpenVINO compile an `openvino.Model` with convolutions in 8 bits: FakeQuantize operators around them say so.

    Activations take 256 steps from low to high, zero among them, weights a range for each output channel. Convolutions
    whose input has no range stay in floating point. Returns the names in `ranges` that it found.
    """
    from openvino import opset8

    found: dict[str, Any] = {}
    for node in model.get_ordered_ops():
        if node.get_type_name() != "Convolution":
            continue
        source, weights = (node.input(k).get_source_output() for k in (0, 1))
        name = next((name for name in source.get_names() if name in ranges), None)
        if name is None or weights.get_node().get_type_name() != "Constant":
            continue
        if name not in found:
            ends = np.float32(min(ranges[name][0], 0)), np.float32(max(ranges[name][1], 0))
            found[name] = opset8.fake_quantize(source, *ends, *ends, 256)
        node.input(0).replace_source_output(found[name].output(0))
        kernels = np.abs(weights.get_node().data)
        largest = kernels.max(axis=tuple(range(1, kernels.ndim)), keepdims=True)
        end = np.maximum(largest * 127 / WEIGHT_STEPS, np.finfo(np.float32).tiny).astype(np.float32)
        node.input(1).replace_source_output(opset8.fake_quantize(weights, -end, end, -end, end, 255).output(0))
    return set(found)
