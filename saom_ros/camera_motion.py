"""How the picture moved from one frame to the next because the camera did, told from the objects themselves.

An affine map of the picture: a camera that turns shifts all objects alike, one that travels shifts near objects, which
stand low in the picture, by more than those far away. No image features are needed.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]

MIN_OBJECTS = 3
"""Fewer objects may all have been moved by hand: they tell nothing of the camera."""

STIFFNESS = 0.05
"""Ridge on all but the translation: how many objects it takes to believe in more than a common shift."""

SMALLEST_SPREAD = 0.002
"""Displacements that differ by less than this share of the image width agree (1 px at 480 px)."""

ROUNDS = 3


def camera_motion(before: FloatArray, after: FloatArray, size: tuple[int, int], at: FloatArray) -> FloatArray:
    """Where the camera's motion takes the points `at`, as displacements float64 `(M, 2)` x y in px.

    Fitted by least squares, each object reweighted by its residual (Cauchy weights, Holland and Welsch 1977), so that
    objects that move by themselves or are matched wrongly count little.

    Args:
        before, after: float64 `(N, 2)` x y in px, centres of the same objects in two frames; no motion below N = 3.
        size: width and height of the image in px.
        at: float64 `(M, 2)` x y in px in the earlier frame.
    """
    if len(before) < MIN_OBJECTS:
        return np.zeros_like(at)
    terms, moved = _terms(before, size), after - before
    ridge = STIFFNESS * np.diag([0.0, 1.0, 1.0])
    affine = np.zeros((3, 2))
    affine[0] = np.sort(moved, axis=0)[len(moved) // 2]  # np.median takes longer than all the rest
    for _ in range(ROUNDS):
        squares = ((moved - terms @ affine) ** 2).sum(axis=1)
        spread = max(float(np.sort(squares)[len(squares) // 2]), (SMALLEST_SPREAD * size[0]) ** 2)
        weighted = terms.T / (1 + squares / spread)
        affine = np.linalg.solve(weighted @ terms + ridge, weighted @ moved)
    return _terms(at, size) @ affine


def _terms(points: FloatArray, size: tuple[int, int]) -> FloatArray:
    """`(N, 3)`: one, x and y, in halves of the image width from its middle."""
    middle = np.array(size) / 2
    return np.column_stack([np.ones(len(points)), (points - middle) / middle[0]])
