"""Runtimes beside the first: what is equal, what a difference counts."""

import numpy as np
import pytest
from tiny_bundle import color_blocks, write_tiny_bundle

from saom_ros.bundle import load_config, sha256
from saom_ros.runtime_parity import half_graph, parity_rows


class Changed:
    """A runtime whose outputs a function changes."""

    name, note = "changed", ""

    def __init__(self, runtime, change):
        self.runtime, self.change = runtime, change

    def run(self, inputs):
        outputs = {name: array.copy() for name, array in self.runtime.run(inputs).items()}
        self.change(outputs)
        return outputs


def values(segmenter, change):
    """Equal pixels in percent, IoU of masks, difference of scores, by their rows' order."""
    opened = {"a": segmenter.runtime, "b": Changed(segmenter.runtime, change)}
    shown = [color_blocks(96, 128)[0], color_blocks(48, 64)[0]]
    rows = parity_rows("robot", segmenter.config, opened, shown)
    assert all(row.name.startswith("tiny, b beside a, ") for row in rows)
    return [row.value for row in rows]


def test_equal_runtimes_differ_in_nothing(segmenter):
    assert values(segmenter, lambda outputs: None) == [100.0, 1.0, 0.0]


def test_scores_that_differ_are_told(segmenter):
    def change(outputs):
        outputs["scores"][1] -= 0.005

    pixels, iou, score = values(segmenter, change)
    assert (pixels, iou) == (100.0, 1.0)
    assert score == pytest.approx(0.005, rel=1e-3)


def test_a_lost_object_costs_pixels_and_iou(segmenter):
    def change(outputs):
        outputs["scores"][0] = 0

    pixels, iou, _ = values(segmenter, change)
    assert pixels < 99
    assert iou == 0.75


def test_the_first_has_no_rows(segmenter):
    assert parity_rows("robot", segmenter.config, {"a": segmenter.runtime}, [color_blocks(48, 64)[0]]) == []


def test_the_half_graph_is_opened_where_there_is_one(tmp_path):
    bundle = write_tiny_bundle(tmp_path)
    config = load_config(bundle)
    assert half_graph(bundle, config) == {}
    (bundle / "model.fp16.onnx").write_bytes((bundle / "model.onnx").read_bytes())
    config.files["model.fp16.onnx"] = sha256(bundle / "model.fp16.onnx")
    ((name, runtime),) = half_graph(bundle, config).items()
    assert name == "onnxruntime, fp16 graph"
    assert np.isfinite(runtime.run({n: np.zeros(t.shape, t.dtype) for n, t in runtime.inputs.items()})["boxes"]).all()
