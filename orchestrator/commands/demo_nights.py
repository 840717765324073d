"""`benchdock demo nights`: simulated nights, as a home of benchdock and as a report."""

from __future__ import annotations

import argparse
import os
import shlex
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from orchestrator.demo import nights, runs
from orchestrator.errors import ExitStatus, MachineError, RequestError
from orchestrator.nights import decisions, files
from orchestrator.nights.record import Night
from orchestrator.report import writing
from orchestrator.ui.text import print_note

_DEFAULT = "benchdock-demo"
_HOME, _REPORT = "home", "report"


def execute(arguments: argparse.Namespace) -> ExitStatus:
    """Make nights, runs and a report. Raises RequestError, MachineError."""
    folder = Path(arguments.output or _DEFAULT).absolute()
    try:
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise RequestError(f"{folder} exists and is not empty", hint="use -o with a new folder")
        home = folder / _HOME
        home.mkdir(parents=True, exist_ok=True)
        with _home_at(home):
            _make(arguments)
            page = writing.site_of_newest(nights.SUITE, folder / _REPORT, print_note)
    except OSError as error:
        raise MachineError(f"cannot write {folder}: {error.strerror or error}") from None
    print(f"wrote {page}")
    print(f"all of it is simulated; to look around: export BENCHDOCK_HOME={shlex.quote(str(home))}")
    return ExitStatus.OK


def _make(arguments: argparse.Namespace) -> None:
    """Write nights, decisions and run folders. Raises OSError."""
    count, last = arguments.nights, None
    for made in nights.nights(arguments.series, count, arguments.seed):
        files.write(made.night)
        for decision in made.decisions:
            decisions.append(nights.SUITE, decision)
        last = made.night
        _progress(made.night, count)
    if last is not None:
        for run in (*runs.of_night(last), *runs.explored(last)):
            runs.file(run)


def _progress(night: Night, count: int) -> None:
    if sys.stderr.isatty():
        end = "\n" if night.number == count else ""
        print(f"\rnight {night.number} of {count}", end=end, file=sys.stderr, flush=True)


@contextmanager
def _home_at(folder: Path) -> Iterator[None]:
    """Use this home for a while instead of the one that the user has."""
    before = {name: os.environ.pop(name, None) for name in ("BENCHDOCK_HOME", "BENCHDOCK_DATABASE")}
    os.environ["BENCHDOCK_HOME"] = str(folder)
    try:
        yield
    finally:
        del os.environ["BENCHDOCK_HOME"]
        os.environ.update({name: value for name, value in before.items() if value is not None})
