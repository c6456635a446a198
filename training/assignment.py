"""SAOM's nearest-neighbour assignment of objects to the grid points of everything mode (arXiv 2403.10780).

An object's prompt starts at its pole of inaccessibility and is replaced by the nearest grid point *inside its visible
mask*, because that is the point that everything mode will really ask. Coordinates are input pixels, x to the right, y
down; the pixel in column c covers [c, c + 1).
"""

from collections.abc import Callable, Iterator
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
    objects = list(visible_objects(instances, min_area))
    chosen = np.array([choose(pixels) for _, pixels in objects], np.int64)
    return Assignment(
        np.array([instance for instance, _ in objects], np.int64),
        np.array([len(pixels) for _, pixels in objects], np.int64),
        pixel_centres(chosen, instances.shape[1]),
        np.zeros(len(objects), bool),
    )


def visible_objects(instances: NDArray, min_area: int) -> Iterator[tuple[int, NDArray[np.int64]]]:
    """Id and flat pixel indices of each object of at least ``min_area`` px, ids ascending."""
    flat = instances.ravel()
    order = np.argsort(flat, kind="stable")
    ids, starts, areas = np.unique(flat[order], return_index=True, return_counts=True)
    for instance, start, area in zip(ids, starts, areas, strict=True):
        if instance > 0 and area >= min_area:
            yield int(instance), order[start : start + area]


def pixel_centres(pixels: NDArray[np.int64], width: int) -> NDArray[np.float32]:
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
