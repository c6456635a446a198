"""Which points are asked of one training image: objects at their assignment and elsewhere, background, parts.

Pure functions of label maps and a random generator; coordinates are those of ``training.assignment``.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from training.assignment import (
    Assignment,
    assign_grid_points,
    deepest_points,
    labels_at,
    pixel_centres,
    random_points,
    visible_objects,
)

NOT_ASKED = -1
"""Id of a prompt that only fills up its row: nothing is learned from its answer."""


@dataclass(frozen=True)
class PromptSampling:
    """Which points are asked of one training image, and how many of each kind."""

    objects: int = 18
    """Points on objects."""
    background: int = 4
    """Grid points on background, trained to score 0; 0 for none, as published."""
    own_peaks: int = 10
    """Points that the model's own objectness map would ask, so that scores learn what everything mode meets."""
    min_area: int = 48
    """Objects below this many visible input pixels are not asked."""
    assignment: Literal["nearest", "random", "centre"] = "nearest"
    """Where an object is asked: nearest grid point, random visible pixel, or its deepest interior point."""
    inside: bool = True
    """Whether the nearest grid point must lie on the object's visible mask; false as published."""
    extra: Literal["pixels", "grid", "none"] = "pixels"
    """What half of the points on objects, and all those after an object's first, are: visible pixels, grid points on
    the visible mask, or none of them: each object is asked once."""


def assign_prompts(
    instances: NDArray, grid: NDArray[np.float32], sampling: PromptSampling, random: np.random.Generator
) -> Assignment:
    """The prompt of each object of integer (H, W) by the rule ``sampling.assignment``."""
    if sampling.assignment == "random":
        return random_points(instances, random, sampling.min_area)
    if sampling.assignment == "centre":
        return deepest_points(instances, sampling.min_area)
    return assign_grid_points(instances, grid, sampling.min_area, sampling.inside)


def sample_prompts(
    assignment: Assignment,
    instances: NDArray,
    grid: NDArray[np.float32],
    sampling: PromptSampling,
    random: np.random.Generator,
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Draw the points of one training image and the instance that each asks for.

    Returns points float32 (objects + background, 2) px and instance ids int64 (N,), 0 for background. A frame with
    fewer objects repeats them with other points (``extra``), one without background asks objects instead; what is left
    over is ``NOT_ASKED``.
    """
    wanted = sampling.objects + sampling.background
    free = grid[labels_at(instances, grid) == 0]
    if sampling.extra == "none":
        points, ids = _once_each(assignment, sampling.objects, random)
        background = sampling.background
    else:
        on_objects = (sampling.objects if len(free) else wanted) if len(assignment.ids) else 0
        points, ids = _repeated(assignment, instances, grid, on_objects, sampling.extra, random)
        background = wanted - len(points) if sampling.background else 0
    for _ in range(background if len(free) else 0):
        points.append(free[random.integers(len(free))])
        ids.append(0)
    points += [grid[0]] * (wanted - len(points))
    ids += [NOT_ASKED] * (wanted - len(ids))
    return np.stack(points).astype(np.float32), np.array(ids, np.int64)


def _once_each(
    assignment: Assignment, most: int, random: np.random.Generator
) -> tuple[list[NDArray[np.float32]], list[int]]:
    """Each object at its prompt; random ones where there are more than ``most``."""
    rows = random.permutation(len(assignment.ids))[:most]
    return list(assignment.points[rows]), assignment.ids[rows].tolist()


def _repeated(
    assignment: Assignment,
    instances: NDArray,
    grid: NDArray[np.float32],
    count: int,
    extra: str,
    random: np.random.Generator,
) -> tuple[list[NDArray[np.float32]], list[int]]:
    """``count`` points on objects, taken in random order again and again: half of the first turns at the object's
    prompt, all others at random visible places of it.
    """
    order: NDArray = np.zeros(0, np.int64)
    while len(order) < count:
        order = np.concatenate([order, random.permutation(len(assignment.ids))])
    flat, under_grid = instances.ravel(), labels_at(instances, grid)
    points: list[NDArray[np.float32]] = []
    for turn, row in enumerate(order[:count]):
        if turn < len(assignment.ids) and random.random() < 0.5:
            points.append(assignment.points[row])
            continue
        on_grid = np.flatnonzero(under_grid == assignment.ids[row]) if extra == "grid" else ()
        if len(on_grid):
            points.append(grid[on_grid[random.integers(len(on_grid))]])
        else:  # an object between grid points has its pixels only
            pixels = np.flatnonzero(flat == assignment.ids[row])
            points.append(pixel_centres(pixels[[random.integers(len(pixels))]], instances.shape[1])[0])
    return points, assignment.ids[order[:count]].tolist()


def sample_ambiguous(
    instances: NDArray, parts: NDArray, sampling: PromptSampling, random: np.random.Generator
) -> tuple[NDArray[np.float32], NDArray[np.int64], NDArray[np.int64]]:
    """Draw points as SAM was trained: each on a random visible pixel of a part or of a whole object, by halves.

    instances, parts: integer (H, W), where every part belongs to one instance. Returns points float32 (objects, 2) px,
    instance ids int64 (N,) and the id of the part that is the target, int64 (N,), 0 where the whole object is; parts
    below ``min_area`` visible px are no targets. Rows are ``NOT_ASKED`` where the frame has no object.
    """
    wholes = list(visible_objects(instances, sampling.min_area))
    points, ids, part_ids = [np.zeros(2, np.float32)] * sampling.objects, [NOT_ASKED] * sampling.objects, []
    of_whole: dict[int, list[tuple[int, NDArray[np.int64]]]] = {instance: [] for instance, _ in wholes}
    for part, pixels in visible_objects(parts, sampling.min_area):
        of_whole.get(int(instances.ravel()[pixels[0]]), []).append((part, pixels))
    order = [int(row) for _ in range(sampling.objects) for row in random.permutation(len(wholes))][: sampling.objects]
    for turn, row in enumerate(order):
        instance, pixels = wholes[row]
        part = 0
        if of_whole[instance] and random.random() < 0.5:
            part, pixels = of_whole[instance][random.integers(len(of_whole[instance]))]
        points[turn] = pixel_centres(pixels[random.integers(len(pixels))][None], instances.shape[1])[0]
        ids[turn] = instance
        part_ids.append(part)
    part_ids += [0] * (sampling.objects - len(part_ids))
    return np.stack(points), np.array(ids, np.int64), np.array(part_ids, np.int64)
