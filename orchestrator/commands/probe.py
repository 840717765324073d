"""`benchdock probe`: measure what this machine can do at most."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from orchestrator import ui
from orchestrator.ceilings import Ceiling
from orchestrator.errors import ExitStatus
from orchestrator.probing.measuring import Probed, Wanted, probe
from orchestrator.request import RuntimeChoice
from orchestrator.signals import interruptible
from orchestrator.ui.tables import print_table
from orchestrator.ui.text import Outlet
from orchestrator.units import quantity

_WORDS = {
    "multiply": "multiply and add",
    "copy": "copy in memory",
    "transfer": "copy from the host",
}


def execute(arguments: argparse.Namespace) -> ExitStatus:
    """Probe the devices, keep and print the figures."""
    wanted = Wanted(
        gpus=arguments.gpus,
        image=arguments.image,
        runtime=RuntimeChoice(arguments.runtime),
        python=Path(arguments.python) if arguments.python is not None else None,
        threads=arguments.threads,
        seconds=arguments.seconds,
    )
    view = ui.choose(result_on_stdout=False)
    try:
        with interruptible():
            found = probe(wanted, view)
    finally:
        view.close()
    if arguments.json:
        print(json.dumps(_document(found), indent=2))
    else:
        _show(found)
    if found.signal_number is not None:
        return ExitStatus(128 + found.signal_number)
    if found.failure is not None:
        Outlet(sys.stderr).line(f"benchdock: {found.failure.message}; see {found.log}")
        return ExitStatus.BENCHMARK_FAILED
    return ExitStatus.OK


def _document(found: Probed) -> dict[str, object]:
    return {
        "schema": 1,
        "failure": found.failure.model_dump(mode="json") if found.failure else None,
        "devices": [one.model_dump(mode="json", by_alias=True) for one in found.devices],
        "notes": list(found.notes),
    }


def _show(found: Probed) -> None:
    for one in found.devices:
        at = [f"{one.power:.0f} W"] if one.power is not None else []
        at += [f"{one.sm_clock:.0f} MHz"] if one.sm_clock is not None else []
        print(f"{one.name}{': mean ' + ', '.join(at) if at else ''}")
        print_table(
            ("what", "number type", "devices", "at most", "median", "how"),
            [_row(ceiling) for ceiling in one.ceilings],
            right=(2, 3, 4),
        )
    for note in found.notes:
        print(f"note: {note}")


def _row(one: Ceiling) -> tuple[str, ...]:
    figures = (quantity(value, one.unit) for value in (one.best, one.median))
    return (_WORDS[one.what], one.dtype or "", str(one.devices), *figures, one.how)
