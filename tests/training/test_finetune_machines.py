"""What differs from machine to machine, and must not change what is learned: kernels, compilation, memory, devices."""

import functools
import warnings
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
import yaml

from saom_ros.errors import SaomError
from tests.training.toy_frames import write_toy_shards
from training.__main__ import main
from training.evaluation.systems import load_system
from training.export import TorchRuntime
from training.finetuning import once, optimizer
from training.finetuning.batches import TrainingBatches
from training.finetuning.config import load_config
from training.finetuning.frame_store import FrameStore
from training.finetuning.module import WholeObjects
from training.finetuning.once import changed_config, train_once
from training.finetuning.optimizer import adamw
from training.finetuning.run_data import RunData
from training.sam.checkpoint import load_checkpoint
from training.sam.everything import INPUT_NAMES, OUTPUT_NAMES


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
        "stages": [{"width": 64, "height": 64, "images": 8, "batch_size": 2}],
        "model": {"encoder_channels": [8, 8, 8, 8], "embedding_dim": 16, "pixel_dim": 8},
        "loader_workers": 0,
        "validation_frames": 1,
        **changes,
    }
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "run.yaml"
    path.write_text(yaml.safe_dump(values))
    return path


def trained(folder, data, **changes):
    """The weights that a run ends with."""
    run = write_run(folder, data, **changes)
    assert main(["finetune", "--config", str(run), "--out", str(folder / "out")]) == 0
    return load_checkpoint(folder / "out" / "last.ckpt")[0].state_dict()


def as_on_a_gpu(monkeypatch):
    """AdamW takes the kernels that it takes on a GPU; CPUs have them, too."""
    monkeypatch.setattr(optimizer, "has_fused_kernel", lambda device: True)


def one_step(parameter, using):
    parameter.grad = torch.full_like(parameter, 0.5)
    using.step()


@pytest.mark.parametrize("fused_before", [False, True])
def test_an_optimizers_state_goes_on_with_the_kernels_of_the_machine(monkeypatch, fused_before):
    monkeypatch.setattr(optimizer, "has_fused_kernel", lambda device: fused_before)
    parameter = torch.nn.Parameter(torch.ones(3, 2))
    before = adamw([parameter], 0.1, 0.02)
    one_step(parameter, before)
    monkeypatch.setattr(optimizer, "has_fused_kernel", lambda device: not fused_before)
    moved = torch.nn.Parameter(parameter.detach().clone())
    after = adamw([moved], 0.1, 0.02)
    after.load_state_dict(before.state_dict())
    assert [group["fused"] for group in after.param_groups] == [not fused_before] * 2
    one_step(parameter, before)
    one_step(moved, after)
    torch.testing.assert_close(moved, parameter)


def test_fused_kernels_train_with_bfloat16_and_clipped_gradients(tmp_path, data, monkeypatch):
    """Which Lightning refuses unless it is told that there is no scaler."""
    as_on_a_gpu(monkeypatch)
    trained(tmp_path, data, precision="bf16-mixed", clip=1.0)
    saved = torch.load(tmp_path / "out" / "last.ckpt", weights_only=True)
    assert all(group["fused"] for group in saved["optimizer_states"][0]["param_groups"])


def test_gradients_are_clipped_by_the_norm_of_all(data, tmp_path):
    module = WholeObjects(load_config(write_run(tmp_path, data)), 1, {})
    using = module.configure_optimizers()["optimizer"]
    parameters = [p for group in using.param_groups for p in group["params"]]
    for parameter in parameters:
        parameter.grad = torch.ones_like(parameter)
    module.configure_gradient_clipping(using, 0.25)
    norm = torch.linalg.vector_norm(torch.cat([p.grad.flatten() for p in parameters]))
    torch.testing.assert_close(norm, torch.tensor(0.25), rtol=1e-3, atol=0)


def test_a_compiled_model_answers_the_same(tmp_path, data, monkeypatch):
    """With another number of points, too. By a backend that needs no compiler."""
    monkeypatch.setattr(torch, "compile", functools.partial(torch.compile, backend="eager"))
    torch.manual_seed(0)
    module = WholeObjects(load_config(write_run(tmp_path, data, compile=True)), 1, {})
    encode, decode, images = module.model.encode, module.model.decode, torch.rand(2, 3, 64, 64) * 255
    module.on_fit_start()
    features = module.model.encode(images)
    torch.testing.assert_close(features.embedding, encode(images).embedding, rtol=1e-4, atol=1e-4)
    for points in (torch.rand(2, 5, 2) * 64, torch.rand(2, 7, 2) * 64):
        torch.testing.assert_close(module.model.decode(features, points).masks, decode(features, points).masks)


def test_a_compiled_run_saves_weights_under_their_own_names(tmp_path, data, monkeypatch):
    compiled = []
    monkeypatch.setattr(torch, "compile", lambda function, **_: compiled.append(function.__name__) or function)
    assert trained(tmp_path, data, compile=True)
    assert compiled == ["encode", "decode"]


def test_nothing_is_compiled_on_a_cpu_unless_asked(tmp_path, data, monkeypatch):
    monkeypatch.setattr(torch, "compile", None)
    trained(tmp_path, data)


@pytest.mark.parametrize(("device", "pinned"), [("cuda", True), ("cpu", False)])
def test_batches_for_a_gpu_wait_in_pinned_memory(tmp_path, data, device, pinned):
    config = load_config(write_run(tmp_path, data))
    store = FrameStore(Path(config.data), show_progress=False)
    loaders = RunData(config, store, store)
    strategy = SimpleNamespace(root_device=torch.device(device))
    loaders.trainer = SimpleNamespace(
        strategy=strategy, global_step=0, global_rank=0, world_size=1, lightning_module=WholeObjects(config, 1, {})
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert loaders.train_dataloader().pin_memory == pinned


def test_a_batch_stays_channels_last_on_its_way_to_the_device(tmp_path, data, monkeypatch):
    """Pinned whole, every tensor of it."""
    config = load_config(write_run(tmp_path, data))
    store = FrameStore(Path(config.data), show_progress=False)
    batch = TrainingBatches(store, config.stages, config.augmentation, config.prompting(8), 0).batch(0)
    pinned = []
    monkeypatch.setattr(torch.Tensor, "pin_memory", lambda tensor: pinned.append(tensor) or tensor)
    moved = batch.pin_memory().to(torch.device("cpu"))
    assert moved.tensors().keys() == batch.tensors().keys()
    assert len(pinned) == len(batch.tensors())
    assert moved.images.is_contiguous(memory_format=torch.channels_last)
    module = WholeObjects(config, 1, {})
    assert module.model.encode(moved.images.float()).pixels.is_contiguous(memory_format=torch.channels_last)


@pytest.fixture
def begun(tmp_path, data, monkeypatch):
    """A run's base file and folder, begun and done; whoever calls the verb is noted."""
    run, folder, calls = write_run(tmp_path, data), tmp_path / "out", []
    monkeypatch.setattr(once, "run_verb", lambda *options: calls.append(options))
    train_once(folder, load_config(run))
    (folder / "trained").unlink()
    return run, folder, calls


def test_a_run_goes_on_with_the_settings_of_another_machine(begun):
    run, folder, calls = begun
    other = {"precision": "bf16-mixed", "loader_workers": 8, "compile": True, "checkpoint_seconds": 5}
    train_once(folder, changed_config(run, other))
    assert len(calls) == 2
    assert load_config(folder / "config.yaml").loader_workers == 8


def test_a_run_does_not_go_on_with_settings_that_would_teach_it_otherwise(begun):
    run, folder, calls = begun
    with pytest.raises(SaomError, match="begun with other settings"):
        train_once(folder, changed_config(run, {"learning_rate": 0.5}))
    assert len(calls) == 1


def test_a_run_that_an_older_version_began_goes_on(begun):
    """One whose file knows nothing of how this version saves and compiles, nor of choices that it has gained."""
    run, folder, _ = begun
    values = yaml.safe_load((folder / "config.yaml").read_text())
    del values["checkpoint_seconds"], values["compile"], values["decay"], values["model"]["pixel_layers"]
    del values["stages"][0]["parts"]
    (folder / "config.yaml").write_text(yaml.safe_dump({**values, "checkpoint_every": 250}))
    train_once(folder, load_config(run))


@pytest.mark.parametrize("lost", [{"loss": {"colour": 1.0}}, {"model": {"depth": 3}}, {"stages": "many"}])
def test_a_run_with_settings_that_this_version_has_not_is_no_run_of_it(begun, lost):
    run, folder, calls = begun
    values = yaml.safe_load((folder / "config.yaml").read_text())
    for name, value in lost.items():
        values[name] = {**values[name], **value} if isinstance(value, dict) else value
    (folder / "config.yaml").write_text(yaml.safe_dump(values))
    with pytest.raises(SaomError, match="begun with other settings"):
        train_once(folder, load_config(run))
    assert len(calls) == 1


class Everything(torch.nn.Module):
    """Takes inputs of one device, gives outputs of the CPU."""

    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(2))

    def forward(self, *inputs):
        assert {tensor.device for tensor in inputs} == {self.weight.device}
        return [torch.ones(1) for _ in OUTPUT_NAMES]


def test_the_torch_runtime_moves_model_and_inputs_to_its_device():
    module = Everything()
    runtime = TorchRuntime(module, "meta")
    outputs = runtime.run({name: torch.zeros(1).numpy() for name in INPUT_NAMES})
    assert module.weight.device.type == "meta"
    assert [type(output).__name__ for output in outputs.values()] == ["ndarray"] * len(OUTPUT_NAMES)


def test_a_checkpoint_is_evaluated_on_a_gpu_where_there_is_one(tmp_path, data, monkeypatch):
    trained(tmp_path, data)
    devices = []
    monkeypatch.setattr(torch.nn.Module, "to", lambda module, device: devices.append(str(device)) or module)
    for there in (True, False):
        monkeypatch.setattr(torch.cuda, "is_available", functools.partial(bool, there))
        load_system(tmp_path / "out" / "last.ckpt")
    assert devices == ["cuda", "cpu"]
