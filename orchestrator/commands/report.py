"""`benchdock report`: a night as a site, as Markdown, or on the terminal."""

from __future__ import annotations

import argparse
import sys
from datetime import date, datetime
from itertools import dropwhile, islice
from pathlib import Path
from typing import TYPE_CHECKING

from orchestrator.errors import ExitStatus, MachineError, RequestError, unknown
from orchestrator.nights import decisions, files
from orchestrator.nights.record import Night
from orchestrator.paths import write_aside
from orchestrator.report.markdown import markdown
from orchestrator.report.terminal import show
from orchestrator.report.window import NIGHTS, Window, window
from orchestrator.ui.text import clean

if TYPE_CHECKING:
    from orchestrator.report import site


def execute(arguments: argparse.Namespace) -> ExitStatus:
    """Report on a night. Raises RequestError, MachineError."""
    if arguments.single_file and arguments.output is None:
        raise RequestError("--single-file needs a file", hint="add -o night.html")
    suite = _suite(arguments.suite)
    if arguments.output is None or arguments.markdown:
        night = _nights(suite, arguments.night, 1).tonight
        return _print(night, arguments)
    found = _nights(suite, arguments.night, NIGHTS)
    path = Path(arguments.output)
    _write(found, path, single=arguments.single_file, every=arguments.all)
    return ExitStatus.OK


def write(suite: str, folder: Path) -> None:
    """Write the pages of a suite's newest night. Raises RequestError, MachineError."""
    _write(_nights(suite, None, NIGHTS), folder, single=False, every=False)


def _suite(wanted: str | None) -> str:
    """Return the suite of the newest night, or the wanted one. Raises RequestError."""
    suites = files.suites()
    if not suites:
        raise RequestError(
            "no night is stored",
            hint="run `benchdock nightly run SUITE` first, or `benchdock demo nights` to see an "
            "example",
        )
    if wanted is None:
        return max(suites, key=lambda suite: next(files.newest(suite)).started)
    if wanted not in suites:
        raise unknown("suite", wanted, suites)
    return wanted


def _nights(suite: str, day: date | None, most: int) -> Window:
    """Read nights up to a day. Raises RequestError if there is none on that day."""
    nights = files.newest(suite)
    if day is not None:
        nights = dropwhile(lambda night: night.night != day, nights)
    found = window(islice(nights, most), decisions.read(suite))
    if found is None:
        newest = next(files.newest(suite)).night
        raise RequestError(
            f"no night of {suite} started on {day}", hint=f"the newest one is --night {newest}"
        )
    return found


def _print(night: Night, arguments: argparse.Namespace) -> ExitStatus:
    if not arguments.markdown:
        show(night, every=arguments.all)
    elif arguments.output is None:
        print(markdown(night, every=arguments.all), end="")
    else:
        _write_file(Path(arguments.output), markdown(night, every=arguments.all))
    return ExitStatus.OK


def _write(found: Window, path: Path, *, single: bool, every: bool) -> None:
    """Write pages. Raises RequestError, MachineError."""
    from orchestrator.report import run_folders, site, stored

    told = site.Told(
        window=found,
        stored=stored.gather(found.tonight, _tell),
        runs=tuple(run_folders.paged(found.tonight, every=every)),
        made=datetime.now(),
    )
    if single:
        _write_file(path, site.single_file(told))
    else:
        _write_folder(told, path)
    if site.plotly() is None:
        _tell(f"charts do not zoom: run `{site.INSTALL}` and make the report again")


def _write_folder(told: site.Told, folder: Path) -> None:
    from orchestrator.report import site

    if folder.is_file():
        raise RequestError(f"{folder} is a file", hint="use -o FOLDER, or add --single-file")
    try:
        if not site.is_report(folder):
            raise RequestError(
                f"{folder}/index.html is not a report", hint="use -o with another folder"
            )
        site.write_site(told, folder)
    except OSError as error:
        raise MachineError(f"cannot write {folder}: {error.strerror or error}") from None
    print(f"wrote {folder / 'index.html'}")


def _write_file(path: Path, text: str) -> None:
    if path.is_dir():
        raise RequestError(f"{path} is a folder", hint="use -o FILE")
    try:
        write_aside(path, text)
    except OSError as error:
        raise MachineError(f"cannot write {path}: {error.strerror or error}") from None
    print(f"wrote {path}")


def _tell(note: str) -> None:
    print(clean(f"note: {note}"), file=sys.stderr)
