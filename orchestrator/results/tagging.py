"""Tags that a user gives to runs. They are in the run's folder, so they outlive the database."""

from __future__ import annotations

import json
from collections.abc import Sequence

from sqlalchemy import Connection, delete, select

from orchestrator.errors import MachineError, RequestError
from orchestrator.paths import RunFolder, write_aside
from orchestrator.results.lookup import Stored
from orchestrator.store import inserting, rows, schema
from orchestrator.store.database import writing


def change(stored: Stored, tags: Sequence[str], *, remove: bool) -> tuple[str, ...]:
    """Add tags to a run, or remove them; return all its tags.

    Raises RequestError for a run that is not here or does not have a tag to remove, and
    MachineError if its folder cannot be written.
    """
    if stored.kind != "folder":
        raise RequestError(f"{stored.name} is not a run folder", hint="use a run id")
    folder = RunFolder(stored.path)
    before = set(rows.tags(folder))
    if remove and (absent := sorted(set(tags) - before)):
        raise RequestError(
            f"{folder.run_id} does not have the tag {absent[0]!r}",
            hint=f"its tags are {', '.join(sorted(before))}" if before else "it has no tags",
        )
    after = sorted(before - set(tags) if remove else before | set(tags))
    try:
        write_aside(folder.tags, json.dumps(after) + "\n")
    except OSError as error:
        raise MachineError(f"cannot write {folder.tags}: {error.strerror or error}") from None
    return tuple(after)


def note(connection: Connection, name: str, tags: Sequence[str]) -> None:
    """Give a run of the database the tags of its folder."""
    with writing(connection):
        run_id = connection.execute(
            select(schema.run.c.id).where(schema.run.c.name == name)
        ).scalar()
        if run_id is not None:
            connection.execute(delete(schema.tag).where(schema.tag.c.run_id == run_id))
            added = [{"run_id": run_id, "tag": tag} for tag in tags]
            inserting.add_new(connection, schema.tag, added, "run_id", "tag")
