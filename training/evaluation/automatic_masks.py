"""SAM's own everything mode, `segment_anything.SamAutomaticMaskGenerator` unmodified, as a system that we score.

It asks every point of its grid for three ambiguous masks, filters them by predicted IoU and stability, and suppresses
duplicates by their boxes. Its masks are painted, best predicted IoU on top, so that it answers with a label map as our
segmenter does and is scored by the same code; its thresholds are tuned on validation frames as ours are.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from pycocotools import mask as rle
from segment_anything import SamAutomaticMaskGenerator
from segment_anything.modeling import Sam
from torchvision.ops import nms

from saom_ros.instances import Instances
from saom_ros.segmenter import DEFAULT_MIN_AREA
from training import metrics
from training.evaluation.frames import LabelledFrame
from training.evaluation.painted import paint_masks
from training.evaluation.search import SearchResult, choose_settings


@dataclass(frozen=True)
class AutomaticMaskSettings:
    """The generator's thresholds; the defaults are its own, chosen by its authors for SAM ViT-H."""

    pred_iou_thresh: float = 0.88
    """Masks whose predicted IoU is lower are dropped."""
    stability_score_thresh: float = 0.95
    """Masks that change more than this between a logit of -1 and 1 are dropped."""
    box_nms_thresh: float = 0.7
    """Masks whose box has a larger IoU with a better one's are duplicates."""


CANDIDATES: dict[str, tuple[float, ...]] = {
    "pred_iou_thresh": (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.88),
    "stability_score_thresh": (0.3, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95),
    "box_nms_thresh": (0.3, 0.5, 0.7),
}
"""What `tune` tries, in this order."""


class AutomaticMasks:
    """Image in, instances out, like a Segmenter."""

    def __init__(self, sam: Sam, points_per_side: int = 32, settings: AutomaticMaskSettings | None = None) -> None:
        """``sam`` in evaluation mode; ``points_per_side`` of the grid, 32 as published."""
        self.sam, self.points_per_side = sam, points_per_side
        self.settings = settings or AutomaticMaskSettings()
        self.min_area = DEFAULT_MIN_AREA

    def __call__(self, rgb: NDArray[np.uint8]) -> Instances:
        """Segment an RGB image uint8 (H, W, 3)."""
        generator = SamAutomaticMaskGenerator(self.sam, self.points_per_side, **asdict(self.settings))
        return self._painted(generator.generate(rgb), rgb.shape[0], rgb.shape[1])

    def _painted(self, records: Sequence[dict[str, Any]], height: int, width: int) -> Instances:
        masks = [record["segmentation"] for record in records]
        scores = [min(max(record["predicted_iou"], 0.0), 1.0) for record in records]
        return paint_masks(masks, scores, height, width, self.min_area)


class Remembered:
    """What a generator finds in some frames with the loosest thresholds, so that others need not ask the model again.

    Its masks cost seconds a frame, its filters nothing; with one crop, stricter thresholds do nothing but filter.
    """

    def __init__(self, system: AutomaticMasks, frames: Sequence[LabelledFrame]) -> None:
        """Ask for all masks that any of `CANDIDATES` may keep."""
        loosest = AutomaticMaskSettings(*(min(values) for values in CANDIDATES.values()))
        settings = {**asdict(loosest), "box_nms_thresh": 1.0}  # no IoU is above it
        generator = SamAutomaticMaskGenerator(system.sam, system.points_per_side, output_mode="coco_rle", **settings)
        self._system = system
        self._found = [(generator.generate(frame.rgb), *frame.rgb.shape[:2]) for frame in frames]

    def answers(self, settings: AutomaticMaskSettings) -> Iterator[Instances]:
        """What the generator would answer with these thresholds, frame by frame."""
        for records, height, width in self._found:
            kept = [{**r, "segmentation": rle.decode(r["segmentation"]) > 0} for r in filtered(records, settings)]
            yield self._system._painted(kept, height, width)


def filtered(records: Sequence[dict[str, Any]], settings: AutomaticMaskSettings) -> list[dict[str, Any]]:
    """The records of a generator that it would have kept with stricter thresholds, in its order."""
    kept = [
        record
        for record in records
        if record["predicted_iou"] > settings.pred_iou_thresh
        and record["stability_score"] >= settings.stability_score_thresh
    ]
    boxes = torch.tensor([record["bbox"] for record in kept], dtype=torch.float32).reshape(-1, 4)
    boxes[:, 2:] += boxes[:, :2]  # x y width height
    scores = torch.tensor([record["predicted_iou"] for record in kept], dtype=torch.float32)
    return [kept[index] for index in nms(boxes, scores, settings.box_nms_thresh).tolist()]


def tune(
    system: AutomaticMasks, frames: Sequence[LabelledFrame], min_object_area: int = metrics.MIN_OBJECT_AREA
) -> SearchResult:
    """Choose the thresholds on validation frames, see `choose_settings`; leaves them set.

    The search begins with the loosest thresholds: behind strict ones, another's change shows no effect.
    """
    remembered = Remembered(system, frames)

    def answers(settings: dict[str, float]) -> Iterator[Instances]:
        return remembered.answers(AutomaticMaskSettings(**settings))

    loosest = {name: values[0] for name, values in CANDIDATES.items()}
    result = choose_settings(loosest, CANDIDATES, answers, frames, min_object_area)
    system.settings = AutomaticMaskSettings(**result.best)
    return result
