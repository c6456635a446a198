"""The verbs `saom engine build` and `saom engine list`."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from saom_ros import engine_build, engines
from saom_ros.bundle import load_config
from saom_ros.errors import SaomError
from saom_ros.runtimes.base import Unavailable
from saom_ros.segmenter import bundle_folder


def add_verbs(commands: Any) -> None:
    """Add `engine build` and `engine list` to the verbs of the command line."""
    verbs = commands.add_parser("engine", help="build or list TensorRT engines").add_subparsers(
        required=True, metavar="build|list"
    )
    for name, command in (("build", build), ("list", list_all)):
        verb = verbs.add_parser(name, description=command.__doc__)
        verb.set_defaults(command=command)
        verb.add_argument("--cache", type=Path, metavar="DIR", help="folder of engines (default: the user's cache)")
        if command is build:
            verb.add_argument(
                "--model",
                type=Path,
                metavar="BUNDLE",
                help="bundle folder (default: the one that ships with the package)",
            )


def build(arguments: argparse.Namespace) -> int:
    """Build a bundle's TensorRT engine for this machine's GPU, compare it with the bundle's golden outputs and keep it
    for `--runtime auto` and the node. Precisions that were rejected before are tried again.
    """
    folder = bundle_folder(arguments.model)
    config, cache = load_config(folder), engines.EngineCache(arguments.cache)
    if config.split:
        raise SaomError(f"{folder}: {engines.ONE_GRAPH_ONLY}; ONNX Runtime and OpenVINO run it")
    try:
        device = engines.find_device()
    except Unavailable as error:
        raise SaomError(f"no TensorRT engine can be built here: {error}; ONNX Runtime runs this model") from None
    for rung in engines.ladder(config, device):
        key = engines.EngineKey.of(config, device, rung)
        if (record := cache.record(key)) is not None and record.rejected:
            cache.forget(key)
    print(f"building for {device.gpu.name}, TensorRT {device.tensorrt}; this takes minutes", file=sys.stderr)
    found = engine_build.EngineBuild(folder, config, device, cache).run()
    for reason in found.rejected:
        print(f"rejected {reason}", file=sys.stderr)
    if found.rung is None:
        raise SaomError("no precision gives the golden outputs on this GPU; ONNX Runtime runs this model")
    key = engines.EngineKey.of(config, device, found.rung)
    print(f"{found.rung.precision} -> {cache.engine_path(key)}")
    return 0


def list_all(arguments: argparse.Namespace) -> int:
    """Print the TensorRT engines in the cache and the precisions that were rejected."""
    cache = engines.EngineCache(arguments.cache)
    lines = list(engines.describe(cache.records()))
    print("\n".join(lines) if lines else f"no engine in {cache.folder}; build one with: saom engine build")
    return 0
