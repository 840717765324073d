"""When a suite's nights start, by whom, and with which command."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Literal

from orchestrator.errors import MachineError, RequestError
from orchestrator.nightly import crontab, systemd
from orchestrator.nightly.systemd import Job
from orchestrator.paths import nights, write_aside
from orchestrator.record_files import may_exist, read_file
from orchestrator.request import LenientRecord
from orchestrator.units import SECONDS, quantity

How = Literal["systemd", "cron"]
# What cron sets; `install` proves that a night works with that.
CRON = ("HOME", "LOGNAME", "SHELL", "PATH")
_CRON_PATH = "/usr/bin:/bin"
_PATIENCE = 300.0


class Schedule(LenientRecord):
    """An installed schedule; `at` and `pull_at` are local times such as 01:30."""

    suite: str
    how: How
    at: str
    pull_at: str | None
    run: tuple[str, ...]
    pull: tuple[str, ...]


def path(suite: str) -> Path:
    """Return the file of a suite's schedule."""
    return nights() / suite / "schedule.json"


def read(suite: str) -> Schedule | None:
    """Return what is installed for a suite, None if nothing is. Raises RequestError."""
    return read_file(Schedule, path(suite)) if may_exist(path(suite)) else None


def installed() -> list[Schedule]:
    """Return all installed schedules, by suite. Raises RequestError."""
    found = (read(file.parent.name) for file in sorted(nights().glob("*/schedule.json")))
    return [one for one in found if one is not None]


def program() -> list[str]:
    """Return the words that start benchdock from anywhere."""
    script = Path(sys.executable).parent / "benchdock"
    return [str(script)] if script.exists() else [sys.executable, "-m", "orchestrator"]


def clock(told: str) -> tuple[int, int]:
    """Return hour and minute of a time such as 01:30. Raises RequestError.

    Between two and three o'clock, one night of the year has no such time and one has it twice.
    """
    try:
        parsed = datetime.strptime(told, "%H:%M")
    except ValueError:
        raise RequestError(f"{told!r} is not a time", hint="write it like 01:30") from None
    if parsed.hour == 2 and _changes_its_clock():
        raise RequestError(
            f"{told} does not exist, or exists twice, when summer time begins or ends",
            hint="use a time before 02:00 or from 03:00 on",
        )
    return parsed.hour, parsed.minute


def _changes_its_clock() -> bool:
    return time.daylight != 0


def earlier(at: tuple[int, int], hours: int) -> tuple[int, int]:
    """Return the time of day so many hours before."""
    return (at[0] - hours) % 24, at[1]


def in_words(at: tuple[int, int]) -> str:
    """Return a time of day such as 01:30."""
    return f"{at[0]:02}:{at[1]:02}"


def prove(words: Sequence[str], now: Mapping[str, str]) -> str:
    """Start a command as cron would; return what it printed. Raises MachineError if it fails."""
    told = {name: now[name] for name in CRON if now.get(name)}
    told |= {"PATH": _CRON_PATH, "SHELL": "/bin/sh"}
    done = subprocess.run(
        ["/bin/sh", "-c", shlex.join(words)],
        env=told,
        cwd="/",
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=_PATIENCE,
        check=False,
    )
    if done.returncode:
        said = done.stderr.decode("utf-8", "replace").strip().split("\n")
        raise MachineError(
            f"a night would not start from cron: {said[-1].removeprefix('benchdock: ')}",
            details=tuple(said[-10:-1]),
        )
    return done.stdout.decode("utf-8", "replace").strip()


def install(schedule: Schedule, seconds: float | None) -> list[str]:
    """Install a schedule; return what was done. `seconds` is the budget of a night.

    Raises MachineError.
    """
    if schedule.how == "systemd":
        done = [f"wrote {file}" for file in systemd.install(_jobs(schedule, seconds))]
        if not systemd.lingers():
            done.append("run `loginctl enable-linger`, or it only runs while you are logged in")
    else:
        kept = _into_crontab(schedule)
        done = [f"wrote the crontab; the old one is {kept}"] if kept else ["nothing to change"]
    try:
        write_aside(path(schedule.suite), schedule.model_dump_json(indent=2) + "\n")
    except OSError as error:
        raise MachineError(f"cannot write {path(schedule.suite)}: {error.strerror}") from None
    return done


def _jobs(schedule: Schedule, seconds: float | None) -> list[Job]:
    jobs = [
        Job(
            name=_unit(schedule.suite),
            about=f"benchdock: the night of {schedule.suite}",
            words=schedule.run,
            at=clock(schedule.at),
            seconds=seconds,
        )
    ]
    if schedule.pull_at is not None:
        jobs.append(
            Job(
                name=f"{_unit(schedule.suite)}-pull",
                about=f"benchdock: images for the night of {schedule.suite}",
                words=schedule.pull,
                at=clock(schedule.pull_at),
                catch_up=False,
            )
        )
    return jobs


def _into_crontab(schedule: Schedule) -> Path | None:
    before = crontab.read()
    lines = [crontab.line(clock(schedule.at), schedule.run)]
    if schedule.pull_at is not None:
        lines.insert(0, crontab.line(clock(schedule.pull_at), schedule.pull))
    return crontab.write(crontab.with_lines(before, schedule.suite, lines), before)


def remove(suite: str) -> list[str]:
    """Remove a suite's schedule; return what was done, nothing if there is none.

    Raises MachineError.
    """
    done = []
    if systemd.is_running() and systemd.remove([_unit(suite), f"{_unit(suite)}-pull"]):
        done.append("removed its timers")
    if crontab.is_here():
        before = crontab.read()
        kept = crontab.write(crontab.without(before, suite), before)
        if kept is not None:
            done.append(f"removed its lines of the crontab; the old one is {kept}")
    if may_exist(path(suite)):
        os.unlink(path(suite))
    return done


def _unit(suite: str) -> str:
    return f"benchdock-nightly-{suite}"


def why_not_now(suite: str, budget: float | None, now: datetime) -> str:
    """Return why a night that catches up does not start any more, "" if it does.

    systemd starts a missed night when the machine is up again, perhaps shortly before the next one.
    """
    told = read(suite)
    if told is None or budget is None:
        return ""
    hour, minute = clock(told.at)
    start = now.replace(hour=hour, minute=minute, second=0, microsecond=0)
    left = (start - now).total_seconds() % 86_400
    if 0 < left < budget:
        return f"the next night starts in {quantity(left, SECONDS)}, which is less than the budget"
    return ""


def missed(suite: str, last: date, tonight: date) -> list[date]:
    """Return the days since the last night on which one should have started but did not."""
    days = (tonight - last).days
    if read(suite) is None:
        return []
    return [last + timedelta(days=day) for day in range(1, days)]
