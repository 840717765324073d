"""`benchdock report`: a night as a site, as Markdown, or on the terminal."""

from __future__ import annotations

import argparse
from pathlib import Path

from orchestrator.errors import ExitStatus, RequestError, unknown
from orchestrator.nights import files
from orchestrator.nights.record import Night
from orchestrator.report import writing
from orchestrator.report.markdown import markdown
from orchestrator.report.terminal import show
from orchestrator.report.window import of_suite
from orchestrator.ui.text import print_note


def execute(arguments: argparse.Namespace) -> ExitStatus:
    """Report on a night. Raises RequestError, MachineError."""
    if arguments.single_file and arguments.output is None:
        raise RequestError("--single-file needs a file", hint="add -o night.html")
    suite = _suite(arguments.suite)
    if arguments.output is None or arguments.markdown:
        return _print(of_suite(suite, arguments.night, 1).tonight, arguments)
    found, path = of_suite(suite, arguments.night), Path(arguments.output)
    write = writing.write_single_file if arguments.single_file else writing.write_site
    print(f"wrote {write(found, path, print_note, every=arguments.all)}")
    return ExitStatus.OK


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


def _print(night: Night, arguments: argparse.Namespace) -> ExitStatus:
    if not arguments.markdown:
        show(night, every=arguments.all)
    elif arguments.output is None:
        print(markdown(night, every=arguments.all), end="")
    else:
        text = markdown(night, every=arguments.all)
        print(f"wrote {writing.write_text(Path(arguments.output), text)}")
    return ExitStatus.OK
