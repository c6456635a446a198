"""Building TensorRT engines, which takes minutes and may crash: each attempt is a child process of its own.

`EngineBuild` is the parent's side: it tries the precisions in order until the cache holds an engine that gave the
bundle's golden outputs. `main` is the child: it builds one engine, compares it, and leaves a report.
"""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import hashlib
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from saom_ros.bundle import BundleConfig, load_config, sha256
from saom_ros.engines import MAX_RECORD_BYTES, Device, EngineCache, EngineKey, Rung, Search, search
from saom_ros.errors import SaomError
from saom_ros.golden import compare, load_golden
from saom_ros.runtimes.tensorrt import TensorRt

BUILD_SECONDS = 3600.0
"""A child that takes longer is ended: it hangs."""

CHILD = (sys.executable, "-m", "saom_ros.engine_build")

_TIMED_RUNS = 20
_PR_SET_PDEATHSIG = 1


class Cancelled(SaomError):  # noqa: N818  (no error: somebody wanted it)
    """The build was given up on purpose."""


class EngineBuild:
    """Makes sure that the cache holds an engine for a bundle on a device."""

    def __init__(
        self,
        folder: Path,
        config: BundleConfig,
        device: Device,
        cache: EngineCache,
        child: Sequence[str] = CHILD,
        seconds: float = BUILD_SECONDS,
    ) -> None:
        """`child`: the command that builds one engine, see `main`; `seconds`: how long it may take."""
        self._folder, self._config, self._device, self._cache = folder.resolve(), config, device, cache
        self._child, self._seconds = tuple(child), seconds
        self._cancelled = threading.Event()
        self._process: subprocess.Popen[bytes] | None = None
        self._started = 0.0
        self._step = ""

    @property
    def progress(self) -> str:
        """What is being done now, in one line; empty before and after."""
        return f"{self._step} for {time.monotonic() - self._started:.0f} s" if self._step else ""

    def run(self) -> Search:
        """Build until a precision is good or all are rejected; returns at once where that is already so.

        Raises `Cancelled` after `cancel`, `SaomError` where the cache cannot be used.
        """
        self._cache.prepare()
        try:
            while True:
                found = search(self._cache, self._config, self._device)
                if found.engine or found.rung is None:
                    return found
                self._started, self._step = time.monotonic(), f"building a TensorRT engine in {found.rung.precision}"
                self._build(found.rung)
        except OSError as error:
            raise SaomError(f"{self._cache.folder}: cannot be written: {error.strerror or error}") from None
        finally:
            self._step = ""

    def cancel(self) -> None:
        """End the child at once; `run` then raises `Cancelled`. From any thread."""
        self._cancelled.set()
        process = self._process
        if process is not None:
            process.kill()

    def _build(self, rung: Rung) -> None:
        """Run one child and note in the cache what came of it."""
        key = EngineKey.of(self._config, self._device, rung)
        timing = self._cache.folder / f"timing-{self._device.tensorrt}-{self._device.gpu.uuid}.cache"
        with tempfile.TemporaryDirectory(prefix=".building-", dir=self._cache.folder) as temporary:
            engine, report = Path(temporary, "engine"), Path(temporary, "report.json")
            flags = ["--typed"] * rung.typed + ["--half"] * rung.half
            files = [self._folder, rung.graph, engine, report, timing]
            failure = self._run_child([*self._child, *map(str, files), "--parent", str(os.getpid()), *flags], temporary)
            facts = _read_report(report)
            reason = failure or facts.pop("rejected", "") or _unlike_report(engine, facts)
            if reason:
                timing.unlink(missing_ok=True)  # it may be what is wrong
                self._cache.reject(key, str(reason))
            else:
                self._cache.store(key, engine, facts)
        if not reason and self._cache.read(key) is None:
            raise SaomError(f"{self._cache.folder}: an engine that was just written cannot be read again")

    def _run_child(self, command: list[str], folder: str) -> str:
        """Why the child failed without a report, or empty."""
        log = Path(folder, "log")
        with open(log, "wb") as stream:
            # Away from the terminal's Ctrl-C, which is the parent's to deal with.
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=stream, stderr=stream, start_new_session=True
            )
            try:
                if self._cancelled.is_set():  # before there was a process to end
                    self._process.kill()
                code = self._process.wait(self._seconds)
            except subprocess.TimeoutExpired:
                return f"no engine after {self._seconds:.0f} s"
            finally:
                self._process.kill()
                self._process.wait()
                self._process = None
        if self._cancelled.is_set():
            raise Cancelled("the building of the engine was given up")
        if code == 0:
            return ""
        with open(log, "rb") as stream:
            stream.seek(max(log.stat().st_size - 1000, 0))
            last = stream.read().decode("utf-8", "replace").strip().rpartition("\n")[2]
        how = f"was killed by signal {-code}" if code < 0 else f"ended with status {code}"
        return f"the builder {how}{f': {last}' if last else ''}"


def _read_report(path: Path) -> dict[str, Any]:
    with contextlib.suppress(OSError, ValueError, RecursionError):
        if path.stat().st_size <= MAX_RECORD_BYTES:
            report = json.loads(path.read_bytes())
            if isinstance(report, dict):
                return report
    return {}


def _unlike_report(engine: Path, facts: dict[str, Any]) -> str:
    """Why the engine's file is not the one that was compared, or empty; takes the checksum out of the report."""
    expected = facts.pop("sha256", "")
    if not engine.is_file() or not expected:
        return "the builder left no engine"
    return "" if sha256(engine) == expected else "the engine on the disk is not the one that was compared"


def main(argv: Sequence[str] | None = None) -> int:
    """The child: build the engine of one graph, compare it with the golden pair, write engine and report."""
    parser = argparse.ArgumentParser(prog="python -m saom_ros.engine_build", description=main.__doc__)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("graph", help="file of the bundle")
    parser.add_argument("engine", type=Path, help="file to write")
    parser.add_argument("report", type=Path, help="JSON file to write")
    parser.add_argument("timing", type=Path, help="TensorRT's timing cache, read and written")
    parser.add_argument("--parent", type=int, required=True, help="process with which this one ends")
    parser.add_argument("--typed", action="store_true", help="precisions are those of the graph")
    parser.add_argument("--half", action="store_true", help="TensorRT may choose fp16")
    arguments = parser.parse_args(argv)
    _end_with_parent(arguments.parent)
    try:
        report = _build_and_compare(arguments)
    except Exception as error:  # Polygraphy, TensorRT and CUDA raise what they like; the next precision may do better
        reason = " ".join(str(error).split())[:500]
        report = {"rejected": reason if isinstance(error, SaomError) else f"{type(error).__name__}: {reason}"}
    arguments.report.write_text(json.dumps(report))
    return 0


def _build_and_compare(arguments: argparse.Namespace) -> dict[str, Any]:
    config = load_config(arguments.bundle)
    inputs, expected = load_golden(arguments.bundle, config)
    start = time.monotonic()
    engine = build(arguments.bundle / arguments.graph, arguments.typed, arguments.half, arguments.timing)
    seconds = time.monotonic() - start
    runtime = TensorRt(engine, arguments.engine, config)
    agreement = compare(expected, runtime.run(inputs))
    if agreement.problem:
        return {"rejected": agreement.problem}
    times = []
    for _ in range(_TIMED_RUNS):
        start = time.perf_counter()
        runtime.run(inputs)
        times.append(time.perf_counter() - start)
    arguments.engine.write_bytes(engine)
    return {
        "sha256": hashlib.sha256(engine).hexdigest(),
        "build_s": round(seconds, 1),
        "run_ms": round(statistics.median(times) * 1e3, 2),
        **{name: round(value, 4) for name, value in agreement._asdict().items()},
    }


def build(graph: Path, typed: bool, half: bool, timing: Path | None = None) -> bytes:
    """Build an engine of an ONNX graph with TensorRT 8.6 to 11, or TensorRT for RTX, through Polygraphy.

    `typed`: precisions are those of the graph (TensorRT 10 and later); `half`: fp16 may be chosen, where not typed.
    """
    try:
        from polygraphy.backend.trt import CreateConfig, engine_bytes_from_network, network_from_onnx_path
    except ImportError:
        raise SaomError("Polygraphy is not installed; run: pip install 'saom_ros[tensorrt]'") from None
    if timing is not None and not timing.exists():
        timing.touch()
    cache = None if timing is None else str(timing)
    # TF32 is off by default; where precisions are the graph's, it is what fp32 multiplies in.
    config = CreateConfig(tf32=True, fp16=half, load_timing_cache=cache)
    network = network_from_onnx_path(str(graph), strongly_typed=typed)
    return bytes(engine_bytes_from_network(network, config=config, save_timing_cache=cache))


def _end_with_parent(parent: int) -> None:
    """Have the kernel end this process with its parent, however that ends (Linux)."""
    with contextlib.suppress(AttributeError, OSError):
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        raise SystemExit("the parent has ended")


if __name__ == "__main__":
    raise SystemExit(main())
