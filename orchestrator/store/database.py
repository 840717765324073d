"""Connections to the database, with the settings that make writers safe, and its tables."""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, inspect, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool, StaticPool

from orchestrator.errors import MachineError
from orchestrator.installation import extra
from orchestrator.store import faults, schema
from orchestrator.store.file_system import network
from orchestrator.store.location import Location

# How long a writer waits for others, in seconds. Batches take a tenth of one.
PATIENCE = 30
_CONNECT_PATIENCE = 10
_AGAIN = 0.05
# Any number that no other program uses for PostgreSQL's advisory locks.
_MIGRATING = 0x62656E6368
_IMMEDIATE = "benchdock_immediate"


@contextmanager
def connected(location: Location) -> Iterator[Connection]:
    """Yield a connection to a database that has our tables.

    Raises MachineError; `faults.CorruptError` for a damaged database and `faults.NewerError` for
    one of a newer benchdock.
    """
    engine = _engine(location)
    try:
        with in_words(location), engine.connect() as connection:
            _prepare(connection, location)
            yield connection
    finally:
        engine.dispose()


@contextmanager
def in_words(location: Location) -> Iterator[None]:
    """Turn an error of the database into one line. Raises MachineError."""
    try:
        yield
    except DBAPIError as error:
        if (told := faults.translated(error, location)) is not None:
            raise told from None
        raise


@contextmanager
def writing(connection: Connection) -> Iterator[None]:
    """Hold a transaction that may write; what it reads stays true until its end.

    With a plain BEGIN, SQLite refuses at once to write what was read before another writer's end.
    """
    connection.execution_options(**{_IMMEDIATE: True})
    try:
        with connection.begin():
            yield
    finally:
        connection.execution_options(**{_IMMEDIATE: False})


def _engine(location: Location) -> Engine:
    if location.url.get_backend_name() != "sqlite":
        return _postgresql(location)
    if location.path is not None:
        _make_file(location.path)
    engine = create_engine(
        location.url,
        poolclass=StaticPool if location.in_memory else NullPool,
        connect_args={"timeout": PATIENCE, "isolation_level": None},
    )
    slow = location.path is not None and network(location.path.parent) is not None
    _set_up_sqlite(engine, journal="DELETE" if slow else "WAL")
    return engine


def _make_file(path: Path) -> None:
    """Make the database only for its owner, like the folders of runs."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        os.close(os.open(path, os.O_RDONLY | os.O_CREAT | os.O_CLOEXEC, 0o600))
    except OSError as error:
        raise MachineError(
            f"the database {path} cannot be opened: {error.strerror or error}",
            hint="set BENCHDOCK_HOME to a writable folder",
        ) from None


def _set_up_sqlite(engine: Engine, journal: str) -> None:
    @event.listens_for(engine, "connect")
    def _on_connect(raw: Any, _record: Any) -> None:
        with closing(raw.cursor()) as cursor:
            cursor.execute("PRAGMA foreign_keys=ON")
            _set_journal(cursor, journal)
            # With WAL a power cut may lose the last transactions, never the database, and the
            # folders still have them.
            cursor.execute(f"PRAGMA synchronous={'NORMAL' if journal == 'WAL' else 'FULL'}")

    @event.listens_for(engine, "begin")
    def _on_begin(connection: Connection) -> None:
        immediate = connection.get_execution_options().get(_IMMEDIATE)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if immediate else "BEGIN")


def _set_journal(cursor: sqlite3.Cursor, journal: str) -> None:
    """Change the journal if need be; SQLite itself does not wait here for other processes."""
    end = time.monotonic() + PATIENCE
    while cursor.execute("PRAGMA journal_mode").fetchone()[0].upper() != journal:
        try:
            cursor.execute(f"PRAGMA journal_mode={journal}")
            return  # a database in memory keeps its own
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > end:
                raise
            time.sleep(_AGAIN)


def _postgresql(location: Location) -> Engine:
    if find_spec("psycopg") is None:
        raise MachineError(
            "PostgreSQL needs the package psycopg", hint=f"run `{extra('postgresql')}`"
        )
    schema.complete_for_postgresql()
    wait = {} if "connect_timeout" in location.url.query else {"connect_timeout": _CONNECT_PATIENCE}
    engine = create_engine(location.url, poolclass=NullPool, connect_args=wait)

    @event.listens_for(engine, "connect")
    def _on_connect(raw: Any, _record: Any) -> None:
        with closing(raw.cursor()) as cursor:
            cursor.execute(f"SET lock_timeout = '{PATIENCE}s'")
        raw.commit()

    return engine


def _prepare(connection: Connection, location: Location) -> None:
    """Make the tables, or bring those of an older benchdock up to date."""
    before = _revision(connection)
    if before == schema.HEAD:
        return
    try:
        _migrate(connection, location)
    except DBAPIError as error:
        if not faults.is_forbidden(error):
            raise
        state = "has no tables yet" if before is None else "has tables of an older benchdock"
        raise faults.ForbiddenError(
            f"the database {location} {state}, and this user may not change that",
            hint="run `benchdock results` once as its owner",
        ) from None


def _migrate(connection: Connection, location: Location) -> None:
    """Change the tables, one process at a time: the others wait and find it done."""
    with writing(connection):
        if connection.dialect.name == "postgresql":
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _MIGRATING})
        found = _revision_now(connection)  # another process may have been faster
        if found is None:
            _create(connection)
        elif found != schema.HEAD:
            from orchestrator.store import migrating  # Alembic takes 0.3 s

            migrating.upgrade(connection, found, location)


def _revision(connection: Connection) -> str | None:
    with connection.begin():
        return _revision_now(connection)


def _revision_now(connection: Connection) -> str | None:
    """Return the last migration of the database, "" before the first; None without our tables."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    return connection.execute(text("SELECT version_num FROM alembic_version")).scalar() or ""


def _create(connection: Connection) -> None:
    """Make the tables of the newest migration at once, without importing Alembic."""
    schema.metadata.create_all(connection)
    connection.execute(
        text(
            "CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL, "
            "CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num))"
        )
    )
    connection.execute(text("INSERT INTO alembic_version VALUES (:head)"), {"head": schema.HEAD})
