"""A bundle of three graphs gives what the bundle of one graph of the same checkpoint gives."""

import dataclasses
import shutil

import cv2
import numpy as np
import onnx
import pytest
from toy_families import picture, write_checkpoint

from saom_ros import runtimes
from saom_ros.bundle import SPLIT_NAMES, Thresholds, load_config
from saom_ros.errors import BundleError, SaomError
from saom_ros.golden import load_golden
from saom_ros.letterbox import Letterbox, grid_points
from saom_ros.runtimes.split import CHUNK
from saom_ros.segmenter import Segmenter
from training.__main__ import main
from training.export import everything_mode, write_bundle
from training.sam import onnx_graph
from training.sam.parity import check_parity

ROWS, COLS = 9, 12
EVERY_ANSWER = Thresholds(score=0.02, objectness=0.0, overlap=1.0)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    return write_checkpoint(tmp_path_factory.mktemp("checkpoint"), "sam_small", grid=[ROWS, COLS])


@pytest.fixture(scope="module")
def split(checkpoint, tmp_path_factory):
    """Written by the verb."""
    folder = tmp_path_factory.mktemp("split")
    cv2.imwrite(str(folder / "image.png"), picture())
    paths = ["--checkpoint", checkpoint, "--out", folder / "bundle", "--image", folder / "image.png"]
    assert main(["export", *map(str, paths), "--split"]) == 0
    return folder / "bundle"


@pytest.fixture(scope="module")
def whole(checkpoint, tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole") / "bundle"
    module, config = everything_mode(checkpoint, full_grid=True)
    write_bundle(module, config, folder, picture(), "# toy\n")
    return folder


def segmenters(*bundles, runtime="onnxruntime"):
    opened = [Segmenter.load(bundle, runtime) for bundle in bundles]
    for segmenter in opened:
        segmenter.thresholds, segmenter.min_area = EVERY_ANSWER, 1
    return opened


def grid(rgb):
    """All points of the grid in image pixels."""
    box = Letterbox.fit(*rgb.shape[:2], 96, 96)
    return box.to_image(grid_points(ROWS, COLS, box))


def test_the_bundle_holds_three_graphs_and_asks_the_whole_grid(split):
    config = load_config(split)
    assert config.split
    assert set(config.files) == {*SPLIT_NAMES, "golden.npz", "README.md"}
    assert config.max_prompts == ROWS * COLS > CHUNK
    for name in SPLIT_NAMES:
        onnx.checker.check_model(onnx.load(split / name), full_check=True)


@pytest.mark.parametrize("runtime", ["onnxruntime", "openvino"])
def test_the_full_grid_gives_the_label_map_of_one_graph(split, whole, runtime):
    pytest.importorskip(runtime)
    (apart,), (together,) = segmenters(split, runtime=runtime), segmenters(whole)
    if runtime == "openvino":
        apart.runtime = runtimes.open_openvino(split, apart.config, precision="f32")
    expected, found = (segmenter(picture(), points=grid(picture())) for segmenter in (together, apart))
    assert len(expected) > 5
    np.testing.assert_allclose(found.scores, expected.scores, atol=1e-3)
    assert (found.label_map == expected.label_map).mean() >= 0.999


def test_everything_mode_gives_the_label_map_of_one_graph(split, whole):
    expected, found = (segmenter(picture()) for segmenter in segmenters(whole, split))
    assert len(expected) > 5
    np.testing.assert_array_equal(found.label_map, expected.label_map)
    np.testing.assert_array_equal(found.class_ids, expected.class_ids)


def test_thresholds_mean_the_same(split, whole):
    found = set()
    for thresholds in (Thresholds(0.5, 0.0, 1.0), Thresholds(0.02, 0.06, 1.0), Thresholds(0.02, 0.0, 0.7)):
        opened = segmenters(whole, split)
        for segmenter in opened:
            segmenter.thresholds = thresholds
        expected, answer = (segmenter(picture()) for segmenter in opened)
        np.testing.assert_array_equal(answer.label_map, expected.label_map, err_msg=str(thresholds))
        found.add(len(answer))
    assert len(found) == 3, "each threshold counts"


def test_the_golden_pair_is_reproduced(split):
    config = load_config(split)
    inputs, expected = load_golden(split, config)
    check_parity(expected, runtimes.create(split, config, "onnxruntime").run(inputs))


def test_tensorrt_gives_way(split):
    runtime = runtimes.create(split, load_config(split), "tensorrt")
    assert runtime.name != "tensorrt"
    assert "encoder and decoder apart" in runtime.note


def test_weights_lie_beside_the_graph_that_has_many(checkpoint, split, tmp_path, monkeypatch):
    *_, second, largest = sorted((split / name for name in SPLIT_NAMES), key=lambda path: path.stat().st_size)
    monkeypatch.setattr(onnx_graph, "WEIGHTS_APART", second.stat().st_size)
    module, config = everything_mode(checkpoint, max_prompts=64)
    write_bundle(module, config, tmp_path / "bundle", picture(), "# toy\n", split=True)
    beside = {name for name in load_config(tmp_path / "bundle").files if name.endswith(".data")}
    assert beside == {f"{largest.name}.data"}


def test_joint_decoding_is_refused(tmp_path):
    module, config = everything_mode(write_checkpoint(tmp_path, "small"))
    with pytest.raises(SaomError, match="family 'small' decodes all points in one graph; export without --split"):
        write_bundle(module, config, tmp_path / "bundle", picture(), "# toy\n", split=True)


def test_a_decoder_of_another_model_is_refused(split, tmp_path):
    shutil.copytree(split, tmp_path / "bundle")
    graph = onnx.load(split / "decoder.onnx")
    graph.graph.input[0].type.tensor_type.shape.dim[1].dim_value = 64
    graph.graph.ClearField("node")
    graph.graph.ClearField("initializer")
    for output in graph.graph.output:
        kind, shape = output.type.tensor_type.elem_type, [dim.dim_value for dim in output.type.tensor_type.shape.dim]
        value = onnx.helper.make_tensor("zero", kind, [1], [0])
        graph.graph.initializer.append(onnx.numpy_helper.from_array(np.array(shape), f"{output.name}.shape"))
        node = onnx.helper.make_node("ConstantOfShape", [f"{output.name}.shape"], [output.name], value=value)
        graph.graph.node.append(node)
    onnx.save(graph, str(tmp_path / "bundle" / "decoder.onnx"))
    with pytest.raises(
        BundleError, match=r"decoder.onnx takes an embedding float32 \(1, 64, 6, 6\), encoder.onnx gives"
    ):
        runtimes.create(tmp_path / "bundle", dataclasses.replace(load_config(split)), "onnxruntime")
