import json
import re
import subprocess
import sys
from dataclasses import replace

import numpy as np
import onnx
import pytest
import yaml
from tiny_bundle import WITHOUT_GPU, color_blocks, tiny_model, write_tiny_bundle

from saom_ros import runtimes
from saom_ros.bundle import DEFAULT_BUNDLE, Grid, InputSize, load_config, sha256
from saom_ros.errors import BundleError, SaomError
from saom_ros.golden import compare, load_golden
from saom_ros.runtimes.base import Tensor, check_arrays, graph_inputs, graph_outputs
from saom_ros.segmenter import Segmenter


def feeds(config):
    return {name: np.zeros(tensor.shape, tensor.dtype) for name, tensor in graph_inputs(config).items()}


@pytest.mark.parametrize("name", ["auto", "onnxruntime", "openvino"])
def test_a_runtime_runs_the_graph(tiny_bundle, name):
    require(name)
    config = load_config(tiny_bundle)
    runtime = runtimes.create(tiny_bundle, config, name, threads=1)
    assert runtime.name == (WITHOUT_GPU if name == "auto" else name)
    check_arrays(graph_outputs(config), runtime.run(feeds(config)))


@pytest.mark.parametrize("name", ["onnxruntime", "openvino"])
def test_every_runtime_gives_the_same_masks_again_and_again(tiny_bundle, name):
    require(name)
    config = load_config(tiny_bundle)
    rgb, truth = color_blocks(config.input.height, config.input.width)
    segmenter = Segmenter(config, runtimes.create(tiny_bundle, config, name))
    first, second = segmenter(rgb), segmenter(rgb[::-1].copy())
    assert len(first.ids) == len(np.unique(truth)) - 1
    assert ((first.label_map > 0) == (truth > 0)).mean() > 0.97
    assert ((second.label_map > 0) == (truth[::-1] > 0)).mean() > 0.97


def require(name):
    if name != "auto":
        pytest.importorskip(name)


def test_unknown_runtimes_are_refused_with_the_known_ones(tiny_bundle):
    with pytest.raises(SaomError, match="unknown runtime 'tensorflow'; expected one of auto, onnxruntime"):
        runtimes.create(tiny_bundle, load_config(tiny_bundle), "tensorflow")


@pytest.mark.parametrize("threads", [-1, 1.5, True, 100000])
def test_senseless_thread_counts_are_refused(tiny_bundle, threads):
    with pytest.raises(SaomError, match=r"threads is .*; it must be an integer in 0..1024"):
        runtimes.create(tiny_bundle, load_config(tiny_bundle), threads=threads)


def test_a_missing_library_is_named_with_the_mend(tiny_bundle, monkeypatch):
    monkeypatch.setattr(runtimes.importlib.util, "find_spec", lambda name: None)
    assert runtimes.installed() == {}
    with pytest.raises(SaomError, match="its library is not installed; run: pip install onnxruntime"):
        runtimes.create(tiny_bundle, load_config(tiny_bundle))


def test_installed_runtimes_are_listed_with_their_versions():
    import onnxruntime

    assert runtimes.installed()["onnxruntime"] == onnxruntime.__version__


@pytest.mark.parametrize("name", ["onnxruntime", "openvino"])
@pytest.mark.parametrize("content", [b"", b"not a graph", b"\x08\x08" * 1000])
def test_a_file_that_is_no_graph_is_refused(tiny_bundle, tmp_path, name, content):
    require(name)
    (tmp_path / "model.onnx").write_bytes(content)
    with pytest.raises(BundleError, match=r"model\.onnx: (ONNX Runtime|OpenVINO) .* cannot open it"):
        runtimes.create(tmp_path, load_config(tiny_bundle), name)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"input": InputSize(128, 128)},
            r"graph input image is uint8 \(1, 96, 128, 3\), model.yaml implies uint8 \(1, 128",
        ),
        ({"grid": Grid(6, 16)}, r"graph input points is float32 \(192, 2\), model.yaml implies float32 \(96, 2\)"),
        ({"max_instances": 7}, r"graph output masks is uint8 \(4, 24, 32\), model.yaml implies uint8 \(7, 24, 32\)"),
    ],
)
def test_a_graph_that_differs_from_its_configuration_is_refused(tiny_bundle, change, message):
    with pytest.raises(BundleError, match=message):
        runtimes.create(tiny_bundle, replace(load_config(tiny_bundle), **change))


def test_a_graph_that_fails_when_it_runs_is_an_error_of_the_bundle(tiny_bundle, tmp_path):
    model = tiny_model()
    (classes,) = (tensor for tensor in model.graph.initializer if tensor.name == "all_classes")
    classes.CopyFrom(onnx.numpy_helper.from_array(np.zeros(1, np.int32), "all_classes"))
    onnx.save(model, str(tmp_path / "model.onnx"))
    config = load_config(tiny_bundle)
    with pytest.raises(BundleError, match=r"model\.onnx: the graph cannot run: .*export the model again"):
        runtimes.create(tmp_path, config, "onnxruntime").run(feeds(config))


@pytest.mark.parametrize("kind", ["input", "output"])
def test_a_graph_with_other_names_is_refused(tiny_bundle, tmp_path, kind):
    model = tiny_model()
    if kind == "input":
        del model.graph.output[3]
    else:
        extra = onnx.helper.make_tensor_value_info("extra", onnx.TensorProto.FLOAT, [1])
        model.graph.input.append(extra)
    onnx.save(model, str(tmp_path / "model.onnx"))
    with pytest.raises(BundleError, match="export the model again"):
        runtimes.create(tmp_path, load_config(tiny_bundle))


def test_outputs_of_the_wrong_shape_are_told_from_good_ones():
    expected = {"scores": Tensor("float32", (3,))}
    check_arrays(expected, {"scores": np.zeros(3, np.float32)})
    with pytest.raises(ValueError, match=r"tensor scores is float64 \(3\); expected float32 \(3\)"):
        check_arrays(expected, {"scores": np.zeros(3)})
    with pytest.raises(ValueError, match="tensor scores is missing"):
        check_arrays(expected, {})


def test_onnx_runtime_and_openvino_give_the_same_label_map_in_single_precision():
    """The tolerance of all runtimes in fp32: scores within 1e-3, 99.9 % equal pixels."""
    pytest.importorskip("openvino")
    config = load_config(DEFAULT_BUNDLE)
    rgb = load_golden(DEFAULT_BUNDLE, config)[0]["image"][0]
    reference = Segmenter(config, runtimes.create(DEFAULT_BUNDLE, config, "onnxruntime"))(rgb)
    found = Segmenter(config, runtimes.open_openvino(DEFAULT_BUNDLE, config, precision="f32"))(rgb)
    assert len(reference.ids) > 5
    assert (reference.label_map == found.label_map).mean() >= 0.999
    assert np.allclose(reference.scores, found.scores, atol=1e-3)


@pytest.mark.parametrize("name", ["onnxruntime", "openvino"])
def test_every_runtime_gives_the_golden_outputs_in_its_own_precision(name):
    """In floating point a runtime keeps to the tolerance that engines are held to, in 8 bits to that of export."""
    require(name)
    config = load_config(DEFAULT_BUNDLE)
    inputs, expected = load_golden(DEFAULT_BUNDLE, config)
    runtime = runtimes.create(DEFAULT_BUNDLE, config, name)
    agreement = compare(expected, runtime.run(inputs))
    if "int8" in runtime.note:
        assert agreement.mask_iou > 0.9
    else:
        assert agreement.problem == ""


def test_the_runtime_says_what_it_runs_on_and_why_no_faster_one(tiny_bundle, monkeypatch):
    config = load_config(tiny_bundle)
    assert runtimes.create(tiny_bundle, config, "onnxruntime").note == "on the CPU"
    monkeypatch.setattr(runtimes.importlib.util, "find_spec", lambda name: None if name != "onnxruntime" else name)
    note = runtimes.create(tiny_bundle, config).note
    assert re.fullmatch(
        r"on the CPU \(TensorRT: not installed; CUDA: onnxruntime \S+ has no CUDA provider; OpenVINO: not installed\)",
        note,
    )


def test_openvino_is_preferred_where_the_cpu_has_bfloat16(tiny_bundle, monkeypatch):
    pytest.importorskip("openvino")
    from saom_ros.runtimes import openvino

    config = load_config(tiny_bundle)
    monkeypatch.setattr(openvino, "has_bfloat16", lambda: True)
    runtime = runtimes.create(tiny_bundle, config)
    assert (runtime.name, runtime.note.split(" (")[0]) in {
        ("openvino", "on the CPU in f32"),
        ("openvino", "on the CPU in bf16"),
    }
    monkeypatch.setattr(openvino, "has_bfloat16", lambda: False)
    assert runtimes.create(tiny_bundle, config).name == "onnxruntime"


RANGES = {"channels_first": [0.0, 1.0]}


def write_ranges(folder, content):
    """The tiny bundle with `ranges.json`."""
    write_tiny_bundle(folder)
    (folder / "ranges.json").write_text(content if isinstance(content, str) else json.dumps(content))
    described = yaml.safe_load((folder / "model.yaml").read_text())
    described["files"]["ranges.json"] = sha256(folder / "ranges.json")
    (folder / "model.yaml").write_text(yaml.safe_dump(described))
    return folder, load_config(folder)


@pytest.fixture
def openvino(monkeypatch):
    """OpenVINO's runtime, told that this is an x86 CPU without bfloat16."""
    pytest.importorskip("openvino")
    from saom_ros.runtimes import openvino

    monkeypatch.setattr(openvino, "has_bfloat16", lambda: False)
    monkeypatch.setattr(openvino.platform, "machine", lambda: "x86_64")
    return openvino


def test_a_bundle_that_tells_ranges_runs_in_8_bits_in_openvino(tmp_path, openvino):
    folder, config = write_ranges(tmp_path / "int8", RANGES)
    rgb = color_blocks(96, 128)[0]
    expected = Segmenter(config, runtimes.create(folder, config, "onnxruntime"))(rgb)
    for name in ("auto", "openvino"):
        runtime = runtimes.create(folder, config, name)
        assert (runtime.name, runtime.note.split(" (")[0].rpartition(" ")[0]) == ("openvino", "on the CPU in int8 and")
        found = Segmenter(config, runtime)(rgb)
        assert (found.label_map == expected.label_map).mean() > 0.95  # borders of blocks are on the edge
    compiled = [node.get_rt_info() for node in runtime._model.get_runtime_model().get_ops()]
    kernels = [info["primitiveType"].astype(str) for info in compiled if info["layerType"].astype(str) == "Convolution"]
    assert [kernel.rpartition("_")[2] for kernel in kernels] == ["I8"]
    assert runtimes.open_openvino(folder, config, precision="f32").note == "on the CPU in f32"


def test_8_bits_are_left_to_x86(tmp_path, openvino, monkeypatch):
    monkeypatch.setattr(openvino.platform, "machine", lambda: "aarch64")
    folder, config = write_ranges(tmp_path / "int8", RANGES)
    runtime = runtimes.create(folder, config)
    assert runtime.name == "onnxruntime"
    assert "OpenVINO: no faster on this CPU)" in runtime.note
    assert "int8" not in runtimes.create(folder, config, "openvino").note


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("{", "is not a JSON object"),
        ("[" * 100_000, "is not a JSON object"),
        ("[1, 2]", "is not a JSON object"),
        ('{"channels_first": 3}', "is not a JSON object"),
        ('{"channels_first": [1e999, 2]}', "the range of 'channels_first' is inf"),
        ('{"channels_first": [1, NaN]}', "the range of 'channels_first' is 1.0..nan"),
        ('{"channels_first": [2, 1]}', "the range of 'channels_first' is 2.0..1.0"),
        (" " * ((1 << 20) + 1), "above the limit of 1048576 bytes"),
        ({**RANGES, "nowhere": [0, 1]}, "model.onnx has no convolution of 'nowhere'"),
    ],
)
def test_ranges_that_cannot_be_are_refused(tmp_path, openvino, content, problem):
    folder, config = write_ranges(tmp_path / "int8", content)
    with pytest.raises(BundleError, match=r"ranges\.json") as caught:
        runtimes.create(folder, config, "openvino")
    assert problem in str(caught.value)
    assert runtimes.create(folder, config, "onnxruntime").name == "onnxruntime"


def test_openvino_starts_no_process_that_reports_over_the_network():
    pytest.importorskip("openvino")
    code = "from saom_ros import runtimes; runtimes.installed()"
    code += "; import sys; assert 'openvino' in sys.modules and 'openvino_telemetry.backend' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


ALARMED = """
import signal, sys
from saom_ros import runtimes
from saom_ros.bundle import load_config

config = load_config(sys.argv[1])
first = runtimes.create(sys.argv[1], config, "openvino")
second = runtimes.create(sys.argv[1], config, "openvino")
del first
del second
heard = []
signal.signal(signal.SIGALRM, lambda *_: heard.append(1))
signal.raise_signal(signal.SIGALRM)
assert heard
"""


def test_a_signal_is_survived_after_models_that_openvino_has_opened_are_gone(tiny_bundle):
    require("openvino")
    subprocess.run([sys.executable, "-c", ALARMED, str(tiny_bundle)], check=True)
