"""What became of each start of a night, also of those that measured nothing."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime
from pathlib import Path

from pydantic import ValidationError

from orchestrator.paths import nights
from orchestrator.request import LenientRecord

_MOST = 200
_NAMED = 3


class Attempt(LenientRecord):
    """A start (`status` is None) or an end; `at` is in seconds since 1970.

    `night` is the number of the night that was filed, `session` its session.
    """

    at: float
    status: int | None = None
    said: str
    night: int | None = None
    session: str | None = None

    @property
    def when(self) -> str:
        """Return the local time."""
        return f"{datetime.fromtimestamp(self.at):%Y-%m-%d %H:%M}"


def path(suite: str) -> Path:
    """Return the file of a suite's attempts."""
    return nights() / suite / "attempts.jsonl"


def note(
    suite: str,
    said: str,
    *,
    status: int | None = None,
    night: int | None = None,
    session: str | None = None,
) -> None:
    """Remember a start or an end. A full disk does not matter here: the night itself says it."""
    one = Attempt(at=round(time.time(), 1), status=status, said=said, night=night, session=session)
    line = json.dumps(one.model_dump(exclude_none=True)) + "\n"
    with suppress(OSError):
        path(suite).parent.mkdir(parents=True, exist_ok=True)
        with path(suite).open("a", encoding="utf-8") as stream:
            stream.write(line)


def newest(suite: str) -> list[Attempt]:
    """Return the last starts and ends, newest first; lines that were torn do not count."""
    try:
        lines = path(suite).read_text(encoding="utf-8", errors="replace").splitlines()[-_MOST:]
    except OSError:
        return []
    found = []
    for line in reversed(lines):
        with suppress(ValidationError):
            found.append(Attempt.model_validate_json(line))
    return found


def lost(suite: str) -> list[str]:
    """Say what became of the starts since the last night that was filed, at most three of them."""
    return list(_lost(newest(suite)))[:_NAMED]


def _lost(attempts: list[Attempt]) -> Iterator[str]:
    ended = False
    for one in attempts:
        if one.night is not None:
            return
        if one.status is None:
            if not ended:
                yield f"the night that started {one.when} was killed (session {one.session})"
            ended = False
        else:
            # One that found another night running did not begin.
            ended = one.status != 0
            yield f"the night that started {one.when} did not run: {one.said}"


def refused_since(suite: str, session: str) -> list[str]:
    """Say which starts were refused because the night of a session was still running."""
    found = []
    for one in newest(suite):
        if one.session == session:
            break
        found.append(f"the start at {one.when} was skipped, because this night was still running")
    return found[:_NAMED]
