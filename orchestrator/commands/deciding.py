"""What `benchdock accept` and `benchdock mute` have in common."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Sequence
from datetime import date
from typing import TYPE_CHECKING, Literal

from orchestrator.errors import BenchdockError
from orchestrator.machine import processes
from orchestrator.nights import decisions
from orchestrator.nights.choosing import Chosen
from orchestrator.nights.record import NightDecision
from orchestrator.ui.text import clean

if TYPE_CHECKING:
    from sqlalchemy import Connection


def decide(
    kind: Literal["accept", "mute"],
    chosen: Sequence[Chosen],
    why: str,
    *,
    until: date | None = None,
) -> list[NightDecision]:
    """File a decision on some series. Raises MachineError."""
    made = []
    for one in chosen:
        decision = NightDecision(
            kind=kind,
            series=one.series.key,
            night=one.night.number,
            who=_user(),
            why=why,
            at=time.time(),
            until=until,
        )
        decisions.append(one.night.suite, decision)
        made.append(decision)
    _store(chosen)
    return made


def _user() -> str:
    """Return who decides: behind sudo, the person."""
    return os.environ.get("SUDO_USER") or processes.user_name(os.getuid())


def _store(chosen: Sequence[Chosen]) -> None:
    """Bring the database up to date; the files are the truth."""
    from orchestrator.nights import storing
    from orchestrator.store import location, reading

    nights = {(one.night.suite, one.night.number): one.night for one in chosen}

    def store(connection: Connection) -> None:
        for night in nights.values():
            storing.store(connection, night, decisions.read(night.suite))

    try:
        reading.use(location.here(), store, lambda _: None)
    except BenchdockError as error:
        print(clean(f"note: the database is not up to date: {error}"), file=sys.stderr)
