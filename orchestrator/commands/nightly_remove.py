"""`benchdock nightly remove SUITE`: do not run it any more; what was measured stays."""

from __future__ import annotations

import argparse

from orchestrator.errors import ExitStatus, RequestError, nearest, quoted
from orchestrator.nightly import schedule
from orchestrator.nights import files
from orchestrator.ui.text import clean


def execute(arguments: argparse.Namespace) -> ExitStatus:
    """Remove a schedule. Raises RequestError, MachineError."""
    name = arguments.suite
    done = schedule.remove(name)
    known = [one.suite for one in schedule.installed()]
    if not done:
        near = nearest(name, known)
        hint = f"did you mean {near!r}?" if near else "`benchdock nightly status` lists them"
        raise RequestError(f"no night of {quoted(name)} is installed", hint=hint)
    for line in done:
        print(clean(line))
    if files.listed(name):
        print(clean(f"the nights that ran stay in {files.folder(name)}"))
    return ExitStatus.OK
