"""Which of a machine's GPUs a worker process draws on.

OpenGL over EGL takes the first device unless told otherwise, so that all workers of a machine with four GPUs would
crowd on one. Each worker chooses before its simulator makes a graphics context.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Sequence
from dataclasses import dataclass

INDEX_VARIABLE = "GLCONTEXT_DEVICE_INDEX"
"""What moderngl's EGL backend reads; one that the user has set is left alone."""

_EGL_EXTENSIONS, _EGL_CUDA_DEVICE_NV = 0x3055, 0x323A
_MOST_DEVICES = 64


@dataclass(frozen=True)
class EglDevice:
    """One entry of eglQueryDevicesEXT (EGL_EXT_device_enumeration), in its order."""

    software: bool
    """Draws on the CPU (EGL_MESA_device_software)."""
    cuda: int | None
    """Number of the GPU in CUDA (EGL_NV_device_cuda); None where it is not NVIDIA's, or hidden from this process."""


def choose_device(gpu: int) -> None:
    """Let this process draw on its machine's GPU number `gpu`, counted round; without a GPU nothing changes."""
    index = pick(list_devices(), gpu)
    if index is not None:
        os.environ.setdefault(INDEX_VARIABLE, str(index))


def pick(devices: Sequence[EglDevice], gpu: int) -> int | None:
    """Index into `devices` for GPU number `gpu`, counted round where there are fewer; None where none is a GPU.

    CUDA_VISIBLE_DEVICES hides GPUs from CUDA, not from EGL, so a single device that CUDA still sees is the one meant.
    """
    hardware = [index for index, device in enumerate(devices) if not device.software]
    seen = [index for index in hardware if devices[index].cuda is not None]
    if len(seen) == 1:
        return seen[0]
    for index in seen:
        if devices[index].cuda == gpu:
            return index
    return hardware[gpu % len(hardware)] if hardware else None


def list_devices() -> list[EglDevice]:
    """The EGL devices of this machine; none where EGL is missing, which the simulator reports with what to install."""
    try:
        egl = ctypes.CDLL("libEGL.so.1")
    except OSError:
        return []
    egl.eglGetProcAddress.restype = ctypes.c_void_p
    addresses = [
        egl.eglGetProcAddress(name)
        for name in (b"eglQueryDevicesEXT", b"eglQueryDeviceStringEXT", b"eglQueryDeviceAttribEXT")
    ]
    if not all(addresses):
        return []
    handle, number = ctypes.c_void_p, ctypes.c_int
    query = ctypes.CFUNCTYPE(ctypes.c_uint, number, ctypes.POINTER(handle), ctypes.POINTER(number))(addresses[0])
    string = ctypes.CFUNCTYPE(ctypes.c_char_p, handle, number)(addresses[1])
    attribute = ctypes.CFUNCTYPE(ctypes.c_uint, handle, number, ctypes.POINTER(ctypes.c_ssize_t))(addresses[2])
    handles, count, cuda = (handle * _MOST_DEVICES)(), number(), ctypes.c_ssize_t()
    if not query(_MOST_DEVICES, handles, ctypes.byref(count)):
        return []
    devices = []
    for device in handles[: count.value]:
        extensions = (string(device, _EGL_EXTENSIONS) or b"").split()
        known = attribute(device, _EGL_CUDA_DEVICE_NV, ctypes.byref(cuda))
        devices.append(EglDevice(b"EGL_MESA_device_software" in extensions, int(cuda.value) if known else None))
    return devices
