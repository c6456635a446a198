"""Coordinate search: the few settings of a finished segmenter, chosen by trying values one setting at a time.

Thresholds of a model and parameters of the baseline are chosen with it. It asks for tens of evaluations where a full
grid asks for hundreds, at the risk of a local optimum.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass


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
