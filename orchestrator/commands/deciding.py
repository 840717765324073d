"""What `benchdock accept` and `benchdock mute` have in common."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from datetime import date
from typing import Literal

from orchestrator.machine import processes
from orchestrator.nights import decisions
from orchestrator.nights.choosing import Chosen
from orchestrator.nights.record import NightDecision
from orchestrator.ui.text import print_note


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
    """Bring the database up to date."""
    from orchestrator.nights import storing

    nights = {(one.night.suite, one.night.number): one.night for one in chosen}
    if why := storing.why_not_stored(nights.values()):
        print_note(why)
