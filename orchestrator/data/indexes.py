"""The index files that belong to a format, made from the rows of its shards.

They cannot get out of step with the shards, which is what makes readers crash without a reason
(NVIDIA/DALI#2699).
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from orchestrator.data.layouts import INDEX_FOLDER
from orchestrator.data.rows import Rows


@dataclass(frozen=True, kw_only=True)
class Shard:
    """A finished shard: its file, its rows, and its samples' numbers and paths."""

    file: Path
    first: int
    paths: Sequence[str] = field(repr=False)
    rows: Rows = field(repr=False)

    def extents(self) -> Iterator[tuple[int, int]]:
        """Yield start and size of each record."""
        start = 0
        for end, _ in self.rows.places():
            yield start, end - start
            start = end


def write(to: str, shard: Shard) -> list[Path]:
    """Write a shard's index files; return them. Raises OSError."""
    writer = _WRITERS.get(to)
    return writer(shard) if writer else []


def _recordio(shard: Shard) -> list[Path]:
    index, listing = shard.file.with_suffix(".idx"), shard.file.with_suffix(".lst")
    numbers = range(shard.first, shard.first + len(shard.paths))
    starts = (start for start, _ in shard.extents())
    _write(
        index,
        (f"{number}\t{start}\n".encode() for number, start in zip(numbers, starts, strict=True)),
    )
    _write(
        listing,
        (
            f"{number}\t{label:.6f}\t".encode() + os.fsencode(path) + b"\n"
            for number, (_, label), path in zip(
                numbers, shard.rows.places(), shard.paths, strict=True
            )
        ),
    )
    return [index, listing]


def _tfrecord(shard: Shard) -> list[Path]:
    """Write DALI's index, in a folder of its own: `train-*` would take it for a shard."""
    folder = shard.file.parent / INDEX_FOLDER
    folder.mkdir(exist_ok=True)
    index = folder / f"{shard.file.name}.idx"
    _write(index, (f"{start} {size}\n".encode() for start, size in shard.extents()))
    return [index]


def _arrays(shard: Shard) -> list[Path]:
    import numpy as np

    path = shard.file.with_name(shard.file.name.replace("_x.npy", "_y.npy"))
    aside = path.with_name(f".{path.name}.part")
    with aside.open("wb") as stream:
        np.save(stream, np.fromiter((label for _, label in shard.rows.places()), np.int64))
    aside.replace(path)
    return [path]


def _write(path: Path, lines: Iterable[bytes]) -> None:
    aside = path.with_name(f".{path.name}.part")
    with aside.open("wb") as stream:
        stream.writelines(lines)
    aside.replace(path)


_WRITERS = {"recordio": _recordio, "tfrecord": _tfrecord, "arrays": _arrays}
