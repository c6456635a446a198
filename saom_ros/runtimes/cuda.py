"""The few calls of NVIDIA's driver that running an engine needs: which GPU is there, its memory, one stream.

They go through ctypes to `libcuda.so.1`. It comes with every NVIDIA driver, on a Jetson as on a workstation, under one
name and with a stable interface, which neither a Python package nor CUDA's runtime library offers.
"""

from __future__ import annotations

import contextlib
import ctypes
import uuid
import weakref
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from saom_ros.errors import SaomError

_LIBRARY = "libcuda.so.1"
_COMPUTE_CAPABILITY_MAJOR, _COMPUTE_CAPABILITY_MINOR = 75, 76


class CudaError(SaomError):
    """There is no NVIDIA GPU, or its driver refused a call."""


class Gpu(NamedTuple):
    """The first GPU that the process may use (`CUDA_VISIBLE_DEVICES` chooses)."""

    name: str
    uuid: str
    compute_capability: str
    """For example `8.7`."""
    cuda: str
    """CUDA version of the driver, for example `12.6`."""


def find_gpu() -> Gpu:
    """Raises `CudaError` where there is no driver or no GPU."""
    driver = _load_driver()
    device = _first_device(driver)
    name, identity, version = ctypes.create_string_buffer(256), (ctypes.c_ubyte * 16)(), ctypes.c_int()
    major, minor = ctypes.c_int(), ctypes.c_int()
    _call(driver, "cuDeviceGetName", name, ctypes.c_int(len(name)), device)
    _call(driver, "cuDeviceGetUuid", ctypes.byref(identity), device)
    _call(driver, "cuDriverGetVersion", ctypes.byref(version))
    _call(driver, "cuDeviceGetAttribute", ctypes.byref(major), ctypes.c_int(_COMPUTE_CAPABILITY_MAJOR), device)
    _call(driver, "cuDeviceGetAttribute", ctypes.byref(minor), ctypes.c_int(_COMPUTE_CAPABILITY_MINOR), device)
    return Gpu(
        name.value.decode("utf-8", "replace"),
        str(uuid.UUID(bytes=bytes(identity))),
        f"{major.value}.{minor.value}",
        f"{version.value // 1000}.{version.value % 1000 // 10}",
    )


class GpuSession:
    """The GPU's primary context, which TensorRT uses too, with a stream and memory of our own; freed with the object.

    Methods may be called from any thread, one at a time.
    """

    def __init__(self) -> None:
        self._driver = _load_driver()
        device = _first_device(self._driver)
        self._context = ctypes.c_void_p()
        _call(self._driver, "cuDevicePrimaryCtxRetain", ctypes.byref(self._context), device)
        self._addresses: list[int] = []
        stream = ctypes.c_void_p()
        self._free = weakref.finalize(self, _free, self._driver, self._context, stream, self._addresses, device)
        self.enter()
        _call(self._driver, "cuStreamCreate", ctypes.byref(stream), ctypes.c_uint(1))  # does not wait for stream 0
        self._stream = stream

    @property
    def stream(self) -> int:
        """Handle of the stream, as TensorRT takes it."""
        return int(self._stream.value or 0)

    def enter(self) -> None:
        """Make the context current in the calling thread; before TensorRT's calls, and in each thread anew."""
        _call(self._driver, "cuCtxSetCurrent", self._context)

    def allocate(self, size: int) -> int:
        """Address of `size` bytes on the GPU."""
        address = ctypes.c_uint64()
        _call(self._driver, "cuMemAlloc_v2", ctypes.byref(address), ctypes.c_size_t(size))
        self._addresses.append(address.value)
        return address.value

    def upload(self, array: NDArray, address: int) -> None:
        """Copy a C-contiguous array to the GPU, in the stream."""
        source, size = ctypes.c_void_p(array.ctypes.data), ctypes.c_size_t(array.nbytes)
        _call(self._driver, "cuMemcpyHtoDAsync_v2", ctypes.c_uint64(address), source, size, self._stream)

    def download(self, address: int, shape: Sequence[int], dtype: str) -> NDArray:
        """Copy an array from the GPU, in the stream; filled once `wait` has returned."""
        array: NDArray = np.empty(tuple(shape), dtype)
        target, size = ctypes.c_void_p(array.ctypes.data), ctypes.c_size_t(array.nbytes)
        _call(self._driver, "cuMemcpyDtoHAsync_v2", target, ctypes.c_uint64(address), size, self._stream)
        return array

    def wait(self) -> None:
        """Wait until everything in the stream is done."""
        _call(self._driver, "cuStreamSynchronize", self._stream)


def _load_driver() -> Any:
    try:
        driver = ctypes.CDLL(_LIBRARY)
    except OSError:
        raise CudaError(f"no NVIDIA driver ({_LIBRARY} is not there)") from None
    _call(driver, "cuInit", ctypes.c_uint(0))
    return driver


def _first_device(driver: Any) -> ctypes.c_int:
    count, device = ctypes.c_int(), ctypes.c_int()
    _call(driver, "cuDeviceGetCount", ctypes.byref(count))
    if not count.value:
        raise CudaError("the NVIDIA driver finds no GPU")
    _call(driver, "cuDeviceGet", ctypes.byref(device), ctypes.c_int(0))
    return device


def _call(driver: Any, function: str, *arguments: Any) -> None:
    code = getattr(driver, function)(*arguments)
    if code:
        text = ctypes.c_char_p()
        driver.cuGetErrorString(ctypes.c_int(code), ctypes.byref(text))
        raise CudaError(f"{function}: CUDA error {code} ({(text.value or b'unknown').decode()})")


def _free(driver: Any, context: Any, stream: Any, addresses: list[int], device: Any) -> None:
    with contextlib.suppress(CudaError):  # at the end of the process the driver may be gone already
        _call(driver, "cuCtxSetCurrent", context)
        for address in addresses:
            _call(driver, "cuMemFree_v2", ctypes.c_uint64(address))
        if stream.value:
            _call(driver, "cuStreamDestroy_v2", stream)
        _call(driver, "cuDevicePrimaryCtxRelease_v2", device)
