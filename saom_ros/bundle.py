"""The model bundle: a folder with an ONNX graph, `model.yaml` and checksums, which training writes and robots run.

`BundleConfig` is `model.yaml` as a dataclass and the only list of its fields. `load_config` trusts nothing: it refuses
unknown formats and keys, wrong types and ranges, and files whose checksum differs, and names the file in its message.
"""

from __future__ import annotations

import dataclasses
import hashlib
import os
import re
import reprlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from saom_ros.errors import BundleError
from saom_ros.external_data import external_locations

FORMAT = 1
CONFIG_NAME = "model.yaml"
GRAPH_NAME = "model.onnx"
HALF_GRAPH_NAME = "model.fp16.onnx"
"""`model.onnx` again in half precision, for GPUs; a bundle need not have it."""
RANGES_NAME = "ranges.json"
"""Ranges of what goes into convolutions, for runtimes that compute them in 8 bits; a bundle need not have it."""
ENCODER_NAME, DECODER_NAME, SELECTION_NAME = "encoder.onnx", "decoder.onnx", "selection.onnx"
SPLIT_NAMES = (ENCODER_NAME, DECODER_NAME, SELECTION_NAME)
"""What lies in the place of `model.onnx` where encoder and decoder are graphs apart."""
DEFAULT_BUNDLE = Path(__file__).resolve().parent / "models" / "default"

MASK_STRIDE = 4
"""Input pixels per mask cell, along both axes."""

MAX_CONFIG_BYTES = 1 << 20
"""A model.yaml above this size is refused unread: real ones have a few kilobytes."""

MAX_CONFIG_VALUES = 100_000
"""Values of a model.yaml, each counted wherever an alias repeats it: a few lines of aliases can stand for billions."""

MAX_FILE_BYTES, MAX_GRAPH_BYTES = 1 << 34, (1 << 31) - 1
"""A file of a bundle above this size is refused unread. Protobuf allows no larger graph; weights may lie beside it."""

MAX_MASK_BYTES = 1 << 28
"""All masks of one answer together; a thousand of 256 x 256 cells take a quarter of it."""

DECODINGS = ("separate", "joint")


@dataclass(frozen=True)
class InputSize:
    """Size of the graph's `image` input in pixels."""

    height: int
    """Rows, a multiple of 32."""
    width: int
    """Columns, a multiple of 32."""

    def __post_init__(self) -> None:
        for key in ("height", "width"):
            _check_integer(f"input.{key}", getattr(self, key), 32, 8192)
            if getattr(self, key) % 32:
                raise BundleError(f"input.{key} is {getattr(self, key)}; it must be a multiple of 32")


@dataclass(frozen=True)
class Grid:
    """The lattice of point prompts of everything mode, cell centres over the image content."""

    rows: int
    """Points from top to bottom."""
    cols: int
    """Points from left to right."""

    def __post_init__(self) -> None:
        _check_integer("grid.rows", self.rows, 1, 1024)
        _check_integer("grid.cols", self.cols, 1, 1024)


@dataclass(frozen=True)
class Thresholds:
    """What is kept; graph inputs, so they can be changed while running. Each lies in 0..1."""

    score: float = field(metadata={"help": "drop instances with a lower predicted mask quality"})
    objectness: float = field(metadata={"help": "do not prompt grid points with a lower objectness"})
    overlap: float = field(metadata={"help": "of two masks that overlap more, suppress the one with the lower score"})

    def __post_init__(self) -> None:
        for key in ("score", "objectness", "overlap"):
            value = getattr(self, key)
            if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0.0 <= value <= 1.0:
                raise BundleError(f"thresholds.{key} is {_short(value)}; it must be a number in 0..1")


@dataclass(frozen=True)
class BundleConfig:
    """`model.yaml`, field by field. Wrong values raise `BundleError` on construction."""

    name: str
    """Name of the model, shown by `saom info` and written into results."""
    version: str
    """Version of the model (a string: quote it in YAML)."""
    family: str
    """Architecture family in the training registry, for example `small`."""
    decoding: str
    """`separate`: one prompt at a time over the image embedding; `joint`: all prompts of an image together."""
    input: InputSize
    """Size of the image input."""
    grid: Grid
    """Point prompts of everything mode; the `points` input has rows x cols rows."""
    max_prompts: int
    """Prompts that the graph decodes at most, at most rows x cols."""
    max_instances: int
    """Rows M of the outputs."""
    classes: tuple[str, ...]
    """Class names; `class_ids` index this list, -1 = unknown."""
    thresholds: Thresholds
    """Defaults of the three thresholds."""
    licence: str
    """SPDX identifier or name of the weights' licence."""
    training: dict[str, Any] = field(default_factory=dict)
    """How the weights were made: data, seeds, commit, compute. Free form."""
    metrics: dict[str, Any] = field(default_factory=dict)
    """Figures measured when the bundle was exported. Free form."""
    files: dict[str, str] = field(default_factory=dict)
    """File name in the bundle folder -> SHA-256 in hexadecimal."""
    format: int = FORMAT
    """Version of the bundle format."""

    def __post_init__(self) -> None:
        _check_format(self.format)
        for key in ("name", "version", "family", "licence"):
            _check_text(key, getattr(self, key))
        if self.decoding not in DECODINGS:
            raise BundleError(f"decoding is {_short(self.decoding)}; expected one of {', '.join(DECODINGS)}")
        _check_integer("max_prompts", self.max_prompts, 1, self.grid.rows * self.grid.cols)
        _check_integer("max_instances", self.max_instances, 1, 65535)
        mask_bytes = self.max_instances * self.mask_shape[0] * self.mask_shape[1]
        if mask_bytes > MAX_MASK_BYTES:
            raise BundleError(
                f"max_instances is {self.max_instances}; at this input size its masks take {mask_bytes} bytes, "
                f"{MAX_MASK_BYTES} are allowed"
            )
        for name in self.classes:
            _check_text("a name in classes", name)
        for key in ("training", "metrics"):
            if not isinstance(getattr(self, key), dict):
                raise BundleError(f"{key} is {_short(getattr(self, key))}; it must be a mapping")
        _check_files(self.files)

    @property
    def num_points(self) -> int:
        """Rows P of the graph's `points` input."""
        return self.grid.rows * self.grid.cols

    @property
    def mask_shape(self) -> tuple[int, int]:
        """Rows and columns of one output mask."""
        return self.input.height // MASK_STRIDE, self.input.width // MASK_STRIDE

    @property
    def split(self) -> bool:
        """Whether encoder and decoder are graphs apart."""
        return ENCODER_NAME in self.files

    @classmethod
    def from_mapping(cls, mapping: Any) -> BundleConfig:
        """Build from what YAML gives. Every key must be there and known, else `BundleError`."""
        # The format goes first: with another one, complaints about single keys would only mislead.
        if isinstance(mapping, Mapping):
            _check_format(mapping.get("format", FORMAT))
        fields = _exact_keys(cls, mapping, "")
        fields["input"] = InputSize(**_exact_keys(InputSize, fields["input"], "input."))
        fields["grid"] = Grid(**_exact_keys(Grid, fields["grid"], "grid."))
        fields["thresholds"] = Thresholds(**_exact_keys(Thresholds, fields["thresholds"], "thresholds."))
        if not isinstance(fields["classes"], (list, tuple)):
            raise BundleError(f"classes is {_short(fields['classes'])}; it must be a list of names (it may be empty)")
        fields["classes"] = tuple(fields["classes"])
        return cls(**fields)

    def to_mapping(self) -> dict[str, Any]:
        """The inverse of `from_mapping`, ready for `yaml.safe_dump`, in the order in which people read it."""
        mapping = dataclasses.asdict(self)
        mapping["classes"] = list(self.classes)
        return {"format": mapping.pop("format"), **mapping}


def load_config(folder: Path | str) -> BundleConfig:
    """Read and verify the bundle in `folder`: `model.yaml` and the checksum of each file that it lists.

    Raises `BundleError`, which names the file, the value, the limit and the mend.
    """
    folder = Path(os.path.expanduser(folder))
    if not folder.exists():
        raise BundleError(f"{folder}: no such model bundle; give the path of a folder that holds {CONFIG_NAME}")
    if not folder.is_dir():
        raise BundleError(f"{folder}: is a file; a model bundle is the folder that holds {CONFIG_NAME}")
    path = folder / CONFIG_NAME
    mapping = _read_yaml(path)
    try:
        config = BundleConfig.from_mapping(mapping)
    except BundleError as error:
        raise BundleError(f"{path}: {error}") from None
    _check_graphs(path, config)
    for name, expected in config.files.items():
        _check_sum(folder / name, expected)
        if name.endswith(".onnx"):
            _check_weights(folder / name, config)
    return config


def sha256(path: Path) -> str:
    """SHA-256 of a file in lower-case hexadecimal."""
    digest = hashlib.sha256()
    with open(path, "rb") as stream:
        while chunk := stream.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()


def _check_graphs(path: Path, config: BundleConfig) -> None:
    """Refuse a bundle that lacks a graph, or that could be run in two ways."""
    for name in SPLIT_NAMES if config.split else (GRAPH_NAME,):
        if name not in config.files:
            raise BundleError(f"{path}: files does not list {name}; export the model again")
    if config.split and GRAPH_NAME in config.files:
        raise BundleError(f"{path}: files lists {GRAPH_NAME} and {ENCODER_NAME}; only one of them may be there")


class _PlainLoader(yaml.SafeLoader):
    """Safe YAML without merge keys: a few hundred bytes of nested `<<` would fill any memory."""

    def flatten_mapping(self, node: yaml.MappingNode) -> None:
        """Leave `<<` in place, where the constructor then refuses it."""


def _read_yaml(path: Path) -> Any:
    try:
        if not path.is_file():
            raise BundleError(f"{path}: missing; a model bundle needs it, export or copy the whole bundle again")
        size = path.stat().st_size
        if size > MAX_CONFIG_BYTES:
            raise BundleError(f"{path}: {size} bytes, above the limit of {MAX_CONFIG_BYTES}; this is no bundle's YAML")
        content = yaml.load(path.read_text(encoding="utf-8"), _PlainLoader)
        _check_expanse(content)
        return content
    except OSError as error:
        raise BundleError(f"{path}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise BundleError(f"{path}: is not UTF-8 text; export or copy the bundle again") from None
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise BundleError(f"{path}: is not valid YAML: {reason}") from None


def _check_expanse(content: Any) -> None:
    """Raise `ValueError` where a value is large only through aliases, or without end."""
    left, stack = MAX_CONFIG_VALUES, [content]
    while stack:
        value = stack.pop()
        left -= 1
        if left < 0:
            raise ValueError(f"it expands to more than {MAX_CONFIG_VALUES} values")
        if isinstance(value, dict):
            stack.extend(value.values())
        elif isinstance(value, (list, tuple, set)):
            stack.extend(value)


def _exact_keys(cls: type, mapping: Any, prefix: str) -> dict[str, Any]:
    """The mapping as keyword arguments of dataclass `cls`, when it has exactly its keys."""
    if not isinstance(mapping, Mapping):
        raise BundleError(f"{prefix[:-1] or 'the content'} is {_short(mapping)}; it must be a mapping")
    known = [f.name for f in dataclasses.fields(cls)]
    unknown = [_short(key) for key in mapping if key not in known]
    if unknown:
        raise BundleError(f"unknown key {prefix}{unknown[0].strip(chr(39))}; expected {', '.join(known)}")
    missing = [key for key in known if key not in mapping]
    if missing:
        raise BundleError(f"missing key {prefix}{missing[0]}; export the model again or add it")
    return dict(mapping)


def _check_format(value: Any) -> None:
    if isinstance(value, bool) or value != FORMAT:
        raise BundleError(
            f"bundle format {_short(value)} is not supported; this version of saom_ros reads format {FORMAT}: "
            "update saom_ros or export the model again"
        )


def _check_integer(key: str, value: Any, low: int, high: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise BundleError(f"{key} is {_short(value)}; it must be an integer in {low}..{high}")


def _check_text(key: str, value: Any) -> None:
    if not isinstance(value, str) or not value.strip():
        mend = " (quote numbers in YAML)" if isinstance(value, (int, float)) else ""
        raise BundleError(f"{key} is {_short(value)}; it must be non-empty text{mend}")


def _check_files(files: Any) -> None:
    if not isinstance(files, dict):
        raise BundleError(f"files is {_short(files)}; it must be a mapping of file name to SHA-256")
    for name, digest in files.items():
        # Plain names only. A link that the owner of the folder made is fine (package stores link to blobs), so the
        # resolved path is not compared: the name must not be able to point anywhere else by itself.
        if not isinstance(name, str) or not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.+-]*", name):
            raise BundleError(f"files lists {_short(name)}; only plain file names inside the bundle folder are allowed")
        if not isinstance(digest, str) or not re.fullmatch(r"[0-9a-f]{64}", digest):
            raise BundleError(f"files.{name} is {_short(digest)}; it must be a SHA-256 of 64 lower-case hex digits")


def _check_sum(path: Path, expected: str) -> None:
    if not path.is_file():
        raise BundleError(f"{path}: missing though {CONFIG_NAME} lists it; copy the whole bundle again")
    size, limit = path.stat().st_size, MAX_GRAPH_BYTES if path.suffix == ".onnx" else MAX_FILE_BYTES
    if size > limit:
        raise BundleError(f"{path}: {size} bytes, above the limit of {limit}; this is no bundle's file")
    try:
        found = sha256(path)
    except OSError as error:
        raise BundleError(f"{path}: cannot be read: {error.strerror}") from None
    if found != expected:
        raise BundleError(
            f"{path}: SHA-256 is {found[:12]}..., {CONFIG_NAME} says {expected[:12]}...; the file is damaged or was "
            "changed: copy or export the bundle again (with git, check that git lfs pulled it)"
        )


def _check_weights(path: Path, config: BundleConfig) -> None:
    """Refuse a graph that reads weights from anything but files of its bundle, whose checksums are known."""
    for location in external_locations(path):
        if location not in config.files:
            raise BundleError(
                f"{path}: keeps weights in {_short(location)}, which {CONFIG_NAME} does not list; a graph may only "
                "read files of its own bundle: export the model again"
            )


def _short(value: Any) -> str:
    """`repr` that stays short whatever was in the file."""
    return reprlib.repr(value)
