"""`benchdock data check`: check every record of a dataset."""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict

from orchestrator.data import checking, registry, wanted
from orchestrator.data.checking import Report
from orchestrator.errors import ExitStatus
from orchestrator.signals import interruptible
from orchestrator.ui.bar import Bar
from orchestrator.ui.text import clean
from orchestrator.units import counted


def execute(arguments: argparse.Namespace) -> ExitStatus:
    """Check it and print what is wrong. Raises RequestError, DataError, MachineError."""
    folder = registry.resolve(arguments.folder)
    needs = wanted.named(arguments.model, arguments.framework)
    bar = Bar(sys.stderr, quiet=arguments.quiet or arguments.json)
    try:
        with interruptible():
            report = checking.check(folder, needs, decode=arguments.decode, watcher=bar)
    finally:
        bar.clear()
    if arguments.json:
        print(json.dumps(_document(report), indent=2))
    else:
        _show(report)
    return ExitStatus.BAD_REQUEST if report.faults else ExitStatus.OK


def _document(report: Report) -> dict[str, object]:
    return {
        "schema": 1,
        "folder": str(report.folder),
        "format": report.format,
        "samples": report.samples,
        "classes": report.classes,
        "faults": [asdict(fault) for fault in report.faults],
        "more": report.more,
    }


def _show(report: Report) -> None:
    for fault in report.faults:
        print(clean(str(fault)))
    if report.more:
        print(f"... and more; the first {checking.MOST_FAULTS} are shown")
    if not report.faults:
        held = f"{report.format}, {counted(report.samples, 'sample')}, {report.classes} classes"
        for what, count in sorted(report.unusual.items()):
            held += f", {counted(count, f'{what} image')}"
        print(clean(f"{report.folder}: no fault found ({held})"))
