"""Measure how well ids last: camera paths with known objects through our tracker and through ByteTrack, in one table.

Both see the same masks: the true ones, these spoilt as a segmenter spoils them (objects missed for some frames, ragged
borders, objects in two pieces), and those of a model. The paths are shards, one path each; --render makes them.
"""

from __future__ import annotations

import argparse
import itertools
import json
import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import find_objects
from scipy.optimize import linear_sum_assignment
from tqdm import tqdm

from saom_ros.bundle import DEFAULT_BUNDLE
from saom_ros.errors import SaomError
from saom_ros.instances import Instances
from saom_ros.tracker import Tracker
from training import metrics
from training.data.shards import Sample, ShardWriter, list_shards, read_shard
from training.evaluation.systems import load_system
from training.simulators.base import SPLITS, SceneSkippedError
from training.tracking.byte_track import ByteTracker

if TYPE_CHECKING:
    from training.simulators.rooms.simulator import RoomSimulator

CAMERA_HZ = 30
"""Rate at which the frames of a path count as taken."""

MATCH_IOU = 0.5
"""An object counts as tracked where one shown mask overlaps it by this IoU, as in MOT. Masks do not overlap each other,
so that it is one at most."""


class IdTracker(Protocol):
    """What is compared: objects in, the same ones (or some of them) with lasting ids out."""

    def update(self, instances: Instances, stamp: int) -> Instances:
        """One frame; stamp in nanoseconds."""


MaskSource = Callable[[int, Sample], Instances]
"""Number of the path and frame -> masks that trackers see; frames come in order."""

Row = tuple[str, float, str]
"""Masks, rate in Hz, tracker."""

TRACKERS: dict[str, Callable[[], IdTracker]] = {
    "masks (saom_ros)": Tracker,
    # Our models score lower than the detectors that ByteTrack was made for: at its own 0.6 hardly a track begins.
    "boxes (ByteTrack)": lambda: ByteTracker(high_score=0.3),
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Flags of ``python -m training track``."""
    parser.add_argument("--data", type=Path, required=True, help="folder of camera paths, one shard each")
    parser.add_argument("--render", type=int, default=0, metavar="PATHS", help="first render so many paths into --data")
    parser.add_argument("--frames", type=int, default=60, help="of a path, with --render (default: 60)")
    parser.add_argument("--arc", type=float, default=30.0, help="of a path in degrees, with --render (default: 30)")
    parser.add_argument("--split", choices=SPLITS, default="test", help="of the rooms, with --render (default: test)")
    parser.add_argument("--width", type=int, default=480, help="px, with --render (default: 480)")
    parser.add_argument("--height", type=int, default=360, help="px, with --render (default: 360)")
    parser.add_argument("--seed", type=int, default=0, help="of rooms and of spoilt masks (default: 0)")
    parser.add_argument("--model", type=Path, default=DEFAULT_BUNDLE, help="bundle or checkpoint (default: shipped)")
    parser.add_argument("--no-model", action="store_true", help="true and spoilt masks only")
    parser.add_argument(
        "--every", type=int, nargs="+", default=[1, 3, 6], help="take every n-th frame (default: 1 3 6)"
    )
    parser.add_argument("--json", type=Path, help="write all figures to this file too")


def main(args: argparse.Namespace) -> int:
    """Render where asked, follow all paths, print the table."""
    for name, values in {"--frames": [args.frames], "--every": args.every}.items():
        if min(values) < 1:
            raise SaomError(f"{name} is {min(values)}; it must be at least 1")
    if args.render:
        render_paths(args)
    sources: dict[str, MaskSource] = {"truth": _true_masks, "spoilt truth": _spoilt_masks(args.seed)}
    if not args.no_model:
        _, segmenter = load_system(args.model)
        sources[segmenter.config.name] = lambda path, frame: segmenter(frame.rgb)
    shards = list_shards(args.data)
    results: dict[Row, IdScores] = {}
    for number, shard in enumerate(tqdm(shards, desc="track", unit="path")):
        frames = list(read_shard(shard))
        for name, masks in sources.items():
            path = [(frame.instances, masks(number, frame)) for frame in frames]
            for (hz, tracker), scores in compare(path, args.every).items():
                results.setdefault((name, hz, tracker), IdScores()).add(scores)
    print(table(results))
    print(f"\n{args.data}: {len(shards)} paths; an object counts as tracked where a mask has an IoU of {MATCH_IOU}")
    if args.json:
        rows = [dict(zip(("masks", "hz", "tracker"), row, strict=True), **vars(s)) for row, s in results.items()]
        args.json.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
    return 0


def render_paths(args: argparse.Namespace) -> None:
    """Render camera paths through as many rooms, one shard each, into the folder of `args.data`, new or empty.

    Raises:
        SaomError: there are files in the folder, or a size or the arc is out of range.
    """
    from training.simulators.rooms.simulator import RoomSimulator  # needs OpenGL, following does not

    if args.data.exists() and any(args.data.iterdir()):
        raise SaomError(f"{args.data}: not empty; give a new folder, or leave --render out to use what lies there")
    if not (0 <= args.arc <= 360 and min(args.width, args.height) >= 32 and args.render > 0):
        raise SaomError(
            f"--arc {args.arc}, --width {args.width}, --height {args.height}, --render {args.render}; "
            "expected 0..360 degrees, at least 32 px and at least 1 path"
        )
    args.data.mkdir(parents=True, exist_ok=True)
    simulator = RoomSimulator(args.split, args.seed, args.width, args.height)
    scenes = itertools.count()
    try:
        for number in tqdm(range(args.render), desc="render", unit="path"):
            while not _render_path(simulator, next(scenes), args, args.data / f"rooms-{number:06d}.tar"):
                pass
    finally:
        simulator.close()


def _render_path(simulator: RoomSimulator, scene: int, args: argparse.Namespace, shard: Path) -> bool:
    """False where this room allows no such path."""
    try:
        with ShardWriter(shard) as writer:
            for k, frame in enumerate(simulator.sequence(scene, args.frames, math.radians(args.arc))):
                writer.add(f"{shard.stem}-{k:04d}", frame)
    except SceneSkippedError:
        return False
    return True


def _true_masks(path: int, frame: Sample) -> Instances:
    ids = np.unique(frame.instances[frame.instances > 0]).tolist()
    return instances_of(frame.instances, dict.fromkeys(ids, 1.0), SpoiltMasks.MIN_AREA)


def _spoilt_masks(seed: int) -> MaskSource:
    spoilers: dict[int, SpoiltMasks] = {}
    return lambda path, frame: spoilers.setdefault(path, SpoiltMasks([seed, path]))(frame.instances)


def compare(
    path: Sequence[tuple[NDArray[np.uint16], Instances]], every: Iterable[int]
) -> dict[tuple[float, str], IdScores]:
    """Scores by rate (Hz) and tracker on one path of (true instance map, masks) that was taken at CAMERA_HZ."""
    return {
        (CAMERA_HZ / n, name): score_path(_follow(begin(), path[::n], n))
        for n, (name, begin) in itertools.product(every, TRACKERS.items())
    }


def _follow(
    tracker: IdTracker, path: Iterable[tuple[NDArray[np.uint16], Instances]], every: int
) -> Iterator[tuple[NDArray[np.uint16], Instances]]:
    for number, (truth, instances) in enumerate(path, start=1):
        yield truth, tracker.update(instances, number * every * 10**9 // CAMERA_HZ)


def table(results: Mapping[Row, IdScores]) -> str:
    """An aligned Markdown table, one line per masks, rate and tracker."""
    head = ["masks", "Hz", "tracker", "id switches / 1000", "fragments / 1000", "tracked %", "IDF1 %", "object-frames"]
    lines = [head]
    for (masks, hz, tracker), scores in results.items():
        figures = [f"{value:.1f}" for value in scores.figures().values()]
        lines.append([masks, f"{hz:g}", tracker, *figures, str(scores.object_frames)])
    widths = [max(len(line[k]) for line in lines) for k in range(len(head))]
    lines.insert(1, ["-" * width for width in widths])
    return "\n".join(
        f"| {' | '.join(cell.ljust(width) for cell, width in zip(line, widths, strict=True))} |" for line in lines
    )


@dataclass
class IdScores:
    """What one tracker did on one path, or on several when summed.

    Definitions of CLEAR MOT (Bernardin and Stiefelhagen 2008) and IDF1 (Ristani et al. 2016).
    """

    object_frames: int = 0
    """True objects large enough to count, summed over frames."""
    tracked: int = 0
    """Object-frames with a matching shown mask."""
    switches: int = 0
    """Times that the id matched to a true object differs from the last one matched to it, also across a gap."""
    fragments: int = 0
    """Times that a true object is tracked again after frames in which it was in view but not tracked."""
    shown: int = 0
    """Shown masks, summed over frames."""
    identified: int = 0
    """Object-frames whose id is the one that this object has in the best one-to-one naming of the whole path."""

    def add(self, other: IdScores) -> None:
        """Sum with another path's."""
        for name, value in vars(other).items():
            setattr(self, name, getattr(self, name) + value)

    def figures(self) -> dict[str, float]:
        """Counts per 1000 object-frames, shares in percent; NaN without objects."""
        frames = self.object_frames or math.nan
        return {
            "switches_per_1000": 1000 * self.switches / frames,
            "fragments_per_1000": 1000 * self.fragments / frames,
            "tracked_percent": 100 * self.tracked / frames,
            "idf1_percent": 200 * self.identified / (frames + self.shown),
        }


def score_path(
    path: Iterable[tuple[NDArray[np.uint16], Instances]], min_object_area: int = metrics.MIN_OBJECT_AREA
) -> IdScores:
    """Score the shown instances of one path against its true instance maps uint16 `(H, W)`, frame by frame.

    `min_object_area` is in pixels of a 512 x 384 frame; smaller objects do not count.
    """
    scores = IdScores()
    last_id: dict[int, int] = {}
    lost = set[int]()
    together = Counter[tuple[int, int]]()
    for truth, shown in path:
        matches = match_objects(truth, shown.label_map, min_object_area)
        scores.object_frames += len(matches)
        scores.shown += len(shown)
        for true_id, shown_id in matches.items():
            if shown_id is None:
                if true_id in last_id:
                    lost.add(true_id)
                continue
            scores.tracked += 1
            scores.switches += last_id.get(true_id, shown_id) != shown_id
            scores.fragments += true_id in lost
            lost.discard(true_id)
            last_id[true_id] = shown_id
            together[true_id, shown_id] += 1
    scores.identified = _best_naming(together)
    return scores


def match_objects(truth: NDArray[np.uint16], labels: NDArray[np.uint16], min_object_area: int) -> dict[int, int | None]:
    """Each true object that counts, with the label whose mask overlaps it by MATCH_IOU or None."""
    true_index, true_ids = metrics.compact_labels(truth)
    index, ids = metrics.compact_labels(labels)
    shared = metrics.contingency(true_index, index)
    counts = shared.sum(axis=1)[1:] >= min_object_area * truth.size / metrics.REFERENCE_AREA
    iou = np.pad(metrics.iou_matrix(shared), ((0, 0), (0, 1)))  # a column of zeros: there may be no label
    best = iou.argmax(axis=1)
    return {
        int(true_ids[k]): int(ids[best[k]]) if iou[k, best[k]] >= MATCH_IOU else None for k in np.flatnonzero(counts)
    }


def _best_naming(together: Counter[tuple[int, int]]) -> int:
    """Frames that agree when each true object is given one id, and no id twice, in the best way."""
    if not together:
        return 0
    rows = {k: n for n, k in enumerate(sorted({true for true, _ in together}))}
    columns = {k: n for n, k in enumerate(sorted({shown for _, shown in together}))}
    table = np.zeros((len(rows), len(columns)))
    for (true, shown), count in together.items():
        table[rows[true], columns[shown]] = count
    return int(table[linear_sum_assignment(table, maximize=True)].sum())


class SpoiltMasks:
    """True masks of one path as a segmenter might give them, the same for the same seed.

    Objects are missed for some frames in a row, borders are ragged, and now and then an object falls in two pieces,
    which then score low.
    """

    MISS_RATE = 0.03
    """Share of the objects in view that a miss begins for, per frame."""
    MISS_FRAMES = 4.0
    """Mean length of a miss; geometric, so that a few are long."""
    SPLIT_RATE = 0.05
    """Share of the objects that show as two pieces, per frame."""
    RAGGED_PIXELS = 2.0
    """Standard deviation of the border's displacement in pixels, one random vector every 8 pixels."""
    MIN_AREA = 32
    """Smaller masks are left out."""

    def __init__(self, seed: Sequence[int]) -> None:
        self._random = np.random.default_rng(seed)
        self._missed_until: dict[int, int] = {}
        self._frame = 0

    def __call__(self, truth: NDArray[np.uint16]) -> Instances:
        """Spoil the next frame of the path, uint16 `(H, W)`."""
        self._frame += 1
        labels = self._ragged(truth).astype(np.int32)
        scores: dict[int, float] = {}
        free = int(labels.max(initial=0)) + 1
        for k in np.unique(labels[labels > 0]).tolist():
            mask = labels == k
            if self._is_missed(k):
                labels[mask] = 0
                continue
            scores[k] = float(self._random.uniform(0.6, 1.0))
            if self._random.random() < self.SPLIT_RATE:
                labels[mask & self._half_plane(mask)] = free
                scores[k] *= 0.6
                scores[free] = 0.9 * scores[k]
                free += 1
        return instances_of(labels, scores, self.MIN_AREA)

    def _is_missed(self, k: int) -> bool:
        if self._missed_until.get(k, 0) <= self._frame and self._random.random() < self.MISS_RATE:
            self._missed_until[k] = self._frame + int(self._random.geometric(1 / self.MISS_FRAMES))
        return self._missed_until.get(k, 0) > self._frame

    def _ragged(self, truth: NDArray[np.uint16]) -> NDArray[np.uint16]:
        height, width = truth.shape
        coarse = self._random.normal(0, self.RAGGED_PIXELS, (2, height // 8 + 1, width // 8 + 1)).astype(np.float32)
        shift_x, shift_y = (cv2.resize(field, (width, height), interpolation=cv2.INTER_LINEAR) for field in coarse)
        rows, columns = np.indices(truth.shape, np.float32)
        return cv2.remap(truth, columns + shift_x, rows + shift_y, cv2.INTER_NEAREST).astype(np.uint16, copy=False)

    def _half_plane(self, mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """The pixels on one side of a random line through the middle of the mask."""
        rows, columns = np.nonzero(mask)
        angle = self._random.uniform(0, math.pi)
        y, x = np.indices(mask.shape)
        side: NDArray[np.bool_] = (x - columns.mean()) * math.cos(angle) + (y - rows.mean()) * math.sin(angle) > 0
        return side


def instances_of(labels: NDArray[np.integer[Any]], scores: dict[int, float], min_area: int = 1) -> Instances:
    """Instances from a label map `(H, W)` and a score for each label, numbered by score as `paint` does."""
    areas = np.bincount(labels.ravel(), minlength=max(scores, default=0) + 1)
    order = sorted((k for k in scores if areas[k] >= min_area), key=lambda k: -scores[k])
    new_label = np.zeros(len(areas), np.uint16)
    new_label[order] = np.arange(1, len(order) + 1)
    label_map = new_label[labels]
    boxes = [(x.start, y.start, x.stop, y.stop) for y, x in find_objects(label_map, len(order))]
    return Instances(
        label_map=label_map,
        ids=np.arange(1, len(order) + 1, dtype=np.int32),
        scores=np.array([scores[k] for k in order], np.float32),
        boxes=np.array(boxes, np.float32).reshape(-1, 4),
        class_ids=np.full(len(order), -1, np.int32),
        areas=areas[order].astype(np.int64),
    )
