"""What has been made of a recipe so far: `recipe.json` in its folder, the one place that says whether a stage is done.

A stage is done when it came to its end with the same settings and the same inputs as now. The file is replaced whole,
so that a kill leaves either what was there before or what is there now.
"""

from __future__ import annotations

import fcntl
import json
import reprlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from saom_ros.errors import SaomError
from training.evaluation.verb import check_writable
from training.reports.json_files import write_json

RECORD_NAME = "recipe.json"
_LOCK_NAME = ".lock"


@dataclass
class Stretch:
    """One run of a stage, which may be from its start or on from where another machine stopped."""

    machine: str
    """Its GPU and cores."""
    platform: str
    code: str
    """The code's version."""
    versions: dict[str, str]
    """Those of packages."""
    seconds: float | None = None
    """What it took; None while it runs, and for ever where it was killed outright."""


@dataclass
class StageRecord:
    """One stage."""

    settings: dict[str, Any]
    """What was set for it."""
    inputs: dict[str, Any]
    """What tells the files that it read from any others."""
    predicted_seconds: float | None = None
    """What was predicted before it began."""
    stretches: list[Stretch] = field(default_factory=list)
    """Its runs, from the start that what is there goes back to."""
    done: bool = False
    """Whether it came to its end."""
    output: str = ""
    """File or folder that it made."""
    figures: dict[str, Any] = field(default_factory=dict)
    """What it found."""

    @property
    def seconds(self) -> float:
        """What it took, over all runs that ended in order."""
        return sum(stretch.seconds or 0.0 for stretch in self.stretches)

    @property
    def killed_runs(self) -> int:
        """Runs that did not end in order; what they took is not in `seconds`. While a stage runs, it counts as one."""
        return sum(stretch.seconds is None for stretch in self.stretches)


class Record:
    """`recipe.json` of a folder."""

    def __init__(self, folder: Path) -> None:
        """Read what is there.

        Raises:
            SaomError: the file is damaged.
        """
        self.path = folder / RECORD_NAME
        self.about: dict[str, Any] = {}
        self.stages: dict[str, StageRecord] = {}
        if self.path.exists():
            try:
                content = json.loads(self.path.read_text())
                self.stages = {name: _stage_record(values) for name, values in content.pop("stages").items()}
                self.about = content
            except (ValueError, KeyError, TypeError, AttributeError) as error:
                raise SaomError(f"{self.path} is damaged ({error}); give another --out, or remove {folder}") from error

    def tell(self, about: Mapping[str, Any]) -> None:
        """Keep what holds for all stages."""
        self.about |= _plain(about)
        self._write()

    def changes(
        self,
        stage: str,
        settings: Mapping[str, Any],
        inputs: Mapping[str, Any],
        completed: Callable[[dict[str, Any]], dict[str, Any]] = dict,
    ) -> list[str]:
        """What differs from what the stage was begun with, in words; nothing for a stage that was not.

        `completed` gives settings that an earlier version recorded as this one would have.
        """
        if (found := self.stages.get(stage)) is None:
            return []
        return differences({**completed(found.settings), **found.inputs}, _plain({**settings, **inputs}))

    def begin(
        self, stage: str, settings: Mapping[str, Any], inputs: Mapping[str, Any], stretch: Stretch, anew: bool
    ) -> None:
        """Note that a stage runs now: from its start (`anew`), or on from where it stopped."""
        entry = None if anew else self.stages.get(stage)
        predicted = self.about.get("predicted", {}).get(stage, {}).get("seconds")
        entry = entry or StageRecord({}, {}, predicted)
        entry.settings, entry.inputs, entry.done = _plain(settings), _plain(inputs), False
        entry.stretches.append(stretch)
        self.stages[stage] = entry
        self._write()

    def end(self, stage: str, seconds: float) -> None:
        """Note that the stage stopped in order, done or not."""
        self.stages[stage].stretches[-1].seconds = seconds
        self._write()

    def finish(self, stage: str, output: Path, figures: Mapping[str, Any]) -> None:
        """Note that the stage is done."""
        entry = self.stages[stage]
        entry.done, entry.output, entry.figures = True, str(output), _plain(figures)
        self._write()

    def _write(self) -> None:
        write_json(self.path, {**self.about, "stages": {name: asdict(entry) for name, entry in self.stages.items()}})


@contextmanager
def only_run(folder: Path) -> Iterator[None]:
    """Keep a second run out of the folder, which is made; the lock goes with the process, however it ends.

    Raises:
        SaomError: nothing can be written there, or another run is at work.
    """
    check_writable(folder / RECORD_NAME)
    with (folder / _LOCK_NAME).open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise SaomError(f"another run is at work in {folder}; wait for it, or give another --out") from None
        yield


def differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """What changed between two nested tables of plain values, one line each: `frames was 6, is 12`."""
    old, new = _flat(before), _flat(now)
    names = [*old, *(name for name in new if name not in old)]
    return [
        f"{name} was {reprlib.repr(old.get(name))}, is {reprlib.repr(new.get(name))}"
        for name in names
        if old.get(name) != new.get(name)
    ]


def _stage_record(values: dict[str, Any]) -> StageRecord:
    """A stage as it stands in the file."""
    return StageRecord(**{**values, "stretches": [Stretch(**stretch) for stretch in values["stretches"]]})


def _flat(table: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in table.items():
        if isinstance(value, Mapping) and value:
            flat |= _flat(value, f"{prefix}{name}.")
        else:
            flat[prefix + name] = value
    return flat


def _plain(table: Mapping[str, Any]) -> dict[str, Any]:
    """The table as it comes back from JSON, so that it can be compared with what is in the file."""
    return json.loads(json.dumps(table))
