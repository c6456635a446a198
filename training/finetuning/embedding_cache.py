"""Embeddings of a frozen encoder, computed once for all frames of a folder and kept as fp16 beside the shards.

The name carries a hash of the encoder's weights and precision, the frames and the input size, so a cache never serves
another model. Frames are letterboxed whole: there is no augmentation over cached embeddings.
"""

import hashlib
import json
import math
import os
import shutil
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from tqdm import tqdm

from saom_ros.errors import SaomError
from saom_ros.letterbox import Letterbox, letterbox_image
from training.finetuning.frame_store import FrameStore
from training.sam.model import Features, PromptableModel

_FORMAT = 1
_FRAMES_AT_ONCE = 4


class EmbeddingCache:
    """``cache[i]`` gives the features of frame ``i``: ``embedding`` and, where the family has them, ``pixels``, each
    float16 (C, h, w), read-only.
    """

    def __init__(self, path: Path) -> None:
        """Map a cache that ``make_embeddings`` has made or checked."""
        self.described = json.loads(path.with_suffix(".json").read_text())
        self._arrays = {
            name: np.memmap(_array_path(path, name), np.float16, "r", shape=tuple(shape))
            for name, shape in self.described["shapes"].items()
        }

    def __getitem__(self, index: int) -> dict[str, NDArray[np.float16]]:
        return {name: array[index] for name, array in self._arrays.items()}

    def is_whole(self) -> bool:
        """Whether every frame is what was written."""
        checksums = self.described["checksums"].items()
        return all(_checksums(self._arrays[name]) == expected for name, expected in checksums)


def cache_path(store: FrameStore, model: PromptableModel, height: int, width: int, precision: str) -> Path:
    """Where the embeddings of these frames, by this encoder, at this input size (px) and Lightning's ``precision`` lie;
    a stem without a suffix.
    """
    described = [_FORMAT, model.family, height, width, precision, store.fingerprint()]
    digest = hashlib.sha256(json.dumps(described).encode())
    for module in model.encoder_modules():
        for name, tensor in module.state_dict().items():
            digest.update(name.encode())
            digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return store.folder / "cache" / f"embeddings-{digest.hexdigest()[:16]}"


def make_embeddings(
    path: Path, store: FrameStore, encode: Callable[[torch.Tensor], Features], height: int, width: int
) -> None:
    """Encode every frame, letterboxed to ``(height, width)`` px, unless ``path`` holds all of them undamaged.

    ``encode`` takes uint8 (B, 3, h, w). Says the disk need first; SaomError where the disk has not that much.
    """
    if path.with_suffix(".json").exists():
        try:
            if EmbeddingCache(path).is_whole():
                return
            reason = "its checksums differ"
        except (OSError, ValueError, KeyError) as error:
            reason = str(error)
        print(f"{path}: damaged ({reason}); made again")
        path.with_suffix(".json").unlink()

    def encoded(indices: range) -> dict[str, NDArray[np.float16]]:
        frames = [store[index][0] for index in indices]
        boxed = [letterbox_image(rgb, Letterbox.fit(rgb.shape[0], rgb.shape[1], height, width)) for rgb in frames]
        features = encode(torch.from_numpy(np.stack(boxed)).permute(0, 3, 1, 2))
        return {name: tensor.half().cpu().numpy() for name, tensor in vars(features).items() if tensor is not None}

    shapes = {name: (len(store), *array.shape[1:]) for name, array in encoded(range(1)).items()}
    _check_disk(path, shapes)
    partials = {name: path.with_name(f"{path.name}.{name}.{os.getpid()}.part") for name in shapes}
    try:
        arrays = {name: np.memmap(partials[name], np.float16, "w+", shape=shape) for name, shape in shapes.items()}
        for start in tqdm(range(0, len(store), _FRAMES_AT_ONCE), desc="encode", unit="batch"):
            indices = range(start, min(start + _FRAMES_AT_ONCE, len(store)))
            for name, values in encoded(indices).items():
                arrays[name][start : indices.stop] = values
        checksums = {name: _checksums(array) for name, array in arrays.items()}
        for name, array in arrays.items():
            array.flush()
            os.replace(partials[name], _array_path(path, name))
    finally:
        for partial in partials.values():
            partial.unlink(missing_ok=True)
    marker = path.with_name(f"{path.name}.json.{os.getpid()}.part")
    marker.write_text(json.dumps({"shapes": shapes, "checksums": checksums}))
    os.replace(marker, path.with_suffix(".json"))


def _array_path(path: Path, name: str) -> Path:
    return path.with_suffix(f".{name}.f16")


def _checksums(array: NDArray[np.float16]) -> list[int]:
    return [zlib.crc32(np.ascontiguousarray(row).data) for row in array]


def _check_disk(path: Path, shapes: dict[str, tuple[int, ...]]) -> None:
    need, free = sum(2 * math.prod(shape) for shape in shapes.values()), shutil.disk_usage(path.parent).free
    frames = next(iter(shapes.values()))[0]
    print(f"embeddings of {frames} frames: {need / 1e9:.3g} GB in {path}.*; {free / 1e9:.3g} GB free")
    if need > free:
        raise SaomError(
            f"{path.parent}: embeddings of {frames} frames need {need / 1e9:.3g} GB, {free / 1e9:.3g} GB are free; "
            "free space, or set cache_embeddings: false"
        )
