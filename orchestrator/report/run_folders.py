"""Finds the folders of the runs of a night. Their names come from a file, so they are checked."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from orchestrator.nights.record import Night, NightRun, NightSeries
from orchestrator.paths import RunFolder, imported, runs
from orchestrator.record_files import may_exist
from orchestrator.report.status import NOTABLE, kind


def found(name: str) -> RunFolder | None:
    """Return the folder of a run on this machine, None if there is none with a result."""
    if not name or Path(name).name != name or name in (".", "..") or "\0" in name:
        return None
    for root in (runs(), imported()):
        folder = RunFolder(root / name)
        if may_exist(folder.result):
            return folder
    return None


def typical(series: NightSeries) -> list[NightRun]:
    """Return the runs that are worth a look: the slowest one and that in the middle."""
    told = sorted(series.runs, key=lambda run: (run.throughput or 0.0, run.started))
    return [told[n] for n in sorted({0, len(told) // 2})] if told else []


def paged(night: Night, *, every: bool) -> Iterator[tuple[NightSeries, RunFolder]]:
    """Yield the runs that get a page, each with its series: all, or some of notable series."""
    for series in night.series:
        if not every and kind(series) not in NOTABLE:
            continue
        for run in series.runs if every else typical(series):
            if (folder := found(run.result)) is not None:
                yield series, folder
