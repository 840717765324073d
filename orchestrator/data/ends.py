"""Whether a file of records ends with a whole record, without reading those before it.

An interrupted copy ends anywhere. A last record that is whole reaches exactly to the end.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import BinaryIO

from orchestrator.data import recordio, tfrecord

CUT_OFF = "the file is cut off"
# Read from the end until the last record is found: usually once.
_FIRST_PIECE = 2**20
_GROWTH = 16
_LINE = 64  # more than a line of an index has


def record_io(stream: BinaryIO, index: Path) -> str | None:
    """Return what is wrong with the end of a RecordIO file, None if nothing. Raises RecordError.

    The magic number does not occur in data at multiples of 4, so its last one starts a record.
    """
    size = os.fstat(stream.fileno()).st_size
    if index.exists():
        return _by_index(stream, size, index)
    if size % 4:
        return CUT_OFF
    for start, piece in _pieces(stream, size, step=4):
        at = len(piece)
        while (at := piece.rfind(recordio.MAGIC, 0, at + len(recordio.MAGIC) - 1)) >= 0 and (
            start + at
        ) % 4:
            pass
        if at >= 0:
            whole = recordio.ends(piece[at : at + 8], size - start - at)
            return None if whole else CUT_OFF
    return None  # it has no record at all, which its start shows


def _by_index(stream: BinaryIO, size: int, index: Path) -> str | None:
    """Compare the last record that an index lists with the end of its file."""
    last = _last_start(index)
    if last is None:
        return None
    if last >= size:
        return f"{CUT_OFF}: {index.name} lists a record at {last:,}, and it has {size:,} bytes"
    stream.seek(last)
    if len(list(islice(recordio.read(stream), 2))) > 1:
        return f"{index.name} does not list its last records"
    return None


def _last_start(index: Path) -> int | None:
    """Return where the last record of an index starts, None if it lists none."""
    with index.open("rb") as stream:
        stream.seek(-min(_LINE, index.stat().st_size), os.SEEK_END)
        lines = stream.read().split()
    return int(lines[-1]) if lines else None


def tf_record(stream: BinaryIO) -> str | None:
    """Return what is wrong with the end of a file of TFRecord, None if nothing.

    Nothing marks a start, but its length says where a record ends. The upper bytes of a length
    are zero, and hardly any bytes of an image are so many zeros.
    """
    size = os.fstat(stream.fileno()).st_size
    for start, piece in _pieces(stream, size, step=1):
        at = len(piece)
        while (at := piece.rfind(tfrecord.UPPER, 0, at + len(tfrecord.UPPER) - 1)) >= 0:
            first = at + len(tfrecord.UPPER) - tfrecord.LENGTH
            length = piece[max(0, first) : at + len(tfrecord.UPPER)]
            if tfrecord.ends(length, size - start - first):
                return None
    return CUT_OFF if size else None


def _pieces(stream: BinaryIO, size: int, *, step: int) -> Iterator[tuple[int, bytes]]:
    """Yield start and bytes of longer and longer ends of a file; starts are multiples of `step`."""
    length = _FIRST_PIECE
    while True:
        start = max(0, size - length) // step * step
        stream.seek(start)
        yield start, stream.read()
        if not start:
            return
        length *= _GROWTH
