"""Ids that last: the same object keeps its id from frame to frame, also when it is hidden for a moment.

Objects are matched by how much their masks overlap those last seen (mask IoU, Hungarian assignment). Time is that of
the image stamps, so a tracker does the same live, from a bag and in a test. One tracker serves one camera.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from saom_ros.errors import SaomError
from saom_ros.instances import MAX_INSTANCES, Instances

MIN_IOU = 0.1
"""Smallest mask IoU at which two masks may be the same object."""

CUT_OBJECTS = 4
"""A scene cut is told from this many objects on, both remembered and seen: fewer may all have been carried away."""

CUT_SHARE = 0.2
"""Less than this share of the objects matched is a scene cut."""

SAMPLED_PIXELS = 57_600
"""Masks are compared on about this many pixels of the image: every fourth row and column of 1280 x 720."""

UNSTAMPED_PERIOD = 33_333_333
"""Time in nanoseconds from one frame to the next where one of them has no stamp: 30 Hz."""


class Tracker:
    """Gives the objects of one camera lasting ids.

    >>> tracker = Tracker()                                             # doctest: +SKIP
    >>> instances = tracker.update(segmenter(rgb), stamp_nanoseconds)   # doctest: +SKIP

    Ids count up from 1; after 65535 the id unseen for longest is taken, never one in use or remembered.

    All objects are forgotten when the stamps run backwards or leap ahead, when the image size changes and at a scene
    cut; `reset_reason` says so. Ids go on counting, so that nobody takes a new object for an old one.
    """

    def __init__(self, memory: float = 1.0, max_gap: float = 5.0) -> None:
        """Start without objects.

        Args:
            memory: seconds for which an object that is no longer seen is remembered, at the place where it was seen
                last; back within that time, it has its id again. 0 = objects of the latest frame only.
            max_gap: seconds; a longer time between two frames forgets everything.

        Raises:
            SaomError: a time is negative or not finite.
        """
        self._memory = _nanoseconds("memory", memory)
        self._max_gap = _nanoseconds("max_gap", max_gap)
        self._free_ids = deque(range(1, MAX_INSTANCES + 1))  # the id unseen for longest comes first
        self._tracks: list[_Track] = []
        self._shape: tuple[int, ...] = ()
        self._stamp: int | None = None
        self._clock = 0  # nanoseconds, summed from frame to frame: unstamped frames count too
        self.reset_reason: str | None = None
        """Why the latest `update` forgot all objects; None where it did not."""

    def update(self, instances: Instances, stamp: int | None) -> Instances:
        """The same objects and pixels with lasting ids; rows keep their order.

        Args:
            instances: objects of one image; ids as in the label map, distinct.
            stamp: when the image was taken in nanoseconds; None or 0 = unknown, then the frame counts as taken 1/30 s
                after the one before it.
        """
        self.reset_reason = self._advance(stamp or None, instances.label_map.shape)
        seen = _sampled_masks(instances)
        track_of = self._match(seen)
        if self._is_scene_cut(track_of):
            found = np.count_nonzero(track_of >= 0)
            self.reset_reason = f"scene cut: {found} of {len(seen)} objects seen before"
            self._forget(self._tracks)
            track_of[:] = -1
        ids = self._remember(seen, track_of)
        return replace(instances, label_map=_relabelled(instances.label_map, instances.ids, ids), ids=ids)

    def reset(self) -> None:
        """Forget all objects and the time; the next objects get new ids."""
        self._forget(self._tracks)
        self._shape, self._stamp = (), None

    def _advance(self, stamp: int | None, shape: tuple[int, ...]) -> str | None:
        """Move the clock to the new frame and forget what is too old; says why where that is everything."""
        elapsed = UNSTAMPED_PERIOD if stamp is None or self._stamp is None else stamp - self._stamp
        reason = None
        if self._shape not in ((), shape):
            reason = f"image size changed from {_size(self._shape)} to {_size(shape)}"
        elif elapsed < 0:
            reason = f"stamps went back by {-elapsed / 1e9:.3f} s"
        elif elapsed > self._max_gap:
            reason = f"{elapsed / 1e9:.3f} s between two frames"
        latest = self._clock
        self._clock += max(elapsed, 0)
        self._shape, self._stamp = shape, stamp
        self._forget(
            [t for t in self._tracks if reason or (t.last_seen < latest and self._clock - t.last_seen > self._memory)]
        )
        return reason

    def _match(self, seen: Sequence[_Mask]) -> NDArray[np.intp]:
        """Index of the track of each object, -1 = none."""
        track_of = np.full(len(seen), -1, np.intp)
        if len(seen) and len(self._tracks):
            iou = _mask_iou([track.mask for track in self._tracks], seen)
            # An object that falls in two pieces for a frame must not come back under the id of the piece: what has been
            # seen more often goes first where overlaps are alike.
            frames = np.array([track.frames for track in self._tracks])
            tracks, objects = linear_sum_assignment(iou * (frames / (frames + 1))[:, None], maximize=True)
            likely = iou[tracks, objects] >= MIN_IOU
            track_of[objects[likely]] = tracks[likely]
        return track_of

    def _is_scene_cut(self, track_of: NDArray[np.intp]) -> bool:
        possible = min(len(self._tracks), len(track_of))
        return possible >= CUT_OBJECTS and int(np.count_nonzero(track_of >= 0)) < CUT_SHARE * possible

    def _remember(self, seen: Sequence[_Mask], track_of: NDArray[np.intp]) -> NDArray[np.int32]:
        """Move the matched tracks to the new frame and begin one for each other object; returns the objects' ids."""
        ids = np.zeros(len(seen), np.int32)
        for row in np.flatnonzero(track_of >= 0).tolist():
            track = self._tracks[track_of[row]]
            track.mask, track.last_seen, track.frames = seen[row], self._clock, track.frames + 1
            ids[row] = track.id
        new = np.flatnonzero(track_of < 0).tolist()
        if len(new) > len(self._free_ids):
            hidden = sorted((t for t in self._tracks if t.id not in ids), key=lambda t: t.last_seen)
            self._forget(hidden[: len(new) - len(self._free_ids)])
        for row in new:
            track = _Track(self._free_ids.popleft(), seen[row], self._clock)
            self._tracks.append(track)
            ids[row] = track.id
        return ids

    def _forget(self, tracks: Collection[_Track]) -> None:
        """Give the ids of these tracks back, the one unseen for longest first."""
        if tracks:
            self._free_ids.extend(track.id for track in sorted(tracks, key=lambda track: track.last_seen))
            gone = {track.id for track in tracks}
            self._tracks = [track for track in self._tracks if track.id not in gone]


@dataclass
class _Track:
    """One object and where it was seen last."""

    id: int
    mask: _Mask
    last_seen: int
    """Clock in nanoseconds."""
    frames: int = 1
    """In how many frames it was seen."""


_Mask = NDArray[np.intp]
"""Flat indices `(K,)` of an object's pixels in the sampled label map."""


def _sampled_masks(instances: Instances) -> list[_Mask]:
    """The masks of all objects on every n-th row and column, in the order of `ids`."""
    step = math.ceil(math.sqrt(instances.label_map.size / SAMPLED_PIXELS))
    labels = instances.label_map[step // 2 :: step, step // 2 :: step].ravel()
    pixels = np.flatnonzero(labels)
    labels = labels[pixels]
    order = np.argsort(labels, kind="stable")  # on uint16 a radix sort: linear
    pixels, labels = pixels[order], labels[order]
    ids = instances.ids.astype(np.uint16)
    starts, ends = np.searchsorted(labels, ids, "left"), np.searchsorted(labels, ids, "right")
    return [pixels[start:end] for start, end in zip(starts.tolist(), ends.tolist(), strict=True)]


def _relabelled(label_map: NDArray[np.uint16], old: NDArray[np.int32], new: NDArray[np.int32]) -> NDArray[np.uint16]:
    """The label map with each id of `old` replaced by that of `new`."""
    if old.max(initial=0) < 256:  # as painted: OpenCV's table of bytes takes a third of the time
        table = np.zeros(256, np.uint16)
        table[old] = new
        return np.asarray(cv2.LUT(label_map.astype(np.uint8), table), np.uint16)
    table = np.zeros(MAX_INSTANCES + 1, np.uint16)
    table[old] = new
    return np.take(table, label_map)


def _mask_iou(a: Sequence[_Mask], b: Sequence[_Mask]) -> NDArray[np.float64]:
    """IoU `(len(a), len(b))` of masks; those of `b` do not overlap each other. All overlaps come from one count."""
    area_a, area_b = np.array([len(mask) for mask in a]), np.array([len(mask) for mask in b])
    pixels_a, pixels_b = np.concatenate(a), np.concatenate(b)
    column = np.zeros(max(pixels_a.max(initial=0), pixels_b.max(initial=0)) + 1, np.intp)  # of a pixel; 0 = none
    column[pixels_b] = np.repeat(np.arange(1, len(b) + 1), area_b)
    row = np.repeat(np.arange(len(a)), area_a)
    width = len(b) + 1
    overlap = np.bincount(row * width + column[pixels_a], minlength=len(a) * width).reshape(len(a), width)[:, 1:]
    return overlap / np.maximum(area_a[:, None] + area_b - overlap, 1)


def _size(shape: tuple[int, ...]) -> str:
    return f"{shape[1]}x{shape[0]}"


def _nanoseconds(name: str, seconds: float) -> int:
    if not (math.isfinite(seconds) and seconds >= 0):
        raise SaomError(f"{name} is {seconds!r}; it must be a finite time of at least 0 (seconds)")
    return round(seconds * 1e9)
