"""Everything mode as an ONNX file, or its encoder and decoder apart.

Traced with static shapes in evaluation mode, weights beside the graph where they are many, and checked.
"""

import shutil
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path

import onnx
import torch
from torch import Tensor, nn

from saom_ros.errors import SaomError
from training.sam.everything import INPUT_NAMES, OUTPUT_NAMES, EverythingMode
from training.sam.model import PromptableModel
from training.sam.separate import PROMPT_CHUNK
from training.sam.split import DECODER_OUTPUTS, FEATURE_NAMES, DecoderGraph, EncoderGraph

OPSET = 17
DATA_SUFFIX = ".data"
WEIGHTS_APART = 1_500_000_000
"""Bytes of weights above which they lie beside the graph: protobuf holds no file above 2 GB."""


def export_onnx(module: EverythingMode, path: Path) -> None:
    """Write everything mode to ``path``, and its weights to ``path`` + ``.data`` where they are above
    ``WEIGHTS_APART``.

    Raises SaomError where ONNX's checker refuses the graph.
    """
    points, threshold = torch.zeros(module.grid_rows * module.grid_cols, 2), torch.full((1,), 0.5)
    image = torch.zeros(1, module.height, module.width, 3, dtype=torch.uint8)
    inputs = dict(zip(INPUT_NAMES, (image, points, *[threshold] * 3), strict=True))
    _write(module, inputs, OUTPUT_NAMES, path)


def export_split(model: PromptableModel, height: int, width: int, encoder: Path, decoder: Path) -> None:
    """Write ``EncoderGraph`` for images of ``height`` x ``width`` px and ``DecoderGraph`` for 64 points; as
    ``export_onnx``.
    """
    image, points = torch.zeros(1, height, width, 3, dtype=torch.uint8), torch.zeros(PROMPT_CHUNK, 2)
    graph = EncoderGraph(model).eval()
    with torch.no_grad():
        *features, _ = graph(image)
    inputs = dict(zip(FEATURE_NAMES, features, strict=False))
    _write(graph, {"image": image}, (*inputs, "objectness"), encoder)
    _write(DecoderGraph(model), {**inputs, "points": points}, DECODER_OUTPUTS, decoder)


def _write(module: nn.Module, inputs: Mapping[str, Tensor], outputs: Sequence[str], path: Path) -> None:
    """Trace ``module`` over example ``inputs``, by name, and check the file."""
    module.eval()  # the tracer would put it, and the model within, back into training afterwards
    apart = sum(tensor.nbytes for tensor in module.state_dict().values()) > WEIGHTS_APART
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
    if apart:
        graph = onnx.load(traced / path.name)
        location = path.name + DATA_SUFFIX
        onnx.save_model(graph, path, save_as_external_data=True, all_tensors_to_one_file=True, location=location)
    else:
        (traced / path.name).replace(path)
    shutil.rmtree(traced)
    try:
        onnx.checker.check_model(path, full_check=True)
    except onnx.checker.ValidationError as error:
        raise SaomError(f"{path.name}: ONNX's checker refuses it: {error}") from error
