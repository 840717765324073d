"""Brings a database of an older benchdock up to date, with Alembic."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import Connection

from orchestrator.store.faults import NewerError
from orchestrator.store.location import Location

_SCRIPTS = Path(__file__).parent / "migrations"


def upgrade(connection: Connection, found: str, location: Location, *, to: str = "head") -> None:
    """Run the migrations after `found` in the caller's transaction; "" means all of them.

    Raises NewerError if `found` is not a migration of this benchdock.
    """
    config = Config()
    config.set_main_option("script_location", str(_SCRIPTS).replace("%", "%%"))
    config.attributes["connection"] = connection
    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    if found and found not in known:
        raise NewerError(
            f"a newer benchdock wrote the database {location} (its tables are at {found})",
            hint="upgrade benchdock, or set BENCHDOCK_HOME to another folder",
        )
    command.upgrade(config, to)
