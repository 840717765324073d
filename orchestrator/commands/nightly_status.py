"""`benchdock nightly status`: the last night of each suite, or all series of one."""

from __future__ import annotations

import argparse
import json
from datetime import date, datetime
from typing import Any

from orchestrator.errors import ExitStatus, RequestError, nearest, quoted
from orchestrator.nightly import attempts, machine_lock, schedule
from orchestrator.nights import decisions, files, telling
from orchestrator.nights.record import NOT_ITS_OWN, Night, NightDecision, NightSeries
from orchestrator.paths import check_environment, nights
from orchestrator.ui.tables import print_table
from orchestrator.ui.text import clean
from orchestrator.units import SAMPLES_PER_SECOND, quantity

_UNKNOWN = "-"


def execute(arguments: argparse.Namespace) -> ExitStatus:
    """Print it. Raises RequestError, MachineError."""
    check_environment()
    suite = getattr(arguments, "suite", None)
    known = files.suites()
    if suite is not None and suite not in known:
        near = nearest(suite, known)
        raise RequestError(
            f"no night of {quoted(suite)} is stored in {nights()}",
            hint=f"did you mean {near!r}?" if near else "run `benchdock nightly run SUITE`",
        )
    last = {name: next(files.newest(name, 1)) for name in known if suite in (None, name)}
    running = machine_lock.holder()
    if arguments.json:
        suites = [_as_json(night) for night in last.values()]
        starts = [one.model_dump() for one in schedule.installed()]
        told = {"schema": 1, "running": running or None, "schedules": starts, "suites": suites}
        print(json.dumps(told, indent=2))
        return ExitStatus.OK
    if running:
        print(clean(f"running: {running}"))
    for one in schedule.installed():
        if suite in (None, one.suite):
            print(clean(f"{one.suite} starts every day at {one.at} by {one.how}"))
    if not last:
        print(clean(f"no night is stored in {nights()}; run `benchdock nightly run SUITE`"))
    elif suite is None:
        for night in last.values():
            print(clean(f"{_when(night)} {telling.subject(night)}"))
    else:
        _show(last[suite])
    return ExitStatus.OK


def _as_json(night: Night) -> dict[str, Any]:
    tries = [one.model_dump(exclude_none=True) for one in attempts.newest(night.suite)[:10]]
    return {
        "subject": telling.subject(night),
        "night": night.model_dump(mode="json", by_alias=True, exclude_none=True),
        "attempts": tries,
    }


def _when(night: Night) -> str:
    return f"{datetime.fromtimestamp(night.finished):%Y-%m-%d %H:%M}"


def _show(night: Night) -> None:
    """Print everything of a night."""
    print(clean(f"night {night.number}, {night.night}, ended {_when(night)}"))
    for line in telling.every_line(night):
        print(clean(line))
    decided = decisions.read(night.suite)
    print()
    print_table(
        ("series", "what", "verdict", "throughput", "change", "can show", "decided"),
        [_row(one, decided) for one in night.series],
        right=(3, 4, 5),
    )
    if night.uncounted:
        print(clean(f"no later night is compared with this one: {night.uncounted}"))


def _row(one: NightSeries, decided: tuple[NightDecision, ...]) -> tuple[str, ...]:
    judged = one.judgement
    value = judged.value
    return (
        one.key,
        one.title,
        f"{judged.verdict} ({one.cause})" if one.cause in NOT_ITS_OWN else judged.verdict,
        quantity(value, SAMPLES_PER_SECOND) if value is not None else _UNKNOWN,
        _percent(judged.change, "+"),
        _percent(judged.resolution),
        _decision(one, decided),
    )


def _percent(share: float | None, sign: str = "") -> str:
    return _UNKNOWN if share is None else f"{share * 100:{sign}.1f} %"


def _decision(one: NightSeries, decided: tuple[NightDecision, ...]) -> str:
    mute = decisions.in_force(decided, one, date.today())
    if mute is not None:
        return f"muted by {mute.who} until {mute.until}: {mute.why}"
    accepts = [made for made in decided if made.kind != "mute" and made.series == one.key]
    return f"accepted by {accepts[-1].who}: {accepts[-1].why}" if accepts else ""
