"""Bundles whose encoder and decoder are graphs apart: what is run how often, and which are refused."""

import dataclasses

import numpy as np
import pytest
import yaml
from tiny_bundle import write_tiny_bundle

from saom_ros.bundle import SPLIT_NAMES, Grid, InputSize, load_config, sha256
from saom_ros.errors import BundleError
from saom_ros.runtimes.base import check_arrays, graph_inputs
from saom_ros.runtimes.split import CHUNK, SplitRuntime, split_graphs

EMBEDDING = (1, 2, 4, 4)


@pytest.fixture
def config(tiny_bundle):
    """150 points, of which at most 100 are asked."""
    tiny = load_config(tiny_bundle)
    return dataclasses.replace(tiny, input=InputSize(64, 64), grid=Grid(10, 15), max_prompts=100, max_instances=3)


class Part:
    """A runtime of one graph that keeps what it was given; ``answer`` makes its outputs from that."""

    name, note = "fake", "in this test"

    def __init__(self, graph, answer, embedding=EMBEDDING):
        def known(tensors):
            return {name: t._replace(shape=embedding) if name == "embedding" else t for name, t in tensors.items()}

        self.inputs, self.outputs = known(graph.inputs), known(graph.outputs)
        self.answer, self.given = answer, []

    def run(self, inputs):
        check_arrays(self.inputs, inputs)
        assert set(inputs) == set(self.inputs)
        self.given.append(inputs)
        found = {name: np.zeros(tensor.shape, tensor.dtype) for name, tensor in self.outputs.items()}
        return found | self.answer(inputs)


def parts(config, rank=None):
    """Fakes: the decoder answers a point (x, y) with score x; ranks fall from 1 for the first point to 0."""
    ranks = np.linspace(1, 0, config.num_points, dtype=np.float32) if rank is None else rank
    encoder, decoder, selection = split_graphs(config)
    return (
        Part(encoder, lambda given: {"rank": ranks}),
        Part(decoder, lambda given: {"point_scores": given["points"][:, 0].copy()}),
        Part(selection, lambda given: {}),
    )


def inputs(config, points, objectness=-1.0, image=0):
    arrays = {name: np.zeros(tensor.shape, tensor.dtype) for name, tensor in graph_inputs(config).items()}
    arrays["points"][:] = -1
    arrays["points"][: len(points)] = points
    arrays["image"][:] = image
    return arrays | {"objectness_threshold": np.array([objectness], np.float32)}


def points(count):
    """(1, 0), (2, 0), ..."""
    return np.stack([np.arange(1, count + 1), np.zeros(count)], 1).astype(np.float32)


def run(config, given, rank=None):
    """Scores that the selection was given, and how often the decoder ran."""
    encoder, decoder, selection = parts(config, rank)
    SplitRuntime(config, encoder, decoder, selection).run(given)
    return selection.given[0]["point_scores"], len(decoder.given)


@pytest.mark.parametrize(("count", "runs"), [(0, 0), (1, 1), (CHUNK, 1), (CHUNK + 1, 2), (100, 2)])
def test_points_are_asked_in_chunks(config, count, runs):
    scores, ran = run(config, inputs(config, points(count)))
    assert ran == runs
    assert scores[:count].tolist() == list(range(1, count + 1))
    assert not scores[count:].any()


def test_unused_points_are_never_asked_whatever_their_rank(config):
    for threshold in (-1.0, 0.0):
        scores, _ = run(config, inputs(config, points(3), threshold), rank=np.ones(150, np.float32))
        assert scores[scores > 0].tolist() == [1, 2, 3]


def test_points_above_the_objectness_threshold_are_asked_best_first(config):
    rank = np.zeros(150, np.float32)
    rank[[4, 7, 9]] = 0.3, 0.9, 0.5
    scores, _ = run(config, inputs(config, points(150), 0.3), rank)
    assert scores[scores > 0].tolist() == [8, 10]


def test_of_too_many_points_the_best_are_asked(config):
    scores, _ = run(config, inputs(config, points(150), 0.0), rank=np.linspace(0.1, 1, 150, dtype=np.float32))
    assert sorted(scores) == list(range(51, 151))


def test_asking_an_image_again_runs_no_encoder(config):
    encoder, decoder, selection = parts(config)
    runtime = SplitRuntime(config, encoder, decoder, selection)
    everything = inputs(config, points(150), 0.5)
    runtime.run(everything)
    runtime.run(inputs(config, points(2)))
    assert (len(encoder.given), len(decoder.given)) == (1, 3)
    runtime.run(everything)
    assert len(encoder.given) == 1
    everything["image"][0, 3, 4, 1] = 9  # in the caller's own array, which may be the same for every image
    runtime.run(everything)
    assert len(encoder.given) == 2


def test_other_grid_points_are_ranked_anew(config):
    encoder, decoder, selection = parts(config)
    runtime = SplitRuntime(config, encoder, decoder, selection)
    runtime.run(inputs(config, points(150), 0.5))
    runtime.run(inputs(config, points(140), 0.5))
    assert len(encoder.given) == 2


def test_thresholds_and_class_ids_go_to_the_selection(config):
    encoder, decoder, selection = parts(config)
    decoder.answer = lambda given: {"point_class_ids": np.arange(CHUNK, dtype=np.int32)}
    given = inputs(config, points(70))
    given["overlap_threshold"][:], given["score_threshold"][:] = 0.25, 0.75
    SplitRuntime(config, encoder, decoder, selection).run(given)
    (seen,) = selection.given
    assert (seen["overlap_threshold"], seen["score_threshold"]) == (0.25, 0.75)
    assert seen["point_class_ids"][:70].tolist() == [*range(64), *range(6)]


def test_a_failed_encoder_is_run_again(config):
    encoder, decoder, selection = parts(config)
    runtime = SplitRuntime(config, encoder, decoder, selection)
    runtime.run(inputs(config, points(1)))
    good, encoder.answer = encoder.answer, lambda given: 1 / 0
    with pytest.raises(ZeroDivisionError):
        runtime.run(inputs(config, points(1), image=5))
    encoder.answer = good
    runtime.run(inputs(config, points(1), image=0))
    assert len(encoder.given) == 3


def test_a_decoder_of_another_model_is_refused(config):
    encoder, _, selection = parts(config)
    decoder = Part(split_graphs(config)[1], dict, embedding=(1, 3, 4, 4))
    with pytest.raises(
        BundleError, match=r"decoder.onnx takes an embedding float32 \(1, 3, 4, 4\), encoder.onnx gives .*2"
    ):
        SplitRuntime(config, encoder, decoder, selection)


@pytest.fixture
def split_bundle(tmp_path):
    """A bundle that lists three graphs, which are none of its own."""
    bundle = write_tiny_bundle(tmp_path)
    content = (bundle / "model.onnx").read_bytes()
    (bundle / "model.onnx").unlink()
    for name in SPLIT_NAMES:
        (bundle / name).write_bytes(content)
    list_graphs(bundle, *SPLIT_NAMES)
    return bundle


def list_graphs(bundle, *names):
    mapping = yaml.safe_load((bundle / "model.yaml").read_text())
    mapping["files"] = {name: sha256(bundle / name) for name in names}
    (bundle / "model.yaml").write_text(yaml.safe_dump(mapping))


def test_three_graphs_make_a_split_bundle(split_bundle):
    assert load_config(split_bundle).split


def test_a_bundle_of_one_graph_is_not_split(tiny_bundle):
    assert not load_config(tiny_bundle).split


@pytest.mark.parametrize("name", ["decoder.onnx", "selection.onnx"])
def test_a_graph_that_is_not_listed_is_told(split_bundle, name):
    list_graphs(split_bundle, *(other for other in SPLIT_NAMES if other != name))
    with pytest.raises(BundleError, match=f"model.yaml: files does not list {name}; export the model again"):
        load_config(split_bundle)


@pytest.mark.parametrize("name", SPLIT_NAMES)
def test_a_graph_that_is_not_there_is_told(split_bundle, name):
    (split_bundle / name).unlink()
    with pytest.raises(BundleError, match=f"{name}: missing though model.yaml lists it; copy the whole bundle again"):
        load_config(split_bundle)


@pytest.mark.parametrize("name", SPLIT_NAMES)
def test_a_changed_graph_is_refused(split_bundle, name):
    with open(split_bundle / name, "ab") as stream:
        stream.write(b"\0")
    with pytest.raises(BundleError, match=f"{name}: SHA-256 is .*; the file is damaged or was changed"):
        load_config(split_bundle)


def test_a_bundle_of_both_kinds_is_refused(split_bundle):
    (split_bundle / "model.onnx").write_bytes((split_bundle / "encoder.onnx").read_bytes())
    list_graphs(split_bundle, "model.onnx", *SPLIT_NAMES)
    with pytest.raises(BundleError, match=r"files lists model.onnx and encoder.onnx; only one of them may be there"):
        load_config(split_bundle)


@pytest.mark.parametrize("name", ["onnxruntime", "openvino"])
def test_graphs_with_other_tensors_are_refused(split_bundle, name):
    pytest.importorskip(name)
    from saom_ros import runtimes

    with pytest.raises(BundleError, match=r"encoder.onnx: graph inputs are .*; expected image, points: export"):
        runtimes.create(split_bundle, load_config(split_bundle), name)
