"""`benchdock mute`: judge a series, but do not report it."""

from __future__ import annotations

import argparse
import json
from datetime import date

from orchestrator.commands.deciding import decide
from orchestrator.errors import ExitStatus, RequestError
from orchestrator.nights import choosing
from orchestrator.ui.text import clean


def execute(arguments: argparse.Namespace) -> ExitStatus:
    """Mute some series until a day. Raises BenchdockError."""
    until: date = arguments.until
    if until < date.today():
        raise RequestError(f"--until {until} is in the past", hint="use today or a later day")
    chosen = [choosing.one(name, arguments.suite) for name in arguments.series]
    made = decide("mute", chosen, arguments.why, until=until)
    if arguments.json:
        told = [decision.model_dump(mode="json", exclude_none=True) for decision in made]
        print(json.dumps({"schema": 1, "muted": told}, indent=2))
        return ExitStatus.OK
    for one in chosen:
        print(clean(f"muted {one.series.key} until {until}; it still runs and is judged"))
    return ExitStatus.OK
