"""Everything mode as an ONNX file: traced with static shapes, weights beside the graph where they are many, checked."""

import shutil
import warnings
from pathlib import Path

import onnx
import torch

from saom_ros.errors import SaomError
from training.sam.everything import INPUT_NAMES, OUTPUT_NAMES, EverythingMode

OPSET = 17
DATA_SUFFIX = ".data"
WEIGHTS_APART = 1_500_000_000
"""Bytes of weights above which they lie beside the graph: protobuf holds no file above 2 GB."""


def export_onnx(module: EverythingMode, path: Path) -> None:
    """Write ``path``, and ``path`` + ``.data`` with the weights where those are above ``WEIGHTS_APART``.

    Raises SaomError where ONNX's checker refuses the graph.
    """
    apart = sum(tensor.nbytes for tensor in module.state_dict().values()) > WEIGHTS_APART
    traced = path.with_name(path.name + ".traced")  # a folder: PyTorch writes large weights one file each
    traced.mkdir()
    _trace(module, traced / path.name)
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


def _trace(module: EverythingMode, path: Path) -> None:
    points, threshold = torch.zeros(module.grid_rows * module.grid_cols, 2), torch.full((1,), 0.5)
    example = (torch.zeros(1, module.height, module.width, 3, dtype=torch.uint8), points, *[threshold] * 3)
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")  # the tracer warns of shapes that become constants, which is what we want
        torch.onnx.export(
            module, example, path, input_names=INPUT_NAMES, output_names=OUTPUT_NAMES, opset_version=OPSET, dynamo=False
        )
