"""The stored runs that a report compares: those of a night, and those of the weeks before."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sqlalchemy import Connection, RowMapping

from orchestrator.errors import MachineError
from orchestrator.nights.record import Night
from orchestrator.results.listing import find
from orchestrator.results.summary import Summary
from orchestrator.run.deriving import SHARE
from orchestrator.stats import median
from orchestrator.store import queries, rows
from orchestrator.store.reading import read
from orchestrator.store.wanted import Wanted
from orchestrator.units import SAMPLES_PER_SECOND

# What is explored by hand may be older than a night.
DAYS = 30
# More runs would take seconds to read.
_MOST = 20_000
_COLUMNS = ("p50", "p99", "energy", "memory")


@dataclass(frozen=True, kw_only=True)
class Figures:
    """The medians of the runs of one benchmark, by the name of a figure; absent if unknown.

    Times in seconds, energy in joules per sample, memory in bytes, the share in percent.
    """

    name: str
    batch: int
    runs: int
    values: Mapping[str, float]


@dataclass(frozen=True, kw_only=True)
class Stored:
    """Runs of a night and of the weeks before it; `why` says why there are none.

    `machines` are the throughputs of the weeks' runs by the `what` of a series and by machine.
    """

    tonight: tuple[Summary, ...] = ()
    weeks: tuple[Summary, ...] = ()
    figures: tuple[Figures, ...] = ()
    machines: Mapping[str, Mapping[str, tuple[float, ...]]] = field(default_factory=dict)
    why: str = ""


def gather(night: Night, tell: Callable[[str], None]) -> Stored:
    """Read the runs. A database that cannot be read costs the comparison only."""
    end = rows.moment(night.finished)
    recent = Wanted(
        since=end - timedelta(days=DAYS) if end else None,
        until=end + timedelta(seconds=1) if end else None,
    )

    def work(connection: Connection) -> Stored:
        tonight = Wanted(session=night.session)
        return Stored(
            tonight=find(connection, tonight, None).rows,
            weeks=find(connection, recent, _MOST).rows,
            figures=tuple(_figures(queries.exported(connection, tonight).mappings())),
            machines=_machines(connection, night, recent.since),
        )

    try:
        return read(work, tell)
    except MachineError as error:
        return Stored(why=str(error))


def _machines(
    connection: Connection, night: Night, since: datetime | None
) -> dict[str, dict[str, tuple[float, ...]]]:
    """Return the throughputs of the night's series on every machine of the database."""
    whats = {one.what for one in night.series if one.what}
    if not whats or since is None:
        return {}
    runs = queries.on_machines(connection, whats, since.timestamp())
    names = _names({(row["key"], row["hostname"] or row["key"]) for row in runs})
    found: dict[str, dict[str, tuple[float, ...]]] = {}
    for row in runs:
        if row["unit"] == SAMPLES_PER_SECOND:
            of_it = found.setdefault(row["what"], {})
            name = names[row["key"]]
            of_it[name] = (*of_it.get(name, ()), row["throughput"])
    return found


def _names(machines: set[tuple[str, str]]) -> dict[str, str]:
    """Return the host names of machines by their keys, with the key if it is needed."""
    counts = Counter(name for _, name in machines)
    return {key: name if counts[name] == 1 else f"{name} ({key[:8]})" for key, name in machines}


def _figures(found: Iterable[RowMapping]) -> Iterable[Figures]:
    groups: dict[tuple[str, int], list[RowMapping]] = {}
    for row in found:
        if row["status"] == "ok" and row["batch"] is not None:
            words = (row["model"], row["phase"], row["framework"], row["dtype"])
            name = " ".join(str(word) for word in words if word)
            groups.setdefault((name, row["batch"]), []).append(row)
    for (name, batch), members in sorted(groups.items()):
        columns = {column: [row[column] for row in members] for column in _COLUMNS}
        columns[SHARE] = [_ceiling(row) for row in members]
        known = {
            column: median(numbers)
            for column, values in columns.items()
            if (numbers := [value for value in values if value is not None])
        }
        if known:
            yield Figures(name=name, batch=batch, runs=len(members), values=known)


def _ceiling(row: RowMapping) -> float | None:
    """Return the share of the machine's ceiling that a run reached, None if it is unknown."""
    found = row["metrics"].get(SHARE)
    return float(found[0]) if found and found[0] is not None else None
