"""Weights out of a bundle's graph, so that training can start from a model that has shipped.

An export folds each batch norm into the convolution before it and transposes matrices, and so forgets what the norms
had seen. The convolutions are read as they are; the norms get statistics of images, and scales that leave every answer
as it was. The bundle's golden pair proves it.
"""

from collections.abc import Iterable
from pathlib import Path

import onnx
import torch
from numpy.typing import NDArray
from onnx import numpy_helper
from torch import Tensor, nn

from saom_ros.bundle import GRAPH_NAME, BundleConfig, load_config
from saom_ros.errors import SaomError
from saom_ros.golden import compare, load_golden
from training.sam.everything import INPUT_NAMES, OUTPUT_NAMES, EverythingMode
from training.sam.registry import build_model
from training.sam.small import SmallSam

_PREFIX = "model."


def load_bundle_weights(folder: Path, images: Iterable[Tensor]) -> SmallSam:
    """The model of a bundle of family ``small``, in evaluation mode.

    ``images``: batches (B, 3, h, w) RGB in 0..255, like those that training will see, for the norms' statistics.
    Raises SaomError for a bundle of another family, one whose ``model.yaml`` does not tell the model's shape, and one
    whose graph does not give its golden outputs again.
    """
    config = load_config(folder)
    if config.family != SmallSam.family:
        raise SaomError(f"{folder}: is of family {config.family}; training starts from bundles of family small only")
    module = _everything(folder, config)
    inputs, outputs = load_golden(folder, config)
    try:
        norms = _fill(module, _executed(module, inputs), onnx.load(folder / GRAPH_NAME).graph)
    except (KeyError, RuntimeError, StopIteration, ValueError) as error:
        raise SaomError(f"{folder}: its graph is not one of ours: {error}; start from a checkpoint") from error
    model = module.model
    assert isinstance(model, SmallSam)
    _set_norms(model, norms, images)
    if problem := compare(outputs, _run(module, inputs)).problem:
        raise SaomError(f"{folder}: weights read from its graph do not answer as it does: {problem}; export it again")
    return model


def _everything(folder: Path, config: BundleConfig) -> EverythingMode:
    """The bundle's graph in torch, with random weights."""
    try:
        model = build_model(config.family, config.training["config"]["model"])
    except (KeyError, TypeError) as error:
        raise SaomError(f"{folder}/model.yaml: training.config.model is missing; it tells the model's shape") from error
    size, grid = (config.input.height, config.input.width), (config.grid.rows, config.grid.cols)
    return EverythingMode(model, *size, grid, config.max_prompts, config.max_instances).eval()


def _executed(module: EverythingMode, inputs: dict[str, NDArray]) -> list[nn.Module]:
    """Convolutions, matrices and norms in the order in which they compute, which is the graph's."""
    order: list[nn.Module] = []
    kinds = (nn.Conv2d, nn.Linear, nn.BatchNorm2d)
    hooks = [
        part.register_forward_hook(lambda part, *_: order.append(part))
        for part in module.modules()
        if isinstance(part, kinds)
    ]
    _run(module, inputs)
    for hook in hooks:
        hook.remove()
    return order


def _run(module: EverythingMode, inputs: dict[str, NDArray]) -> dict[str, NDArray]:
    with torch.inference_mode():
        outputs = module(*(torch.tensor(inputs[name]) for name in INPUT_NAMES))
    return {name: tensor.numpy() for name, tensor in zip(OUTPUT_NAMES, outputs, strict=True)}


def _fill(
    module: EverythingMode, executed: list[nn.Module], graph: onnx.GraphProto
) -> list[tuple[nn.BatchNorm2d, Tensor]]:
    """Fill every parameter but the norms'; these, each with the bias that it has to add.

    Raises KeyError, RuntimeError, StopIteration or ValueError where the graph has others.
    """
    weights = {each.name: torch.from_numpy(numpy_helper.to_array(each).copy()) for each in graph.initializer}
    named = {f"{_PREFIX}{name}": tensor for name, tensor in module.model.state_dict(keep_vars=True).items()}
    filled = set()
    for name in named.keys() & weights.keys():
        named[name].data.copy_(weights[name])
        filled.add(id(named[name]))
    renamed = weights.keys() - named.keys()
    products = [node.input[1] for node in graph.node if node.op_type == "MatMul" and node.input[1] in renamed]
    matrices = [part for part in executed if isinstance(part, nn.Linear)]
    for matrix, product in zip(matrices, products, strict=True):
        matrix.weight.data.copy_(weights[product].T)
        filled.add(id(matrix.weight))
    nodes = iter([node for node in graph.node if node.op_type == "Conv"])
    norms: list[tuple[nn.BatchNorm2d, Tensor]] = []
    for part, after in zip(executed, [*executed[1:], None], strict=True):
        if isinstance(part, nn.Conv2d):
            _, weight, bias = next(nodes).input
            part.weight.data.copy_(weights[weight])
            filled.add(id(part.weight))
            if isinstance(after, nn.BatchNorm2d):
                norms.append((after, weights[bias]))
                filled |= {id(tensor) for tensor in after.state_dict(keep_vars=True).values()}
    if left := sorted(name for name, tensor in named.items() if id(tensor) not in filled):
        raise ValueError(f"it has no {', '.join(left)}")
    return norms


def _set_norms(model: SmallSam, norms: list[tuple[nn.BatchNorm2d, Tensor]], images: Iterable[Tensor]) -> None:
    """Statistics of what goes into each norm, and the scale and shift that add but the bias."""
    seen: dict[nn.Module, list[Tensor]] = {norm: [] for norm, _ in norms}

    def watch(norm: nn.Module, given: tuple[Tensor, ...]) -> None:
        x = given[0].double()
        seen[norm].append(torch.stack([x.mean((0, 2, 3)), x.square().mean((0, 2, 3))]))

    with torch.no_grad():
        for norm, bias in norms:
            _make_identity(norm, torch.zeros_like(bias), torch.ones_like(bias), bias)
        hooks = [norm.register_forward_pre_hook(watch) for norm, _ in norms]
        for batch in images:
            model.encode(batch.float())
        for hook in hooks:
            hook.remove()
        for norm, bias in norms:
            mean, square = torch.stack(seen[norm]).mean(0)
            variance = (square - mean.square()).clamp(min=0)
            _make_identity(norm, mean.float(), variance.float(), bias)


def _make_identity(norm: nn.BatchNorm2d, mean: Tensor, variance: Tensor, bias: Tensor) -> None:
    """Let a norm with these statistics add ``bias`` and do nothing else."""
    assert norm.running_mean is not None
    assert norm.running_var is not None
    norm.running_mean.copy_(mean)
    norm.running_var.copy_(variance)
    norm.weight.copy_((variance + norm.eps).sqrt())
    norm.bias.copy_(mean + bias)
