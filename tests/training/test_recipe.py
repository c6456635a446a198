"""One command from nothing to a bundle, on a simulator of stripes: what is made, skipped, gone on with and refused."""

import json
import shutil
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import striped_simulator
import torch
import yaml

from saom_ros import runtimes
from saom_ros.bundle import load_config
from training.__main__ import main
from training.collecting.verb import SIMULATORS
from training.finetuning.config import load_config as load_run
from training.recipe import stages, verb
from training.recipe.quick import tiny_changes
from training.recipe.record import only_run
from training.recipe.settings import CONFIGS, QUICK, load_recipe
from training.settings_files import merged

SEEDS = {"train": {"seed": 0}, "val": {"seed": 1}, "test": {"seed": 1}}


class KillError(Exception):
    pass


def write_recipe(folder: Path, **changes) -> str:
    """A tiny recipe, with tables of changes."""
    run = {"config": "small", "changes": tiny_changes(load_run(CONFIGS / "small.yaml"))}
    tiny = merged(yaml.safe_load(QUICK.read_text()), {"simulate": SEEDS, "finetune": run})
    path = folder / "tiny.yaml"
    path.write_text(yaml.safe_dump(merged({"name": "tiny", "out": str(folder / "out"), **tiny}, changes)))
    return str(path)


def record(out: Path) -> dict:
    return json.loads((out / "recipe.json").read_text())


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


@pytest.fixture(scope="module", autouse=True)
def stripes():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(SIMULATORS, "rooms", striped_simulator.make)
        yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("made")
    assert main(["recipe", write_recipe(folder)]) == 0
    return folder / "out"


@pytest.fixture
def copy(made, tmp_path):
    """The same once more, to change."""
    return Path(shutil.copytree(made, tmp_path / "out"))


def test_every_stage_is_recorded_with_its_time_beside_the_predicted(made):
    entries = record(made)["stages"]
    assert list(entries) == ["simulate", "finetune", "evaluate", "export"]
    assert all(entry["done"] and entry["stretches"][0]["seconds"] > 0 for entry in entries.values())
    assert all(entries[name]["predicted_seconds"] > 0 for name in ("simulate", "finetune", "evaluate"))
    assert entries["finetune"]["figures"]["images_seen"] == 16


def test_the_record_tells_where_each_run_of_a_stage_took_place(copy, tmp_path, monkeypatch):
    """A stage that goes on elsewhere does not take its first part with it."""
    (copy / "finetune" / "trained").unlink()
    content = record(copy)
    content["stages"]["finetune"]["done"] = False
    (copy / "recipe.json").write_text(json.dumps(content))
    here = verb.this_machine
    monkeypatch.setattr(verb, "this_machine", lambda: replace(here(), machine="a borrowed GPU"))
    assert main(["recipe", write_recipe(tmp_path)]) == 0
    stretches = record(copy)["stages"]["finetune"]["stretches"]
    assert [stretch["machine"] for stretch in stretches] == [here().machine, "a borrowed GPU"]
    assert all(stretch["seconds"] > 0 and stretch["versions"]["torch"] for stretch in stretches)
    assert [stretch["machine"] for stretch in record(copy)["stages"]["simulate"]["stretches"]] == [here().machine]
    card = (copy / "bundle" / "README.md").read_text()
    assert f"to train about a minute on {here().machine}, about a minute on a borrowed GPU" in card


def test_figures_are_those_that_evaluate_gives_of_the_bundle(made, tmp_path):
    scored = tmp_path / "scored.json"
    data = str(made / "data" / "rooms-test")
    assert main(["evaluate", "--model", str(made / "bundle"), "--data", data, "--json", str(scored)]) == 0
    again = json.loads(scored.read_text())["systems"]
    noted = record(made)["stages"]["evaluate"]["figures"]["test"]["systems"]
    assert {name: system["figures"] for name, system in noted.items()} == {
        name: system["figures"] for name, system in again.items()
    }
    assert load_config(made / "bundle").metrics["recall_50"] == again["saom-quick"]["figures"]["recall_50"]


def test_the_card_tells_data_seeds_and_figures_beside_the_baseline(made):
    card = (made / "bundle" / "README.md").read_text()
    assert "6 train (seed 0), 3 val (seed 1), 3 test (seed 1); no real image" in card
    overlap = record(made)["stages"]["evaluate"]["figures"]["test"]["systems"]["saom-quick"]["figures"]["overlap_f"]
    row = next(line for line in card.splitlines() if line.startswith("| Overlap F"))
    assert f" {overlap:.1f} |" in row
    assert "felzenszwalb" in card
    assert "None were measured" in card


def test_a_second_run_does_nothing(made, monkeypatch, capsys):
    monkeypatch.setattr(verb, "predict", None)
    monkeypatch.setattr(stages, "run_verb", None)
    monkeypatch.setattr(stages, "train_once", None)
    before = {path: path.stat().st_mtime_ns for path in (made / "bundle").iterdir()}
    assert main(["recipe", write_recipe(made.parent)]) == 0
    assert capsys.readouterr().out.count("done already") == 4
    assert {path: path.stat().st_mtime_ns for path in (made / "bundle").iterdir()} == before


@contextmanager
def dying(target, name: str, calls: int):
    """A function that dies at its so-manieth call, before it does anything."""
    function, seen = getattr(target, name), []

    def dies(*args, **options):
        seen.append(None)
        if len(seen) == calls:
            raise KillError
        return function(*args, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(target, name, dies)
        yield


def test_a_run_killed_in_every_stage_makes_the_same_as_one_in_one_go(made, tmp_path, monkeypatch):
    from training import export
    from training.collecting import verb as collecting
    from training.evaluation import verb as evaluation
    from training.finetuning.module import WholeObjects

    monkeypatch.setattr(verb, "predict", lambda run, stage: {"seconds": None, "measured": {}})
    monkeypatch.setattr("training.recipe.record.Record.end", lambda self, stage, seconds: None)  # killed outright
    recipe, out = write_recipe(tmp_path), tmp_path / "out"
    for target, name, calls in (
        (collecting, "write_sheet", 2),  # of train's and val's frames
        (WholeObjects, "training_step", 4),
        (evaluation, "evaluate", 1),
        (export, "golden_pair", 2),
    ):
        with dying(target, name, calls), pytest.raises(KillError):
            main(["recipe", recipe])
    assert main(["recipe", recipe]) == 0

    for split in ("train", "val", "test"):
        shards = sorted((made / "data" / f"rooms-{split}").glob("*.tar"))
        assert [path.read_bytes() for path in shards] == [
            (out / "data" / f"rooms-{split}" / path.name).read_bytes() for path in shards
        ]
    expected, found = files(made / "bundle"), files(out / "bundle")
    for name in ("model.onnx", "golden.npz"):
        assert found[name] == expected[name]
    assert load_config(out / "bundle").metrics == load_config(made / "bundle").metrics
    assert "to train about a minute and what a killed run took" in (out / "bundle" / "README.md").read_text()


def test_a_bundle_that_is_gone_is_made_again_as_it_was(copy):
    before = files(copy / "bundle")
    shutil.rmtree(copy / "bundle")
    assert main(["recipe", write_recipe(copy.parent)]) == 0
    assert files(copy / "bundle") == before


def test_photographs_and_changed_thresholds_are_scored_without_training_again(copy, tmp_path, monkeypatch, capsys):
    photos = tmp_path / "photos"
    for name in ("images", "labels"):
        (photos / name).mkdir(parents=True)
    shutil.copy(copy / "evaluation" / "golden.png", photos / "images" / "a.png")
    labels = np.zeros((96, 128), np.uint8)
    labels[20:60, 10:50] = 1
    cv2.imwrite(str(photos / "labels" / "a.png"), labels)
    notes = tmp_path / "notes.md"
    notes.write_text("## Looked at\n\nStripes come out straight.\n")
    changed = write_recipe(tmp_path, evaluate={"threshold_frames": 3}, export={"notes": str(notes)})
    monkeypatch.setattr(stages, "train_once", None)
    assert main(["recipe", changed, "--photos", str(photos)]) == 0
    said = capsys.readouterr().out
    assert "evaluate, again: threshold_frames was 2, is 3; photos was None" in said
    assert "export, again: notes was None" in said
    card = (copy / "bundle" / "README.md").read_text()
    assert "1 real photographs with 1 annotated objects" in card
    assert "chosen on 3 simulated validation frames" in card
    assert "Stripes come out straight." in card

    assert main(["recipe", changed, "--photos", str(photos)]) == 0
    assert capsys.readouterr().out.count("done already") == 4
    labels[20:60, 60:100] = 2  # in the same file
    cv2.imwrite(str(photos / "labels" / "a.png"), labels)
    assert main(["recipe", changed, "--photos", str(photos)]) == 0
    assert "evaluate, again: photos was" in capsys.readouterr().out
    assert "1 real photographs with 2 annotated objects" in (copy / "bundle" / "README.md").read_text()


def test_a_bundle_is_kept_where_the_new_one_is_not_what_was_scored(copy, monkeypatch, capsys):
    before = files(copy / "bundle")
    notes = copy / "notes.md"
    notes.write_text("Looked at.")
    changed = write_recipe(copy.parent, export={"notes": str(notes)})
    monkeypatch.setattr(stages, "sha256", lambda path: str(path))
    content = record(copy)
    content["stages"]["evaluate"]["inputs"]["checkpoint"] = str(copy / "finetune" / "last.ckpt")
    (copy / "recipe.json").write_text(json.dumps(content))
    assert main(["recipe", changed]) == 2
    assert "is not what was scored, so it does not ship" in capsys.readouterr().err
    assert files(copy / "bundle") == before


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"finetune": {"changes": {"learning_rate": 0.5}}}, "learning_rate was 0.0007, is 0.5"),
        ({"simulate": {"train": {"seed": 0, "frames": 9}}}, "train.frames was 6, is 9"),
    ],
)
def test_what_would_mix_with_a_trained_run_is_refused_before_anything_is_made(changes, message, copy, capsys):
    assert main(["recipe", write_recipe(copy.parent, **changes)]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert "give another --out" in error
    assert len(list((copy / "data" / "rooms-train").glob("*.tar"))) == 2


def test_a_recipe_that_an_older_version_began_goes_on(copy, capsys):
    """One whose record knows nothing of choices that this version has gained."""
    content = record(copy)
    settings = content["stages"]["finetune"]["settings"]
    del settings["decay"], settings["model"]["pixel_layers"], settings["stages"][0]["parts"]
    (copy / "recipe.json").write_text(json.dumps(content))
    assert main(["recipe", write_recipe(copy.parent)]) == 0
    assert capsys.readouterr().out.count("done already") == 4


def test_other_frames_under_a_trained_run_are_noticed(copy, capsys):
    content = record(copy)
    content["stages"]["finetune"]["inputs"]["val"]["shards"]["rooms-000000.tar"] += 512
    (copy / "recipe.json").write_text(json.dumps(content))
    assert main(["recipe", write_recipe(copy.parent)]) == 2
    assert "finetune: val.shards.rooms-000000.tar was" in capsys.readouterr().err


def test_a_training_run_that_the_record_does_not_know_is_refused(copy, capsys):
    (copy / "recipe.json").unlink()
    assert main(["recipe", write_recipe(copy.parent)]) == 2
    assert "is there, but not in" in capsys.readouterr().err


def test_a_second_run_at_the_same_time_is_refused(copy, capsys):
    with only_run(copy):
        assert main(["recipe", write_recipe(copy.parent)]) == 2
    assert "another run is at work" in capsys.readouterr().err


def test_a_run_stops_where_it_is_told_to(tmp_path, monkeypatch):
    monkeypatch.setattr(stages, "run_verb", lambda name, *options: (tmp_path / "verbs").write_text(name))
    monkeypatch.setattr(stages, "list_shards", lambda folder: [])
    monkeypatch.setattr(verb, "predict", lambda run, stage: {"seconds": 1.0, "measured": {}})
    assert main(["recipe", write_recipe(tmp_path), "--until", "simulate"]) == 0
    assert list(record(tmp_path / "out")["stages"]) == ["simulate"]
    assert (tmp_path / "verbs").read_text() == "collect"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"simulate": {"val": {"frames": 0, "seed": 1}}}, "simulate.val.frames is 0; it must be at least 1"),
        ({"simulate": {"train": {"seed": -1}}}, "simulate.train.seed is -1"),
        ({"simulate": {"workers": 0}}, "simulate.workers is 0"),
        ({"simulate": {"width": 16}}, "simulate.width is 16"),
        ({"simulate": {"simulator": "unreal"}}, "simulate.simulator is 'unreal'; expected one of ai2thor, rooms"),
        ({"simulate": {"frames": 5}}, 'can not match "frames" to any data class field'),
        ({"tea": 1}, 'can not match "tea" to any data class field'),
        ({"evaluate": {"threshold_frames": 4}}, "threshold_frames is 4, but simulate.val.frames 3"),
        ({"finetune": {"config": "large"}}, "large.yaml: "),
        ({"finetune": {"changes": {"learning_rat": 1}}}, "learning_rat"),
        ({"export": {"size": "big"}}, "size 'big' is not WIDTHxHEIGHT"),
        ({"export": {"max_prompts": 999}}, "export.max_prompts is 999"),
        ({"export": {"size": "100x96"}}, "export: input.width is 100; it must be a multiple of 32"),
        ({"export": {"max_prompts": 97}}, "export: 97 prompts: the grid has 96 points"),
        ({"export": {"size": "64x64", "max_prompts": 96}}, "export: 96 prompts: the grid has 64 points"),
        ({"export": {"name": ""}}, "export: name is ''"),
        ({"export": {"notes": "nowhere.md"}}, "export.notes nowhere.md is no file"),
    ],
)
def test_impossible_settings_give_one_clear_error(changes, message, tmp_path, capsys):
    assert main(["recipe", write_recipe(tmp_path, **changes)]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_8_bits_want_openvino_before_anything_is_rendered(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(runtimes, "installed", lambda: {"onnxruntime": "1"})
    assert main(["recipe", write_recipe(tmp_path, export={"int8": True})]) == 2
    assert "export.int8 compares masks in OpenVINO, which is not installed; run: pip install" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_an_output_folder_that_cannot_be_written_is_refused(tmp_path, capsys):
    (tmp_path / "file").touch()
    assert main(["recipe", write_recipe(tmp_path), "--out", str(tmp_path / "file" / "out")]) == 2
    assert "cannot write" in capsys.readouterr().err


def test_an_unknown_recipe_is_refused_with_those_that_there_are(capsys):
    assert main(["recipe", "cake"]) == 2
    assert "recipe 'cake' is not known; expected default or" in capsys.readouterr().err


def test_quick_keeps_the_seeds_of_a_recipe():
    recipe = load_recipe("default", quick=True)
    assert recipe.simulate.train.frames < 10
    assert recipe.simulate.test.seed == load_recipe("default").simulate.test.seed
    assert recipe.out.endswith("-quick")
