"""One prompt for each true object, as SAOM measures (arXiv 2403.10780): how whole is the mask that it gets?

Per class, the pixels of all instances are added up first: IoU = intersections / unions, accuracy = intersections /
true pixels; mIoU and mAcc are means over the classes present. The prompt is derived from the ground truth, so extra and
duplicate masks cost nothing here: these figures stand beside those of everything mode, never instead of them.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from training.classes import UNKNOWN_CLASS
from training.metrics.counted import CountedObjects
from training.metrics.label_maps import BoolArray, IntArray


@dataclass(frozen=True)
class PromptedScores:
    """Pixels of one frame's N objects that count, and of the masks that their prompts got."""

    classes: list[str]
    """(N,) class names."""
    intersections: IntArray
    """(N,)"""
    unions: IntArray
    """(N,)"""
    areas: IntArray
    """(N,) true pixels."""
    on_grid: BoolArray
    """(N,) whether the prompt was a grid point; where none lies inside, the object's own interior point was asked."""


def score_prompted(
    objects: CountedObjects, masks: Iterable[BoolArray], on_grid: BoolArray, classes: Mapping[int, str]
) -> PromptedScores:
    """Compare the masks (H, W) that the prompts of a frame's objects got, in the objects' order, with the objects.

    Pixels that are void count neither for nor against.

    Raises:
        ValueError: not one mask for each object, or a mask of another shape.
    """
    intersections, unions = [], []
    for label, mask in enumerate(masks, start=1):
        if mask.shape != objects.index.shape:
            raise ValueError(f"a mask of shape {mask.shape} for a frame of {objects.index.shape}")
        inside = objects.index == label
        seen = mask if objects.void is None else mask & ~objects.void
        intersections.append(np.count_nonzero(seen & inside))
        unions.append(np.count_nonzero(seen | inside))
    if not len(intersections) == len(objects.ids) == len(on_grid):
        raise ValueError(f"{len(intersections)} masks and {len(on_grid)} prompts for {len(objects.ids)} objects")
    return PromptedScores(
        [classes.get(label, UNKNOWN_CLASS) for label in objects.ids.tolist()],
        np.array(intersections, np.int64),
        np.array(unions, np.int64),
        objects.areas,
        on_grid,
    )


def prompted_by_class(frames: Sequence[PromptedScores]) -> dict[str, dict[str, float]]:
    """For each class present, in alphabetical order: `objects`, `iou` and `acc` in percent."""
    names = np.array([name for frame in frames for name in frame.classes], str)
    intersections, unions, areas = (
        np.concatenate([np.zeros(0, np.int64), *(getattr(frame, field) for frame in frames)])
        for field in ("intersections", "unions", "areas")
    )
    return {
        str(name): {
            "objects": int((names == name).sum()),
            "iou": 100 * float(intersections[names == name].sum() / unions[names == name].sum()),
            "acc": 100 * float(intersections[names == name].sum() / areas[names == name].sum()),
        }
        for name in np.unique(names)
    }


def prompted_means(
    by_class: Mapping[str, Mapping[str, float]], wanted: Collection[str] | None = None
) -> dict[str, float]:
    """`classes` (how many are present), `objects`, `prompted_miou` and `prompted_macc`, of all or the wanted classes.

    Figures are NaN where none of the classes is present.
    """
    chosen = [figures for name, figures in by_class.items() if wanted is None or name in wanted]
    return {
        "classes": len(chosen),
        "objects": sum(int(figures["objects"]) for figures in chosen),
        "prompted_miou": float(np.mean([figures["iou"] for figures in chosen])) if chosen else float("nan"),
        "prompted_macc": float(np.mean([figures["acc"] for figures in chosen])) if chosen else float("nan"),
    }
