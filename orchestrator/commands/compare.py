"""`benchdock compare A B`: how two results differ, and what could be why."""

from __future__ import annotations

import argparse
import json

from orchestrator.errors import ExitStatus
from orchestrator.result import Result
from orchestrator.stored import comparison
from orchestrator.stored.comparison import Comparison, metric_rows, sentences
from orchestrator.stored.lookup import load
from orchestrator.ui.tables import print_table
from orchestrator.ui.text import clean
from orchestrator.ui.words import subject


def execute(arguments: argparse.Namespace) -> ExitStatus:
    """Compare two stored results. Raises RequestError."""
    a, b = load(arguments.a), load(arguments.b)
    found = comparison.compare(a.result, b.result)
    if arguments.json:
        names, results = (a.name, b.name), (a.result, b.result)
        print(json.dumps(comparison.as_json(found, names, results), indent=2))
        return ExitStatus.OK
    for side, stored in (("a", a), ("b", b)):
        print(clean(f"{side}  {stored.name}: {subject(stored.result)}"))
    print()
    show(found, a.result, b.result)
    return ExitStatus.OK


def show(found: Comparison, a: Result, b: Result) -> None:
    """Print a comparison for a person."""
    titles = found.names
    for sentence in sentences(found):
        print(clean(sentence))
    if found.ratio is not None and (rows := metric_rows(a, b)):
        print()
        print_table(("metric", *titles, f"{titles[1]} / {titles[0]}"), rows, right=(1, 2, 3))
    if found.changes:
        print("\nwhat differs, by importance:")
        print_table(
            ("group", "what", *titles, "follows from"),
            [(c.group, c.name, c.before, c.after, c.follows or "-") for c in found.changes],
        )
    if found.unrecorded:
        print(f"\nrecorded on one side alone: {', '.join(found.unrecorded)}")
    for caveat in found.caveats:
        print(clean(f"note: {caveat}"))
