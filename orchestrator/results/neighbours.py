"""How many GPUs beside those of a run were busy, from its result."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from orchestrator.errors import RequestError
from orchestrator.machine.neighbours import BUSY_COUNT
from orchestrator.paths import RunFolder
from orchestrator.record_files import read_file
from orchestrator.result import Result
from orchestrator.results.summary import Summary


def busy(runs: Iterable[Summary]) -> dict[str, float]:
    """Return the mean number of busy ones by the name of a run, for runs that know it."""
    found = {}
    for run in runs:
        if run.device != "gpu" or run.status != "ok":
            continue
        try:
            result = read_file(Result, RunFolder(Path(run.folder)).result)
        except RequestError:  # its row in the database says why
            continue
        if BUSY_COUNT in result.monitor:
            found[run.run] = result.monitor[BUSY_COUNT].value
    return found
