"""NVIDIA's own parser and builder take our graphs: TensorRT for RTX builds ahead of time on machines without a GPU.

Proves that the graphs parse and build strongly typed; numbers, speed and memory of the engines show only on a GPU.
"""

import onnx
import pytest
from onnx import TensorProto, helper

pytest.importorskip("tensorrt_rtx", reason="pip install tensorrt-rtx")
pytest.importorskip("polygraphy", reason="pip install 'saom_ros[tensorrt]'")

from saom_ros.bundle import DEFAULT_BUNDLE
from training.benchmarking.graphs import build_for_rtx, graph_rows


def test_the_shipped_graph_is_built(tmp_path):
    done = build_for_rtx(DEFAULT_BUNDLE / "model.onnx", tmp_path / "engine")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "engine").stat().st_size > 5_000_000, "five million weights"


@pytest.mark.parametrize("name", ["model.onnx", "model.fp16.onnx"])
def test_graphs_of_separate_decoding_are_built(toy_bundle, tmp_path, name):
    done = build_for_rtx(toy_bundle / name, tmp_path / "engine")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "engine").stat().st_size > 100_000


def test_the_benchmark_tells_operators_and_engine_or_why_there_is_none(toy_bundle, tmp_path):
    found = {row.name: row.value for row in graph_rows("toy", toy_bundle / "model.onnx", tmp_path)}
    assert "Conv " in found["toy: operators"]
    assert found["toy: engine"] >= 1
    model = onnx.load(toy_bundle / "model.onnx")
    add_node(model, helper.make_node("NoSuchOperator", ["scores_before"], ["scores"]))
    onnx.save(model, tmp_path / "model.onnx")
    found = {row.name: row.value for row in graph_rows("toy", tmp_path / "model.onnx", tmp_path)}
    assert "refused" in found["toy: engine"]


def add_node(model, node):
    """Put a node between the graph's scores and those who read them."""
    for each in model.graph.node:
        each.output[:] = ["scores_before" if name == "scores" else name for name in each.output]
    model.graph.node.append(node)


@pytest.mark.parametrize("harm", ["truncated", "unknown operator", "mixed types", "uint8 read by more than a cast"])
def test_a_graph_that_is_wrong_is_refused(toy_bundle, tmp_path, harm):
    model, graph = onnx.load(toy_bundle / "model.onnx"), tmp_path / "model.onnx"
    if harm == "truncated":
        graph.write_bytes((toy_bundle / "model.onnx").read_bytes()[:-1000])
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
    done = build_for_rtx(graph, tmp_path / "engine")
    assert done.returncode != 0
    assert "PolygraphyException" in done.stderr
    assert not (tmp_path / "engine").exists()
