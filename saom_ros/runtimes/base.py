"""What all runtimes share: the protocol, and the check that a graph has the tensors that a bundle promises."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from saom_ros.bundle import GRAPH_NAME, BundleConfig
from saom_ros.errors import BundleError, SaomError


class Runtime(Protocol):
    """Something that runs a bundle's graph: one static function from named arrays to named arrays."""

    @property
    def name(self) -> str:
        """Shown by the node's diagnostics and `saom info`, for example `onnxruntime`."""
        ...

    note: str
    """What it runs on and why it and no faster one, in one line, for example `on the CPU (CUDA: no NVIDIA driver)`."""

    def run(self, inputs: Mapping[str, NDArray]) -> dict[str, NDArray]:
        """Run the graph once. Takes and returns C-contiguous arrays of exactly the graph's dtypes and shapes."""
        ...


class GraphRuntime(Runtime, Protocol):
    """A runtime of one ONNX file."""

    inputs: dict[str, Tensor]
    outputs: dict[str, Tensor]


class Unavailable(SaomError):  # noqa: N818  (no error: the next runtime is tried)
    """A runtime that cannot be used on this machine; the message completes `NAME: ...`."""


class Tensor(NamedTuple):
    """Dtype name (numpy's) and shape of a graph input or output; where one is expected, a name stands for any size."""

    dtype: str
    shape: tuple[int | str | None, ...]

    def __str__(self) -> str:
        return f"{self.dtype} ({', '.join(str(n) for n in self.shape)})"

    def admits(self, found: Tensor) -> bool:
        """Whether `found`, which a graph has, is what this one expects."""
        if self.dtype != found.dtype or len(self.shape) != len(found.shape):
            return False
        sizes = zip(self.shape, found.shape, strict=True)
        return all(size == n or (isinstance(size, str) and isinstance(n, int)) for size, n in sizes)


class Graph(NamedTuple):
    """An ONNX file of a bundle and the tensors that it must have."""

    file: str
    inputs: dict[str, Tensor]
    outputs: dict[str, Tensor]


def whole_graph(config: BundleConfig) -> Graph:
    """The one graph of a bundle that is not split."""
    return Graph(GRAPH_NAME, graph_inputs(config), graph_outputs(config))


def graph_inputs(config: BundleConfig) -> dict[str, Tensor]:
    """The inputs that the graph of a bundle must have."""
    threshold = Tensor("float32", (1,))
    return {
        "image": Tensor("uint8", (1, config.input.height, config.input.width, 3)),
        "points": Tensor("float32", (config.num_points, 2)),
        "score_threshold": threshold,
        "objectness_threshold": threshold,
        "overlap_threshold": threshold,
    }


def graph_outputs(config: BundleConfig) -> dict[str, Tensor]:
    """The outputs that the graph of a bundle must have."""
    count = config.max_instances
    return {
        "masks": Tensor("uint8", (count, *config.mask_shape)),
        "scores": Tensor("float32", (count,)),
        "boxes": Tensor("float32", (count, 4)),
        "class_ids": Tensor("int32", (count,)),
    }


def check_graph(path: Path, graph: Graph, inputs: Mapping[str, Tensor], outputs: Mapping[str, Tensor]) -> None:
    """Raise `BundleError` where the file in `path` does not have the tensors of `graph`."""
    for kind, found, expected in (("input", inputs, graph.inputs), ("output", outputs, graph.outputs)):
        if set(found) != set(expected):
            raise BundleError(
                f"{path}: graph {kind}s are {', '.join(sorted(found)) or 'none'}; expected {', '.join(expected)}: "
                "export the model again"
            )
        for name, tensor in expected.items():
            if not tensor.admits(found[name]):
                raise BundleError(
                    f"{path}: graph {kind} {name} is {found[name]}, model.yaml implies {tensor}; export the model again"
                )


def check_arrays(expected: Mapping[str, Tensor], arrays: Mapping[str, NDArray]) -> None:
    """Raise `ValueError` where arrays differ from the graph's tensors: a defect of the caller or the runtime."""
    for name, tensor in expected.items():
        if name not in arrays:
            raise ValueError(f"tensor {name} is missing; expected {tensor}")
        found = Tensor(np.dtype(arrays[name].dtype).name, tuple(arrays[name].shape))
        if found != tensor:
            raise ValueError(f"tensor {name} is {found}; expected {tensor}")
