"""A stand-in for NVIDIA's driver and for TensorRT at the one seam where we call them, for machines without a GPU.

`Driver` keeps the GPU's memory in that of the process; an "engine" of `tensorrt_module` is an ONNX graph behind a
prefix, which ONNX Runtime runs on the buffers whose addresses were set. Nothing here tells about real engines: their
numbers, speed and memory show only on a GPU.
"""

from __future__ import annotations

import ctypes
import importlib.machinery
import types
from enum import Enum

import numpy as np
import onnxruntime

PREFIX = b"ENGINE"
NAME, UUID = "Orin", "00010203-0405-0607-0809-0a0b0c0d0e0f"
OUT_OF_MEMORY = 2


class Driver:
    """What `ctypes.CDLL("libcuda.so.1")` offers, as far as we use it."""

    def __init__(self):
        self.memory = {}
        self.devices = 1
        self.streams = 0
        self.current = None
        self.limit = 1 << 30

    def cuInit(self, flags):  # noqa: N802
        return 0

    def cuDeviceGetCount(self, count):  # noqa: N802
        count._obj.value = self.devices
        return 0

    def cuDeviceGet(self, device, index):  # noqa: N802
        device._obj.value = index.value
        return 0

    def cuDeviceGetName(self, name, size, device):  # noqa: N802
        name.value = NAME.encode()
        return 0

    def cuDeviceGetUuid(self, identity, device):  # noqa: N802
        identity._obj[:] = list(range(16))
        return 0

    def cuDriverGetVersion(self, version):  # noqa: N802
        version._obj.value = 12060
        return 0

    def cuDeviceGetAttribute(self, value, attribute, device):  # noqa: N802
        value._obj.value = {75: 8, 76: 7}[attribute.value]
        return 0

    def cuGetErrorString(self, code, text):  # noqa: N802
        text._obj.value = b"out of memory"
        return 0

    def cuDevicePrimaryCtxRetain(self, context, device):  # noqa: N802
        context._obj.value = 7
        return 0

    def cuDevicePrimaryCtxRelease_v2(self, device):  # noqa: N802
        return 0

    def cuCtxSetCurrent(self, context):  # noqa: N802
        self.current = context.value
        return 0

    def cuStreamCreate(self, stream, flags):  # noqa: N802
        stream._obj.value = 11
        self.streams += 1
        return 0

    def cuStreamDestroy_v2(self, stream):  # noqa: N802
        self.streams -= 1
        return 0

    def cuStreamSynchronize(self, stream):  # noqa: N802
        return 0

    def cuMemAlloc_v2(self, address, size):  # noqa: N802
        if size.value > self.limit:
            return OUT_OF_MEMORY
        buffer = ctypes.create_string_buffer(size.value)
        address._obj.value = ctypes.addressof(buffer)
        self.memory[address._obj.value] = buffer
        return 0

    def cuMemFree_v2(self, address):  # noqa: N802
        del self.memory[address.value]
        return 0

    def cuMemcpyHtoDAsync_v2(self, address, source, size, stream):  # noqa: N802
        assert size.value <= len(self.memory[address.value])
        ctypes.memmove(address.value, source.value, size.value)
        return 0

    def cuMemcpyDtoHAsync_v2(self, target, address, size, stream):  # noqa: N802
        assert size.value <= len(self.memory[address.value])
        ctypes.memmove(target.value, address.value, size.value)
        return 0


class TensorIOMode(Enum):
    INPUT = 1
    OUTPUT = 2


class DataType(Enum):
    UINT8 = "tensor(uint8)"
    FLOAT = "tensor(float)"
    INT32 = "tensor(int32)"


class Engine:
    def __init__(self, graph):
        self.session = onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"])
        self.inputs = {node.name: node for node in self.session.get_inputs()}
        self.nodes = self.inputs | {node.name: node for node in self.session.get_outputs()}
        self.num_io_tensors = len(self.nodes)

    def get_tensor_name(self, index):
        return list(self.nodes)[index]

    def get_tensor_mode(self, name):
        return TensorIOMode.INPUT if name in self.inputs else TensorIOMode.OUTPUT

    def get_tensor_shape(self, name):
        return tuple(self.nodes[name].shape)

    def get_tensor_dtype(self, name):
        return DataType(self.nodes[name].type)

    def create_execution_context(self):
        return Context(self)


class Context:
    works = True

    def __init__(self, engine):
        self.engine = engine
        self.addresses = {}

    def set_tensor_address(self, name, address):
        self.addresses[name] = address

    def execute_async_v3(self, stream):
        assert stream == 11
        if not self.works:
            return False
        names = [name for name in self.engine.nodes if name not in self.engine.inputs]
        inputs = {name: self._view(name) for name in self.engine.inputs}
        for name, array in zip(names, self.engine.session.run(names, inputs), strict=True):
            self._view(name)[...] = array
        return True

    def _view(self, name):
        dtype = {"UINT8": np.uint8, "FLOAT": np.float32, "INT32": np.int32}[self.engine.get_tensor_dtype(name).name]
        shape = self.engine.get_tensor_shape(name)
        count = int(np.prod(shape)) * np.dtype(dtype).itemsize
        raw = (ctypes.c_ubyte * count).from_address(self.addresses[name])
        return np.frombuffer(raw, dtype).reshape(shape)


class Logger:
    ERROR = 1

    def __init__(self, severity):
        pass


class Runtime:
    def __init__(self, logger):
        pass

    def deserialize_cuda_engine(self, engine):
        return Engine(engine[len(PREFIX) :]) if engine.startswith(PREFIX) else None


def tensorrt_module(version: str = "10.3.0") -> types.ModuleType:
    """A module `tensorrt` for `sys.modules`."""
    module = types.ModuleType("tensorrt")
    module.__spec__ = importlib.machinery.ModuleSpec("tensorrt", None)
    module.__version__ = version
    module.Logger, module.Runtime, module.TensorIOMode = Logger, Runtime, TensorIOMode
    return module
