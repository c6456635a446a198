"""Settings in YAML files that may start from one another: ``base: FILE``, beside the file that names it."""

from pathlib import Path
from typing import Any

import yaml

from saom_ros.errors import SaomError


def read_settings(path: Path) -> dict[str, Any]:
    """The file's values over those of its base, and so on.

    Raises SaomError where a file is missing, is no table, or is its own base; yaml.YAMLError where one is no YAML.
    """
    return _read(path, ())


def merged(base: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """``base`` with ``changes``; tables are merged, all else is replaced."""
    result = dict(base)
    for name, value in changes.items():
        both = isinstance(value, dict) and isinstance(base.get(name), dict)
        result[name] = merged(base[name], value) if both else value
    return result


def _read(path: Path, above: tuple[Path, ...]) -> dict[str, Any]:
    if not path.is_file():
        raise SaomError("no such configuration; see training/configs/" if not above else f"base {path} does not exist")
    values = yaml.safe_load(path.read_text())
    if not isinstance(values, dict):
        raise SaomError(f"{path} is no table of settings")
    base = values.pop("base", None)
    if base is None:
        return values
    if path.resolve() in above:
        raise SaomError(f"base {base} leads back to {path}; a base must not name its own heirs")
    return merged(_read(path.parent / str(base), (*above, path.resolve())), values)
