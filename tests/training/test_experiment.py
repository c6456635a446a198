"""The experiments: their arms, their report, and runs of seconds over the whole of them."""

from dataclasses import asdict, replace

import cv2
import numpy as np
import pytest
import striped_simulator
import torch

from saom_ros.errors import SaomError
from training.__main__ import main
from training.collecting.verb import SIMULATORS
from training.evaluation.frames import FrameSet, LabelledFrame
from training.experiment import report
from training.experiment.arms import ARCHITECTURE, CLAIM
from training.experiment.compute import run_flops
from training.experiment.examples import examples_picture
from training.experiment.run import Setting, frames_of, read_scores, run_config
from training.finetuning.config import load_config
from training.recipe.record import differences
from training.reports.json_files import write_json
from training.sam.registry import build_model

CHANGED = {
    "random_point": ("saom", {"assignment", "extra"}),
    "one_point": ("saom", {"extra"}),
    "centre": ("one_point", {"assignment"}),
    "outside": ("one_point", {"inside"}),
    "no_background": ("saom", {"background"}),
    "grid_16": ("saom", {"grid"}),
    "grid_64": ("saom", {"grid"}),
    "trained_encoder": ("saom", {"train_encoder"}),
    "base_longer": ("base", {"stages", "learning_rate"}),
}
"""What an arm changes in which other."""


@pytest.mark.parametrize("name", CHANGED)
def test_an_arm_differs_from_another_in_what_it_is_named_for_only(name):
    other, changed = CHANGED[name]
    before, after = (settings(each) for each in (other, name))
    assert {key for key in before if before[key] != after[key]} == {"name"} | changed


def settings(name):
    config = asdict(load_config(CLAIM.config(CLAIM.arms[name])))
    return config | config.pop("prompts")


def test_all_arms_that_start_from_the_base_see_equally_many_images():
    images = {
        sum(stage.images for stage in load_config(CLAIM.config(arm)).stages) for arm in CLAIM.arms.values() if arm.start
    }
    assert len(images) == 1


def test_joint_decoding_sees_as_many_images_as_base_and_saom_together():
    images = {
        name: sum(stage.images for stage in load_config(CLAIM.config(arm)).stages) for name, arm in CLAIM.arms.items()
    }
    assert images["joint"] == images["base"] + images["saom"]


def test_an_arm_runs_after_the_one_that_it_starts_from():
    assert [arm.name for arm in CLAIM.chosen(["outside"])] == ["base", "outside"]
    assert [arm.name for arm in CLAIM.chosen(None)] == ["base", "base_longer", "saom", "random_point"]


def test_an_unknown_arm_is_refused():
    with pytest.raises(SaomError, match="arm 'sam3' is not known; expected some of base, base_longer"):
        CLAIM.chosen(["sam3"])


ARCHITECTURE_CHANGES = {
    "resnet18": {"model.encoder_channels"},
    "regnety_008": {"model.encoder", "model.encoder_channels"},
    "mobilenetv4": {"model.encoder", "model.encoder_channels"},
    "repvit": {"model.encoder", "model.encoder_channels"},
    "convnext": {"model.encoder", "model.encoder_channels"},
    "size_192": {"stages"},
    "size_256": {"stages"},
    "growing": {"stages"},
    "parts_first": {"stages"},
    "batch_4": {"stages", "learning_rate"},
    "grid_sparse": {"grid"},
    "stride_16": {"model.embedding_stride"},
    "decoder_deep": {"model.pixel_layers"},
    "linear": {"decay"},
    "decoder_narrow": {"model.embedding_dim", "model.pixel_dim"},
    "decoder_wide": {"model.embedding_dim", "model.pixel_dim"},
    "prompts_few": {"prompts.objects", "prompts.background", "prompts.own_peaks"},
    "prompts_many": {"prompts.objects", "prompts.background", "prompts.own_peaks"},
    "no_own_peaks": {"prompts.own_peaks"},
    "no_average": {"ema_decay"},
    "no_crop": {"augmentation.crop"},
    "plain_look": {
        f"augmentation.{name}" for name in ("gain", "offset", "colour", "gamma", "grey", "blur", "noise", "jpeg")
    },
    "paste": {"augmentation.paste"},
    "shade": {"augmentation.shade"},
    "fine_targets": {"target_stride"},
    "edges": {"loss.edges"},
    "depth": {"loss.depth"},
    "semantics": {"loss.semantics"},
}
"""What an arm on architecture changes in its base."""


@pytest.mark.parametrize("name", sorted(set(ARCHITECTURE.arms) - {"base"}))
def test_an_arm_on_architecture_changes_what_it_is_named_for_only(name):
    base, arm = (asdict(load_config(ARCHITECTURE.config(ARCHITECTURE.arms[each]))) for each in ("base", name))
    changes = {change.split(" was ")[0] for change in differences(base, arm)}
    assert changes == {"name"} | ARCHITECTURE_CHANGES[name]


@pytest.mark.parametrize("name", ["base", "resnet18", "regnety_008", "mobilenetv4", "repvit", "convnext"])
def test_every_encoder_gives_the_small_model_its_features(name):
    config = load_config(ARCHITECTURE.config(ARCHITECTURE.arms[name]))
    features = build_model(config.family, config.model).eval().encode(torch.zeros(1, 3, 64, 96))
    assert features.embedding.shape == (1, 128, 8, 12)
    assert features.pixels.shape == (1, 64, 16, 24)


def test_an_encoder_with_other_strides_is_refused():
    with pytest.raises(SaomError, match=r"'vit_tiny_patch16_224' gives features at strides \[16, 16, 16, 16\]"):
        build_model("small", {"encoder": "vit_tiny_patch16_224", "encoder_channels": []})


def test_arms_on_architecture_spend_as_much_computing_as_their_base(tmp_path):
    setting = replace(rooms(tmp_path), experiment=ARCHITECTURE, images=0.01)
    base, large = (run_config(setting, ARCHITECTURE.arms[name], 0) for name in ("base", "size_256"))
    assert sum(stage.images for stage in base.stages) == 480
    assert sum(stage.images for stage in large.stages) < 480 / 3
    assert run_flops(large) == pytest.approx(run_flops(base), rel=0.01)


def test_every_arm_trains_as_the_machine_is_told_to(tmp_path):
    setting = replace(rooms(tmp_path), experiment=ARCHITECTURE, images=0.01, precision="bf16-mixed")
    assert run_config(setting, ARCHITECTURE.arms["shade"], 0).precision == "bf16-mixed"


def scored(tmp_path, arm: str, seed: int, miou: float) -> None:
    figures = {key: None for _, key in report.COLUMNS} | {"prompted_miou": miou, "prompted_macc": miou + 5}
    group = {"all classes": {"prompted_miou": miou}}
    classes = {"Mug": {"objects": 3, "prompted_iou": miou}}
    folder = tmp_path / f"{arm}-seed-{seed}"
    folder.mkdir()
    system = {"figures": figures, "class_groups": group, "classes": classes}
    content = {"arm": arm, "seed": seed, "frames": frames_of(rooms(tmp_path)), "scores": {"rooms": {arm: system}}}
    write_json(folder / "scores.json", content)


def rooms(tmp_path, frames: int = 5) -> Setting:
    return Setting(CLAIM, tmp_path, tmp_path, tmp_path, {"rooms": FrameSet("rooms", frames, lambda: iter(()))}, 1)


def test_the_report_tells_means_spread_gain_and_what_has_not_run(tmp_path):
    for arm, seed, miou in (("base_longer", 0, 40.0), ("base_longer", 1, 44.0), ("saom", 0, 60.0), ("saom", 1, 66.0)):
        scored(tmp_path, arm, seed, miou)
    report.write_report(rooms(tmp_path), [0, 1], "the command")
    page = (tmp_path / "report.md").read_text()
    lines = {line.split("|")[1].strip(): line for line in page.splitlines() if line.startswith("|")}
    assert "63.0 +-3.0" in lines["saom"]
    assert "not run" in lines["centre"]
    assert "21.0 +-1.0" in lines["saom, GT-prompted mIoU"]
    assert "50.0 +-0.0" in lines["saom, GT-prompted mIoU"]
    assert "63.0 +-3.0" in lines["Mug (3)"]
    assert "`the command`" in page


def test_the_first_report_makes_its_folder(tmp_path):
    out = tmp_path / "runs" / "claim"
    report.write_report(replace(rooms(tmp_path), out=out), [0], "the command")
    assert "not run" in (out / "report.md").read_text()


def test_scores_on_other_frames_do_not_stand_in_the_report(tmp_path):
    scored(tmp_path, "base", 0, 40.0)
    assert read_scores(rooms(tmp_path), CLAIM.arms["base"], 0) is not None
    more = replace(rooms(tmp_path), test={**rooms(tmp_path).test, "photographs": FrameSet("p", 2, lambda: iter(()))})
    for other in (rooms(tmp_path, frames=6), more):
        assert read_scores(other, CLAIM.arms["base"], 0) is None
    report.write_report(more, [0], "the command")
    assert "40.0" not in (tmp_path / "report.md").read_text()


def test_examples_of_many_systems_go_on_in_further_rows(tmp_path):
    rgb, instances = np.full((96, 128, 3), 40, np.uint8), np.ones((96, 128), np.uint16)
    frames = FrameSet("toy", 2, lambda: iter([LabelledFrame(key, rgb, instances) for key in "ab"]))
    systems = {f"arm_{k}": tmp_path for k in range(9)}
    for name in systems:
        for number in range(2):
            (tmp_path / "examples").mkdir(exist_ok=True)
            cv2.imwrite(str(tmp_path / "examples" / f"{name}-{number}.png"), instances)
    few = examples_picture({"arm_0": tmp_path}, frames)
    many = examples_picture(systems, frames)
    row, column = few.shape[0] // 2, few.shape[1] // 3
    assert many.shape == (4 * row, 8 * column, 3)
    filled = [[(many[y * row :][:row, x * column :][:, :column] < 255).any() for x in range(8)] for y in range(4)]
    assert filled == [[True] * 8, [True] * 3 + [False] * 5] * 2


def test_a_quick_run_trains_scores_reports_and_is_not_done_again(tmp_path, capsys, monkeypatch):
    out = tmp_path / "claim"
    assert main(["experiment", "saom-claim", "--quick", "--out", str(out)]) == 0
    page = (out / "report.md").read_text()
    assert all(f"\n| {name}" in page for name in CLAIM.arms)
    assert "| saom, full grid" in page
    assert (out / "learning.png").exists()
    shown = cv2.imread(str(out / "examples.jpeg"))
    assert shown.shape[1] == 1400, "picture, truth and five systems"
    trained = (out / "saom-seed-0" / "last.ckpt").stat().st_mtime_ns

    monkeypatch.setattr("training.finetuning.verb.main", None)
    monkeypatch.setattr("training.experiment.run.evaluate", None)
    assert main(["experiment", "saom-claim", "--quick", "--out", str(out)]) == 0
    assert (out / "saom-seed-0" / "last.ckpt").stat().st_mtime_ns == trained

    (out / "base-seed-0" / "config.yaml").write_text("seed: 7\n")
    assert main(["experiment", "saom-claim", "--quick", "--out", str(out)]) == 2
    assert "this run was begun with other settings; give another --out" in capsys.readouterr().err


def test_a_quick_arm_on_architecture_is_reported_beside_those_that_have_not_run(tmp_path, monkeypatch):
    monkeypatch.setitem(SIMULATORS, "rooms", striped_simulator.make)
    assert main(["experiment", "architecture", "--arm", "prompts_few", "--quick", "--out", str(tmp_path)]) == 0
    page = (tmp_path / "report.md").read_text()
    lines = {line.split("|")[1].strip(): line for line in page.splitlines() if line.startswith("|")}
    assert "not run" in lines["base"]
    assert "not run" not in lines["prompts_few"]
    assert "prompts_few: half as many points of each kind (" in page
