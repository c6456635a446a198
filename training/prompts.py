"""Which points are asked in training: the grid of everything mode and SAOM's nearest-neighbour assignment (arXiv
2403.10780).

An object's prompt starts at its pole of inaccessibility and is replaced by the nearest grid point *inside its visible
mask*, because that is the point that everything mode will really ask. Coordinates are input pixels, x to the right, y
down; the pixel in column c covers [c, c + 1).
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Assignment:
    """One prompt for each object of a frame.

    ids: instance ids, int64 (n,), ascending.
    areas: visible pixels, int64 (n,).
    points: float32 (n, 2), xy px: the assigned grid point, or the object's own pole where no grid point falls inside.
    on_grid: bool (n,): whether the point is a grid point.
    """

    ids: NDArray[np.int64]
    areas: NDArray[np.int64]
    points: NDArray[np.float32]
    on_grid: NDArray[np.bool_]


def assign_grid_points(
    instances: NDArray, grid: NDArray[np.float32], min_area: int = 1, inside: bool = True
) -> Assignment:
    """Replace each object's prompt by the grid point that everything mode will use.

    instances: integer (H, W), 0 = background. grid: float32 (P, 2), xy px. Objects below ``min_area`` visible px are
    left out. ``inside``: only grid points on the object's visible mask will do; otherwise, as published, the nearest
    one, whatever it lies on.
    """
    assignment = deepest_points(instances, min_area)
    under_grid = labels_at(instances, grid)
    for row, (instance, prior) in enumerate(zip(assignment.ids, assignment.points, strict=True)):
        candidates = np.flatnonzero(under_grid == instance) if inside else np.arange(len(grid))
        if len(candidates):
            nearest = ((grid[candidates] - prior) ** 2).sum(1).argmin()
            assignment.points[row], assignment.on_grid[row] = grid[candidates[nearest]], True
    return assignment


def deepest_points(instances: NDArray, min_area: int = 1) -> Assignment:
    """Ask each object of integer (H, W) at its pole of inaccessibility, grid or no grid."""
    depth = depth_inside(instances).ravel()
    return _one_pixel_each(instances, min_area, lambda pixels: int(pixels[depth[pixels].argmax()]))


def random_points(instances: NDArray, random: np.random.Generator, min_area: int = 1) -> Assignment:
    """Ask each object of integer (H, W) at a random visible pixel."""
    return _one_pixel_each(instances, min_area, lambda pixels: int(pixels[random.integers(len(pixels))]))


def _one_pixel_each(instances: NDArray, min_area: int, choose: Callable[[NDArray[np.int64]], int]) -> Assignment:
    objects = list(_visible_objects(instances, min_area))
    chosen = np.array([choose(pixels) for _, pixels in objects], np.int64)
    return Assignment(
        np.array([instance for instance, _ in objects], np.int64),
        np.array([len(pixels) for _, pixels in objects], np.int64),
        _centres(chosen, instances.shape[1]),
        np.zeros(len(objects), bool),
    )


def _visible_objects(instances: NDArray, min_area: int) -> Iterator[tuple[int, NDArray[np.int64]]]:
    """Id and flat pixel indices of each object of at least ``min_area`` px, ids ascending."""
    flat = instances.ravel()
    order = np.argsort(flat, kind="stable")
    ids, starts, areas = np.unique(flat[order], return_index=True, return_counts=True)
    for instance, start, area in zip(ids, starts, areas, strict=True):
        if instance > 0 and area >= min_area:
            yield int(instance), order[start : start + area]


def _centres(pixels: NDArray[np.int64], width: int) -> NDArray[np.float32]:
    """Centres float32 (n, 2), xy px, of flat pixel indices (n,) of an image of so many columns."""
    return np.stack([pixels % width + 0.5, pixels // width + 0.5], 1).astype(np.float32)


def depth_inside(instances: NDArray) -> NDArray[np.float32]:
    """Distance (px) of each pixel to the nearest pixel of another label or to the image's edge; float32 (H, W)."""
    interior = np.zeros((instances.shape[0] + 2, instances.shape[1] + 2), np.uint8)
    inner = interior[1:-1, 1:-1]
    inner[:] = 1
    across = instances[:, 1:] != instances[:, :-1]
    down = instances[1:] != instances[:-1]
    inner[:, 1:][across] = 0
    inner[:, :-1][across] = 0
    inner[1:][down] = 0
    inner[:-1][down] = 0
    return cv2.distanceTransform(interior, cv2.DIST_L2, 3)[1:-1, 1:-1].astype(np.float32, copy=False)


def labels_at(instances: NDArray, points: NDArray[np.float32]) -> NDArray:
    """Label under each point (N, 2) px; points outside the image read the nearest pixel."""
    x = np.clip(points[:, 0].astype(np.int64), 0, instances.shape[1] - 1)
    y = np.clip(points[:, 1].astype(np.int64), 0, instances.shape[0] - 1)
    return instances[y, x]


def objectness_target(assignment: Assignment, instances: NDArray, stride: int) -> NDArray[np.float32]:
    """CenterNet-style target (arXiv 1904.07850) of the objectness map, float32 (H / stride, W / stride) in 0..1.

    A Gaussian around each assigned point, cut to the object's mask; exactly 1 in the cell that holds the point.
    """
    rows, cols = instances.shape[0] // stride, instances.shape[1] // stride
    cells = instances[stride // 2 :: stride, stride // 2 :: stride][:rows, :cols]
    xs, ys = (np.arange(cols) + 0.5) * stride, (np.arange(rows) + 0.5) * stride
    target = np.zeros((rows, cols), np.float32)
    for instance, area, (x, y) in zip(assignment.ids, assignment.areas, assignment.points, strict=True):
        sigma = max(0.75 * stride, float(area) ** 0.5 / 5)
        bump = np.exp(-((xs - x) ** 2) / (2 * sigma**2)) * np.exp(-((ys - y) ** 2) / (2 * sigma**2))[:, None]
        np.maximum(target, np.where(cells == instance, 0.99 * bump, 0), out=target)
    at = (assignment.points / stride).astype(np.int64)
    target[np.clip(at[:, 1], 0, rows - 1), np.clip(at[:, 0], 0, cols - 1)] = 1.0
    return target


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
            points.append(_centres(pixels[[random.integers(len(pixels))]], instances.shape[1])[0])
    return points, assignment.ids[order[:count]].tolist()


def sample_ambiguous(
    instances: NDArray, parts: NDArray, sampling: PromptSampling, random: np.random.Generator
) -> tuple[NDArray[np.float32], NDArray[np.int64], NDArray[np.int64]]:
    """Draw points as SAM was trained: each on a random visible pixel of a part or of a whole object, by halves.

    instances, parts: integer (H, W), where every part belongs to one instance. Returns points float32 (objects, 2) px,
    instance ids int64 (N,) and the id of the part that is the target, int64 (N,), 0 where the whole object is; parts
    below ``min_area`` visible px are no targets. Rows are ``NOT_ASKED`` where the frame has no object.
    """
    wholes = list(_visible_objects(instances, sampling.min_area))
    points, ids, part_ids = [np.zeros(2, np.float32)] * sampling.objects, [NOT_ASKED] * sampling.objects, []
    of_whole: dict[int, list[tuple[int, NDArray[np.int64]]]] = {instance: [] for instance, _ in wholes}
    for part, pixels in _visible_objects(parts, sampling.min_area):
        of_whole.get(int(instances.ravel()[pixels[0]]), []).append((part, pixels))
    order = [int(row) for _ in range(sampling.objects) for row in random.permutation(len(wholes))][: sampling.objects]
    for turn, row in enumerate(order):
        instance, pixels = wholes[row]
        part = 0
        if of_whole[instance] and random.random() < 0.5:
            part, pixels = of_whole[instance][random.integers(len(of_whole[instance]))]
        points[turn] = _centres(pixels[random.integers(len(pixels))][None], instances.shape[1])[0]
        ids[turn] = instance
        part_ids.append(part)
    part_ids += [0] * (sampling.objects - len(part_ids))
    return np.stack(points), np.array(ids, np.int64), np.array(part_ids, np.int64)
