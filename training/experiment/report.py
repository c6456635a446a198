"""The experiment's report: every arm's figures with their spread over seeds, and how it learned."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from saom_ros.image_files import write_atomically
from training.experiment.arms import Arm, Experiment
from training.experiment.examples import examples_picture
from training.experiment.run import Setting, read_scores, run_folder
from training.reports.charts import lines_chart
from training.reports.json_files import write_json
from training.reports.pages import Picture, Section, html_page, markdown_page, write_pictures

COLUMNS = (
    ("GT-prompted mIoU", "prompted_miou"),
    ("GT-prompted mAcc", "prompted_macc"),
    ("Overlap P", "overlap_precision"),
    ("Overlap R", "overlap_recall"),
    ("Overlap F", "overlap_f"),
    ("Boundary P", "boundary_precision"),
    ("Boundary R", "boundary_recall"),
    ("Boundary F", "boundary_f"),
    ("detected @75", "detected_75"),
    ("AP", "ap"),
    ("AR@100", "ar_100"),
    ("PQ", "pq"),
    ("recall@0.5", "recall_50"),
    ("recall@0.75", "recall_75"),
    ("over-segmented", "over_segmented"),
    ("under-segmented", "under_segmented"),
    ("ECE", "ece_iou"),
)
"""Figures of the tables: label and key in a system's figures."""
_CURVE = "val/prompted_miou"


def write_report(setting: Setting, seeds: Sequence[int], command: str) -> None:
    """Write `report.json`, `report.md`, `report.html` and its pictures from what has been scored; makes the folder."""
    found = {
        (arm.name, seed): scores
        for arm in setting.experiment.arms.values()
        for seed in seeds
        if (scores := read_scores(setting, arm, seed)) is not None
    }
    experiment = setting.experiment
    sections = [
        *(_figures(experiment, name, found, seeds) for name in setting.test),
        *(_gain(experiment, name, found, seeds) for name in setting.test),
        _classes(experiment, next(iter(setting.test)), found, seeds),
        _curves(setting, seeds),
        _examples(setting, found),
        Section("Made by", (f"`{command}`",)),
    ]
    setting.out.mkdir(parents=True, exist_ok=True)
    write_json(setting.out / "report.json", {"command": command, "runs": list(found.values())})
    write_atomically(setting.out / "report.md", markdown_page(experiment.title, sections).encode())
    write_atomically(setting.out / "report.html", html_page(experiment.title, sections).encode())
    write_pictures(setting.out, sections)


Found = Mapping[tuple[str, int], Mapping[str, Any]]
"""Scores by arm and seed."""


def _figures(experiment: Experiment, data: str, found: Found, seeds: Sequence[int]) -> Section:
    header = ["%", *(label for label, _ in COLUMNS)]
    rows = []
    for arm in experiment.arms.values():
        runs = [found[arm.name, seed]["scores"][data] for seed in seeds if (arm.name, seed) in found]
        if not runs:
            rows.append([arm.name, "not run", *[""] * (len(COLUMNS) - 1)])
        for system in runs[0] if runs else ():
            rows.append([system, *(spread([run[system]["figures"][key] for run in runs]) for _, key in COLUMNS)])
    questions = tuple(f"{arm.name}: {arm.question}{_images(arm, found)}." for arm in experiment.arms.values())
    note = f"Means over seeds, with the half range behind +-. {experiment.note}"
    return Section(data, (note, *questions), [header, *rows])


def _images(arm: Arm, found: Found) -> str:
    """How many images the arm has seen, where it has run."""
    seen = {run["images"] for (name, _), run in found.items() if name == arm.name and "images" in run}
    return f" ({max(seen)} images)" if seen else ""


def _gain(experiment: Experiment, data: str, found: Found, seeds: Sequence[int]) -> Section:
    """What the paper claims: mIoU and mAcc over the rival, in points and relative, by seed."""
    rows, rival = [], experiment.rival
    for name in (arm.name for arm in experiment.arms.values() if not arm.ambiguous and arm.name != rival):
        for label, key in COLUMNS[:2]:
            points, relative = [], []
            for seed in seeds:
                if (name, seed) not in found or (rival, seed) not in found:
                    continue
                of_arm = found[name, seed]["scores"][data][name]["figures"][key]
                of_base = found[rival, seed]["scores"][data][rival]["figures"][key]
                if of_arm is None or not of_base:
                    continue
                points.append(of_arm - of_base)
                relative.append(100 * (of_arm / of_base - 1))
            if points:
                rows.append([f"{name}, {label}", spread(points), spread(relative)])
    return Section(f"Gain over {rival}: {data}", (), [["", "points", "relative, %"], *rows] if rows else ())


def _classes(experiment: Experiment, data: str, found: Found, seeds: Sequence[int]) -> Section:
    """GT-prompted figures of sets of classes, and of each class."""
    columns = {
        arm: runs
        for arm in experiment.arms
        if (runs := [found[arm, s]["scores"][data][arm] for s in seeds if (arm, s) in found])
    }
    if not columns:
        return Section("By class")
    first = next(iter(columns.values()))[0]
    rows = [
        [name, *(spread([run["class_groups"][name]["prompted_miou"] for run in runs]) for runs in columns.values())]
        for name in first["class_groups"]
    ]
    for name in sorted(first["classes"], key=lambda label: -first["classes"][label]["objects"]):
        values = (
            [run["classes"][name]["prompted_iou"] for run in runs if name in run["classes"]]
            for runs in columns.values()
        )
        rows.append([f"{name} ({first['classes'][name]['objects']})", *map(spread, values)])
    return Section("GT-prompted IoU by class (objects)", (), [["%", *columns], *rows])


def _curves(setting: Setting, seeds: Sequence[int]) -> Section:
    curves = {
        f"{arm.name}, seed {seed}": points
        for arm in setting.experiment.arms.values()
        for seed in seeds
        if (points := learning_curve(run_folder(setting, arm, seed)))
    }
    if not curves:
        return Section("Learning")
    chart = lines_chart("GT-prompted mIoU of objects on validation rooms, %", "optimizer steps", curves)
    return Section("Learning", pictures=(Picture("Validation while training", chart),))


def _examples(setting: Setting, found: Found) -> Section:
    """What each system of the first seed finds in a few frames of the first test set."""
    name, frames = next(iter(setting.test.items()))
    first = min((seed for _, seed in found), default=0)
    runs = {
        system: run_folder(setting, setting.experiment.arms[arm], seed)
        for (arm, seed), scores in found.items()
        if seed == first
        for system in scores["scores"][name]
    }
    picture = examples_picture(runs, frames)
    caption = f"{name}, spread evenly over those scored, not chosen; seed {first}"
    return Section("Examples", pictures=() if picture is None else (Picture(caption, picture),))


def learning_curve(folder: Path) -> list[tuple[float, float]]:
    """(step, GT-prompted mIoU in %) of a run's validations; empty where there is none yet."""
    path = folder / "csv" / "metrics.csv"
    if not path.exists():
        return []
    with path.open() as file:
        return [(float(row["step"]), float(row[_CURVE])) for row in csv.DictReader(file) if row.get(_CURVE)]


def spread(values: Sequence[float | None]) -> str:
    """Mean of a figure over seeds, with half of its range where there are several; - where there is none."""
    known = [value for value in values if value is not None]
    if not known:
        return "-"
    mean = sum(known) / len(known)
    return f"{mean:.1f}" + (f" +-{(max(known) - min(known)) / 2:.1f}" if len(known) > 1 else "")
