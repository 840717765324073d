"""`benchdock import-dlbs FILE`: turn a configuration of DLBS into a suite file."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from pathlib import Path

from orchestrator.dlbs import json_text
from orchestrator.dlbs.configuration import Configuration, configuration
from orchestrator.dlbs.importing import Imported, import_
from orchestrator.errors import ExitStatus, MachineError, RequestError
from orchestrator.paths import write_aside
from orchestrator.ui.text import print_note
from orchestrator.units import counted


def execute(arguments: argparse.Namespace) -> ExitStatus:
    """Write the suite and say what was not carried over. Raises RequestError, MachineError."""
    file = Path(arguments.file) if arguments.file else None
    if file is None and not (arguments.parameters or arguments.variables):
        raise RequestError(
            "a configuration is missing", hint="type `benchdock import-dlbs FILE -o SUITE.yaml`"
        )
    destination = _destination(arguments.output)
    found = configuration(json_text.read(file)) if file else Configuration()
    found = found.with_options(
        _texts("-P", arguments.parameters),
        _texts("-V", arguments.variables),
        [json_text.parse(text, "-E") for text in arguments.extensions],
    )
    imported = import_(
        found, file.stem if file else "dlbs", os.environ, source=file.name if file else ""
    )
    _write(imported, destination)
    return ExitStatus.OK


def _texts(option: str, pairs: Sequence[tuple[str, str]]) -> list[tuple[str, json_text.Text]]:
    return [(name, json_text.parse(text, f"{option} {name}")) for name, text in pairs]


def _destination(output: str | None) -> Path | None:
    """Return the file to write, None for standard output. Raises RequestError."""
    if output in (None, "-"):
        return None
    path = Path(str(output))
    if path.exists():
        raise RequestError(f"{path} already exists", hint="use -o to choose another name")
    if not path.parent.is_dir():
        raise RequestError(
            f"the folder {path.parent} does not exist", hint="create it, or use -o FILE"
        )
    return path


def _write(imported: Imported, destination: Path | None) -> None:
    for note in imported.notes:
        print_note(note)
    if destination is None:
        print(imported.text, end="")
        return
    try:
        write_aside(destination, imported.text)
    except OSError as error:
        raise MachineError(f"cannot write {destination}: {error.strerror or error}") from None
    print(
        f"wrote {destination}: {counted(imported.runs, 'run')} of "
        f"{counted(imported.benchmarks, 'benchmark')}"
    )
