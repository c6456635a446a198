"""Exporting every family: one static graph that reproduces torch, in single and half precision and in 8 bits."""

import json

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from toy_families import SHAPES, picture, write_checkpoint

from saom_ros import runtimes
from saom_ros.bundle import load_config
from saom_ros.errors import SaomError
from saom_ros.golden import load_golden
from saom_ros.segmenter import Segmenter
from training import export
from training.__main__ import main
from training.export import everything_mode, load_checkpoint_segmenter, write_bundle
from training.sam import onnx_graph
from training.sam.checkpoint import load_checkpoint
from training.sam.everything import INPUT_NAMES, OUTPUT_NAMES
from training.sam.half import half_precision
from training.sam.parity import check_half_parity, check_int8_parity, check_parity
from training.sam.registry import build_model

DYNAMIC = {"NonZero", "Loop", "If", "Scan", "GridSample", "NonMaxSuppression", "Unique"}
FOLDED = {"Constant", "Identity", "Range", "Shape"}
"""What the tracer writes where shapes are computed; with static shapes nothing of it is left."""


@pytest.mark.parametrize("family", SHAPES)
def test_a_checkpoint_of_every_family_comes_back(tmp_path, family):
    model, described = load_checkpoint(write_checkpoint(tmp_path, family))
    assert model.family == described["family"] == family
    assert type(model.config)(**vars(model.config)) == build_model(family, SHAPES[family]).config
    assert not model.training


def test_a_separate_models_bundle_reproduces_torch(toy_bundle, sam_small):
    """Every answer that is asked, however bad its score and however many lie on one another."""
    in_onnx, in_torch = Segmenter.load(toy_bundle, "onnxruntime"), load_checkpoint_segmenter(sam_small, max_prompts=70)
    zero, one = np.zeros(1, np.float32), np.ones(1, np.float32)
    inputs = dict(np.load(toy_bundle / "golden.npz")) | {"score_threshold": zero, "objectness_threshold": zero}
    inputs = {name: inputs[name] for name in INPUT_NAMES} | {"overlap_threshold": one}
    expected, found = in_torch.runtime.run(inputs), in_onnx.runtime.run(inputs)
    assert (expected["scores"] > 0).sum() > 5
    check_parity(expected, found)
    assert (expected["class_ids"] == found["class_ids"]).all()


def test_the_bundle_tells_what_it_is(toy_bundle):
    config = load_config(toy_bundle)
    assert (config.family, config.decoding) == ("sam_small", "separate")
    assert (config.grid.rows, config.grid.cols) == (12, 16)
    assert config.max_prompts == 70
    assert len(config.classes) == 3
    assert set(config.files) == {"model.onnx", "model.fp16.onnx", "ranges.json", "golden.npz", "README.md"}


@pytest.mark.parametrize("name", ["model.onnx", "model.fp16.onnx"])
def test_graphs_are_static_at_opset_17(toy_bundle, name):
    graph = onnx.load(toy_bundle / name)
    assert [opset.version for opset in graph.opset_import if not opset.domain] == [17]
    assert not {node.op_type for node in graph.graph.node} & (DYNAMIC | FOLDED)
    assert "LayerNormalization" in {node.op_type for node in graph.graph.node}
    for tensor in (*graph.graph.input, *graph.graph.output):
        assert all(dim.dim_value > 0 for dim in tensor.type.tensor_type.shape.dim)


def test_the_half_graph_has_half_weights_but_exact_points(toy_bundle):
    graph = onnx.load(toy_bundle / "model.fp16.onnx")
    kinds = {tensor.name: tensor.data_type for tensor in graph.graph.initializer}
    halves = [name for name, kind in kinds.items() if kind == onnx.TensorProto.FLOAT16]
    assert len(halves) > 0.9 * sum(name.startswith("model.") for name in kinds)
    assert [tensor.type.tensor_type.elem_type for tensor in graph.graph.input[1:2]] == [onnx.TensorProto.FLOAT]


def test_the_half_graph_answers_like_the_golden_pair(toy_bundle):
    golden = np.load(toy_bundle / "golden.npz")
    session = onnxruntime.InferenceSession(str(toy_bundle / "model.fp16.onnx"), providers=["CPUExecutionProvider"])
    found = session.run(OUTPUT_NAMES, {name: golden[name] for name in INPUT_NAMES})
    check_half_parity(golden, dict(zip(OUTPUT_NAMES, found, strict=True)))


@pytest.mark.parametrize("family", ["small", "vit_b", "mobile_sam"])
def test_other_families_agree_in_half_precision(tmp_path, family):
    module, config = everything_mode(write_checkpoint(tmp_path, family))
    inputs, expected = export.golden_pair(module, config, picture())
    assert (expected["scores"] > 0).any()
    check_half_parity(expected, export.TorchRuntime(half_precision(module)).run(inputs))


def test_half_precision_keeps_fourier_codes_and_the_original():
    model = build_model("sam_small", SHAPES["sam_small"])
    halved = half_precision(model)
    name = "sam.prompt_encoder.pe_layer.positional_encoding_gaussian_matrix"
    kinds = {key: tensor.dtype for key, tensor in halved.state_dict().items() if tensor.is_floating_point()}
    assert [key for key, kind in kinds.items() if kind != torch.float16] == [name]
    torch.testing.assert_close(halved.state_dict()[name], model.state_dict()[name], rtol=0, atol=0)
    assert next(model.parameters()).dtype == torch.float32


def test_many_weights_lie_beside_the_graph(sam_small, tmp_path, monkeypatch):
    monkeypatch.setattr(onnx_graph, "WEIGHTS_APART", 1000)
    module, config = everything_mode(sam_small, max_prompts=4)
    write_bundle(module, config, tmp_path / "bundle", picture(), "# toy\n")
    assert (tmp_path / "bundle" / "model.onnx.data").stat().st_size > 1e5
    assert "model.onnx.data" in load_config(tmp_path / "bundle").files
    assert sorted(path.name for path in (tmp_path / "bundle").iterdir() if path.is_dir()) == []


@pytest.mark.parametrize("shape", [{"embedding_stride": 16}, {"pixel_layers": 3}])
def test_coarser_embeddings_and_deeper_decoders_go_into_bundles(tmp_path, shape):
    """Which `write_bundle` writes only where the graph answers as torch does, in 8 bits too."""
    checkpoint = write_checkpoint(tmp_path, "small", shape)
    module, config = everything_mode(checkpoint)
    assert (config.grid.rows, config.grid.cols) == (12, 12)
    write_bundle(module, config, tmp_path / "bundle", picture(), "# toy\n", calibration=[picture()])
    _, golden = load_golden(tmp_path / "bundle", load_config(tmp_path / "bundle"))
    assert (golden["scores"] > 0).any()


def test_a_pair_without_an_instance_is_not_golden(sam_small):
    module, config = everything_mode(sam_small)
    strict = type(config.thresholds)(score=1.0, objectness=0.5, overlap=0.5)
    inputs, outputs = export.golden_pair(module, export.replace(config, thresholds=strict), picture())
    assert (outputs["scores"] > 0).any()
    assert inputs["overlap_threshold"] == 0.5


def test_a_picture_in_which_nothing_is_found_is_refused(tmp_path):
    module, config = everything_mode(write_checkpoint(tmp_path, "sam_small"), max_prompts=8)
    with torch.no_grad():
        read_out = module.model.sam.mask_decoder.output_hypernetworks_mlps[0].layers[-1]
        read_out.weight.zero_()
        read_out.bias.zero_()
    with pytest.raises(
        SaomError, match=r"the model finds nothing in the picture, .* give --image a picture with objects"
    ):
        write_bundle(module, config, tmp_path / "bundle", picture(), "# toy\n")


def test_ranges_are_those_of_what_goes_into_convolutions(toy_bundle):
    graph = onnx.load(toy_bundle / "model.onnx").graph
    ranges = json.loads((toy_bundle / "ranges.json").read_text())
    assert set(ranges) == {node.input[0] for node in graph.node if node.op_type == "Conv"}
    first = next(node.input[0] for node in graph.node if node.op_type == "Conv")
    low, high = ranges[first]  # normalised pixels, black and white among them
    assert -2.2 < low < -1.5
    assert 2 < high < 2.7


def test_masks_in_8_bits_are_those_in_32(toy_bundle):
    config = load_config(toy_bundle)
    golden = dict(np.load(toy_bundle / "golden.npz"))
    runtime = runtimes.create(toy_bundle, config, "openvino")
    assert "int8" in runtime.note
    check_int8_parity([(golden, runtime.run({name: golden[name] for name in INPUT_NAMES}))])


def test_8_bits_are_for_one_graph_and_want_openvino(sam_small, tmp_path, monkeypatch, capsys):
    command = ["export", "--checkpoint", str(sam_small), "--out", str(tmp_path / "bundle"), "--image", "a.png"]
    assert main([*command, "--int8", str(tmp_path), "--split"]) == 2
    assert "--int8 is for one whole graph" in capsys.readouterr().err
    monkeypatch.setattr(runtimes, "installed", lambda: {"onnxruntime": "1"})
    assert main([*command, "--int8", str(tmp_path)]) == 2
    assert "--int8 compares masks in OpenVINO, which is not installed; run: pip install" in capsys.readouterr().err


def test_8_bits_that_change_the_masks_are_refused():
    masks = np.zeros((2, 4, 4), np.uint8)
    masks[0, :2] = 255
    good = {"scores": np.array([0.9, 0.0], np.float32), "masks": masks, "boxes": np.ones((2, 4), np.float32)}
    check_int8_parity([(good, good)])
    with pytest.raises(SaomError, match=r"mean IoU of matched masks 0\.500 on 2 pictures .*without --int8"):
        check_int8_parity([(good, good), (good, {**good, "masks": masks[:, ::-1]})])


@pytest.mark.parametrize("check", [check_parity, check_half_parity])
def test_a_comparison_without_a_mask_is_no_parity(check):
    nothing = {"scores": np.zeros(2, np.float32), "masks": np.zeros((2, 4, 4), np.uint8)}
    with pytest.raises(SaomError, match="nothing to compare runtimes by"):
        check(nothing, nothing)


def test_other_half_masks_are_refused():
    masks = np.zeros((2, 4, 4), np.uint8)
    masks[0, :2] = 255
    good = {"scores": np.array([0.9, 0.0], np.float32), "masks": masks}
    check_half_parity(good, good)
    with pytest.raises(SaomError, match=r"mean IoU of matched masks 0\.000 .*without --fp16"):
        check_half_parity(good, {**good, "masks": masks[:, ::-1]})
    with pytest.raises(SaomError, match=r"mean IoU of matched masks 0\.000"):
        check_half_parity(good, {**good, "scores": np.zeros(2, np.float32)})


def test_sizes_and_counts_that_cannot_be_are_refused(sam_small):
    with pytest.raises(SaomError, match="input 128x96: this model takes 96x96 only"):
        everything_mode(sam_small, height=96, width=128)
    with pytest.raises(SaomError, match="300 prompts: the grid has 192 points"):
        everything_mode(sam_small, max_prompts=300)
