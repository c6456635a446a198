"""Rows of the benchmarks, robot and training alike: what a figure is, where it goes and how it is shown.

A row is a figure with its unit. Claims about speed are ratios of two things measured in turns in one run, since no two
machines, and no two hours of a shared one, are alike.
"""

from __future__ import annotations

import dataclasses
import json
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from saom_ros.errors import SaomError
from saom_ros.image_files import write_atomically

RATIO = "x"
"""Unit of a ratio."""

Answer = TypeVar("Answer")


@dataclasses.dataclass(frozen=True)
class Row:
    """One figure."""

    area: str
    """What was measured: `machine`, `robot`, `simulation`, ..."""
    name: str
    value: float | str
    """Text for facts about the machine."""
    unit: str = ""
    ratio_to: str | None = None
    """Of a ratio: the row or the limit that it is a ratio to."""


class Stopwatch:
    """Wall-clock seconds of stages that are gone through again and again."""

    def __init__(self) -> None:
        self.seconds: dict[str, list[float]] = {}
        """By stage, one for each turn."""

    def measure(self, stage: str, function: Callable[..., Answer], *arguments: Any) -> Answer:
        """Call a function and count its time for a stage."""
        began = time.perf_counter()
        answer = function(*arguments)
        self.seconds.setdefault(stage, []).append(time.perf_counter() - began)
        return answer

    def median(self, stage: str) -> float:
        """Median of a stage in seconds."""
        return float(np.median(self.seconds[stage]))

    def turns(self, stages: Iterable[str]) -> list[float]:
        """Seconds of each turn through all of these stages."""
        return [sum(turn) for turn in zip(*(self.seconds[stage] for stage in stages), strict=True)]


def percentile_rows(area: str, name: str, seconds: Sequence[float]) -> list[Row]:
    """Median and 95th percentile in milliseconds."""
    return [Row(area, f"{name}, p{p}", round(1e3 * float(np.percentile(seconds, p)), 3), "ms") for p in (50, 95)]


def ratio_row(area: str, name: str, value: float, ratio_to: str) -> Row:
    """A ratio; `ratio_to` names what it is to."""
    return Row(area, name, round(value, 4), RATIO, ratio_to)


def peak_megabytes() -> float:
    """Most memory (RSS) that this process ever held, in MB of 2^20 bytes. `getrusage` would count its parent's, too."""
    return status_megabytes("VmHWM", "status")


def status_megabytes(name: str, file: str) -> float:
    """A line `NAME:  123 kB` of a file below /proc/self, in MB of 2^20 bytes."""
    lines = Path("/proc/self", file).read_text(encoding="utf-8").splitlines()
    return next(float(line.split()[1]) / 1024 for line in lines if line.startswith(f"{name}:"))


def write_rows(path: Path, rows: Sequence[Row]) -> None:
    """Write the rows as a JSON list of objects, whole or not at all."""
    write_atomically(path, (to_json(rows) + "\n").encode())


def read_rows(path: Path) -> list[Row]:
    """Rows that `write_rows` wrote. Raises `SaomError` for anything else."""
    try:
        return [Row(**entry) for entry in json.loads(path.read_text(encoding="utf-8"))]
    except OSError as error:
        raise SaomError(f"{path}: cannot be read: {error.strerror}") from None
    except (ValueError, TypeError):
        raise SaomError(f"{path}: holds no rows of a benchmark; write it with `saom bench --json FILE`") from None


def to_json(rows: Sequence[Row]) -> str:
    """A JSON list with one row a line."""
    return "[\n" + ",\n".join(json.dumps(dataclasses.asdict(row)) for row in rows) + "\n]"


def table(rows: Sequence[Row]) -> str:
    """Markdown: a table for each area, in the rows' order."""
    parts = []
    for area in dict.fromkeys(row.area for row in rows):
        chosen = [row for row in rows if row.area == area]
        cells = [(row.name, _figure(row), row.ratio_to or "") for row in chosen]
        wide = [max(map(len, column)) for column in zip(*cells, strict=True)]
        wide[2] = max(wide[2], len("ratio to"))
        lines = [
            f"| {area:<{wide[0]}} | {'':>{wide[1]}} | {'ratio to':<{wide[2]}} |",
            f"|{'-' * (wide[0] + 2)}|{'-' * (wide[1] + 1)}:|{'-' * (wide[2] + 2)}|",
        ]
        lines += [f"| {name:<{wide[0]}} | {figure:>{wide[1]}} | {to:<{wide[2]}} |" for name, figure, to in cells]
        parts.append("\n".join(lines))
    return "\n\n".join(parts)


def show(rows: Sequence[Row], json_to: str | None) -> None:
    """Print the tables; with a JSON target instead, write them there: a file, or `-` to print."""
    if json_to == "-":
        print(to_json(rows))
        return
    print(table(rows))
    if json_to:
        write_rows(Path(json_to), rows)
        print(f"\n{len(rows)} rows -> {json_to}")


def _figure(row: Row) -> str:
    if isinstance(row.value, str):
        return row.value
    text = f"{row.value:.3g}" if abs(row.value) < 1000 else f"{row.value:.0f}"
    return f"{text} {row.unit}".rstrip()
