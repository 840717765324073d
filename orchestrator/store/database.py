"""Connections to the database, with the settings that make writers safe, and its tables."""

from __future__ import annotations

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
        _make_folder(location.path.parent)
    engine = create_engine(
        location.url,
        poolclass=StaticPool if location.in_memory else NullPool,
        connect_args={"timeout": PATIENCE, "isolation_level": None},
    )
    slow = location.path is not None and network(location.path.parent) is not None
    _set_up_sqlite(engine, journal="DELETE" if slow else "WAL")
    return engine


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise MachineError(
            f"cannot create {folder}: {error.strerror or error}",
            hint="set BENCHDOCK_HOME to a writable folder",
        ) from None


def _set_up_sqlite(engine: Engine, journal: str) -> None:
    @event.listens_for(engine, "connect")
    def _on_connect(raw: Any, _record: Any) -> None:
        with closing(raw.cursor()) as cursor:
            cursor.execute("PRAGMA foreign_keys=ON")
            if cursor.execute("PRAGMA journal_mode").fetchone()[0].upper() != journal:
                cursor.execute(f"PRAGMA journal_mode={journal}")
            # With WAL a power cut may lose the last transactions, never the database, and the
            # folders still have them.
            cursor.execute(f"PRAGMA synchronous={'NORMAL' if journal == 'WAL' else 'FULL'}")

    @event.listens_for(engine, "begin")
    def _on_begin(connection: Connection) -> None:
        immediate = connection.get_execution_options().get(_IMMEDIATE)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if immediate else "BEGIN")


def _postgresql(location: Location) -> Engine:
    if find_spec("psycopg") is None:
        raise MachineError(
            "PostgreSQL needs the package psycopg", hint=f"run `{extra('postgresql')}`"
        )
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
    if _revision(connection) == schema.HEAD:
        return
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
