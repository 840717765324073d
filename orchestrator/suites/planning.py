"""What a suite would run on a machine: pure, in order, the same every time."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator
from dataclasses import dataclass, replace
from operator import itemgetter
from typing import Any, NamedTuple

from orchestrator.errors import RequestError
from orchestrator.suites import turns
from orchestrator.suites.cells import Cell, Excluded, Expansion, Settings
from orchestrator.suites.decisions import Decided, Decider, Need
from orchestrator.suites.loading import Loaded, written
from orchestrator.suites.requests import request_of

# They do not change what a request runs in, only how much: in a suite of very many cells one
# decision serves all of them, so that 100,000 are planned in seconds. A decision takes 1 ms.
_COUNTS = frozenset({"batch", "steps", "warmup"})
SHARED_FROM = 500
# A run's folder has 12 to 4,116 kB, half of them less than 32.
RUN_BYTES = 64 * 1024


class Row(NamedTuple):
    """One series of a plan."""

    cell: Cell
    decided: Decided

    @property
    def seconds(self) -> float | None:
        """Return what one run is expected to take."""
        return self.decided.seconds

    @property
    def runs(self) -> int:
        """Return how often it runs."""
        return turns.count(self.cell)


@dataclass(frozen=True, kw_only=True)
class SuitePlan:
    """A suite on a machine: what runs, in order; what cannot, and what a rule leaves out."""

    loaded: Loaded
    rows: tuple[Row, ...]
    refused: tuple[Row, ...]
    excluded: tuple[Excluded, ...]
    merged: int

    @property
    def runs(self) -> int:
        """Return how many runs there are."""
        return sum(row.runs for row in self.rows)

    @property
    def usual_seconds(self) -> float | None:
        """Return what counts for a run that never ran: half of the limit of a run."""
        limit = self.loaded.suite.budget.run
        return limit / 2 if limit is not None else None

    @property
    def seconds(self) -> float:
        """Return the seconds that all runs take whose duration is known or limited."""
        usual = self.usual_seconds or 0.0
        return sum(row.runs * (usual if row.seconds is None else row.seconds) for row in self.rows)

    @property
    def unknown(self) -> int:
        """Return how many series never ran here."""
        return sum(row.seconds is None for row in self.rows)

    def needs(self) -> tuple[Need, ...]:
        """Return the images in the order of need."""
        found = {row.decided.need: None for row in self.rows if row.decided.need is not None}
        return tuple(found)

    @property
    def disk(self) -> int:
        """Return the bytes that images to fetch and results take; unknown sizes count nothing."""
        missing = sum(need.size or 0 for need in self.needs() if not need.here)
        return missing + RUN_BYTES * self.runs

    def why_excluded(self, excluded: Excluded) -> str:
        """Return the rule that leaves a cell out, with its line and reason."""
        place = self.loaded.place(excluded.rule)
        line = f" (line {place.line})" if place else ""
        return f"{written(excluded.rule)}{line}{': ' if excluded.why else ''}{excluded.why}"


def plan(loaded: Loaded, expansion: Expansion, decider: Decider) -> SuitePlan:
    """Decide each cell of a suite and put what can run in order."""
    cells = expansion.cells
    decide = _shared if len(cells) >= SHARED_FROM else _exact
    decisions = list(decide(loaded, cells, decider))
    rows = list(map(Row, cells, decisions))
    able = [row for row in rows if not row.decided.refusal]
    return SuitePlan(
        loaded=loaded,
        rows=tuple(sorted(able, key=_rank)),
        refused=tuple(row for row in rows if row.decided.refusal),
        excluded=expansion.excluded,
        merged=expansion.merged,
    )


def _rank(row: Row) -> tuple[bool, int, int, float]:
    """Return the order in one pass: controls first, then by priority, and long before short.

    More devices come before fewer, so that all of them are busy from the start.
    """
    cell = row.cell
    return (
        not cell.is_control,
        cell.origin.priority,
        -row.decided.devices,
        -(row.seconds or 0.0),
    )


def _exact(loaded: Loaded, cells: Iterable[Cell], decider: Decider) -> Iterator[Decided]:
    for cell in cells:
        if cell.claim is not None:
            yield decider.claimed(cell)[1]
        else:
            yield _decided(loaded, cell.settings, decider)


def _shared(loaded: Loaded, cells: Iterable[Cell], decider: Decider) -> Iterator[Decided]:
    shared: dict[Hashable, Decided] = {}
    counts: dict[Hashable, Decided] = {}
    for cell in cells:
        if cell.claim is not None:
            yield decider.claimed(cell)[1]
            continue
        settings = cell.settings
        kind = _kind(settings)
        steps, warmup = settings.get("steps"), settings.get("warmup")
        counted = (kind, steps, warmup)
        decided = counts.get(counted)
        if decided is None:
            decided = shared.get(kind)
            if decided is None:
                told = _decided(loaded, _without_steps(settings), decider)
                decided = shared[kind] = replace(told, seconds=None)
            if not decided.refusal:
                why = decider.counts(settings["framework"], decided.device, steps, warmup)
                decided = Decided(refusal=why) if why else decided
            counts[counted] = decided
        yield _timed(decided, settings) if decided.seconds_of else decided


def _timed(decided: Decided, settings: Settings) -> Decided:
    """Return a decision with how long runs of these settings take."""
    assert decided.seconds_of is not None
    seconds = decided.seconds_of(*map(settings.get, ("batch", "steps", "warmup")))
    return decided if seconds is None else replace(decided, seconds=seconds)


def _kind(settings: Settings) -> Hashable:
    """Return what cells of one decision have in common; a file's batch may be fixed."""
    names = tuple(settings)
    getter = _GETTERS.get(names)
    if getter is None:
        kept = [name for name in names if name not in _COUNTS]
        getter = _GETTERS.setdefault(names, itemgetter(*kept))
    values = (names, getter(settings), settings["model"][-5:] == ".onnx" and settings.get("batch"))
    if "options" in settings or "env" in settings:  # mappings, which cannot be looked up
        return repr(values)
    return values


# By the keys of a cell, of which most cells have the same ones. Framework and model are always
# among them, so that a getter returns a tuple.
_GETTERS: dict[tuple[str, ...], Callable[[Settings], Any]] = {}


def _without_steps(settings: Settings) -> Settings:
    return {key: value for key, value in settings.items() if key not in ("steps", "warmup")}


def _decided(loaded: Loaded, settings: Settings, decider: Decider) -> Decided:
    try:
        return decider.decide(request_of(settings, loaded.folder))
    except RequestError as error:
        return Decided(refusal=error.what, hint=error.hint)
