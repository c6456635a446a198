"""Which other files an ONNX graph reads its weights from.

A graph may name any path there, and older ONNX Runtimes follow it out of the bundle's folder; so a bundle is only
opened when its graph names files of the bundle. The few protobuf fields that matter are read here, because a robot has
no `onnx` package.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from pathlib import Path

from saom_ros.errors import BundleError

# Field numbers of onnx.proto that lead to tensors: message -> field -> message.
_CHILDREN = {
    "ModelProto": {7: "GraphProto", 20: "TrainingInfoProto", 25: "FunctionProto"},
    "TrainingInfoProto": {1: "GraphProto", 2: "GraphProto"},
    "FunctionProto": {7: "NodeProto", 11: "AttributeProto"},
    "GraphProto": {1: "NodeProto", 5: "TensorProto", 15: "SparseTensorProto"},
    "NodeProto": {5: "AttributeProto"},
    "AttributeProto": {
        5: "TensorProto",
        6: "GraphProto",
        10: "TensorProto",
        11: "GraphProto",
        22: "SparseTensorProto",
        23: "SparseTensorProto",
    },
    "SparseTensorProto": {1: "TensorProto", 2: "TensorProto"},
    "TensorProto": {13: "StringStringEntryProto"},
}
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_MAX_DEPTH = 64


def external_locations(path: Path) -> set[str]:
    """The `location` of all tensors that the ONNX graph in `path` keeps in other files.

    Raises `BundleError` where the file is no ONNX graph, `OSError` where it cannot be read.
    """
    if path.stat().st_size == 0:
        raise BundleError(f"{path}: is empty (0 bytes); copy or export the bundle again")
    with open(path, "rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as content:
        try:
            return set(_locations(content, 0, len(content), "ModelProto", 0))
        except (IndexError, ValueError):
            raise BundleError(f"{path}: is not an ONNX graph; copy or export the bundle again") from None


def _locations(content: mmap.mmap, start: int, end: int, message: str, depth: int) -> Iterator[str]:
    if depth > _MAX_DEPTH:
        raise ValueError("nested too deeply")
    for field, first, last in _byte_fields(content, start, end):
        child = _CHILDREN[message].get(field)
        if child == "StringStringEntryProto":
            entry = {number: content[a:b] for number, a, b in _byte_fields(content, first, last)}
            if entry.get(1) == b"location":
                yield entry.get(2, b"").decode("utf-8", "replace")
        elif child is not None:
            yield from _locations(content, first, last, child, depth + 1)


def _byte_fields(content: mmap.mmap, start: int, end: int) -> Iterator[tuple[int, int, int]]:
    """Number, start and end of each length-delimited field of the message in `content[start:end]`."""
    position = start
    while position < end:
        tag, position = _varint(content, position)
        kind = tag & 7
        if kind == _VARINT:
            _, position = _varint(content, position)
        elif kind == _FIXED64:
            position += 8
        elif kind == _FIXED32:
            position += 4
        elif kind == _BYTES:
            length, position = _varint(content, position)
            if position + length > end:
                raise ValueError("a field runs past the end of its message")
            yield tag >> 3, position, position + length
            position += length
        else:
            raise ValueError(f"wire type {kind}")
    if position != end:
        raise ValueError("a message runs past its end")


def _varint(content: mmap.mmap, position: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        byte = content[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
    raise ValueError("a varint of more than ten bytes")
