"""Reads the batch size of an ONNX file, from a few bytes of protocol buffers' wire format.

The host has no ONNX. The field numbers are those of onnx.proto, which never change; weights are
skipped. Unreadable data is not an error here: the image reads the file again.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from pathlib import Path

# Fields of ModelProto, GraphProto, TensorProto, ValueInfoProto, TypeProto, its Tensor,
# TensorShapeProto and its Dimension.
_GRAPH = 7
_INITIALIZER, _INPUT = 5, 11
_TENSOR_NAME = 8
_VALUE_NAME, _VALUE_TYPE = 1, 2
_TENSOR_TYPE = 1
_SHAPE = 2
_DIMENSION = 1
_DIMENSION_VALUE = 1

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_LONGEST_VARINT = 10
_LARGEST_BATCH = 1_000_000

_Span = tuple[int, int]


def fixed_batch(path: Path) -> int | None:
    """Return the leading dimension of the only input, if it is a number. Raises OSError."""
    with path.open("rb") as file:
        try:
            with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
                return _batch(data)
        except ValueError:  # an empty file, or not such a message
            return None


def _batch(data: mmap.mmap) -> int | None:
    graph = _first(data, (0, len(data)), _GRAPH)
    if graph is None:
        return None
    weights = {_text(data, span, _TENSOR_NAME) for span in _spans(data, graph, _INITIALIZER)}
    inputs = [
        span
        for span in _spans(data, graph, _INPUT)
        if _text(data, span, _VALUE_NAME) not in weights
    ]
    if len(inputs) != 1:
        return None
    found: _Span | None = inputs[0]
    for field in (_VALUE_TYPE, _TENSOR_TYPE, _SHAPE, _DIMENSION):
        found = _first(data, found, field) if found is not None else None
    if found is None:
        return None
    numbers = [v for n, v in _fields(data, found) if n == _DIMENSION_VALUE and isinstance(v, int)]
    return numbers[-1] if numbers and 0 < numbers[-1] <= _LARGEST_BATCH else None


def _first(data: mmap.mmap, span: _Span, field: int) -> _Span | None:
    return next(_spans(data, span, field), None)


def _spans(data: mmap.mmap, span: _Span, field: int) -> Iterator[_Span]:
    """Yield the positions of the messages or texts in a field."""
    for number, value in _fields(data, span):
        if number == field and isinstance(value, tuple):
            yield value


def _text(data: mmap.mmap, span: _Span, field: int) -> bytes:
    found = _first(data, span, field)
    return data[found[0] : found[1]] if found else b""


def _fields(data: mmap.mmap, span: _Span) -> Iterator[tuple[int, int | _Span]]:
    """Yield number and value of each field of a message. Raises ValueError if it is not one."""
    place, end = span
    while place < end:
        key, place = _varint(data, place, end)
        kind = key & 7
        if kind == _VARINT:
            value, place = _varint(data, place, end)
            yield key >> 3, value
            continue
        size = {_FIXED64: 8, _FIXED32: 4}.get(kind)
        if kind == _BYTES:
            size, place = _varint(data, place, end)
        if size is None or place + size > end:
            raise ValueError("not a message")
        yield key >> 3, (place, place + size)
        place += size


def _varint(data: mmap.mmap, place: int, end: int) -> tuple[int, int]:
    value = 0
    for shift in range(_LONGEST_VARINT):
        if place >= end:
            break
        byte = data[place]
        place += 1
        value |= (byte & 0x7F) << (7 * shift)
        if byte < 0x80:
            return value, place
    raise ValueError("not a number")
