"""Frames worth looking at: the best, the worst and some random ones of an evaluation, as pictures.

Each picture shows, from left to right, the image, the ground truth and the prediction; its name carries the frame's
mean best IoU in percent. Only the pictures kept so far stay in memory.
"""

from __future__ import annotations

import heapq
import random
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from saom_ros.errors import SaomError
from saom_ros.instances import Instances
from saom_ros.overlay import draw_labels
from training.evaluation.frames import LabelledFrame
from training.metrics.label_maps import BoolArray

GAP = 8
"""White pixels between the parts of a picture."""
_HATCH = 12
"""Distance of the lines over ignored pixels, px."""


@dataclass(frozen=True)
class KeptPicture:
    """A frame that was kept."""

    kind: str
    """`best`, `worst` or `random`."""
    place: int
    """From 0 in order of rank."""
    key: str
    mean_iou: float
    """0 to 1."""
    pixels: NDArray[np.uint8]
    """RGB (H, 3 W + 2 GAP, 3)."""

    @property
    def file_name(self) -> str:
        """`KIND_NN_IOU_KEY.png`."""
        return f"{self.kind}_{self.place:02d}_{100 * self.mean_iou:03.0f}_{self.key}.png"


class Gallery:
    """Collects pictures while an evaluation runs."""

    def __init__(self, count: int, seed: int = 0) -> None:
        self.count = count
        self._kept: dict[str, list[tuple[float, int, KeptPicture]]] = {"best": [], "worst": [], "random": []}
        self._seen = 0
        self._random = random.Random(seed)

    def add(self, frame: LabelledFrame, instances: Instances, mean_iou: float) -> None:
        """Offer a frame with its mean best IoU, 0 to 1."""
        # The largest of equally distributed numbers are a fair sample of all frames.
        ranks = {"best": mean_iou, "worst": -mean_iou, "random": self._random.random()}
        wanted = [kind for kind, rank in ranks.items() if self._wants(kind, rank)]
        pixels = side_by_side(frame, instances) if wanted else None
        for kind in wanted:
            assert pixels is not None
            # The running number settles ties: pictures cannot be compared.
            entry = ranks[kind], self._seen, KeptPicture(kind, 0, frame.key, mean_iou, pixels)
            heapq.heappush(self._kept[kind], entry)
            if len(self._kept[kind]) > self.count:
                heapq.heappop(self._kept[kind])
        self._seen += 1

    def pictures(self) -> list[KeptPicture]:
        """The kept pictures, kind by kind, in order of rank."""
        found = []
        for kept in self._kept.values():
            for place, (_, _, picture) in enumerate(sorted(kept, key=lambda entry: entry[:2], reverse=True)):
                found.append(KeptPicture(picture.kind, place, picture.key, picture.mean_iou, picture.pixels))
        return found

    def write(self, folder: Path) -> list[Path]:
        """Write all kept pictures into a folder and return the paths."""
        folder.mkdir(parents=True, exist_ok=True)
        paths = []
        for picture in self.pictures():
            path = folder / picture.file_name
            if not cv2.imwrite(str(path), picture.pixels[..., ::-1]):
                raise SaomError(f"cannot write {path}; check that the disk has space and the folder is writable")
            paths.append(path)
        return paths

    def _wants(self, kind: str, rank: float) -> bool:
        return len(self._kept[kind]) < self.count or rank > self._kept[kind][0][0]


def side_by_side(frame: LabelledFrame, instances: Instances) -> NDArray[np.uint8]:
    """RGB uint8 (H, 3 W + 2 GAP, 3): image, ground truth with ignored pixels hatched, prediction."""
    gap = np.full((frame.rgb.shape[0], GAP, 3), 255, np.uint8)
    truth = draw_labels(frame.rgb, frame.instances)
    if frame.ignore is not None:
        truth = _hatched(truth, frame.ignore)
    return np.hstack([frame.rgb, gap, truth, gap, draw_labels(frame.rgb, instances.label_map)])


def _hatched(image: NDArray[np.uint8], where: BoolArray) -> NDArray[np.uint8]:
    y, x = np.indices(where.shape)
    hatched = image.copy()
    hatched[where & ((x + y) % _HATCH < 2)] = 255
    return hatched
