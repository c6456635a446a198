"""Objects of one frame cut out and pasted into another (Simple Copy-Paste, arXiv 2012.07177).

Pure functions of arrays and a random generator. What is pasted is on top, so it hides what lies below it.
"""

from collections.abc import Mapping

import cv2
import numpy as np
from numpy.typing import NDArray

MOST = 5
"""Objects pasted into an image at most."""
_LEAST_AREA = 200  # px
_LARGEST_SHARE = 0.15
_ZOOM = 0.4
"""Largest change of size, as natural logarithm."""
_EDGE_BLUR = 0.7
"""px, sigma; a hard edge would give away what is pasted."""
_RIM = 3
"""px around an object's box that are cut out with it, so that its edge is soft at the box's sides, too."""


def paste_objects(
    rgb: NDArray[np.uint8],
    maps: Mapping[str, NDArray[np.uint16]],
    donor_rgb: NDArray[np.uint8],
    donor_maps: Mapping[str, NDArray[np.uint16]],
    random: np.random.Generator,
) -> tuple[NDArray[np.uint8], dict[str, NDArray[np.uint16]], dict[int, int]]:
    """Paste one to ``MOST`` objects of a donor frame into a frame uint8 (H, W, 3), at random places and sizes.

    ``maps``: ``instances`` (H, W), perhaps ``parts`` and ``depth`` mm; ``donor_maps`` alike. Returns new arrays, where
    every pasted object and part has an id of its own and no depth, and the donor's id of each pasted instance id.
    """
    rgb, mixed = rgb.copy(), {name: labels.copy() for name, labels in maps.items()}
    donated: dict[int, int] = {}
    for donor_id in random.permutation(whole_objects(donor_maps["instances"]))[: int(random.integers(1, MOST + 1))]:
        cut, shape, parts = _cut_out(donor_rgb, donor_maps, int(donor_id), random)
        target, source = _overlap(shape.shape, rgb.shape, random)
        mask = shape[source]
        new_id = int(mixed["instances"].max()) + 1
        first_part = int(mixed["parts"].max()) + 1 if "parts" in mixed else 0
        if not mask.any() or max(new_id, first_part + int(parts.max())) > np.iinfo(np.uint16).max:
            continue
        alpha = cv2.GaussianBlur(mask.astype(np.float32), (0, 0), _EDGE_BLUR)[..., None]
        rgb[target] = np.rint(rgb[target] * (1 - alpha) + cut[source] * alpha).astype(np.uint8)
        mixed["instances"][target][mask] = new_id
        if "parts" in mixed:
            mixed["parts"][target][mask] = first_part + parts[source][mask]
        if "depth" in mixed:
            mixed["depth"][target][mask] = 0
        donated[new_id] = int(donor_id)
    return rgb, mixed, donated


def whole_objects(instances: NDArray[np.integer]) -> NDArray[np.int64]:
    """Ids int64 (N,) of what is worth pasting: neither tiny nor huge, and not cut by the image's border."""
    areas = np.bincount(instances.ravel())
    fits = (areas >= _LEAST_AREA) & (areas <= _LARGEST_SHARE * instances.size)
    fits[0] = False
    fits[np.concatenate([instances[0], instances[-1], instances[:, 0], instances[:, -1]])] = False
    return np.flatnonzero(fits)


def _cut_out(
    rgb: NDArray[np.uint8], maps: Mapping[str, NDArray[np.uint16]], instance: int, random: np.random.Generator
) -> tuple[NDArray[np.uint8], NDArray[np.bool_], NDArray[np.uint16]]:
    """The object's box and a rim, mirrored and enlarged at random: picture, shape and the donor's part ids, 0 without
    any.
    """
    shape = maps["instances"] == instance
    rows, cols = (np.flatnonzero(shape.any(axis)) for axis in (1, 0))
    box = slice(max(rows[0] - _RIM, 0), rows[-1] + 1 + _RIM), slice(max(cols[0] - _RIM, 0), cols[-1] + 1 + _RIM)
    zoom = float(np.exp(random.uniform(-_ZOOM, _ZOOM)))
    height, width = shape[box].shape
    size = max(1, round(width * zoom)), max(1, round(height * zoom))
    step = -1 if random.random() < 0.5 else 1
    parts = maps["parts"][box] if "parts" in maps else np.zeros((height, width), np.uint16)
    layers = (rgb[box], shape[box].astype(np.uint8), parts)
    ways = (cv2.INTER_LINEAR, cv2.INTER_NEAREST, cv2.INTER_NEAREST)
    cut = [cv2.resize(layer[:, ::step], size, interpolation=way) for layer, way in zip(layers, ways, strict=True)]
    return np.asarray(cut[0], np.uint8), cut[1] > 0, np.asarray(cut[2], np.uint16)


def _overlap(
    cut: tuple[int, ...], frame: tuple[int, ...], random: np.random.Generator
) -> tuple[tuple[slice, slice], tuple[slice, slice]]:
    """Where a cut-out (h, w) lands with its centre anywhere in a frame (H, W): the frame's part, and its own."""
    into, of = [], []
    for length, limit in zip(cut[:2], frame[:2], strict=True):
        start = int(random.integers(limit)) - length // 2
        first, last = max(start, 0), min(start + length, limit)
        into.append(slice(first, last))
        of.append(slice(first - start, last - start))
    return (into[0], into[1]), (of[0], of[1])
