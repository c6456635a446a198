"""A cluster: shards made by Ray actors on all its nodes, carried to this machine, which alone writes the output.

A shard that was under way on a node that is lost is made again elsewhere, and as one process writes, none is there
twice. The nodes get this checkout's code from Ray; what it imports must be installed there.
"""

from __future__ import annotations

import logging
import os
import signal
import socket
import threading
import traceback
from collections import Counter, deque
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import saom_ros
from saom_ros.errors import SaomError
from training.collecting.egl_devices import choose_device
from training.collecting.job import Event, Job, MakeSimulator, make_shard
from training.data.storage import scratch_folder

_LOSSES_ALLOWED = 3
"""So many workers may be lost on one shard, or before their first; then the fault is hardly the node's."""
_PATIENCE = 30.0
"""Seconds without any worker before the user hears about it."""
_KNOCK_SECONDS = 10.0


class _Shard(NamedTuple):
    number: int
    size: int


@dataclass
class _Made:
    """What a worker hands back for a shard: the file's bytes, or why there are none."""

    content: bytes = b""
    error: str | None = None
    skipped: list[str] = field(default_factory=list)


def run_on_ray(
    job: Job,
    make_simulator: MakeSimulator,
    todo: list[tuple[int, int]],
    workers: int | None,
    folder: Path,
    address: str,
) -> Generator[Event, None, None]:
    """Make shards on the Ray cluster at `address` ("auto", "local" or host:port) and write them into `folder`, here.

    `workers` None: one for each CPU of the cluster, or of its nodes with a GPU. Raises SaomError where Ray or the
    cluster is missing, a worker reports an error, or the workers on one shard are lost again and again.
    """
    ray = _connect(address)
    try:
        nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
        count, share = share_out(nodes, workers, len(todo))
        crew = _Crew(ray, ray.remote(num_cpus=1, num_gpus=share, scheduling_strategy="SPREAD")(_Worker), job)
        yield from crew.run(make_simulator, [_Shard(*item) for item in todo], count, folder)
    finally:
        ray.shutdown()  # ends the workers, too


def share_out(nodes: Sequence[Mapping[str, float]], workers: int | None, shards: int) -> tuple[int, float]:
    """How many workers to ask for, and how much of a GPU for each, so that all of them find room.

    `nodes` are the resources of each node as Ray names them ("CPU", "GPU"). Where there are GPUs, only their nodes
    work: mixed with them, frames from CPUs would be slow and look different.
    """
    used = [node for node in nodes if node.get("GPU", 0) >= 1] or nodes
    cpus, gpus = (int(sum(node.get(kind, 0) for node in used)) for kind in ("CPU", "GPU"))
    count = min(workers or max(1, cpus), shards)
    if gpus == 0:
        return count, 0.0
    per_gpu = -(-count // gpus)
    return count, int(10_000 / per_gpu) / 10_000  # Ray counts in ten-thousandths


class _Crew:
    """The workers, and who is at what."""

    def __init__(self, ray: Any, worker: Any, job: Job) -> None:
        self._ray, self._worker, self._job = ray, worker, job
        self._running: dict[Any, tuple[Any, _Shard | None]] = {}
        """What is being waited for -> which worker does it, and its shard; None while it starts."""
        self._losses = Counter[_Shard | None]()

    def run(self, make_simulator: MakeSimulator, todo: list[_Shard], workers: int, folder: Path) -> Iterator[Event]:
        """Events as `run_workers` gives them, and ("lost", reason) and ("waiting", advice)."""
        queue = deque(todo)
        for _ in range(workers):
            self._hire(make_simulator)
        while queue or any(shard for _, shard in self._running.values()):
            ready, _ = self._ray.wait(list(self._running), timeout=_PATIENCE)
            if not ready and not any(shard for _, shard in self._running.values()):
                yield "waiting", "no worker has started yet; `ray status` tells who uses the cluster's CPUs and GPUs"
            for reference in ready:
                worker, shard = self._running.pop(reference)
                try:
                    made = self._ray.get(reference)
                except self._ray.exceptions.RayTaskError as error:
                    raise SaomError(f"a worker cannot work: {error}") from error
                except self._ray.exceptions.RayError as error:
                    yield "lost", self._count_loss(shard, error)
                    self._ray.kill(worker)
                    if shard:
                        queue.appendleft(shard)
                    self._hire(make_simulator)
                    continue
                self._losses.pop(shard, None)
                if queue:
                    following = queue.popleft()
                    self._running[worker.make.remote(*following)] = worker, following
                else:
                    self._ray.kill(worker)
                if shard:  # last: writing, above all over a network, must not keep the worker waiting
                    yield from self._keep(shard, made, folder)

    def _hire(self, make_simulator: MakeSimulator) -> None:
        """Ask for one more worker; it gets its first shard once it stands, as the cluster may have no room yet."""
        worker = self._worker.remote(self._job, make_simulator)
        self._running[worker.prepare.remote()] = worker, None

    def _count_loss(self, shard: _Shard | None, error: Exception) -> str:
        self._losses[shard] += 1
        task = f"shard {shard.number}" if shard else "starting up"
        reason = " ".join(str(error).split())
        if self._losses[shard] > _LOSSES_ALLOWED:
            raise SaomError(
                f"{self._losses[shard]} workers in a row were lost at {task}, the last one so: {reason}; "
                "finished shards are kept, the same command continues, perhaps with fewer --workers"
            )
        return f"a worker at {task}, which is begun again: {reason[:200]}"

    def _keep(self, shard: _Shard, made: _Made, folder: Path) -> Iterator[Event]:
        for reason in made.skipped:
            yield "skipped", reason
        if made.error:
            raise SaomError(f"shard {shard.number} {made.error}")
        path = folder / self._job.shard_name(shard.number)
        partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
        try:
            partial.write_bytes(made.content)
            os.replace(partial, path)
        except OSError as error:
            raise SaomError(
                f"cannot write shard {path}: {error.strerror}; free space or choose another folder, then run the same "
                "command again: finished shards are kept"
            ) from error
        finally:
            partial.unlink(missing_ok=True)
        yield "frame", shard.size
        yield "finished", shard.number


class _Worker:
    """One process somewhere in the cluster, with a simulator of its own."""

    def __init__(self, job: Job, make_simulator: MakeSimulator) -> None:
        self._job, self._make_simulator = job, make_simulator
        self._simulator: Any = None

    def prepare(self) -> None:
        """Take one core and, where Ray gave this worker a GPU, draw on that."""
        import cv2
        import ray

        cv2.setNumThreads(1)
        gpus = ray.get_runtime_context().get_accelerator_ids()["GPU"]
        if gpus:
            choose_device(int(gpus[0]))

    def make(self, number: int, size: int) -> _Made:
        """Make a shard in a temporary folder of this node."""
        made = _Made()

        def report(event: Event) -> None:
            if event[0] == "skipped":
                made.skipped.append(event[1])

        try:
            if self._simulator is None:
                self._simulator = self._make_simulator(self._job)
            with scratch_folder() as folder:
                made.content = make_shard(self._job, self._simulator, number, size, folder, report).read_bytes()
        except SaomError as error:
            made.error = f"on {socket.gethostname()}: {error}"
        except Exception:
            made.error = f"met a defect in simulator {self._job.simulator}:\n{traceback.format_exc()}"
        return made


def _connect(address: str) -> Any:
    """Ray, connected. It brings its own handler for SIGTERM, which would end us without a word: ours comes back."""
    try:
        import ray
    except ImportError as error:
        raise SaomError("--ray needs Ray, which is not installed; pip install -e '.[ray]'") from error
    main_thread = threading.current_thread() is threading.main_thread()
    handler = signal.getsignal(signal.SIGTERM)
    packages = [str(Path(__file__).parents[1]), str(Path(saom_ros.__file__).parent)]
    try:
        _knock(address)
        ray.init(
            address=address,
            runtime_env={"py_modules": packages, "excludes": ["models", "sample", "__pycache__"]},
            log_to_driver=False,
            logging_level=logging.WARNING,
        )
    except Exception as error:  # ConnectionError, RuntimeError, ValueError: whatever keeps it from the cluster
        ray.shutdown()
        raise SaomError(
            f"no Ray cluster at --ray {address}: {' '.join(str(error).split())}; start one with `ray start --head` and "
            "name it, or use --ray local for this machine alone"
        ) from error
    finally:
        if main_thread and handler is not None:
            signal.signal(signal.SIGTERM, handler)
    return ray


def _knock(address: str) -> None:
    """Ray itself takes minutes to find out that nobody listens at host:port. Raises OSError or ValueError."""
    if address in ("auto", "local"):
        return
    host, _, port = address.rpartition(":")
    if not host or not port.isdecimal():
        raise ValueError("expected auto, local or host:port")
    socket.create_connection((host, int(port)), _KNOCK_SECONDS).close()
