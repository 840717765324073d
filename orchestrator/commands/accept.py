"""`benchdock accept SERIES --why TEXT`: compare later nights with the last one."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence

from orchestrator.commands.deciding import decide
from orchestrator.errors import ExitStatus, RequestError
from orchestrator.nights import choosing
from orchestrator.nights.choosing import Chosen
from orchestrator.nights.past import counted
from orchestrator.ui.text import clean
from orchestrator.units import SAMPLES_PER_SECOND, quantity


def execute(arguments: argparse.Namespace) -> ExitStatus:
    """Make the last night of some series the first of a new level. Raises BenchdockError."""
    named = [choosing.one(name, arguments.suite) for name in arguments.series]
    for one in named:
        if not counted(one.series):
            raise RequestError(
                f"{one.series.key} measured nothing on {one.night.night}",
                hint="run the night again first",
            )
    chosen = _with_those_of_the_machine(named)
    made = decide("accept", chosen, arguments.why)
    if arguments.json:
        told = [decision.model_dump(mode="json", exclude_none=True) for decision in made]
        print(json.dumps({"schema": 1, "accepted": told}, indent=2))
        return ExitStatus.OK
    for one in chosen:
        print(clean(f"accepted {one.series.key}: {_level(one)} on {one.night.night}"))
    return ExitStatus.OK


def _with_those_of_the_machine(named: Sequence[Chosen]) -> list[Chosen]:
    """Add the series that changed with a control: they changed because the machine did."""
    found = {(one.night.suite, one.series.key): one for one in named}
    for one in named:
        if one.series.control:
            for series in one.night.series:
                if series.cause == "machine" and counted(series):
                    key = (one.night.suite, series.key)
                    found.setdefault(key, Chosen(night=one.night, series=series))
    return list(found.values())


def _level(one: Chosen) -> str:
    judged = one.series.judgement
    if judged.value is None:
        return "the level"
    change = f" ({(judged.change or 0.0) * 100:+.1f} %)"
    return f"the level is {quantity(judged.value, SAMPLES_PER_SECOND)}{change}"
