"""`benchdock plan SUITE`: show what a suite would run on a machine."""

from __future__ import annotations

import argparse
import csv
import io
import itertools
import json
import sys
from functools import lru_cache
from pathlib import Path
from typing import Any

from orchestrator.commands import suite_slurm
from orchestrator.errors import ExitStatus, RequestError
from orchestrator.machine import description
from orchestrator.slurm.arrays import Array
from orchestrator.suites import deciding, expansion, inline, loading, planning
from orchestrator.suites.cells import Settings, shown
from orchestrator.suites.loading import Loaded
from orchestrator.suites.planning import Row, SuitePlan
from orchestrator.ui.tables import print_table
from orchestrator.ui.text import clean
from orchestrator.units import BYTES, SECONDS, counted, quantity

_COLUMNS = ("model", "framework", "phase", "dtype", "batch")
_UNKNOWN = "?"


def execute(arguments: argparse.Namespace) -> ExitStatus:
    """Print the plan. Raises RequestError."""
    loaded = chosen(arguments)
    machine = description.read(Path(arguments.machine)) if arguments.machine else None
    expanded = expansion.expand(loaded, most=arguments.max_runs or expansion.MOST_RUNS)
    cluster = suite_slurm.chosen(arguments)
    if cluster is not None and machine is not None:
        raise RequestError("--machine does not apply to --on slurm", hint="remove --machine")
    local = deciding.MachineDecider(machine, folder=loaded.folder)
    plan = planning.plan(loaded, expanded, cluster.decider() if cluster else local)
    arrays = cluster.arrays(plan) if cluster else []
    if arguments.json:
        told = {"arrays": [one.as_json() for one in arrays]} if cluster else {}
        print(json.dumps({**_document(plan), **told}, indent=2))
    elif arguments.csv:
        _print_csv(plan)
    else:
        if machine is not None:
            print(clean(f"machine: {machine}"))
        _show(plan, "its node" if cluster else "this host")
        _show_arrays(arrays)
    return ExitStatus.OK if plan.rows else ExitStatus.MACHINE_CANNOT


def chosen(arguments: argparse.Namespace) -> Loaded:
    """Return the suite that the command line names. Raises RequestError."""
    axes = dict(arguments.matrix)
    if arguments.framework is not None:
        if "framework" in axes:
            raise RequestError("-f and --matrix framework= are both given", hint="remove one")
        axes["framework"] = arguments.framework
    words = bool(axes or arguments.settings or arguments.repeat)
    if arguments.suite is not None:
        if words:
            raise RequestError(
                "--matrix, -f, --set and --repeat are for a suite without a file",
                hint=f"write them into {arguments.suite}",
            )
        return loading.load(Path(arguments.suite))
    if not axes:
        raise RequestError(
            "there is no suite", hint="name a file, or use --matrix model=A,B -f FRAMEWORK"
        )
    return inline.suite(axes, arguments.settings, repeat=arguments.repeat or 1)


def _settings(settings: Settings) -> list[str]:
    return [str(settings.get(key, "")) for key in _COLUMNS]


def _more(row: Row) -> str:
    """Write the other keys that vary."""
    settings = row.cell.settings
    keys = _others(row.cell.origin.axes)
    return " ".join([f"{key}={shown(settings[key])}" for key in keys if key in settings])


@lru_cache
def _others(axes: tuple[str, ...]) -> tuple[str, ...]:
    """Return the keys that have no column."""
    return tuple(key for key in axes if key not in (*_COLUMNS, "devices", "gpus"))


def _device(row: Row) -> str:
    decided = row.decided
    return "cpu" if decided.device == "cpu" else counted(decided.devices, "GPU")


def _where(row: Row, host: str) -> str:
    need = row.decided.need
    return need.reference if need else host


def _each(row: Row) -> str:
    return _UNKNOWN if row.seconds is None else quantity(row.seconds, SECONDS)


def _show(plan: SuitePlan, host: str = "this host") -> None:
    """Print the plan; `host` is where a run without an image is made."""
    print(clean(_headline(plan)))
    if plan.rows:
        print()
        titles = ("", *_COLUMNS, "devices", "more", "group", "runs", "each", "image")
        lines = [
            (
                str(number), *_settings(row.cell.settings), _device(row), _more(row),
                row.cell.origin.group, str(row.runs), _each(row), _where(row, host),
            )
            for number, row in enumerate(plan.rows, start=1)
        ]  # fmt: skip
        used = [index for index in range(len(titles)) if any(line[index] for line in lines)]
        print_table(
            [titles[index] for index in used],
            [[line[index] for index in used] for line in lines],
            right=[place for place, index in enumerate(used) if titles[index] in ("", "runs")],
        )
    _show_refused(plan)
    _show_excluded(plan)
    _show_images(plan)


def _headline(plan: SuitePlan) -> str:
    words = [f"{len(plan.rows)} series"]
    words.append(counted(plan.runs, "run"))
    if plan.seconds:
        words.append(f"about {quantity(plan.seconds, SECONDS)}")
    if plan.unknown:
        words.append(f"{plan.unknown} series never ran here")
    if plan.merged:
        words.append(f"{plan.merged} equal to another after an override")
    night = plan.loaded.suite.budget.night
    if night is not None:
        words.append(f"budget {quantity(night, SECONDS)}")
    return f"{plan.loaded.suite.name}: {', '.join(words)}"


def _show_refused(plan: SuitePlan) -> None:
    """Print what cannot run, by reason."""
    if not plan.refused:
        return
    reasons: dict[str, list[Row]] = {}
    for row in plan.refused:
        reasons.setdefault(row.decided.why_not, []).append(row)
    print(f"\ncannot run on this machine: {len(plan.refused)}")
    for why, rows in reasons.items():
        print(clean(f"  {why}"))
        for row in rows:
            print(clean(f"    {row.cell.title}"))


def _show_excluded(plan: SuitePlan) -> None:
    if not plan.excluded:
        return
    print(f"\nexcluded by a rule: {len(plan.excluded)}")
    for one in plan.excluded:
        print(clean(f"  {one.title}: {plan.why_excluded(one)}"))


def _show_images(plan: SuitePlan) -> None:
    missing = [need for need in plan.needs() if not need.here]
    if missing:
        print("\nimages to get first, in the order of need")
        for need in missing:
            size = quantity(need.size, BYTES) if need.size else "size unknown"
            print(clean(f"  {need.reference} ({size})"))
    if plan.rows:
        roughly = "at least" if any(need.size is None for need in missing) else "about"
        print(f"\ndisk: {roughly} {quantity(plan.disk, BYTES)}")


def _show_arrays(arrays: list[Array]) -> None:
    """Print the arrays of a cluster; each part waits for the one before."""
    if not arrays:
        return
    print("\narrays, of which each part waits for the one before")
    titles = ("part", "pass", "each run needs", "runs")
    lines = [
        (
            str(one.part + 1), one.what,
            counted(one.gpus, "GPU") if one.gpus else "a whole node, CPU", str(len(one.turns)),
        )
        for one in arrays
    ]  # fmt: skip
    print_table(titles, lines, right=(0, 3))


def _plain(row: Row) -> dict[str, Any]:
    decided, cell = row.decided, row.cell
    return {
        "group": cell.origin.group,
        "tags": list(cell.origin.tags),
        "priority": cell.origin.priority,
        "claim": cell.claim,
        "request": {key: _json(value) for key, value in cell.settings.items()},
        "digest": cell.digest,
        "runs": row.runs,
        "seconds": row.seconds,
        "device": decided.device,
        "devices": decided.devices,
        "image": decided.need.reference if decided.need else None,
        "warnings": list(decided.warnings),
    }


def _json(value: Any) -> Any:
    return str(value) if isinstance(value, Path) else value


def _document(plan: SuitePlan) -> dict[str, Any]:
    return {
        "schema": 1,
        "suite": plan.loaded.suite.name,
        "runs": plan.runs,
        "seconds": plan.seconds,
        "never_ran": plan.unknown,
        "disk": plan.disk,
        "plan": [_plain(row) for row in plan.rows],
        "refused": [
            {**_plain(row), "why": row.decided.refusal, "hint": row.decided.hint}
            for row in plan.refused
        ],
        "excluded": [
            {
                "group": one.origin.group,
                "request": {key: _json(value) for key, value in one.settings.items()},
                "rule": plan.why_excluded(one),
                "why": one.why,
            }
            for one in plan.excluded
        ],
        "images": [vars(need) for need in plan.needs()],
    }


def _print_csv(plan: SuitePlan) -> None:
    write = sys.stdout.write
    write(
        _as_csv("order", *_COLUMNS, "device", "devices", "more", "group", "runs", "seconds",
                "image", "why_not") + "\n"
    )  # fmt: skip
    write("".join(map(_csv_line, itertools.count(1), plan.rows)))
    write("".join(map(_csv_line, itertools.repeat(""), plan.refused)))
    for one in plan.excluded:
        columns = map(one.settings.get, _COLUMNS)
        line = ("", *columns, "", "", "", one.origin.group, 0, "", "", plan.why_excluded(one))
        write(_as_csv(*line) + "\n")


def _csv_line(number: int | str, row: Row) -> str:
    """Return a line; what is None is empty. Parts that most lines share are written once."""
    (settings, _, _, origin, _), decided = row
    columns = _as_csv(*map(settings.get, _COLUMNS))
    need = decided.need
    where = _as_csv(decided.device, decided.devices, _more(row), origin.group, row.runs)
    seconds = "" if decided.seconds is None else decided.seconds
    how = _as_csv(need.reference if need else None, decided.refusal and decided.why_not)
    return f"{number},{columns},{where},{seconds},{how}\n"


@lru_cache(maxsize=100_000)
def _as_csv(*values: Any) -> str:
    """Write values as CSV, without the end of the line."""
    text = io.StringIO()
    csv.writer(text, lineterminator="").writerow(values)
    return text.getvalue()
