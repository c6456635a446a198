"""A model's thresholds, chosen on validation frames, and which frames may be chosen on."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, replace

from saom_ros.errors import SaomError
from saom_ros.instances import Instances
from saom_ros.segmenter import Segmenter
from training import metrics
from training.evaluation.frames import FrameSet, LabelledFrame
from training.evaluation.remembering import RememberingRuntime
from training.evaluation.search import SearchResult, choose_settings
from training.export import TorchRuntime

THRESHOLD_CANDIDATES: dict[str, tuple[float, ...]] = {
    "score": (0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5, 0.6),
    "objectness": (0.02, 0.05, 0.1, 0.15, 0.2, 0.3),
    "overlap": (0.3, 0.4, 0.5, 0.6, 0.7),
}
"""What `choose_thresholds` tries."""

CHOICE_FRAMES = 100
"""Frames that settings are chosen on unless the user says otherwise; more change little and take long."""


def choose_thresholds(
    segmenter: Segmenter,
    frames: Sequence[LabelledFrame],
    candidates: Mapping[str, Sequence[float]] = THRESHOLD_CANDIDATES,
    min_object_area: int = metrics.MIN_OBJECT_AREA,
    progress: Callable[[], object] = lambda: None,
) -> SearchResult:
    """Choose score, objectness and overlap threshold, see `choose_settings`.

    Leaves the chosen thresholds set on the segmenter; `result.best` holds them by name. Takes about 20 evaluations of
    the frames; about 100 frames suffice.
    """
    runtime = segmenter.runtime
    if isinstance(runtime, TorchRuntime):
        segmenter.runtime = RememberingRuntime(runtime)

    def answers(settings: dict[str, float]) -> Iterator[Instances]:
        segmenter.thresholds = replace(segmenter.thresholds, **settings)
        return (segmenter(frame.rgb) for frame in frames)

    result = choose_settings(asdict(segmenter.thresholds), candidates, answers, frames, min_object_area, progress)
    segmenter.thresholds, segmenter.runtime = replace(segmenter.thresholds, **result.best), runtime
    return result


def validation_frames(frames: FrameSet) -> list[LabelledFrame]:
    """The frames that settings are chosen on, in memory.

    Raises:
        SaomError: one is of the test split, which must stay unseen, or annotated in part, where extra masks are free.
    """
    found = []
    for frame in frames:
        if frame.split == "test":
            raise SaomError(
                f"{frames.name} holds frames of the test split ({frame.key}); "
                "settings are chosen on validation frames: collect some with --split val"
            )
        if not frame.exhaustive:
            raise SaomError(
                f"{frames.name}: objects of {frame.key} are annotated in part only; "
                "settings are chosen on frames where every object is annotated"
            )
        found.append(frame)
    return found
