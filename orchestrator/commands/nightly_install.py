"""`benchdock nightly install SUITE`: run it every night, from systemd or cron."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import cast

from orchestrator.errors import ExitStatus, MachineError
from orchestrator.nightly import crontab, environment, schedule, systemd
from orchestrator.nightly.schedule import How, Schedule
from orchestrator.suites import loading
from orchestrator.ui.text import clean

# Hours before the night: the largest images take half an hour.
_PULL_BEFORE = 3
_FILES = ("report", "junit", "prometheus", "webhook_file")


def execute(arguments: argparse.Namespace) -> ExitStatus:
    """Install a schedule. Raises RequestError, MachineError."""
    suite = loading.load(Path(arguments.suite)).suite
    at = schedule.clock(arguments.at)
    pull_at = None if arguments.no_pull else schedule.earlier(at, _PULL_BEFORE)
    how = _how(arguments)
    file = environment.write(suite.name, environment.pinned(os.environ))
    told = Schedule(
        suite=suite.name,
        how=how,
        at=schedule.in_words(at),
        pull_at=schedule.in_words(pull_at) if pull_at else None,
        run=tuple(_run(arguments, file)),
        pull=(*_start("pull", arguments, file),),
    )
    print(clean(f"the environment of the nights is in {file}"))
    print(clean(schedule.prove([*told.run, "--dry-run"], os.environ)))
    for line in schedule.install(told, arguments.budget or suite.budget.night):
        print(clean(line))
    pulled = f", after images at {told.pull_at}" if told.pull_at else ""
    print(clean(f"the night of {suite.name} starts at {told.at} by {how}{pulled}"))
    return ExitStatus.OK


def _how(arguments: argparse.Namespace) -> How:
    """Return what starts the nights. Raises MachineError."""
    if arguments.cron:
        return "cron"
    if systemd.is_running():
        return "systemd"
    if arguments.systemd:
        raise MachineError("systemd does not run this system", hint="remove --systemd to use cron")
    if not crontab.is_here():
        raise MachineError(
            "this system has neither systemd nor crontabs", hint="install the package cron"
        )
    return "cron"


def _start(what: str, arguments: argparse.Namespace, file: Path) -> list[str]:
    suite = str(Path(arguments.suite).resolve())
    return [*schedule.program(), "nightly", what, suite, "--environment", str(file)]


def _run(arguments: argparse.Namespace, file: Path) -> list[str]:
    """Return the words of a night, with the options that were given."""
    words = _start("run", arguments, file)
    for name in _FILES:
        if told := getattr(arguments, name):
            words += [f"--{name.replace('_', '-')}", str(Path(told).absolute())]
    if arguments.webhook_kind:
        words += ["--webhook-kind", arguments.webhook_kind]
    if arguments.budget:
        words += ["--budget", f"{cast('float', arguments.budget):g}s"]
    return [*words, "--always"] if arguments.always else words
