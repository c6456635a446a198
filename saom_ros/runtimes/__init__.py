"""Runtimes: libraries that run a bundle's graph on a robot, behind one small interface.

Each runtime is a class in a module of its own; `create` opens the one that is asked for, or for `auto` the fastest that
is there, and its `note` says which it is and why. Their libraries are imported only when one is used.
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable
from pathlib import Path

from saom_ros.bundle import RANGES_NAME, BundleConfig
from saom_ros.errors import SaomError
from saom_ros.runtimes.base import Graph, GraphRuntime, Runtime, Unavailable, whole_graph
from saom_ros.runtimes.split import SplitRuntime, split_graphs

__all__ = ["AUTO", "RUNTIMES", "TENSORRT", "Runtime", "create", "installed", "open_openvino"]

AUTO, TENSORRT, ONNXRUNTIME, OPENVINO = "auto", "tensorrt", "onnxruntime", "openvino"

RUNTIMES: dict[str, str] = {
    ONNXRUNTIME: "pip install onnxruntime",
    OPENVINO: "pip install openvino",
    TENSORRT: "comes with JetPack; elsewhere pip install tensorrt",
}
"""Name, which is that of the Python module too -> the mend where it is missing."""


def installed() -> dict[str, str]:
    """Runtimes whose library is installed, with its version."""
    versions = {}
    for name in RUNTIMES:
        if importlib.util.find_spec(name) is not None:
            importlib.import_module(f"{__name__}.{name}")  # prepares for its library
            versions[name] = str(getattr(importlib.import_module(name), "__version__", "unknown"))
    return versions


def create(
    folder: Path | str, config: BundleConfig, runtime: str = AUTO, threads: int = 0, engines: Path | None = None
) -> Runtime:
    """Open the bundle in `folder`.

    Args:
        runtime: a name in `RUNTIMES`, or `auto` for the fastest that is there: TensorRT with an engine that was built
            before, ONNX Runtime on a GPU, OpenVINO where the bundle tells ranges for 8 bits or the CPU has
            bfloat16, ONNX Runtime. `tensorrt` is a wish: where it is not to be had the next best one runs, and its note
            says why.
        threads: CPU threads, 0 = the library's default.
        engines: folder of the TensorRT engines; None = `saom_ros.engines.default_cache()`.

    Raises:
        SaomError: unknown or missing runtime, negative threads.
        BundleError: the graph cannot be opened or does not fit `config`.
    """
    if isinstance(threads, bool) or not isinstance(threads, int) or not 0 <= threads <= 1024:
        raise SaomError(f"threads is {threads!r}; it must be an integer in 0..1024 (0 = the library's default)")
    if runtime != AUTO and runtime not in RUNTIMES:
        raise SaomError(f"unknown runtime {runtime!r}; expected one of {', '.join([AUTO, *RUNTIMES])}")
    folder = Path(folder)
    openers: dict[str, Callable[[], Runtime]] = {
        "TensorRT": lambda: _tensorrt(folder, config, engines),
        "CUDA": lambda: _onnxruntime(folder, config, threads, cuda=True),
        "OpenVINO": lambda: _faster_openvino(folder, config, threads),
        "ONNX Runtime": lambda: _onnxruntime(folder, config, threads),
        "OpenVINO at any rate": lambda: open_openvino(folder, config, threads),
    }
    if runtime == ONNXRUNTIME:
        openers = {"ONNX Runtime": openers["ONNX Runtime"]}
    elif runtime == OPENVINO:
        openers = {"OpenVINO": openers["OpenVINO at any rate"]}
    reasons = []
    for name, opener in openers.items():
        try:
            opened = opener()
        except Unavailable as error:
            reasons.append(f"{name}: {error}")
        else:
            if reasons:
                opened.note = f"{opened.note} ({'; '.join(reasons)})"
            return opened
    mend = RUNTIMES[OPENVINO if runtime == OPENVINO else ONNXRUNTIME]
    raise SaomError(f"runtime {runtime!r}: its library is not installed; run: {mend}")


def open_openvino(folder: Path, config: BundleConfig, threads: int = 0, precision: str = "") -> Runtime:
    """Open a bundle in OpenVINO; `precision`: `f32` or `bf16`, or empty for 8 bits where the bundle tells ranges, and
    otherwise OpenVINO's own choice.
    """
    _require(OPENVINO)
    from saom_ros.runtimes.int8 import load_ranges
    from saom_ros.runtimes.openvino import OpenVino, has_int8

    if not precision and RANGES_NAME in config.files and has_int8():
        return OpenVino(folder, whole_graph(config), threads, ranges=load_ranges(folder))
    return _open(config, lambda graph: OpenVino(folder, graph, threads, precision))


def _tensorrt(folder: Path, config: BundleConfig, cache: Path | None) -> Runtime:
    _require(TENSORRT)
    from saom_ros import engines  # imports this package

    return engines.open_engine(folder, config, cache)


def _onnxruntime(folder: Path, config: BundleConfig, threads: int, cuda: bool = False) -> Runtime:
    _require(ONNXRUNTIME)
    from saom_ros.runtimes.onnxruntime import OnnxRuntime, find_cuda

    if cuda:
        find_cuda()
    return _open(config, lambda graph: OnnxRuntime(folder, graph, threads))


def _faster_openvino(folder: Path, config: BundleConfig, threads: int) -> Runtime:
    _require(OPENVINO)
    from saom_ros.runtimes.openvino import has_bfloat16, has_int8

    if not has_bfloat16() and not has_int8():
        raise Unavailable("no faster on this CPU")
    if not has_bfloat16() and RANGES_NAME not in config.files:
        raise Unavailable("no faster on this CPU, which lacks bfloat16, with a bundle that tells no ranges for 8 bits")
    return open_openvino(folder, config, threads)


def _open(config: BundleConfig, open_graph: Callable[[Graph], GraphRuntime]) -> Runtime:
    if config.split:
        return SplitRuntime(config, *map(open_graph, split_graphs(config)))
    return open_graph(whole_graph(config))


def _require(library: str) -> None:
    if importlib.util.find_spec(library) is None:
        raise Unavailable("not installed")
