"""Everything mode beside SAM's own generator: the systems, their rows and how alike masks are. No time is asserted."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from saom_ros.segmenter import Segmenter
from tests.training.tiny_sam import TINY_SAM
from training.benchmarking import automatic_masks as benchmark
from training.benchmarking.automatic_masks import (
    AMG,
    FASTEST,
    FULL_GRID,
    IN_TORCH,
    OBJECTNESS,
    ONE_ANSWER,
    Remembering,
    answering_once,
    compare,
    make_system,
    matched_iou,
    random_checkpoint,
)
from training.benchmarking.frames import labelled_frames
from training.evaluation.automatic_masks import AutomaticMasks
from training.experiment.systems import FullGrid

SIDE = 3


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    return random_checkpoint(tmp_path_factory.mktemp("random"), "sam_small", TINY_SAM, SIDE)


@pytest.fixture
def without_processes(monkeypatch):
    """Memory is measured in a fresh process each, which takes seconds to import torch."""
    monkeypatch.setattr(benchmark, "_peak", lambda name, checkpoint, folder: 100.0)


def test_each_system_has_its_time_its_ratios_and_its_memory(checkpoint, tmp_path, without_processes):
    rows = {row.name: row for row in compare("toy", checkpoint, labelled_frames(1), tmp_path)}
    for name in (*IN_TORCH, FASTEST):
        assert rows[f"toy: {name}"].unit == "ms"
        assert rows[f"toy: {name}, memory of a process (peak RSS)"].value == 100
    assert rows[f"toy: {FULL_GRID}, speed beside {ONE_ANSWER}"].ratio_to == ONE_ANSWER
    amg, fastest = rows[f"toy: {AMG}"].value, rows[f"toy: {FASTEST}"].value
    assert rows[f"toy: {FASTEST}, speed beside {AMG}"].value == pytest.approx(amg / fastest, rel=0.1)
    assert not any("overlap_f" in name for name in rows), "random weights have no quality"


def test_every_ratio_row_can_be_told_apart(checkpoint, tmp_path, without_processes):
    names = [row.name for row in compare("toy", checkpoint, labelled_frames(1), tmp_path, time_only=True)]
    assert len(names) == len(set(names))
    assert not any("memory" in name or FASTEST in name for name in names)


def test_with_validation_frames_thresholds_are_chosen_and_quality_is_scored(
    checkpoint, tmp_path, without_processes, monkeypatch
):
    chosen = []
    monkeypatch.setattr(benchmark, "choose", lambda system, frames: chosen.append(type(system)))
    frames = labelled_frames(1)
    rows = {row.name: row for row in compare("toy", checkpoint, frames, tmp_path, frames)}
    assert chosen == [AutomaticMasks, AutomaticMasks, FullGrid, Segmenter, Segmenter]
    for name in (*IN_TORCH, FASTEST):
        assert {f"toy: {name}, {figure}" for figure in benchmark.FIGURES} <= set(rows)
    assert f"toy: {FULL_GRID}, IoU of masks matched with those of {AMG}" not in rows, "its thresholds let nothing pass"


def test_masks_are_compared_with_those_of_both_generators():
    same = np.array([[1, 1, 0]], np.uint16)
    half = np.array([[1, 0, 0]], np.uint16)
    systems = {
        AMG: Remembering(None, [same]),
        ONE_ANSWER: Remembering(None, [half]),
        OBJECTNESS: Remembering(None, [same]),
    }
    values = {row.name: row.value for row in benchmark._agreement("ours", systems[OBJECTNESS], systems)}
    assert values == {
        f"ours, IoU of masks matched with those of {AMG}": 1.0,
        f"ours, IoU of masks matched with those of {ONE_ANSWER}": 0.5,
    }
    assert len(benchmark._agreement("AMG", systems[AMG], systems)) == 1, "not with its own"


def test_systems_share_the_weights_of_the_checkpoint(checkpoint, tmp_path):
    amg, grid = make_system(AMG, checkpoint, tmp_path), make_system(FULL_GRID, checkpoint, tmp_path)
    ours = grid.runtime.module.model.sam.state_dict()
    assert all((tensor == ours[name]).all() for name, tensor in amg.sam.state_dict().items())
    assert amg.points_per_side == SIDE
    assert grid.config.max_prompts == SIDE * SIDE
    assert make_system(OBJECTNESS, checkpoint, tmp_path).config.max_prompts <= SIDE * SIDE


def test_a_model_that_answers_once_gives_its_whole_object_mask(checkpoint, tmp_path):
    sam = make_system(AMG, checkpoint, tmp_path).sam
    once = answering_once(sam)
    prompts = {
        "image_embeddings": torch.rand(1, 32, 4, 4),
        "image_pe": sam.prompt_encoder.get_dense_pe(),
        "sparse_prompt_embeddings": torch.rand(2, 2, 32),
        "dense_prompt_embeddings": torch.rand(2, 32, 4, 4),
    }
    with torch.no_grad():
        expected, _ = sam.mask_decoder(**prompts, multimask_output=False)
        found, _ = once.mask_decoder(**prompts, multimask_output=True)
        three, _ = sam.mask_decoder(**prompts, multimask_output=True)
    assert found.shape[1] == 1
    assert torch.equal(found, expected)
    assert three.shape[1] == 3, "the model itself is as it was"


def test_each_object_of_the_reference_is_matched_with_the_likest():
    reference = np.array([[1, 1, 2, 2], [1, 1, 2, 2]], np.uint16)
    found = np.array([[5, 5, 0, 9], [5, 5, 0, 9]], np.uint16)
    assert matched_iou(reference, found).tolist() == [1.0, 0.5]
    assert matched_iou(reference, np.zeros_like(found)).tolist() == [0.0, 0.0]
    assert len(matched_iou(np.zeros_like(found), found)) == 0


def test_quick_compares_random_weights_of_tiny_size_only(monkeypatch):
    asked = []
    monkeypatch.setattr(benchmark, "compare", lambda what, *_, **__: asked.append(what) or [])
    benchmark.rows(quick=True)
    assert asked == ["sam_small, random weights"]
