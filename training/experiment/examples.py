"""Pictures of what each arm finds: the same few frames for all of them, spread evenly over the test set, not chosen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from saom_ros.image_files import encode_png, write_atomically
from saom_ros.overlay import draw_labels
from training.data.sheet import arrange
from training.evaluation.frames import FrameSet, LabelledFrame
from training.evaluation.systems import System

_COUNT = 5
_COLUMNS = 8
_WIDTH = 280
_CAPTION = 22
_FOLDER = "examples"


def save_examples(run: Path, systems: Mapping[str, System], frames: FrameSet) -> None:
    """Write what each system of a run finds in the examples, as 16-bit label maps below the run's folder."""
    (run / _FOLDER).mkdir(exist_ok=True)
    for number, frame in enumerate(example_frames(frames)):
        for name, system in systems.items():
            write_atomically(_file(run, name, number), encode_png(system.segment(frame.rgb).label_map))


def examples_picture(runs: Mapping[str, Path], frames: FrameSet) -> NDArray[np.uint8] | None:
    """Each example from a new row on: the picture, its true objects, and what each system found; RGB uint8 (H, W, 3).

    runs: by name of the system, the folder of its run. Those without examples are left out; None where all are.
    """
    shown = {name: run for name, run in runs.items() if _file(run, name, 0).exists()}
    if not shown:
        return None
    columns = min(2 + len(shown), _COLUMNS)
    tiles = []
    for number, frame in enumerate(example_frames(frames)):
        maps = {"truth": frame.instances}
        for name, run in shown.items():
            maps[name] = np.asarray(cv2.imread(str(_file(run, name, number)), cv2.IMREAD_UNCHANGED), np.uint16)
        tiles += [_tile("picture", frame.rgb), *(_tile(name, draw_labels(frame.rgb, of)) for name, of in maps.items())]
        tiles += [np.full_like(tiles[-1], 255)] * (-len(tiles) % columns)
    return arrange(tiles, columns)


def example_frames(frames: FrameSet) -> Sequence[LabelledFrame]:
    """The frames that are shown, in memory."""
    wanted = set(np.linspace(0, len(frames) - 1, min(_COUNT, len(frames))).round().astype(int).tolist())
    return [frame for number, frame in enumerate(frames) if number in wanted]


def _file(run: Path, system: str, number: int) -> Path:
    return run / _FOLDER / f"{system}-{number}.png"


def _tile(caption: str, picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    height = round(picture.shape[0] * _WIDTH / picture.shape[1])
    band = np.full((_CAPTION, _WIDTH, 3), 255, np.uint8)
    cv2.putText(band, caption, (4, 15), cv2.FONT_HERSHEY_SIMPLEX, 0.45, (0, 0, 0), 1, cv2.LINE_AA)
    return np.concatenate([band, cv2.resize(picture, (_WIDTH, height), interpolation=cv2.INTER_AREA)])
