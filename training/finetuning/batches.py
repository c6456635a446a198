"""From frames to training batches.

``TrainingBatches`` draws, crops and augments frames of a ``FrameStore`` into batches, each a pure function of seed and
batch number, which makes a resumed run see exactly the batches that it would have seen. Over a frozen encoder whose
embeddings are cached, frames come whole and unchanged, as embeddings instead of images.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from saom_ros.bundle import MASK_STRIDE
from saom_ros.letterbox import Letterbox, grid_points, letterbox_image, letterbox_labels
from training.assignment import Assignment, assign_grid_points, objectness_target
from training.finetuning.augmentation import Augmentation, augment_geometry, augment_look
from training.finetuning.embedding_cache import EmbeddingCache
from training.finetuning.frame_store import UNKNOWN_CLASS_ID, FrameStore
from training.finetuning.prompt_sampling import (
    NOT_ASKED,
    PromptSampling,
    assign_prompts,
    sample_ambiguous,
    sample_prompts,
)
from training.sam.model import grid_shape


@dataclass
class Batch:
    """One batch of B images and N points each; ``s`` is the model's objectness stride.

    labels: int32 (B, h / 4, w / 4), instance ids at the mask cells' centres; -1 in the padding.
    points: float32 (B, N, 2), xy input px. point_ids: int64 (B, N), the instance that each asks for, 0 = background,
    -1 = not asked. grid: float32 (B, P, 2), the points of everything mode, row by row.
    objectness: float32 (B, h / s, w / s), target in 0..1.
    classes: int64 (B, ids), class id of each instance id, -1 = unknown.
    images: uint8 (B, 3, h, w) RGB, channels last in memory; None where features are given.
    embedding, pixels: float16, cached ``Features`` of a frozen encoder; None where images are given.
    parts: int32 (B, h / 4, w / 4), part ids, and part_ids: int64 (B, N), the part that is a point's target, 0 = the
    whole object; None where only whole objects are targets.
    """

    labels: torch.Tensor
    points: torch.Tensor
    point_ids: torch.Tensor
    grid: torch.Tensor
    objectness: torch.Tensor
    classes: torch.Tensor
    images: torch.Tensor | None = None
    embedding: torch.Tensor | None = None
    pixels: torch.Tensor | None = None
    parts: torch.Tensor | None = None
    part_ids: torch.Tensor | None = None

    def tensors(self) -> dict[str, torch.Tensor]:
        """The tensors that are there, by name."""
        return {name: tensor for name, tensor in vars(self).items() if tensor is not None}

    def pin_memory(self) -> "Batch":
        """Move every tensor to memory that a GPU copies from while it computes; a DataLoader calls this."""
        return Batch(**{name: tensor.pin_memory() for name, tensor in self.tensors().items()})

    def to(self, device: torch.device) -> "Batch":
        """Move every tensor; Lightning calls this."""
        return Batch(**{name: tensor.to(device, non_blocking=True) for name, tensor in self.tensors().items()})


@dataclass(frozen=True)
class Stage:
    """A stretch of training at one input size (progressive sizes: small inputs first)."""

    height: int
    """Input height in px, a multiple of 32."""
    width: int
    """Input width in px, a multiple of 32."""
    images: int
    """Images seen in this stage, over all devices."""
    batch_size: int = 8
    """Images a batch, on each device."""


@dataclass(frozen=True)
class Prompting:
    """How a labelled frame becomes prompts and targets."""

    sampling: PromptSampling
    """Which points are asked."""
    stride: int
    """Input px per cell of the model's objectness map."""
    grid: tuple[int, int] | None = None
    """Rows and columns of everything mode's grid; None: as ``training.sam.model.grid_shape`` says."""
    ambiguous: bool = False
    """Whether parts are targets as well as whole objects."""
    decoding: Literal["joint", "separate"] = "joint"
    """How the model answers points, which decides the grid that is left out."""

    def grid_shape(self, height: int, width: int) -> tuple[int, int]:
        """Rows and columns of everything mode's grid over an input of this size (px)."""
        return grid_shape(self.grid, self.decoding, self.stride, height, width)

    def grid_of(self, box: Letterbox) -> NDArray[np.float32]:
        """The grid of everything mode over a letterboxed frame: float32 (P, 2), xy input px."""
        return grid_points(*self.grid_shape(box.input_height, box.input_width), box)


class TrainingBatches(torch.utils.data.IterableDataset):
    """Batches of one process, from ``start`` on; batch ``i`` depends on seed, rank and ``i`` alone."""

    def __init__(
        self,
        store: FrameStore,
        stages: Sequence[Stage],
        augmentation: Augmentation,
        prompting: Prompting,
        seed: int,
        start: int = 0,
        rank: int = 0,
        world_size: int = 1,
        embeddings: EmbeddingCache | None = None,
    ) -> None:
        super().__init__()
        self.store, self.stages, self.augmentation, self.prompting = store, stages, augmentation, prompting
        self.seed, self.start, self.rank, self.world_size = seed, start, rank, world_size
        self.embeddings = embeddings
        self.total = sum(stage_batches(stage, world_size) for stage in stages)

    def __iter__(self) -> Iterator[Batch]:
        worker = torch.utils.data.get_worker_info()
        first, step = (worker.id, worker.num_workers) if worker else (0, 1)
        for number in range(self.start + first, self.total, step):
            yield self.batch(number)

    def batch(self, number: int) -> Batch:
        """Make batch ``number``."""
        random = np.random.default_rng([self.seed, self.rank, number])
        stage = stage_of(self.stages, number, self.world_size)
        make = self._embedded_sample if self.embeddings else self._sample
        return collate([make(stage, random) for _ in range(stage.batch_size)])

    def _sample(self, stage: Stage, random: np.random.Generator) -> dict[str, NDArray]:
        for _ in range(8):  # crops without any object teach little: draw again, but never for ever
            index = int(random.integers(len(self.store)))
            rgb, _ = self.store[index]
            image, maps, box = augment_geometry(
                rgb, self._maps(index), stage.height, stage.width, self.augmentation, random
            )
            if (maps[0] > 0).mean() > 0.01:
                break
        content = image[: box.content_height, : box.content_width]  # the padding looks the same always, as in use
        content[:] = augment_look(np.ascontiguousarray(content), self.augmentation, random)
        targets = prompts_and_targets(maps, box, self.prompting, random)
        return {"images": image, "classes": self.store.classes(index), **targets}

    def _embedded_sample(self, stage: Stage, random: np.random.Generator) -> dict[str, NDArray]:
        assert self.embeddings
        index = int(random.integers(len(self.store)))
        height, width = self.store[index][1].shape
        box = Letterbox.fit(height, width, stage.height, stage.width)
        maps = [letterbox_labels(labels, box) for labels in self._maps(index)]
        targets = prompts_and_targets(maps, box, self.prompting, random)
        return {**self.embeddings[index], "classes": self.store.classes(index), **targets}

    def _maps(self, index: int) -> list[NDArray[np.integer]]:
        """The label maps that targets are made of: instances, and parts where these are targets."""
        instances = self.store[index][1]
        return [instances, self.store.parts(index)] if self.prompting.ambiguous else [instances]


def collate(samples: Sequence[dict[str, NDArray]]) -> Batch:
    """Stack the fields of samples (see ``Batch``, images as (h, w, 3)).

    Class tables are filled up to the longest; columns of points that no sample asks are left out.
    """
    longest = max(int((sample["point_ids"] != NOT_ASKED).sum()) for sample in samples)
    for sample in samples:
        for name in {"points", "point_ids", "part_ids"} & sample.keys():
            sample[name] = sample[name][: max(longest, 1)]
    ids = max(len(sample["classes"]) for sample in samples)
    for sample in samples:
        missing = ids - len(sample["classes"])
        sample["classes"] = np.pad(sample["classes"], (0, missing), constant_values=UNKNOWN_CLASS_ID)
    stacked = {name: torch.from_numpy(np.stack([sample[name] for sample in samples])) for name in samples[0]}
    if "images" in stacked:
        stacked["images"] = stacked["images"].permute(0, 3, 1, 2)
    return Batch(**stacked)


def prompts_and_targets(
    maps: Sequence[NDArray[np.integer]], box: Letterbox, prompting: Prompting, random: np.random.Generator
) -> dict[str, NDArray]:
    """Labels, points, their ids, the grid and the objectness target (see ``Batch``) of one letterboxed instance map,
    followed by its part map where parts are targets.
    """
    labels, grid, sampling = maps[0], prompting.grid_of(box), prompting.sampling
    assignment = assign_grid_points(labels, grid, sampling.min_area)
    targets: dict[str, Any] = {"labels": keep_small(mask_cells(labels, box), assignment), "grid": grid}
    targets["objectness"] = objectness_target(assignment, labels, prompting.stride)
    if prompting.ambiguous:
        targets["parts"] = mask_cells(maps[1], box)
        sampled = sample_ambiguous(labels, maps[1], sampling, random)
        targets["points"], targets["point_ids"], targets["part_ids"] = sampled
    else:
        if sampling.assignment != "nearest" or not sampling.inside:
            assignment = assign_prompts(labels, grid, sampling, random)
        targets["points"], targets["point_ids"] = sample_prompts(assignment, labels, grid, sampling, random)
    return targets


def assigned_batch(
    rgb: NDArray[np.uint8], instances: NDArray[np.uint16], height: int, width: int, prompting: Prompting
) -> Batch:
    """One whole frame, letterboxed, with every object asked at its assigned grid point (a batch of one)."""
    box = Letterbox.fit(instances.shape[0], instances.shape[1], height, width)
    labels = letterbox_labels(instances, box)
    grid = prompting.grid_of(box)
    assignment = assign_grid_points(labels, grid, prompting.sampling.min_area)
    sample: dict[str, NDArray] = {
        "images": letterbox_image(rgb, box),
        "labels": mask_cells(labels, box),
        "points": assignment.points,
        "point_ids": assignment.ids,
        "grid": grid,
        "objectness": objectness_target(assignment, labels, prompting.stride),
        "classes": np.zeros(0, np.int64),
    }
    return collate([sample])


def mask_cells(labels: NDArray, box: Letterbox) -> NDArray[np.int32]:
    """Ids at the mask cells' centres, int32 (h / 4, w / 4), of a letterboxed label map (h, w); -1 in the padding."""
    cells = labels[MASK_STRIDE // 2 :: MASK_STRIDE, MASK_STRIDE // 2 :: MASK_STRIDE].astype(np.int32)
    cells[-(-box.content_height // MASK_STRIDE) :] = -1
    cells[:, -(-box.content_width // MASK_STRIDE) :] = -1
    return cells


def keep_small(cells: NDArray[np.int32], assignment: Assignment) -> NDArray[np.int32]:
    """Give each object that has no mask cell in ``cells`` the one that holds its assigned point, in place; but never
    the only cell of another.
    """
    for row in np.flatnonzero(~np.isin(assignment.ids, cells)):
        x, y = (assignment.points[row] / MASK_STRIDE).astype(int)
        if cells[y, x] <= 0 or (cells == cells[y, x]).sum() > 1:
            cells[y, x] = assignment.ids[row]
    return cells


def stage_batches(stage: Stage, world_size: int = 1) -> int:
    """Batches that each process sees in a stage."""
    return -(-stage.images // (stage.batch_size * world_size))


def stage_of(stages: Sequence[Stage], batch: int, world_size: int = 1) -> Stage:
    """The stage that batch number ``batch`` belongs to; past the end, the last."""
    for stage in stages:
        batch -= stage_batches(stage, world_size)
        if batch < 0:
            return stage
    return stages[-1]


def images_seen(stages: Sequence[Stage], batches: int, world_size: int = 1) -> int:
    """Images that all processes together have seen after so many batches of each."""
    images = 0
    for stage in stages:
        here = min(batches, stage_batches(stage, world_size))
        images += here * stage.batch_size * world_size
        batches -= here
    return images
