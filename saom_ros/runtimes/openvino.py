"""OpenVINO on x86 CPUs: an optional runtime that computes convolutions in 8 bits where the bundle tells their ranges,
and in bfloat16 where the processor has it (AMX).
"""

from __future__ import annotations

import functools
import platform
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from saom_ros.bundle import RANGES_NAME
from saom_ros.errors import BundleError
from saom_ros.runtimes.base import Graph, Tensor, check_graph
from saom_ros.runtimes.int8 import Ranges, quantize

# OpenVINO's import would start a process that reports to its makers over the network; without the module it does not.
sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]


def has_int8() -> bool:
    """Whether OpenVINO multiplies bytes on this CPU: on every x86 of 64 bits."""
    return platform.machine() in {"x86_64", "AMD64"}


def has_bfloat16() -> bool:
    """Whether this CPU has instructions for bfloat16 that OpenVINO uses; without them it is no faster than others.

    Asked of Linux: OpenVINO itself takes seconds to answer on a busy machine.
    """
    try:
        flags = set(Path("/proc/cpuinfo").read_text().partition("flags")[2].partition("\n")[0].split())
    except OSError:
        return False
    return bool(flags & {"amx_bf16", "avx512_bf16"})


@functools.cache
def _core() -> Any:
    """The one `openvino.Core` of this process, for its whole life.

    On CPUs with AMX the core's CPU plugin gives the thread that loads it a stack for signal handlers, and when it goes
    puts back the one before. Of two whose lives overlap, that one may be gone: the next signal would kill the process.
    """
    import openvino

    return openvino.Core()


class OpenVino:
    """A graph of a bundle, compiled by OpenVINO for the CPU."""

    name = "openvino"

    def __init__(
        self, folder: Path, graph: Graph, threads: int = 0, precision: str = "", ranges: Ranges | None = None
    ) -> None:
        """Compile a graph of the bundle in `folder`. `threads`: CPU threads for one run, 0 = the library's default.
        `precision`: `f32` or `bf16`; empty = OpenVINO's own choice, bfloat16 where the CPU has it. `ranges`: of the
        bundle, for convolutions in 8 bits.

        Raises `BundleError` where the graph cannot be opened or lacks the tensors of `graph` or of `ranges`.
        """
        import openvino

        path = folder / graph.file
        options = {"PERFORMANCE_HINT": "LATENCY"}
        if threads:
            options["INFERENCE_NUM_THREADS"] = str(threads)
        if precision:
            options["INFERENCE_PRECISION_HINT"] = precision
        missing: set[str] = set()
        core = _core()
        try:
            model = core.read_model(str(path))
            if ranges:
                missing = ranges.keys() - quantize(model, ranges)
            self._model = core.compile_model(model, "CPU", options)
        except RuntimeError as error:
            reason = " ".join(str(error).split())[:300]
            raise BundleError(f"{path}: OpenVINO {openvino.__version__} cannot open it: {reason}") from None
        if missing:
            lacking = f"{graph.file} has no convolution of {min(missing)!r:.80}"
            raise BundleError(f"{folder / RANGES_NAME}: {lacking}; export the model again")
        rest = self._model.get_property("INFERENCE_PRECISION_HINT").get_type_name()
        self.note = f"on the CPU in {f'int8 and {rest}' if ranges else rest}"
        self._ports = {_name(port, graph.outputs): port for port in self._model.outputs}
        self.inputs = {_name(port, graph.inputs): _tensor(port) for port in self._model.inputs}
        self.outputs = {name: _tensor(port) for name, port in self._ports.items()}
        check_graph(path, graph, self.inputs, self.outputs)
        self._request = self._model.create_infer_request()

    def run(self, inputs: Mapping[str, NDArray]) -> dict[str, NDArray]:
        """Run the graph once; see `saom_ros.runtimes.base.Runtime`."""
        results = self._request.infer(dict(inputs))
        # OpenVINO reuses its output buffers in the next run.
        return {name: np.array(results[port]) for name, port in self._ports.items()}


def _name(port: Any, expected: Mapping[str, Tensor]) -> str:
    """The port's name; OpenVINO adds the names of nodes that it folded into one."""
    return next((name for name in port.names if name in expected), port.any_name)


def _tensor(port: Any) -> Tensor:
    return Tensor(np.dtype(port.element_type.to_dtype()).name, tuple(port.shape))
