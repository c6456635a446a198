"""Batches: what a frame becomes, with and without parts and cached embeddings."""

import numpy as np
import pytest
import torch

from saom_ros.letterbox import PAD_COLOR, Letterbox, letterbox_labels
from tests.training.tiny_sam import write_part_shards
from training.assignment import Assignment
from training.finetuning.augmentation import Augmentation
from training.finetuning.batches import (
    Prompting,
    Stage,
    TrainingBatches,
    collate,
    keep_small,
    mask_cells,
    prompts_and_targets,
)
from training.finetuning.embedding_cache import EmbeddingCache, make_embeddings
from training.finetuning.frame_store import FrameStore
from training.finetuning.grid_report import grid_report
from training.finetuning.pasting import paste_objects
from training.finetuning.prompt_sampling import NOT_ASKED, PromptSampling
from training.sam.model import Features

WHOLES = Prompting(PromptSampling(), 16, (32, 32))
PARTS = Prompting(PromptSampling(objects=12, min_area=20), 16, (32, 32), ambiguous=True)


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return FrameStore(write_part_shards(tmp_path_factory.mktemp("parts"), 12, 0), False, maps=["parts"])


def batches(store, prompting, **options):
    return TrainingBatches(store, [Stage(64, 64, 400, 4)], Augmentation(), prompting, 0, **options)


def test_points_of_parts_lie_on_the_part_that_is_their_target(store):
    batch = batches(store, PARTS).batch(0)
    rows, cols = (batch.points[..., 1] / 4).long(), (batch.points[..., 0] / 4).long()
    under = batch.parts.flatten(1).gather(1, rows * 16 + cols)
    of_part = batch.part_ids > 0
    assert of_part.any()
    assert (~of_part & (batch.point_ids > 0)).any()
    # A mask cell is read at its centre, so a point near an edge may fall into a neighbour's cell.
    assert (under[of_part] == batch.part_ids[of_part]).float().mean() > 0.7


def test_a_stage_of_parts_teaches_each_as_if_it_were_an_object(store):
    stages = [Stage(64, 64, 4, 4, parts=True), Stage(64, 64, 4, 4)]
    drawn = TrainingBatches(store, stages, Augmentation(), WHOLES, 0)
    parts, wholes = drawn.batch(0), drawn.batch(1)
    assert (parts.labels == parts.parts).all()
    assert (parts.point_ids > 0).any()
    assert {*parts.point_ids.unique().tolist()} - {0, NOT_ASKED} <= {*parts.parts.unique().tolist()}
    assert parts.classes.numel() == 0
    assert (wholes.labels != wholes.parts).any()
    assert wholes.classes.max() >= 0


def test_classes_of_instances_come_with_the_batch(store):
    batch = batches(store, WHOLES).batch(1)
    known = batch.classes.max()
    assert set(batch.classes.unique().tolist()) == {-1, known.item()}
    for row, ids in zip(batch.classes, batch.point_ids, strict=True):
        assert all((row[i] == known) == (i % 2 == 1) for i in ids.unique() if i > 0)


def test_pasted_objects_bring_their_class(store):
    drawn = TrainingBatches(store, [Stage(64, 64, 4, 4)], Augmentation(), WHOLES, 0)
    brought = []
    for seed in range(10):
        random, again = (np.random.default_rng(seed) for _ in range(2))
        rgb, maps = store[0][0], store.maps(0)
        _, _, table = drawn._pasted_into(rgb, maps, store.classes(0), random)
        donor = int(again.integers(len(store)))
        _, _, donated = paste_objects(rgb, maps, store[donor][0], store.maps(donor), again)
        brought += [(int(table[pasted]), int(store.classes(donor)[original])) for pasted, original in donated.items()]
        assert (table[: len(store.classes(0))] == store.classes(0)).all()
    assert len({expected for _, expected in brought}) == 2
    assert all(found == expected for found, expected in brought)


def test_pasted_objects_bring_their_parts(store):
    sampling = PromptSampling(objects=12, background=0, own_peaks=0, min_area=20)
    prompting = Prompting(sampling, 16, (32, 32))

    def drawn(paste):
        stages = [Stage(64, 64, 400, 4)]
        return TrainingBatches(store, stages, Augmentation(crop=(1, 1), paste=paste), prompting, 0).batch(0)

    plain, pasted = drawn(0.0), drawn(1.0)
    assert sum(len(row.unique()) for row in pasted.labels) > sum(len(row.unique()) for row in plain.labels)
    for labels, parts in zip(pasted.labels, pasted.parts, strict=True):
        owners = [labels[(parts == part) & (labels > 0)].unique() for part in parts[labels > 0].unique()]
        assert all(len(owner) == 1 for owner in owners)


def test_an_object_between_mask_cells_keeps_one():
    instances = np.zeros((64, 64), np.uint16)
    instances[19:21, 8:40] = 5  # mask cells are read at rows 18 and 22
    box = Letterbox.fit(64, 64, 64, 64)
    assert not (mask_cells(instances, box) == 5).any()
    targets = prompts_and_targets({"instances": instances}, box, WHOLES, np.random.default_rng(0))
    assert (targets["labels"] == 5).sum() == 1


def test_columns_that_no_image_asks_are_left_out(store):
    sampling = PromptSampling(objects=64, background=0, own_peaks=0, inside=False, extra="none")
    batch = batches(store, Prompting(sampling, 16, (32, 32))).batch(0)
    asked = (batch.point_ids != NOT_ASKED).sum(1)
    assert batch.points.shape[1] == batch.point_ids.shape[1] == asked.max()
    assert asked.max() <= 5


def test_the_grid_report_counts_objects_that_the_grid_misses(store):
    coarse = grid_report(store, Prompting(PromptSampling(min_area=20), 16, (2, 2)), 64, 64)
    fine = grid_report(store, Prompting(PromptSampling(min_area=20), 16, (32, 32)), 64, 64)
    assert fine.objects == coarse.objects > 0
    assert fine.without_grid_point == 0 < coarse.without_grid_point <= coarse.objects
    assert "grid 2x2" in str(coarse)


def test_finer_labels_show_the_same_objects_at_half_the_stride():
    instances = np.zeros((64, 48), np.uint16)
    instances[8:40, 12:36], instances[50, 8:40] = 3, 5  # cells are read at odd rows
    box = Letterbox.fit(64, 48, 64, 64)
    prompting = Prompting(PromptSampling(min_area=8), 16, (32, 32), fine=True)
    targets = prompts_and_targets(
        {"instances": letterbox_labels(instances, box)}, box, prompting, np.random.default_rng(0)
    )
    fine = targets["fine_labels"]
    assert fine.shape == (32, 32)
    assert (fine[4:20, 6:18] == 3).all()
    assert (fine == 3).sum() == 16 * 12
    assert [row for row, _ in np.argwhere(fine == 5)] == [25]
    assert (fine[:, 24:] == -1).all()


def test_an_object_without_a_mask_cell_gets_one_but_never_anothers_only_one():
    cells = np.array([[1, 1], [2, 0]], np.int32)
    points = np.array([[2, 2], [2, 6], [6, 6]], np.float32)
    unused = np.ones(3, np.int64), points, np.ones(3, bool)
    assert keep_small(cells.copy(), Assignment(np.array([3, 4, 5]), *unused)).tolist() == [[3, 1], [2, 5]]


def test_padding_is_the_same_in_training_as_in_use(store):
    """Whatever is done to exposure, colour and noise of the picture."""
    batch = TrainingBatches(store, [Stage(64, 64, 8, 8)], Augmentation(letterbox=1, noise=1), WHOLES, 0).batch(0)
    padding = (batch.labels == -1).repeat_interleave(4, 1).repeat_interleave(4, 2)
    assert padding.any()
    assert (batch.images.permute(0, 2, 3, 1)[padding] == torch.tensor(PAD_COLOR)).all()


@pytest.fixture(scope="module")
def embeddings(store):
    """The embedding of a frame is its mean colour, everywhere."""
    path = store.folder / "cache" / "embeddings-of-a-test"

    def encode(images):
        return Features(images.float().mean((2, 3), keepdim=True).expand(-1, -1, 4, 4))

    make_embeddings(path, store, encode, 64, 64)
    return EmbeddingCache(path)


def test_cached_embeddings_come_with_the_labels_of_their_own_frame(store, embeddings):
    batch = batches(store, WHOLES, embeddings=embeddings).batch(3)
    assert batch.images is None
    assert batch.embedding.dtype == torch.float16
    whole = {mask_cells_of(store[index][1]): embeddings[index]["embedding"][:, 0, 0] for index in range(len(store))}
    for labels, embedding in zip(batch.labels, batch.embedding, strict=True):
        np.testing.assert_array_equal(whole[labels.numpy().tobytes()], embedding[:, 0, 0])


def mask_cells_of(instances):
    box = Letterbox.fit(instances.shape[0], instances.shape[1], 64, 64)
    return mask_cells(letterbox_labels(instances, box), box).tobytes()


def test_cached_batches_depend_on_seed_and_number_alone(store, embeddings):
    first, again = (batches(store, PARTS, embeddings=embeddings).batch(5) for _ in range(2))
    for name, tensor in first.tensors().items():
        assert torch.equal(tensor, again.tensors()[name]), name


def test_processes_see_different_batches(store):
    one, two = (batches(store, WHOLES, rank=rank, world_size=2).batch(0) for rank in (0, 1))
    assert not torch.equal(one.images, two.images)


def test_class_tables_of_a_batch_have_one_length():
    sample = {"point_ids": np.array([1]), "points": np.zeros((1, 2), np.float32)}
    sample |= {"labels": np.zeros(1), "grid": np.zeros((1, 2)), "objectness": np.zeros(1)}
    found = collate([{**sample, "classes": np.array(classes)} for classes in ([-1, 4], [-1])])
    assert found.classes.tolist() == [[-1, 4], [-1, -1]]
