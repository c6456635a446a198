"""`saom bench`: what rows there are and what they say. No time is asserted: it is the machine's."""

from __future__ import annotations

import json
from types import SimpleNamespace

import numpy as np
import pytest
from tiny_bundle import WITHOUT_GPU

from saom_ros import Segmenter, benchmark, benchmark_rows, cli, runtimes
from saom_ros.benchmark_rows import Row, Stopwatch, percentile_rows, ratio_row, read_rows, table, write_rows
from saom_ros.bundle import load_config
from saom_ros.errors import SaomError


@pytest.fixture
def small(monkeypatch):
    """Two sizes that cost nothing, one runtime."""
    monkeypatch.setattr(benchmark, "SIZES", ((64, 48), (32, 24)))
    monkeypatch.setattr(benchmark, "QUICK_FRAMES", 2)
    monkeypatch.setattr(runtimes, "installed", lambda: {"onnxruntime": "1"})


def test_quick_benchmark_runs_from_end_to_end_and_names_its_rows(small, tiny_bundle, tmp_path, capsys):
    path = tmp_path / "bench.json"

    assert cli.main(["bench", "--quick", "--model", str(tiny_bundle), "--json", str(path)]) == 0

    entries = json.loads(path.read_text())
    assert all(set(entry) == {"area", "name", "value", "unit", "ratio_to"} for entry in entries)
    names = [entry["name"] for entry in entries]
    assert len(names) == len(set(names)), "a name twice cannot be looked up"
    for stage in (*benchmark.ALWAYS, "run", "cloud (on demand)", "overlay (on demand)"):
        for size in ("64x48", "32x24"):
            assert {f"{size}, {stage}, p50", f"{size}, {stage}, p95"} <= set(names)
    assert {"CPU", "AVX2", "AVX-512", "VNNI", "AMX", "tiny, onnxruntime, run, p50"} <= set(names)
    assert {f"64x48, Segmenter with {WITHOUT_GPU}", "onnxruntime, memory of a process (peak RSS)"} <= set(names)
    assert all(entry["value"] > 0 for entry in entries if entry["area"] == "robot" and entry["unit"])
    assert "| 64x48, paint, p50" in capsys.readouterr().out


def test_json_without_a_file_is_printed_alone(monkeypatch, capsys):
    monkeypatch.setattr(benchmark, "rows", lambda quick, bundle: [Row("a", "b", float(quick), "ms")])
    assert cli.main(["bench", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == [
        {"area": "a", "name": "b", "value": 0.0, "unit": "ms", "ratio_to": None}
    ]


def test_a_bundle_that_is_not_there_is_told_in_one_line(tmp_path, capsys):
    assert cli.main(["bench", "--quick", "--model", str(tmp_path / "none")]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_runtimes_that_give_way_to_others_are_left_out_and_openvino_is_measured_in_f32_too(monkeypatch, tiny_bundle):
    opened = {
        "tensorrt": SimpleNamespace(name="onnxruntime", note="on the CPU (TensorRT: no GPU)"),
        "openvino": SimpleNamespace(name="openvino", note="on the CPU in bf16"),
    }
    monkeypatch.setattr(runtimes, "installed", lambda: dict.fromkeys(opened, "1"))
    monkeypatch.setattr(runtimes, "create", lambda folder, config, name: opened[name])
    monkeypatch.setattr(benchmark, "_openvino_f32", lambda folder, config: "in f32")
    config = load_config(tiny_bundle)
    assert benchmark.open_runtimes(tiny_bundle, config) == {"openvino": opened["openvino"], "openvino f32": "in f32"}
    opened["openvino"].note = "on the CPU in f32"
    assert list(benchmark.open_runtimes(tiny_bundle, config)) == ["openvino"], "it would be measured twice"


def test_runtimes_are_compared_with_the_first_one(monkeypatch, segmenter):
    runtime = segmenter.runtime
    rows = benchmark.runtime_rows(segmenter.config, {"a": runtime, "b": runtime}, benchmark.pictures(2, 32, 24))
    assert [(row.name, row.ratio_to) for row in rows if row.unit == "x"] == [("tiny, b, speed", "tiny, a, speed")]


def test_the_model_is_given_what_the_segmenter_gives_it(segmenter, monkeypatch):
    rgb = np.random.default_rng(0).integers(0, 256, (48, 64, 3), np.uint8)
    given = benchmark._model_inputs(segmenter.config, rgb)
    found = segmenter.runtime.run(given)
    monkeypatch.setattr(segmenter, "runtime", SimpleNamespace(run=lambda inputs: seen.update(inputs) or found))
    seen: dict = {}
    Segmenter.__call__(segmenter, rgb)
    assert set(seen) == set(given)
    assert all((seen[name] == given[name]).all() for name in given)


def test_percentiles_are_milliseconds():
    rows = percentile_rows("area", "stage", [0.001 * k for k in range(101)])
    assert [(row.name, row.value, row.unit) for row in rows] == [
        ("stage, p50", 50.0, "ms"),
        ("stage, p95", 95.0, "ms"),
    ]


def test_a_turn_is_the_sum_of_its_stages():
    watch = Stopwatch()
    watch.seconds = {"a": [1.0, 2.0], "b": [10.0, 20.0], "c": [100.0, 100.0]}
    assert watch.turns(("a", "b")) == [11.0, 22.0]
    assert watch.median("a") == 1.5


def test_a_stopwatch_hands_the_answer_on():
    watch = Stopwatch()
    assert watch.measure("stage", lambda: 7) == 7
    assert len(watch.seconds["stage"]) == 1


def test_rows_come_back_from_their_file(tmp_path):
    rows = [Row("machine", "CPU", "a CPU"), ratio_row("robot", "speed", 2.0, "another speed")]
    write_rows(tmp_path / "rows.json", rows)
    assert read_rows(tmp_path / "rows.json") == rows


@pytest.mark.parametrize("content", ["", "{}1", '[{"area": "a"}]', "[3]"])
def test_a_file_without_rows_is_refused(tmp_path, content):
    (tmp_path / "rows.json").write_text(content)
    with pytest.raises(SaomError, match=r"rows\.json: holds no rows"):
        read_rows(tmp_path / "rows.json")


def test_tables_are_by_area_with_what_a_ratio_is_to():
    text = table([Row("a", "one", 1.5, "ms"), ratio_row("a", "two", 0.25, "one"), Row("b", "CPU", "good")])
    parts = text.split("\n\n")
    first, second = ([[cell.strip() for cell in line.split("|")[1:-1]] for line in part.splitlines()] for part in parts)
    assert first[0] == ["a", "", "ratio to"]
    assert first[2:] == [["one", "1.5 ms", ""], ["two", "0.25 x", "one"]]
    assert second[2:] == [["CPU", "good", ""]]


def test_peak_memory_is_at_least_what_is_held():
    held = np.ones(30_000_000)
    assert benchmark_rows.peak_megabytes() > held.nbytes / 2**20
