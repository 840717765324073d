"""Uses the database: takes in new runs first, and does without it when it cannot be used."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from sqlalchemy import Connection

from orchestrator import file_lock
from orchestrator.errors import MachineError
from orchestrator.record_files import may_exist
from orchestrator.store import folders, location
from orchestrator.store.database import connected
from orchestrator.store.faults import AwayError, CorruptError, ForbiddenError
from orchestrator.store.location import Location
from orchestrator.store.taking_in import Tell, take_in
from orchestrator.units import SECONDS, quantity

T = TypeVar("T")

# A server that restarts, or a failover, takes a minute.
PATIENCE = 180.0
_FIRST_PAUSE, _LONGEST_PAUSE = 0.5, 5.0


def read(work: Callable[[Connection], T], tell: Tell) -> T:
    """Return what `work` finds in the database, which has every run of this home.

    `work` may be called again. If the database may only be read, it is read as it is. If it cannot
    be used, `tell` says why and a database in memory is made of the run folders. Raises
    RequestError for a wrong BENCHDOCK_DATABASE, and MachineError if the folders cannot be read
    either.
    """
    place = location.here()
    if place.path is not None and not any(map(may_exist, _roots())):
        place = location.memory()  # nothing was ever run: make no files
    try:
        try:
            return use(place, work, tell)
        except ForbiddenError as error:
            return _as_it_is(place, work, tell, error)
    except MachineError as error:
        for root in _roots():
            folders.names(root)  # raises if the fault is theirs
        tell(f"{error}; reading the run folders instead")
    with connected(location.memory()) as connection:
        take_in(connection, lambda _: None)
        return work(connection)


def _as_it_is(
    place: Location, work: Callable[[Connection], T], tell: Tell, why: ForbiddenError
) -> T:
    """Return what `work` finds in a database that takes in nothing. Raises MachineError."""
    with connected(place) as connection:
        found = work(connection)
    if any(map(may_exist, _roots())):  # a home without runs lacks nothing
        tell(f"{why.what}: runs of this home that it does not have are left out")
    return found


def use_patiently(place: Location, work: Callable[[Connection], T], tell: Tell) -> T:
    """Do what `use` does, and wait a while for a server that is away: nobody waits for a night.

    Raises MachineError.
    """
    try:
        return use(place, work, tell)
    except AwayError as error:
        tell(f"{error.what}; trying for {quantity(PATIENCE, SECONDS)}")
    from tenacity import Retrying, retry_if_exception_type, stop_after_delay, wait_exponential

    retrying = Retrying(
        retry=retry_if_exception_type(AwayError),
        stop=stop_after_delay(PATIENCE),
        wait=wait_exponential(multiplier=_FIRST_PAUSE, max=_LONGEST_PAUSE),
        reraise=True,
    )
    found: T = retrying(use, place, work, tell)
    return found


def _roots() -> tuple[Path, ...]:
    return tuple(folders.root(imported=imported) for imported in (False, True))


def use(place: Location, work: Callable[[Connection], T], tell: Tell) -> T:
    """Return what `work` does with the database; one that is damaged is built again first.

    Raises MachineError.
    """
    before = _inode(place.path)
    try:
        return _use(place, work, tell)
    except CorruptError as error:
        if place.path is None:
            raise
        if (aside := _move_aside(place.path, before)) is not None:
            tell(f"{error.what}; it was moved to {aside} and is built again")
    return _use(place, work, tell)


def _use(place: Location, work: Callable[[Connection], T], tell: Tell) -> T:
    with connected(place) as connection:
        take_in(connection, tell)
        return work(connection)


def _inode(path: Path | None) -> int | None:
    try:
        return path.stat().st_ino if path is not None else None
    except OSError:
        return None


def _move_aside(path: Path, inode: int | None) -> Path | None:
    """Move a damaged database out of the way; nothing is removed.

    Returns None if another process has moved it already.
    """
    aside = path.with_name(f"{path.name}.broken-{time.strftime('%Y%m%dT%H%M%S')}")
    with file_lock.held(path.with_name(f"{path.name}.lock"), on_wait=lambda: None):
        if _inode(path) != inode:
            return None
        try:
            for end in ("-wal", "-shm", ""):
                part = path.with_name(path.name + end)
                if may_exist(part):
                    part.rename(aside.with_name(aside.name + end))
        except OSError as error:
            raise MachineError(
                f"cannot move the damaged database {path}: {error.strerror}",
                hint="move it yourself, or set BENCHDOCK_HOME to a writable folder",
            ) from None
    return aside
