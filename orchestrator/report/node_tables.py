"""Tables that compare machines: the records of `check-node`, and the same runs in the database."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from orchestrator.errors import MachineError
from orchestrator.fleet import comparison, folder, telling
from orchestrator.fleet.telling import Fleet
from orchestrator.nights.record import Night
from orchestrator.report.stored import DAYS, Stored
from orchestrator.report.tables import Table
from orchestrator.units import SAMPLES_PER_SECOND

# A longer table is no longer read; the slowest nodes are first.
_MOST_ROWS = 400


@dataclass(frozen=True, kw_only=True)
class Nodes:
    """What checks of nodes found: a sentence, what is noticed, and a table."""

    sentence: str
    told: tuple[str, ...]
    table: Table


def checked() -> Nodes | None:
    """Return what the newest checks of nodes found, None if there was none."""
    try:
        fleet = Fleet.of(list(folder.newest()))
    except MachineError:  # the folders cannot be listed: the night needs them not
        return None
    if not fleet.records:
        return None
    return Nodes(
        sentence=telling.summary(fleet),
        told=tuple(telling.sentences(fleet)),
        table=Table(
            caption="Nodes",
            titles=telling.ALL_TITLES,
            rows=_shown(fleet.rows),
            right=telling.ALL_RIGHT,
        ),
    )


def elsewhere(night: Night, stored: Stored) -> Table | None:
    """Compare the machines of the database by the night's series, None with one machine."""
    rows = _shown(tuple(_rows(night, stored)))
    if not rows:
        return None
    return Table(
        caption=f"The same on all machines, in the last {DAYS} days",
        titles=("series", "machine", *telling.ALL_TITLES[2:]),
        rows=rows,
        right=telling.ALL_RIGHT,
    )


def _shown(rows: Sequence[comparison.Row]) -> tuple[tuple[str, ...], ...]:
    """Return the lines of a table, first those of slow nodes, then figure by figure."""
    lines = telling.everything(rows)
    return tuple(sorted(lines, key=lambda line: line[-1] not in telling.NOTICED)[:_MOST_ROWS])


def _rows(night: Night, stored: Stored) -> Iterator[comparison.Row]:
    for series in night.series:
        found = stored.machines.get(series.what, {})
        if len(found) > 1:
            yield comparison.row(series.title, SAMPLES_PER_SECOND, "", found)
