"""`benchdock replay RUN`: run a stored result again."""

from __future__ import annotations

import argparse
import json
import sys

from orchestrator import ui
from orchestrator.commands import gpu_sharing
from orchestrator.commands.compare import show
from orchestrator.commands.run import show_plan
from orchestrator.errors import ExitStatus
from orchestrator.results import comparison, pinned, replay, telling
from orchestrator.results.lookup import load
from orchestrator.results.replay import Replay
from orchestrator.run import trust
from orchestrator.signals import interruptible
from orchestrator.ui.text import Outlet, clean
from orchestrator.ui.words import subject


def execute(arguments: argparse.Namespace) -> ExitStatus:
    """Run again and compare. Raises RequestError, MachineError, ImageError or EngineError."""
    stored = load(arguments.run)
    if not (arguments.dry_run or arguments.trust):
        pinned.refuse_untrusted(stored, arguments.run)
    prepared = replay.prepare(stored)
    if arguments.dry_run:
        _show_plan(prepared, as_json=arguments.json)
        return ExitStatus.OK
    if not arguments.allow_changed:
        prepared.refuse_changes()
    view = ui.choose(
        quiet=arguments.quiet, verbose=arguments.verbose, result_on_stdout=not arguments.json
    )
    try:
        with interruptible():
            prepared = replay.fetch(prepared, view, allow_changed=arguments.allow_changed)
            for text in prepared.changed:
                view.note(f"changed: {text}")
            result, status = replay.run(prepared, view, gpu_sharing.chosen(arguments))
    finally:
        view.close()
    before = prepared.stored
    found = comparison.compare(before.result, result, names=("before", "now"))
    if arguments.json:
        names, sides = ((before.name,), (result.run or "",)), ((before.result,), (result,))
        document = {
            "schema": 1,
            "changed": list(prepared.changed),
            "result": result.model_dump(mode="json", by_alias=True),
            "comparison": telling.as_json(found, names, sides),
        }
        print(json.dumps(document, indent=2))
    elif result.failure is None:
        print()
        show(found, (before.result,), (result,))
    if result.failure is not None:
        Outlet(sys.stderr).line(f"benchdock: {result.failure.message}")
    return status


def _show_plan(prepared: Replay, *, as_json: bool) -> None:
    source = prepared.source
    if as_json:
        document = {
            "schema": 1,
            "replay_of": prepared.stored.name,
            "source": source.how,
            "needs_trust": list(prepared.asks),
            "changed": list(prepared.changed),
            "notes": list(prepared.notes),
            "plan": prepared.plan.model_dump(mode="json", by_alias=True),
        }
        print(json.dumps(document, indent=2))
        return
    place = {
        "exact": "in the same image, which is here",
        "pull": f"in the same image, pulled as {source.registry}",
        "ours": "in today's image",
        "host": "on this host",
        "program": f"in an image of {prepared.plan.runtime}",
    }[source.how]
    print(clean(f"{prepared.stored.name}: {subject(prepared.stored.result)}"))
    print(f"would run {place}")
    for text in prepared.asks:
        print(clean(f"it would {text} (needs {trust.OPTION})"))
    for text in prepared.changed:
        print(clean(f"changed: {text} (needs {replay.ALLOW})"))
    for text in prepared.notes:
        print(clean(f"note: {text}"))
    print()
    show_plan(prepared.plan)
