"""Timers of systemd: of the system for root, of the user for anybody else."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from orchestrator.errors import MachineError
from orchestrator.machine import processes
from orchestrator.paths import write_aside

_PATIENCE = 30.0
# After the budget: the last run, its stop, and the report.
_MARGIN = 1800
_RUNNING = Path("/run/systemd/system")


@dataclass(frozen=True, kw_only=True)
class Job:
    """A unit to start every day at an hour and a minute; `seconds` is how long it may take."""

    name: str
    about: str
    words: Sequence[str]
    at: tuple[int, int]
    seconds: float | None = None
    catch_up: bool = True


def is_running() -> bool:
    """Whether systemd is this system's init, and can be asked."""
    return _RUNNING.is_dir() and shutil.which("systemctl") is not None


def folder() -> Path:
    """Return the folder of this user's units."""
    if os.geteuid() == 0:
        return Path("/etc/systemd/system")
    config = os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config"
    return Path(config) / "systemd" / "user"


def service(job: Job) -> str:
    """Return the text of the unit that runs it."""
    limit = "infinity" if job.seconds is None else str(round(job.seconds + _MARGIN))
    return (
        f"[Unit]\nDescription={job.about}\nAfter=docker.service nvidia-persistenced.service\n\n"
        f"[Service]\nType=oneshot\nExecStart={_command(job.words)}\nTimeoutStartSec={limit}\n"
        "TimeoutStopSec=3min\nNice=0\n"
    )


def timer(job: Job) -> str:
    """Return the text of the unit that starts it."""
    hour, minute = job.at
    return (
        f"[Unit]\nDescription={job.about}\n\n[Timer]\nOnCalendar=*-*-* {hour:02}:{minute:02}:00\n"
        f"Persistent={'true' if job.catch_up else 'false'}\nAccuracySec=1min\n\n"
        "[Install]\nWantedBy=timers.target\n"
    )


def _command(words: Sequence[str]) -> str:
    return " ".join(map(_quoted, words))


def _quoted(word: str) -> str:
    """Quote a word as systemd.syntax(7) says; % and $ have a meaning there."""
    safe = word.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%").replace("$", "$$")
    return f'"{safe}"'


def install(jobs: Sequence[Job], where: Path | None = None) -> list[Path]:
    """Write the units and start the timers; return the files. Raises MachineError."""
    target = where or folder()
    written = []
    try:
        target.mkdir(parents=True, exist_ok=True)
        for job in jobs:
            for kind, text in (("service", service(job)), ("timer", timer(job))):
                file = target / f"{job.name}.{kind}"
                write_aside(file, text)
                written.append(file)
    except OSError as error:
        raise MachineError(f"cannot write {target}: {error.strerror}") from None
    _systemctl("daemon-reload")
    _systemctl("enable", "--now", *(f"{job.name}.timer" for job in jobs))
    return written


def remove(names: Sequence[str], where: Path | None = None) -> bool:
    """Stop timers and remove their units; whether there were any. Raises MachineError."""
    target = where or folder()
    files = [target / f"{name}.{kind}" for name in names for kind in ("timer", "service")]
    here = [file for file in files if file.exists()]
    if not here:
        return False
    _systemctl("disable", "--now", *(file.name for file in here if file.suffix == ".timer"))
    for file in here:
        file.unlink(missing_ok=True)
    _systemctl("daemon-reload")
    return True


def lingers() -> bool:
    """Whether this user's timers also run while nobody is logged in."""
    if os.geteuid() == 0:
        return True
    return (Path("/var/lib/systemd/linger") / processes.user_name(os.getuid())).exists()


def _systemctl(*words: str) -> None:
    scope = [] if os.geteuid() == 0 else ["--user"]
    try:
        done = subprocess.run(
            ["systemctl", *scope, *words], capture_output=True, timeout=_PATIENCE, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise MachineError(f"cannot run systemctl: {error}", hint="add --cron") from None
    if done.returncode:
        said = done.stderr.decode("utf-8", "replace").strip().split("\n")[-1]
        raise MachineError(f"systemctl {words[0]}: {said}", hint="add --cron to use a crontab")
