"""Runtimes: libraries that run a bundle's graph on a robot, behind one small interface.

Each runtime is a class in a module of its own, made from a bundle's folder and configuration; `RUNTIMES` lists them in
the order in which `auto` prefers them. Their libraries are imported only when one is used.
"""

from __future__ import annotations

import importlib
import importlib.util
from pathlib import Path
from typing import NamedTuple

from saom_ros.bundle import BundleConfig
from saom_ros.errors import SaomError
from saom_ros.runtimes.base import Runtime

__all__ = ["AUTO", "RUNTIMES", "Runtime", "create", "installed"]

AUTO = "auto"


class _Entry(NamedTuple):
    library: str
    """Python module that must be installed."""
    module: str
    """Module of this package with the runtime class."""
    cls: str
    install: str
    """The mend where the library is missing."""


RUNTIMES: dict[str, _Entry] = {
    "onnxruntime": _Entry("onnxruntime", "saom_ros.runtimes.onnxruntime", "OnnxRuntime", "pip install onnxruntime"),
    "openvino": _Entry("openvino", "saom_ros.runtimes.openvino", "OpenVino", "pip install openvino"),
}


def installed() -> dict[str, str]:
    """Runtimes that can be used here, best first, with the version of their library."""
    versions = {}
    for name, entry in RUNTIMES.items():
        if importlib.util.find_spec(entry.library) is not None:
            versions[name] = str(getattr(importlib.import_module(entry.library), "__version__", "unknown"))
    return versions


def create(folder: Path | str, config: BundleConfig, runtime: str = AUTO, threads: int = 0) -> Runtime:
    """Open the graph of the bundle in `folder`.

    Args:
        runtime: a name in `RUNTIMES`, or `auto` for the best one that is installed.
        threads: CPU threads, 0 = the library's default.

    Raises:
        SaomError: unknown or missing runtime, negative threads.
        BundleError: the graph cannot be opened or does not fit `config`.
    """
    if isinstance(threads, bool) or not isinstance(threads, int) or not 0 <= threads <= 1024:
        raise SaomError(f"threads is {threads!r}; it must be an integer in 0..1024 (0 = the library's default)")
    if runtime != AUTO and runtime not in RUNTIMES:
        raise SaomError(f"unknown runtime {runtime!r}; expected one of {', '.join([AUTO, *RUNTIMES])}")
    candidates = RUNTIMES if runtime == AUTO else {runtime: RUNTIMES[runtime]}
    for entry in candidates.values():
        if importlib.util.find_spec(entry.library) is not None:
            return getattr(importlib.import_module(entry.module), entry.cls)(Path(folder), config, threads)
    mends = " or ".join(entry.install for entry in candidates.values())
    raise SaomError(f"runtime {runtime!r}: its library is not installed; run: {mends}")
