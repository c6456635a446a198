"""Collect frames from a simulator into shards.

A shard is the unit of work: it draws from a range of scenes of its own, so the bytes depend on the arguments only,
never on the number of workers or on interruptions. Finished shards are kept; the same command continues where a killed
run stopped.
"""

from __future__ import annotations

import argparse
import fcntl
import json
import multiprocessing
import os
import signal
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from functools import partial
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from pathlib import Path
from typing import Any

from tqdm import tqdm

from saom_ros.errors import SaomError
from training.shards import ShardWriter, count_samples
from training.sheet import write_sheet
from training.simulators.base import SPLITS, SceneSkippedError, Simulator

_RECORD = "collect.json"
_SCENES_PER_SHARD = 10_000
"""Width of a shard's range of scene numbers; far more than it can use up."""
_MAX_SKIPPED_IN_A_ROW = 50
_STOP_SECONDS = 5.0


def _make_rooms(job: Job) -> Simulator:
    from training.simulators.rooms.simulator import RoomSimulator

    return RoomSimulator(job.split, job.seed, job.width, job.height)


def _make_ai2thor(job: Job, executable: str | None = None) -> Simulator:
    from training.simulators.ai2thor.process import ControllerOptions
    from training.simulators.ai2thor.simulator import Ai2ThorSimulator

    houses, rules = (None if path is None else Path(path) for path in (job.houses, job.rules))
    options = ControllerOptions(job.width, job.height, executable)
    return Ai2ThorSimulator(job.split, job.seed, options, houses, rules)


MakeSimulator = Callable[["Job"], Simulator]
SIMULATORS: dict[str, MakeSimulator] = {"ai2thor": _make_ai2thor, "rooms": _make_rooms}


@dataclass(frozen=True)
class Job:
    """What decides the bytes of a collection, apart from how many frames it has."""

    simulator: str
    split: str
    seed: int
    width: int
    height: int
    frames_per_shard: int
    houses: str | None = None
    """File of ProcTHOR houses to visit instead of iTHOR's rooms; only AI2-THOR has them."""
    rules: str | None = None
    """File that says which of AI2-THOR's objects make up whole ones; None = training/configs/ai2thor.yaml."""

    def shard_path(self, folder: Path, shard: int) -> Path:
        """Where shard number `shard` lies."""
        return folder / f"{self.simulator}-{shard:06d}.tar"

    def key(self, shard: int, number: int) -> str:
        """Sample key, unique over simulators, splits and seeds, so that collections can be merged."""
        return f"{self.simulator}-{self.split}-{self.seed}-{shard:06d}-{number:04d}"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Command line of `python -m training collect`."""
    parser.add_argument("--simulator", choices=sorted(SIMULATORS), default="rooms")
    parser.add_argument("--split", choices=SPLITS, required=True, help="train and val lack the held-out classes")
    parser.add_argument("--frames", type=int, required=True, help="how many frames the folder shall hold in the end")
    parser.add_argument("--workers", type=int, default=1, help="processes, one core and 0.5 GB each (default 1)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, required=True, help="folder for the shards; an unfinished one is continued")
    parser.add_argument("--width", type=int, default=512, help="image width in px (default 512)")
    parser.add_argument("--height", type=int, default=384, help="image height in px (default 384)")
    parser.add_argument("--frames-per-shard", type=int, default=100, help="(default 100)")
    ai2thor = parser.add_argument_group("options of --simulator ai2thor")
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
    out: Path = args.out
    _claim(job, out)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # what batch systems send is an interruption, too
    with _lock(out):
        try:
            collect(job, args.frames, args.workers, out, make_simulator)
            sheet = write_sheet(out)
        except KeyboardInterrupt:
            done = sum(_finished(job, args.frames, out).values())
            print(f"interrupted with {done} of {args.frames} frames; the same command continues", file=sys.stderr)
            return 130
    print(f"{args.frames} frames in {out}, contact sheet {sheet}")
    return 0


def collect(job: Job, frames: int, workers: int, out: Path, make_simulator: MakeSimulator) -> None:
    """Bring the folder to exactly `frames` frames, made by `workers` processes that each call `make_simulator(job)`.

    Raises SaomError when the folder holds more already, a worker dies, or a shard cannot be written.
    """
    finished = _finished(job, frames, out)
    wanted = dict(_shard_sizes(frames, job.frames_per_shard))
    todo = [(shard, size) for shard, size in wanted.items() if finished.get(shard) != size]
    kept = frames - sum(size for _, size in todo)
    with tqdm(total=frames, initial=kept, unit="frame", desc=f"{job.simulator} {job.split}", mininterval=0.5) as bar:
        for event, value in _run_workers(job, make_simulator, todo, min(workers, len(todo)), out):
            if event == "frame":
                bar.update(value)
            else:
                bar.write(f"{event}: {value}", file=sys.stderr)


def _check(job: Job, frames: int, workers: int) -> None:
    limits = {"--frames": frames, "--workers": workers, "--frames-per-shard": job.frames_per_shard}
    for option, value in limits.items():
        if value < 1:
            raise SaomError(f"{option} {value} is too small; give at least 1")
    if job.seed < 0:
        raise SaomError(f"--seed {job.seed} is negative; give 0 or more")
    for option, value in {"--width": job.width, "--height": job.height}.items():
        if not 32 <= value <= 4096:
            raise SaomError(f"{option} {value} is out of range; give 32 to 4096 px")


def _claim(job: Job, out: Path) -> None:
    """Write down in the folder what it holds, or make sure that it holds just that."""
    record = out / _RECORD
    try:
        out.mkdir(parents=True, exist_ok=True)
        if not record.exists():
            if any(out.glob("*.tar")):
                raise SaomError(f"{out} holds shards but no {_RECORD}; collect into an empty folder")
            partial = record.with_suffix(".partial")
            partial.write_text(json.dumps(asdict(job), indent=2) + "\n")
            os.replace(partial, record)
        held = json.loads(record.read_text())
        if not isinstance(held, dict):
            raise ValueError("it holds no mapping")
    except OSError as error:
        raise SaomError(f"cannot write to --out {out}: {error.strerror}; choose a writable folder") from error
    except ValueError as error:
        raise SaomError(f"{record} is damaged ({error}); collect into an empty folder") from error
    for name, value in asdict(job).items():
        if held.get(name) != value:
            option = name.replace("_", "-")
            raise SaomError(
                f"{out} holds frames with --{option} {held.get(name)}, not {value}; use that or another --out folder"
            )
    if not os.access(out, os.W_OK):
        raise SaomError(f"cannot write to --out {out}; choose a writable folder")


@contextmanager
def _lock(out: Path) -> Iterator[None]:
    """Keep a second run out of the folder; the lock goes with the process, however it ends."""
    with (out / _RECORD).open() as record:
        try:
            fcntl.flock(record, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise SaomError(f"another run is collecting into {out}; wait for it or choose another --out") from None
        yield


def _shard_sizes(frames: int, frames_per_shard: int) -> Iterator[tuple[int, int]]:
    for shard in range(-(-frames // frames_per_shard)):
        yield shard, min(frames_per_shard, frames - shard * frames_per_shard)


def _finished(job: Job, frames: int, out: Path) -> dict[int, int]:
    """Frames of each finished shard. Raises SaomError when the folder holds more than `frames`: it may only grow."""
    sizes = {}
    for path in sorted(out.glob(f"{job.simulator}-*.tar")):
        number = path.stem.rpartition("-")[2]
        if not number.isdecimal():
            raise SaomError(f"{path} is no shard of this collection; move it elsewhere")
        shard = int(number)
        sizes[shard] = count_samples(path)
        if sizes[shard] > dict(_shard_sizes(frames, job.frames_per_shard)).get(shard, 0):
            raise SaomError(f"{out} holds more than {frames} frames already ({path.name}); give a larger --frames")
    return sizes


def _run_workers(
    job: Job, make_simulator: MakeSimulator, todo: list[tuple[int, int]], workers: int, out: Path
) -> Iterator[tuple[str, Any]]:
    """Hand shards to worker processes as they get free; yields ("frame", count) and ("skipped", reason).

    Raises SaomError when a worker reports an error or dies.
    """
    context = multiprocessing.get_context("spawn")
    running: dict[Connection, tuple[SpawnProcess, int]] = {}
    queue = iter(todo)
    try:
        for _ in range(workers):
            ours, theirs = context.Pipe()
            process = context.Process(target=_work, args=(job, make_simulator, out, theirs), daemon=True)
            process.start()
            theirs.close()
            running[ours] = (process, -1)
            _hand_out(ours, running, queue)
        while running:
            for connection in wait(list(running)):
                assert isinstance(connection, Connection)
                yield from _hear(connection, running, queue)
    finally:
        for process, _ in running.values():
            process.terminate()
        for process, _ in running.values():
            process.join(_STOP_SECONDS)
            if process.is_alive():
                process.kill()
                process.join()
        for partial in out.glob(f".{job.simulator}-*.partial"):
            partial.unlink(missing_ok=True)


def _hand_out(
    connection: Connection, running: dict[Connection, tuple[SpawnProcess, int]], queue: Iterator[tuple[int, int]]
) -> None:
    """Give a worker its next shard, or send it home."""
    process, _ = running[connection]
    item = next(queue, None)
    connection.send(item)
    if item is None:
        process.join()
        connection.close()
        del running[connection]
    else:
        running[connection] = (process, item[0])


def _hear(
    connection: Connection, running: dict[Connection, tuple[SpawnProcess, int]], queue: Iterator[tuple[int, int]]
) -> Iterator[tuple[str, Any]]:
    process, shard = running[connection]
    try:
        event, value = connection.recv()
    except EOFError:
        process.join(_STOP_SECONDS)
        raise SaomError(
            f"the worker on shard {shard} died with exit code {process.exitcode} (-9 means out of memory); "
            "finished shards are kept, the same command continues, perhaps with fewer --workers"
        ) from None
    if event == "error":
        raise SaomError(f"shard {shard}: {value}")
    if event == "finished":
        _hand_out(connection, running, queue)
    else:
        yield event, value


def _work(job: Job, make_simulator: MakeSimulator, out: Path, connection: Connection) -> None:
    """A worker process: makes shards until told to stop, reports everything through the connection."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the parent stops us in order
    with suppress(BrokenPipeError, EOFError):  # the parent is gone
        try:
            import cv2

            cv2.setNumThreads(1)
            simulator = make_simulator(job)
            while (item := connection.recv()) is not None:
                shard, size = item
                _make_shard(job, simulator, shard, size, out, connection)
                connection.send(("finished", shard))
            simulator.close()
        except (BrokenPipeError, EOFError):
            raise
        except SaomError as error:
            connection.send(("error", str(error)))
        except Exception:
            connection.send(("error", f"defect in simulator {job.simulator}:\n{traceback.format_exc()}"))


def _make_shard(job: Job, simulator: Simulator, shard: int, size: int, out: Path, connection: Connection) -> None:
    count = skipped = 0
    with ShardWriter(job.shard_path(out, shard)) as writer:
        for scene in range(shard * _SCENES_PER_SHARD, (shard + 1) * _SCENES_PER_SHARD):
            before = count
            try:
                for frame in simulator.frames(scene):
                    writer.add(job.key(shard, count), frame)
                    connection.send(("frame", 1))
                    count += 1
                    if count == size:
                        return
            except SceneSkippedError as reason:
                connection.send(("skipped", f"scene {scene}: {reason}"))
            skipped = skipped + 1 if count == before else 0
            if skipped >= _MAX_SKIPPED_IN_A_ROW:
                raise SaomError(f"{skipped} scenes in a row gave no frame (up to scene {scene}); try another --seed")
    raise SaomError(f"shard {shard} used up its {_SCENES_PER_SHARD} scenes")
