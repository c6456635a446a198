"""Shards to COCO instance annotations: `annotations.json` with RLE masks, and the pictures beside it in `images/`.

Category ids are class ids + 1, so that they stay when classes are appended; names that the class list lacks (what an
import brought) follow from `FOREIGN_CATEGORIES` on, in alphabetical order.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco_mask

from saom_ros.errors import SaomError
from training.classes import UNKNOWN_CLASS, class_names
from training.data.interchange.folders import new_folder
from training.data.shards import Sample, decode_sample, list_shards, read_members
from training.data.storage import Place

ANNOTATIONS_NAME = "annotations.json"
IMAGES_NAME = "images"
FOREIGN_CATEGORIES = 10_001
"""First category id of classes that are not in training/classes.yaml; far above the number of classes there."""


def export_coco(folder: Place, out: Path, progress: Callable[[], object] = lambda: None) -> int:
    """Write all samples of a shard folder as a COCO data set; returns how many. `progress` is called after each.

    Pictures are copied byte by byte. Raises SaomError for a sample that cannot be read, two samples of one key, and an
    output that exists or cannot be written.
    """
    list_shards(folder)  # a wrong folder is refused before anything is made
    images: list[dict[str, Any]] = []
    objects: list[tuple[str, dict[str, Any]]] = []
    with new_folder(out) as partial:
        (partial / IMAGES_NAME).mkdir()
        for sample, suffix, picture in _samples(folder):
            target = partial / IMAGES_NAME / f"{sample.key}{suffix}"
            target.write_bytes(picture)
            height, width = sample.instances.shape
            images.append({"id": len(images) + 1, "file_name": target.name, "height": height, "width": width})
            objects += _annotations(sample, len(images), len(objects) + 1)
            progress()
        categories = _category_ids(name for name, _ in objects)
        content = {
            "info": {"description": f"exported from {folder.name}"},
            "images": images,
            "annotations": [{**entry, "category_id": categories[name]} for name, entry in objects],
            "categories": [{"id": number, "name": name} for name, number in categories.items()],
        }
        (partial / ANNOTATIONS_NAME).write_text(json.dumps(content))
    return len(images)


def encode_rle(mask: NDArray[np.bool_]) -> dict[str, Any]:
    """COCO's compressed RLE of a mask (H, W), as JSON takes it."""
    encoded = coco_mask.encode(np.asfortranarray(mask, np.uint8))
    return {"size": [int(side) for side in encoded["size"]], "counts": encoded["counts"].decode("ascii")}


def _samples(folder: Place) -> Iterator[tuple[Sample, str, bytes]]:
    """Each sample with the suffix and the bytes of its picture."""
    seen = set()
    for path in list_shards(folder):
        for key, files in read_members(path):
            sample = decode_sample(path, key, files)
            if key in seen:
                raise SaomError(f"shard {path}: sample {key} has the key of an earlier one; keys must be unique")
            if Path(key).name != key:
                raise SaomError(f"shard {path}: sample {key} has a key that is no plain name; pictures are named by it")
            seen.add(key)
            name = "rgb.png" if "rgb.png" in files else "rgb.jpg"
            yield sample, Path(name).suffix, files[name]


def _annotations(sample: Sample, image: int, first: int) -> Iterator[tuple[str, dict[str, Any]]]:
    """Category name and annotation, still without its category id, of every visible object."""
    entries = {entry["id"]: entry for entry in sample.meta.get("objects", [])}
    labels = np.unique(sample.instances[sample.instances > 0]).tolist()
    for number, label in enumerate(labels, start=first):
        rle = encode_rle(sample.instances == label)
        entry = entries.get(label, {"class": UNKNOWN_CLASS})
        yield (
            entry.get("source_class", entry["class"]),
            {
                "id": number,
                "image_id": image,
                "segmentation": rle,
                "area": int(coco_mask.area(rle)),
                "bbox": coco_mask.toBbox(rle).tolist(),
                "iscrowd": 0,
            },
        )


def _category_ids(names: Iterable[str]) -> dict[str, int]:
    ids = {name: number for number, name in enumerate(class_names(), start=1)}
    foreign = sorted(set(names) - set(ids))
    return ids | {name: number for number, name in enumerate(foreign, start=FOREIGN_CATEGORIES)}
