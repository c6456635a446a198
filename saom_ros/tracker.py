"""Ids that last: the same object keeps its id from frame to frame, also when it is hidden for a moment.

Objects are matched by how much their masks overlap those last seen and how near they lie, after the camera's motion
is taken out (Hungarian assignment; the idea of BoT-SORT, arXiv 2206.14651, with masks and without image features). Time
is that of the image stamps, so a tracker does the same live, from a bag and in a test. One tracker serves one camera.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from saom_ros.camera_motion import camera_motion
from saom_ros.errors import SaomError
from saom_ros.instances import MAX_INSTANCES, Instances

MIN_IOU = 0.1
"""Smallest mask IoU at which two masks may be the same object."""

CUT_OBJECTS = 4
"""A scene cut is told from this many objects on, both remembered and seen: fewer may all have been carried away."""

CUT_IOU = 0.15
"""A smaller mean IoU of the objects is a scene cut: 5 Hz and a fast camera leave at least 0.19."""

SAMPLED_PIXELS = 9_216
"""Masks are compared on about this many pixels of the image: every tenth row and column of 1280 x 720."""

REACH = 2.0
"""An object may be this many times its size (the root of its area) away from where it is expected."""

MIN_AREA_RATIO = 0.3
"""Objects that do not overlap and whose areas differ by more are not the same."""

NEAR_WEIGHT = 1.0
"""How much an object counts that is exactly where it is expected, in the units of mask IoU."""

FAMILIAR = 3
"""An object seen in so many frames counts half of one seen always."""

UNSTAMPED_PERIOD = 33_333_333
"""Time in nanoseconds from one frame to the next where one has no stamp or both have the same: 30 Hz."""


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
        self._frame = 0  # number of the frame
        self._clock = 0  # nanoseconds, summed from frame to frame: unstamped frames count too
        self.reset_reason: str | None = None
        """Why the latest `update` forgot all objects; None where it did not."""
        self.begun: frozenset[int] = frozenset()
        """Ids that the latest `update` gave to objects not seen before; whoever had one of them is forgotten."""

    def update(self, instances: Instances, stamp: int | None, asked_for: bool = False) -> Instances:
        """The same objects and pixels with lasting ids; rows keep their order.

        Args:
            instances: objects of one image; ids as in the label map, distinct.
            stamp: when the image was taken in nanoseconds; None, 0 or the stamp of the frame before = unknown, then the
                frame counts as taken 1/30 s after the one before it.
            asked_for: somebody asked for this very image, however long after the one before it: `max_gap` does not
                count, and what still stands where it stood keeps its id.
        """
        self.reset_reason = self._advance(stamp or None, instances.size, asked_for)
        self._frame += 1
        seen = _Sight.of(instances)
        track_of, iou = self._match(seen)
        if self._is_scene_cut(iou):
            found = np.count_nonzero(iou >= MIN_IOU)
            self.reset_reason = f"scene cut: {found} of {len(iou)} objects seen before"
            self._forget(self._tracks)
            track_of[:] = -1
        ids = self._remember(seen, track_of)
        return instances.renumbered(ids)

    def reset(self) -> None:
        """Forget all objects and the time; the next objects get new ids."""
        self._forget(self._tracks)
        self._shape, self._stamp = (), None

    def _advance(self, stamp: int | None, shape: tuple[int, ...], asked_for: bool) -> str | None:
        """Move the clock to the new frame and forget what is too old; says why where that is everything."""
        elapsed = 0 if stamp is None or self._stamp is None else stamp - self._stamp
        # Where the stamps stand still, time must not: what is hidden would be remembered for ever.
        elapsed = elapsed or UNSTAMPED_PERIOD
        reason = None
        if self._shape not in ((), shape):
            reason = f"image size changed from {_size(self._shape)} to {_size(shape)}"
        elif elapsed < 0:
            reason = f"stamps went back by {-elapsed / 1e9:.3f} s"
        elif elapsed > self._max_gap and not asked_for:
            reason = f"{elapsed / 1e9:.3f} s between two frames"
        latest = self._clock
        self._clock += max(elapsed, 0)
        self._shape, self._stamp = shape, stamp
        self._forget(
            [t for t in self._tracks if reason or (t.last_seen < latest and self._clock - t.last_seen > self._memory)]
        )
        return reason

    def _match(self, seen: _Sight) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
        """Index of the track of each object, -1 = none, and the IoU with it."""
        if not (len(seen.masks) and self._tracks):
            return np.full(len(seen.masks), -1, np.intp), np.zeros(len(seen.masks))
        known = _Sight(
            [track.mask for track in self._tracks],
            np.array([track.centre for track in self._tracks]),
            np.array([track.area for track in self._tracks]),
        )
        frames = np.array([track.frames for track in self._tracks])
        shift = np.array([track.shift for track in self._tracks])
        near = _assign(_nearness(known, seen, shift), frames)
        shift = shift + self._camera_motion(known, seen, shift, near)
        iou = _mask_iou(known.masks, seen.masks, shift, self._shape)
        track_of = _assign(np.where(iou >= MIN_IOU, iou, 0) + _nearness(known, seen, shift), frames)
        for track, carried in zip(self._tracks, shift, strict=True):
            track.shift = carried
        return track_of, np.where(track_of >= 0, iou[track_of, np.arange(len(track_of))], 0)

    def _camera_motion(
        self, known: _Sight, seen: _Sight, shift: NDArray[np.float64], track_of: NDArray[np.intp]
    ) -> NDArray[np.float64]:
        """Displacement `(T, 2)` in px of each track since the latest frame, told from the objects seen in both."""
        rows = np.flatnonzero(track_of >= 0)
        tracks = track_of[rows]
        smaller = np.minimum(known.areas[tracks], seen.areas[rows])
        whole = 2 * smaller > np.maximum(known.areas[tracks], seen.areas[rows])  # else one of them is partly hidden
        just_seen = np.array([track.frame == self._frame - 1 for track in self._tracks])
        rows, tracks = rows[whole & just_seen[tracks]], tracks[whole & just_seen[tracks]]
        size = self._shape[1], self._shape[0]
        return camera_motion(known.centres[tracks], seen.centres[rows], size, at=known.centres + shift)

    def _is_scene_cut(self, iou: NDArray[np.float64]) -> bool:
        """Overlaps alone tell: in a full picture, something is always near."""
        possible = min(len(self._tracks), len(iou))
        return possible >= CUT_OBJECTS and float(iou.sum()) < CUT_IOU * possible

    def _remember(self, seen: _Sight, track_of: NDArray[np.intp]) -> NDArray[np.int32]:
        """Move the matched tracks to the new frame and begin one for each other object; returns the objects' ids."""
        ids = np.zeros(len(seen.masks), np.int32)
        for row in np.flatnonzero(track_of >= 0).tolist():
            track = self._tracks[track_of[row]]
            track.see(seen, row, self._frame, self._clock)
            ids[row] = track.id
        new = np.flatnonzero(track_of < 0).tolist()
        if len(new) > len(self._free_ids):
            hidden = sorted((t for t in self._tracks if t.id not in ids), key=lambda t: t.last_seen)
            self._forget(hidden[: len(new) - len(self._free_ids)])
        for row in new:
            track = _Track(self._free_ids.popleft())
            track.see(seen, row, self._frame, self._clock)
            self._tracks.append(track)
            ids[row] = track.id
        self.begun = frozenset(ids[new].tolist())
        return ids

    def _forget(self, tracks: Collection[_Track]) -> None:
        """Give the ids of these tracks back, the one unseen for longest first."""
        if tracks:
            self._free_ids.extend(track.id for track in sorted(tracks, key=lambda track: track.last_seen))
            gone = {track.id for track in tracks}
            self._tracks = [track for track in self._tracks if track.id not in gone]


@dataclass
class _Sight:
    """Objects as they are compared."""

    masks: Sequence[_Mask]
    centres: NDArray[np.float64]
    """`(N, 2)` x y in px: centroids; a piece of the border more or less moves the middle of the box by far more."""
    areas: NDArray[np.float64]
    """`(N,)` in px."""

    @classmethod
    def of(cls, instances: Instances) -> _Sight:
        step = _step(instances.size)
        labels = instances.sampled(step)
        pixels = np.flatnonzero(labels)
        of_pixel = labels.ravel()[pixels]
        order = np.argsort(of_pixel, kind="stable")  # on uint16 a radix sort: linear
        pixels, of_pixel = pixels[order], of_pixel[order]
        ids = instances.painted_ids.astype(labels.dtype)
        starts, ends = np.searchsorted(of_pixel, ids, "left"), np.searchsorted(of_pixel, ids, "right")
        y = pixels // labels.shape[1]
        x = pixels - y * labels.shape[1]
        pixels = y * _stride(labels.shape[1]) + x
        return cls(
            [pixels[start:end] for start, end in zip(starts.tolist(), ends.tolist(), strict=True)],
            _centres(instances, x, y, starts, ends, step),
            instances.areas.astype(float),
        )


@dataclass
class _Track:
    """One object and where it was seen last."""

    id: int
    mask: _Mask = field(default_factory=lambda: np.zeros(0, np.intp))
    centre: NDArray[np.float64] = field(default_factory=lambda: np.zeros(2))
    """x y in px."""
    area: float = 0.0
    """In px."""
    shift: NDArray[np.float64] = field(default_factory=lambda: np.zeros(2))
    """x y in px: how far the camera's motion has carried the object since."""
    frame: int = 0
    """Number of the frame it was seen in."""
    last_seen: int = 0
    """Clock in nanoseconds."""
    frames: int = 0
    """In how many frames it was seen."""

    def see(self, seen: _Sight, row: int, frame: int, clock: int) -> None:
        """Move to where the object is now."""
        self.mask, self.centre, self.area = seen.masks[row], seen.centres[row], float(seen.areas[row])
        self.shift, self.frame, self.last_seen, self.frames = np.zeros(2), frame, clock, self.frames + 1


_Mask = NDArray[np.intp]
"""Flat indices `(K,)` of an object's pixels in the sampled label map, whose rows count as twice as long as they are:
what is moved beyond the left or right border then lies behind the end of a row, not in the next one."""


def _assign(likeness: NDArray[np.float64], frames: NDArray[np.intp]) -> NDArray[np.intp]:
    """Track of each object seen, -1 = none, from `likeness` `(T, N)`, 0 = cannot be the same.

    An object that falls in two pieces for a frame must not come back under the id of the piece: a track seen in more
    `frames` `(T,)` goes first where the rest is alike.
    """
    tracks, rows = linear_sum_assignment(likeness * (frames / (frames + FAMILIAR))[:, None], maximize=True)
    likely = likeness[tracks, rows] > 0
    track_of = np.full(likeness.shape[1], -1, np.intp)
    track_of[rows[likely]] = tracks[likely]
    return track_of


def _nearness(known: _Sight, seen: _Sight, shift: NDArray[np.float64]) -> NDArray[np.float64]:
    """`(T, N)` in 0..NEAR_WEIGHT: 0 from REACH sizes (roots of the smaller area) on, or where areas differ too much."""
    across = np.subtract.outer(known.centres[:, 0] + shift[:, 0], seen.centres[:, 0])
    down = np.subtract.outer(known.centres[:, 1] + shift[:, 1], seen.centres[:, 1])
    smaller = np.minimum.outer(known.areas, seen.areas)
    ratio = smaller / np.maximum.outer(known.areas, seen.areas)
    near = np.maximum(1 - np.sqrt((across**2 + down**2) / smaller) / REACH, 0)
    return np.asarray(np.where(ratio >= MIN_AREA_RATIO, NEAR_WEIGHT * near * ratio, 0))


def _centres(
    instances: Instances,
    x: NDArray[np.intp],
    y: NDArray[np.intp],
    starts: NDArray[np.intp],
    ends: NDArray[np.intp],
    step: int,
) -> NDArray[np.float64]:
    """Centroids `(N, 2)` x y in px of the sampled pixels `starts` to `ends` of each object; specks that no sample hits
    have the middle of their box."""
    sums = np.zeros((2, len(x) + 1), np.intp)
    np.cumsum(x, out=sums[0, 1:])
    np.cumsum(y, out=sums[1, 1:])
    count = (ends - starts)[:, None]
    sampled = (sums[:, ends] - sums[:, starts]).T / np.maximum(count, 1) * step + step // 2 + 0.5
    boxes = instances.boxes.astype(float)
    return np.where(count > 0, sampled, (boxes[:, :2] + boxes[:, 2:]) / 2)


def _step(shape: tuple[int, ...]) -> int:
    """Every how many rows and columns of an image masks are compared."""
    return math.ceil(math.sqrt(shape[0] * shape[1] / SAMPLED_PIXELS))


def _mask_iou(
    a: Sequence[_Mask], b: Sequence[_Mask], shift: NDArray[np.float64], shape: tuple[int, ...]
) -> NDArray[np.float64]:
    """IoU `(len(a), len(b))` of masks sampled in an image of `shape`; those of `b` do not overlap each other.

    Masks of `a` are moved by `shift` `(len(a), 2)` x y in px first; what leaves the image is cut off. All overlaps come
    from one count.
    """
    step = _step(shape)
    height, width = len(range(step // 2, shape[0], step)), len(range(step // 2, shape[1], step))
    stride = _stride(width)
    # Object of `b` at each pixel: 0 = none; the last one is for what lies outside, also above and below.
    columns = len(b) + 2
    column = np.full((height + 2, stride), columns - 1)
    column[1:-1, :width] = 0
    size_a, size_b = [len(mask) for mask in a], [len(mask) for mask in b]
    column.reshape(-1)[stride + np.concatenate(b)] = np.repeat(np.arange(1, len(b) + 1), size_b)
    right, down = np.rint(shift / step).astype(np.intp).T
    moved = np.concatenate(a) + np.repeat((down + 1) * stride + np.clip(right, -width, width), size_a)
    cells = np.repeat(np.arange(len(a)) * columns, size_a) + column.take(moved, mode="clip")
    count = np.bincount(cells, minlength=len(a) * columns).reshape(-1, columns)
    overlap, area_a = count[:, 1:-1], count[:, :-1].sum(axis=1)
    return np.asarray(overlap / np.maximum(area_a[:, None] + size_b - overlap, 1))


def _stride(width: int) -> int:
    """What `_Mask` counts for a row of the sampled label map."""
    return 2 * width


def _size(shape: tuple[int, ...]) -> str:
    return f"{shape[1]}x{shape[0]}"


def _nanoseconds(name: str, seconds: float) -> int:
    if not (math.isfinite(seconds) and seconds >= 0):
        raise SaomError(f"{name} is {seconds!r}; it must be a finite time of at least 0 (seconds)")
    return round(seconds * 1e9)
