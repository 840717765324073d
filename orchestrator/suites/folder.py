"""The folder of a session: what it runs, and what became of it.

The journal is the truth about a session; everything else in the folder is there for people.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError

from orchestrator import file_lock
from orchestrator.errors import MachineError, RequestError, nearest, quoted
from orchestrator.paths import sessions, write_aside
from orchestrator.record_files import first_mistake, read_file
from orchestrator.request import LenientRecord
from orchestrator.suites import writer
from orchestrator.suites.loading import Loaded
from orchestrator.suites.models import Suite
from orchestrator.version import VERSION

_NAME = re.compile(r"[a-z0-9][a-z0-9_.-]{0,80}", re.ASCII)
_MOST_OF_A_MINUTE = 1000


class Facts(LenientRecord):
    """What a session is: `suite` is what was written, relative paths in it start from `folder`.

    `night` is the local date of its start.
    """

    schema_version: Literal[1] = Field(alias="schema")
    name: str
    night: str
    benchdock: str
    digest: str
    folder: Path
    suite: Annotated[dict[str, Any], Field(min_length=1)]


@dataclass(frozen=True)
class SessionFolder:
    """A session's folder and the names of the files in it."""

    root: Path

    @property
    def name(self) -> str:
        """Return the session's name."""
        return self.root.name

    @property
    def facts(self) -> Path:
        """Return the path of what the session is."""
        return self.root / "session.json"

    @property
    def journal(self) -> Path:
        """Return the path of the journal."""
        return self.root / "journal.jsonl"

    @property
    def log(self) -> Path:
        """Return the path of what was printed."""
        return self.root / "log.txt"


def create(loaded: Loaded, now: datetime, name: str | None = None) -> SessionFolder:
    """Make the folder of a new session. Raises RequestError for a name in use, MachineError."""
    base = f"{loaded.suite.name}-{now:%Y%m%d-%H%M}" if name is None else name
    if not _NAME.fullmatch(base):
        raise RequestError(
            f"{quoted(base)} is not a name for a session",
            hint="use up to 80 lower-case letters, digits and ._-",
        )
    folder = _made(base, exact=name is not None)
    facts = {
        "schema": 1,
        "name": folder.name,
        "night": f"{now:%Y-%m-%d}",
        "benchdock": VERSION,
        "digest": writer.digest(loaded.suite),
        "folder": str(loaded.folder),
        "suite": writer.plain(loaded.suite),
    }
    try:
        write_aside(folder.facts, json.dumps(facts, indent=2) + "\n")
    except OSError as error:
        raise _unwritable(folder.root, error) from None
    return folder


def _made(base: str, *, exact: bool) -> SessionFolder:
    """Make a folder with a name, or with the first free number after it."""
    for number in range(1, _MOST_OF_A_MINUTE):
        root = sessions() / (base if number == 1 else f"{base}-{number}")
        try:
            root.parent.mkdir(parents=True, exist_ok=True)
            root.mkdir(mode=0o700)
        except FileExistsError:
            if exact:
                raise RequestError(
                    f"the session {base} exists already",
                    hint=f"use --resume --name {base}, or another name",
                ) from None
            continue
        except OSError as error:
            raise _unwritable(root, error) from None
        return SessionFolder(root)
    raise MachineError(f"there are {_MOST_OF_A_MINUTE} sessions of this minute", hint="use --name")


def _unwritable(path: Path, error: OSError) -> MachineError:
    return MachineError(
        f"cannot write {path}: {error.strerror}", hint="set BENCHDOCK_HOME to a writable folder"
    )


def existing() -> list[SessionFolder]:
    """Return the folders of all sessions, oldest first.

    A folder without facts is left out: a kill came before anything ran.
    """
    try:
        found = [(_written(path), path) for path in sessions().iterdir()]
    except FileNotFoundError:
        return []
    except OSError as error:
        raise MachineError(f"cannot read {sessions()}: {error.strerror}") from None
    return [SessionFolder(path) for written, path in sorted(found) if written]


def _written(path: Path) -> int:
    """Return when the facts of a session were written, 0 if they were not."""
    try:
        return SessionFolder(path).facts.stat().st_mtime_ns
    except OSError:
        return 0


def named(name: str) -> SessionFolder:
    """Return the session of that name. Raises RequestError."""
    known = {folder.name: folder for folder in existing()}
    if name not in known:
        near = nearest(name, known)
        raise RequestError(
            f"there is no session {quoted(name)}",
            hint=f"did you mean {near!r}?" if near else "start one with `benchdock suite SUITE`",
        )
    return known[name]


def read_facts(folder: SessionFolder) -> Facts:
    """Return what a session is. Raises RequestError, for one of another version too."""
    return read_file(Facts, folder.facts)


def suite_of(folder: SessionFolder, facts: Facts) -> Suite:
    """Return the suite of a session as it was. Raises RequestError, for an older version's too."""
    try:
        return Suite.model_validate(facts.suite)
    except ValidationError as error:
        raise RequestError(
            f"cannot read {folder.facts}: suite: {first_mistake(error)}",
            hint="name the suite's file too",
        ) from None


@contextmanager
def only_session(name: str) -> Iterator[None]:
    """Hold the lock of this home's sessions: two at once would disturb each other's numbers.

    Raises MachineError if another one runs.
    """
    path = sessions() / ".lock"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    except OSError as error:
        raise _unwritable(path, error) from None
    with ExitStack() as stack:
        try:
            who = f"session {name} (process {os.getpid()})"
            stack.enter_context(file_lock.held_at_once(descriptor, who))
        except file_lock.HeldError as error:
            raise MachineError(
                f"{error.holder or 'another session'} is running",
                hint="wait for it, or stop it with `kill -USR1 PID`",
            ) from None
        except OSError as error:  # a file system without locks
            raise _unwritable(path, error) from None
        yield
