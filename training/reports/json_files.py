"""Reports as JSON files: written whole or not at all, and readable everywhere."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from saom_ros.image_files import write_atomically


def write_json(path: Path, report: Mapping[str, Any]) -> None:
    """Write a report of plain values; JSON knows no NaN, so a figure that does not exist becomes null."""
    write_atomically(path, (json.dumps(_without_nan(report), indent=2) + "\n").encode())


def _without_nan(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _without_nan(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_without_nan(item) for item in value]
    if isinstance(value, float) and math.isnan(value):
        return None
    return value
