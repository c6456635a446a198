"""What a shard folder holds, in numbers: frames, scenes, objects of each class and how large they look."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from saom_ros.errors import SaomError
from training.classes import UNKNOWN_CLASS
from training.data.shards import Sample, decode_sample, list_shards, read_members
from training.data.storage import Place

_CLASSES_SHOWN = 20


@dataclass
class DatasetInfo:
    """Statistics of a folder of shards."""

    folder: str
    shards: int = 0
    frames: int = 0
    scenes: set[tuple[Any, ...]] = field(default_factory=set)
    rooms: set[tuple[Any, ...]] = field(default_factory=set)
    """Distinct simulator, split, seed and scene number; imported data names its source folder as the scene."""
    objects_per_class: Counter[str] = field(default_factory=Counter)
    objects_per_frame: list[int] = field(default_factory=list)
    areas: list[int] = field(default_factory=list)
    """Visible px of every object."""
    shares: list[float] = field(default_factory=list)
    """The same as a share of its image."""
    image_sizes: Counter[str] = field(default_factory=Counter)
    simulators: Counter[str] = field(default_factory=Counter)
    splits: Counter[str] = field(default_factory=Counter)
    seeds: Counter[str] = field(default_factory=Counter)

    def add(self, sample: Sample) -> None:
        """Count one sample."""
        meta = sample.meta
        self.frames += 1
        self.scenes.add(tuple(str(meta.get(name)) for name in ("simulator", "split", "seed", "scene")))
        room = ("simulator", "place") if "place" in meta else ("simulator", "split", "seed", "scene")
        self.rooms.add(tuple(str(meta.get(name)) for name in room))
        labels, areas = np.unique(sample.instances[sample.instances > 0], return_counts=True)
        names = {entry["id"]: entry.get("source_class", entry["class"]) for entry in meta.get("objects", [])}
        self.objects_per_class.update(names.get(label, UNKNOWN_CLASS) for label in labels.tolist())
        self.objects_per_frame.append(len(labels))
        self.areas += areas.tolist()
        self.shares += (areas / sample.instances.size).tolist()
        height, width = sample.instances.shape
        self.image_sizes[f"{width}x{height}"] += 1
        for counter, name in ((self.simulators, "simulator"), (self.splits, "split"), (self.seeds, "seed")):
            counter[str(meta.get(name, "unknown"))] += 1

    def summary(self) -> dict[str, Any]:
        """The figures as plain numbers and mappings, what `info --json` prints; medians are None without objects."""
        found = len(self.areas) > 0
        return {
            "folder": self.folder,
            "shards": self.shards,
            "frames": self.frames,
            "scenes": len(self.scenes),
            "rooms": len(self.rooms),
            "objects": len(self.areas),
            "classes": len(self.objects_per_class),
            "median_objects_per_frame": float(np.median(self.objects_per_frame)) if self.objects_per_frame else None,
            "median_object_area": float(np.median(self.areas)) if found else None,
            "median_object_share": float(np.median(self.shares)) if found else None,
            "objects_per_class": dict(self.objects_per_class.most_common()),
            "image_sizes": dict(self.image_sizes.most_common()),
            "simulators": dict(self.simulators.most_common()),
            "splits": dict(self.splits.most_common()),
            "seeds": dict(self.seeds.most_common()),
        }


def gather(folder: Place, progress: Callable[[], object] = lambda: None) -> DatasetInfo:
    """Statistics of all samples of a folder; `progress` is called after each.

    Raises SaomError that names the shard and key that cannot be read.
    """
    info = DatasetInfo(str(folder))
    for path in list_shards(folder):
        info.shards += 1
        for key, files in read_members(path):
            sample = decode_sample(path, key, files, with_maps=False)
            try:
                info.add(sample)
            except (AttributeError, KeyError, TypeError) as error:
                raise SaomError(
                    f"shard {path}: sample {key} has a json that cannot be counted ({type(error).__name__}: {error}); "
                    "`python -m training dataset check` tells more"
                ) from error
            progress()
    return info


def describe(summary: Mapping[str, Any]) -> str:
    """`DatasetInfo.summary()` as lines to read; classes beyond the most frequent ones are counted together."""
    classes = list(summary["objects_per_class"].items())
    lines = [
        f"{summary['folder']}: {summary['frames']} frames in {summary['shards']} shards",
        f"  scenes         {summary['scenes']}, in {summary['rooms']} rooms",
        f"  simulators     {_join(summary['simulators'])}",
        f"  splits         {_join(summary['splits'])}",
        f"  seeds          {_join(summary['seeds'])}",
        f"  image sizes    {_join(summary['image_sizes'])}",
        f"  objects        {summary['objects']} of {summary['classes']} classes",
    ]
    if summary["objects"]:
        lines += [
            f"  a frame        {summary['median_objects_per_frame']:g} objects (median)",
            f"  median object  {summary['median_object_area']:g} px, "
            f"{100 * summary['median_object_share']:.2f} % of its image",
            "  objects per class:",
            *(f"    {name:20s} {count:7d}" for name, count in classes[:_CLASSES_SHOWN]),
        ]
    if len(classes) > _CLASSES_SHOWN:
        rest = sum(count for _, count in classes[_CLASSES_SHOWN:])
        lines.append(f"    {len(classes) - _CLASSES_SHOWN} more classes {rest:9d}  (all of them: --json)")
    return "\n".join(lines)


def _join(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} ({count})" for name, count in counts.items())
