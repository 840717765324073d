"""Takes the run folders into the database: those that are new, and those that got a result."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, delete, select, update

from orchestrator import paths
from orchestrator.errors import RequestError
from orchestrator.machine.inventory import machine_key
from orchestrator.paths import RunFolder
from orchestrator.record_files import may_exist, read_file
from orchestrator.result import Result
from orchestrator.store import bulk, durations, folders, inserting, rows, schema, sessions
from orchestrator.store.database import writing
from orchestrator.store.folders import Seen
from orchestrator.store.queries import typical_seconds
from orchestrator.store.rows import Row

# Folders per transaction, which takes hundredths of a second; they are read before it begins.
_BATCH = 500
# Reading this many takes a second, so the user is told.
_MANY = 1000

Tell = Callable[[str], None]


@dataclass(kw_only=True)
class Taken:
    """How many runs were added and removed.

    `series` are the ids of those that have new runs, `sessions` the names of this home's.
    """

    added: int = 0
    removed: int = 0
    series: set[int] = field(default_factory=set)
    sessions: set[str] = field(default_factory=set)


@dataclass(frozen=True, kw_only=True)
class _Look:
    """What to do after a look at one folder of runs."""

    imported: bool
    candidates: tuple[str, ...]
    gone: tuple[str, ...]
    seen: Seen


def take_in(connection: Connection, tell: Tell) -> Taken:
    """Bring the database up to date with the run folders of this home.

    If nothing changed, this reads a row, and looks at two folders and at those without a result.
    Raises MachineError if the folders cannot be listed.
    """
    taken = Taken()
    home_id, seen = _home(connection)
    looks = [_look(connection, home_id, seen, imported=imported) for imported in (False, True)]
    if (count := sum(len(look.candidates) for look in looks)) >= _MANY:
        tell(f"reading {count:,} runs into the database")
    for look in looks:
        for batch in _batches(look.candidates):
            _add(connection, home_id, batch, look.imported, taken)
        _remove(connection, home_id, look, taken)
    now: dict[str, Any] = {_key(look.imported): look.seen.as_json() for look in looks}
    now["sessions"] = sessions.take_in(connection, taken.sessions, seen.get("sessions", {}))
    if now != seen:
        with writing(connection):
            changed = update(schema.home).where(schema.home.c.id == home_id).values(seen=now)
            connection.execute(changed)
    if taken.series:
        with connection.begin():
            durations.note(typical_seconds(connection, taken.series))
    return taken


def forget(connection: Connection) -> int:
    """Remove the runs of this home from the database; return how many there were."""
    run, pending = schema.run, schema.pending
    home_id, _ = _home(connection)
    with writing(connection):
        count = connection.execute(delete(run).where(run.c.home_id == home_id)).rowcount
        connection.execute(delete(pending).where(pending.c.home_id == home_id))
        connection.execute(update(schema.home).where(schema.home.c.id == home_id).values(seen={}))
    return count


def _batches(names: Sequence[str]) -> Iterator[Sequence[str]]:
    for first in range(0, len(names), _BATCH):
        yield names[first : first + _BATCH]


def _key(imported: bool) -> str:
    return "imported" if imported else "runs"


def _home(connection: Connection) -> tuple[int, dict[str, Any]]:
    """Return the id of this home, and what was seen of it."""
    home = schema.home
    path = str(paths.home())
    key = f"{machine_key() or 'unknown'} {path}"
    known = select(home.c.id, home.c.seen).where(home.c.key == key)
    with connection.begin():
        found = connection.execute(known).first()
    if found is None:
        with writing(connection):
            inserting.add_new(connection, home, [{"key": key, "path": path, "seen": {}}], "key")
            found = connection.execute(known).one()
    return found.id, found.seen


def _look(connection: Connection, home_id: int, seen: dict[str, Any], *, imported: bool) -> _Look:
    before = Seen.of(seen.get(_key(imported)))
    root = folders.root(imported=imported)
    ready = _ready(connection, home_id, imported)
    moment = folders.changed(root)
    if moment and moment == before.changed:
        return _Look(imported=imported, candidates=ready, gone=(), seen=before)
    listed = folders.names(root)
    added, gone = before.newer(listed), []
    if added is None:
        known = _known(connection, home_id, imported)
        added = sorted(set(listed) - known)
        # Asked again: another process may have added it after the list was made.
        gone = [name for name in known - set(listed) if not may_exist(root / name)]
    return _Look(
        imported=imported,
        candidates=(*ready, *sorted(added)),
        gone=tuple(gone),
        seen=Seen.now(listed, moment),
    )


def _ready(connection: Connection, home_id: int, imported: bool) -> tuple[str, ...]:
    """Return the folders without a result that changed since."""
    pending = schema.pending.c
    root = folders.root(imported=imported)
    with connection.begin():
        found = connection.execute(
            select(pending.name, pending.changed).where(
                pending.home_id == home_id, pending.imported == imported
            )
        ).all()
    return tuple(
        name for name, changed in found if folders.state(RunFolder(root / name)) != changed
    )


def _known(connection: Connection, home_id: int, imported: bool) -> set[str]:
    with connection.begin():
        return {
            name
            for table in (schema.run.c, schema.pending.c)
            for name in connection.execute(
                select(table.name).where(table.home_id == home_id, table.imported == imported)
            ).scalars()
        }


def _add(
    connection: Connection, home_id: int, names: Sequence[str], imported: bool, taken: Taken
) -> None:
    """Add the folders that have a result; remember the others."""
    found: list[Row] = []
    waiting: dict[str, str] = {}
    for folder, state in _folders(names, imported):
        row = _row(folder, imported)
        if row is None:
            waiting[folder.run_id] = state
        else:
            found.append(row)
    with writing(connection):
        taken.series |= bulk.add(connection, found, home_id)
        _wait(connection, home_id, imported, waiting)
        _forget_waiting(connection, home_id, imported, [row.run["name"] for row in found])
    if not imported:
        taken.sessions |= {row.session["name"] for row in found if row.session}
    taken.added += len(found)


def _folders(names: Sequence[str], imported: bool) -> Iterator[tuple[RunFolder, str]]:
    """Yield each folder with its state before it is read."""
    root = folders.root(imported=imported)
    for name in names:
        folder = RunFolder(root / name)
        try:
            is_folder = folder.root.is_dir()
        except OSError:  # a link to itself
            continue
        if is_folder:
            yield folder, folders.state(folder)


def _row(folder: RunFolder, imported: bool) -> Row | None:
    """Read a folder; None without a readable result."""
    if not may_exist(folder.result):
        return None
    try:
        result = read_file(Result, folder.result)
    except RequestError:
        return None
    return rows.of(folder, result, imported=imported)


def _wait(connection: Connection, home_id: int, imported: bool, waiting: dict[str, str]) -> None:
    """Remember the state of folders without a result."""
    if not waiting:
        return
    statement = inserting.into(connection, schema.pending)
    connection.execute(
        statement.on_conflict_do_update(
            index_elements=["home_id", "imported", "name"],
            set_={"changed": statement.excluded.changed},
        ),
        [
            {"home_id": home_id, "imported": imported, "name": name, "changed": state}
            for name, state in sorted(waiting.items())
        ],
    )


def _forget_waiting(
    connection: Connection, home_id: int, imported: bool, names: Sequence[str]
) -> None:
    pending = schema.pending.c
    connection.execute(
        delete(schema.pending).where(
            pending.home_id == home_id, pending.imported == imported, pending.name.in_(names)
        )
    )


def _remove(connection: Connection, home_id: int, look: _Look, taken: Taken) -> None:
    """Remove the runs whose folders are gone."""
    run = schema.run.c
    for batch in _batches(look.gone):
        with writing(connection):
            _forget_waiting(connection, home_id, look.imported, batch)
            taken.removed += connection.execute(
                delete(schema.run).where(run.home_id == home_id, run.name.in_(batch))
            ).rowcount
