"""The classical baseline that a model has to beat: colour segments of Felzenszwalb and Huttenlocher (IJCV 2004).

scikit-image cuts the image into segments of similar colour; segments that are too large or hold too much of the image's
rim are taken for wall, floor and ceiling and dropped, and what is left counts as objects. It runs wherever a
`saom_ros.segmenter.Segmenter` does and is scored by the same code.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace

import numpy as np
from numpy.typing import NDArray
from skimage.segmentation import felzenszwalb

from saom_ros.instances import Instances
from training.evaluation.frames import LabelledFrame
from training.evaluation.painted import instances_of_labels
from training.evaluation.search import SearchResult, choose_settings
from training.metrics import MIN_OBJECT_AREA, compact_labels


@dataclass(frozen=True)
class BaselineParameters:
    """Settings of the baseline for frames of 512 x 384.

    The defaults were chosen on 32 validation frames of rooms, seed 1, by
    `python -m training evaluate --data data/rooms-val --limit 32 --tune-baseline`.
    """

    scale: float = 500.0
    """Observation level: larger values make larger segments."""
    sigma: float = 0.5
    """Gaussian smoothing beforehand, in pixels."""
    min_size: int = 300
    """Segments with fewer pixels are merged into a neighbour."""
    max_area: float = 0.3
    """Largest share of the image that an object may cover; larger segments are background."""
    max_rim: float = 0.3
    """Largest share of the image's rim that an object may hold; segments with more are background."""


CANDIDATES: dict[str, tuple[float, ...]] = {
    "max_area": (0.05, 0.1, 0.2, 0.3, 0.5, 1.0),
    "max_rim": (0.02, 0.05, 0.1, 0.2, 0.3, 1.0),
    "scale": (100, 200, 300, 500, 800),
    "min_size": (75, 150, 300, 600),
    "sigma": (0.5, 0.8, 1.2),
}
"""What `tune` tries, in this order: what is background first, it is cheap and matters most."""


class FelzenszwalbBaseline:
    """Image in, instances out, like a Segmenter."""

    def __init__(self, parameters: BaselineParameters | None = None) -> None:
        self.parameters = parameters or BaselineParameters()

    def __call__(self, rgb: NDArray[np.uint8]) -> Instances:
        """Segment an RGB image uint8 (H, W, 3); ids rise from 1, classes are unknown, larger segments score higher."""
        return objects_of_segments(cut_segments(rgb, self.parameters), self.parameters)


def cut_segments(rgb: NDArray[np.uint8], parameters: BaselineParameters) -> NDArray[np.int32]:
    """Colour segments int32 (H, W) numbered from 1; every pixel belongs to one."""
    segments = felzenszwalb(rgb, scale=parameters.scale, sigma=parameters.sigma, min_size=int(parameters.min_size))
    return (segments + 1).astype(np.int32)


def objects_of_segments(segments: NDArray[np.int32], parameters: BaselineParameters) -> Instances:
    """What is left of the segments (H, W) without the background, as instances; larger ones score higher."""
    labels = drop_background(segments, parameters)
    areas = np.bincount(labels.ravel())[1:]
    return instances_of_labels(labels, np.sqrt(areas / labels.size))


def drop_background(segments: NDArray[np.int32], parameters: BaselineParameters) -> NDArray[np.int32]:
    """Set segments that look like wall, floor or ceiling to 0 and renumber the others from 1, (H, W)."""
    count = int(segments.max(initial=0)) + 1
    area = np.bincount(segments.ravel(), minlength=count) / segments.size
    rim = np.concatenate([segments[0], segments[-1], segments[1:-1, 0], segments[1:-1, -1]])
    rim_share = np.bincount(rim, minlength=count) / len(rim)
    background = (area > parameters.max_area) | (rim_share > parameters.max_rim)
    return compact_labels(np.where(background[segments], 0, segments))[0]


def tune(
    frames: Sequence[LabelledFrame],
    start: BaselineParameters | None = None,
    min_object_area: int = MIN_OBJECT_AREA,
    progress: Callable[[], object] = lambda: None,
) -> SearchResult:
    """Choose parameters on validation frames, see `choose_settings`; `BaselineParameters(**result.best)` are they.

    40 to 60 frames suffice, at some 0.4 s a frame for each of the roughly 20 segmentations that are tried.
    """
    segments: list[NDArray[np.int32]] = []
    segmented_with: BaselineParameters | None = None

    def answers(settings: dict[str, float]) -> Iterator[Instances]:
        nonlocal segments, segmented_with
        parameters = BaselineParameters(**settings)  # type: ignore[arg-type]
        # The background rules do not change the segments: while they are tuned, the costly part is done once.
        cut = replace(parameters, max_area=1.0, max_rim=1.0)
        if cut != segmented_with:
            segments = [cut_segments(frame.rgb, parameters) for frame in frames]
            segmented_with = cut
        return (objects_of_segments(cut_map, parameters) for cut_map in segments)

    return choose_settings(
        asdict(start or BaselineParameters()), CANDIDATES, answers, frames, min_object_area, progress
    )
