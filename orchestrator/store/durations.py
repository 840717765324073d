"""How long a run of each series takes, in a small file, so that planning needs no database.

Readers of the database keep the file; it is a hint and may be missing or old.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from orchestrator import paths
from orchestrator.paths import write_aside
from orchestrator.record_files import read_json

# A million series of a hundred bytes.
_LARGEST = 100 * 2**20


@dataclass(frozen=True, kw_only=True)
class Expected:
    """How long a run takes, in seconds from start to result: the median of the newest `runs`."""

    seconds: float
    runs: int


class Durations:
    """The durations that are known, by what ran and where (`orchestrator.store.identity`)."""

    def __init__(self, known: Mapping[str, Mapping[str, Expected]]) -> None:
        self._known = known

    @classmethod
    def read(cls) -> Durations:
        """Read the file; nothing is known if it is missing or damaged."""
        return cls(
            {
                what: {place: Expected(**one) for place, one in places.items()}
                for what, places in _read().items()
            }
        )

    def longest(self, what: str, place: str) -> Expected | None:
        """Return how long a run takes, or took in other places if none was measured in this one."""
        places = self._known.get(what)
        if places is None:  # by far the most, and a plan may ask 100,000 times
            return None
        return places.get(place) or max(places.values(), key=lambda one: one.seconds, default=None)


def note(found: Mapping[tuple[str, str], tuple[float, int]]) -> None:
    """Add the seconds and the number of runs of series; a home that is read-only has no file."""
    known = _read()
    for (what, place), (seconds, runs) in found.items():
        known.setdefault(what, {})[place] = {"seconds": round(seconds, 3), "runs": runs}
    with suppress(OSError):
        write_aside(paths.durations(), json.dumps({"schema": 1, "series": known}) + "\n")


def _read() -> dict[str, dict[str, dict[str, Any]]]:
    told = read_json(paths.durations(), _LARGEST)
    found = told.get("series") if isinstance(told, dict) and told.get("schema") == 1 else None
    if not isinstance(found, dict):
        return {}
    kept: dict[str, dict[str, dict[str, Any]]] = {}
    for what, places in found.items():
        if isinstance(places, dict):
            kept[what] = {place: one for place, one in places.items() if _is_valid(one)}
    return kept


def _is_valid(one: object) -> bool:
    return (
        isinstance(one, dict)
        and one.keys() == {"seconds", "runs"}
        and all(isinstance(value, int | float) for value in one.values())
    )
