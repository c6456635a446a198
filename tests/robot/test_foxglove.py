"""The Foxglove layout holds together and shows what the node publishes.

It was never opened in Foxglove itself here. The names of panels and of their settings were compared with the layouts of
foxglove-sdk 0.30 and with the source of Lichtblick, which grew out of Foxglove's last open version.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

LAYOUT = json.loads((Path(__file__).resolve().parents[2] / "config" / "segment.foxglove.json").read_text())

PANELS = {"3D", "DiagnosticSummary", "Image", "Plot", "RawMessages"}
"""Types of panels, as the part of an id before the exclamation mark names them."""


def leaves(layout: str | dict[str, Any]) -> Iterator[str]:
    """Ids of the panels in a layout: a tree of splits with two sides each."""
    if isinstance(layout, str):
        yield layout
    else:
        assert layout["direction"] in ("row", "column")
        assert 0 < layout.get("splitPercentage", 50) < 100
        yield from leaves(layout["first"])
        yield from leaves(layout["second"])


def plotted() -> list[str]:
    return [path["value"] for config in LAYOUT["configById"].values() for path in config.get("paths", [])]


def paths() -> list[str]:
    """Every message path: what is plotted and what is shown as it is."""
    return plotted() + [config["topicPath"] for config in LAYOUT["configById"].values() if "topicPath" in config]


def topics() -> set[str]:
    """Every topic that a panel shows."""
    found = {path.split(".")[0] for path in paths()}
    for config in LAYOUT["configById"].values():
        found |= {config[key] for key in ("topicToRender",) if key in config} | set(config.get("topics", {}))
        found |= {config.get("imageMode", {}).get("imageTopic", "")} - {""}
    return found


def test_each_panel_of_the_layout_is_configured_and_each_configured_one_is_in_it():
    shown = list(leaves(LAYOUT["layout"]))
    assert sorted(shown) == sorted(LAYOUT["configById"])
    assert {panel.split("!")[0] for panel in shown} == PANELS


def test_it_shows_topics_that_the_node_publishes():
    pipeline = pytest.importorskip("saom_ros.nodes.pipeline", reason="needs the ROS messages")
    results = (pipeline.MASK, pipeline.TARGET_MASK, pipeline.OVERLAY, pipeline.POINTS)
    assert topics() == {f"/segment_node/{name}" for name in results} | {"/diagnostics"}


def test_it_picks_the_nodes_own_status_out_of_the_diagnostics():
    assert all('.status[:]{name=="segment_node: segmentation"}' in path for path in paths())


def test_it_plots_numbers_of_the_diagnostics():
    from saom_ros.nodes.diagnostics import Health, key_values

    keys = {re.fullmatch(r'.*\.values\[:\]\{key=="(\w+)"\}\.value', path)[1] for path in plotted()}
    assert keys == {"latency_ms", "inference_ms", "overhead_ms"}
    assert keys <= set(key_values(Health(state="active", model="", runtime="", failure="")))


def test_it_colours_points_by_a_field_that_they_have():
    from saom_ros.clouds import POINT

    for settings in LAYOUT["configById"]["3D!points"]["topics"].values():
        assert settings["colorField"] in POINT.names
