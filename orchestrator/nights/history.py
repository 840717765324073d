"""Which nights of a series count, and since when its level is what it is."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

# Nights that are judged against, and nights from which noise is estimated.
LEVEL_NIGHTS = 30
SPREAD_NIGHTS = 60
# An improvement that holds this many nights is the new level; otherwise its later loss would go
# unseen. A regression is never accepted by itself.
HOLDS = 3

_OFF_LEVEL = ("regressed", "improved")
_NOT_COUNTED = ("invalid",)

# The natural logarithms of the throughputs of one night.
Night = tuple[float, ...]


def logarithms(throughputs: Iterable[float]) -> Night:
    """Return natural logarithms. Raises ValueError for a throughput that is not positive."""
    return tuple(map(math.log, throughputs))


def levels(history: Sequence[Mapping[str, Any]]) -> list[list[Night]]:
    """Return the nights that count, oldest first, in one list per level.

    Each night has `runs`, throughputs in samples per second, its `verdict`, and `accepted`, which
    makes it the first night of a new level. Nights that were called regressed or improved belong to
    no level unless they were accepted, and invalid nights and nights without a run never count.
    """
    return [[logarithms(history[index]["runs"]) for index in level] for level in places(history)]


def places(history: Sequence[Mapping[str, Any]]) -> list[list[int]]:
    """Return the same nights by their places in the history."""
    found: list[list[int]] = [[]]
    improved: list[int] = []
    for index, night in enumerate(history):
        verdict = night.get("verdict")
        if not night["runs"] or verdict in _NOT_COUNTED:
            continue
        improved = [*improved, index] if verdict == "improved" else []
        if night.get("accepted"):
            found.append([index])
            improved = []
        elif len(improved) == HOLDS:
            found.append(improved)
            improved = []
        elif verdict not in _OFF_LEVEL:
            found[-1].append(index)
    return [level for level in found if level]
