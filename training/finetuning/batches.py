"""From frames to training batches.

``TrainingBatches`` draws, crops and augments frames of a ``FrameStore`` into batches, each a pure function of seed and
batch number, which makes a resumed run see exactly the batches that it would have seen. Over a frozen encoder whose
embeddings are cached, frames come whole and unchanged, as embeddings instead of images.
"""

from collections.abc import Iterator, Mapping, Sequence
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
from training.finetuning.frame_store import EXTRA_MAPS, UNKNOWN_CLASS_ID, FrameStore
from training.finetuning.pasting import paste_objects
from training.finetuning.prompt_sampling import (
    NOT_ASKED,
    PromptSampling,
    assign_prompts,
    sample_ambiguous,
    sample_prompts,
)
from training.sam.model import grid_shape

FINE_STRIDE = 2
"""Input px per cell of finer labels, against which masks are compared after they are enlarged twice."""


@dataclass
class Batch:
    """One batch of B images and N points each; ``s`` is the model's objectness stride.

    labels: int32 (B, h / 4, w / 4), instance ids at the mask cells' centres; -1 in the padding.
    points: float32 (B, N, 2), xy input px. point_ids: int64 (B, N), the instance that each asks for, 0 = background,
    -1 = not asked. grid: float32 (B, P, 2), the points of everything mode, row by row.
    objectness: float32 (B, h / s, w / s), target in 0..1.
    classes: int64 (B, ids), class id of each instance id, -1 = unknown.
    fine_labels: int32 (B, h / 2, w / 2), as labels; None where losses compare masks as they are read, at stride 4.
    images: uint8 (B, 3, h, w) RGB, channels last in memory; None where features are given.
    embedding, pixels: float16, cached ``Features`` of a frozen encoder; None where images are given.
    parts: int32 (B, h / 4, w / 4), part ids, and part_ids: int64 (B, N), the part that is a point's target, 0 = the
    whole object. depth: int32 (B, h / 4, w / 4) mm, 0 = unknown, -1 in the padding. Each None where no loss needs it.
    """

    labels: torch.Tensor
    points: torch.Tensor
    point_ids: torch.Tensor
    grid: torch.Tensor
    objectness: torch.Tensor
    classes: torch.Tensor
    fine_labels: torch.Tensor | None = None
    images: torch.Tensor | None = None
    embedding: torch.Tensor | None = None
    pixels: torch.Tensor | None = None
    parts: torch.Tensor | None = None
    part_ids: torch.Tensor | None = None
    depth: torch.Tensor | None = None

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
    """A stretch of training at one input size (progressive sizes: small inputs first), on whole objects or on parts."""

    height: int
    """Input height in px, a multiple of 32."""
    width: int
    """Input width in px, a multiple of 32."""
    images: int
    """Images seen in this stage, over all devices."""
    batch_size: int = 8
    """Images a batch, on each device."""
    parts: bool = False
    """Whether every part of an object is taught as if it were an object (a curriculum from parts to wholes)."""


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
    fine: bool = False
    """Whether batches bring labels at stride 2, too."""

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
            rgb, maps, classes = self.store[index][0], self.store.maps(index), self.store.classes(index)
            if random.random() < self.augmentation.paste:
                rgb, maps, classes = self._pasted_into(rgb, maps, classes, random)
            image, boxed, box = augment_geometry(
                rgb, list(maps.values()), stage.height, stage.width, self.augmentation, random
            )
            if (boxed[0] > 0).mean() > 0.01:
                break
        content = image[: box.content_height, : box.content_width]  # the padding looks the same always, as in use
        content[:] = augment_look(np.ascontiguousarray(content), self.augmentation, random)
        targets = self._targets(stage, dict(zip(maps, boxed, strict=True)), classes, box, random)
        return {"images": image, **targets}

    def _targets(
        self,
        stage: Stage,
        maps: Mapping[str, NDArray[np.integer]],
        classes: NDArray[np.int64],
        box: Letterbox,
        random: np.random.Generator,
    ) -> dict[str, NDArray]:
        """What the stage teaches of a letterboxed frame."""
        if stage.parts:  # which have no classes
            maps, classes = {**maps, "instances": maps["parts"]}, np.zeros(0, np.int64)
        return {"classes": classes, **prompts_and_targets(maps, box, self.prompting, random)}

    def _pasted_into(
        self,
        rgb: NDArray[np.uint8],
        maps: Mapping[str, NDArray[np.uint16]],
        classes: NDArray[np.int64],
        random: np.random.Generator,
    ) -> tuple[NDArray[np.uint8], dict[str, NDArray[np.uint16]], NDArray[np.int64]]:
        """A frame with objects of another one, and the class ids of all."""
        donor = int(random.integers(len(self.store)))
        rgb, mixed, donated = paste_objects(rgb, maps, self.store[donor][0], self.store.maps(donor), random)
        of_donor = self.store.classes(donor)
        table = np.full(max([len(classes), *(pasted + 1 for pasted in donated)]), UNKNOWN_CLASS_ID, np.int64)
        table[: len(classes)] = classes
        for pasted, original in donated.items():
            table[pasted] = of_donor[original] if original < len(of_donor) else UNKNOWN_CLASS_ID
        return rgb, mixed, table

    def _embedded_sample(self, stage: Stage, random: np.random.Generator) -> dict[str, NDArray]:
        assert self.embeddings
        index = int(random.integers(len(self.store)))
        height, width = self.store[index][1].shape
        box = Letterbox.fit(height, width, stage.height, stage.width)
        maps = {name: letterbox_labels(labels, box) for name, labels in self.store.maps(index).items()}
        return {**self.embeddings[index], **self._targets(stage, maps, self.store.classes(index), box, random)}


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
    maps: Mapping[str, NDArray[np.integer]], box: Letterbox, prompting: Prompting, random: np.random.Generator
) -> dict[str, NDArray]:
    """Labels, points, their ids, the grid and the objectness target (see ``Batch``) of the letterboxed instance map
    ``instances``; and what the other maps that are there (``parts``, ``depth``) show at the mask cells.
    """
    labels, grid, sampling = maps["instances"], prompting.grid_of(box), prompting.sampling
    assignment = assign_grid_points(labels, grid, sampling.min_area)
    targets: dict[str, Any] = {"labels": keep_small(mask_cells(labels, box), assignment), "grid": grid}
    targets["objectness"] = objectness_target(assignment, labels, prompting.stride)
    if prompting.fine:
        targets["fine_labels"] = keep_small(mask_cells(labels, box, FINE_STRIDE), assignment, FINE_STRIDE)
    targets |= {name: mask_cells(maps[name], box) for name in EXTRA_MAPS if name in maps}
    if prompting.ambiguous:
        sampled = sample_ambiguous(labels, maps["parts"], sampling, random)
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


def mask_cells(labels: NDArray, box: Letterbox, stride: int = MASK_STRIDE) -> NDArray[np.int32]:
    """Ids at the mask cells' centres, int32 (h / stride, w / stride), of a letterboxed label map (h, w); -1 in the
    padding.
    """
    cells = labels[stride // 2 :: stride, stride // 2 :: stride].astype(np.int32)
    cells[-(-box.content_height // stride) :] = -1
    cells[:, -(-box.content_width // stride) :] = -1
    return cells


def keep_small(cells: NDArray[np.int32], assignment: Assignment, stride: int = MASK_STRIDE) -> NDArray[np.int32]:
    """Give each object that has no mask cell in ``cells`` the one that holds its assigned point, in place; but never
    the only cell of another.
    """
    for row in np.flatnonzero(~np.isin(assignment.ids, cells)):
        x, y = (assignment.points[row] / stride).astype(int)
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
