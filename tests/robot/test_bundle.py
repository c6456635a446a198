import copy
import re
from pathlib import Path

import onnx
import pytest
import yaml
from tiny_bundle import color_blocks, write_tiny_bundle

from saom_ros import Segmenter
from saom_ros.bundle import DEFAULT_BUNDLE, BundleConfig, Thresholds, load_config, sha256
from saom_ros.errors import BundleError, SaomError
from saom_ros.external_data import external_locations

GOOD = {
    "format": 1,
    "name": "small",
    "version": "1",
    "family": "small",
    "decoding": "joint",
    "input": {"height": 384, "width": 512},
    "grid": {"rows": 48, "cols": 64},
    "max_prompts": 64,
    "max_instances": 100,
    "classes": ["mug", "chair"],
    "thresholds": {"score": 0.3, "objectness": 0.1, "overlap": 0.5},
    "licence": "Apache-2.0",
    "training": {"seed": 1},
    "metrics": {"F": 0.5},
    "files": {"model.onnx": "0" * 64},
}


def changed(path, value):
    """GOOD with the value at a dotted path replaced."""
    mapping = copy.deepcopy(GOOD)
    *parents, key = path.split("/")
    inner = mapping
    for parent in parents:
        inner = inner[parent]
    inner[key] = value
    return mapping


def without(path):
    mapping = changed(path, None)
    *parents, key = path.split("/")
    inner = mapping
    for parent in parents:
        inner = inner[parent]
    del inner[key]
    return mapping


def test_a_configuration_survives_yaml():
    config = BundleConfig.from_mapping(GOOD)
    assert BundleConfig.from_mapping(yaml.safe_load(yaml.safe_dump(config.to_mapping()))) == config
    assert config.to_mapping() == GOOD
    assert config.thresholds == Thresholds(0.3, 0.1, 0.5)
    assert (config.num_points, config.mask_shape) == (48 * 64, (96, 128))


@pytest.mark.parametrize("key", sorted(GOOD))
def test_every_key_must_be_there(key):
    with pytest.raises(BundleError, match=f"missing key {key};"):
        BundleConfig.from_mapping(without(key))


@pytest.mark.parametrize("path", ["input/width", "grid/rows", "thresholds/overlap"])
def test_every_inner_key_must_be_there(path):
    with pytest.raises(BundleError, match=f"missing key {path.replace('/', '.')};"):
        BundleConfig.from_mapping(without(path))


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("format", 2, "bundle format 2 is not supported; .* reads format 1"),
        ("format", "1", "bundle format '1' is not supported"),
        ("format", True, "bundle format True is not supported"),
        ("name", "", "name is ''; it must be non-empty text"),
        ("version", 1.0, "version is 1.0; it must be non-empty text \\(quote numbers"),
        ("family", None, "family is None"),
        ("licence", ["MIT"], "licence is \\['MIT'\\]"),
        ("decoding", "both", "decoding is 'both'; expected one of separate, joint"),
        ("input", [384, 512], "input is \\[384, 512\\]; it must be a mapping"),
        ("input/height", 383, "input.height is 383; it must be a multiple of 32"),
        ("input/height", 0, "input.height is 0; it must be an integer in 32..8192"),
        ("input/width", 512.0, "input.width is 512.0; it must be an integer"),
        ("input/width", True, "input.width is True"),
        ("input/depth", 3, "unknown key input.depth; expected height, width"),
        ("grid/rows", 0, "grid.rows is 0; it must be an integer in 1..1024"),
        ("grid/cols", "64", "grid.cols is '64'"),
        ("max_prompts", 48 * 64 + 1, "max_prompts is 3073; it must be an integer in 1..3072"),
        ("max_instances", 65536, "max_instances is 65536; it must be an integer in 1..65535"),
        ("max_instances", 0, "max_instances is 0"),
        ("classes", "mug", "classes is 'mug'; it must be a list of names"),
        ("classes", ["mug", 3], "a name in classes is 3"),
        ("thresholds/score", 1.5, "thresholds.score is 1.5; it must be a number in 0..1"),
        ("thresholds/score", -0.1, "thresholds.score is -0.1"),
        ("thresholds/overlap", float("nan"), "thresholds.overlap is nan"),
        ("thresholds/objectness", "0.5", "thresholds.objectness is '0.5'"),
        ("thresholds/objectness", True, "thresholds.objectness is True"),
        ("training", None, "training is None; it must be a mapping"),
        ("metrics", 3, "metrics is 3; it must be a mapping"),
        ("files", ["model.onnx"], "files is \\['model.onnx'\\]; it must be a mapping"),
        ("files/model.onnx", "abc", "files.model.onnx is 'abc'; it must be a SHA-256"),
        ("files/model.onnx", 3, "files.model.onnx is 3"),
        ("files/..", "0" * 64, "files lists '..'; only plain file names"),
        ("colour", "red", "unknown key colour; expected name, version"),
    ],
)
def test_wrong_values_are_named(path, value, message):
    with pytest.raises(BundleError, match=message):
        BundleConfig.from_mapping(changed(path, value))


@pytest.mark.parametrize("name", ["../model.onnx", "/etc/passwd", "a/b.onnx", "a\\b.onnx", ".hidden", "", 3, "x\n"])
def test_files_outside_the_folder_are_refused(name):
    mapping = copy.deepcopy(GOOD)
    mapping["files"][name] = "0" * 64
    with pytest.raises(BundleError, match="only plain file names inside the bundle folder"):
        BundleConfig.from_mapping(mapping)


@pytest.mark.parametrize("content", [None, [], "text", 3])
def test_a_content_that_is_no_mapping_is_refused(content):
    with pytest.raises(BundleError, match=r"the content is .*; it must be a mapping"):
        BundleConfig.from_mapping(content)


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    return write_tiny_bundle(tmp_path / "tiny")


def test_a_good_bundle_loads(bundle):
    config = load_config(bundle)
    assert config.name == "tiny"
    assert config.files == {"model.onnx": sha256(bundle / "model.onnx")}


def test_a_changed_graph_is_refused_by_its_checksum(bundle):
    with open(bundle / "model.onnx", "ab") as stream:
        stream.write(b"\0")
    with pytest.raises(BundleError, match=r"model\.onnx: SHA-256 is .*; the file is damaged or was changed"):
        load_config(bundle)


def test_a_missing_graph_is_named(bundle):
    (bundle / "model.onnx").unlink()
    with pytest.raises(BundleError, match=r"model\.onnx: missing though model\.yaml lists it"):
        load_config(bundle)


def test_a_bundle_must_list_its_graph(bundle):
    mapping = yaml.safe_load((bundle / "model.yaml").read_text())
    mapping["files"] = {}
    (bundle / "model.yaml").write_text(yaml.safe_dump(mapping))
    with pytest.raises(BundleError, match=r"files does not list model\.onnx"):
        load_config(bundle)


def test_errors_in_the_yaml_name_the_file(bundle):
    mapping = yaml.safe_load((bundle / "model.yaml").read_text())
    (bundle / "model.yaml").write_text(yaml.safe_dump({**mapping, "decoding": "both"}))
    with pytest.raises(BundleError, match=r"tiny/model\.yaml: decoding is 'both'"):
        load_config(bundle)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "the content is None; it must be a mapping"),
        (b"format: [1", "is not valid YAML"),
        (b"\xff\xfe\x00", "is not UTF-8 text"),
        (b"!!python/object/apply:os.system ['true']", "is not valid YAML: could not determine a constructor"),
        (b"[" * 5000, "is not valid YAML"),
        (b"x: " + b"9" * 5000, "is not valid YAML"),
        (b"when: 2026-99-99", "is not valid YAML"),
        (b"#" * (1 << 20) + b"\n", "above the limit of 1048576"),
        (b"a: &a [x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a]\nc: [*b,*b,*b,*b,*b,*b]\n", "unknown key a"),
    ],
)
def test_a_bad_yaml_file_gets_one_message(bundle, content, message):
    (bundle / "model.yaml").write_bytes(content)
    with pytest.raises(BundleError, match=message) as caught:
        load_config(bundle)
    assert "model.yaml" in str(caught.value)
    assert len(str(caught.value)) < 600


def test_nested_merge_keys_do_not_fill_the_memory(bundle):
    lines = ["a0: &a0 {x: 1}"] + [f"a{k}: &a{k} {{<<: [{', '.join([f'*a{k - 1}'] * 10)}]}}" for k in range(1, 30)]
    (bundle / "model.yaml").write_text("\n".join(lines))
    with pytest.raises(BundleError, match=r"model\.yaml: is not valid YAML: .*merge"):
        load_config(bundle)


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(BundleError, match="nowhere: no such model bundle"):
        load_config(tmp_path / "nowhere")


def test_a_file_is_no_bundle(bundle):
    with pytest.raises(BundleError, match="is a file; a model bundle is the folder"):
        load_config(bundle / "model.onnx")


def test_a_folder_without_configuration_is_no_bundle(tmp_path):
    with pytest.raises(BundleError, match=r"model\.yaml: missing"):
        load_config(tmp_path)


def test_linked_files_are_accepted(bundle):
    # Package stores link the files of a bundle to blobs elsewhere.
    (bundle / "model.onnx").rename(bundle.parent / "blob")
    (bundle / "model.onnx").symlink_to(bundle.parent / "blob")
    assert load_config(bundle).name == "tiny"


def move_weights(bundle, location):
    """Keep the graph's weights in another file, and list the changed graph."""
    model = onnx.load(str(bundle / "model.onnx"))
    tensor = next(tensor for tensor in model.graph.initializer if tensor.name == "x_index")
    content = tensor.raw_data
    tensor.ClearField("raw_data")
    tensor.data_location = onnx.TensorProto.EXTERNAL
    for key, value in (("location", location), ("offset", "0"), ("length", str(len(content)))):
        tensor.external_data.add(key=key, value=value)
    (bundle / "model.onnx.data").write_bytes(content)
    list_file(bundle, "model.onnx", model.SerializeToString())


def list_file(bundle, name, content):
    """Write a file of the bundle together with its checksum."""
    (bundle / name).write_bytes(content)
    mapping = yaml.safe_load((bundle / "model.yaml").read_text())
    mapping["files"][name] = sha256(bundle / name)
    (bundle / "model.yaml").write_text(yaml.safe_dump(mapping))


@pytest.mark.parametrize("location", ["../secret", "/etc/passwd", "model.onnx.data", "./model.onnx.data"])
def test_weights_in_files_that_the_bundle_does_not_list_are_refused(bundle, location):
    move_weights(bundle, location)
    with pytest.raises(BundleError, match=f"model.onnx: keeps weights in '{re.escape(location)}'"):
        load_config(bundle)


def test_weights_in_a_listed_file_are_fine(bundle):
    move_weights(bundle, "model.onnx.data")
    list_file(bundle, "model.onnx.data", (bundle / "model.onnx.data").read_bytes())
    assert len(Segmenter.load(bundle)(color_blocks(96, 128)[0])) == 4


def test_weights_of_inner_graphs_and_attributes_are_found(tmp_path):
    tensor = onnx.TensorProto(data_location=onnx.TensorProto.EXTERNAL, data_type=1, dims=[1])
    tensor.external_data.add(key="location", value="hidden")
    constant = onnx.helper.make_node("Constant", [], ["c"], value=tensor)
    branch = onnx.helper.make_graph([constant], "branch", [], [])
    choice = onnx.helper.make_node("If", ["x"], ["y"], then_branch=branch, else_branch=branch)
    onnx_model = onnx.helper.make_model(onnx.helper.make_graph([choice], "outer", [], []))
    (tmp_path / "a.onnx").write_bytes(onnx_model.SerializeToString())
    assert external_locations(tmp_path / "a.onnx") == {"hidden"}


@pytest.mark.parametrize("content", [b"", b"hello world", b"\xff" * 100, b"\x3a\x7f", b"\x09", b"\x3a" * 1000])
def test_a_listed_graph_that_is_no_graph_is_refused(bundle, content):
    list_file(bundle, "model.onnx", content)
    with pytest.raises(BundleError, match=r"model\.onnx: (is empty|is not an ONNX graph)"):
        load_config(bundle)


def test_bundle_errors_are_errors_of_the_user():
    assert issubclass(BundleError, SaomError)


def test_the_default_bundle_lies_in_the_package():
    assert DEFAULT_BUNDLE.parts[-3:] == ("saom_ros", "models", "default")
