"""The class list of `training/classes.yaml`, and how class names of other people's data are matched with it.

Whole objects are learned without classes, so an imported object whose class is not on the list is still worth having:
it becomes `UNKNOWN_CLASS`, and its own name stays beside it as `source_class`.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Any

import yaml

CLASSES_FILE = Path(__file__).with_name("classes.yaml")
UNKNOWN_CLASS = "Unknown"
"""Class of imported objects that the list does not name; not part of the list."""
_SAOM_CLASSES = 55
"""The list begins with the AI2-THOR object types of SAOM."""


@cache
def class_names() -> tuple[str, ...]:
    """The classes in the order of their ids."""
    return tuple(yaml.safe_load(CLASSES_FILE.read_text())["classes"])


def saom_classes() -> tuple[str, ...]:
    """The classes that SAOM was trained and measured on (arXiv 2403.10780), 55 as released."""
    return class_names()[:_SAOM_CLASSES]


@cache
def held_out_classes() -> frozenset[str]:
    """Classes that are in no training or validation frame of the simulators."""
    return frozenset(yaml.safe_load(CLASSES_FILE.read_text())["held_out_classes"])


def ithor_rooms(split: str) -> range:
    """Which of the 30 rooms of each kind belong to a split of iTHOR."""
    first, last = yaml.safe_load(CLASSES_FILE.read_text())["ithor_rooms"][split]
    return range(first, last + 1)


def object_entry(label: int, source_class: str = "") -> dict[str, Any]:
    """The entry of an imported object in a sample's `objects`: its id, its class, and `source_class` where the list has
    no such class. An empty name is that of an object whose class nobody knows.

    Case, spaces and punctuation do not matter: `coffee table` and `coffee_table` are CoffeeTable.
    """
    name = _by_small_letters().get(small_letters(source_class))
    if name is not None:
        return {"id": label, "class": name}
    entry = {"id": label, "class": UNKNOWN_CLASS}
    return entry | {"source_class": source_class} if source_class else entry


@cache
def _by_small_letters() -> dict[str, str]:
    return {small_letters(name): name for name in class_names()}


def small_letters(name: str) -> str:
    """A class name reduced to what decides whether two are the same: letters and digits, all small."""
    return re.sub(r"[\W_]", "", name).casefold()
