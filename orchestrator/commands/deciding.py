"""What `benchdock accept` and `benchdock mute` have in common."""

from __future__ import annotations

import os
import pwd
import sys
import time
from collections.abc import Sequence
from datetime import date
from typing import Literal

from orchestrator.errors import BenchdockError
from orchestrator.nights import decisions
from orchestrator.nights.choosing import Chosen
from orchestrator.nights.record import NightDecision
from orchestrator.ui.text import clean


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
    if name := os.environ.get("SUDO_USER"):
        return name
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return f"user {os.getuid()}"


def _store(chosen: Sequence[Chosen]) -> None:
    """Bring the database up to date; the files are the truth."""
    from orchestrator.nights import storing
    from orchestrator.store import location, reading

    nights = {(one.night.suite, one.night.number): one.night for one in chosen}
    try:
        for night in nights.values():
            decided = decisions.read(night.suite)
            reading.use(
                location.here(),
                lambda connection, night=night, decided=decided: storing.store(  # type: ignore[misc]
                    connection, night, decided
                ),
                lambda _: None,
            )
    except BenchdockError as error:
        print(clean(f"note: the database is not up to date: {error}"), file=sys.stderr)
