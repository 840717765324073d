"""What people decided on series: a line per decision in a file beside the nights."""

from __future__ import annotations

import os
from collections.abc import Iterable
from datetime import date
from pathlib import Path
from typing import IO

from pydantic import ValidationError

from orchestrator.errors import MachineError, RequestError
from orchestrator.nights.record import Night, NightDecision, NightSeries
from orchestrator.paths import nights
from orchestrator.record_files import first_mistake
from orchestrator.signals import held


def path(suite: str) -> Path:
    """Return the file of a suite's decisions."""
    return nights() / suite / "decisions.jsonl"


def read(suite: str) -> tuple[NightDecision, ...]:
    """Return the decisions on a suite's series, oldest first. Raises RequestError.

    A line that a power cut tore does not count.
    """
    file = path(suite)
    try:
        lines = file.read_text(encoding="utf-8", errors="replace").split("\n")
    except FileNotFoundError:
        return ()
    except OSError as error:
        raise RequestError(f"cannot read {file}: {error.strerror}") from None
    found = (_decision(line, f"{file}:{number}") for number, line in enumerate(lines[:-1], start=1))
    return tuple(one for one in found if one is not None)


def _decision(line: str, where: str) -> NightDecision | None:
    """Read a line; None if it is empty or torn."""
    try:
        return NightDecision.model_validate_json(line)
    except ValidationError as error:
        if error.errors()[0]["type"] == "json_invalid":
            return None
        raise RequestError(f"{where}: {first_mistake(error)}") from None


def append(suite: str, decision: NightDecision) -> None:
    """Write a decision. A signal waits until it is written. Raises MachineError."""
    file = path(suite)
    line = decision.model_dump_json(exclude_none=True) + "\n"
    try:
        with held():
            file.parent.mkdir(parents=True, exist_ok=True)
            with file.open("ab+") as stream:
                stream.write((_end_of_torn_line(stream) + line).encode())
    except OSError as error:
        raise MachineError(
            f"cannot write {file}: {error.strerror}", hint="set BENCHDOCK_HOME to a writable folder"
        ) from None


def _end_of_torn_line(stream: IO[bytes]) -> str:
    if not stream.tell():
        return ""
    stream.seek(-1, os.SEEK_END)
    return "" if stream.read() == b"\n" else "\n"


def applied(night: Night, decided: Iterable[NightDecision]) -> Night:
    """Return a night with what was accepted of it afterwards."""
    accepted = {one.series for one in decided if one.kind == "accept" and one.night == night.number}
    if not accepted:
        return night
    series = tuple(
        one.model_copy(update={"accepted": True}) if one.key in accepted else one
        for one in night.series
    )
    return night.model_copy(update={"series": series})


def in_force(
    decided: Iterable[NightDecision], series: NightSeries | str, today: date
) -> NightDecision | None:
    """Return the newest mute of a series that has not ended, None if there is none."""
    key = series if isinstance(series, str) else series.key
    mutes = [one for one in decided if one.kind == "mute" and one.series == key]
    last = mutes[-1] if mutes else None
    return last if last and last.until is not None and today <= last.until else None
