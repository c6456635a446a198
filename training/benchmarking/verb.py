"""Measure what this machine makes of saom_ros: the robot's side, the simulator, training, everything mode beside SAM's
own mask generator, and graphs in TensorRT's builder. `docs/performance.md` says what each row means.
"""

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from saom_ros import benchmark as robot
from saom_ros.benchmark_rows import Row, read_rows, show
from saom_ros.errors import SaomError
from training.benchmarking import simulation as benchmark_simulation

ROBOT, SIMULATION, TRAINING, EVERYTHING, GRAPHS = "robot", "simulation", "training", "automatic-masks", "graphs"
AREAS = (ROBOT, SIMULATION, TRAINING, EVERYTHING, GRAPHS)
DONE, SOME_FAILED = 0, 1


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Flags of ``python -m training benchmark``."""
    parser.add_argument("--quick", action="store_true", help="fewer and smaller frames, random weights: minutes")
    parser.add_argument(
        "--json", nargs="?", const="-", metavar="FILE", help="write the rows as JSON; without FILE print them"
    )
    parser.add_argument("--area", action="append", choices=AREAS, help="measure this only; may be repeated")
    parser.add_argument("--train", type=Path, help="shards with parts for the loader (default: made on the spot)")
    parser.add_argument(
        "--checkpoint", type=Path, help="separately decoding model after SAOM; then quality is scored, too"
    )
    parser.add_argument("--data", type=Path, default=Path("data/rooms-test"), help="frames to score --checkpoint on")
    parser.add_argument(
        "--validation", type=Path, default=Path("data/rooms-val"), help="frames to choose its thresholds on"
    )
    parser.add_argument("--frames", type=int, default=20, help="frames of --data, and at most of --validation")


def main(args: argparse.Namespace) -> int:
    """Measure area by area; one that cannot be measured here is told and left out."""
    if args.frames < 1:
        raise SaomError(f"--frames is {args.frames}; it must be at least 1")
    if args.checkpoint and args.area and EVERYTHING not in args.area:
        raise SaomError(f"--checkpoint is for --area {EVERYTHING} only; add that, or leave the checkpoint out")
    measure: dict[str, Callable[[], list[Row]]] = {
        ROBOT: lambda: _robot(args.quick),
        SIMULATION: lambda: benchmark_simulation.rows(args.quick),
        TRAINING: lambda: _throughput(args),
        EVERYTHING: lambda: _automatic_masks(args),
        GRAPHS: lambda: _graphs(args.quick),
    }
    found = robot.machine_rows()
    failed = 0
    for area in args.area or AREAS:
        print(f"measuring: {area}", file=sys.stderr, flush=True)
        try:
            found += measure[area]()
        except SaomError as error:
            print(f"error: {area}: {error}", file=sys.stderr)
            failed += 1
    show(found, args.json)
    return SOME_FAILED if failed else DONE


def _robot(quick: bool) -> list[Row]:
    """In a process of its own, as on a robot: without torch, whose threads and memory would count."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "robot.json"
        command = [sys.executable, "-m", "saom_ros", "bench", "--json", str(path)]
        done = subprocess.run([*command, *["--quick"] * quick], stdout=subprocess.DEVNULL)
        if done.returncode:
            raise SaomError("`saom bench` failed; see the message above")
        return [row for row in read_rows(path) if row.area != robot.MACHINE]


def _throughput(args: argparse.Namespace) -> list[Row]:
    from training.benchmarking import throughput as benchmark_throughput

    return benchmark_throughput.rows(args.quick, args.train)


def _graphs(quick: bool) -> list[Row]:
    from training.benchmarking import graphs as benchmark_graphs

    return benchmark_graphs.rows(quick)


def _automatic_masks(args: argparse.Namespace) -> list[Row]:
    from training.benchmarking import automatic_masks as benchmark
    from training.evaluation.choosing import validation_frames
    from training.evaluation.frames import open_frames

    if args.checkpoint is None:
        return benchmark.rows(args.quick)
    validation = validation_frames(open_frames(args.validation, limit=args.frames))
    test = list(open_frames(args.data, limit=args.frames))
    return benchmark.rows(args.quick, benchmark.Trained(args.checkpoint, test, validation))
