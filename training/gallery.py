"""Frames worth looking at: the best, the worst and some random ones of an evaluation, as pictures.

Each picture shows, from left to right, the image, the ground truth and the prediction; its file name carries the
frame's mean best IoU in percent. Only the pictures kept so far stay in memory.
"""

from __future__ import annotations

import heapq
import random
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from saom_ros.errors import SaomError
from saom_ros.instances import Instances
from saom_ros.overlay import draw_labels
from training.shards import Sample

GAP = 8
"""White pixels between the parts of a picture."""


class Gallery:
    """Collects pictures while an evaluation runs and writes them at its end."""

    def __init__(self, folder: Path, count: int, seed: int = 0) -> None:
        if folder.exists() and not folder.is_dir():
            raise SaomError(f"overlays cannot go to {folder}: it is a file; give a folder")
        self.folder = folder
        self.count = count
        self._kept: dict[str, list[tuple[float, int, str, NDArray[np.uint8]]]] = {"best": [], "worst": [], "random": []}
        self._seen = 0
        self._random = random.Random(seed)

    def add(self, frame: Sample, instances: Instances, mean_iou: float) -> None:
        """Offer a frame with its mean best IoU, 0 to 1."""
        # The largest of equally distributed numbers are a fair sample of all frames.
        ranks = {"best": mean_iou, "worst": -mean_iou, "random": self._random.random()}
        wanted = [kind for kind, rank in ranks.items() if self._wants(kind, rank)]
        if wanted:
            name, picture = f"{100 * mean_iou:03.0f}_{frame.key}", side_by_side(frame, instances)
        for kind in wanted:
            # The running number settles ties: pictures cannot be compared.
            heapq.heappush(self._kept[kind], (ranks[kind], self._seen, name, picture))
            if len(self._kept[kind]) > self.count:
                heapq.heappop(self._kept[kind])
        self._seen += 1

    def write(self) -> list[Path]:
        """Write `KIND_NN_IOU_KEY.png` for all kept pictures, NN from 0 in order of rank, and return the paths."""
        self.folder.mkdir(parents=True, exist_ok=True)
        paths = []
        for kind, kept in self._kept.items():
            for place, (_, _, name, picture) in enumerate(sorted(kept, key=lambda entry: entry[:2], reverse=True)):
                path = self.folder / f"{kind}_{place:02d}_{name}.png"
                if not cv2.imwrite(str(path), picture[..., ::-1]):
                    raise SaomError(f"cannot write {path}; check that the disk has space and the folder is writable")
                paths.append(path)
        return paths

    def _wants(self, kind: str, rank: float) -> bool:
        return len(self._kept[kind]) < self.count or rank > self._kept[kind][0][0]


def side_by_side(frame: Sample, instances: Instances) -> NDArray[np.uint8]:
    """RGB uint8 (H, 3 W + 2 GAP, 3): image, ground truth, prediction."""
    gap = np.full((frame.rgb.shape[0], GAP, 3), 255, np.uint8)
    truth = draw_labels(frame.rgb, frame.instances)
    return np.hstack([frame.rgb, gap, truth, gap, draw_labels(frame.rgb, instances.label_map)])
