"""The order of a dataset's samples, the same for every format, and how they are divided."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence

from orchestrator.data.folder import Entry

# Enough readers for the programs that open several shards at once (tensorflow/benchmarks#17).
_FEWEST_SHARDS = 8
_MOST_SHARDS = 1024
_SHARD_BYTES = 128 * 2**20


def order(entries: Sequence[Entry], seed: int | None) -> list[int]:
    """Return the order of sorted images: shuffled by a seed, or None as they are.

    The shuffle depends on seed and paths only, not on a random generator of some version.
    """
    numbers = list(range(len(entries)))
    if seed is None:
        return numbers

    def draw(number: int) -> bytes:
        return hashlib.sha256(os.fsencode(f"{seed}\0{entries[number].path}")).digest()

    return sorted(numbers, key=draw)


def usual_shards(size: int) -> int:
    """Return the usual number of shards for so many bytes."""
    return min(_MOST_SHARDS, max(_FEWEST_SHARDS, -(-size // _SHARD_BYTES)))


def divide(samples: int, shards: int) -> list[range]:
    """Divide samples into at most `shards` ranges, all of one length but the last.

    nvcnn counts the records of the first and of the last shard only.
    """
    length = -(-samples // shards)
    return [range(start, min(start + length, samples)) for start in range(0, samples, length)]
