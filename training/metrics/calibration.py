"""Whether scores mean what they say: reliability curve and expected calibration error (Guo et al. 2017).

A score promises a mask's IoU. It is held against two things: how good the mask is (its best IoU with an object, what
the score head learns), and whether it is right at all (IoU of 0.5 or more, what a threshold on the score asks for).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from training.metrics.frame_scores import FrameScores
from training.metrics.label_maps import FloatArray, IntArray

BINS = 15
"""Bins of equal width between score 0 and 1, as in the paper."""
CORRECT_IOU = 0.5


@dataclass(frozen=True)
class Reliability:
    """Predictions of exhaustively annotated frames, gathered by score; B bins."""

    counts: IntArray
    """(B,) predictions."""
    scores: FloatArray
    """(B,) their mean score, 0 to 1; NaN in an empty bin."""
    correct: FloatArray
    """(B,) share of them with an IoU of CORRECT_IOU or more."""
    iou: FloatArray
    """(B,) their mean best IoU."""

    def error(self, reached: FloatArray) -> float:
        """Expected calibration error in percent: mean distance of score and what was `reached`, weighted by count.

        NaN without predictions: who says nothing is not calibrated.
        """
        used = self.counts > 0
        if not used.any():
            return float("nan")
        return 100 * float(np.average(np.abs(self.scores - reached)[used], weights=self.counts[used]))


def reliability(frames: Sequence[FrameScores], bins: int = BINS) -> Reliability:
    """Gather the predictions of all frames that are annotated exhaustively; a bin includes its upper edge."""
    complete = [frame for frame in frames if frame.exhaustive]
    scores = np.concatenate([np.zeros(0), *(frame.prediction_scores for frame in complete)])
    iou = np.concatenate([np.zeros(0), *(frame.prediction_best_iou for frame in complete)])
    rank = np.clip(np.ceil(scores * bins).astype(np.int64) - 1, 0, bins - 1)
    counts = np.bincount(rank, minlength=bins)

    def mean(values: FloatArray) -> FloatArray:
        total = np.bincount(rank, weights=values, minlength=bins)
        return np.where(counts > 0, total / np.maximum(counts, 1), np.nan)

    return Reliability(counts, mean(scores), mean((iou >= CORRECT_IOU).astype(float)), mean(iou))
