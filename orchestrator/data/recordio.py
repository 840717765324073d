"""MXNet's RecordIO, and the header of an image in it.

A record is the magic number, `kind << 29 | length`, data, and zeros up to a multiple of 4. The
magic number at a multiple of 4 inside the data is cut out, and its record has several parts: first
(1), middle (2), last (3); a whole record is 0. Sources: `recordio.cc` of dmlc-core,
`recordio.py` of MXNet.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

_MAGIC_NUMBER = 0xCED7230A
MAGIC = struct.pack("<I", _MAGIC_NUMBER)
_WHOLE, _FIRST, _MIDDLE, _LAST = range(4)
_LENGTH_BITS = 29
LONGEST = 2**_LENGTH_BITS - 1
_IMAGE = struct.Struct("<IfQQ")


class RecordError(ValueError):
    """A record is damaged; the message says how."""


@dataclass(frozen=True)
class Image:
    """An encoded image with its labels, which are floating-point, and its number."""

    data: bytes
    labels: tuple[float, ...]
    number: int


def pack(image: Image) -> tuple[bytes, bytes]:
    """Return the header of an image (IRHeader) and the image, as `recordio.pack` joins them."""
    if len(image.labels) == 1:
        return _IMAGE.pack(0, image.labels[0], image.number, 0), image.data
    several = struct.pack(f"<{len(image.labels)}f", *image.labels)
    return _IMAGE.pack(len(image.labels), 0.0, image.number, 0) + several, image.data


def unpack(record: bytes) -> Image:
    """Read an image and its header. Raises RecordError."""
    if len(record) < _IMAGE.size:
        raise RecordError("it is too short for the header of an image")
    count, label, number, _ = _IMAGE.unpack_from(record)
    start = _IMAGE.size + 4 * count
    if len(record) < start:
        raise RecordError(f"it is too short for {count} labels")
    labels = struct.unpack_from(f"<{count}f", record, _IMAGE.size) if count else (label,)
    return Image(record[start:], labels, number)


def frame(header: bytes, data: bytes = b"") -> list[bytes]:
    """Return a record as it stands in the file, in parts.

    The record starts with the header, whose length is a multiple of 4.
    """
    if not (_has_magic(header) or _has_magic(data)):
        return _part(_WHOLE, header, data)
    pieces = list(_pieces(header + data))
    kinds = (_FIRST, *(_MIDDLE for _ in pieces[2:]), _LAST)
    return [part for kind, piece in zip(kinds, pieces, strict=True) for part in _part(kind, piece)]


def _has_magic(data: bytes) -> bool:
    """Whether the magic number is at a multiple of 4, in a tenth of the time of a search."""
    import numpy as np

    words = np.frombuffer(data, "<u4", len(data) // 4)
    return bool((words == _MAGIC_NUMBER).any())


def _magics(data: bytes) -> Iterator[int]:
    """Yield where the magic number is at a multiple of 4."""
    at = data.find(MAGIC)
    while at >= 0:
        if at % 4 == 0:
            yield at
        at = data.find(MAGIC, at + (1 if at % 4 else len(MAGIC)))


def _pieces(record: bytes) -> Iterator[bytes]:
    start = 0
    for at in _magics(record):
        yield record[start:at]
        start = at + len(MAGIC)
    yield record[start:]


def _part(kind: int, header: bytes, data: bytes = b"") -> list[bytes]:
    length = len(header) + len(data)
    if length > LONGEST:
        raise RecordError(f"it is larger than {LONGEST:,} bytes")
    head = MAGIC + struct.pack("<I", kind << _LENGTH_BITS | length)
    return [head + header, data, bytes(-length % 4)]


def read(stream: BinaryIO) -> Iterator[bytes]:
    """Yield the records of a file. Raises RecordError."""
    parts: list[bytes] = []
    while head := stream.read(8):
        if len(head) < 8:
            raise RecordError("the file is cut off")
        if head[:4] != MAGIC:
            raise RecordError("it does not start with the magic number of RecordIO")
        kind, length = divmod(struct.unpack("<I", head[4:])[0], LONGEST + 1)
        data = stream.read(length + -length % 4)
        if len(data) < length + -length % 4:
            raise RecordError("the file is cut off")
        if kind not in ((_MIDDLE, _LAST) if parts else (_WHOLE, _FIRST)):
            raise RecordError("its parts are out of order")
        parts.append(data[:length])
        if kind in (_WHOLE, _LAST):
            yield MAGIC.join(parts)
            parts.clear()
    if parts:
        raise RecordError("the file is cut off")


def ends(head: bytes, left: int) -> bool:
    """Whether a record with this head is the last part of one, in the `left` bytes of its file."""
    if len(head) < 8:
        return False
    kind, length = divmod(struct.unpack("<I", head[4:])[0], LONGEST + 1)
    return kind in (_WHOLE, _LAST) and left == 8 + length + -length % 4
