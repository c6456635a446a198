"""From AI2-THOR's ids to whole objects: which of its objects are parts of another, and what is no object at all.

AI2-THOR gives every door, drawer, basin and burner an id of its own. The rule that joins them is a file
(`training/configs/ai2thor.yaml`, or another one with `--rules`); boxes are AI2-THOR's axis-aligned ones, in metres.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import dacite
import numpy as np
import yaml
from numpy.typing import NDArray

from saom_ros.errors import SaomError
from training.classes import CLASSES_FILE, object_entry

DEFAULT_RULES = Path(__file__).parents[2] / "configs" / "ai2thor.yaml"
_SCENERY_SHARE = 0.005
"""What has an id but is no object is worth naming from this share of the image on."""


@dataclass(frozen=True)
class Group:
    """Parts that nothing holds; those near each other make up one object."""

    of: list[str]
    """AI2-THOR types."""
    gap: float
    """m between the boxes of neighbours, at most."""


@dataclass(frozen=True)
class MergeRules:
    """How AI2-THOR's objects make up whole objects."""

    structure: list[str]
    """AI2-THOR types that are background."""
    parts: dict[str, list[str]]
    """AI2-THOR type -> types that it is a part of, where the centre of its box lies in one of theirs."""
    margin: float
    """m by which boxes are grown for that."""
    groups: dict[str, Group] = field(default_factory=dict)
    """AI2-THOR type of the object -> two or more things that make it up, where `parts` finds no place for them."""


def load_rules(path: Path) -> MergeRules:
    """Read a rule file. Raises SaomError that names the file and what is wrong in it."""
    try:
        return dacite.from_dict(MergeRules, yaml.safe_load(path.read_text()), dacite.Config(strict=True, cast=[float]))
    except OSError as error:
        raise SaomError(f"cannot read --rules {path}: {error.strerror}") from error
    except (yaml.YAMLError, dacite.DaciteError, TypeError, ValueError, AttributeError) as error:
        raise SaomError(f"--rules {path} is no merge rule ({error}); start from {DEFAULT_RULES}") from error


@dataclass
class WholeObjects:
    """The label maps of one picture."""

    instances: NDArray[np.uint16]
    """`(H, W)`: 0 = background, k = whole object k."""
    parts: NDArray[np.uint16]
    """`(H, W)`: AI2-THOR's own objects, numbered; 0 where `instances` is 0."""
    part_to_object: dict[int, int]
    objects: list[dict[str, Any]]
    """`id`, `class` and `name` (AI2-THOR's id, good within this picture's scene) of every object in sight."""
    scenery: list[str]
    """Names of larger things in sight that have an id but are no objects; they are background."""


def whole_objects(
    ids: NDArray[np.uint8], colors: Sequence[Mapping[str, Any]], objects: Sequence[Mapping[str, Any]], rules: MergeRules
) -> WholeObjects:
    """Label maps from AI2-THOR's picture of ids `(H, W, 3)` and the `colors` and `objects` of the same answer."""
    packed = ids.astype(np.uint32) @ np.array([1 << 16, 1 << 8, 1], np.uint32)
    seen, where = np.unique(packed, return_inverse=True)
    names = _color_names(colors)
    owner = merge(objects, rules)
    part_numbers = np.zeros(len(seen), np.uint16)
    object_numbers = np.zeros(len(seen), np.uint16)
    numbers: dict[str, int] = {}
    scenery = set()
    counts = np.bincount(where.ravel())
    for index, color in enumerate(seen):
        name = names.get(int(color), "")
        if name in owner:
            part_numbers[index] = index + 1
            object_numbers[index] = numbers.setdefault(owner[name][0], len(numbers) + 1)
        elif name and counts[index] >= _SCENERY_SHARE * packed.size:
            scenery.add(name.split("|")[0])
    types = dict(owner.values())
    where = where.reshape(packed.shape)
    return WholeObjects(
        instances=object_numbers[where],
        parts=part_numbers[where],
        part_to_object={int(p): int(o) for p, o in zip(part_numbers, object_numbers, strict=True) if p},
        objects=[{**class_entry(number, types[name]), "name": name} for name, number in numbers.items()],
        scenery=sorted(scenery),
    )


def merge(objects: Sequence[Mapping[str, Any]], rules: MergeRules) -> dict[str, tuple[str, str]]:
    """AI2-THOR id -> id and AI2-THOR type of the whole object that it belongs to; structure is left out.

    A whole object is named after the object that holds the parts, or after the first of a group.
    """
    kept = [found for found in objects if found["objectType"] not in rules.structure]
    boxes = {found["objectId"]: _box(found) for found in kept}
    owner = {}
    for found in kept:
        hosts = [other for other in kept if other["objectType"] in rules.parts.get(found["objectType"], ())]
        host = _smallest_holding(boxes[found["objectId"]], hosts, boxes, rules.margin)
        whole = found if host is None else host
        owner[found["objectId"]] = (whole["objectId"], whole["objectType"])
    for kind, group in rules.groups.items():
        loose = [
            o["objectId"] for o in kept if o["objectType"] in group.of and owner[o["objectId"]][0] == o["objectId"]
        ]
        for members in _neighbours(loose, boxes, group.gap):
            if len(members) > 1:
                owner.update(dict.fromkeys(members, (members[0], kind)))
    return {name: _end_of_chain(owner, name) for name in owner}


def class_entry(number: int, object_type: str) -> dict[str, Any]:
    """The entry of an object in a sample's `objects`: its class by `ai2thor_classes` of training/classes.yaml."""
    return object_entry(number, class_table().get(object_type, object_type))


@cache
def class_table() -> dict[str, str]:
    """AI2-THOR type -> class, for the types whose class has another name."""
    return dict(yaml.safe_load(CLASSES_FILE.read_text())["ai2thor_classes"])


def _color_names(colors: Sequence[Mapping[str, Any]]) -> dict[int, str]:
    """Packed colour -> name. Classes have colours too, in a picture of their own; objects go first."""
    names = {}
    for entry in sorted(colors, key=lambda entry: "|" in entry["name"]):
        red, green, blue = entry["color"][:3]
        names[int(red) << 16 | int(green) << 8 | int(blue)] = entry["name"]
    return names


Box = tuple[NDArray[np.float64], NDArray[np.float64]]


def _box(found: Mapping[str, Any]) -> Box | None:
    """Centre and size `(3,)` m, or None for the few objects without a box."""
    box = found["axisAlignedBoundingBox"]
    if not box or not box.get("center") or not box.get("size"):
        return None
    return tuple(np.array([box[key][axis] for axis in "xyz"]) for key in ("center", "size"))  # type: ignore[return-value]


def _smallest_holding(
    box: Box | None, hosts: Sequence[Mapping[str, Any]], boxes: Mapping[str, Box | None], margin: float
) -> Mapping[str, Any] | None:
    holding = []
    for host in hosts:
        around = boxes[host["objectId"]]
        if box is None or around is None or around is box:
            continue
        if (np.abs(box[0] - around[0]) <= around[1] / 2 + margin).all():
            holding.append((float(np.prod(around[1])), host["objectId"], host))
    return min(holding, key=lambda entry: entry[:2])[2] if holding else None


def _neighbours(names: Sequence[str], boxes: Mapping[str, Box | None], gap: float) -> list[list[str]]:
    """Sets of names whose boxes are connected by steps of at most `gap`."""
    sets: list[list[str]] = []
    for name in names:
        near = [members for members in sets if any(_distance(boxes[name], boxes[other]) <= gap for other in members)]
        sets = [members for members in sets if members not in near]
        sets.append([*(member for members in near for member in members), name])
    return sets


def _distance(first: Box | None, second: Box | None) -> float:
    if first is None or second is None:
        return np.inf
    return float(np.linalg.norm(np.maximum(np.abs(first[0] - second[0]) - (first[1] + second[1]) / 2, 0)))


def _end_of_chain(owner: Mapping[str, tuple[str, str]], name: str) -> tuple[str, str]:
    """A drawer in a cabinet in a desk belongs to the desk. Two things that hold each other end the chain."""
    passed = {name}
    while owner[name][0] not in passed:
        name = owner[name][0]
        passed.add(name)
    return owner[name]
