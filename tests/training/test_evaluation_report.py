"""The report: complete, self-contained, and honest where a figure does not exist."""

import base64
import json
import re
from html.parser import HTMLParser

import cv2
import numpy as np
import pytest

from saom_ros.instances import Instances
from tests.robot.tiny_bundle import color_blocks, write_tiny_bundle
from training.__main__ import main
from training.evaluation.frames import LabelledFrame
from training.evaluation.gallery import Gallery, side_by_side
from training.evaluation.report import data_lines, report_sections
from training.evaluation.run import evaluate
from training.evaluation.systems import System
from training.reports.charts import lines_chart, rows_chart, unit_chart
from training.reports.pages import Picture, Section, html_page, markdown_page, markdown_table

CLASSES = {1: "Mug", 2: "Teapot", 3: "Book", 4: "<script>&"}
VOID_TAGS = {"meta", "img", "br"}
INK = (31, 119, 180)


def frame(key="one", **options):
    rgb, truth = color_blocks(96, 128)
    return LabelledFrame(key, rgb, truth.astype(np.uint16), CLASSES, **options)


def instances(truth):
    ids = np.unique(truth[truth > 0]).astype(np.int32)
    count = len(ids)
    unused = np.zeros((count, 4), np.float32), np.full(count, -1, np.int32), np.zeros(count, np.int64)
    return Instances(truth.astype(np.uint16), ids, np.full(count, 0.9, np.float32), *unused)


class Perfect:
    """Segments and answers prompts with the truth, but for the teapot."""

    truth = color_blocks(96, 128)[1]

    def segment(self, rgb):
        return instances(np.where(self.truth == 2, 0, self.truth))

    def grid(self, height, width):
        return np.array([[x, y] for y in range(4, height, 8) for x in range(4, width, 8)], np.float32)

    def masks(self, rgb, points):
        for x, y in points.astype(int):
            yield (self.truth == self.truth[y, x]) & (self.truth != 2)


def sections(*frames, exhaustive=True):
    gallery = Gallery(1)
    perfect = Perfect()
    systems = {"perfect": System(perfect.segment, perfect), "mute": System(lambda rgb: Instances.empty(96, 128))}
    results = evaluate(systems, frames or [frame(exhaustive=exhaustive)], gallery=gallery)
    record = {
        "command": "python -m training evaluate --data 'a b'",
        "data": {"folder": "rooms", "splits": {"test": 1}, "simulators": {"rooms": 1}, "sizes": {"128x96": 1}},
        "model": {"name": "perfect", "runtime": "none"},
        "systems": {name: scores.report() for name, scores in results.items()},
        "versions": {"numpy": "1", "torch": None},
    }
    return report_sections(record, gallery.pictures())


def table(found, title):
    rows = next(section for section in found if section.title.startswith(title)).table
    return {row[0]: row[1:] for row in rows}


class Structure(HTMLParser):
    """Open tags, pictures and everything that names another resource."""

    def __init__(self, page):
        super().__init__()
        self.open, self.pictures, self.resources, self.tags, self.text = [], [], [], set(), []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag, attributes):
        self.tags.add(tag)
        if tag not in VOID_TAGS:
            self.open.append(tag)
        for name, value in attributes:
            if tag == "img" and name == "src":
                self.pictures.append(value)
            elif name in ("src", "href", "srcset", "action", "data"):
                self.resources.append(value)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, text):
        self.text.append(text)


def test_figures_of_all_systems_stand_side_by_side():
    figures = table(sections(), "Figures")
    assert figures["%"] == ["perfect", "mute"]
    assert figures["recall@0.5"] == ["75.0", "0.0"]
    assert figures["GT-prompted mIoU"] == ["75.0", "-"]
    assert figures["score vs IoU, ECE (less is better)"] == ["10.0", "-"]


def test_prompted_figures_and_recall_are_given_by_class_and_for_held_out_classes():
    found = sections()
    assert table(found, "Classes: perfect")["Teapot"] == ["1", "0.0", "0.0", "0.0", "0.0", "0.0"]
    assert table(found, "Classes: perfect")["Mug"] == ["1", "100.0", "100.0", "100.0", "100.0", "100.0"]
    groups = [row for section in found if section.title == "Sets of classes" for row in section.table]
    assert ["all classes", "perfect", "4", "4", "75.0", "75.0", "75.0", "75.0"] in groups
    assert ["SAOM's 55 classes", "perfect", "2", "2", "100.0", "100.0", "100.0", "100.0"] in groups
    assert ["held out of training", "perfect", "1", "1", "0.0", "0.0", "0.0", "0.0"] in groups
    assert ["held out of training", "mute", "1", "1", "-", "-", "0.0", "0.0"] in groups
    (prompts,) = next(section.paragraphs for section in found if section.title == "Sets of classes")
    assert prompts.startswith("perfect: 100.0 % of the prompts were grid points")


def test_partial_annotation_shows_no_precision_and_says_so():
    found = sections(exhaustive=False)
    figures = table(found, "Figures")
    for name in ("Overlap precision", "Overlap F", "AP", "PQ", "precision@0.5", "score vs IoU, ECE (less is better)"):
        assert figures[name] == ["-", "-"], name
    assert figures["recall@0.5"] == ["75.0", "0.0"]
    assert "note: 1 of 1 frames name some of their objects only" in html_page("x", found)


def test_of_many_image_sizes_the_most_frequent_are_named():
    sizes = {"10x10": 1, "20x20": 9, "30x30": 2, "40x40": 3, "50x50": 4, "60x60": 1}
    record = {"data": {"folder": "photos", "splits": {"test": 1}, "simulators": {}, "sizes": sizes}, "systems": {}}
    record["model"] = {"name": "mute", "runtime": "openvino on the CPU in int8 and f32"}
    record["systems"]["mute"] = evaluate({"mute": System(lambda rgb: Instances.empty(96, 128))}, [frame()])[
        "mute"
    ].report()
    assert "size 20x20 9, 50x50 4, 40x40 3, 30x30 2, 2 others)" in data_lines(record)[0]
    assert "mute ran in openvino on the CPU in int8 and f32" in data_lines(record)


def test_the_page_is_whole_and_needs_nothing_beside_itself():
    page = html_page("perfect on rooms", sections())
    structure = Structure(page)
    assert structure.open == []
    assert structure.resources == []
    assert not structure.tags & {"script", "link", "iframe", "object"}
    assert not re.search(r"https?://|url\(|@import", page)
    # Sizes, two charts of classes, reliability, and the best, worst and random frame.
    assert len(structure.pictures) == 7
    for picture in structure.pictures:
        kind, content = re.fullmatch(r"data:image/(png|jpeg);base64,(.+)", picture).groups()
        assert cv2.imdecode(np.frombuffer(base64.b64decode(content, validate=True), np.uint8), 1) is not None, kind


def test_names_from_data_cannot_break_the_page():
    structure = Structure(html_page("<b>", sections()))
    assert "<script>&" in structure.text
    assert "<b>" in structure.text
    assert markdown_table([["class", "n"], ["a|b", "1"]]).splitlines()[2] == "| a\\|b  |   1 |"


def test_markdown_has_the_same_tables_and_no_pictures():
    page = markdown_page("perfect on rooms", sections())
    assert page.startswith("# perfect on rooms\n")
    assert "| recall@0.5 " in page
    assert "## Sets of classes" in page
    assert "## Best frames" not in page
    assert "`python -m training evaluate --data 'a b'`" in page
    assert "data:image" not in page


def test_wide_pictures_are_scaled_down_for_the_page():
    wide = Picture("wide", np.zeros((100, 2800, 3), np.uint8))
    (source,) = Structure(html_page("x", [Section("s", pictures=[wide])])).pictures
    decoded = cv2.imdecode(np.frombuffer(base64.b64decode(source.split(",")[1]), np.uint8), 1)
    assert decoded.shape == (50, 1400, 3)


def test_pictures_show_image_truth_with_ignored_pixels_and_prediction():
    ignore = np.zeros((96, 128), bool)
    ignore[60:90, 100:120] = True
    hatched = side_by_side(frame(ignore=ignore), Instances.empty(96, 128))
    plain = side_by_side(frame(), Instances.empty(96, 128))
    assert hatched.shape == (96, 3 * 128 + 16, 3)
    rows, columns = np.nonzero((hatched != plain).any(axis=-1))
    assert rows.min() >= 60
    assert rows.max() < 90
    assert columns.min() >= 136 + 100
    assert columns.max() < 136 + 120
    assert len(rows) > 50


def test_best_and_worst_frames_are_kept_in_order():
    gallery = Gallery(2)
    for key, iou in (("a", 0.5), ("b", 0.9), ("c", 0.1), ("d", 0.7)):
        gallery.add(frame(key), Instances.empty(96, 128), iou)
    kept = [(picture.kind, picture.place, picture.key) for picture in gallery.pictures()]
    assert kept[:4] == [("best", 0, "b"), ("best", 1, "d"), ("worst", 0, "c"), ("worst", 1, "a")]
    assert gallery.pictures()[0].file_name == "best_00_090_b.png"


def test_bars_are_measured_against_the_full_value():
    chart = rows_chart("recall", ["half", "none", "unknown"], [50.0, 0.0, float("nan")], full=100)
    bars = [(chart[40 + 18 * row + 9] == INK).all(axis=-1).sum() for row in range(3)]
    whole = (rows_chart("recall", ["unknown"], [100.0], full=100)[49] == INK).all(axis=-1).sum()
    assert bars[0] == pytest.approx(whole / 2, abs=4)
    assert bars[1:] == [0, 0]


def test_curves_pass_through_their_points():
    chart = unit_chart("reliability", ("score", "reached"), {"a": [(0.0, 0.0), (0.5, 1.0)]})
    assert chart.shape == (520, 620, 3)
    for x, y in ((0.0, 0.0), (0.25, 0.5), (0.5, 1.0)):
        assert tuple(chart[64 + round(400 * (1 - y)), 70 + round(400 * x)]) == INK
    assert tuple(chart[64 + 200, 70 + 300]) != INK


def test_a_curve_of_one_point_is_seen():
    chart = lines_chart("learning", "steps", {"a": [(100.0, 30.0)], "b": [(50.0, 30.0), (100.0, 15.0)]})
    inked = [(chart[:, :836] == color).all(axis=-1).sum() for color in (INK, (214, 96, 20))]  # the legend is behind
    assert 30 < inked[0] < 100
    assert inked[1] > 2 * inked[0]


def test_many_curves_have_a_legend_each_in_a_colour_of_their_own():
    curves = {f"arm {k}": [(0.0, 1.0), (10.0, 2.0)] for k in range(30)}
    legend = lines_chart("learning", "steps", curves)[:, 800:]
    lines = [(tuple(legend[54 + 20 * k, 20]), tuple(legend[54 + 20 * k + 10, 20])) for k in range(30)]
    assert len({line for line, _ in lines}) == 30
    assert {between for _, between in lines} == {(255, 255, 255)}


def test_the_command_writes_json_markdown_and_html(tmp_path, capsys):
    bundle = write_tiny_bundle(tmp_path / "bundle")
    rgb, truth = color_blocks(96, 128)
    for folder, image in (("images", rgb[..., ::-1]), ("labels", truth)):
        (tmp_path / "photos" / folder).mkdir(parents=True)
        cv2.imwrite(str(tmp_path / "photos" / folder / "one.png"), image)
    outputs = {kind: tmp_path / "out" / f"report.{kind}" for kind in ("json", "md", "html")}
    arguments = ["--json", outputs["json"], "--markdown", outputs["md"], "--html", outputs["html"]]
    command = ["evaluate", "--model", bundle, "--data", tmp_path / "photos", "--no-baseline", "--partial", *arguments]
    assert main([str(argument) for argument in command]) == 0
    figures = json.loads(outputs["json"].read_text())["systems"]["tiny"]["figures"]
    assert figures["recall_75"] == 100
    assert figures["prompted_miou"] > 90
    assert figures["precision_50"] is None
    assert "# tiny 1 on photos" in outputs["md"].read_text()
    assert Structure(outputs["html"].read_text()).open == []
    assert "| GT-prompted mIoU " in capsys.readouterr().out
