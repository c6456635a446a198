"""Which points are asked in training: the grid of everything mode and SAOM's nearest-neighbour assignment (arXiv
2403.10780).

An object's prompt starts at its pole of inaccessibility and is replaced by the nearest grid point *inside its visible
mask*, because that is the point that everything mode will really ask. Coordinates are input pixels, x to the right, y
down; the pixel in column c covers [c, c + 1).
"""

from dataclasses import dataclass

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


def assign_grid_points(instances: NDArray, grid: NDArray[np.float32], min_area: int = 1) -> Assignment:
    """Replace each object's prompt by the grid point that everything mode will use.

    instances: integer (H, W), 0 = background. grid: float32 (P, 2), xy px. Objects below ``min_area`` visible px are
    left out.
    """
    depth = depth_inside(instances)
    flat = instances.ravel()
    order = np.argsort(flat, kind="stable")
    ids, starts, areas = np.unique(flat[order], return_index=True, return_counts=True)
    kept = (ids > 0) & (areas >= min_area)
    under_grid = labels_at(instances, grid)

    points = np.zeros((int(kept.sum()), 2), np.float32)
    on_grid = np.zeros(len(points), bool)
    width = instances.shape[1]
    for row, (instance, start, area) in enumerate(zip(ids[kept], starts[kept], areas[kept], strict=True)):
        pixels = order[start : start + area]
        pole = pixels[depth.ravel()[pixels].argmax()]
        prior = np.array([pole % width + 0.5, pole // width + 0.5], np.float32)
        inside = np.flatnonzero(under_grid == instance)
        on_grid[row] = len(inside) > 0
        points[row] = grid[inside[((grid[inside] - prior) ** 2).sum(1).argmin()]] if len(inside) else prior
    return Assignment(ids[kept].astype(np.int64), areas[kept].astype(np.int64), points, on_grid)


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


@dataclass(frozen=True)
class PromptSampling:
    """How many points of each kind are asked of one training image."""

    objects: int = 18
    """Points on objects; half of them assigned grid points, half random visible pixels of the object."""
    background: int = 4
    """Grid points on background, trained to score 0."""
    own_peaks: int = 10
    """Points that the model's own objectness map would ask, so that scores learn what everything mode meets."""
    min_area: int = 48
    """Objects below this many visible input pixels are not asked."""


def sample_prompts(
    assignment: Assignment,
    instances: NDArray,
    grid: NDArray[np.float32],
    sampling: PromptSampling,
    random: np.random.Generator,
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Draw the points of one training image and the instance under each.

    Returns points float32 (objects + background, 2) px and instance ids int64 (N,), 0 for background; a frame with
    fewer objects repeats them with other pixels, one without background asks objects instead, and one without either
    asks its first grid point.
    """
    points: list[NDArray] = []
    ids: list[int] = []
    background = grid[labels_at(instances, grid) == 0]
    wanted_objects = sampling.objects if len(assignment.ids) else 0
    if not len(background):
        wanted_objects = sampling.objects + sampling.background if len(assignment.ids) else 0
    order: NDArray = np.zeros(0, np.int64)
    while len(order) < wanted_objects:
        order = np.concatenate([order, random.permutation(len(assignment.ids))])
    flat = instances.ravel()
    width = instances.shape[1]
    for turn, row in enumerate(order[:wanted_objects]):
        if turn < len(assignment.ids) and random.random() < 0.5:
            points.append(assignment.points[row])
        else:
            pixels = np.flatnonzero(flat == assignment.ids[row])
            pixel = pixels[random.integers(len(pixels))]
            points.append(np.array([pixel % width + 0.5, pixel // width + 0.5]))
        ids.append(int(assignment.ids[row]))
    while len(points) < sampling.objects + sampling.background:
        pool = background if len(background) else grid[:1]
        points.append(pool[random.integers(len(pool))])
        ids.append(0)
    return np.stack(points).astype(np.float32), np.array(ids, np.int64)
