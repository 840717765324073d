"""Picks up a session where it ended, however it ended."""

from __future__ import annotations

from datetime import UTC, datetime

from orchestrator.errors import RequestError
from orchestrator.paths import RunFolder, runs
from orchestrator.record_files import read_file
from orchestrator.result import Result
from orchestrator.suites import journal, state
from orchestrator.suites.folder import SessionFolder
from orchestrator.suites.journal import Journal
from orchestrator.suites.state import RERUN, Ended, State
from orchestrator.version import VERSION


def begin(folder: SessionFolder, log: Journal, *, rerun: RERUN | None = None) -> State:
    """Begin or resume a session; return what is done.

    Runs that were going on when benchdock was killed get their end: their result if it was filed,
    else they count as interrupted and run again. Raises RequestError for a damaged journal.
    """
    before = read(folder)
    log.append("begin", schema=journal.SCHEMA, benchdock=VERSION, at=stamp())
    for (digest, round_), run in before.open.items():
        end = recovered(run).model_dump(exclude_none=True)
        log.append("end", digest=digest, **{"pass": round_}, **end, recovered=True)
    if rerun is not None:
        log.append("rerun", what=rerun)
    return read(folder)


def read(folder: SessionFolder) -> State:
    """Return what became of a session's runs. Raises RequestError for a damaged journal."""
    return state.of_events(journal.read(folder.journal), str(folder.journal))


def recovered(run: str) -> Ended:
    """Return how a run ended whose end is not in the journal; its folder may be half deleted."""
    path = RunFolder(runs() / run).result
    try:
        return state.of_result(read_file(Result, path))
    except RequestError as error:
        return Ended(status="failed", kind="interrupted", message=str(error), run=run)


def stamp() -> str:
    """Return the time for people; nothing is decided by it, because clocks jump."""
    return datetime.now(UTC).isoformat(timespec="seconds")
