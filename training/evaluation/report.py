"""What a report says, once for all its forms: sections of text, tables and pictures, made from the JSON record."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from training.evaluation.gallery import KeptPicture
from training.metrics import SIZES
from training.reports.charts import rows_chart, unit_chart
from training.reports.pages import Picture, Section

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
    ("PQ", "pq"),
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
    ("score vs IoU, ECE (less is better)", "ece_iou"),
    ("score vs IoU >= 0.5, ECE (less is better)", "ece_correct"),
    ("GT-prompted mIoU", "prompted_miou"),
    ("GT-prompted mAcc", "prompted_macc"),
)
"""Rows of the table: label and key of a system's figures."""

_CLASS_COLUMNS = (
    ("objects", "objects"),
    ("recall@0.5", "recall_50"),
    ("recall@0.75", "recall_75"),
    ("mean best IoU", "mean_iou"),
    ("GT-prompted IoU", "prompted_iou"),
    ("GT-prompted Acc", "prompted_acc"),
)
_GROUP_COLUMNS = (
    ("classes", "classes"),
    ("objects", "objects"),
    ("GT-prompted mIoU", "prompted_miou"),
    ("GT-prompted mAcc", "prompted_macc"),
    ("recall@0.5", "recall_50"),
    ("recall@0.75", "recall_75"),
)
_NAMES_SHOWN = 4
_CLASSES_DRAWN = 50
"""Bars by class; the table has all."""
_MEANINGS = (
    "Everything mode is scored on painted label maps, as a robot gets them. Overlap and Boundary P/R/F and detected "
    "@75 are means over frames (Dave et al. 2019), AP and AR@100 are COCO's on masks, PQ is class-agnostic (Kirillov "
    "et al. 2019); recall and precision count objects and predictions of all frames together. An object is "
    "over-segmented where its best IoU is below 0.75 and two predictions or more lie at least 80 % inside it, each "
    "over 10 % of it or more; it is under-segmented where one prediction covers half of it and half of another.",
    "GT-prompted figures are those of SAOM's paper: each object is asked for at the nearest grid point inside it, "
    "pixels are added up by class, mIoU and mAcc are means over classes. Extra and duplicate masks cost nothing there.",
)


def report_sections(record: Mapping[str, Any], kept: Sequence[KeptPicture]) -> list[Section]:
    """The whole report of an evaluation's record; the first system is the model, and what only it has is its own."""
    systems = record["systems"]
    model = next(iter(systems))
    return [
        Section("Figures", (*data_lines(record), *_MEANINGS), figures_table(systems)),
        _sizes(systems),
        _groups(systems),
        _classes(model, systems[model]),
        _calibration(model, systems[model]),
        *_frames(kept),
        Section("Made by", (f"`{record['command']}`", _versions(record))),
    ]


def figures_table(systems: Mapping[str, Mapping[str, Any]]) -> list[list[str]]:
    """One row a figure, one column a system, header first; figures that do not exist show as -."""
    body = [[label, *(cell(system["figures"][key]) for system in systems.values())] for label, key in ROWS]
    return [["%", *systems], *body]


def data_lines(record: Mapping[str, Any]) -> list[str]:
    """What the figures rest on, and how long a frame took."""
    data, systems = record["data"], record["systems"]
    count = next(iter(systems.values()))["counts"]
    by_size = ", ".join(f"{count[f'objects_{size}']} {size}" for size in SIZES)
    lines = [
        f"data: {data['folder']} (split {_join(data['splits'])}; simulator {_join(data['simulators'])}; "
        f"size {_join(data['sizes'])})",
        f"{count['frames']} frames, {count['objects']} objects ({by_size}), "
        f"{count['ignored_objects']} ignored (too small, or in regions to ignore)",
    ]
    model = record["model"]
    lines.append(f"{model['name']} ran in {model['runtime']}")
    for name, system in systems.items():
        lines.append(
            f"{name}: {system['counts']['predictions']} instances, "
            f"{system['ms_per_frame']:.0f} ms a frame (median, this machine)"
        )
    partial = count["frames"] - count["exhaustive_frames"]
    if partial:
        lines.append(
            f"note: {partial} of {count['frames']} frames name some of their objects only; precision, F, AP, PQ and "
            "calibration are those of the others"
        )
    if "train" in data["splits"]:
        lines.append("note: these frames belong to the training split; figures on them say nothing about new rooms")
    return lines


def cell(value: float | None) -> str:
    """A figure as tables show it: counts as they are, percentages with one decimal, - where there is none."""
    if value is None or math.isnan(value):
        return "-"
    return str(value) if isinstance(value, int) else f"{value:.1f}"


def _sizes(systems: Mapping[str, Mapping[str, Any]]) -> Section:
    counts = next(iter(systems.values()))["counts"]
    figures = [(label, key) for label, key in ROWS if key.startswith("recall_") and key.endswith(SIZES)]
    bars = [(f"{label}, {name}", system["figures"][key]) for label, key in figures for name, system in systems.items()]
    text = ", ".join(f"{size} {counts[f'objects_{size}']}" for size in SIZES)
    return Section(
        "By size",
        (f"Visible pixels in a frame of 512 x 384: small below 32 x 32, medium below 96 x 96. Objects: {text}.",),
        pictures=(Picture("Recall by size", _bars("recall by size, %", bars)),),
    )


def _groups(systems: Mapping[str, Mapping[str, Any]]) -> Section:
    rows = [
        [group, name, *(cell(figures[key]) for _, key in _GROUP_COLUMNS)]
        for name, system in systems.items()
        for group, figures in system["class_groups"].items()
    ]
    prompts = [
        f"{name}: {cell(system['figures']['prompted_on_grid'])} % of the prompts were grid points; the other objects "
        "have none inside and were asked at their own deepest point."
        for name, system in systems.items()
        if system["figures"]["prompted_on_grid"] == system["figures"]["prompted_on_grid"]
    ]
    return Section("Sets of classes", prompts, [["%", "system", *(label for label, _ in _GROUP_COLUMNS)], *rows])


def _classes(name: str, system: Mapping[str, Any]) -> Section:
    classes = dict(sorted(system["classes"].items(), key=lambda entry: -entry[1]["objects"]))
    rows = [[label, *(cell(figures[key]) for _, key in _CLASS_COLUMNS)] for label, figures in classes.items()]
    shown = list(classes.items())[:_CLASSES_DRAWN]
    charts = [
        ("recall@0.5 by class (objects), %", "recall_50"),
        ("GT-prompted IoU by class (objects), %", "prompted_iou"),
    ]
    return Section(
        f"Classes: {name}",
        (f"{len(classes)} classes, the most frequent first.",),
        [["class", *(label for label, _ in _CLASS_COLUMNS)], *rows],
        [
            Picture(
                title, _bars(title, [(f"{label} ({figures['objects']})", figures[key]) for label, figures in shown])
            )
            for title, key in charts
        ],
    )


def _calibration(name: str, system: Mapping[str, Any]) -> Section:
    bins = system["calibration"]
    used = [k for k, count in enumerate(bins["predictions"]) if count]
    edges = np.linspace(0, 1, len(bins["predictions"]) + 1)
    rows = [
        [
            f"{edges[k]:.2f} to {edges[k + 1]:.2f}",
            str(bins["predictions"][k]),
            *(f"{bins[key][k]:.2f}" for key in ("score", "iou", "correct")),
        ]
        for k in used
    ]
    curves = {
        label: [(bins["score"][k], bins[key][k]) for k in used]
        for label, key in (("mean IoU", "iou"), ("IoU >= 0.5", "correct"))
    }
    return Section(
        f"Calibration of scores: {name}",
        (
            "A score promises the mask's IoU. On the diagonal it keeps its promise; below it, it promises too much. "
            "ECE (Guo et al. 2017) is the mean distance from the diagonal over predictions, once for the mean IoU and "
            f"once for the share of masks with an IoU of 0.5 or more: {cell(system['figures']['ece_iou'])} and "
            f"{cell(system['figures']['ece_correct'])} %.",
        ),
        [["score", "predictions", "mean score", "mean IoU", "share IoU >= 0.5"], *rows],
        (Picture("Reliability", unit_chart(f"reliability of {name}", ("score", "reached"), curves)),),
    )


def _frames(kept: Sequence[KeptPicture]) -> list[Section]:
    sections = []
    for kind, title in (("best", "Best frames"), ("worst", "Worst frames"), ("random", "Random frames")):
        pictures = [
            Picture(f"{picture.key}: mean best IoU {100 * picture.mean_iou:.0f} %", picture.pixels)
            for picture in kept
            if picture.kind == kind
        ]
        if pictures:
            sections.append(
                Section(title, ("Image, ground truth (ignored pixels hatched), prediction.",), (), pictures)
            )
    return sections


def _bars(title: str, bars: Sequence[tuple[str, float | None]]) -> NDArray[np.uint8]:
    values = [math.nan if value is None else round(value, 1) for _, value in bars]
    return rows_chart(title, [name for name, _ in bars], values, full=100)


def _versions(record: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {version}" for name, version in record["versions"].items() if version)


def _join(counted: Mapping[str, int]) -> str:
    """The most frequent names with their counts, the rest as a number."""
    names = sorted(counted, key=lambda name: -counted[name])
    shown = [f"{name} {counted[name]}" if len(names) > 1 else name for name in names[:_NAMES_SHOWN]]
    rest = len(names) - len(shown)
    return ", ".join([*shown, f"{rest} others"] if rest else shown)
