"""`benchdock compare A B`: how two results or two groups of runs differ, and possible reasons."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence

from orchestrator.errors import ExitStatus, RequestError, quoted
from orchestrator.results import comparison, telling
from orchestrator.results.comparison import Comparison, Side
from orchestrator.results.lookup import Stored, load
from orchestrator.ui.tables import print_table
from orchestrator.ui.text import clean
from orchestrator.ui.words import subject
from orchestrator.units import counted

_GROUPS = "benchdock compare A... --against B..."


def execute(arguments: argparse.Namespace) -> ExitStatus:
    """Compare stored results. Raises RequestError."""
    a, b = ([load(word) for word in side] for side in _sides(arguments.runs, arguments.against))
    if len(a) > 1 or len(b) > 1:
        _refuse_repeats(a, b)
    sides = [one.result for one in a], [one.result for one in b]
    found = comparison.compare_groups(*sides)
    if arguments.json:
        names = [one.name for one in a], [one.name for one in b]
        print(json.dumps(telling.as_json(found, names, sides), indent=2))
        return ExitStatus.OK
    for name, side in zip(found.names, (a, b), strict=True):
        _show_side(name, side)
    print()
    show(found, *sides)
    return ExitStatus.OK


def _sides(runs: list[str], against: list[str] | None) -> tuple[list[str], list[str]]:
    """Return the runs of both sides. Raises RequestError unless there are two sides."""
    if against:
        return runs, against
    if len(runs) != 2:
        raise RequestError(
            f"compare needs two runs or two groups of runs, not {counted(len(runs), 'run')}",
            hint=f"type `{_GROUPS}`",
        )
    return runs[:1], runs[1:]


def _refuse_repeats(a: Sequence[Stored], b: Sequence[Stored]) -> None:
    """Refuse a run that is given twice, because it would count twice. Raises RequestError."""
    seen: set[str] = set()
    for one in (*a, *b):
        identity = one.result.run or str(one.path.resolve())
        if identity in seen:
            raise RequestError(
                f"the run {quoted(one.name)} is given twice", hint="name each run only once"
            )
        seen.add(identity)


def _show_side(name: str, side: Sequence[Stored]) -> None:
    if len(side) == 1:
        print(clean(f"{name}  {side[0].name}: {subject(side[0].result)}"))
        return
    print(clean(f"{name}  {counted(len(side), 'run')}: {subject(side[0].result)}"))
    for one in side:
        print(clean(f"   {one.name}"))


def show(found: Comparison, a: Side, b: Side) -> None:
    """Print a comparison as text."""
    titles = found.names
    for sentence in telling.sentences(found):
        print(clean(sentence))
    if found.ratio is not None and (rows := telling.metric_rows(a, b)):
        print()
        title = "metric" if found.counts == (1, 1) else "metric (median of the runs)"
        print_table((title, *titles, f"{titles[1]} / {titles[0]}"), rows, right=(1, 2, 3))
    if found.changes:
        print("\ndifferences, most important first:")
        print_table(
            ("group", "what", *titles, "caused by"),
            [(c.group, c.name, c.before, c.after, c.follows or "-") for c in found.changes],
        )
    if found.unrecorded:
        print(f"\nrecorded on only one side: {', '.join(found.unrecorded)}")
    for caveat in found.caveats:
        print(clean(f"note: {caveat}"))
