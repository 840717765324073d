"""What a database may complain about, in one line with the fix. Passwords are never in it."""

from __future__ import annotations

from sqlalchemy.exc import DBAPIError, OperationalError

from orchestrator.errors import MachineError
from orchestrator.store.location import Location

_ELSEWHERE = "set BENCHDOCK_HOME to a writable folder"
# By the beginning of SQLite's error name; the first that fits counts. (https://sqlite.org/rescode.html)
_SQLITE = (
    ("SQLITE_BUSY", "another program holds {name} locked", "end that program, or try again later"),
    ("SQLITE_LOCKED", "another program holds {name} locked", "try again later"),
    ("SQLITE_READONLY", "{name} cannot be written", _ELSEWHERE),
    ("SQLITE_PERM", "{name} cannot be written", _ELSEWHERE),
    ("SQLITE_CANTOPEN", "{name} cannot be opened", _ELSEWHERE),
    ("SQLITE_FULL", "the disk of {name} is full", "free some space or set BENCHDOCK_HOME"),
    (
        "SQLITE_IOERR",
        "the disk of {name} cannot be read or written",
        "set BENCHDOCK_HOME to a folder on a local disk",
    ),
)
# By the first letters of PostgreSQL's SQLSTATE.
# (https://www.postgresql.org/docs/current/errcodes-appendix.html)
_POSTGRESQL = (
    ("28", "refuses this user or password", "correct BENCHDOCK_DATABASE or ~/.pgpass"),
    ("3D", "does not exist", "create it with `createdb`, or correct BENCHDOCK_DATABASE"),
    ("42501", "may not be changed by this user", "use the role of a writer in BENCHDOCK_DATABASE"),
    ("25006", "is read-only", "use the primary server in BENCHDOCK_DATABASE"),
    ("55P03", "is locked by another program", "end that program, or try again later"),
    ("53100", "has a full disk", "free some space on the server"),
    ("53", "has no room for this connection", "try again later"),
    ("57P", "is shutting down", "try again later"),
)
_FORBIDDEN = ("42501", "25006")
_AWAY = ("53", "57P")

# A refused connection has no SQLSTATE, only words.
_REFUSALS = (
    ("password", "28"),
    ("no pg_hba.conf", "28"),
    ('role "', "28"),
    ("does not exist", "3D"),
)


class CorruptError(MachineError):
    """The database is damaged; it can be built again from the run folders."""


class NewerError(MachineError):
    """A newer benchdock wrote the database."""


class ForbiddenError(MachineError):
    """This user may not write to the database, or nobody may."""


class AwayError(MachineError):
    """The server of the database does not answer, or not now."""


def translated(error: DBAPIError, location: Location) -> MachineError | None:
    """Return the error of a database for the user, None if it is our bug."""
    if location.path is not None:
        return _of_sqlite(getattr(error.orig, "sqlite_errorname", None) or "", location)
    state = getattr(error.orig, "sqlstate", None)
    for begins, what, hint in _POSTGRESQL:
        if state is not None and state.startswith(begins):
            kind = _kind(begins)
            return kind(f"the database {location} {what}", hint=hint)
    if state is None and isinstance(error, OperationalError):
        return _unreachable(str(error.orig), location)
    return None


def _kind(begins: str) -> type[MachineError]:
    if begins in _FORBIDDEN:
        return ForbiddenError
    return AwayError if begins in _AWAY else MachineError


def is_forbidden(error: DBAPIError) -> bool:
    """Whether PostgreSQL refuses what this user asked for."""
    return getattr(error.orig, "sqlstate", None) in _FORBIDDEN


def _of_sqlite(name: str, location: Location) -> MachineError | None:
    if name.startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB")):
        return CorruptError(
            f"the database {location} is damaged", hint="run `benchdock results rebuild`"
        )
    for begins, what, hint in _SQLITE:
        if name.startswith(begins):
            return MachineError(what.format(name=location), hint=hint)
    return None


def _unreachable(said: str, location: Location) -> MachineError:
    """Return the error without an SQLSTATE: no connection, or it was lost or refused."""
    for words, state in _REFUSALS:
        if words in said:
            what, hint = next((what, hint) for begins, what, hint in _POSTGRESQL if begins == state)
            return MachineError(f"the database {location} {what}", hint=hint)
    return AwayError(
        f"the database {location} does not answer",
        hint="start its server, correct BENCHDOCK_DATABASE, or unset it to use SQLite",
    )
