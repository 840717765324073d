"""Insertions that two writers may make at once. PostgreSQL's part is imported only for it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from sqlalchemy import Connection, Table
from sqlalchemy.dialects import sqlite

from orchestrator.store.rows import Values

if TYPE_CHECKING:
    from sqlalchemy.dialects import postgresql

    Insert = sqlite.Insert | postgresql.Insert


def into(connection: Connection, table: Table) -> Insert:
    """Return the statement that inserts into a table; both databases can say what to do then."""
    if connection.dialect.name == "postgresql":
        from sqlalchemy.dialects import postgresql  # takes 0.1 s, because it imports asyncio

        return postgresql.insert(table)
    return sqlite.insert(table)


def keeping(connection: Connection, table: Table, *unique: str) -> Insert:
    """Return the statement that inserts rows, except those that are there already."""
    return into(connection, table).on_conflict_do_nothing(index_elements=unique)


def add_new(connection: Connection, table: Table, rows: Iterable[Values], *unique: str) -> None:
    """Insert in the order of the keys, so that two writers never wait for each other."""
    ordered = sorted(rows, key=lambda row: [row[key] for key in unique])
    if ordered:
        connection.execute(keeping(connection, table, *unique), ordered)
