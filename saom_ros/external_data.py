"""Which other files an ONNX graph reads its weights from, and whether its tensors are as large as they claim.

A graph may name any path there, and older ONNX Runtimes follow it out of the bundle's folder; so a bundle is only
opened when its graph names files of the bundle. A tensor may claim any shape, for which memory would be taken before
its few bytes are read. The protobuf fields that matter are read here, because a robot has no `onnx` package.
"""

from __future__ import annotations

import itertools
import math
import mmap
import reprlib
from collections.abc import Iterator
from pathlib import Path

from saom_ros.errors import BundleError

_SPARSE = "SparseTensorProto"
# Field numbers of onnx.proto that lead to tensors: message -> field -> message.
_CHILDREN = {
    "ModelProto": {7: "GraphProto", 20: "TrainingInfoProto", 25: "FunctionProto"},
    "TrainingInfoProto": {1: "GraphProto", 2: "GraphProto"},
    "FunctionProto": {7: "NodeProto", 11: "AttributeProto"},
    "GraphProto": {1: "NodeProto", 5: "TensorProto", 15: _SPARSE},
    "NodeProto": {5: "AttributeProto"},
    "AttributeProto": {
        5: "TensorProto",
        6: "GraphProto",
        10: "TensorProto",
        11: "GraphProto",
        22: _SPARSE,
        23: _SPARSE,
    },
    "TensorProto": {13: "StringStringEntryProto"},
}
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_MAX_DEPTH = 64
_DIMS, _MAX_DIMS = 1, 64  # field of TensorProto; more than any runtime takes
_ELEMENTS_PER_BYTE = 2  # of the smallest types, with four bits


def external_locations(path: Path) -> set[str]:
    """The `location` of all tensors that the ONNX graph in `path` keeps in other files.

    Raises `BundleError` where the file is no ONNX graph or a tensor claims more than the file holds, `OSError` where it
    cannot be read.
    """
    if path.stat().st_size == 0:
        raise BundleError(f"{path}: is empty (0 bytes); copy or export the bundle again")
    with open(path, "rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as content:
        try:
            return set(_locations(content, 0, len(content), "ModelProto", 0))
        except (IndexError, ValueError) as error:
            raise BundleError(f"{path}: is not an ONNX graph ({error}); copy or export the bundle again") from None


def _locations(content: mmap.mmap, start: int, end: int, message: str, depth: int) -> Iterator[str]:
    if depth > _MAX_DEPTH:
        raise ValueError("nested too deeply")
    external = False
    for field, first, last in _byte_fields(content, start, end):
        child = _CHILDREN[message].get(field)
        if child == _SPARSE:
            raise ValueError("sparse tensors are not supported")
        if child == "StringStringEntryProto":
            external = True
            entry = {number: content[a:b] for number, a, b in _byte_fields(content, first, last)}
            if entry.get(1) == b"location":
                yield entry.get(2, b"").decode("utf-8", "replace")
        elif child is not None:
            yield from _locations(content, first, last, child, depth + 1)
    # What lies in other files is compared with their size by whoever reads it.
    if message == "TensorProto" and not external:
        dims = list(itertools.islice(_dims(content, start, end), _MAX_DIMS + 1))
        if len(dims) > _MAX_DIMS or math.prod(dims) > _ELEMENTS_PER_BYTE * (end - start):
            raise ValueError(f"a tensor claims the shape {reprlib.repr(dims)} in {end - start} bytes")


def _dims(content: mmap.mmap, start: int, end: int) -> Iterator[int]:
    """The dimensions of the tensor in `content[start:end]`; negative ones read as huge."""
    for field, kind, first, last in _fields(content, start, end):
        if field == _DIMS and kind == _VARINT:
            yield _varint(content, first)[0]
        elif field == _DIMS and kind == _BYTES:  # packed
            while first < last:
                value, first = _varint(content, first)
                yield value


def _byte_fields(content: mmap.mmap, start: int, end: int) -> Iterator[tuple[int, int, int]]:
    """Number, start and end of each length-delimited field of the message in `content[start:end]`."""
    return ((field, first, last) for field, kind, first, last in _fields(content, start, end) if kind == _BYTES)


def _fields(content: mmap.mmap, start: int, end: int) -> Iterator[tuple[int, int, int, int]]:
    """Number, wire type, start and end of the content of each field of the message in `content[start:end]`."""
    position = start
    while position < end:
        tag, position = _varint(content, position)
        kind = tag & 7
        first = position
        if kind == _VARINT:
            _, position = _varint(content, position)
        elif kind == _FIXED64:
            position += 8
        elif kind == _FIXED32:
            position += 4
        elif kind == _BYTES:
            length, first = _varint(content, position)
            if first + length > end:
                raise ValueError("a field runs past the end of its message")
            position = first + length
        else:
            raise ValueError(f"wire type {kind}")
        yield tag >> 3, kind, first, position
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
