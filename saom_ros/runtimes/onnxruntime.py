"""ONNX Runtime on the CPU: the runtime that every robot has, and the reference for the others."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from saom_ros.bundle import GRAPH_NAME, BundleConfig
from saom_ros.errors import BundleError
from saom_ros.runtimes.base import Tensor, check_graph

_DTYPES = {
    "tensor(uint8)": "uint8",
    "tensor(float)": "float32",
    "tensor(float16)": "float16",
    "tensor(int32)": "int32",
    "tensor(int64)": "int64",
}

_ERRORS_ONLY = 3


class OnnxRuntime:
    """`model.onnx` of a bundle in an ONNX Runtime session on the CPU."""

    name = "onnxruntime"

    def __init__(self, folder: Path, config: BundleConfig, threads: int = 0) -> None:
        """Open the graph. `threads`: CPU threads for one run, 0 = the library's default (all physical cores).

        Raises `BundleError` where the graph cannot be opened or does not fit `config`.
        """
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = _ERRORS_ONLY
        # Idle workers would spin between frames and take the cores that the robot's other programs need.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        self._path = path = folder / GRAPH_NAME
        try:
            self._session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        except Exception as error:  # onnxruntime's own exceptions have no public common base
            reason = " ".join(str(error).split())[:300]
            raise BundleError(f"{path}: ONNX Runtime {onnxruntime.__version__} cannot open it: {reason}") from None
        inputs = {node.name: _tensor(node) for node in self._session.get_inputs()}
        outputs = {node.name: _tensor(node) for node in self._session.get_outputs()}
        check_graph(path, config, inputs, outputs)
        self._outputs = list(outputs)

    def run(self, inputs: Mapping[str, NDArray]) -> dict[str, NDArray]:
        """Run the graph once; see `saom_ros.runtimes.base.Runtime`."""
        try:
            outputs = self._session.run(self._outputs, dict(inputs))
        except Exception as error:  # as above
            reason = " ".join(str(error).split())[:300]
            raise BundleError(f"{self._path}: the graph cannot run: {reason}; export the model again") from None
        return dict(zip(self._outputs, outputs, strict=True))


def _tensor(node: Any) -> Tensor:
    return Tensor(_DTYPES.get(node.type, node.type), tuple(node.shape))
