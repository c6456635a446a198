"""ONNX Runtime: the runtime that every robot has, and on the CPU the reference for the others.

On a machine with an NVIDIA GPU and an `onnxruntime-gpu` it runs there.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from saom_ros.errors import BundleError
from saom_ros.runtimes.base import Graph, Tensor, Unavailable, check_graph
from saom_ros.runtimes.cuda import CudaError, find_gpu

_DTYPES = {
    "tensor(uint8)": "uint8",
    "tensor(float)": "float32",
    "tensor(float16)": "float16",
    "tensor(int32)": "int32",
    "tensor(int64)": "int64",
}

_CPU, _CUDA = "CPUExecutionProvider", "CUDAExecutionProvider"

_ERRORS_ONLY, _FATAL_ONLY = 3, 4


def find_cuda() -> str:
    """What ONNX Runtime's CUDA provider would run on; raises `Unavailable` where there is no provider or no GPU."""
    import onnxruntime

    if _CUDA not in onnxruntime.get_available_providers():
        raise Unavailable(f"onnxruntime {onnxruntime.__version__} has no CUDA provider")
    try:
        return find_gpu().name
    except CudaError as error:
        raise Unavailable(str(error)) from None


class OnnxRuntime:
    """A graph of a bundle in an ONNX Runtime session, on the GPU where that is possible."""

    name = "onnxruntime"

    def __init__(self, folder: Path, graph: Graph, threads: int = 0) -> None:
        """Open a graph of the bundle in `folder`. `threads`: CPU threads for one run, 0 = the library's default (all
        physical cores).

        Raises `BundleError` where the graph cannot be opened or lacks the tensors of `graph`.
        """
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = _ERRORS_ONLY
        # Idle workers would spin between frames and take the cores that the robot's other programs need.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        self._path = path = folder / graph.file
        try:
            self._session, self.note = _open(path, options)
        except Exception as error:  # onnxruntime's own exceptions have no public common base
            reason = " ".join(str(error).split())[:300]
            raise BundleError(f"{path}: ONNX Runtime {onnxruntime.__version__} cannot open it: {reason}") from None
        self.inputs = {node.name: _tensor(node) for node in self._session.get_inputs()}
        self.outputs = {node.name: _tensor(node) for node in self._session.get_outputs()}
        check_graph(path, graph, self.inputs, self.outputs)

    def run(self, inputs: Mapping[str, NDArray]) -> dict[str, NDArray]:
        """Run the graph once; see `saom_ros.runtimes.base.Runtime`."""
        try:
            outputs = self._session.run(list(self.outputs), dict(inputs))
        except Exception as error:  # as above
            reason = " ".join(str(error).split())[:300]
            raise BundleError(f"{self._path}: the graph cannot run: {reason}; export the model again") from None
        return dict(zip(self.outputs, outputs, strict=True))


def _open(path: Path, options: Any) -> tuple[Any, str]:
    """A session, and what it runs on."""
    import onnxruntime

    problem = ""
    try:
        gpu = find_cuda()
    except Unavailable:
        pass
    else:
        if hasattr(onnxruntime, "preload_dlls"):
            onnxruntime.preload_dlls()  # finds CUDA's libraries where pip has put them
        options.log_severity_level = _FATAL_ONLY  # what is missing is told by the note
        try:
            session = onnxruntime.InferenceSession(str(path), options, providers=[_CUDA, _CPU])
        except Exception as error:
            problem = " ".join(str(error).split())[:200]
        else:
            # Without CUDA's or cuDNN's libraries ONNX Runtime goes on with the CPU alone.
            if _CUDA in session.get_providers():
                return session, f"on {gpu} through CUDA"
            problem = "CUDA's or cuDNN's libraries are missing or of another version"
        options.log_severity_level = _ERRORS_ONLY
    session = onnxruntime.InferenceSession(str(path), options, providers=[_CPU])
    return session, "on the CPU" + (f", as its CUDA provider does not start: {problem}" if problem else "")


def _tensor(node: Any) -> Tensor:
    return Tensor(_DTYPES.get(node.type, node.type), tuple(node.shape))
