"""Look at shard folders, check them, and exchange them with other tools.

`info` prints figures, `check` verifies every sample, `sheet` draws a contact sheet; `to-coco` writes COCO instance
annotations, and the `from-...` verbs turn COCO, folders of label maps, BOP (BlenderProc and others) and the output of
Isaac Sim Replicator's BasicWriter into shards for training and evaluation.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from tqdm import tqdm

from saom_ros.errors import SaomError
from training.data import info as dataset_info
from training.data import plots as dataset_plots
from training.data.check import FolderCheck
from training.data.interchange.bop import find_bop_frames
from training.data.interchange.importing import Loader, write_dataset
from training.data.interchange.label_folders import find_label_maps
from training.data.interchange.replicator import find_replicator_frames
from training.data.shards import count_samples, list_shards
from training.data.sheet import write_sheet
from training.data.storage import as_place
from training.simulators.base import SPLITS


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Command line of `python -m training dataset`."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")

    info = actions.add_parser("info", help="frames, scenes, objects, classes, sizes")
    info.add_argument("folder", type=as_place, metavar="DIR", help="folder of shards, or its URL (s3://bucket/name)")
    info.add_argument("--json", action="store_true", help="print JSON, with every class")
    info.add_argument("--plots", type=Path, metavar="DIR", help="draw charts into this folder, too")
    info.set_defaults(action=_info)

    check = actions.add_parser("check", help="verify every sample; exits 1 where anything is broken")
    check.add_argument("folder", type=as_place, metavar="DIR", help="folder of shards, or its URL (s3://bucket/name)")
    check.set_defaults(action=_check)

    sheet = actions.add_parser("sheet", help="draw sheet.png into the folder: samples with their objects coloured")
    sheet.add_argument("folder", type=as_place, metavar="DIR", help="folder of shards, or its URL, which needs --out")
    sheet.add_argument("--out", type=Path, metavar="FILE", help="draw this .png or .jpg instead")
    sheet.add_argument("--tiles", type=int, default=24, help="samples (default: 24)")
    sheet.add_argument("--columns", type=int, default=6, help="samples beside each other (default: 6)")
    sheet.add_argument("--where", nargs="+", default=[], metavar="KEY=VALUE", help="only samples whose json says so")
    sheet.set_defaults(action=_sheet)

    to_coco = actions.add_parser("to-coco", help="write COCO instance annotations and the pictures")
    to_coco.add_argument("folder", type=as_place, metavar="DIR", help="folder of shards, or its URL")
    to_coco.add_argument("out", type=Path, metavar="OUT", help="folder to make: annotations.json and images/")
    to_coco.set_defaults(action=_to_coco)

    from_coco = actions.add_parser("from-coco", help="make shards from COCO instances")
    from_coco.add_argument("annotations", type=Path, metavar="JSON", help="instance annotations: RLE or polygons")
    from_coco.add_argument("images", type=Path, metavar="IMAGES", help="folder that its file names are relative to")
    _add_import_arguments(from_coco, _from_coco)

    from_labels = actions.add_parser("from-labels", help="make shards from pictures and label maps of the same stem")
    from_labels.add_argument("images", type=Path, metavar="IMAGES", help="folder of pictures")
    from_labels.add_argument("labels", type=Path, metavar="LABELS", help="folder of 8- or 16-bit or palette PNGs")
    from_labels.add_argument(
        "--background", type=int, nargs="+", default=[], help="values that are no objects besides 0 (255 in Pascal VOC)"
    )
    _add_import_arguments(from_labels, _from_labels)

    from_bop = actions.add_parser("from-bop", help="make shards from a BOP scene, split or data set")
    from_bop.add_argument("source", type=Path, metavar="DIR", help="folder with scene_gt.json in it or below")
    _add_import_arguments(from_bop, _from_bop)

    from_replicator = actions.add_parser("from-replicator", help="make shards from Replicator's BasicWriter")
    from_replicator.add_argument("source", type=Path, metavar="DIR", help="its output_dir")
    _add_import_arguments(from_replicator, _from_replicator)


def _add_import_arguments(parser: argparse.ArgumentParser, action: Callable[[argparse.Namespace], int]) -> None:
    parser.add_argument("out", type=Path, metavar="OUT", help="folder to make; appears when all frames are in it")
    parser.add_argument("--split", choices=SPLITS, default="test", help="what the frames are for (default: test)")
    parser.set_defaults(action=action)


def main(args: argparse.Namespace) -> int:
    """Run one action; 0, or 1 where `check` finds something broken. Raises SaomError for a user's mistake."""
    return int(args.action(args))


def _info(args: argparse.Namespace) -> int:
    with _bar(args, "info") as bar:
        info = dataset_info.gather(args.folder, bar.update)
    summary = info.summary()
    print(json.dumps(summary, indent=2) if args.json else dataset_info.describe(summary))
    if args.plots:
        for path in dataset_plots.write_plots(info, args.plots):
            print(f"chart {path}", file=sys.stderr)
    return 0


def _bar(args: argparse.Namespace, name: str) -> Any:
    """A progress bar over the frames of the folder; broken shards are left to the action to name."""
    total = 0
    for path in list_shards(args.folder):
        with suppress(SaomError):
            total += count_samples(path)
    return tqdm(total=total, unit="frame", desc=name, mininterval=0.5)


def _check(args: argparse.Namespace) -> int:
    check = FolderCheck(args.folder)
    with _bar(args, "check") as bar:
        for problem in check.problems():
            if problem is None:
                bar.update()
            else:
                bar.write(problem)
    checked = f"{check.samples} frames in {check.shards} shards"
    if not check.broken:
        print(f"{args.folder}: {checked}, nothing broken")
        return 0
    print(f"{args.folder}: {checked}, {check.broken.total()} problems in {', '.join(sorted(check.broken))}")
    return 1


def _sheet(args: argparse.Namespace) -> int:
    for option, value in {"--tiles": args.tiles, "--columns": args.columns}.items():
        if value < 1:
            raise SaomError(f"{option} {value} is too small; give at least 1")
    if args.out is None and not isinstance(args.folder, Path):
        raise SaomError(f"{args.folder} is a URL, and a sheet is drawn on this machine; say where with --out FILE")
    where = dict(pair.partition("=")[::2] for pair in args.where)
    print(write_sheet(args.folder, args.out, args.tiles, args.columns, where))
    return 0


def _to_coco(args: argparse.Namespace) -> int:
    from training.data.interchange.coco_export import ANNOTATIONS_NAME, export_coco  # pycocotools: only where needed

    with _bar(args, "to-coco") as bar:
        count = export_coco(args.folder, args.out, bar.update)
    print(f"{count} frames in {args.out / ANNOTATIONS_NAME}")
    return 0


def _from_coco(args: argparse.Namespace) -> int:
    from training.data.interchange.coco_import import find_coco_frames  # pycocotools: only where needed

    return _import(args, find_coco_frames(args.annotations, args.images), "coco", args.annotations.stem)


def _from_labels(args: argparse.Namespace) -> int:
    loaders = find_label_maps(args.images, args.labels, frozenset(args.background))
    return _import(args, loaders, "labels", args.images.resolve().name)


def _from_bop(args: argparse.Namespace) -> int:
    return _import(args, find_bop_frames(args.source), "bop", args.source.resolve().name)


def _from_replicator(args: argparse.Namespace) -> int:
    return _import(args, find_replicator_frames(args.source), "replicator", args.source.resolve().name)


def _import(args: argparse.Namespace, loaders: Sequence[Loader], origin: str, name: str) -> int:
    with tqdm(total=len(loaders), unit="frame", desc=f"from-{origin}", mininterval=0.5) as bar:
        write_dataset(loaders, origin, name, args.split, args.out, bar.update)
    print(f"{len(loaders)} frames in {args.out}")
    return 0
