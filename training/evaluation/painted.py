"""Instances out of label maps and binary masks that no bundle has painted: what other systems are scored on."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import find_objects

from saom_ros.instances import MAX_INSTANCES, Instances


def instances_of_labels(labels: NDArray[np.integer], scores: NDArray[np.floating]) -> Instances:
    """Instances of a label map (H, W) numbered from 1 without gaps, best score first; classes are unknown.

    scores: (N,) in 0..1, of label 1 first.
    """
    count = int(labels.max(initial=0))
    areas = np.bincount(labels.ravel(), minlength=count + 1)[1:]
    order = np.argsort(-scores, kind="stable")
    rank = np.zeros(count + 1, np.uint16)
    rank[order + 1] = np.arange(1, count + 1)
    label_map = rank[labels]
    boxes = [(x.start, y.start, x.stop, y.stop) for y, x in find_objects(label_map)]
    return Instances(
        label_map=label_map,
        ids=np.arange(1, count + 1, dtype=np.int32),
        scores=scores[order].astype(np.float32),
        boxes=np.array(boxes, np.float32).reshape(-1, 4),
        class_ids=np.full(count, -1, np.int32),
        areas=areas[order].astype(np.int64),
    )


def paint_masks(
    masks: Sequence[NDArray[np.bool_]], scores: Sequence[float], height: int, width: int, min_area: int
) -> Instances:
    """Paint overlapping binary masks (H, W): a pixel goes to the best scored mask there.

    Masks that own fewer than ``min_area`` pixels afterwards are dropped; what they owned becomes background.
    """
    order = np.argsort(-np.asarray(scores, np.float64), kind="stable")[:MAX_INSTANCES]
    painted = np.zeros((height, width), np.int32)
    for rank, index in reversed(list(enumerate(order, start=1))):  # the best is painted last, over all others
        painted[masks[index]] = rank
    areas = np.bincount(painted.ravel(), minlength=len(order) + 1)
    kept = np.flatnonzero(areas[1:] >= max(min_area, 1))
    number = np.zeros(len(order) + 1, np.int32)
    number[kept + 1] = np.arange(1, len(kept) + 1)
    return instances_of_labels(number[painted], np.asarray(scores, np.float32)[order[kept]])
