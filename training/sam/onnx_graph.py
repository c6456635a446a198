"""Everything mode as an ONNX file, or as three: encoder, decoder and selection apart.

Traced with static shapes in evaluation mode, folded, weights beside the graph where they are many, and checked.
"""

import shutil
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path

import onnx
import torch
from onnxscript import ir, optimizer
from torch import Tensor, nn

from saom_ros.bundle import DECODER_NAME, ENCODER_NAME, SELECTION_NAME
from saom_ros.errors import SaomError
from saom_ros.runtimes.split import ANSWER_NAMES, CHUNK
from training.sam.everything import INPUT_NAMES, OUTPUT_NAMES, EverythingMode
from training.sam.split import DecoderGraph, EncoderGraph, SelectionGraph

OPSET = 17
DATA_SUFFIX = ".data"
WEIGHTS_APART = 1_500_000_000
"""Bytes of weights above which they lie beside the graph: protobuf holds no file above 2 GB."""


def export_onnx(module: EverythingMode, path: Path) -> None:
    """Write everything mode to ``path``, and its weights to ``path`` + ``.data`` where they are above
    ``WEIGHTS_APART``.

    Raises SaomError where ONNX's checker refuses the graph.
    """
    threshold = torch.full((1,), 0.5)
    inputs = dict(zip(INPUT_NAMES, (*_image_and_points(module), *[threshold] * 3), strict=True))
    _write(module, inputs, OUTPUT_NAMES, path)


def export_split(module: EverythingMode, folder: Path) -> None:
    """Write the three graphs of ``training.sam.split`` into ``folder``, each as ``export_onnx`` writes one.

    Raises SaomError for a model that decodes its points jointly: its features are more than an embedding.
    """
    if module.model.decoding != "separate":
        raise SaomError(f"family {module.model.family!r} decodes all points in one graph; export without --split")
    encoder, decoder = EncoderGraph(module).eval(), DecoderGraph(module).eval()
    image, points = _image_and_points(module)
    with torch.no_grad():
        embedding, _ = encoder(image, points)
        asked = {"embedding": embedding, "points": torch.zeros(CHUNK, 2)}
        answers = zip(ANSWER_NAMES, decoder(*asked.values()), strict=True)
    answered = {name: answer.new_zeros(module.max_prompts, *answer.shape[1:]) for name, answer in answers}
    thresholds = {name: torch.full((1,), 0.5) for name in ("score_threshold", "overlap_threshold")}
    _write(encoder, {"image": image, "points": points}, ("embedding", "rank"), folder / ENCODER_NAME)
    _write(decoder, asked, ANSWER_NAMES, folder / DECODER_NAME)
    _write(SelectionGraph(module), {**answered, **thresholds}, OUTPUT_NAMES, folder / SELECTION_NAME)


def _image_and_points(module: EverythingMode) -> tuple[Tensor, Tensor]:
    """Examples of these inputs."""
    image = torch.zeros(1, module.height, module.width, 3, dtype=torch.uint8)
    return image, torch.zeros(module.grid_rows * module.grid_cols, 2)


def _write(module: nn.Module, inputs: Mapping[str, Tensor], outputs: Sequence[str], path: Path) -> None:
    """Trace ``module`` over example ``inputs``, by name, fold what is constant, and check the file."""
    module.eval()  # the tracer would put it, and the model within, back into training afterwards
    traced = path.with_name(path.name + ".traced")  # a folder: PyTorch writes large weights one file each
    traced.mkdir()
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")  # the tracer warns of shapes that become constants, which is what we want
        torch.onnx.export(
            module,
            tuple(inputs.values()),
            str(traced / path.name),  # only a string lets PyTorch put more than 2 GB into files beside it
            input_names=list(inputs),
            output_names=outputs,
            opset_version=OPSET,
            dynamo=False,
        )
    weights = sum(part.stat().st_size for part in traced.iterdir())
    graph = ir.load(traced / path.name)
    optimizer.optimize(graph)  # three of four nodes that the tracer writes for a ViT compute shapes that are known
    ir.save(graph, path, external_data=path.name + DATA_SUFFIX if weights > WEIGHTS_APART else None)
    shutil.rmtree(traced)
    try:
        onnx.checker.check_model(path, full_check=True)
    except onnx.checker.ValidationError as error:
        raise SaomError(f"{path.name}: ONNX's checker refuses it: {error}") from error
