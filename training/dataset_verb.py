"""Look at shard folders, check them, and exchange them with other tools.

`info` prints figures, `check` verifies every sample, `sheet` draws a contact sheet; `to-coco` writes COCO instance
annotations, and the `from-...` verbs turn COCO, folders of label maps, BOP (BlenderProc and others) and the output of
Isaac Sim Replicator's BasicWriter into shards for training and evaluation.
"""

from __future__ import annotations

import argparse
import json
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

from tqdm import tqdm

from saom_ros.errors import SaomError
from training import dataset_info, dataset_plots
from training.dataset_check import FolderCheck
from training.shards import count_samples, list_shards
from training.sheet import write_sheet


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Command line of `python -m training dataset`."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")

    info = actions.add_parser("info", help="frames, scenes, objects, classes, sizes")
    info.add_argument("folder", type=Path, metavar="DIR", help="folder of shards")
    info.add_argument("--json", action="store_true", help="print JSON, with every class")
    info.add_argument("--plots", type=Path, metavar="DIR", help="draw charts into this folder, too")
    info.set_defaults(action=_info)

    check = actions.add_parser("check", help="verify every sample; exits 1 where anything is broken")
    check.add_argument("folder", type=Path, metavar="DIR", help="folder of shards")
    check.set_defaults(action=_check)

    sheet = actions.add_parser("sheet", help="draw sheet.png into the folder: samples with their objects coloured")
    sheet.add_argument("folder", type=Path, metavar="DIR", help="folder of shards")
    sheet.set_defaults(action=_sheet)

    to_coco = actions.add_parser("to-coco", help="write COCO instance annotations and the pictures")
    to_coco.add_argument("folder", type=Path, metavar="DIR", help="folder of shards")
    to_coco.add_argument("out", type=Path, metavar="OUT", help="folder to make: annotations.json and images/")
    to_coco.set_defaults(action=_to_coco)


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
    print(write_sheet(args.folder))
    return 0


def _to_coco(args: argparse.Namespace) -> int:
    from training.interchange.coco_export import ANNOTATIONS_NAME, export_coco  # pycocotools: only where needed

    with _bar(args, "to-coco") as bar:
        count = export_coco(args.folder, args.out, bar.update)
    print(f"{count} frames in {args.out / ANNOTATIONS_NAME}")
    return 0
