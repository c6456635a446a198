"""A whole training run in seconds: loader, steps, checkpoint, resume, export, and the exported bundle against torch."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
import yaml

from saom_ros.bundle import DEFAULT_BUNDLE, load_config
from saom_ros.errors import SaomError
from saom_ros.runtimes import create
from saom_ros.segmenter import Segmenter
from tests.training.tiny_sam import write_part_shards
from tests.training.toy_frames import toy_frame, write_toy_shards
from training.__main__ import main
from training.data.shards import ShardWriter
from training.export import load_checkpoint_segmenter
from training.finetuning.augmentation import Augmentation, augment_geometry, augment_look
from training.finetuning.batches import Prompting, Stage, TrainingBatches, assigned_batch
from training.finetuning.config import load_config as load_run
from training.finetuning.frame_store import FrameStore
from training.finetuning.module import WholeObjects
from training.finetuning.prompt_sampling import PromptSampling
from training.sam.checkpoint import load_checkpoint
from training.sam.everything import INPUT_NAMES
from training.sam.parity import check_parity

STAGES = [
    {"width": 64, "height": 64, "images": 16, "batch_size": 4},
    {"width": 128, "height": 96, "images": 8, "batch_size": 4},
]


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    root = tmp_path_factory.mktemp("data")
    return write_toy_shards(root / "train", 24, 0), write_toy_shards(root / "val", 4, 1)


def write_run(folder, data, **changes):
    values = {
        "name": "toy",
        "data": str(data[0]),
        "validation": str(data[1]),
        "stages": STAGES,
        "model": {"encoder_channels": [16, 16, 16, 16], "embedding_dim": 32, "pixel_dim": 16},
        "loader_workers": 0,
        "validate_every": 4,
        "checkpoint_seconds": 0,
        **changes,
    }
    path = folder / "run.yaml"
    path.write_text(yaml.safe_dump(values))
    return path


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory, data):
    folder = tmp_path_factory.mktemp("run")
    run = write_run(folder, data)
    assert main(["finetune", "--config", str(run), "--out", str(folder / "out")]) == 0
    return folder / "out" / "last.ckpt"


def test_a_run_writes_a_checkpoint_that_describes_itself(checkpoint):
    model, described = load_checkpoint(checkpoint)
    assert described["training"]["batches"] == 6
    assert described["training"]["images_seen"] == 24
    assert described["training"]["config"]["name"] == "toy"
    assert model.config.embedding_dim == 32


def test_a_run_goes_on_where_it_stopped(tmp_path, data):
    """Killed after two batches and started again, a run ends with the weights of an unbroken one."""
    unbroken, broken = tmp_path / "unbroken", tmp_path / "broken"
    run = write_run(tmp_path, data, stages=STAGES[1:], validate_every=99, checkpoint_seconds=0)
    assert main(["finetune", "--config", str(run), "--out", str(unbroken)]) == 0

    import training.finetuning.verb as finetune

    class KillError(Exception):
        pass

    step = finetune.WholeObjects.training_step

    def dies(self, batch, index):
        if self.trainer.global_step == 1:
            raise KillError
        return step(self, batch, index)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(finetune.WholeObjects, "training_step", dies)
        with pytest.raises(KillError):
            main(["finetune", "--config", str(run), "--out", str(broken)])
    assert load_checkpoint(broken / "last.ckpt")[1]["training"]["batches"] == 1
    assert main(["finetune", "--config", str(run), "--out", str(broken)]) == 0
    expected, found = (load_checkpoint(folder / "last.ckpt")[0].state_dict() for folder in (unbroken, broken))
    for name, tensor in expected.items():
        torch.testing.assert_close(found[name], tensor, rtol=1e-4, atol=1e-5, msg=name)


def test_auxiliary_heads_learn_beside_the_model_and_are_left_behind(tmp_path, capsys):
    data = write_part_shards(tmp_path / "train", 12, 0, depth=900), write_part_shards(tmp_path / "val", 2, 1)
    looks = {"paste": 1.0, "shade": 1.0}
    run = write_run(tmp_path, data, loss={"edges": 1.0, "semantics": 1.0}, augmentation=looks, target_stride=2)
    for _ in range(2):  # the second time it goes on from the end
        assert main(["finetune", "--config", str(run), "--out", str(tmp_path / "out")]) == 0
    content = torch.load(tmp_path / "out" / "last.ckpt", weights_only=True)["state_dict"]
    assert any(name.startswith("auxiliary.edges.") for name in content)
    model, _ = load_checkpoint(tmp_path / "out" / "last.ckpt")
    assert not any("auxiliary" in name for name in model.state_dict())
    other = write_run(tmp_path, data, loss={"depth": 1.0}, augmentation=looks)
    assert main(["finetune", "--config", str(other), "--out", str(tmp_path / "out")]) == 2
    assert "was begun with other auxiliary losses" in capsys.readouterr().err


def test_auxiliary_tasks_teach_the_features_that_masks_are_read_from(tmp_path):
    folder = write_part_shards(tmp_path / "train", 4, 0, depth=900)
    config = load_run(write_run(tmp_path, (folder, folder), loss={"edges": 1.0, "depth": 1.0, "semantics": 1.0}))
    assert config.needed_maps() == ("parts", "depth")
    module = WholeObjects(config, 1, {})
    learned = {id(p) for group in module.configure_optimizers()["optimizer"].param_groups for p in group["params"]}
    assert {id(p) for p in module.auxiliary.parameters()} <= learned
    store = FrameStore(folder, False, maps=config.needed_maps())
    batch = TrainingBatches(store, config.stages[:1], config.augmentation, config.prompting(8), 0).batch(0)
    for name, taught in {"edges": "pixel_decoder", "depth": "pixel_decoder", "semantics": "neck"}.items():
        module.zero_grad()
        loss = module._losses(module.model.encode(batch.images.float()), batch)[name]
        assert 0.1 < loss.item() < 10
        loss.backward()
        assert any(p.grad is not None and p.grad.any() for p in getattr(module.model, taught).parameters())


def test_frames_without_parts_are_refused_where_edges_are_learned(tmp_path, data, capsys):
    run = write_run(tmp_path, data, loss={"edges": 1.0})
    assert main(["finetune", "--config", str(run), "--out", str(tmp_path / "out")]) == 2
    assert "has no parts.png" in capsys.readouterr().err


def test_training_lowers_the_loss(data):
    store = FrameStore(data[0], show_progress=False)
    torch.manual_seed(0)
    run = load_run(write_run(data[0], data))
    module = WholeObjects(run, 100, {})
    module.log = module.log_dict = lambda *args, **kwargs: None
    optimizer = torch.optim.AdamW(module.parameters(), 2e-3)
    batch = TrainingBatches(store, [Stage(64, 64, 100, 4)], run.augmentation, run.prompting(8), 0).batch(0)
    losses = []
    for _ in range(20):
        loss = module.training_step(batch, 0)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.8 * losses[0]


def test_the_exported_bundle_reproduces_torch(checkpoint, tmp_path):
    import cv2

    frame = toy_frame(np.random.default_rng(5))
    cv2.imwrite(str(tmp_path / "frame.png"), frame.rgb[..., ::-1])
    export = ["export", "--checkpoint", str(checkpoint), "--out", str(tmp_path / "bundle")]
    export += ["--image", str(tmp_path / "frame.png")]
    assert main(export) == 0
    bundle, in_torch = Segmenter.load(tmp_path / "bundle", "onnxruntime"), load_checkpoint_segmenter(checkpoint)
    for segmenter in (bundle, in_torch):
        segmenter.thresholds = type(segmenter.thresholds)(score=0.0, objectness=0.0, overlap=0.5)
        segmenter.min_area = 4
    for seed in range(3):
        rgb = toy_frame(np.random.default_rng(seed)).rgb
        a, b = bundle(rgb), in_torch(rgb)
        assert (a.label_map == b.label_map).mean() >= 0.999
        np.testing.assert_allclose(a.scores, b.scores, atol=1e-3)
    assert main(export) == 0  # a bundle that is there is replaced


def test_the_default_bundle_reproduces_its_golden_pair():
    config = load_config(DEFAULT_BUNDLE)
    golden = np.load(DEFAULT_BUNDLE / "golden.npz")
    runtime = create(DEFAULT_BUNDLE, config, "onnxruntime")
    check_parity(golden, runtime.run({name: golden[name] for name in INPUT_NAMES}))
    assert sum(path.stat().st_size for path in DEFAULT_BUNDLE.iterdir()) <= 25e6


def test_parity_is_refused_where_masks_or_scores_differ():
    good = {"scores": np.array([0.9, 0.0], np.float32), "masks": np.full((2, 8, 8), 255, np.uint8)}
    check_parity(good, good)
    with pytest.raises(SaomError, match=r"scores by 0\.1"):
        check_parity(good, {**good, "scores": np.array([0.8, 0.0], np.float32)})
    with pytest.raises(SaomError, match=r"equal mask cells 0\.00 %"):
        check_parity(good, {**good, "masks": np.zeros((2, 8, 8), np.uint8)})


def test_batches_depend_on_seed_and_number_alone(data):
    store = FrameStore(data[0], show_progress=False)

    def batches(start):
        return TrainingBatches(
            store, [Stage(64, 64, 32, 4)], Augmentation(), Prompting(PromptSampling(), 8), 3, start=start
        )

    for number, batch in enumerate(batches(2), start=2):
        assert torch.equal(batch.images, batches(0).batch(number).images)
    assert not torch.equal(batches(0).batch(0).images, batches(0).batch(1).images)


def test_augmentation_keeps_labels_on_their_objects():
    """Each object has one colour in this frame; after cropping and mirroring a label still covers its colour alone."""
    random = np.random.default_rng(0)
    instances = np.kron(np.arange(12).reshape(3, 4), np.ones((32, 32), int)).astype(np.uint16)
    rgb = np.repeat((instances * 20).astype(np.uint8)[..., None], 3, 2)
    for _ in range(20):
        image, (labels,), box = augment_geometry(rgb, [instances], 64, 96, Augmentation(), random)
        content = (slice(0, box.content_height), slice(0, box.content_width))
        same = np.abs(image[content][..., 0].astype(int) - labels[content].astype(int) * 20) <= 10
        assert same.mean() > 0.85
        assert (labels[box.content_height :] == 0).all()


def test_looks_change_pixels_but_not_shape_or_dtype():
    rgb = toy_frame(np.random.default_rng(0)).rgb
    changed = augment_look(rgb, Augmentation(grey=1, blur=1, noise=1, jpeg=1), np.random.default_rng(0))
    assert changed.shape == rgb.shape
    assert changed.dtype == np.uint8
    assert (changed != rgb).any()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"learning_rte": 1}, "learning_rte"),
        ({"stages": []}, "stages is empty"),
        ({"stages": [{"width": 100, "height": 96, "images": 8}]}, "multiples of 32"),
        ({"stages": [{"width": 64, "height": 96, "images": 0}]}, "at least 1"),
        ({"model": {"depth": 2}}, "depth"),
        ({"stages": "long"}, "stages"),
        ({"learning_rate": float("nan")}, "learning_rate is nan"),
        ({"learning_rate": -1}, "learning_rate is -1"),
        ({"devices": 0}, "devices is 0; it must be at least 1"),
        ({"loader_workers": -1}, "loader_workers is -1; it must be at least 0"),
    ],
)
def test_a_wrong_configuration_is_refused_by_name(tmp_path, data, changes, message):
    with pytest.raises(SaomError, match=message):
        load_run(write_run(tmp_path, data, **changes))


def test_frames_of_the_test_split_are_refused(tmp_path, data, capsys):
    with ShardWriter(tmp_path / "toy-000000.tar") as writer:
        frame = toy_frame(np.random.default_rng(0))
        frame.meta["split"] = "test"
        writer.add("000000", frame)
    run = write_run(tmp_path, (data[0], tmp_path))
    assert main(["finetune", "--config", str(run), "--out", str(tmp_path / "out")]) == 2
    assert "is of the test split, which must stay unseen; collect --split train and val" in capsys.readouterr().err


def test_user_mistakes_exit_2_without_a_traceback(tmp_path, data, capsys):
    run = write_run(tmp_path, (tmp_path / "nothing", data[1]))
    assert main(["finetune", "--config", str(run)]) == 2
    assert main(["finetune", "--config", str(tmp_path / "no.yaml")]) == 2
    assert main(["finetune", "--config", "x" * 300]) == 2
    assert main(["export", "--checkpoint", "no.ckpt", "--out", str(tmp_path / "b"), "--image", "no.png"]) == 2
    assert "Traceback" not in capsys.readouterr().err


def test_a_run_of_another_model_is_neither_continued_nor_overwritten(tmp_path, data, checkpoint, capsys):
    other = write_run(tmp_path, data, model={"encoder_channels": [16, 16, 16, 16], "embedding_dim": 64})
    before = checkpoint.read_bytes()
    assert main(["finetune", "--config", str(other), "--out", str(checkpoint.parent)]) == 2
    assert main(["finetune", "--config", str(other), "--out", str(tmp_path / "new"), "--init", str(checkpoint)]) == 2
    assert capsys.readouterr().err.count("use its model or another --out") == 2
    assert checkpoint.read_bytes() == before


def test_a_damaged_run_is_not_continued(tmp_path, data, checkpoint, capsys):
    damaged = tmp_path / "last.ckpt"
    damaged.write_bytes(checkpoint.read_bytes()[:1000])
    assert main(["finetune", "--config", str(write_run(tmp_path, data)), "--out", str(tmp_path)]) == 2
    assert "last.ckpt: not a readable checkpoint" in capsys.readouterr().err


def test_training_stops_at_a_loss_that_is_no_number_and_saves_the_batch(tmp_path, data):
    module = WholeObjects(load_run(write_run(data[0], data)), 100, {})
    module.trainer = SimpleNamespace(global_step=7, default_root_dir=str(tmp_path))
    torch.nn.init.constant_(module.model.score_head.layers[-1].bias, float("nan"))
    store = FrameStore(data[0], show_progress=False)
    batch = TrainingBatches(store, [Stage(64, 64, 100, 2)], Augmentation(), Prompting(PromptSampling(), 8), 0).batch(0)
    with pytest.raises(SaomError, match=r"loss is nan at step 7 .*bad_batch\.pt; lower learning_rate"):
        module.training_step(batch, 3)
    saved = torch.load(tmp_path / "bad_batch.pt", weights_only=True)
    assert torch.equal(saved["images"], batch.images)
    assert saved["index"] == 3
    assert np.isnan(saved["losses"]["score"])


def test_a_validation_frame_without_objects_says_nothing(data):
    """Its mean is no number, which would make the mean over all frames none either."""
    module, logged = WholeObjects(load_run(write_run(data[0], data)), 100, {}), {}
    module.log = lambda name, value, **options: logged.update({name: float(value)})
    frame, prompting = toy_frame(np.random.default_rng(0)), Prompting(PromptSampling(), 8)
    nothing = assigned_batch(frame.rgb, np.zeros_like(frame.instances), 64, 64, prompting)
    module.validation_step(nothing, 0)
    assert not logged
    module.validation_step(assigned_batch(frame.rgb, frame.instances, 64, 64, prompting), 1)
    assert set(logged) == {"val/prompted_miou", "val/prompted_recall50", "val/prompted_recall75"}
    assert all(0 <= value <= 100 for value in logged.values())


def test_a_damaged_checkpoint_is_named(tmp_path, checkpoint):
    damaged = tmp_path / "damaged.ckpt"
    damaged.write_bytes(checkpoint.read_bytes()[:1000])
    with pytest.raises(SaomError, match=r"damaged\.ckpt"):
        load_checkpoint(damaged)
    torch.save({"weights": 1}, damaged)
    with pytest.raises(SaomError, match="not a checkpoint of"):
        load_checkpoint(damaged)
