"""A run that is told to stop: what it has saved, what it says, and its exit status."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
import yaml

from tests.training.toy_frames import write_toy_shards
from training.__main__ import main
from training.finetuning.checkpoints import Checkpoints, save_whole
from training.finetuning.frame_store import FrameStore
from training.finetuning.module import WholeObjects
from training.finetuning.run_data import RunData
from training.run_verb import run_verb
from training.sam.checkpoint import load_checkpoint

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    root = tmp_path_factory.mktemp("data")
    return {
        "data": str(write_toy_shards(root / "train", 4, 0)),
        "validation": str(write_toy_shards(root / "val", 1, 1)),
    }


def write_run(folder, data, **changes):
    values = {
        "name": "toy",
        **data,
        "stages": [{"width": 64, "height": 64, "images": 16, "batch_size": 2}],
        "model": {"encoder_channels": [8, 8, 8, 8], "embedding_dim": 16, "pixel_dim": 8},
        "loader_workers": 0,
        "validation_frames": 1,
        "checkpoint_seconds": 3600,
        **changes,
    }
    path = folder / "run.yaml"
    path.write_text(yaml.safe_dump(values))
    return path


def finetune(run):
    return main(["finetune", "--config", str(run), "--out", str(run.parent / "out")])


def signalling(monkeypatch, target, name, numbers, calls=1):
    """A function that first sends the signals to its own process, at its so-manieth call."""
    function, seen = getattr(target, name), []

    def signals(*args, **options):
        seen.append(None)
        if len(seen) == calls:
            for number in numbers:
                os.kill(os.getpid(), number)
        return function(*args, **options)

    monkeypatch.setattr(target, name, signals)


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_real_process_ends_with_the_status_of_its_signal_and_one_line(tmp_path, data, number, status):
    """Its whole group hears the signal, loaders too, as from a terminal or a cluster."""
    run = write_run(
        tmp_path,
        data,
        stages=[{"width": 64, "height": 64, "images": 1000000, "batch_size": 2}],
        loader_workers=1,
        checkpoint_seconds=0,
    )
    command = [sys.executable, "-m", "training", "finetune", "--config", str(run), "--out", str(tmp_path / "out")]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    process = subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
        start_new_session=True,
    )  # fmt: skip
    try:
        last = tmp_path / "out" / "last.ckpt"
        while not last.exists() and process.poll() is None:
            time.sleep(0.1)
        os.killpg(process.pid, number)
        said = process.communicate(timeout=120)[1]
    finally:
        process.kill()
    assert process.returncode == status, said
    assert "Traceback" not in said
    assert said.splitlines()[-1] == f"interrupted; {last} is saved, the same command goes on from there"
    assert load_checkpoint(last)[1]["training"]["batches"] >= 1
    assert list(last.parent.glob("*.part")) == []


def test_the_step_in_hand_is_ended_and_saved_and_the_run_goes_on_from_there(tmp_path, data, monkeypatch):
    """With accumulation: not in the middle of an optimizer step. However long ago that was."""
    run = write_run(tmp_path, data, accumulate=2)
    with monkeypatch.context() as patch:
        signalling(patch, WholeObjects, "training_step", [signal.SIGINT], calls=3)
        assert finetune(run) == 130
    assert load_checkpoint(tmp_path / "out" / "last.ckpt")[1]["training"]["batches"] == 4
    os.utime(tmp_path / "out" / "last.ckpt", (0, 0))
    assert finetune(run) == 0
    assert load_checkpoint(tmp_path / "out" / "last.ckpt")[1]["training"]["batches"] == 8


def test_a_second_signal_ends_a_run_at_once(tmp_path, data, monkeypatch, capsys):
    signalling(monkeypatch, WholeObjects, "training_step", [signal.SIGTERM, signal.SIGTERM])
    assert finetune(write_run(tmp_path, data)) == 143
    assert capsys.readouterr().err.endswith("interrupted; the same command begins anew\n")


@pytest.mark.parametrize(("target", "name"), [(FrameStore, "__init__"), (RunData, "setup")])
@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_before_the_first_step_ends_a_run_at_once(
    tmp_path, data, monkeypatch, capsys, target, name, number, status
):
    """Before Lightning's own part of it, and within."""
    before = signal.getsignal(number)
    signalling(monkeypatch, target, name, [number])
    assert finetune(write_run(tmp_path, data)) == status
    assert capsys.readouterr().err.endswith("interrupted; the same command begins anew\n")
    assert signal.getsignal(number) == before


def test_a_signal_after_the_last_step_ends_what_called_the_run(tmp_path, data, monkeypatch):
    """The run itself is done."""
    signalling(monkeypatch, WholeObjects, "validation_step", [signal.SIGINT])
    assert finetune(write_run(tmp_path, data)) == 130
    assert load_checkpoint(tmp_path / "out" / "last.ckpt")[1]["training"]["batches"] == 8


def test_checkpoints_come_by_the_clock(tmp_path, data, monkeypatch):
    """The clock stands still but for the steps, each of which takes half a minute."""
    now, saved = [0.0], []
    step = WholeObjects.training_step

    def takes_half_a_minute(self, batch, index):
        now[0] += 30
        return step(self, batch, index)

    monkeypatch.setattr("training.finetuning.checkpoints.time.monotonic", lambda: now[0])
    monkeypatch.setattr(WholeObjects, "training_step", takes_half_a_minute)
    monkeypatch.setattr(
        "training.finetuning.checkpoints.save_whole", lambda trainer, path: saved.append(trainer.global_step)
    )
    assert finetune(write_run(tmp_path, data, checkpoint_seconds=60)) == 0
    assert saved == [2, 4, 6, 8]


def test_a_checkpoint_is_replaced_in_one_go(tmp_path, data, monkeypatch):
    """A kill in the middle of writing leaves the one before it."""
    run = write_run(tmp_path, data, checkpoint_seconds=0)

    class KillError(Exception):
        pass

    def dies(trainer, path):
        if trainer.global_step < 3:
            return save_whole(trainer, path)
        with monkeypatch.context() as patch:
            patch.setattr(torch, "save", lambda content, file, **options: file.write(b"half"))
            patch.setattr("training.finetuning.checkpoints.os.replace", raises)
            return save_whole(trainer, path)

    def raises(source, target):
        raise KillError

    monkeypatch.setattr("training.finetuning.checkpoints.save_whole", dies)
    with pytest.raises(KillError):
        finetune(run)
    assert load_checkpoint(tmp_path / "out" / "last.ckpt")[1]["training"]["batches"] == 2


def test_checkpoints_come_after_the_moving_average(tmp_path, data, monkeypatch):
    """Else a checkpoint would hold the average of the step before it."""
    orders = []
    monkeypatch.setattr(
        Checkpoints, "on_train_start", lambda self, trainer, module: orders.append([type(c) for c in trainer.callbacks])
    )
    finetune(write_run(tmp_path, data))
    assert orders[0][-1] is Checkpoints


@pytest.mark.parametrize(("status", "ending"), [(130, KeyboardInterrupt), (143, SystemExit)])
def test_what_is_made_of_verbs_ends_as_they_do(monkeypatch, status, ending):
    monkeypatch.setattr("training.finetuning.verb.main", lambda args: status)
    with pytest.raises(ending) as raised:
        run_verb("finetune", "--config", "run.yaml")
    assert ending is KeyboardInterrupt or raised.value.code == status
