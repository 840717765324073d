"""The command `parity` with `--data`: every framework must read the same labels and pixels."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict

from orchestrator import ui
from orchestrator.data import registry, wanted
from orchestrator.errors import ExitStatus, Interrupted, RequestError
from orchestrator.parity import readers
from orchestrator.parity.comparisons import Setting
from orchestrator.parity.readers import Chosen, Row
from orchestrator.signals import interruptible
from orchestrator.ui.tables import print_table
from orchestrator.ui.text import Outlet

_SHOWN = 16  # characters of a digest


def execute(arguments: argparse.Namespace, setting: Setting) -> ExitStatus:
    """Let frameworks read; return 0 only if all read what Pillow does. Raises RequestError."""
    _check(arguments)
    folders = [registry.resolve(text).absolute() for text in arguments.data]
    chosen = readers.choose(
        tuple(dict.fromkeys(arguments.framework)), arguments.models, tuple(dict.fromkeys(folders))
    )
    rows, interrupted = _read(chosen, setting)
    if arguments.json:
        print(json.dumps({"schema": 1, "rows": [_document(row) for row in rows]}, indent=2))
    else:
        _show(rows, chosen)
    if interrupted is not None:
        Outlet(sys.stderr).line(f"benchdock: {interrupted}")
        return interrupted.exit_status
    return ExitStatus.OK if _holds(rows, chosen) else ExitStatus.BENCHMARK_FAILED


def _check(arguments: argparse.Namespace) -> None:
    """Refuse what has no effect on reading, or would be ambiguous. Raises RequestError."""
    options = {
        "--level": arguments.level,
        "--ranks": arguments.ranks,
        "--dtype": arguments.dtype != "float32",
        "--option": arguments.option,
    }
    for option, given in options.items():
        if given:
            raise RequestError(
                f"{option} has no effect on what is read", hint=f"remove {option} or --data"
            )
    for option, given in {"--image": arguments.image, "--python": arguments.python}.items():
        if given and len(set(arguments.framework)) != 1:
            raise RequestError(f"{option} needs exactly one framework", hint="add -f FRAMEWORK")


def _read(chosen: Chosen, setting: Setting) -> tuple[list[Row], Interrupted | None]:
    view = ui.choose(result_on_stdout=False)
    rows: list[Row] = []
    try:
        with interruptible():
            expected = readers.expected(chosen)
            for one in chosen.readings:
                row = readers.read(one, chosen.model, expected[one.folder], setting, view)
                rows.append(row)
                if row.signal_number is not None:
                    return rows, Interrupted(row.signal_number)
    finally:
        view.close()
    return rows, None


def _holds(rows: Sequence[Row], chosen: Chosen) -> bool:
    return len(rows) == len(chosen.readings) and all(row.holds for row in rows) and _same(rows)


def _same(rows: Sequence[Row]) -> bool:
    """Whether all datasets hold the same first samples."""
    return len({row.expected for row in rows}) <= 1


def _document(row: Row) -> dict[str, object]:
    return {
        "framework": row.reading.framework.name,
        "folder": str(row.reading.folder),
        "holds": row.holds,
        "expected": asdict(row.expected),
        "read": row.cell.model_dump(exclude={"event"}) if row.cell is not None else None,
        "why": row.why,
    }


def _show(rows: Sequence[Row], chosen: Chosen) -> None:
    """Print a line per reader, Pillow's first, and then what is wrong."""
    table = list(_lines(rows))
    print_table(("reader", "format", "filter", "workers", "labels", "pixels", ""), table)
    for row in rows:
        if row.cell is None:
            print(f"\n{row.reading.framework.name} did not read {row.reading.folder}: {row.why}")
    for name, native in chosen.missing:
        print(f"\n{name} reads {wanted.TITLES[native]}: {readers.conversion(native)}")
    if not _same(rows):
        print("\nthe datasets differ: their first samples are not the same")
    held = sum(row.holds for row in rows)
    samples = rows[0].expected.samples if rows else 0
    print(
        f"\n{held} of {len(rows)} readers read what Pillow reads: the first {samples} samples, "
        f"cropped to {chosen.side} x {chosen.side}"
    )


def _lines(rows: Sequence[Row]) -> Iterator[tuple[str, ...]]:
    seen = set()
    for row in rows:
        kind = row.reading.kind
        if row.reading.folder not in seen:
            seen.add(row.reading.folder)
            told = row.expected
            yield "Pillow", kind, "", "", told.labels[:_SHOWN], told.pixels[:_SHOWN], ""
        name, cell = row.reading.framework.name, row.cell
        if cell is None:
            yield name, kind, "", "", "-", "-", "NOT READ"
            continue
        judged = "equal" if row.holds else "DIFFERS"
        digests = cell.labels[:_SHOWN], cell.pixels[:_SHOWN]
        yield name, cell.format, cell.filter, str(cell.workers), *digests, judged
