"""Score a model bundle or a checkpoint on annotated frames, beside a classical baseline: table, JSON, report pages.

--data is a folder of shards, COCO instance annotations (a .json file; crowds are ignored), or a folder of label maps:

    DIR/images/NAME.jpg   the pictures
    DIR/labels/NAME.png   object ids, 8 or 16 bits or palette; 0 = no object
    DIR/ignore/NAME.png   optional: pixels above 0 count neither for nor against
    DIR/index.json        optional, all of it: {"exhaustive": false, "ignore": [255], "split": "test",
                          "frames": {"NAME": {"exhaustive": true, "ignore": [7], "classes": {"1": "mug"}}}}

A prediction that lies mostly on ignored pixels is dropped. Frames that are not `exhaustive` name some of their objects
only (--partial says so of all frames; so do "exhaustive": false in a COCO image entry and in a shard's json): recall is
measured on them, and what asks for precision stands as - unless other frames are exhaustive.

Every system sees the same frames at full resolution and is scored on its painted label map, exactly what a robot would
get; what each figure means stands in `training/metrics`. The same command chooses the thresholds of a model
(--choose-thresholds) and the parameters of the baseline (--tune-baseline), both on validation frames only.
"""

from __future__ import annotations

import argparse
import platform
import shlex
import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from tqdm import tqdm

from saom_ros.bundle import DEFAULT_BUNDLE
from saom_ros.errors import SaomError
from saom_ros.image_files import write_atomically
from saom_ros.runtimes import AUTO, RUNTIMES
from saom_ros.segmenter import Segmenter
from training import metrics
from training.evaluation import baseline
from training.evaluation.choosing import CHOICE_FRAMES, choose_thresholds, validation_frames
from training.evaluation.frames import DataSummary, FrameSet, open_frames
from training.evaluation.gallery import Gallery
from training.evaluation.report import data_lines, figures_table, report_sections
from training.evaluation.run import SystemScores, evaluate
from training.evaluation.search import SearchResult
from training.evaluation.systems import System, load_system
from training.reports.json_files import write_json
from training.reports.pages import html_page, markdown_page, markdown_table

_PACKAGES = ("numpy", "onnxruntime", "opencv-python-headless", "pycocotools", "scikit-image", "scipy", "torch")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `python -m training evaluate`."""
    parser.add_argument(
        "--model", type=Path, default=DEFAULT_BUNDLE, help="bundle folder or checkpoint file (default: shipped bundle)"
    )
    parser.add_argument("--data", type=Path, required=True, help="shards, COCO JSON or label maps, see above")
    parser.add_argument(
        "--images", type=Path, help="folder of a COCO file's pictures (default: images/ beside it, or its own folder)"
    )
    parser.add_argument("--partial", action="store_true", help="no frame names all its objects: recall figures only")
    parser.add_argument("--json", type=Path, help="write everything to this file too")
    parser.add_argument("--markdown", type=Path, help="write the report's tables to this file")
    parser.add_argument("--html", type=Path, help="write the report to this file, one page with plots and pictures")
    parser.add_argument(
        "--limit", type=_positive, help=f"use this many frames only, spread over all (choosing: {CHOICE_FRAMES})"
    )
    parser.add_argument(
        "--baseline", action=argparse.BooleanOptionalAction, default=True, help="score felzenszwalb too"
    )
    parser.add_argument(
        "--prompted",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="ask the model for each true object too (bundles run once an object, checkpoints once a frame)",
    )
    parser.add_argument(
        "--runtime", default=AUTO, help=f"that runs a bundle: {', '.join([AUTO, *RUNTIMES])} (default: {AUTO})"
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
    choosing = args.tune_baseline or args.choose_thresholds
    for path in (args.json, args.markdown, args.html):
        if path is not None:
            check_writable(path)
    if args.overlays is not None and args.overlays.exists() and not args.overlays.is_dir():
        raise SaomError(f"overlays cannot go to {args.overlays}: it is a file; give a folder")
    if args.overlays is not None:
        check_writable(args.overlays / "best.png")
    frames = open_frames(
        args.data, args.images, args.limit or (CHOICE_FRAMES if choosing else None), exhaustive=not args.partial
    )
    if args.tune_baseline:
        return _tune_baseline(args, frames)
    system, segmenter = load_system(args.model, args.threads, args.runtime)
    if args.choose_thresholds:
        return _choose_thresholds(args, segmenter, frames)
    return _score(args, system, segmenter, frames)


def check_writable(path: Path) -> None:
    """Make the folder of a file and try to write into it, before hours of work are lost.

    Raises:
        SaomError: the path is a folder, or nothing can be written there.
    """
    if path.is_dir():
        raise SaomError(f"cannot write {path}: it is a folder; give the name of a file")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path.parent):
            pass
    except OSError as error:
        raise SaomError(f"cannot write {path}: {error.strerror}; choose a writable folder") from None


def _score(args: argparse.Namespace, system: System, segmenter: Segmenter, frames: FrameSet) -> int:
    name = segmenter.config.name
    systems = {name: system if args.prompted else replace(system, prompter=None)}
    if args.baseline:
        systems["felzenszwalb"] = System(baseline.FelzenszwalbBaseline())
    gallery = Gallery(args.overlay_count) if args.overlays or args.html else None
    summary = DataSummary(frames.name)
    watched = tqdm(summary.watch(iter(frames)), total=len(frames), unit="frame", desc="evaluate")
    results = evaluate(systems, watched, args.min_area, gallery)
    model = {
        "path": str(args.model),
        "name": name,
        "version": segmenter.config.version,
        "thresholds": asdict(segmenter.thresholds),
        "runtime": f"{segmenter.runtime.name} {segmenter.runtime.note}",
    }
    record = _record(
        args,
        {
            "data": asdict(summary),
            "model": model,
            "baseline": asdict(baseline.BaselineParameters()) if args.baseline else None,
            "systems": {system: _report(scores, frames.name) for system, scores in results.items()},
        },
    )
    print(markdown_table(figures_table(record["systems"])))
    print()
    print("\n".join(data_lines(record)))
    _write_report(args, record, gallery)
    return 0


def _write_report(args: argparse.Namespace, record: dict[str, Any], gallery: Gallery | None) -> None:
    if args.json:
        write_json(args.json, record)
    if gallery and args.overlays:
        gallery.write(args.overlays)
    if not (args.markdown or args.html):
        return
    title = f"{record['model']['name']} {record['model']['version']} on {Path(record['data']['folder']).name}"
    sections = report_sections(record, gallery.pictures() if gallery else [])
    if args.markdown:
        write_atomically(args.markdown, markdown_page(title, sections).encode())
    if args.html:
        write_atomically(args.html, html_page(title, sections).encode())


def _report(scores: SystemScores, data: str) -> dict[str, Any]:
    try:
        return scores.report()
    except ValueError as error:
        raise SaomError(f"{data}: {error}") from None


def _choose_thresholds(args: argparse.Namespace, segmenter: Segmenter, frames: FrameSet) -> int:
    chosen_on = validation_frames(frames)
    before = asdict(segmenter.thresholds)

    def search(tick: Callable[[], object]) -> SearchResult:
        return choose_thresholds(segmenter, chosen_on, min_object_area=args.min_area, progress=tick)

    result = _search(search, frames)
    print(f"thresholds before: {before}, objective {result.start_value:.1f}")
    print(f"thresholds chosen: {result.best}, objective {result.value:.1f}")
    if args.json:
        write_json(args.json, _record(args, {"frames": len(frames), "before": before, **asdict(result)}))
    return 0


def _tune_baseline(args: argparse.Namespace, frames: FrameSet) -> int:
    chosen_on = validation_frames(frames)

    def search(tick: Callable[[], object]) -> SearchResult:
        return baseline.tune(chosen_on, min_object_area=args.min_area, progress=tick)

    result = _search(search, frames)
    print(f"baseline before: {asdict(baseline.BaselineParameters())}, objective {result.start_value:.1f}")
    print(f"baseline chosen: {result.best}, objective {result.value:.1f}")
    if args.json:
        write_json(args.json, _record(args, {"frames": len(frames), **asdict(result)}))
    return 0


def _search(search: Callable[[Callable[[], object]], SearchResult], frames: FrameSet) -> SearchResult:
    with tqdm(unit="trial", desc=f"search on {len(frames)} frames") as bar:
        try:
            return search(bar.update)
        except ValueError as error:
            raise SaomError(f"{frames.name}: {error}") from None


def _record(args: argparse.Namespace, content: Mapping[str, Any]) -> dict[str, Any]:
    """What JSON and pages tell: how the figures were made, and the figures."""
    return {
        "command": shlex.join(["python", "-m", "training", "evaluate", *sys.argv[2:]]),
        "min_object_area": args.min_area,
        **content,
        "versions": {"python": platform.python_version(), **{name: _version(name) for name in _PACKAGES}},
    }


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a positive integer")
    return int(text)
