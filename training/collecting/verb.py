"""Collect frames from a simulator into shards.

One machine uses all its cores; `--ray` spreads the same command over a cluster. Finished shards are kept: the same
command continues where a killed run stopped.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
from contextlib import closing, nullcontext
from functools import partial
from pathlib import Path

from tqdm import tqdm

from saom_ros.errors import SaomError
from training.collecting.collection import claim, finished_shards, lock
from training.collecting.job import Job, MakeSimulator
from training.collecting.ray_cluster import run_on_ray
from training.collecting.workers import run_workers
from training.data.sheet import write_sheet
from training.data.storage import Place, as_place, scratch_folder, upload
from training.simulators.base import SPLITS, Simulator


def _make_rooms(job: Job) -> Simulator:
    from training.simulators.rooms.simulator import RoomSimulator

    return RoomSimulator(job.split, job.seed, job.width, job.height)


def _make_ai2thor(job: Job, executable: str | None = None) -> Simulator:
    from training.simulators.ai2thor.process import ControllerOptions
    from training.simulators.ai2thor.simulator import Ai2ThorSimulator

    houses, rules = (None if path is None else Path(path) for path in (job.houses, job.rules))
    options = ControllerOptions(job.width, job.height, executable)
    return Ai2ThorSimulator(job.split, job.seed, options, houses, rules)


SIMULATORS: dict[str, MakeSimulator] = {"ai2thor": _make_ai2thor, "rooms": _make_rooms}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Command line of `python -m training collect`."""
    parser.add_argument("--simulator", choices=sorted(SIMULATORS), default="rooms")
    parser.add_argument("--split", choices=SPLITS, required=True, help="train and val lack the held-out classes")
    parser.add_argument(
        "--frames", type=int, default=5000, help="how many frames the folder shall hold in the end (default 5000)"
    )
    parser.add_argument(
        "--workers", type=int, help="processes, one core and 0.5 GB each (default: all cores, with --ray the cluster's)"
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--out",
        metavar="DIR",
        required=True,
        help="folder for the shards, or a URL that fsspec knows (s3://bucket/name); an unfinished one is continued",
    )
    parser.add_argument("--ray", metavar="ADDRESS", help="work on a Ray cluster: auto, local or host:port")
    parser.add_argument("--width", type=int, default=512, help="image width in px (default 512)")
    parser.add_argument("--height", type=int, default=384, help="image height in px (default 384)")
    parser.add_argument("--frames-per-shard", type=int, default=100, help="(default 100)")
    ai2thor = parser.add_argument_group(
        "options of --simulator ai2thor", "with --ray the files must lie at the same place on every node"
    )
    ai2thor.add_argument("--executable", metavar="PATH", help="AI2-THOR's program (default: its build is downloaded)")
    ai2thor.add_argument(
        "--houses", metavar="FILE", help="ProcTHOR houses, JSON or JSONL, .gz or not, instead of iTHOR"
    )
    ai2thor.add_argument(
        "--rules", metavar="YAML", help="what is a whole object (default training/configs/ai2thor.yaml)"
    )


def main(args: argparse.Namespace) -> int:
    """Collect, draw the contact sheet and say where things are. Raises SaomError for a user's mistake."""
    job = Job(
        args.simulator,
        args.split,
        args.seed,
        args.width,
        args.height,
        args.frames_per_shard,
        args.houses,
        args.rules,
    )
    _check(job, args.frames, args.workers)
    make_simulator = SIMULATORS[job.simulator]
    if job.simulator == "ai2thor":
        make_simulator = partial(_make_ai2thor, executable=args.executable)
    elif args.executable or job.houses or job.rules:
        raise SaomError(
            f"--executable, --houses and --rules are options of --simulator ai2thor, not of {job.simulator}"
        )
    out = as_place(args.out)
    claim(job, out)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # what batch systems send is an interruption, too
    with lock(out) if isinstance(out, Path) else nullcontext():
        try:
            collect(job, args.frames, args.workers, out, make_simulator, args.ray)
            sheet = f", contact sheet {write_sheet(out)}" if isinstance(out, Path) else ""
        except KeyboardInterrupt:
            done = sum(finished_shards(job, args.frames, out).values())
            print(f"interrupted with {done} of {args.frames} frames; the same command continues", file=sys.stderr)
            return 130
    print(f"{args.frames} frames in {out}{sheet}")
    return 0


def collect(
    job: Job, frames: int, workers: int | None, out: Place, make_simulator: MakeSimulator, ray: str | None = None
) -> None:
    """Bring the folder to exactly `frames` frames, made by `workers` processes that each call `make_simulator(job)`.

    `workers` None: one for each core of this machine, or with `ray`, the address of a Ray cluster, of all its nodes.
    Raises SaomError when the folder holds more already, a worker dies, or a shard cannot be written.
    """
    finished = finished_shards(job, frames, out)
    todo = [(shard, size) for shard, size in job.shard_sizes(frames).items() if finished.get(shard) != size]
    if not todo:
        return
    kept = frames - sum(size for _, size in todo)
    with nullcontext(out) if isinstance(out, Path) else scratch_folder() as folder:
        if ray is None:
            cores = workers or len(os.sched_getaffinity(0))
            events = run_workers(job, make_simulator, todo, min(cores, len(todo)), folder)
        else:
            events = run_on_ray(job, make_simulator, todo, workers, folder, ray)
        progress = tqdm(total=frames, initial=kept, unit="frame", desc=f"{job.simulator} {job.split}", mininterval=0.5)
        with closing(events), progress as bar:
            for event, value in events:
                if event == "frame":
                    bar.update(value)
                elif event != "finished":
                    bar.write(f"{event}: {value}", file=sys.stderr)
                elif not isinstance(out, Path):
                    shard = folder / job.shard_name(value)
                    upload(shard, out)
                    shard.unlink()


def _check(job: Job, frames: int, workers: int | None) -> None:
    limits = {"--frames": frames, "--workers": workers, "--frames-per-shard": job.frames_per_shard}
    for option, value in limits.items():
        if value is not None and value < 1:
            raise SaomError(f"{option} {value} is too small; give at least 1")
    if job.seed < 0:
        raise SaomError(f"--seed {job.seed} is negative; give 0 or more")
    for option, value in {"--width": job.width, "--height": job.height}.items():
        if not 32 <= value <= 4096:
            raise SaomError(f"{option} {value} is out of range; give 32 to 4096 px")
