"""Says what a comparison of nodes found, for the terminal and for the report."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from orchestrator.fleet.clock import offset
from orchestrator.fleet.comparison import FEWEST_NODES, Compared, Row, compare, with_verdict
from orchestrator.fleet.record import Launch, NodeRecord
from orchestrator.units import counted, quantity

_NAMED = 3
TITLES = ("figure", "median", "slowest", "value", "to the median", "95 % interval", "verdict")
ALL_TITLES = ("figure", "node", "value", "to the median", "95 % interval", "verdict")
RIGHT, ALL_RIGHT = (1, 3, 4, 5), (2, 3, 4)
_WORDS = {"ok": "ok", "slow": "slow", "unclear": "may be slow", "unjudged": ""}
NOTICED = (_WORDS["slow"], _WORDS["unclear"])


@dataclass(frozen=True, kw_only=True)
class Fleet:
    """The records of nodes, and who started their checks, in the same order."""

    records: tuple[NodeRecord, ...]
    launches: tuple[Launch | None, ...]
    rows: tuple[Row, ...]

    @classmethod
    def of(cls, found: Sequence[tuple[NodeRecord, Launch | None]]) -> Fleet:
        """Compare records; machines with the same name get their key behind it."""
        counts = Counter(record.node for record, _ in found)
        records = tuple(
            record if counts[record.node] == 1 else _distinct(record) for record, _ in found
        )
        launches = tuple(launch for _, launch in found)
        return cls(records=records, launches=launches, rows=tuple(compare(records)))

    @property
    def slow(self) -> tuple[str, ...]:
        """Return the names of the slow nodes."""
        return tuple(with_verdict(self.rows, "slow"))

    @property
    def incomplete(self) -> bool:
        """Whether a node could not be checked, or a part of its check failed."""
        return any(record.problems for record in self.records) or bool(tuple(_silent(self)))


def _distinct(record: NodeRecord) -> NodeRecord:
    name = f"{record.node} ({(record.machine or 'unknown')[:8]})"
    return record.model_copy(update={"node": name})


def sentences(fleet: Fleet) -> Iterator[str]:
    """Yield what a reader must know, the slow nodes first."""
    for node, figures in with_verdict(fleet.rows, "slow").items():
        yield f"{node} is slow: {_worst(figures)}"
    for node, why in _silent(fleet):
        yield f"{node} was not checked: {why}"
    for record in fleet.records:
        for problem in record.problems:
            yield f"{record.node} has no figures of the {problem}"
    yield from _apart(fleet)
    yield from _versions(fleet)
    yield from _hardware(fleet.records)
    for node, figures in with_verdict(fleet.rows, "unclear").items():
        if node in fleet.slow:
            continue
        row, one = figures[0]
        told = (
            f"the interval is {interval(one)}; repeat it with more --passes"
            if one.low is not None
            else "it was measured once; repeat it with more --passes"
        )
        yield f"{node} may be slow: {row.name} {_below(one)}, and {told}"
    for record in fleet.records:
        for note in record.notes:
            yield f"{record.node}: {note}"
    sizes = Counter(record.hardware for record in fleet.records)
    few = [record.node for record in fleet.records if sizes[record.hardware] < FEWEST_NODES]
    if few:
        yield (
            f"fewer than {FEWEST_NODES} nodes have the hardware of {', '.join(few)}: nothing says "
            "which of them is slow"
        )


def summary(fleet: Fleet) -> str:
    """Return the outcome in one sentence."""
    count = counted(len(fleet.records), "node")
    if fleet.slow:
        names = ", ".join(fleet.slow)
        return (
            f"{len(fleet.slow)} of {count} {'is' if len(fleet.slow) == 1 else 'are'} slow: {names}"
        )
    return f"{count} compared, none is slow"


def slowest(rows: Sequence[Row]) -> list[tuple[str, ...]]:
    """Return a line per figure, with its slowest node."""
    return [(row.name, quantity(row.median, row.unit), *_cells(row, _last(row))) for row in rows]


def everything(rows: Sequence[Row]) -> list[tuple[str, ...]]:
    """Return a line per figure and node, the slowest first."""
    return [
        (row.name, *_cells(row, one))
        for row in rows
        for one in sorted(row.nodes, key=lambda one: one.change)
    ]


def _last(row: Row) -> Compared:
    return min(row.nodes, key=lambda one: one.change)


def _cells(row: Row, one: Compared) -> tuple[str, ...]:
    return (
        one.node,
        quantity(one.value, row.unit),
        f"{100 * one.change:+.1f} %",
        interval(one),
        _WORDS[one.verdict],
    )


def interval(one: Compared) -> str:
    """Return the interval as words, "" without one."""
    if one.low is None or one.high is None or one.low == one.high:
        return ""
    return f"{100 * one.low:+.1f} to {100 * one.high:+.1f} %"


def _worst(figures: Sequence[tuple[Row, Compared]]) -> str:
    told = [
        f"{row.name} {_below(one)} (95 % interval {interval(one)})" for row, one in figures[:_NAMED]
    ]
    more = len(figures) - len(told)
    return "; ".join(told) + (f"; and {counted(more, 'other figure')}" if more else "")


def _below(one: Compared) -> str:
    return f"is {abs(100 * one.change):.1f} % slower than the fleet's median"


def _silent(fleet: Fleet) -> Iterator[tuple[str, str]]:
    """Yield the nodes without a record, and why."""
    there = {record.node for record in fleet.records}
    for launch in {one.started: one for one in fleet.launches if one is not None}.values():
        for node in launch.asked:
            if node not in there:
                began = node in launch.seen
                why = "it began and left no record" if began else "it did not begin"
                yield node, f"{why} ({launch.said})" if launch.said else why
        for node, state in sorted(launch.absent.items()):
            if node not in there:
                yield node, f"it is {state}"


def _apart(fleet: Fleet) -> Iterator[str]:
    unset = [record.node for record in fleet.records if record.clock.synchronised is False]
    if len(unset) == len(fleet.records):  # as in virtual machines whose host sets the clock
        unset = []
    for record, launch in zip(fleet.records, fleet.launches, strict=True):
        difference = offset(record, launch)
        if launch is not None and difference is not None and difference.apart:
            yield f"the clock of {record.node} is {difference} of {launch.host}'s"
        elif record.node in unset:
            yield f"nothing sets the clock of {record.node} (NTP), as it does on other nodes"


def _versions(fleet: Fleet) -> Iterator[str]:
    """Compare with the benchdock that started the check, else with that of most nodes."""
    counts = Counter((record.benchdock, record.commit) for record in fleet.records)
    (most, commit), _ = counts.most_common(1)[0] if counts else (("", None), 0)
    for record, launch in zip(fleet.records, fleet.launches, strict=True):
        usual = launch.benchdock if launch is not None else most
        if record.benchdock != usual:
            yield f"{record.node} has benchdock {record.benchdock} instead of {usual}"
        elif record.benchdock == most and record.commit != commit:
            yield f"{record.node} has another commit of benchdock {most} than most nodes"


def _hardware(records: Sequence[NodeRecord]) -> Iterator[str]:
    counts = Counter(record.hardware for record in records)
    if len(counts) < 2:
        return
    usual, _ = counts.most_common(1)[0]
    for record in records:
        if record.hardware != usual:
            yield (
                f"{record.node} has {record.hardware}, most nodes {usual}: it is compared only "
                "with nodes like it"
            )
