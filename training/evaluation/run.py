"""Run systems on annotated frames and score them; the figures of one system as plain values, as JSON takes them."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from saom_ros.instances import Instances
from training import metrics
from training.assignment import assign_grid_points
from training.classes import held_out_classes, saom_classes
from training.evaluation.frames import LabelledFrame
from training.evaluation.gallery import Gallery
from training.evaluation.systems import Prompter, System
from training.metrics.calibration import reliability
from training.metrics.counted import CountedObjects
from training.metrics.prompted import PromptedScores, prompted_by_class, prompted_means, score_prompted
from training.metrics.summary import recall_by_class

CLASS_GROUPS: dict[str, Collection[str] | None] = {
    "all classes": None,
    "SAOM's 55 classes": saom_classes(),
    "held out of training": held_out_classes(),
}
"""Sets of classes that figures are given for; None = whatever is in the data."""


@dataclass
class SystemScores:
    """What one system reached on the frames seen so far."""

    frames: list[metrics.FrameScores] = field(default_factory=list)
    prompted: list[PromptedScores] = field(default_factory=list)
    """Of the same frames; empty for a system that answers no single prompts."""
    milliseconds: list[float] = field(default_factory=list)

    def report(self) -> dict[str, Any]:
        """Figures in percent, NaN where they do not exist, with what they rest on.

        `figures` and `counts` of everything; `classes` with the figures of each class; `class_groups` as CLASS_GROUPS;
        `calibration`, B bins by score; `ms_per_frame`, the median without the first frame, which warms caches up.

        Raises:
            ValueError: no object counts in any frame.
        """
        figures = metrics.summarize(self.frames)
        recalls, prompts = recall_by_class(self.frames), prompted_by_class(self.prompted)
        groups = {name: _group(recalls, prompts, wanted) for name, wanted in CLASS_GROUPS.items()}
        everything = groups["all classes"]
        on_grid = np.concatenate([np.zeros(0, bool), *(frame.on_grid for frame in self.prompted)])
        bins = reliability(self.frames)
        return {
            "figures": {
                **figures,
                "prompted_miou": everything["prompted_miou"],
                "prompted_macc": everything["prompted_macc"],
                "prompted_on_grid": 100 * float(on_grid.mean()) if len(on_grid) else float("nan"),
            },
            "counts": metrics.counts(self.frames),
            "classes": {name: {**recall, **_prefixed(prompts.get(name))} for name, recall in recalls.items()},
            "class_groups": groups,
            "calibration": {
                "predictions": bins.counts.tolist(),
                "score": bins.scores.tolist(),
                "correct": bins.correct.tolist(),
                "iou": bins.iou.tolist(),
            },
            "ms_per_frame": float(np.median(self.milliseconds[1:] or self.milliseconds)),
        }


def evaluate(
    systems: Mapping[str, System],
    frames: Iterable[LabelledFrame],
    min_object_area: int = metrics.MIN_OBJECT_AREA,
    gallery: Gallery | None = None,
) -> dict[str, SystemScores]:
    """Run every system on every frame and score it; the gallery sees what the first system did."""
    results = {name: SystemScores() for name in systems}
    for frame in frames:
        objects = metrics.counted_objects(frame.instances, frame.ignore, min_object_area)
        for k, (name, system) in enumerate(systems.items()):
            started = time.perf_counter()
            instances = system.segment(frame.rgb)
            results[name].milliseconds.append(1000 * (time.perf_counter() - started))
            scores = score_instances(frame, objects, instances)
            results[name].frames.append(scores)
            if system.prompter is not None:
                results[name].prompted.append(ask_each_object(frame, objects, system.prompter))
            if gallery is not None and k == 0 and len(scores.best_iou):
                gallery.add(frame, instances, float(scores.best_iou.mean()))
    return results


def score_instances(frame: LabelledFrame, objects: CountedObjects, instances: Instances) -> metrics.FrameScores:
    """Score one frame's instances."""
    scores = dict(zip(instances.ids.tolist(), instances.scores.tolist(), strict=True))
    return metrics.score_prediction(objects, instances.label_map, scores, frame.classes, frame.exhaustive)


def ask_each_object(frame: LabelledFrame, objects: CountedObjects, prompter: Prompter) -> PromptedScores:
    """Ask for each object at the nearest grid point inside its visible mask, as training assigns it; an object without
    a grid point inside is asked at its own deepest point.
    """
    assignment = assign_grid_points(objects.index, prompter.grid(*frame.instances.shape))
    masks = prompter.masks(frame.rgb, assignment.points)
    return score_prompted(objects, masks, assignment.on_grid, frame.classes)


def _group(
    recalls: Mapping[str, Mapping[str, float]],
    prompts: Mapping[str, Mapping[str, float]],
    wanted: Collection[str] | None,
) -> dict[str, float]:
    """Figures of a set of classes: recall over all their objects together, prompted figures as means over classes."""
    names = [name for name in recalls if wanted is None or name in wanted]
    objects = [recalls[name]["objects"] for name in names]

    def over_objects(figure: str) -> float:
        if not names:
            return float("nan")
        return float(np.average([recalls[name][figure] for name in names], weights=objects))

    return {
        **prompted_means(prompts, names),
        "classes": len(names),
        "objects": int(sum(objects)),
        "recall_50": over_objects("recall_50"),
        "recall_75": over_objects("recall_75"),
    }


def _prefixed(figures: Mapping[str, float] | None) -> dict[str, float]:
    nothing = float("nan")
    found = figures or {"iou": nothing, "acc": nothing}
    return {"prompted_iou": found["iou"], "prompted_acc": found["acc"]}
