"""A tiny hand-made bundle of the real tensor interface that segments coloured blocks.

Mask k is where colour k (red, green, blue, yellow) dominates, so tests know the right answer without a trained model.
A mask counts when one of the points lies on it: grid points in everything mode, the user's in prompted mode.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import onnx
import yaml
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from saom_ros.bundle import BundleConfig, Grid, InputSize, Thresholds, sha256
from saom_ros.runtimes.openvino import has_bfloat16

HEIGHT, WIDTH = 96, 128
ROWS, COLS = HEIGHT // 4, WIDTH // 4
GRID_ROWS, GRID_COLS = 12, 16
COLORS: dict[str, tuple[int, int, int]] = {
    "red": (255, 0, 0),
    "green": (0, 255, 0),
    "blue": (0, 0, 255),
    "yellow": (255, 255, 0),
}
BACKGROUND = (128, 128, 128)
WITHOUT_GPU = "openvino" if has_bfloat16() and importlib.util.find_spec("openvino") else "onnxruntime"
"""What `auto` takes for a bundle without ranges on this machine's CPU."""


def write_tiny_bundle(folder: Path) -> Path:
    """Write the bundle into `folder` (made where missing) and return it."""
    folder.mkdir(parents=True, exist_ok=True)
    onnx.save(tiny_model(), str(folder / "model.onnx"))
    config = BundleConfig(
        name="tiny",
        version="1",
        family="colours",
        decoding="joint",
        input=InputSize(HEIGHT, WIDTH),
        grid=Grid(GRID_ROWS, GRID_COLS),
        max_prompts=8,
        max_instances=len(COLORS),
        classes=tuple(COLORS),
        thresholds=Thresholds(score=0.3, objectness=0.5, overlap=0.5),
        licence="Apache-2.0",
        files={"model.onnx": sha256(folder / "model.onnx")},
    )
    (folder / "model.yaml").write_text(yaml.safe_dump(config.to_mapping(), sort_keys=False), encoding="utf-8")
    return folder


def color_blocks(height: int, width: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """An image with one block per colour on grey: RGB uint8 `(H, W, 3)`, and the truth uint8 `(H, W)`, colour + 1.

    Block sizes differ, so that scores do: red is the largest.
    """
    rgb = np.full((height, width, 3), BACKGROUND, np.uint8)
    truth = np.zeros((height, width), np.uint8)
    for index, (color, size) in enumerate(zip(COLORS.values(), (0.36, 0.32, 0.28, 0.24), strict=True)):
        top, left = height * (0.06 + 0.5 * (index // 2)), width * (0.06 + 0.5 * (index % 2))
        window = slice(round(top), round(top + size * height)), slice(round(left), round(left + size * width))
        rgb[window] = color
        truth[window] = index + 1
    return rgb, truth


def tiny_model() -> onnx.ModelProto:
    """The graph; opset 17 and IR 8, which ONNX Runtime 1.16 reads."""
    constants = {
        "axis0": np.array([0], np.int64),
        "axes_rows": np.array([1], np.int64),
        "cells": np.array([len(COLORS), ROWS * COLS], np.int64),
        "unit": np.array(1 / 255, np.float32),
        "mean": np.full((4, 4), 1 / 16, np.float32) * np.eye(3, dtype=np.float32)[:, :, None, None],
        "gain": np.array(8.0, np.float32),
        "edge": np.array(0.5, np.float32),
        "full": np.array(255.0, np.float32),
        "half": np.array(0.5, np.float32),
        "zero": np.array(0.0, np.float32),
        "stride": np.array(4.0, np.float32),
        "strides": np.array([4.0, 4.0], np.float32),
        "row_pitch": np.array([1.0, COLS], np.float32),
        "last_cell": np.array([COLS - 1, ROWS - 1], np.float32),
        "x_index": np.arange(COLS, dtype=np.float32),
        "y_index": np.arange(ROWS, dtype=np.float32),
        "x_end": np.array(float(COLS), np.float32),
        "y_end": np.array(float(ROWS), np.float32),
        "one": np.array(1.0, np.float32),
        "base_score": np.array(0.6, np.float32),
        "area_score": np.array(0.4, np.float32),
        "all_classes": np.arange(len(COLORS), dtype=np.int32),
        "unknown": np.array(-1, np.int32),
        "count": np.array([len(COLORS)], np.int64),
    }
    graph = helper.make_graph(
        [*_mask_nodes(), *_point_nodes(), *_score_nodes(), *_box_nodes(), *_sort_nodes()],
        "tiny",
        [
            helper.make_tensor_value_info("image", TensorProto.UINT8, [1, HEIGHT, WIDTH, 3]),
            helper.make_tensor_value_info("points", TensorProto.FLOAT, [GRID_ROWS * GRID_COLS, 2]),
            *(
                helper.make_tensor_value_info(f"{name}_threshold", TensorProto.FLOAT, [1])
                for name in ("score", "objectness", "overlap")
            ),
        ],
        [
            helper.make_tensor_value_info("masks", TensorProto.UINT8, [len(COLORS), ROWS, COLS]),
            helper.make_tensor_value_info("scores", TensorProto.FLOAT, [len(COLORS)]),
            helper.make_tensor_value_info("boxes", TensorProto.FLOAT, [len(COLORS), 4]),
            helper.make_tensor_value_info("class_ids", TensorProto.INT32, [len(COLORS)]),
        ],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8, producer_name="tests")
    onnx.checker.check_model(model)
    return model


def _mask_nodes() -> list[onnx.NodeProto]:
    """image -> prob (4, rows, cols): how far each colour dominates, through a sigmoid."""
    node = helper.make_node
    return [
        node("Cast", ["image"], ["image_float"], to=TensorProto.FLOAT),
        node("Mul", ["image_float", "unit"], ["image_unit"]),
        node("Transpose", ["image_unit"], ["channels_first"], perm=[0, 3, 1, 2]),
        node("Conv", ["channels_first", "mean"], ["pooled"], kernel_shape=[4, 4], strides=[4, 4]),
        node("Split", ["pooled"], ["r", "g", "b"], axis=1),
        node("Max", ["g", "b"], ["gb"]),
        node("Max", ["r", "b"], ["rb"]),
        node("Max", ["r", "g"], ["rg"]),
        node("Min", ["r", "g"], ["both"]),
        node("Sub", ["r", "gb"], ["red"]),
        node("Sub", ["g", "rb"], ["green"]),
        node("Sub", ["b", "rg"], ["blue"]),
        node("Sub", ["both", "b"], ["yellow"]),
        node("Concat", ["red", "green", "blue", "yellow"], ["colors"], axis=1),
        node("Squeeze", ["colors", "axis0"], ["excess"]),
        node("Sub", ["excess", "edge"], ["centred"]),
        node("Mul", ["centred", "gain"], ["logits"]),
        node("Sigmoid", ["logits"], ["prob"]),
        node("Greater", ["prob", "half"], ["inside"]),
        node("Cast", ["inside"], ["binary"], to=TensorProto.FLOAT),
    ]


def _point_nodes() -> list[onnx.NodeProto]:
    """points -> asked (4,): whether a valid point with enough objectness lies on the mask."""
    node = helper.make_node
    return [
        node("ReduceMin", ["points"], ["point_min"], axes=[1], keepdims=0),
        node("GreaterOrEqual", ["point_min", "zero"], ["valid"]),
        node("Div", ["points", "strides"], ["point_cells"]),
        node("Floor", ["point_cells"], ["point_floor"]),
        node("Max", ["point_floor", "zero"], ["point_low"]),
        node("Min", ["point_low", "last_cell"], ["point_cell"]),
        node("Mul", ["point_cell", "row_pitch"], ["point_terms"]),
        node("ReduceSum", ["point_terms", "axes_rows"], ["point_flat"], keepdims=0),
        node("Cast", ["point_flat"], ["point_index"], to=TensorProto.INT64),
        node("Reshape", ["prob", "cells"], ["prob_flat"]),
        node("Gather", ["prob_flat", "point_index"], ["objectness"], axis=1),
        node("Greater", ["objectness", "half"], ["on_mask"]),
        node("Greater", ["objectness", "objectness_threshold"], ["objective"]),
        node("And", ["on_mask", "objective"], ["promising"]),
        node("And", ["promising", "valid"], ["prompting"]),
        node("Cast", ["prompting"], ["prompting_float"], to=TensorProto.FLOAT),
        node("ReduceMax", ["prompting_float"], ["asked"], axes=[1], keepdims=0),
    ]


def _score_nodes() -> list[onnx.NodeProto]:
    """binary, asked -> kept (4,): score by area, 0 where nobody asked or below the threshold."""
    node = helper.make_node
    return [
        node("ReduceMean", ["binary"], ["fraction"], axes=[1, 2], keepdims=0),
        node("Mul", ["fraction", "area_score"], ["by_area"]),
        node("Add", ["by_area", "base_score"], ["quality"]),
        node("Mul", ["quality", "asked"], ["asked_quality"]),
        # The toy's masks never overlap; the threshold is an input all the same.
        node("Mul", ["overlap_threshold", "zero"], ["nothing"]),
        node("Add", ["asked_quality", "nothing"], ["raw_score"]),
        node("GreaterOrEqual", ["raw_score", "score_threshold"], ["good"]),
        node("Where", ["good", "raw_score", "zero"], ["kept"]),
    ]


def _box_nodes() -> list[onnx.NodeProto]:
    """binary -> all_boxes (4, 4): the cells above one half, in input pixels, exclusive maximum."""
    node = helper.make_node
    nodes = []
    for name, axis in (("x", 1), ("y", 2)):
        nodes += [
            node("ReduceMax", ["binary"], [f"{name}_any"], axes=[axis], keepdims=0),
            node("Add", [f"{name}_index", "one"], [f"{name}_next"]),
            node("Mul", [f"{name}_any", f"{name}_next"], [f"{name}_nexts"]),
            node("ReduceMax", [f"{name}_nexts"], [f"{name}_max"], axes=[1], keepdims=1),
            node("Sub", [f"{name}_end", f"{name}_index"], [f"{name}_rest"]),
            node("Mul", [f"{name}_any", f"{name}_rest"], [f"{name}_rests"]),
            node("ReduceMax", [f"{name}_rests"], [f"{name}_most"], axes=[1], keepdims=1),
            node("Sub", [f"{name}_end", f"{name}_most"], [f"{name}_min"]),
        ]
    return [
        *nodes,
        node("Concat", ["x_min", "y_min", "x_max", "y_max"], ["box_cells"], axis=1),
        node("Mul", ["box_cells", "stride"], ["all_boxes"]),
    ]


def _sort_nodes() -> list[onnx.NodeProto]:
    """Everything by descending score."""
    node = helper.make_node
    return [
        node("TopK", ["kept", "count"], ["scores", "order"], axis=0),
        node("Mul", ["prob", "full"], ["prob_full"]),
        node("Round", ["prob_full"], ["prob_round"]),
        node("Cast", ["prob_round"], ["prob_bytes"], to=TensorProto.UINT8),
        node("Gather", ["prob_bytes", "order"], ["masks"], axis=0),
        node("Gather", ["all_boxes", "order"], ["boxes"], axis=0),
        node("Gather", ["all_classes", "order"], ["sorted_classes"], axis=0),
        node("Greater", ["scores", "zero"], ["used"]),
        node("Where", ["used", "sorted_classes", "unknown"], ["class_ids"]),
    ]
