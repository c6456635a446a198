"""Score a model bundle or a checkpoint on the frames of a shard folder, beside a classical baseline, in one table.

Every system sees the same frames at full resolution and is scored on its painted label map, exactly what a robot would
get; what each figure means stands in `training/metrics.py`. The same command chooses the thresholds of a model
(--choose-thresholds) and the parameters of the baseline (--tune-baseline), both on validation frames only.
"""

from __future__ import annotations

import argparse
import json
import math
import platform
import shlex
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from saom_ros.bundle import DEFAULT_BUNDLE
from saom_ros.errors import SaomError
from saom_ros.instances import Instances
from saom_ros.segmenter import Segmenter
from training import baseline, metrics
from training.gallery import Gallery
from training.search import SearchResult, coordinate_search
from training.shards import Sample, count_samples, decode_sample, list_shards, read_members

System = Callable[[NDArray[np.uint8]], Instances]
"""Anything that turns an RGB image uint8 (H, W, 3) into instances: a Segmenter, the baseline."""

THRESHOLD_CANDIDATES: dict[str, tuple[float, ...]] = {
    "score": (0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5, 0.6),
    "objectness": (0.02, 0.05, 0.1, 0.15, 0.2, 0.3),
    "overlap": (0.3, 0.4, 0.5, 0.6, 0.7),
}
"""What --choose-thresholds tries."""

CHOICE_FRAMES = 100
"""Frames that settings are chosen on unless --limit says otherwise; more change little and take long."""

ROWS = (
    ("Overlap precision", "overlap_precision"),
    ("Overlap recall", "overlap_recall"),
    ("Overlap F", "overlap_f"),
    ("Boundary precision", "boundary_precision"),
    ("Boundary recall", "boundary_recall"),
    ("Boundary F", "boundary_f"),
    ("detected @75", "detected_75"),
    ("AR@100", "ar_100"),
    ("AP", "ap"),
    ("AP50", "ap_50"),
    ("AP75", "ap_75"),
    ("recall@0.5", "recall_50"),
    ("recall@0.75", "recall_75"),
    ("precision@0.5", "precision_50"),
    ("mean best IoU", "mean_iou"),
    ("over-segmented (less is better)", "over_segmented"),
    ("under-segmented (less is better)", "under_segmented"),
    ("recall@0.5 small", "recall_50_small"),
    ("recall@0.5 medium", "recall_50_medium"),
    ("recall@0.5 large", "recall_50_large"),
    ("recall@0.75 small", "recall_75_small"),
    ("recall@0.75 medium", "recall_75_medium"),
    ("recall@0.75 large", "recall_75_large"),
)
"""Rows of the table: label and key of `metrics.summarize`."""


@dataclass
class SystemScores:
    """What one system reached on the frames seen so far."""

    frames: list[metrics.FrameScores] = field(default_factory=list)
    milliseconds: list[float] = field(default_factory=list)

    def report(self) -> dict[str, Any]:
        """Figures in percent, counts and the median time of a frame, without the first, which warms caches up."""
        times = self.milliseconds[1:] or self.milliseconds
        return {
            "figures": metrics.summarize(self.frames),
            "counts": metrics.counts(self.frames),
            "ms_per_frame": float(np.median(times)),
        }


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `python -m training evaluate`."""
    parser.add_argument(
        "--model", type=Path, default=DEFAULT_BUNDLE, help="bundle folder or checkpoint file (default: shipped bundle)"
    )
    parser.add_argument("--data", type=Path, required=True, help="folder of shards written by collect")
    parser.add_argument("--json", type=Path, help="write everything to this file too")
    parser.add_argument(
        "--limit", type=_positive, help=f"use this many frames only, spread over all (choosing: {CHOICE_FRAMES})"
    )
    parser.add_argument(
        "--baseline", action=argparse.BooleanOptionalAction, default=True, help="score felzenszwalb too"
    )
    parser.add_argument("--threads", type=int, default=0, help="threads of the model's runtime (0: its own choice)")
    parser.add_argument(
        "--min-area",
        type=_positive,
        default=metrics.MIN_OBJECT_AREA,
        help="visible pixels, in 512 x 384, that an object needs in order to count (default: %(default)s)",
    )
    parser.add_argument("--overlays", type=Path, help="write the best, worst and some random frames to this folder")
    parser.add_argument("--overlay-count", type=_positive, default=6, help="of each kind (default: %(default)s)")
    modes = parser.add_mutually_exclusive_group()
    modes.add_argument(
        "--choose-thresholds", action="store_true", help="instead: choose the model's thresholds on validation frames"
    )
    modes.add_argument(
        "--tune-baseline", action="store_true", help="instead: choose the baseline's parameters on validation frames"
    )


def main(args: argparse.Namespace) -> int:
    """Run the verb; 0, or SaomError for a mistake of the user."""
    limit = args.limit
    if args.tune_baseline or args.choose_thresholds:
        limit = limit or CHOICE_FRAMES
    frame_count = count_frames(args.data, limit)
    if args.tune_baseline:
        return _tune_baseline(args, frame_count)
    segmenter = load_segmenter(args.model, args.threads)
    if args.choose_thresholds:
        return _choose_thresholds(args, segmenter, frame_count)

    systems: dict[str, System] = {segmenter.config.name: segmenter}
    if args.baseline:
        systems["felzenszwalb"] = baseline.FelzenszwalbBaseline()
    gallery = Gallery(args.overlays, args.overlay_count) if args.overlays else None
    summary = DataSummary(str(args.data))
    frames = tqdm(summary.watch(read_frames(args.data, args.limit)), total=frame_count, unit="frame", desc="evaluate")
    results = evaluate(systems, frames, args.min_area, gallery)
    reports = {name: _report(scores, args.data) for name, scores in results.items()}
    if gallery:
        gallery.write()

    print(table({name: report["figures"] for name, report in reports.items()}))
    print()
    print(describe(reports, summary))
    if args.json:
        model = {
            "path": str(args.model),
            "name": segmenter.config.name,
            "version": segmenter.config.version,
            "thresholds": asdict(segmenter.thresholds),
        }
        _write_json(
            args,
            {
                "data": asdict(summary),
                "model": model,
                "baseline": asdict(baseline.BaselineParameters()) if args.baseline else None,
                "systems": reports,
            },
        )
    return 0


def evaluate(
    systems: Mapping[str, System],
    frames: Iterable[Sample],
    min_object_area: int = metrics.MIN_OBJECT_AREA,
    gallery: Gallery | None = None,
) -> dict[str, SystemScores]:
    """Run every system on every frame and score it; the gallery sees what the first system did."""
    results = {name: SystemScores() for name in systems}
    for frame in frames:
        for k, (name, system) in enumerate(systems.items()):
            started = time.perf_counter()
            instances = system(frame.rgb)
            results[name].milliseconds.append(1000 * (time.perf_counter() - started))
            scores = score_instances(frame.instances, instances, min_object_area)
            results[name].frames.append(scores)
            if gallery and k == 0 and len(scores.best_iou):
                gallery.add(frame, instances, float(scores.best_iou.mean()))
    return results


def score_instances(
    truth: NDArray[Any], instances: Instances, min_object_area: int = metrics.MIN_OBJECT_AREA
) -> metrics.FrameScores:
    """Score one frame's instances against its instance map (H, W)."""
    scores = dict(zip(instances.ids.tolist(), instances.scores.tolist(), strict=True))
    return metrics.score_frame(truth, instances.label_map, scores, min_object_area)


def choose_thresholds(
    segmenter: Segmenter,
    frames: Sequence[Sample],
    candidates: Mapping[str, Sequence[float]] = THRESHOLD_CANDIDATES,
    min_object_area: int = metrics.MIN_OBJECT_AREA,
    progress: Callable[[], object] = lambda: None,
) -> SearchResult:
    """Choose score, objectness and overlap threshold by coordinate search for the largest `metrics.objective`.

    Leaves the chosen thresholds set on the segmenter; `result.best` holds them by name. Takes about 20 evaluations of
    the frames; about 100 frames suffice.
    """

    def evaluate_thresholds(settings: dict[str, float]) -> float:
        segmenter.thresholds = replace(segmenter.thresholds, **settings)
        scores = [score_instances(frame.instances, segmenter(frame.rgb), min_object_area) for frame in frames]
        progress()
        return metrics.objective(scores)

    result = coordinate_search(asdict(segmenter.thresholds), candidates, evaluate_thresholds)
    segmenter.thresholds = replace(segmenter.thresholds, **result.best)
    return result


def load_segmenter(model: Path, threads: int = 0) -> Segmenter:
    """The segmenter of a bundle folder (ONNX Runtime) or of a checkpoint file (torch).

    Raises:
        SaomError: the path does not exist, or what lies there is not a model.
    """
    if model.is_dir():
        return Segmenter.load(model, threads=threads)
    if not model.exists():
        raise SaomError(f"model {model} does not exist; give a bundle folder or a checkpoint file (.ckpt)")
    import torch  # needed for checkpoints only

    from training.export import load_checkpoint_segmenter

    if threads:
        torch.set_num_threads(threads)
    return load_checkpoint_segmenter(model)


def count_frames(folder: Path, limit: int | None = None) -> int:
    """Frames that `read_frames` will give.

    Raises:
        SaomError: the folder is missing, holds no shards or no frames, or a shard is broken.
    """
    total = sum(count_samples(shard) for shard in list_shards(folder))
    if total == 0:
        raise SaomError(f"the shards in {folder} hold no frames; write some with `python -m training collect`")
    return total if limit is None else min(limit, total)


def read_frames(folder: Path, limit: int | None = None) -> Iterator[Sample]:
    """Frames of all shards in order; with a limit, that many spread evenly, so that they come from many scenes."""
    total = count_frames(folder)
    wanted = min(limit or total, total)
    chosen = {k * total // wanted for k in range(wanted)}
    members = ((path, key, files) for path in list_shards(folder) for key, files in read_members(path))
    for k, (path, key, files) in enumerate(members):
        if k in chosen:
            yield decode_sample(path, key, files)


@dataclass
class DataSummary:
    """What kind of frames an evaluation saw."""

    folder: str
    simulators: dict[str, int] = field(default_factory=dict)
    splits: dict[str, int] = field(default_factory=dict)
    sizes: dict[str, int] = field(default_factory=dict)

    def watch(self, frames: Iterable[Sample]) -> Iterator[Sample]:
        """Pass the frames through and count them."""
        for frame in frames:
            height, width = frame.instances.shape
            for counter, value in (
                (self.simulators, frame.meta.get("simulator", "unknown")),
                (self.splits, frame.meta.get("split", "unknown")),
                (self.sizes, f"{width}x{height}"),
            ):
                counter[str(value)] = counter.get(str(value), 0) + 1
            yield frame


def table(columns: Mapping[str, Mapping[str, float]], rows: Sequence[tuple[str, str]] = ROWS) -> str:
    """An aligned Markdown table: one row per figure, one column per system; figures that do not exist show as -."""
    header = ["%", *columns]
    body = [[label, *(_cell(figures[key]) for figures in columns.values())] for label, key in rows]
    widths = [max(len(line[k]) for line in [header, *body]) for k in range(len(header))]
    rule = ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])]

    def line(cells: Sequence[str]) -> str:
        padded = [cells[0].ljust(widths[0])]
        padded += [cell.rjust(width) for cell, width in zip(cells[1:], widths[1:], strict=True)]
        return f"| {' | '.join(padded)} |"

    return "\n".join(line(cells) for cells in [header, rule, *body])


def describe(reports: Mapping[str, Mapping[str, Any]], summary: DataSummary) -> str:
    """Lines below the table: what the figures rest on, and how long a frame took."""
    count = next(iter(reports.values()))["counts"]
    by_size = ", ".join(f"{count[f'objects_{size}']} {size}" for size in metrics.SIZES)
    lines = [
        f"data: {summary.folder} (split {_join(summary.splits)}; simulator {_join(summary.simulators)}; "
        f"size {_join(summary.sizes)})",
        f"{count['frames']} frames, {count['objects']} objects ({by_size}), "
        f"{count['ignored_objects']} ignored as too small",
    ]
    for name, report in reports.items():
        lines.append(
            f"{name}: {report['counts']['predictions']} instances, "
            f"{report['ms_per_frame']:.0f} ms a frame (median, this machine)"
        )
    if "train" in summary.splits:
        lines.append("note: these frames belong to the training split; figures on them say nothing about new rooms")
    return "\n".join(lines)


def _report(scores: SystemScores, folder: Path) -> dict[str, Any]:
    try:
        return scores.report()
    except ValueError as error:
        raise SaomError(f"{folder}: {error}") from None


def _choose_thresholds(args: argparse.Namespace, segmenter: Segmenter, frame_count: int) -> int:
    frames = _validation_frames(args.data, frame_count)
    before = asdict(segmenter.thresholds)

    def search(tick: Callable[[], object]) -> SearchResult:
        return choose_thresholds(segmenter, frames, min_object_area=args.min_area, progress=tick)

    result = _search(args, search, frame_count)
    print(f"thresholds before: {before}, objective {result.start_value:.1f}")
    print(f"thresholds chosen: {result.best}, objective {result.value:.1f}")
    if args.json:
        _write_json(args, {"frames": frame_count, "before": before, **asdict(result)})
    return 0


def _tune_baseline(args: argparse.Namespace, frame_count: int) -> int:
    frames = [(frame.rgb, frame.instances) for frame in _validation_frames(args.data, frame_count)]

    def search(tick: Callable[[], object]) -> SearchResult:
        return baseline.tune(frames, min_object_area=args.min_area, progress=tick)

    result = _search(args, search, frame_count)
    print(f"baseline before: {asdict(baseline.BaselineParameters())}, objective {result.start_value:.1f}")
    print(f"baseline chosen: {result.best}, objective {result.value:.1f}")
    if args.json:
        _write_json(args, {"frames": frame_count, **asdict(result)})
    return 0


def _search(
    args: argparse.Namespace, search: Callable[[Callable[[], object]], SearchResult], frame_count: int
) -> SearchResult:
    with tqdm(unit="trial", desc=f"search on {frame_count} frames") as bar:
        try:
            return search(bar.update)
        except ValueError as error:
            raise SaomError(f"{args.data}: {error}") from None


def _validation_frames(folder: Path, limit: int) -> list[Sample]:
    """The frames that settings are chosen on; test frames are refused, they must stay unseen."""
    frames = []
    for frame in read_frames(folder, limit):
        if frame.meta.get("split") == "test":
            raise SaomError(
                f"{folder} holds frames of the test split ({frame.key}); "
                "settings are chosen on validation frames: collect some with --split val"
            )
        frames.append(frame)
    return frames


def _write_json(args: argparse.Namespace, content: dict[str, Any]) -> None:
    packages = ("numpy", "onnxruntime", "opencv-python-headless", "pycocotools", "scikit-image", "scipy", "torch")
    record = {
        "command": shlex.join(["python", "-m", "training", "evaluate", *sys.argv[2:]]),
        "min_object_area": args.min_area,
        **content,
        "versions": {"python": platform.python_version(), **{name: _version(name) for name in packages}},
    }
    args.json.parent.mkdir(parents=True, exist_ok=True)
    args.json.write_text(json.dumps(_without_nan(record), indent=2) + "\n", encoding="utf-8")


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _without_nan(value: Any) -> Any:
    """JSON knows no NaN: a figure that does not exist becomes null."""
    if isinstance(value, Mapping):
        return {key: _without_nan(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_without_nan(item) for item in value]
    if isinstance(value, float) and math.isnan(value):
        return None
    return value


def _cell(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.1f}"


def _join(counted: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {count}" if len(counted) > 1 else name for name, count in counted.items())


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a positive integer")
    return int(text)
