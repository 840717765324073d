"""Where the database is: SQLite in benchdock's folder, or PostgreSQL by URL."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

from orchestrator import paths
from orchestrator.errors import RequestError

VARIABLE = "BENCHDOCK_DATABASE"
_DRIVER = "postgresql+psycopg"
_NAMES = ("postgresql", "postgres", _DRIVER)


@dataclass(frozen=True, kw_only=True)
class Location:
    """A database; `path` is the file of SQLite, None for PostgreSQL and for one in memory."""

    url: URL
    path: Path | None = None

    @property
    def in_memory(self) -> bool:
        """Whether the database is gone when it is closed."""
        return self.path is None and self.url.get_backend_name() == "sqlite"

    def __str__(self) -> str:
        """Return its name for messages: without user, password and parameters."""
        if self.path is not None:
            return str(self.path)
        host = self.url.host or self.url.query.get("host") or "localhost"
        return f"{self.url.database or ''} on {host if isinstance(host, str) else host[0]}"


def here() -> Location:
    """Return the database to use. Raises RequestError for a URL that is not one of PostgreSQL."""
    told = os.environ.get(VARIABLE)
    if not told:
        path = paths.database()
        return Location(url=URL.create("sqlite", database=str(path)), path=path)
    try:
        url = make_url(told)
    except (ArgumentError, ValueError):  # a port that is not a number
        raise _not_a_url() from None
    if url.drivername not in _NAMES or not url.database:
        raise _not_a_url()
    return Location(url=url.set(drivername=_DRIVER))


def _not_a_url() -> RequestError:
    # The value is not shown: it may contain a password.
    return RequestError(
        f"{VARIABLE} is not the URL of a PostgreSQL database",
        hint="write it like postgresql://USER@HOST/DATABASE, or unset it to use SQLite",
    )


def memory() -> Location:
    """Return a database in the memory of this process."""
    return Location(url=URL.create("sqlite"))
