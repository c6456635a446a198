"""A bundle whose encoder and decoder are graphs apart: encode once, ask the points in chunks, select the instances.

For grids whose points do not fit one graph, and for asking one image more than once. Which points are asked is decided
here; all else, suppression of duplicates too, is in the graphs, as in a bundle of one graph.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from saom_ros.bundle import DECODER_NAME, ENCODER_NAME, SELECTION_NAME, BundleConfig
from saom_ros.errors import BundleError
from saom_ros.runtimes.base import Graph, GraphRuntime, Tensor, graph_inputs, graph_outputs

CHUNK = 64
"""Points that the decoder's graph answers in one run, which bounds its memory."""

ANSWER_NAMES = ("point_masks", "point_scores", "point_class_ids")
"""What the decoder gives and the selection takes, a row for each point; a graph's inputs and outputs share no name."""

_EMBEDDING = Tensor("float32", (1, "channels", "rows", "columns"))


def split_graphs(config: BundleConfig) -> tuple[Graph, Graph, Graph]:
    """Encoder, decoder and selection of a split bundle."""
    inputs = graph_inputs(config)
    image, points, score, _, overlap = inputs.items()
    encoded = {"embedding": _EMBEDDING, "rank": Tensor("float32", (config.num_points,))}
    asked = {"embedding": _EMBEDDING, "points": Tensor("float32", (CHUNK, 2))}
    return (
        Graph(ENCODER_NAME, dict([image, points]), encoded),
        Graph(DECODER_NAME, asked, _answers(config, CHUNK)),
        Graph(
            SELECTION_NAME, {**_answers(config, config.max_prompts), **dict([score, overlap])}, graph_outputs(config)
        ),
    )


class SplitRuntime:
    """The three graphs as one: takes and gives what the graph of other bundles does.

    The latest image's embedding is kept, so that asking that image again runs no encoder.
    """

    def __init__(self, config: BundleConfig, encoder: GraphRuntime, decoder: GraphRuntime, selection: GraphRuntime):
        """Graphs as `split_graphs` tells. Raises `BundleError` where the decoder is not the encoder's."""
        found, expected = decoder.inputs["embedding"], encoder.outputs["embedding"]
        if found != expected:
            raise BundleError(
                f"{DECODER_NAME} takes an embedding {found}, {ENCODER_NAME} gives {expected}: they are not of one "
                "model; export the model again"
            )
        self._encoder, self._decoder, self._selection = encoder, decoder, selection
        self._max_prompts = config.max_prompts
        self._answers = _answers(config, config.max_prompts)
        self._encoded: tuple[dict[str, NDArray], dict[str, NDArray]] | None = None
        self.name = encoder.name
        self.note = f"{encoder.note}, encoder and decoder apart"

    def run(self, inputs: Mapping[str, NDArray]) -> dict[str, NDArray]:
        """Run the graphs; see `saom_ros.runtimes.base.Runtime`. Runs the decoder as often as there are chunks."""
        threshold = float(inputs["objectness_threshold"][0])
        encoded = self._encode(inputs, ranked=threshold >= 0)
        asked = _pick(inputs["points"], encoded["rank"], threshold)[: self._max_prompts]
        answers = {name: _empty(tensor) for name, tensor in self._answers.items()}
        for first in range(0, len(asked), CHUNK):
            points = asked[first : first + CHUNK]
            filled = np.concatenate([points, np.full((CHUNK - len(points), 2), -1, np.float32)])
            found = self._decoder.run({"embedding": encoded["embedding"], "points": filled})
            for name, array in answers.items():
                array[first : first + len(points)] = found[name][: len(points)]
        return self._selection.run(answers | {name: inputs[name] for name in ("score_threshold", "overlap_threshold")})

    def _encode(self, inputs: Mapping[str, NDArray], ranked: bool) -> dict[str, NDArray]:
        """Embedding of the image and, if `ranked`, rank of the points; from memory where they are those asked last."""
        given = {name: inputs[name] for name in ("image", "points")}
        if self._encoded is not None:
            last, encoded = self._encoded
            if all(np.array_equal(last[name], given[name]) for name in (("image", "points") if ranked else ("image",))):
                return encoded
        self._encoded = None
        encoded = self._encoder.run(given)
        self._encoded = {name: array.copy() for name, array in given.items()}, encoded
        return encoded


def _pick(points: NDArray, rank: NDArray, threshold: float) -> NDArray:
    """Of points `(P, 2)` those that are used and rank above the threshold, best first; all used ones where it is
    negative.
    """
    if threshold < 0:
        return points[points[:, 0] >= 0]
    chosen = np.flatnonzero((points[:, 0] >= 0) & (rank > threshold))
    return points[chosen[np.argsort(-rank[chosen], kind="stable")]]


def _answers(config: BundleConfig, count: int) -> dict[str, Tensor]:
    """What the decoder says of `count` points."""
    masks, scores = Tensor("uint8", (count, *config.mask_shape)), Tensor("float32", (count,))
    return dict(zip(ANSWER_NAMES, (masks, scores, Tensor("int32", (count,))), strict=True))


def _empty(tensor: Tensor) -> NDArray:
    return np.zeros(tensor.shape, tensor.dtype)  # type: ignore[arg-type]
