"""`benchdock results import`: take in runs of other machines."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

from orchestrator.errors import ExitStatus, RequestError
from orchestrator.results import importing
from orchestrator.results.importing import Imported
from orchestrator.store.reading import read
from orchestrator.ui.text import clean, print_note
from orchestrator.units import counted


def execute(arguments: argparse.Namespace) -> ExitStatus:
    """Import each source; one that is refused does not stop the others.

    Raises MachineError.
    """
    done: list[Imported] = []
    for source in map(Path, arguments.sources):
        for one in _imported(source, dlbs=arguments.dlbs):
            done.append(one)
            if one.did == "refused":
                print(clean(f"benchdock: {one.why}"), file=sys.stderr)
            elif not arguments.json:
                print(clean(f"{one.did}: {one.run}"))
    read(lambda _: None, print_note)
    if arguments.json:
        print(json.dumps({"schema": 1, "runs": [asdict(one) for one in done]}, indent=2))
    else:
        count = sum(one.did == "imported" for one in done)
        print(f"{counted(count, 'run')} imported; `benchdock results` lists them")
    refused = any(one.did == "refused" for one in done)
    return ExitStatus.BAD_REQUEST if refused else ExitStatus.OK


def _imported(source: Path, *, dlbs: bool) -> Iterator[Imported]:
    try:
        if dlbs:
            yield importing.from_dlbs(source)
        else:
            yield from importing.from_path(source)
    except RequestError as error:
        yield Imported(run="", source=str(source), did="refused", why=str(error))
