"""The segmenter: an RGB image in, whole objects out, on whichever runtime is there.

It owns what lies around the graph: checking the image, letterboxing, the prompts of everything mode or the user's own,
thresholds that may change while running, and painting the outputs at the image's size.
"""

from __future__ import annotations

import functools
import os
import time
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from saom_ros.bundle import DEFAULT_BUNDLE, BundleConfig, Thresholds, load_config
from saom_ros.errors import ImageError, SaomError
from saom_ros.instances import Instances, paint
from saom_ros.letterbox import Letterbox, grid_points, letterbox_image
from saom_ros.runtimes import AUTO, Runtime, create
from saom_ros.runtimes.base import check_arrays, graph_outputs

DEFAULT_MIN_AREA = 32
"""Pixels at image size; smaller specks are seldom something to grasp."""

MAX_PIXELS = 1 << 26
"""Largest image, 67 megapixels: beyond it painting would take gigabytes."""

MAX_SIDE = 1 << 16
"""Longest side in px; painting holds tables of the side's length."""

TAKE_EVERY_POINT = -1.0
"""Value of `objectness_threshold` that tells the graph to prompt every valid point (prompted mode)."""

UNUSED_POINT = -1.0


class Segmenter:
    """Segments RGB images into whole objects with the model of one bundle.

    >>> segmenter = Segmenter.load("path/to/bundle")        # doctest: +SKIP
    >>> instances = segmenter(rgb)                          # doctest: +SKIP

    Calls from several threads must be serialised by the caller.
    """

    def __init__(self, config: BundleConfig, runtime: Runtime) -> None:
        self.config = config
        self.runtime = runtime
        self.thresholds: Thresholds = config.thresholds
        """May be replaced at any time; the next call uses it."""
        self.min_area = DEFAULT_MIN_AREA
        self.inference_seconds = 0.0
        """What the runtime took of the latest call."""
        self._outputs = graph_outputs(config)

    @classmethod
    def load(
        cls,
        bundle: Path | str | None = None,
        runtime: str = AUTO,
        threads: int = 0,
        engines: Path | None = None,
    ) -> Segmenter:
        """Open a model bundle.

        Args:
            bundle: folder of the bundle; None = the one that ships with the package.
            runtime: `auto` or a name in `saom_ros.runtimes.RUNTIMES`.
            threads: CPU threads for inference, 0 = the library's default.
            engines: folder of TensorRT engines; None = the user's cache.

        Raises:
            BundleError: the bundle is missing, damaged or does not fit.
            SaomError: the runtime is unknown or not installed.
        """
        folder = bundle_folder(bundle)
        config = load_config(folder)
        return cls(config, create(folder, config, runtime, threads, engines))

    @property
    def min_area(self) -> int:
        """Smallest object in pixels at image size. May be changed at any time."""
        return self._min_area

    @min_area.setter
    def min_area(self, value: int) -> None:
        if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < 1:
            raise SaomError(f"min_area is {value!r}; it must be an integer of at least 1 (pixels)")
        self._min_area = int(value)

    def __call__(self, rgb: NDArray[np.uint8], points: ArrayLike | None = None) -> Instances:
        """Segment one image.

        Args:
            rgb: uint8 `(H, W, 3)`, RGB.
            points: None for everything mode; else float `(N, 2)` x y in image pixels (the centre of the top-left pixel
                is 0.5, 0.5): only the objects under these points are looked for, whatever their objectness.

        Raises:
            ImageError: wrong dtype, shape or size, or points that are too many or outside the image.
        """
        check_image(rgb)
        box = Letterbox.fit(rgb.shape[0], rgb.shape[1], self.config.input.height, self.config.input.width)
        thresholds = self.thresholds
        if points is None:
            prompts, objectness = _grid(self.config.grid.rows, self.config.grid.cols, box), thresholds.objectness
        else:
            prompts, objectness = self._user_points(points, box), TAKE_EVERY_POINT
        inputs: dict[str, NDArray] = {
            "image": letterbox_image(rgb, box)[None],
            "points": prompts,
            "score_threshold": np.array([thresholds.score], np.float32),
            "objectness_threshold": np.array([objectness], np.float32),
            "overlap_threshold": np.array([thresholds.overlap], np.float32),
        }
        start = time.perf_counter()
        outputs = self.runtime.run(inputs)
        self.inference_seconds = time.perf_counter() - start
        check_arrays(self._outputs, outputs)
        masks, scores, boxes, classes = (outputs[name] for name in ("masks", "scores", "boxes", "class_ids"))
        return paint(masks, scores, boxes, classes, box, self.min_area)

    def _user_points(self, points: ArrayLike, box: Letterbox) -> NDArray[np.float32]:
        """The user's points as the graph's `points` input; rows beyond them are marked unused."""
        try:
            xy = np.asarray(points, dtype=np.float64)
        except (TypeError, ValueError):
            raise ImageError(f"points are {points!r:.80}; expected numbers of shape (N, 2)") from None
        if xy.ndim != 2 or xy.shape[1] != 2:
            raise ImageError(f"points have shape {xy.shape}; expected (N, 2), x y in image pixels")
        if len(xy) > self.config.max_prompts:
            raise ImageError(f"{len(xy)} points; this model takes at most {self.config.max_prompts} in one call")
        outside = ~((xy >= 0) & (xy < (box.image_width, box.image_height))).all(axis=1)  # NaN is outside, too
        if outside.any():
            x, y = xy[outside][0]
            raise ImageError(
                f"point ({x:g}, {y:g}) lies outside the image of {box.image_width}x{box.image_height} px; "
                "give x y in pixels of this image"
            )
        prompts = np.full((self.config.num_points, 2), UNUSED_POINT, np.float32)
        prompts[: len(xy)] = box.to_input(xy)
        return prompts


def bundle_folder(bundle: Path | str | None) -> Path:
    """Where a bundle lies; None = the one that ships with the package."""
    return DEFAULT_BUNDLE if bundle is None else Path(os.path.expanduser(bundle))


@functools.lru_cache(maxsize=16)
def _grid(rows: int, cols: int, box: Letterbox) -> NDArray[np.float32]:
    """The grid's points, the same for all images of a camera; not to be written to."""
    return grid_points(rows, cols, box)


def check_image(rgb: NDArray[np.uint8]) -> None:
    """Raise `ImageError` unless `rgb` is a uint8 array `(H, W, 3)` of a size that can be segmented."""
    if not isinstance(rgb, np.ndarray):
        raise ImageError(f"image is a {type(rgb).__name__}; expected a numpy array, uint8 (H, W, 3) RGB")
    if rgb.ndim != 3 or rgb.shape[2] != 3:
        raise ImageError(f"image has shape {rgb.shape}; expected (H, W, 3) RGB")
    if rgb.dtype != np.uint8:
        raise ImageError(f"image has dtype {rgb.dtype}; expected uint8, values 0..255")
    height, width = rgb.shape[:2]
    if height < 1 or width < 1:
        raise ImageError(f"image is empty ({width}x{height} px); expected at least 1x1")
    if height * width > MAX_PIXELS:
        raise ImageError(f"image of {width}x{height} px is above the limit of {MAX_PIXELS} pixels; scale it down")
    if max(height, width) > MAX_SIDE:
        raise ImageError(f"image of {width}x{height} px has a side above the limit of {MAX_SIDE} px; cut it in pieces")
