"""Writes one shard, sample by sample; what `commit` has returned survives a kill and a crash."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from orchestrator.data.layouts import Layout, Sample, lmdb_key
from orchestrator.errors import DataError, MachineError

if TYPE_CHECKING:
    import lmdb

# More than any disk holds. The file is only as large as its contents.
_MAP_SIZE = 2**40


class Writer(Protocol):
    """A shard that is being written."""

    def add(self, sample: Sample) -> int:
        """Add a sample; return where it ends in the shard. Raises OSError."""

    def commit(self) -> None:
        """Bring the samples so far to the disk. Raises OSError."""

    def finish(self) -> None:
        """Complete and close the shard after a commit. Raises OSError."""

    def abandon(self) -> None:
        """Close the shard as it is."""


class FlatWriter:
    """A shard that is a file of records, one after the other."""

    def __init__(self, path: Path, layout: Layout, head: bytes, end: int | None) -> None:
        """Go on at `end`, None for a new shard. Raises OSError, DataError for a damaged one."""
        self._layout = layout
        if end is not None and (not path.exists() or path.stat().st_size < end):
            raise DataError(
                f"the unfinished {path} is damaged",
                hint=f"remove {path.parents[1]} and convert again",
            )
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o666)
        self._stream = os.fdopen(descriptor, "wb", buffering=2**20)
        self._stream.truncate(end or 0)
        self._end = self._stream.seek(end or 0)
        if end is None:
            self._end += self._stream.write(head)

    def add(self, sample: Sample) -> int:
        """Add a record."""
        for part in self._layout.record(sample):
            self._end += self._stream.write(part)
        return self._end

    def commit(self) -> None:
        """Flush to the disk."""
        self._stream.flush()
        os.fsync(self._stream.fileno())

    def finish(self) -> None:
        """Write the tail, flush and close."""
        if tail := self._layout.tail():
            self._stream.write(tail)
            self.commit()
        self._stream.close()

    def abandon(self) -> None:
        """Close without a tail; what a full disk does not take is written again next time."""
        with suppress(OSError):
            self._stream.close()


class LmdbWriter:
    """An LMDB, written without a lock file: a reader must not find one.

    Opening another user's lock file fails even on a read-only mount (Caffe: "Permission denied"),
    while a missing one is fine there. The database is opened again for each transaction,
    because which pages it takes depends on what it remembers of earlier ones; so a conversion that
    was interrupted comes to the same bytes.
    """

    def __init__(self, folder: Path, layout: Layout) -> None:
        """Open it for appending. Raises MachineError."""
        self._layout = layout
        self._folder = folder
        folder.mkdir(exist_ok=True)
        self._database = self._opened()
        # A transaction that a kill left without its rows in the journal is there already.
        self._there = int(self._database.stat()["entries"])
        self._transaction: lmdb.Transaction | None = None

    def _opened(self) -> lmdb.Environment:
        import lmdb

        try:
            return lmdb.open(str(self._folder), map_size=_MAP_SIZE, lock=False)
        except lmdb.Error as error:
            raise _fault(self._folder, error) from None

    def add(self, sample: Sample) -> int:
        """Add a record; the end of a record in an LMDB has no meaning and is 0."""
        if sample.number < self._there:
            return 0
        if self._transaction is None:
            self._transaction = self._database.begin(write=True)
        key = lmdb_key(sample.number, sample.path)
        value = b"".join(self._layout.record(sample))
        self._do(lambda one: one.put(key, value, append=True))
        return 0

    def commit(self) -> None:
        """Commit the transaction, which brings it to the disk."""
        if self._transaction is not None:
            self._do(lambda one: one.commit())
            self._transaction = None
            self._database.close()
            self._database = self._opened()

    def _do(self, what: Callable[[lmdb.Transaction], object]) -> None:
        import lmdb

        assert self._transaction is not None
        try:
            what(self._transaction)
        except lmdb.Error as error:
            raise _fault(self._folder, error) from None

    def finish(self) -> None:
        """Commit and close."""
        self.commit()
        self._database.close()

    def abandon(self) -> None:
        """Drop the transaction and close."""
        if self._transaction is not None:
            self._transaction.abort()
        self._database.close()


def _fault(folder: Path, error: Exception) -> MachineError:
    return MachineError(
        f"LMDB cannot write {folder}: {error}",
        hint="check the free space; on a network file system convert to a local disk first",
    )
