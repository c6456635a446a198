"""NVIDIA's own parser and builder take our graphs: TensorRT for RTX builds ahead of time on machines without a GPU.

Proves that the graphs parse and build strongly typed; numbers, speed and memory of the engines show only on a GPU.
"""

import subprocess
import sys

import onnx
import pytest
from onnx import TensorProto, helper

pytest.importorskip("tensorrt_rtx", reason="pip install tensorrt-rtx")
pytest.importorskip("polygraphy", reason="pip install 'saom_ros[tensorrt]'")

from test_export import picture, write_checkpoint

from saom_ros.bundle import DEFAULT_BUNDLE
from training.export import everything_mode, write_bundle

BUILD = """
import os, pathlib, sys
os.environ["POLYGRAPHY_USE_TENSORRT_RTX"] = "1"
from saom_ros.engine_build import build
pathlib.Path(sys.argv[2]).write_bytes(build(pathlib.Path(sys.argv[1]), typed=True, half=False))
"""


def build(graph, engine):
    """Build an engine in a process of its own: the choice of TensorRT is made when Polygraphy is imported."""
    command = [sys.executable, "-c", BUILD, str(graph), str(engine)]
    return subprocess.run(command, capture_output=True, text=True, timeout=600)


@pytest.fixture(scope="module")
def sam_small(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sam_small")
    module, config = everything_mode(write_checkpoint(folder, "sam_small", grid=[12, 16]), max_prompts=70)
    write_bundle(module, config, folder / "bundle", picture(), "# toy\n", half=True)
    return folder / "bundle"


def test_the_shipped_graph_is_built(tmp_path):
    done = build(DEFAULT_BUNDLE / "model.onnx", tmp_path / "engine")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "engine").stat().st_size > 5_000_000, "five million weights"


@pytest.mark.parametrize("name", ["model.onnx", "model.fp16.onnx"])
def test_graphs_of_separate_decoding_are_built(sam_small, tmp_path, name):
    done = build(sam_small / name, tmp_path / "engine")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "engine").stat().st_size > 100_000


def add_node(model, node):
    """Put a node between the graph's scores and those who read them."""
    for each in model.graph.node:
        each.output[:] = ["scores_before" if name == "scores" else name for name in each.output]
    model.graph.node.append(node)


@pytest.mark.parametrize("harm", ["truncated", "unknown operator", "mixed types", "uint8 read by more than a cast"])
def test_a_graph_that_is_wrong_is_refused(sam_small, tmp_path, harm):
    model, graph = onnx.load(sam_small / "model.onnx"), tmp_path / "model.onnx"
    if harm == "truncated":
        graph.write_bytes((sam_small / "model.onnx").read_bytes()[:-1000])
    elif harm == "unknown operator":
        add_node(model, helper.make_node("NoSuchOperator", ["scores_before"], ["scores"]))
        onnx.save(model, graph)
    elif harm == "mixed types":
        model.graph.initializer.append(helper.make_tensor("halves", TensorProto.FLOAT16, [1], [1.0]))
        add_node(model, helper.make_node("Mul", ["scores_before", "halves"], ["scores"]))
        onnx.save(model, graph)
    else:
        model.graph.node.insert(0, helper.make_node("Transpose", ["image"], ["turned"], perm=[0, 3, 1, 2]))
        model.graph.output.append(helper.make_tensor_value_info("turned", TensorProto.UINT8, None))
        onnx.save(model, graph)
    done = build(graph, tmp_path / "engine")
    assert done.returncode != 0
    assert "PolygraphyException" in done.stderr
    assert not (tmp_path / "engine").exists()
