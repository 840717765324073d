"""`benchdock nightly pull SUITE`: get the images of the next night; silent if all is well."""

from __future__ import annotations

import argparse
import io
from contextlib import redirect_stdout
from pathlib import Path

from orchestrator import cli
from orchestrator.errors import ExitStatus
from orchestrator.nightly import environment
from orchestrator.suites import deciding, expansion, loading, planning


def execute(arguments: argparse.Namespace) -> ExitStatus:
    """Pull or build what is missing. Raises RequestError, MachineError."""
    if arguments.environment:
        environment.apply(Path(arguments.environment))
    loaded = loading.load(Path(arguments.suite))
    decider = deciding.MachineDecider(folder=loaded.folder)
    needs = planning.plan(loaded, expansion.expand(loaded), decider).needs()
    if all(need.here for need in needs):
        return ExitStatus.OK
    said = io.StringIO()
    with redirect_stdout(said):
        status = cli.main(["images", "pull", arguments.suite])
    if status:
        print(said.getvalue(), end="")
    return ExitStatus(status)
