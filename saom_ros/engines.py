"""TensorRT engines of a bundle: which to build, where they are kept, and which of them may be trusted.

An engine belongs to one graph on one GPU under one TensorRT, so the cache's key names them all. Precisions are tried
from the fastest to the safest; one that cannot be built or misses the golden outputs is noted as rejected, so that no
start waits for it again. Nothing of the cache is loaded unless its key and checksum are right.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import os
import re
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from saom_ros.bundle import GRAPH_NAME, HALF_GRAPH_NAME, BundleConfig, sha256
from saom_ros.errors import SaomError
from saom_ros.golden import compare, load_golden
from saom_ros.image_files import write_atomically
from saom_ros.runtimes import RUNTIMES, TENSORRT
from saom_ros.runtimes.base import Unavailable
from saom_ros.runtimes.cuda import CudaError, Gpu, find_gpu
from saom_ros.runtimes.tensorrt import TensorRt

MAX_RECORD_BYTES = 1 << 16
MAX_ENGINE_BYTES = 1 << 33

ONE_GRAPH_ONLY = "engines are built of models in one graph only, this one has encoder and decoder apart"
NOT_BUILT = "no engine for this model on this GPU yet (saom engine build)"


class Device(NamedTuple):
    """What an engine is built with and for."""

    gpu: Gpu
    tensorrt: str
    """Version of TensorRT."""

    @property
    def release(self) -> tuple[int, int]:
        """Major and minor version of TensorRT."""
        major, minor = [*re.findall(r"\d+", self.tensorrt), "0", "0"][:2]
        return int(major), int(minor)


class Rung(NamedTuple):
    """One precision to try."""

    precision: str
    graph: str
    """File of the bundle."""
    typed: bool
    """Whether precisions are those of the graph; else TensorRT chooses among those that are allowed."""
    half: bool
    """Whether it may choose fp16."""


def default_cache() -> Path:
    """`$XDG_CACHE_HOME/saom_ros/engines`, below `~/.cache` where the variable is not set."""
    base = os.environ.get("XDG_CACHE_HOME", "")
    # The specification of XDG tells to ignore relative paths.
    return (Path(base) if os.path.isabs(base) else Path.home() / ".cache") / "saom_ros" / "engines"


def find_device() -> Device:
    """TensorRT and the GPU of this machine; raises `Unavailable` where one of them is missing or too old."""
    try:
        import tensorrt
    except ImportError as error:
        raise Unavailable(f"TensorRT cannot be imported ({error}); it {RUNTIMES[TENSORRT]}") from None
    try:
        device = Device(find_gpu(), str(tensorrt.__version__))
    except CudaError as error:
        raise Unavailable(str(error)) from None
    if device.release < (8, 6):
        raise Unavailable(f"TensorRT {device.tensorrt} is too old, 8.6 (JetPack 6) is the oldest that can run a bundle")
    return device


def ladder(config: BundleConfig, device: Device) -> list[Rung]:
    """The precisions to try, fastest first; none for a bundle whose encoder and decoder are apart.

    TensorRT types networks strongly from 10 on, and 11 knows nothing else.
    """
    if config.split:
        return []
    strong, rungs = device.release >= (10, 0), []
    if strong and HALF_GRAPH_NAME in config.files:
        rungs.append(Rung("strong fp16", HALF_GRAPH_NAME, typed=True, half=False))
    if device.release < (11, 0):
        rungs.append(Rung("weak fp16", GRAPH_NAME, typed=False, half=True))
    return [*rungs, Rung("fp32 with TF32", GRAPH_NAME, typed=strong, half=False)]


@dataclass(frozen=True)
class EngineKey:
    """All that an engine depends on."""

    bundle: str
    """Checksum over the graphs, weights and golden pair of the bundle."""
    model: str
    graph: str
    precision: str
    gpu: str
    uuid: str
    compute_capability: str
    cuda: str
    tensorrt: str

    @classmethod
    def of(cls, config: BundleConfig, device: Device, rung: Rung) -> EngineKey:
        """The key of one precision of a bundle's engine."""
        files = {name: digest for name, digest in config.files.items() if not name.endswith(".md")}
        return cls(
            bundle=_digest(files),
            model=f"{config.name} {config.version}",
            graph=rung.graph,
            precision=rung.precision,
            gpu=device.gpu.name,
            uuid=device.gpu.uuid,
            compute_capability=device.gpu.compute_capability,
            cuda=device.gpu.cuda,
            tensorrt=device.tensorrt,
        )

    @property
    def stem(self) -> str:
        """Name of its files in the cache, without suffix."""
        return _digest(dataclasses.asdict(self))[:32]


class Record(NamedTuple):
    """What the cache knows of a key: the file beside the engine."""

    key: EngineKey
    sha256: str
    """Checksum of the engine; empty where there is none."""
    rejected: str
    """Why there is none."""
    facts: dict[str, Any]
    """Seconds it took and how well it agrees with the golden outputs; for people."""


class EngineCache:
    """A folder of engines, each with a record. Files appear whole or not at all."""

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = folder or default_cache()

    def engine_path(self, key: EngineKey) -> Path:
        """Where the engine of a key lies."""
        return self.folder / f"{key.stem}.engine"

    def record(self, key: EngineKey) -> Record | None:
        """What is known of a key; None where nothing is, or the record is damaged or another key's."""
        record = self._read(self._record_path(key))
        return record if record is not None and record.key == key else None

    def read(self, key: EngineKey) -> bytes | None:
        """The engine of a key, or None where there is none or its checksum is wrong.

        Raises `SaomError` where others may write into the cache: an engine is as good as a program.
        """
        record, path = self.record(key), self.engine_path(key)
        if record is None or not record.sha256:
            return None
        self._check_owner()
        try:
            if not path.is_file() or path.stat().st_size > MAX_ENGINE_BYTES:
                return None
            engine = path.read_bytes()
        except OSError:
            return None
        return engine if hashlib.sha256(engine).hexdigest() == record.sha256 else None

    def store(self, key: EngineKey, engine: Path, facts: Mapping[str, Any]) -> None:
        """Take over an engine's file, which lies in the cache's file system, and write its record."""
        checksum = sha256(engine)
        os.replace(engine, self.engine_path(key))
        self._write(Record(key, checksum, "", dict(facts)))  # last: without it the engine does not count

    def reject(self, key: EngineKey, reason: str) -> None:
        """Note that no engine of this key can be used."""
        self._write(Record(key, "", reason[:1000], {}))
        self.engine_path(key).unlink(missing_ok=True)

    def forget(self, key: EngineKey) -> None:
        """Drop what is known of a key."""
        self._record_path(key).unlink(missing_ok=True)
        self.engine_path(key).unlink(missing_ok=True)

    def records(self) -> list[Record]:
        """Everything in the cache that can be read."""
        paths = sorted(self.folder.glob("*.json")) if self.folder.is_dir() else []
        return [record for path in paths if (record := self._read(path)) is not None]

    def prepare(self) -> None:
        """Make the folder. Raises `SaomError` where it cannot be made or written to."""
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise SaomError(f"{self.folder}: cannot be made: {error.strerror}; choose another engine cache") from None
        self._check_owner()
        if not os.access(self.folder, os.W_OK | os.X_OK):
            raise SaomError(f"{self.folder}: cannot be written to; choose another engine cache")

    def _check_owner(self) -> None:
        status = self.folder.stat()
        if status.st_mode & stat.S_IWOTH or status.st_uid not in (0, os.geteuid()):
            raise SaomError(
                f"{self.folder}: other users may write there, and an engine is as good as a program; "
                "choose another engine cache or make the folder your own (chown, chmod o-w)"
            )

    def _record_path(self, key: EngineKey) -> Path:
        return self.folder / f"{key.stem}.json"

    def _read(self, path: Path) -> Record | None:
        try:
            if path.stat().st_size > MAX_RECORD_BYTES:
                return None
            content = json.loads(path.read_bytes())
            record = Record(EngineKey(**content.pop("key")), **content)
        except (OSError, ValueError, TypeError, AttributeError, KeyError, RecursionError):
            return None
        texts = [record.sha256, record.rejected, *dataclasses.astuple(record.key)]
        good = all(isinstance(text, str) for text in texts) and isinstance(record.facts, dict)
        return record if good and path.stem == record.key.stem else None

    def _write(self, record: Record) -> None:
        content = record._asdict() | {"key": dataclasses.asdict(record.key)}
        write_atomically(self._record_path(record.key), json.dumps(content, indent=1).encode())


class Search(NamedTuple):
    """What the cache has for a bundle on a device."""

    engine: bytes
    """Empty where none can be used."""
    rung: Rung | None
    """Of the engine; or, without one, to be built next; None where every precision was rejected."""
    rejected: tuple[str, ...]
    """Faster precisions that cannot be used, and why."""


def search(cache: EngineCache, config: BundleConfig, device: Device) -> Search:
    """The fastest engine that can be used, or what to build next."""
    rejected: list[str] = []
    for rung in ladder(config, device):
        key = EngineKey.of(config, device, rung)
        record = cache.record(key)
        if record is not None and record.rejected:
            rejected.append(f"{rung.precision}: {record.rejected}")
            continue
        return Search(cache.read(key) or b"", rung, tuple(rejected))
    return Search(b"", None, tuple(rejected))


def open_engine(folder: Path, config: BundleConfig, cache_folder: Path | None = None) -> TensorRt:
    """The bundle's engine from the cache, on the GPU, after it has given the golden outputs.

    Raises `Unavailable` where TensorRT, a GPU or a good engine is missing; an engine that TensorRT refuses is dropped.
    """
    if config.split:
        raise Unavailable(ONE_GRAPH_ONLY)
    device, cache = find_device(), EngineCache(cache_folder)
    try:
        found = search(cache, config, device)
    except SaomError as error:
        raise Unavailable(str(error)) from None
    if not found.engine:
        if found.rung is None:
            raise Unavailable(f"no precision works ({'; '.join(found.rejected)}); saom engine build tries again")
        raise Unavailable(NOT_BUILT)
    assert found.rung is not None
    key = EngineKey.of(config, device, found.rung)
    note = f"{device.tensorrt} on {device.gpu.name} in {found.rung.precision}"
    if found.rejected:
        note += f" (not in {'; '.join(found.rejected)})"
    try:
        runtime = TensorRt(found.engine, cache.engine_path(key), config, note)
        inputs, expected = load_golden(folder, config)
        problem = compare(expected, runtime.run(inputs)).problem
        if problem:
            raise SaomError(problem)
    except SaomError as error:
        with contextlib.suppress(OSError):
            cache.forget(key)
        raise Unavailable(f"{found.rung.precision}: {error}") from None
    return runtime


def describe(records: list[Record]) -> Iterator[str]:
    """One line for each record, for people."""
    for record in records:
        key = record.key
        what = f"{key.model}, {key.precision}, {key.gpu}, TensorRT {key.tensorrt}, CUDA {key.cuda}"
        if record.rejected:
            yield f"{what}: rejected: {record.rejected}"
        else:
            yield f"{what}: " + ", ".join(f"{name} {value}" for name, value in record.facts.items())


def _digest(mapping: Mapping[str, str]) -> str:
    return hashlib.sha256(json.dumps(mapping, sort_keys=True).encode()).hexdigest()
