"""TensorRT on NVIDIA GPUs: runs an engine that `saom_ros.engines` built on this very device.

A thin runner: buffers on the GPU that live as long as the engine, one stream of its own, one copy in and one out.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from saom_ros.bundle import BundleConfig
from saom_ros.errors import BundleError
from saom_ros.runtimes.base import Tensor, check_arrays, check_graph, whole_graph
from saom_ros.runtimes.cuda import GpuSession

_DTYPES = {"UINT8": "uint8", "FLOAT": "float32", "HALF": "float16", "INT32": "int32", "INT64": "int64"}


class TensorRt:
    """A TensorRT engine of a bundle's graph."""

    name = "tensorrt"

    def __init__(self, engine: bytes, path: Path, config: BundleConfig, note: str = "") -> None:
        """Load an engine. `engine`: its bytes, checked by the caller; `path`: where they are from, for messages.

        Raises `BundleError` where TensorRT refuses it or it does not fit `config`, `CudaError` without a GPU.
        """
        import tensorrt as trt

        self.note = note
        self._path = path
        self._gpu = GpuSession()
        self._runtime = trt.Runtime(trt.Logger(trt.Logger.ERROR))
        self._engine = self._runtime.deserialize_cuda_engine(engine)
        if self._engine is None:
            raise BundleError(f"{path}: TensorRT {trt.__version__} refuses this engine; build it again")
        names = [self._engine.get_tensor_name(index) for index in range(self._engine.num_io_tensors)]
        tensors = {name: self._tensor(name) for name in names}
        given = [name for name in names if self._engine.get_tensor_mode(name) == trt.TensorIOMode.INPUT]
        self._inputs = {name: tensors[name] for name in given}
        self._outputs = {name: tensor for name, tensor in tensors.items() if name not in given}
        check_graph(path, whole_graph(config), self._inputs, self._outputs)
        self._context = self._engine.create_execution_context()
        if self._context is None:
            raise BundleError(f"{path}: no memory on the GPU to run this engine; close other programs")
        self._addresses = {name: self._gpu.allocate(_size(tensor)) for name, tensor in tensors.items()}
        for name, address in self._addresses.items():
            self._context.set_tensor_address(name, address)

    def run(self, inputs: Mapping[str, NDArray]) -> dict[str, NDArray]:
        """Run the graph once; see `saom_ros.runtimes.base.Runtime`."""
        check_arrays(self._inputs, inputs)  # a larger array would overrun its buffer
        contiguous = {name: np.ascontiguousarray(inputs[name]) for name in self._inputs}
        self._gpu.enter()
        for name, array in contiguous.items():
            self._gpu.upload(array, self._addresses[name])
        if not self._context.execute_async_v3(self._gpu.stream):
            raise BundleError(f"{self._path}: TensorRT cannot run this engine; build it again")
        outputs = {
            name: self._gpu.download(self._addresses[name], tensor.shape, tensor.dtype)  # type: ignore[arg-type]
            for name, tensor in self._outputs.items()
        }
        self._gpu.wait()
        return outputs

    def _tensor(self, name: str) -> Tensor:
        dtype = self._engine.get_tensor_dtype(name).name  # trt.nptype breaks with newer NumPy in TensorRT 8.6
        return Tensor(_DTYPES.get(dtype, dtype), tuple(self._engine.get_tensor_shape(name)))


def _size(tensor: Tensor) -> int:
    return int(np.dtype(tensor.dtype).itemsize * np.prod(tensor.shape, dtype=np.int64))  # type: ignore[arg-type]
