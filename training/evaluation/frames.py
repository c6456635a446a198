"""Frames to evaluate on, from shards, a COCO data set or a folder of label maps, all in one form.

What an annotation leaves open is part of a frame: `ignore` marks pixels that count neither for nor against (COCO's
crowds, the ignore maps of a folder), `exhaustive` says whether every other object is annotated. Where it is not, what
a model finds beside the annotated objects may be right, and no figure that asks for precision is given.

The folder of label maps:

    DIR/images/NAME.jpg    the pictures (any format that `saom segment` reads)
    DIR/labels/NAME.png    object ids: grey of 8 or 16 bits, or a palette; 0 = no object
    DIR/ignore/NAME.png    optional, also for some pictures only: grey, every value above 0 marks a pixel to ignore
    DIR/index.json         optional, every entry of it too:
      {"exhaustive": true,             whether all objects are annotated; this is the default
       "ignore": [255],                ids that are no objects but pixels to ignore, in every picture
       "split": "test",
       "frames": {"NAME": {"exhaustive": false, "ignore": [7], "classes": {"1": "mug", "2": "teapot"}}}}
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from saom_ros.errors import SaomError
from saom_ros.image_files import files_in
from training.classes import UNKNOWN_CLASS
from training.data.interchange.importing import ImportedFrame, Loader, read_grey, read_json, to_frame
from training.data.interchange.label_folders import find_label_maps
from training.data.shards import Sample, count_samples, decode_sample, list_shards, read_members
from training.metrics.label_maps import BoolArray

IMAGES, LABELS, IGNORE, INDEX, ANNOTATIONS = "images", "labels", "ignore", "index.json", "annotations.json"
_INDEX_KEYS = frozenset({"exhaustive", "ignore", "split", "frames"})
_FRAME_KEYS = frozenset({"exhaustive", "ignore", "classes"})


@dataclass
class LabelledFrame:
    """A picture with its whole objects."""

    key: str
    rgb: NDArray[np.uint8]
    """(H, W, 3)"""
    instances: NDArray[np.uint16]
    """(H, W), 0 = no annotated object."""
    classes: dict[int, str] = field(default_factory=dict)
    """Class name of each id; ids without one are of unknown class."""
    ignore: BoolArray | None = None
    """(H, W), pixels that count neither for nor against; None = there are none."""
    exhaustive: bool = True
    """Whether every object outside `ignore` is annotated."""
    simulator: str = "unknown"
    """What made the frame."""
    split: str = "unknown"


@dataclass(frozen=True)
class FrameSet:
    """Frames that can be read as often as wanted, one at a time."""

    name: str
    length: int
    read: Callable[[], Iterator[LabelledFrame]]

    def __len__(self) -> int:
        return self.length

    def __iter__(self) -> Iterator[LabelledFrame]:
        return self.read()


def open_frames(data: Path, images: Path | None = None, limit: int | None = None, exhaustive: bool = True) -> FrameSet:
    """Find the frames of a data set, without reading their pictures yet.

    Args:
        data: folder of shards; COCO instance annotations (.json); folder of label maps, see above; or a folder with
            `annotations.json` and `images/`, as `dataset to-coco` writes it.
        images: folder that COCO's file names are relative to; None = `images/` beside the annotations, or their folder.
        limit: so many frames, spread evenly over all, so that they come from many scenes; None = all.
        exhaustive: False = in no frame all objects are annotated, whatever the data set says itself.

    Raises:
        SaomError: there is no such data set, it holds no frames or contradicts itself. Reading a frame raises it too.
    """
    if not data.exists():
        raise SaomError(f"data {data} does not exist; give a folder of shards or label maps, or a COCO JSON file")
    if images is not None and data.is_dir():
        raise SaomError(f"--images goes with a COCO JSON file, but {data} is a folder; leave --images out")
    if data.is_file():
        found = _coco(data, images)
    elif any(data.glob("*.tar")):
        found = _shards(data)
    elif (data / LABELS).is_dir():
        found = _label_maps(data)
    elif (data / ANNOTATIONS).is_file():
        found = _coco(data / ANNOTATIONS, None)
    else:
        raise SaomError(
            f"data folder {data} holds no *.tar shard, no {LABELS}/ beside {IMAGES}/ and no {ANNOTATIONS}; "
            "make shards with `python -m training collect`, or give a COCO JSON file"
        )
    if not found:
        raise SaomError(f"{data} holds no frames; write some with `python -m training collect`")
    wanted = min(limit or len(found), len(found))
    chosen = [k * len(found) // wanted for k in range(wanted)]

    def read() -> Iterator[LabelledFrame]:
        for frame in found.read(chosen):
            yield frame if exhaustive else replace(frame, exhaustive=False)

    return FrameSet(str(data), wanted, read)


@dataclass
class DataSummary:
    """What kind of frames an evaluation saw."""

    folder: str
    simulators: dict[str, int] = field(default_factory=dict)
    splits: dict[str, int] = field(default_factory=dict)
    sizes: dict[str, int] = field(default_factory=dict)

    def watch(self, frames: Iterator[LabelledFrame]) -> Iterator[LabelledFrame]:
        """Pass the frames through and count them."""
        for frame in frames:
            height, width = frame.instances.shape
            for counter, value in (
                (self.simulators, frame.simulator),
                (self.splits, frame.split),
                (self.sizes, f"{width}x{height}"),
            ):
                counter[value] = counter.get(value, 0) + 1
            yield frame


@dataclass(frozen=True)
class _Found:
    """Frames by their number."""

    length: int
    read: Callable[[Sequence[int]], Iterator[LabelledFrame]]

    def __len__(self) -> int:
        return self.length


def _shards(folder: Path) -> _Found:
    shards = list_shards(folder)

    def read(chosen: Sequence[int]) -> Iterator[LabelledFrame]:
        wanted = set(chosen)
        members = ((path, key, files) for path in shards for key, files in read_members(path))
        for number, (path, key, files) in enumerate(members):
            if number in wanted:
                yield _of_sample(decode_sample(path, key, files))

    return _Found(sum(count_samples(path) for path in shards), read)


def _of_sample(sample: Sample) -> LabelledFrame:
    meta = sample.meta
    return LabelledFrame(
        sample.key,
        sample.rgb,
        sample.instances,
        _class_names(meta),
        exhaustive=bool(meta.get("exhaustive", True)),
        simulator=str(meta.get("simulator", "unknown")),
        split=str(meta.get("split", "unknown")),
    )


def _coco(annotations: Path, images: Path | None) -> _Found:
    from training.data.interchange.coco_import import find_coco_frames  # pycocotools: only where needed

    beside = annotations.parent / IMAGES
    folder = images or (beside if beside.is_dir() else annotations.parent)
    return _imported(find_coco_frames(annotations, folder), "coco", "unknown")


def _label_maps(folder: Path) -> _Found:
    index = _read_index(folder)
    loaders = find_label_maps(folder / IMAGES, folder / LABELS)
    stems = {path.stem for path in files_in(folder / IMAGES)}
    unknown = sorted(set(index["frames"]) - stems)
    if unknown:
        raise SaomError(f"{folder / INDEX}: frame {unknown[0]!r} has no picture in {folder / IMAGES}; see its spelling")
    lonely = [path for path in (folder / IGNORE).glob("*.png") if path.stem not in stems]
    if lonely:
        raise SaomError(f"{lonely[0]}: has no picture of the same stem in {folder / IMAGES}")
    return _imported([partial(_with_index, load, folder, index) for load in loaders], "labels", str(index["split"]))


def _with_index(load: Loader, folder: Path, index: dict[str, Any]) -> ImportedFrame:
    """A frame of label maps with what ignore map and index say about it."""
    frame = load()
    stem = Path(frame.source).stem
    entry = index["frames"].get(stem, {})
    ids = [*index["ignore"], *entry.get("ignore", [])]
    ignore = np.isin(frame.instances, ids)
    path = folder / IGNORE / f"{stem}.png"
    if path.exists():
        mask = read_grey(path) > 0
        if mask.shape != ignore.shape:
            raise SaomError(
                f"{path}: is {mask.shape[1]}x{mask.shape[0]} px, the label map {ignore.shape[1]}x{ignore.shape[0]}; "
                "both must show the same pixels"
            )
        ignore |= mask
    return replace(
        frame,
        classes={int(label): name for label, name in entry.get("classes", {}).items()},
        ignore=ignore if ignore.any() else None,
        exhaustive=entry.get("exhaustive", index["exhaustive"]),
    )


def _read_index(folder: Path) -> dict[str, Any]:
    """The index of a folder of label maps with its defaults filled in. Raises SaomError that names a wrong entry."""
    path = folder / INDEX
    index = read_json(path) if path.exists() else {}
    if not isinstance(index, dict) or not isinstance(index.get("frames", {}), dict):
        raise SaomError(f"{path}: is no index of label maps; expected an object with the key 'frames' for single ones")
    _check_entry(path, "", index, _INDEX_KEYS)
    for name, entry in index.get("frames", {}).items():
        _check_entry(path, f"frame {name!r}: ", entry, _FRAME_KEYS)
    return {"exhaustive": True, "ignore": [], "split": "unknown", "frames": {}, **index}


def _check_entry(path: Path, place: str, entry: Any, allowed: frozenset[str]) -> None:
    if not isinstance(entry, dict) or not allowed.issuperset(entry):
        raise SaomError(
            f"{path}: {place}{entry!r:.60} is not understood; expected the keys {', '.join(sorted(allowed))}"
        )
    ids, classes = entry.get("ignore", []), entry.get("classes", {})
    if not isinstance(entry.get("exhaustive", True), bool):
        raise SaomError(f"{path}: {place}exhaustive is {entry['exhaustive']!r}; expected true or false")
    if not (isinstance(ids, list) and all(isinstance(label, int) for label in ids)):
        raise SaomError(f"{path}: {place}ignore is {ids!r:.60}; expected a list of ids")
    named = isinstance(classes, dict) and all(k.isdecimal() and isinstance(v, str) for k, v in classes.items())
    if not named:
        raise SaomError(f'{path}: {place}classes are {classes!r:.60}; expected ids with their names, {{"1": "mug"}}')


def _imported(loaders: Sequence[Loader], origin: str, split: str) -> _Found:
    """Frames of the interchange readers, by the conventions of imported shards: structure is background."""

    def read(chosen: Sequence[int]) -> Iterator[LabelledFrame]:
        for number in chosen:
            imported = loaders[number]()
            frame = to_frame(imported, origin, split)
            yield LabelledFrame(
                str(Path(imported.source).with_suffix("")).replace("/", "-"),
                frame.rgb,
                frame.instances,
                _class_names(frame.meta),
                imported.ignore,
                imported.exhaustive,
                origin,
                split,
            )

    return _Found(len(loaders), read)


def _class_names(meta: dict[str, Any]) -> dict[int, str]:
    """Class of each object: its own name where the class list lacks it."""
    return {
        entry["id"]: entry.get("source_class", entry.get("class", UNKNOWN_CLASS)) for entry in meta.get("objects", [])
    }
