"""The evaluate verb, from a shard folder on disk to its table, JSON and pictures."""

import json
from dataclasses import asdict, replace

import numpy as np
import pytest

from saom_ros.bundle import Thresholds
from saom_ros.errors import SaomError
from saom_ros.instances import Instances
from tests.robot.tiny_bundle import color_blocks, write_tiny_bundle
from training import metrics
from training.__main__ import main
from training.data.shards import ShardWriter
from training.evaluation.choosing import choose_thresholds
from training.evaluation.frames import LabelledFrame, open_frames
from training.evaluation.run import evaluate
from training.evaluation.systems import System
from training.export import read_evaluation
from training.simulators.base import Frame

HEIGHT, WIDTH = 192, 256


def frame(split="val", objects=True, shift=0):
    rgb, truth = color_blocks(HEIGHT, WIDTH)
    rgb, truth = np.roll(rgb, shift, axis=1), np.roll(truth, shift, axis=1).astype(np.uint16)
    meta = {"schema": 1, "simulator": "blocks", "split": split, "seed": 7, "scene": shift, "objects": []}
    return Frame(rgb=rgb, instances=truth if objects else 0 * truth, parts=None, depth=None, meta=meta)


def write_shards(folder, frames):
    folder.mkdir()
    for number in range(0, len(frames), 4):
        with ShardWriter(folder / f"blocks-{number // 4:06d}.tar") as writer:
            for k, entry in enumerate(frames[number : number + 4]):
                writer.add(f"blocks-{number + k:04d}", entry)
    return folder


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    return write_tiny_bundle(tmp_path_factory.mktemp("bundle"))


@pytest.fixture
def data(tmp_path):
    return write_shards(tmp_path / "data", [frame(shift=k) for k in range(6)])


def run(*arguments):
    return main(["evaluate", *map(str, arguments)])


def sample(key="one"):
    made = frame()
    return LabelledFrame(key, made.rgb, made.instances)


def test_table_shows_model_and_baseline_side_by_side(bundle, data, capsys):
    assert run("--model", bundle, "--data", data) == 0
    output = capsys.readouterr().out
    lines = output.splitlines()
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines if line.startswith("|")]
    assert rows[0] == ["%", "tiny", "felzenszwalb"]
    cells = {label: values for label, *values in rows}
    assert float(cells["recall@0.75"][0]) == float(cells["precision@0.5"][0]) == 100
    assert float(cells["Overlap F"][0]) > 95
    assert float(cells["under-segmented (less is better)"][0]) == 0
    assert cells["recall@0.5 small"] == ["-", "-"]
    assert len({len(line) for line in lines if line.startswith("|")}) == 1, "columns are aligned"
    assert "6 frames, 24 objects (0 small, 0 medium, 24 large), 0 ignored (too small, " in output
    assert "split val; simulator blocks; size 256x192" in output


def test_json_holds_command_data_thresholds_versions_and_figures(bundle, data, tmp_path):
    out = tmp_path / "deep" / "result.json"
    assert run("--model", bundle, "--data", data, "--no-baseline", "--json", out, "--limit", 3) == 0
    record = json.loads(out.read_text())
    assert record["command"].startswith("python -m training evaluate")
    assert record["data"]["splits"] == {"val": 3}
    assert record["model"]["thresholds"] == {"score": 0.3, "objectness": 0.5, "overlap": 0.5}
    assert record["baseline"] is None
    assert list(record["systems"]) == ["tiny"]
    report = record["systems"]["tiny"]
    assert report["figures"]["recall_50"] == 100
    assert report["figures"]["recall_50_small"] is None
    assert report["counts"]["frames"] == 3
    assert report["ms_per_frame"] > 0
    assert record["versions"]["numpy"] == np.__version__
    assert record["min_object_area"] == metrics.MIN_OBJECT_AREA


def test_limit_spreads_over_all_shards(data):
    assert [f.key for f in open_frames(data, limit=3)] == ["blocks-0000", "blocks-0002", "blocks-0004"]
    assert len(open_frames(data, limit=99)) == len(list(open_frames(data, limit=99))) == 6


def test_overlays_show_best_worst_and_random_frames(bundle, data, tmp_path):
    pictures = tmp_path / "look"
    assert run("--model", bundle, "--data", data, "--no-baseline", "--overlays", pictures, "--overlay-count", 2) == 0
    names = sorted(path.name for path in pictures.iterdir())
    assert [name.split("_")[0] for name in names] == ["best"] * 2 + ["random"] * 2 + ["worst"] * 2


def test_frames_of_the_training_split_are_pointed_out(bundle, tmp_path, capsys):
    data = write_shards(tmp_path / "data", [frame(split="train")])
    assert run("--model", bundle, "--data", data, "--no-baseline") == 0
    assert "note: these frames belong to the training split" in capsys.readouterr().out


def test_empty_answers_do_not_score(data):
    mute = System(lambda rgb: Instances.empty(*rgb.shape[:2]))
    results = evaluate({"mute": mute}, open_frames(data))
    figures = results["mute"].report()["figures"]
    assert all(value == 0 or np.isnan(value) for value in figures.values())


class StubSegmenter:
    """Answers the truth when its thresholds are right, an extra mask below the score, nothing above it."""

    runtime = None

    def __init__(self, right):
        self.thresholds = Thresholds(score=0.5, objectness=0.2, overlap=0.5)
        self.right = right
        self.asked = []

    def __call__(self, rgb):
        self.asked.append(self.thresholds)
        truth = frame().instances.copy()
        if self.thresholds.score > self.right:
            truth[truth > 2] = 0
        elif self.thresholds.score < self.right:
            truth[:20, -20:] = 9
        ids = np.unique(truth[truth > 0]).astype(np.int32)
        count = len(ids)
        unused = np.zeros((count, 4), np.float32), np.full(count, -1, np.int32), np.zeros(count, np.int64)
        return Instances(truth, ids, np.ones(count, np.float32), *unused)


def test_thresholds_are_chosen_by_the_objective_and_left_set():
    segmenter = StubSegmenter(right=0.25)
    result = choose_thresholds(segmenter, [sample()])
    assert result.best == {"score": 0.25, "objectness": 0.2, "overlap": 0.5}
    assert segmenter.thresholds == Thresholds(0.25, 0.2, 0.5)
    assert result.value == pytest.approx(100)
    assert result.start_value < 90
    assert len(segmenter.asked) <= 40


def test_choose_thresholds_prints_and_stores_them(bundle, data, tmp_path, capsys):
    out = tmp_path / "chosen.json"
    assert run("--model", bundle, "--data", data, "--limit", 1, "--choose-thresholds", "--json", out) == 0
    assert "thresholds chosen: {'score': 0.3" in capsys.readouterr().out
    record = json.loads(out.read_text())
    assert set(record["best"]) == {"score", "objectness", "overlap"}
    assert record["value"] >= record["start_value"]


def test_export_takes_thresholds_and_figures_from_both_records(bundle, data, tmp_path):
    chosen, scored = tmp_path / "chosen.json", tmp_path / "scored.json"
    assert run("--model", bundle, "--data", data, "--limit", 1, "--choose-thresholds", "--json", chosen) == 0
    assert run("--model", bundle, "--data", data, "--no-baseline", "--json", scored) == 0
    thresholds, figures = read_evaluation(chosen)
    assert asdict(thresholds) == json.loads(chosen.read_text())["best"]
    assert figures["frames"] == 1
    thresholds, figures = read_evaluation(scored)
    assert thresholds == Thresholds(score=0.3, objectness=0.5, overlap=0.5)
    assert figures["recall_75"] == 100
    assert figures["splits"] == {"val": 6}


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"best": {"scale": 300}, "value": 1, "frames": 1}'])
def test_export_refuses_a_record_without_thresholds(tmp_path, content):
    path = tmp_path / "record.json"
    path.write_text(content)
    with pytest.raises(SaomError, match=r"record\.json: holds no thresholds"):
        read_evaluation(path)
    with pytest.raises(SaomError, match=r"none\.json: cannot be read"):
        read_evaluation(tmp_path / "none.json")


def test_baseline_parameters_are_tuned_by_the_same_command(data, capsys, monkeypatch):
    monkeypatch.setattr("training.evaluation.baseline.CANDIDATES", {"max_area": (0.1, 0.5)})
    assert run("--data", data, "--limit", 1, "--tune-baseline") == 0
    assert "baseline chosen: {'scale': " in capsys.readouterr().out


@pytest.mark.parametrize("mode", ["--choose-thresholds", "--tune-baseline"])
def test_nothing_is_chosen_on_test_frames(bundle, tmp_path, capsys, mode):
    data = write_shards(tmp_path / "data", [frame(split="test")])
    assert run("--model", bundle, "--data", data, mode) == 2
    assert "collect some with --split val" in capsys.readouterr().err


def test_settings_are_chosen_without_what_is_ignored():
    """The extra mask that a low score lets through lies on pixels that do not count: no change gains anything."""
    ignored = np.zeros((HEIGHT, WIDTH), bool)
    ignored[:20, -20:] = True
    segmenter = StubSegmenter(right=0.25)
    segmenter.thresholds = Thresholds(score=0.05, objectness=0.2, overlap=0.5)
    result = choose_thresholds(segmenter, [replace(sample(), ignore=ignored)])
    assert result.start_value == result.value == pytest.approx(100)


def test_bad_input_is_one_clear_line_and_exit_2(bundle, data, tmp_path, capsys):
    empty = tmp_path / "empty"
    empty.mkdir()
    broken = write_shards(tmp_path / "broken", [frame()])
    shard = next(broken.glob("*.tar"))
    shard.write_bytes(shard.read_bytes()[:3000])
    bare = write_shards(tmp_path / "bare", [frame(objects=False)])
    a_file = tmp_path / "file"
    a_file.touch()
    for arguments, message in [
        (("--model", bundle, "--data", tmp_path / "nowhere"), "nowhere does not exist"),
        (("--model", bundle, "--data", empty), "holds no *.tar shard, no labels/ beside images/"),
        (("--model", bundle, "--data", broken), shard.name),
        (("--model", bundle, "--data", bare), "no object that is large enough to count"),
        (("--model", bundle, "--data", bare, "--choose-thresholds"), "no object"),
        (("--model", tmp_path / "none.ckpt", "--data", data), "none.ckpt does not exist"),
        (("--model", empty, "--data", data), "empty"),
        (("--model", bundle, "--data", data, "--overlays", a_file), "it is a file"),
        (("--model", bundle / "model.onnx", "--data", data), "of a bundle, give the folder"),
        (("--model", a_file, "--data", data), "not a readable checkpoint"),
        (("--model", bundle, "--data", data, "--images", empty), "--images goes with a COCO JSON file"),
        (("--model", bundle, "--data", data, "--partial", "--choose-thresholds"), "annotated in part only"),
        (("--data", data, "--partial", "--tune-baseline"), "annotated in part only"),
    ]:
        assert run(*arguments) == 2, message
        error = capsys.readouterr().err
        assert error.splitlines()[-1].startswith("error: "), error
        assert message in error
        assert "Traceback" not in error


@pytest.mark.parametrize("option", ["--json", "--markdown", "--html"])
def test_outputs_that_cannot_be_written_are_refused_before_anything_runs(tmp_path, capsys, option):
    a_file = tmp_path / "file"
    a_file.touch()
    for path, message in ((tmp_path, "it is a folder"), (a_file / "report", "choose a writable folder")):
        assert run("--data", tmp_path / "nowhere", option, path) == 2
        assert f"error: cannot write {path}: " in (error := capsys.readouterr().err)
        assert message in error


def test_prompts_can_be_left_out(bundle, data, capsys):
    assert run("--model", bundle, "--data", data, "--limit", 1, "--no-baseline", "--no-prompted") == 0
    rows = [line.split("|") for line in capsys.readouterr().out.splitlines() if line.startswith("| GT-prompted")]
    assert [row[2].strip() for row in rows] == ["-", "-"]


def test_limit_must_be_positive(bundle, data, capsys):
    with pytest.raises(SystemExit) as stop:
        run("--model", bundle, "--data", data, "--limit", 0)
    assert stop.value.code == 2
    assert "'0' is not a positive integer" in capsys.readouterr().err


def test_evaluate_raises_saom_error_for_a_caller(tmp_path):
    with pytest.raises(SaomError, match="nowhere"):
        open_frames(tmp_path / "nowhere")
