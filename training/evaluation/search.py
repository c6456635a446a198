"""Settings of a finished system chosen on annotated frames, by trying values one setting at a time.

Thresholds of a model, those of SAM's own generator and parameters of the baseline are chosen with it. Coordinate search
asks for tens of evaluations where a full grid asks for hundreds, at the risk of a local optimum.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from saom_ros.instances import Instances
from training import metrics
from training.evaluation.frames import LabelledFrame
from training.evaluation.run import score_instances


@dataclass(frozen=True)
class SearchResult:
    """Outcome of a coordinate search."""

    best: dict[str, float]
    """The values of the best evaluation, by setting."""
    value: float
    """What they reached."""
    start_value: float
    """What the start reached."""
    trials: list[tuple[dict[str, float], float]]
    """Every evaluation, in order."""


def choose_settings(
    start: Mapping[str, float],
    candidates: Mapping[str, Sequence[float]],
    answers: Callable[[dict[str, float]], Iterable[Instances]],
    frames: Sequence[LabelledFrame],
    min_object_area: int = metrics.MIN_OBJECT_AREA,
    progress: Callable[[], object] = lambda: None,
) -> SearchResult:
    """Choose settings by coordinate search for the largest `metrics.objective`.

    answers: gives the instances of each frame, in order, for a choice of settings. progress: called after each
    evaluation of all frames.

    Raises:
        ValueError: the frames hold no object that counts, or their annotation is partial.
    """
    objects = [metrics.counted_objects(frame.instances, frame.ignore, min_object_area) for frame in frames]

    def evaluate(settings: dict[str, float]) -> float:
        answered = zip(frames, objects, answers(settings), strict=True)
        value = metrics.objective([score_instances(*one) for one in answered])
        progress()
        return value

    return coordinate_search(start, candidates, evaluate)


def coordinate_search(
    start: Mapping[str, float],
    candidates: Mapping[str, Sequence[float]],
    evaluate: Callable[[dict[str, float]], float],
    passes: int = 2,
) -> SearchResult:
    """Maximise `evaluate` over the candidates of one setting after the other, until a whole pass brings nothing.

    A value replaces the current one only when it is strictly better, so that settings without effect stay where they
    are. No setting is evaluated twice.
    """
    seen: dict[tuple[float, ...], float] = {}
    trials: list[tuple[dict[str, float], float]] = []

    def value_of(settings: dict[str, float]) -> float:
        key = tuple(settings.values())
        if key not in seen:
            seen[key] = evaluate(dict(settings))
            trials.append((dict(settings), seen[key]))
        return seen[key]

    best = dict(start)
    best_value = start_value = value_of(best)
    for _ in range(passes):
        before = best_value
        for name, values in candidates.items():
            for candidate in values:
                trial = {**best, name: candidate}
                if value_of(trial) > best_value:
                    best, best_value = trial, value_of(trial)
        if best_value == before:
            break
    return SearchResult(best, best_value, start_value, trials)
