"""Takes into the database when sessions began and ended, which their folders know."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import datetime
from pathlib import Path

from sqlalchemy import Connection, update

from orchestrator.paths import sessions
from orchestrator.store import schema
from orchestrator.store.database import writing
from orchestrator.store.rows import Values

# A line has some hundred bytes; a longer one is not of a journal.
_LONGEST = 64 * 1024
_BEGIN, _FINISH = b'{"event":"begin"', b'{"event":"finish"'


def take_in(
    connection: Connection, names: Iterable[str], seen: Mapping[str, int]
) -> dict[str, int]:
    """Bring sessions of this home up to date: those of some names, and those in `seen`.

    Return the unfinished ones, each with the time of its journal's last change: this is `seen` of
    the next time. A session whose journal did not change since is not read again.
    """
    left: dict[str, int] = {}
    for name in sorted(name for name in {*names, *seen} if "/" not in name):
        path = sessions() / name / "journal.jsonl"
        try:
            changed = path.stat().st_mtime_ns
            told = _told(path) if changed != seen.get(name) else None
        except OSError:  # it was of another home, or somebody removed it
            continue
        if told is None or told["status"] == "unfinished":
            left[name] = changed
        if told is not None:
            table = schema.session
            with writing(connection):
                connection.execute(update(table).where(table.c.name == name).values(**told))
    return left


def _told(path: Path) -> Values:
    """Return what a journal says, without lines that are damaged: `suite --resume` names those.

    `finished` is when the session ended, None while it goes on and after a kill.
    """
    told: Values = {"started": None, "finished": None, "status": "unfinished"}
    with path.open("rb") as stream:
        for line in iter(lambda: stream.readline(_LONGEST), b""):
            if not line.startswith((_BEGIN, _FINISH)) or not line.endswith(b"\n"):
                continue  # of a run, of which a session may have 100,000, or torn
            moment = _moment(line)
            if line.startswith(_FINISH):
                told |= {"finished": moment, "status": "finished"}
            else:
                told |= {"finished": None, "status": "unfinished"}
                told["started"] = told["started"] or moment
    return told


def _moment(line: bytes) -> float | None:
    try:
        return datetime.fromisoformat(json.loads(line)["at"]).timestamp()
    except (ValueError, KeyError, TypeError, OverflowError):
        return None
