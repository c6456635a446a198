"""ByteTrack (Zhang et al. 2022, arXiv 2110.06864): the box tracker that `python -m training track` compares ours with.

Boxes only: a Kalman filter with constant velocity predicts each box; boxes with a high score are matched first, then
those with a low score to the tracks that are left. Constants are those of the authors' code unless they are arguments.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from saom_ros.instances import Instances

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.intp]

POSITION_NOISE, VELOCITY_NOISE = 1 / 20, 1 / 160
"""Standard deviations as shares of the box height."""
MOTION = np.eye(8) + np.eye(8, k=4)
"""One frame ahead. The state is x and y of the centre, aspect ratio and height, then their velocities."""


class ByteTracker:
    """Gives boxes lasting ids; shows the objects whose track is confirmed in the frame, as the authors do."""

    def __init__(self, high_score: float = 0.6, low_score: float = 0.1, memory_frames: int = 30) -> None:
        """Start without objects.

        Args:
            high_score: boxes above are matched first; a track begins 0.1 higher.
            low_score: boxes below are left out.
            memory_frames: frames for which a lost track is kept.
        """
        self._high_score, self._low_score, self._memory_frames = high_score, low_score, memory_frames
        self._tracks: list[_Track] = []
        self._frame = 0
        self._begun = 0

    def update(self, instances: Instances, stamp: int | None = None) -> Instances:
        """The objects with a confirmed track under its id. ByteTrack counts frames; the stamp is not used."""
        self._frame += 1
        for track in self._tracks:
            track.predict()
        scores = instances.scores
        high = np.flatnonzero(scores > self._high_score)
        low = np.flatnonzero((scores > self._low_score) & (scores <= self._high_score))
        confirmed = [track for track in self._tracks if track.confirmed]
        tentative = [track for track in self._tracks if not track.confirmed]
        lost, high = self._match(confirmed, instances, high, least_iou=0.2)
        just_lost = [track for track in lost if track.last_frame == self._frame - 1]
        self._match(just_lost, instances, low, least_iou=0.5)
        refuted, high = self._match(tentative, instances, high, least_iou=0.3)
        self._tracks = [
            track
            for track in self._tracks
            if track not in refuted and self._frame - track.last_frame <= self._memory_frames
        ]
        self._begin(instances, high[scores[high] >= self._high_score + 0.1])
        return self._shown(instances)

    def _match(
        self, tracks: Sequence[_Track], instances: Instances, rows: IntArray, least_iou: float
    ) -> tuple[list[_Track], IntArray]:
        """Assign rows to tracks and correct these; returns the tracks and the rows that are left."""
        if not len(tracks) or not len(rows):
            return list(tracks), rows
        iou = box_iou(np.stack([track.box() for track in tracks]), instances.boxes[rows].astype(float))
        pairs = [
            (a, b) for a, b in zip(*linear_sum_assignment(iou, maximize=True), strict=True) if iou[a, b] > least_iou
        ]
        for a, b in pairs:
            tracks[a].correct(instances.boxes[rows[b]].astype(float), int(rows[b]), self._frame)
        matched = {a for a, _ in pairs}
        return [track for a, track in enumerate(tracks) if a not in matched], np.delete(rows, [b for _, b in pairs])

    def _begin(self, instances: Instances, rows: IntArray) -> None:
        for row in rows.tolist():
            self._begun += 1
            confirmed = self._frame == 1  # later tracks wait for a second sight
            self._tracks.append(_Track.at(self._begun, instances.boxes[row].astype(float), row, self._frame, confirmed))

    def _shown(self, instances: Instances) -> Instances:
        shown = [track for track in self._tracks if track.confirmed and track.last_frame == self._frame]
        shown.sort(key=lambda track: track.row)
        rows = np.array([track.row for track in shown], np.intp)
        ids = np.array([track.id for track in shown], np.int32)
        new_id = np.zeros(65536, np.uint16)
        new_id[instances.ids[rows]] = ids
        return Instances(
            label_map=new_id[instances.label_map],
            ids=ids,
            scores=instances.scores[rows],
            boxes=instances.boxes[rows],
            class_ids=instances.class_ids[rows],
            areas=instances.areas[rows],
        )


@dataclass(eq=False)
class _Track:
    """One object under a Kalman filter."""

    id: int
    mean: FloatArray
    """(8,) see `MOTION`."""
    covariance: FloatArray
    """(8, 8)"""
    row: int
    """Row of the instances that it was matched to last."""
    last_frame: int
    confirmed: bool

    @classmethod
    def at(cls, number: int, box: FloatArray, row: int, frame: int, confirmed: bool) -> _Track:
        measured = _centre_aspect_height(box)
        mean = np.concatenate([measured, np.zeros(4)])
        return cls(number, mean, np.diag(_noise(mean, 2, 10, 1e-2, 1e-5)), row, frame, confirmed)

    def predict(self) -> None:
        """One frame ahead."""
        noise = _noise(self.mean, 1, 1, 1e-2, 1e-5)
        self.mean = MOTION @ self.mean
        self.covariance = MOTION @ self.covariance @ MOTION.T + np.diag(noise)

    def correct(self, box: FloatArray, row: int, frame: int) -> None:
        """Found again at `box` xyxy."""
        innovation = self.covariance[:4, :4] + np.diag(_noise(self.mean, 1, 1, 1e-1, 0)[:4])
        gain = np.linalg.solve(innovation, self.covariance[:4]).T
        self.mean = self.mean + gain @ (_centre_aspect_height(box) - self.mean[:4])
        self.covariance = self.covariance - gain @ innovation @ gain.T
        self.row, self.last_frame, self.confirmed = row, frame, True

    def box(self) -> FloatArray:
        """xyxy in pixels."""
        x, y, aspect, height = self.mean[:4]
        return np.array([x - aspect * height / 2, y - height / 2, x + aspect * height / 2, y + height / 2])


def box_iou(a: FloatArray, b: FloatArray) -> FloatArray:
    """IoU `(N, M)` of boxes `(N, 4)` and `(M, 4)` xyxy."""
    low, high = np.maximum(a[:, None, :2], b[None, :, :2]), np.minimum(a[:, None, 2:], b[None, :, 2:])
    overlap = np.clip(high - low, 0, None).prod(axis=-1)
    area_a, area_b = (a[:, 2:] - a[:, :2]).prod(axis=-1), (b[:, 2:] - b[:, :2]).prod(axis=-1)
    return overlap / np.maximum(area_a[:, None] + area_b - overlap, 1e-9)


def _centre_aspect_height(box: FloatArray) -> FloatArray:
    width, height = box[2] - box[0], box[3] - box[1]
    return np.array([box[0] + width / 2, box[1] + height / 2, width / height, height])


def _noise(mean: FloatArray, position: float, velocity: float, aspect: float, aspect_velocity: float) -> FloatArray:
    """Variances (8,): multiples of the two noises for position and velocity, fixed deviations for the aspect ratio."""
    p, v = position * POSITION_NOISE * mean[3], velocity * VELOCITY_NOISE * mean[3]
    return np.array([p, p, aspect, p, v, v, aspect_velocity, v]) ** 2
