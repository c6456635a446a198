"""How far runtimes differ on the same frames: label maps and masks of each beside those of the first.

Part of `saom bench`. The tolerances: 99.9 % equal pixels and scores within 1e-3 in fp32, a mean mask IoU of 0.98 in any
lower precision, where two objects of like scores may also swap their numbers and with them all their pixels.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from saom_ros.benchmark_rows import Row
from saom_ros.bundle import HALF_GRAPH_NAME, BundleConfig
from saom_ros.golden import Agreement, compare
from saom_ros.runtimes import ONNXRUNTIME, Runtime
from saom_ros.runtimes.base import whole_graph
from saom_ros.segmenter import Segmenter

HALF = f"{ONNXRUNTIME}, fp16 graph"


def parity_rows(
    area: str, config: BundleConfig, opened: Mapping[str, Runtime], shown: Sequence[NDArray[np.uint8]]
) -> list[Row]:
    """For each runtime but the first: mean share of equal label-map pixels, mean IoU of matched masks, and the largest
    difference of their scores, over the frames (H, W, 3) at the bundle's own thresholds.
    """
    first, *others = opened
    expected = _answers(config, opened[first], shown)
    found = []
    for name in others:
        pairs = list(zip(expected, _answers(config, opened[name], shown), strict=True))
        pixels = np.mean([(one.label_map == other.label_map).mean() for one, other in pairs])
        agreements = [compare(one.outputs, other.outputs) for one, other in pairs]
        subject = f"{config.name}, {name} beside {first}"
        found += [
            Row(area, f"{subject}, equal pixels of the label map", round(100 * float(pixels), 3), "%"),
            Row(area, f"{subject}, mean IoU of masks", _rounded(np.mean([each.mask_iou for each in agreements]))),
            Row(area, f"{subject}, largest difference of scores", _rounded(_largest(agreements))),
        ]
    return found


def half_graph(folder: Path, config: BundleConfig) -> dict[str, Runtime]:
    """The fp16 graph of a bundle that has one, on the CPU, by the name of its rows.

    ONNX Runtime multiplies it in fp32 there: it shows what rounded weights do; export has compared true fp16.
    """
    if HALF_GRAPH_NAME not in config.files:
        return {}
    from saom_ros.runtimes.onnxruntime import OnnxRuntime

    return {HALF: OnnxRuntime(folder, whole_graph(config)._replace(file=HALF_GRAPH_NAME))}


class _Answer(NamedTuple):
    label_map: NDArray[np.uint16]
    outputs: dict[str, NDArray]


class _Recorder:
    """A runtime that keeps the latest outputs of another."""

    def __init__(self, runtime: Runtime) -> None:
        self.name, self.note, self._runtime = runtime.name, runtime.note, runtime
        self.outputs: dict[str, NDArray] = {}

    def run(self, inputs: Mapping[str, NDArray]) -> dict[str, NDArray]:
        self.outputs = self._runtime.run(inputs)
        return self.outputs


def _answers(config: BundleConfig, runtime: Runtime, shown: Sequence[NDArray[np.uint8]]) -> list[_Answer]:
    recorder = _Recorder(runtime)
    segmenter = Segmenter(config, recorder)
    return [_Answer(segmenter(rgb).label_map, recorder.outputs) for rgb in shown]


def _largest(agreements: Sequence[Agreement]) -> float:
    return max(each.score_difference for each in agreements)


def _rounded(value: float | np.floating) -> float:
    return float(f"{float(value):.4g}")
