"""What a session measured, by series: read from its journal and the folders of its runs."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from orchestrator.errors import RequestError
from orchestrator.nights.past import Past, throughputs
from orchestrator.nights.record import DRIVER, NightRun
from orchestrator.paths import RunFolder, runs
from orchestrator.record_files import read_file
from orchestrator.result import Result
from orchestrator.store import rows
from orchestrator.suites.cells import Cell
from orchestrator.suites.planning import Row
from orchestrator.suites.state import Ended, Key
from orchestrator.suites.turns import count

_DIGITS = 8
_ENDS = {"ok": "completed", "failed": "failed", "skipped": "skipped"}


@dataclass(frozen=True, kw_only=True)
class Measured:
    """The runs of one series of a night; fields as in `nights.record.NightSeries`."""

    cell: Cell
    key: str
    what: str = ""
    place: str = ""
    runs: tuple[NightRun, ...] = ()
    planned: int = 0
    facts: Mapping[str, str]
    machine: Mapping[str, str]

    @property
    def tonight(self) -> tuple[float, ...]:
        """Return the throughputs of the planned runs."""
        return throughputs(run for run in self.runs if not run.extra)

    @property
    def made(self) -> int:
        """Return how many of the planned runs were started."""
        return sum(run.status != "skipped" for run in self.runs if not run.extra)

    @property
    def failed(self) -> int:
        """Return how many of them did not work."""
        return self.made - len(self.tonight)

    def with_extra(self, ended: Mapping[Key, Ended]) -> Measured:
        """Add the runs that were made to be sure."""
        more = _runs(self.cell, ended, first=count(self.cell) + 1, extra=True)
        return replace(self, runs=(*self.runs, *(run for run, _ in more)))


def gather(row: Row, ended: Mapping[Key, Ended], past: Past) -> Measured:
    """Return what was measured of a series."""
    cell = row.cell
    pairs = _runs(cell, ended, first=1)
    results = [result for _, result in pairs if result is not None]
    planned = [result for result in results if result.plan is not None]
    told = rows.of(_folder(planned[-1]), planned[-1], imported=False) if planned else None
    last = past.requested(cell.digest)
    what, place = told.series_key if told else (last.what, last.place) if last else ("", "")
    return Measured(
        cell=cell,
        key=_key(cell, what, place) if what else last.key if last else _key(cell, cell.digest, ""),
        what=what,
        place=place,
        runs=tuple(run for run, _ in pairs),
        planned=count(cell),
        facts=_facts(planned[-1]) if planned else {},
        machine=_machine_facts(results[-1]) if results else {},
    )


def refused(row: Row, past: Past) -> Measured:
    """Return the series of a row that cannot run on this machine tonight."""
    last = past.requested(row.cell.digest)
    failed = NightRun(result="", status="failed", message=row.decided.why_not)
    return Measured(
        cell=row.cell,
        key=last.key if last else _key(row.cell, row.cell.digest, ""),
        what=last.what if last else "",
        place=last.place if last else "",
        runs=(failed,),
        planned=count(row.cell),
        facts={},
        machine={},
    )


def further(cell: Cell, ended: Mapping[Key, Ended], first: int) -> tuple[float, ...]:
    """Return the throughputs of a series' good runs from a pass on."""
    return throughputs(run for run, _ in _runs(cell, ended, first=first, extra=True))


def _runs(
    cell: Cell, ended: Mapping[Key, Ended], *, first: int, extra: bool = False
) -> list[tuple[NightRun, Result | None]]:
    last = count(cell) if not extra else None
    found = sorted(
        (round_, end)
        for (digest, round_), end in ended.items()
        if digest == cell.digest and round_ >= first and (last is None or round_ <= last)
    )
    return [_run(end, extra=extra) for _, end in found]


def _run(end: Ended, *, extra: bool) -> tuple[NightRun, Result | None]:
    result = _result(end.run)
    run = NightRun(
        result=end.run or "",
        status=_ENDS[end.status],
        throughput=end.throughput,
        trust=result.verdict.trust if result and result.verdict else None,
        extra=extra,
        started=result.started.timestamp() if result and result.started else 0.0,
        seconds=end.seconds,
        message=f"{end.kind}: {end.message}" if end.kind else end.message,
    )
    return run, result


def _result(name: str | None) -> Result | None:
    if name is None:
        return None
    try:
        return read_file(Result, RunFolder(runs() / name).result)
    except RequestError:  # removed, or the disk was full; the journal has the figure
        return None


def _folder(result: Result) -> RunFolder:
    return RunFolder(runs() / (result.run or ""))


def _key(cell: Cell, what: str, place: str) -> str:
    """Return the name of a series: words for people, and digits that no other series has."""
    digest = hashlib.sha256(f"{what} {place}".encode()).hexdigest()[:_DIGITS]
    words = (cell.settings.get(name) for name in ("model", "framework", "phase"))
    model, *others = (str(word) for word in words if word)
    name = "-".join((model.rpartition("/")[2], *others)).lower()
    kept = "".join(letter if letter.isascii() and letter.isalnum() else "-" for letter in name)
    return f"{'-'.join(filter(None, kept.split('-')))}-{digest}"


def _facts(result: Result) -> dict[str, str]:
    plan = result.plan
    found = {
        "image": (plan.image_digest or plan.image_id) if plan else None,
        "framework": result.framework_version,
    }
    return {name: str(value) for name, value in found.items() if value}


def _machine_facts(result: Result) -> dict[str, str]:
    told = result.environment
    commit = f"{told.commit[:12]}{' and changes' if told.dirty else ''}" if told.commit else None
    found = {
        "host": told.hostname,
        DRIVER: told.gpu.driver if told.gpu else None,
        "kernel": told.kernel,
        "operating system": told.os,
        "benchdock": f"{result.benchdock} ({commit})" if commit else result.benchdock,
        "CPU": told.cpu.model if told.cpu else None,
        "CPU governor": ",".join(told.cpu.governors or ()) if told.cpu else None,
        "GPUs": ", ".join(filter(None, (gpu.name for gpu in told.gpus))) or None,
    }
    return {name: str(value) for name, value in found.items() if value}


def machine_facts(series: Sequence[Measured]) -> dict[str, str]:
    """Return the facts of the machine in this night."""
    return dict(next((one.machine for one in reversed(series) if one.machine), {}))
