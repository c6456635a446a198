"""One machine: shards made by as many processes as it has cores, each with a simulator of its own."""

from __future__ import annotations

import multiprocessing
import signal
import traceback
from collections.abc import Generator, Iterator
from contextlib import suppress
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from pathlib import Path

from saom_ros.errors import SaomError
from training.collecting.egl_devices import choose_device
from training.collecting.job import Event, Job, MakeSimulator, make_shard

_STOP_SECONDS = 5.0


def run_workers(
    job: Job, make_simulator: MakeSimulator, todo: list[tuple[int, int]], workers: int, folder: Path
) -> Generator[Event, None, None]:
    """Hand shards to worker processes as they get free; they write them into the local `folder`.

    Raises SaomError when a worker reports an error or dies.
    """
    context = multiprocessing.get_context("spawn")
    running: dict[Connection, tuple[SpawnProcess, int]] = {}
    queue = iter(todo)
    try:
        for number in range(workers):
            ours, theirs = context.Pipe()
            process = context.Process(target=_work, args=(job, make_simulator, folder, number, theirs), daemon=True)
            process.start()
            theirs.close()
            running[ours] = (process, -1)
            _hand_out(ours, running, queue)
        while running:
            for connection in wait(list(running)):
                assert isinstance(connection, Connection)
                yield _hear(connection, running, queue)
    finally:
        for process, _ in running.values():
            process.terminate()
        for process, _ in running.values():
            process.join(_STOP_SECONDS)
            if process.is_alive():
                process.kill()
                process.join()
        for partial in folder.glob(f".{job.simulator}-*.partial"):
            partial.unlink(missing_ok=True)


def _hand_out(
    connection: Connection, running: dict[Connection, tuple[SpawnProcess, int]], queue: Iterator[tuple[int, int]]
) -> None:
    """Give a worker its next shard, or send it home."""
    process, _ = running[connection]
    item = next(queue, None)
    with suppress(BrokenPipeError):  # it has died meanwhile, which hearing from it will tell
        connection.send(item)
    if item is None:
        process.join()
        connection.close()
        del running[connection]
    else:
        running[connection] = (process, item[0])


def _hear(
    connection: Connection, running: dict[Connection, tuple[SpawnProcess, int]], queue: Iterator[tuple[int, int]]
) -> Event:
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
    return event, value


def _work(job: Job, make_simulator: MakeSimulator, folder: Path, number: int, connection: Connection) -> None:
    """A worker process: makes shards until told to stop, reports everything through the connection."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the parent stops us in order
    with suppress(BrokenPipeError, EOFError):  # the parent is gone
        try:
            import cv2

            cv2.setNumThreads(1)
            choose_device(number)
            simulator = make_simulator(job)
            while (item := connection.recv()) is not None:
                shard, size = item
                make_shard(job, simulator, shard, size, folder, connection.send)
                connection.send(("finished", shard))
            simulator.close()
        except (BrokenPipeError, EOFError):
            raise
        except SaomError as error:
            connection.send(("error", str(error)))
        except Exception:
            connection.send(("error", f"defect in simulator {job.simulator}:\n{traceback.format_exc()}"))
