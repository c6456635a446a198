"""From shards to training batches.

``FrameStore`` decodes shards once into flat memory-mapped files, so that one loader process keeps up with the model;
``TrainingBatches`` draws, crops and augments frames into batches, each a pure function of seed and batch number,
which makes a resumed run see exactly the batches that it would have seen.
"""

import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from tqdm import tqdm

from saom_ros.bundle import MASK_STRIDE
from saom_ros.letterbox import Letterbox, grid_points, letterbox_image, letterbox_labels
from training.prompts import PromptSampling, assign_grid_points, objectness_target, sample_prompts
from training.sam.small import EMBEDDING_STRIDE
from training.shards import list_shards, read_shard

_STORE_FORMAT = 1


class FrameStore:
    """Decoded frames of a shard folder: ``store[i]`` gives RGB uint8 (H, W, 3) and instances uint16 (H, W), both read-
    only.
    """

    def __init__(self, folder: Path, show_progress: bool = True) -> None:
        """Open the cache beside the shards (``folder/cache``), decoding the shards that it does not hold yet."""
        self.folder = folder
        cache = folder / "cache"
        shards = list_shards(folder)
        cache.mkdir(exist_ok=True)
        parts = []
        for shard in tqdm(shards, desc="decode", unit="shard", disable=not show_progress):
            stat = shard.stat()
            part = cache / f"{shard.stem}-{stat.st_size}-{stat.st_mtime_ns}-v{_STORE_FORMAT}"
            if not part.with_suffix(".json").exists():
                _decode_shard(shard, part)
            parts.append(_StorePart.open(part))
        self._parts = parts
        self._index = [(p, i) for p, part in enumerate(parts) for i in range(len(part.shapes))]

    def __len__(self) -> int:
        return len(self._index)

    def __getitem__(self, index: int) -> tuple[NDArray[np.uint8], NDArray[np.uint16]]:
        part, row = self._index[index]
        return self._parts[part].frame(row)


@dataclass
class _StorePart:
    rgb: NDArray[np.uint8]
    instances: NDArray[np.uint16]
    shapes: list[tuple[int, int]]
    offsets: NDArray[np.int64]

    @classmethod
    def open(cls, stem: Path) -> "_StorePart":
        shapes = [tuple(shape) for shape in json.loads(stem.with_suffix(".json").read_text())["shapes"]]
        rgb = np.memmap(stem.with_suffix(".rgb"), np.uint8, "r")
        instances = np.memmap(stem.with_suffix(".instances"), np.uint16, "r")
        offsets = np.concatenate([[0], np.cumsum([h * w for h, w in shapes])]).astype(np.int64)
        return cls(rgb, instances, shapes, offsets)

    def frame(self, row: int) -> tuple[NDArray[np.uint8], NDArray[np.uint16]]:
        start, end = self.offsets[row], self.offsets[row + 1]
        height, width = self.shapes[row]
        return self.rgb[3 * start : 3 * end].reshape(height, width, 3), self.instances[start:end].reshape(height, width)


def _decode_shard(shard: Path, stem: Path) -> None:
    """Write one shard's frames as raw arrays; the JSON comes last, so a killed run leaves no half part that looks
    whole.
    """
    shapes = []
    rgb_path, instances_path = stem.with_suffix(".rgb"), stem.with_suffix(".instances")
    with rgb_path.open("wb") as rgb_file, instances_path.open("wb") as instances_file:
        for sample in read_shard(shard):
            rgb_file.write(np.ascontiguousarray(sample.rgb).tobytes())
            instances_file.write(np.ascontiguousarray(sample.instances, np.uint16).tobytes())
            shapes.append(sample.instances.shape)
    temporary = stem.with_suffix(".json.part")
    temporary.write_text(json.dumps({"shapes": shapes}))
    os.replace(temporary, stem.with_suffix(".json"))


@dataclass(frozen=True)
class Augmentation:
    """How far training images stray from the rendered frames. Every field is a probability or a range."""

    crop: tuple[float, float] = (0.3, 1.0)
    """Side of the crop as a share of the frame's."""
    stretch: float = 0.2
    """Largest change of the aspect ratio, as natural logarithm."""
    letterbox: float = 0.2
    """Share of images with an aspect ratio other than the input's, which leaves padding as in real use."""
    gain: tuple[float, float] = (0.6, 1.4)
    """Brightness factor."""
    offset: float = 25.0
    """Largest brightness offset, in grey levels."""
    colour: float = 0.2
    """Largest change of each channel's gain."""
    gamma: float = 0.3
    """Largest change of gamma, as natural logarithm."""
    grey: float = 0.12
    """Share of grey images."""
    blur: float = 0.25
    """Share of images blurred by a Gaussian of 0.4 to 1.4 px."""
    noise: float = 0.3
    """Share of images with sensor noise of 2 to 12 grey levels."""
    jpeg: float = 0.25
    """Share of images compressed once more, quality 25 to 85."""


def augment_geometry(
    rgb: NDArray[np.uint8],
    instances: NDArray[np.uint16],
    height: int,
    width: int,
    augmentation: Augmentation,
    random: np.random.Generator,
) -> tuple[NDArray[np.uint8], NDArray[np.integer], Letterbox]:
    """Crop, mirror and letterbox a frame to ``(height, width)``; returns image, labels and the letterbox."""
    frame_height, frame_width = instances.shape
    aspect = width / height
    if random.random() < augmentation.letterbox:
        aspect *= float(np.exp(random.uniform(-0.8, 0.5)))
        stretch = 1.0
    else:
        stretch = float(np.exp(random.uniform(-augmentation.stretch, augmentation.stretch)))
    side = random.uniform(*augmentation.crop)
    crop_aspect = aspect * stretch
    crop_height = min(frame_height, frame_width / crop_aspect) * side
    h, w = max(16, round(crop_height)), max(16, round(crop_height * crop_aspect))
    h, w = min(h, frame_height), min(w, frame_width)
    y, x = int(random.integers(frame_height - h + 1)), int(random.integers(frame_width - w + 1))
    rgb, instances = rgb[y : y + h, x : x + w], instances[y : y + h, x : x + w]
    if random.random() < 0.5:
        rgb, instances = rgb[:, ::-1], instances[:, ::-1]
    # The crop is taken as an image of the unstretched aspect, so that the letterbox fills the input where it should.
    virtual_height = h
    virtual_width = max(1, round(w / stretch))
    box = Letterbox.fit(virtual_height, virtual_width, height, width)
    box = Letterbox(h, w, height, width, box.content_height, box.content_width)
    return letterbox_image(np.ascontiguousarray(rgb), box), letterbox_labels(np.ascontiguousarray(instances), box), box


def augment_look(
    image: NDArray[np.uint8], augmentation: Augmentation, random: np.random.Generator
) -> NDArray[np.uint8]:
    """Change exposure, colour, sharpness and compression of RGB uint8 (H, W, 3); geometry stays."""
    gain = random.uniform(*augmentation.gain) * (1 + random.uniform(-augmentation.colour, augmentation.colour, 3))
    gamma = np.exp(random.uniform(-augmentation.gamma, augmentation.gamma))
    offset = random.uniform(-augmentation.offset, augmentation.offset)
    levels = 255 * (np.arange(256) / 255) ** gamma
    table = np.clip(levels[:, None] * gain + offset, 0, 255).astype(np.uint8)
    image = np.asarray(cv2.LUT(image, table[None]), np.uint8)
    if random.random() < augmentation.grey:
        image = np.repeat(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)[..., None], 3, 2).astype(np.uint8, copy=False)
    if random.random() < augmentation.blur:
        image = np.asarray(cv2.GaussianBlur(image, (0, 0), random.uniform(0.4, 1.4)), np.uint8)
    if random.random() < augmentation.noise:
        noise = random.standard_normal(image.shape, np.float32) * random.uniform(2, 12)
        image = np.clip(image + noise, 0, 255).astype(np.uint8)
    if random.random() < augmentation.jpeg:
        quality = int(random.integers(25, 86))
        encoded = cv2.imencode(".jpg", image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
        image = np.ascontiguousarray(np.asarray(cv2.imdecode(encoded, cv2.IMREAD_COLOR), np.uint8)[..., ::-1])
    return image


@dataclass
class Batch:
    """One training batch.

    images: uint8 (B, 3, h, w) RGB, channels last in memory.
    labels: int32 (B, h / 4, w / 4), instance ids at the mask cells' centres; -1 in the padding.
    points: float32 (B, N, 2), xy input px. point_ids: int64 (B, N), the instance under each point, 0 = background.
    objectness: float32 (B, h / 8, w / 8), target in 0..1.
    """

    images: torch.Tensor
    labels: torch.Tensor
    points: torch.Tensor
    point_ids: torch.Tensor
    objectness: torch.Tensor

    def to(self, device: torch.device) -> "Batch":
        """Move every tensor; Lightning calls this."""
        return Batch(**{name: tensor.to(device, non_blocking=True) for name, tensor in vars(self).items()})


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


class TrainingBatches(torch.utils.data.IterableDataset):
    """Batches of one process, from ``start`` on; batch ``i`` depends on seed, rank and ``i`` alone."""

    def __init__(
        self,
        store: FrameStore,
        stages: Sequence[Stage],
        augmentation: Augmentation,
        sampling: PromptSampling,
        seed: int,
        start: int = 0,
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        super().__init__()
        self.store, self.stages, self.augmentation, self.sampling = store, stages, augmentation, sampling
        self.seed, self.start, self.rank, self.world_size = seed, start, rank, world_size

    @property
    def total(self) -> int:
        """Batches of the whole run."""
        return sum(stage_batches(stage, self.world_size) for stage in self.stages)

    def __iter__(self) -> Iterator[Batch]:
        worker = torch.utils.data.get_worker_info()
        first, step = (worker.id, worker.num_workers) if worker else (0, 1)
        for number in range(self.start + first, self.total, step):
            yield self.batch(number)

    def batch(self, number: int) -> Batch:
        """Make batch ``number``."""
        random = np.random.default_rng([self.seed, self.rank, number])
        stage = stage_of(self.stages, number, self.world_size)
        samples = [self._sample(stage, random) for _ in range(stage.batch_size)]
        images, labels, points, ids, objectness = zip(*samples, strict=True)
        stacked = torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2)
        return Batch(
            stacked,
            torch.from_numpy(np.stack(labels)),
            torch.from_numpy(np.stack(points)),
            torch.from_numpy(np.stack(ids)),
            torch.from_numpy(np.stack(objectness)),
        )

    def _sample(self, stage: Stage, random: np.random.Generator) -> tuple[NDArray, NDArray, NDArray, NDArray, NDArray]:
        for _ in range(8):  # crops without any object teach little: draw again, but never for ever
            rgb, instances = self.store[int(random.integers(len(self.store)))]
            image, labels, box = augment_geometry(rgb, instances, stage.height, stage.width, self.augmentation, random)
            if (labels > 0).mean() > 0.01:
                break
        image = augment_look(image, self.augmentation, random)
        return (image, *prompts_and_targets(labels, box, self.sampling, random))


def prompts_and_targets(
    labels: NDArray[np.integer], box: Letterbox, sampling: PromptSampling, random: np.random.Generator
) -> tuple[NDArray[np.int32], NDArray[np.float32], NDArray[np.int64], NDArray[np.float32]]:
    """Mask-cell labels, points, their instance ids and the objectness target (see ``Batch``) of one letterboxed label
    map.
    """
    grid = _embedding_grid(box)
    assignment = assign_grid_points(labels, grid, sampling.min_area)
    points, ids = sample_prompts(assignment, labels, grid, sampling, random)
    objectness = objectness_target(assignment, labels, EMBEDDING_STRIDE)
    return _mask_cells(labels, box), points, ids, objectness


def assigned_batch(rgb: NDArray[np.uint8], instances: NDArray[np.uint16], height: int, width: int) -> Batch:
    """One whole frame, letterboxed, with every object asked at its assigned grid point (a batch of one)."""
    box = Letterbox.fit(instances.shape[0], instances.shape[1], height, width)
    labels = letterbox_labels(instances, box)
    assignment = assign_grid_points(labels, _embedding_grid(box), PromptSampling.min_area)
    return Batch(
        torch.from_numpy(letterbox_image(rgb, box)).permute(2, 0, 1)[None],
        torch.from_numpy(_mask_cells(labels, box))[None],
        torch.from_numpy(assignment.points)[None],
        torch.from_numpy(assignment.ids)[None],
        torch.from_numpy(objectness_target(assignment, labels, EMBEDDING_STRIDE))[None],
    )


def _embedding_grid(box: Letterbox) -> NDArray[np.float32]:
    """The grid of everything mode, one point per embedding cell: float32 (P, 2), xy input px."""
    return grid_points(box.input_height // EMBEDDING_STRIDE, box.input_width // EMBEDDING_STRIDE, box)


def _mask_cells(labels: NDArray, box: Letterbox) -> NDArray[np.int32]:
    """Instance ids at the mask cells' centres, int32 (h / 4, w / 4); -1 in the padding."""
    cells = labels[MASK_STRIDE // 2 :: MASK_STRIDE, MASK_STRIDE // 2 :: MASK_STRIDE].astype(np.int32)
    cells[-(-box.content_height // MASK_STRIDE) :] = -1
    cells[:, -(-box.content_width // MASK_STRIDE) :] = -1
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
