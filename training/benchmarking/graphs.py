"""What machines without a GPU can show of TensorRT: each family's graph, its operators, and whether NVIDIA's parser and
builder take it.

TensorRT for RTX (`pip install tensorrt-rtx`) builds engines ahead of time on a CPU. That a graph parses and builds
strongly typed is no proof of an engine's numbers, speed or memory. Weights are random, their shapes the official ones.
"""

from __future__ import annotations

import importlib.metadata
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import onnx
import torch

from saom_ros.benchmark_rows import Row
from saom_ros.bundle import DEFAULT_BUNDLE, GRAPH_NAME
from saom_ros.errors import SaomError
from training.export import MAX_INSTANCES, MAX_PROMPTS
from training.sam.everything import EverythingMode
from training.sam.half import half_precision
from training.sam.onnx_graph import export_onnx
from training.sam.registry import build_model

AREA = "graphs"
FAMILIES = ("sam_small", "mobile_sam", "vit_b", "vit_l", "vit_h")
SIZE = 256
"""Pixels of the square input. SAM's own 1024 change no operator, but half precision takes a CPU many minutes there."""
QUICK = ("sam_small",)
GRID = 32
_LIBRARY = "tensorrt_rtx"
_BUILD = """
import pathlib, sys
from saom_ros.engine_build import build
pathlib.Path(sys.argv[2]).write_bytes(build(pathlib.Path(sys.argv[1]), typed=True, half=False))
"""


def rows(quick: bool) -> list[Row]:
    """Rows of the shipped graph and of each family in fp32 and fp16. Raises SaomError without TensorRT for RTX."""
    try:
        version = importlib.metadata.version(_LIBRARY)
    except importlib.metadata.PackageNotFoundError:
        raise SaomError("TensorRT for RTX is not installed; run: pip install tensorrt-rtx polygraphy") from None
    found = [Row(AREA, "TensorRT for RTX", version)]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        found += graph_rows("shipped, fp32", DEFAULT_BUNDLE / GRAPH_NAME, folder)
        for family in QUICK if quick else FAMILIES:
            for what, graph in _graphs(family, folder):
                found += graph_rows(what, graph, folder)
                for file in folder.iterdir():  # gigabytes
                    file.unlink()
    return found


def graph_rows(what: str, graph: Path, folder: Path) -> list[Row]:
    """Size, operators and engine of one graph."""
    nodes = Counter(node.op_type for node in onnx.load(graph, load_external_data=False).graph.node)
    megabytes = sum(file.stat().st_size for file in graph.parent.glob(f"{graph.name}*")) / 1e6
    engine = folder / "engine"
    began = time.perf_counter()
    done = build_for_rtx(graph, engine)
    seconds = time.perf_counter() - began
    return [
        Row(AREA, f"{what}: file", round(megabytes), "MB"),
        Row(AREA, f"{what}: nodes", nodes.total()),
        Row(AREA, f"{what}: operators", ", ".join(f"{name} {count}" for name, count in sorted(nodes.items()))),
        Row(AREA, f"{what}: engine", round(engine.stat().st_size / 1e6), "MB")
        if done.returncode == 0
        else Row(AREA, f"{what}: engine", f"refused: {done.stderr.strip()[-300:]}"),
        Row(AREA, f"{what}: parsed and built in", round(seconds, 1), "s"),
    ]


def build_for_rtx(graph: Path, engine: Path) -> subprocess.CompletedProcess[str]:
    """Parse a graph and build a strongly typed engine of it.

    In a process of its own: Polygraphy decides which TensorRT it uses when it is imported.
    """
    command = [sys.executable, "-c", _BUILD, str(graph), str(engine)]
    environment = {**os.environ, "POLYGRAPHY_USE_TENSORRT_RTX": "1"}
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=1800)


def _graphs(family: str, folder: Path) -> Iterator[tuple[str, Path]]:
    """The family's everything mode as graphs in fp32 and fp16; the one before may be deleted when the next is made."""
    torch.manual_seed(0)
    model = build_model(family, {"image_size": SIZE})
    mode = EverythingMode(model, SIZE, SIZE, (GRID, GRID), MAX_PROMPTS[model.decoding], MAX_INSTANCES).eval()
    for precision in ("fp32", "fp16"):
        graph = folder / GRAPH_NAME
        export_onnx(mode if precision == "fp32" else half_precision(mode), graph)
        yield f"{family}, {precision}", graph
