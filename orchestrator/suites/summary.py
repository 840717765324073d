"""What became of a session, by series."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from orchestrator import stats
from orchestrator.suites import state
from orchestrator.suites.cells import Cell
from orchestrator.suites.state import Ended, Key
from orchestrator.suites.turns import count, turns


@dataclass(frozen=True, kw_only=True)
class SeriesSummary:
    """The runs of one series; `left` counts those that a resumed session makes."""

    cell: Cell
    ends: tuple[Ended, ...]
    left: int

    @property
    def throughputs(self) -> tuple[float, ...]:
        """Return what was measured, in samples/s."""
        return tuple(end.throughput for end in self.ends if end.throughput is not None)

    @property
    def total(self) -> int:
        """Return how often it runs in a session."""
        return count(self.cell)

    @property
    def median(self) -> float | None:
        """Return the median throughput in samples/s."""
        return stats.median(self.throughputs) if self.throughputs else None

    @property
    def spread(self) -> float | None:
        """Return the coefficient of variation, None for fewer than two runs."""
        return stats.relative_spread(self.throughputs) if len(self.throughputs) > 1 else None

    def problems(self) -> Counter[str]:
        """Count why runs have no result."""
        failed = (f"{end.kind}: {end.message}" for end in self.ends if end.status == "failed")
        skipped = (f"skipped: {end.message}" for end in self.ends if end.status == "skipped")
        return Counter((*failed, *skipped))

    def as_json(self) -> dict[str, Any]:
        """Return plain values."""
        return {
            "title": self.cell.title,
            "group": self.cell.origin.group,
            "digest": self.cell.digest,
            "claim": self.cell.claim,
            "median": self.median,
            "cv": self.spread,
            "left": self.left,
            "runs": [end.model_dump(mode="json") for end in self.ends],
        }


def of_session(cells: Iterable[Cell], ended: Mapping[Key, Ended]) -> list[SeriesSummary]:
    """Return the summary of each series, in order."""
    cells = tuple(cells)
    ends: dict[str, list[Ended]] = {cell.digest: [] for cell in cells}
    left: Counter[str] = Counter()
    for turn in turns(cells):
        end = ended.get(state.key_of(turn))
        if end is None or end.kind in state.UNDONE:
            left[turn.cell.digest] += 1
        if end is not None:
            ends[turn.cell.digest].append(end)
    return [
        SeriesSummary(cell=cell, ends=tuple(ends[cell.digest]), left=left[cell.digest])
        for cell in cells
    ]
