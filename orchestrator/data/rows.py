"""What is known of each stored sample, in a file of fixed-size rows beside a growing shard.

The rows are the journal of a conversion: they are written after the shard's bytes have reached the
disk, so a conversion that ended at any moment goes on from the last row. Indexes and the manifest
are made from them.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from orchestrator.data.picture import COLOURS, Picture

_ROW = struct.Struct("<32sQIIIBBB")
_AT_ONCE = 4096


@dataclass(frozen=True, slots=True)
class Row:
    """A stored sample: the digest of its bytes, where it ends in its shard, its label from 0."""

    digest: bytes
    end: int
    label: int
    picture: Picture

    def packed(self) -> bytes:
        """Return the row as bytes."""
        one = self.picture
        turned = one.turned is not None
        flags = COLOURS.index(one.colour), one.kind == "png", turned
        return _ROW.pack(self.digest, self.end, self.label, one.width, one.height, *flags)

    @classmethod
    def unpacked(cls, data: bytes) -> Row:
        """Read a row."""
        return cls._of(_ROW.unpack(data))

    @classmethod
    def _of(cls, fields: tuple[Any, ...]) -> Row:
        digest, end, label, width, height, colour, png, turned = fields
        kind, place = "png" if png else "jpeg", 0 if turned else None
        found = Picture(kind, width, height, COLOURS[colour], place)  # type: ignore[arg-type]
        return cls(digest, end, label, found)


class Rows:
    """The rows of one shard on disk."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._pending: list[Row] = []
        self.count = path.stat().st_size // _ROW.size if path.exists() else 0

    def __iter__(self) -> Iterator[Row]:
        return map(Row._of, self._fields())

    def places(self) -> Iterator[tuple[int, int]]:
        """Yield where each sample ends in its shard, and its label."""
        return ((end, label) for _, end, label, *_ in self._fields())

    def _fields(self) -> Iterator[tuple[Any, ...]]:
        with self._path.open("rb") as stream:
            for start in range(0, self.count, _AT_ONCE):
                some = min(_AT_ONCE, self.count - start)
                yield from _ROW.iter_unpack(stream.read(some * _ROW.size))

    @property
    def end(self) -> int | None:
        """Return where the last sample ends in the shard, None without samples."""
        if not self.count:
            return None
        with self._path.open("rb") as stream:
            stream.seek((self.count - 1) * _ROW.size)
            return Row.unpacked(stream.read(_ROW.size)).end

    @property
    def pending(self) -> int:
        """Return how many rows wait for `commit`."""
        return len(self._pending)

    def add(self, row: Row) -> None:
        """Add a row, which `commit` writes."""
        self._pending.append(row)

    def commit(self) -> None:
        """Write the pending rows; half a row of an earlier attempt is replaced. Raises OSError."""
        descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o666)
        with os.fdopen(descriptor, "wb") as stream:
            stream.truncate(self.count * _ROW.size)
            stream.seek(self.count * _ROW.size)
            stream.write(b"".join(row.packed() for row in self._pending))
            stream.flush()
            os.fsync(stream.fileno())
        self.count += len(self._pending)
        self._pending.clear()
