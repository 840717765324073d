"""The note in a run's folder that says which session started it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass

from orchestrator.errors import MachineError
from orchestrator.paths import RunFolder, write_aside
from orchestrator.suites.turns import Turn


@dataclass(frozen=True, kw_only=True)
class SessionNote:
    """What all runs of a session have in common; `digest` is that of the suite."""

    name: str
    suite: str
    digest: str
    night: str


def write(
    folder: RunFolder, note: SessionNote, turn: Turn, *, where: Mapping[str, object] | None = None
) -> None:
    """Write the note; `where` is the place of a run on a cluster. Raises MachineError."""
    told = {
        "schema": 1,
        **asdict(note),
        "pass": turn.round,
        "request": turn.cell.digest,
        "group": turn.cell.origin.group,
        "tags": list(turn.cell.origin.tags),
        **({"slurm": where} if where else {}),
    }
    try:
        write_aside(folder.session, json.dumps(told, indent=2) + "\n")
    except OSError as error:
        raise MachineError(f"cannot write {folder.session}: {error.strerror}") from None
