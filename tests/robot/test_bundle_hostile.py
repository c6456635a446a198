"""Bundles made to do harm: what claims to be large is refused before it takes memory, and flipped bytes never crash."""

import shutil
from pathlib import Path

import numpy as np
import onnx
import pytest
import yaml
from golden_bundle import list_file, write_golden_bundle
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper
from tiny_bundle import color_blocks, tiny_model

from saom_ros.bundle import MAX_GRAPH_BYTES, load_config
from saom_ros.errors import BundleError, SaomError
from saom_ros.golden import load_golden
from saom_ros.segmenter import Segmenter

RGB = color_blocks(96, 128)[0]


@pytest.fixture(scope="module")
def pristine(tmp_path_factory):
    return write_golden_bundle(tmp_path_factory.mktemp("golden") / "tiny")


@pytest.fixture(scope="module")
def expected(pristine):
    return Segmenter.load(pristine, "onnxruntime", 1)(RGB)


@pytest.fixture
def bundle(pristine, tmp_path):
    return Path(shutil.copytree(pristine, tmp_path / "tiny"))


def change_config(bundle, **changes):
    mapping = yaml.safe_load((bundle / "model.yaml").read_text())
    (bundle / "model.yaml").write_text(yaml.safe_dump(mapping | changes))


def write_graph(bundle, model):
    (bundle / "model.onnx").write_bytes(model.SerializeToString())
    list_file(bundle, "model.onnx")


def test_a_gigabyte_of_yaml_is_refused_unread(bundle):
    with open(bundle / "model.yaml", "r+b") as stream:
        stream.truncate(1 << 30)  # sparse: takes no room on the disk
    with pytest.raises(BundleError, match=r"model\.yaml: 1073741824 bytes, above the limit of 1048576"):
        load_config(bundle)


@pytest.mark.parametrize(
    "bomb",
    [
        "\n".join(["a0: &a0 [x, x]"] + [f"a{k}: &a{k} [*a{k - 1}, *a{k - 1}]" for k in range(1, 40)]),
        "\n".join(["a0: &a0 {x: 1}"] + [f"a{k}: &a{k} {{x: *a{k - 1}, y: *a{k - 1}}}" for k in range(1, 40)]),
        "a: &a [*a]",
    ],
    ids=["lists", "mappings", "endless"],
)
def test_aliases_that_stand_for_billions_are_refused(bundle, bomb):
    with open(bundle / "model.yaml", "a") as stream:
        stream.write(f"\n{bomb}\n")
    with pytest.raises(BundleError, match=r"model\.yaml: is not valid YAML: it expands to more than 100000 values"):
        load_config(bundle)


def test_masks_that_would_fill_the_memory_are_refused(bundle):
    change_config(bundle, input={"height": 8192, "width": 8192}, max_instances=65535)
    with pytest.raises(BundleError, match=r"max_instances is 65535; at this input size its masks take 274.* bytes"):
        load_config(bundle)


def test_a_graph_larger_than_protobuf_allows_is_refused_unread(bundle):
    with open(bundle / "model.onnx", "r+b") as stream:
        stream.truncate(MAX_GRAPH_BYTES + 1)
    with pytest.raises(BundleError, match=r"model\.onnx: 2147483648 bytes, above the limit of 2147483647"):
        load_config(bundle)


@pytest.mark.parametrize("dims", [[10**13], [-1], [1 << 62, 1 << 62], [0] * 65, [3, 50]])
def test_a_tensor_that_claims_more_than_its_bytes_is_refused(bundle, dims):
    model = tiny_model()
    model.graph.initializer.append(TensorProto(name="huge", data_type=1, dims=dims, raw_data=bytes(8)))
    write_graph(bundle, model)
    with pytest.raises(BundleError, match=r"model\.onnx: is not an ONNX graph \(a tensor claims the shape \["):
        load_config(bundle)


def test_sparse_tensors_are_refused(bundle):
    model = tiny_model()
    sparse = model.graph.sparse_initializer.add(dims=[1 << 40])
    sparse.values.CopyFrom(TensorProto(name="sparse", data_type=1, dims=[1], raw_data=bytes(4)))
    write_graph(bundle, model)
    with pytest.raises(BundleError, match="sparse tensors are not supported"):
        load_config(bundle)


def test_a_graph_that_computes_a_huge_constant_is_an_error_and_no_crash(bundle):
    model = tiny_model()
    model.graph.initializer.append(helper.make_tensor("shape", TensorProto.INT64, [1], [10**14]))
    model.graph.node.insert(0, helper.make_node("ConstantOfShape", ["shape"], ["huge"]))
    model.graph.node.insert(1, helper.make_node("ReduceMax", ["huge"], ["most"], keepdims=1))
    for node in model.graph.node:
        if node.op_type == "TopK":
            node.input[0] = "kept_too"
    add = helper.make_node("Add", ["kept", "most"], ["kept_too"])
    at = next(k for k, node in enumerate(model.graph.node) if node.op_type == "TopK")
    model.graph.node.insert(at, add)
    write_graph(bundle, model)
    with pytest.raises(BundleError, match=r"model\.onnx: "):
        Segmenter.load(bundle, "onnxruntime", 1)(RGB)


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
@pytest.mark.parametrize("name", ["model.yaml", "model.onnx", "golden.npz"])
def test_a_flipped_bit_is_refused_or_changes_nothing(bundle, pristine, expected, name, data):
    """Whoever damages a file does not know its checksum."""
    content = bytearray((pristine / name).read_bytes())
    content[data.draw(st.integers(0, len(content) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    (bundle / name).write_bytes(content)
    try:
        instances = Segmenter.load(bundle, "onnxruntime", 1)(RGB)
    except BundleError:
        return
    finally:
        shutil.copy(pristine / name, bundle / name)
    assert name == "model.yaml", "checksums cover all other files"
    assert np.array_equal(instances.label_map, expected.label_map) or b"thresholds" in bytes(content)


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
@pytest.mark.parametrize("name", ["model.onnx", "golden.npz"])
def test_a_forged_file_with_the_right_checksum_is_used_or_refused(bundle, pristine, name, data):
    """Whoever makes a bundle knows its checksums; a wrong answer is his, a crash would be ours."""
    content = bytearray((pristine / name).read_bytes())
    for _ in range(data.draw(st.integers(1, 3))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    (bundle / name).write_bytes(content)
    list_file(bundle, name)
    try:
        config = load_config(bundle)
        load_golden(bundle, config)
        if name == "model.onnx":
            Segmenter.load(bundle, "onnxruntime", 1)(RGB)
    except SaomError:
        pass
    finally:
        for each in (name, "model.yaml"):
            shutil.copy(pristine / each, bundle / each)


def test_the_graph_of_the_tests_is_a_graph(pristine):
    onnx.checker.check_model(onnx.load(pristine / "model.onnx"))
