"""`benchdock reproduce CLAIM`: run a published benchmark and judge the result."""

from __future__ import annotations

import argparse
import json
import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from orchestrator import ui
from orchestrator.commands import gpu_sharing
from orchestrator.commands.published import describe
from orchestrator.data import registry
from orchestrator.errors import ExitStatus, MachineError, RequestError
from orchestrator.published import claim_file, collection
from orchestrator.published.collection import Claim
from orchestrator.reproduction import claim_verdict, outline, preparation
from orchestrator.reproduction.claim_verdict import FEWEST_RUNS, ClaimVerdict
from orchestrator.reproduction.outline import Outline
from orchestrator.reproduction.setup import Setup, Wishes
from orchestrator.request import Request, RuntimeChoice
from orchestrator.run import checks, series, trust
from orchestrator.run.series import Series
from orchestrator.signals import interruptible
from orchestrator.ui.plain import SilentView
from orchestrator.ui.tables import print_table
from orchestrator.ui.text import Outlet, clean
from orchestrator.units import SAMPLES_PER_SECOND, quantity, share
from orchestrator.view import View


def execute(arguments: argparse.Namespace) -> ExitStatus:
    """Print the differences, run, judge. Raises RequestError, MachineError."""
    if arguments.runs < FEWEST_RUNS:
        raise RequestError(
            f"{arguments.runs} runs are too few to see how much runs vary",
            hint=f"use --runs {FEWEST_RUNS} or more",
        )
    claim, wishes = _read(arguments)
    _check_folders(wishes)
    facts = preparation.here(wishes)
    setup = preparation.prepare(claim, facts, wishes)
    of_file = claim_file.is_claim_file(arguments.claim)
    asks = preparation.asks_of(setup.planned, wishes) if of_file and setup.planned else ()
    if arguments.dry_run:
        drawn = outline.draw(claim, setup.planned, facts) if setup.planned else None
        if arguments.json:
            plan = drawn.as_json() if drawn else None
            more = {"needs_trust": list(asks), "plan": plan}
            print(json.dumps(_document(claim, setup) | more, indent=2))
        else:
            _show_claim(claim, _print)
            _show_outline(drawn, _print)
            for text in asks:
                _print(f"it would {text} (needs {trust.OPTION})")
            _show_conditions(setup, _print)
        return ExitStatus.OK
    if setup.request is None:
        kind = RequestError if setup.lacks_option else MachineError
        raise kind(
            f"{claim.id} cannot be reproduced here: {setup.why_not}",
            hint="--dry-run shows the run and all unmet conditions",
        )
    if asks and not arguments.trust:
        see = f"benchdock reproduce {shlex.quote(arguments.claim)} --dry-run"
        raise trust.refusal(claim.id, asks, see=see)
    return _reproduce(claim, setup, setup.request, arguments)


def _read(arguments: argparse.Namespace) -> tuple[Claim, Wishes]:
    word = arguments.claim
    own = claim_file.read(Path(word)) if claim_file.is_claim_file(word) else None
    claim = own.claim(Path(word).stem) if own else collection.claim(word)
    wishes = Wishes(
        data=registry.resolve(arguments.data) if arguments.data is not None else None,
        batch=arguments.batch,
        image=arguments.image,
        source=Path(arguments.source) if arguments.source is not None else None,
        steps=arguments.steps or (own.steps if own else None),
        warmup=arguments.warmup if arguments.warmup is not None else (own.warmup if own else None),
        runtime=RuntimeChoice(arguments.runtime),
        timeout=arguments.timeout,
        claimed=own.options if own else {},
        options=dict(arguments.option),
        fingerprint=own.fingerprint if own else None,
    )
    return claim, wishes


def _check_folders(wishes: Wishes) -> None:
    """Refuse folders that do not exist. Raises RequestError, DataError."""
    if wishes.source is not None and not wishes.source.is_dir():
        raise RequestError(
            f"--source {wishes.source} is not a folder",
            hint="use --source with the program's folder",
        )
    if wishes.data is not None:
        checks.check_dataset(wishes.data)


def _reproduce(
    claim: Claim, setup: Setup, request: Request, arguments: argparse.Namespace
) -> ExitStatus:
    if not arguments.quiet:
        _show_claim(claim, _note)
        _show_conditions(setup, _note)
    with interruptible():
        sharing = gpu_sharing.chosen(arguments)
        run = series.in_views(lambda: _view(arguments), sharing)
        made = series.measure(request, arguments.runs, run)
    if made.ended:
        _note(f"benchdock: {made.ended}")
    whole = made.status is ExitStatus.OK
    outcome = claim_verdict.verdict_on(claim, setup, made.results) if whole else None
    if arguments.json:
        print(json.dumps(_document(claim, setup, made, outcome), indent=2))
    elif outcome is not None:
        _show(claim, outcome)
    return outcome.exit_status if outcome is not None else made.status


def _view(arguments: argparse.Namespace) -> View:
    """Return the view of one run; --quiet shows only the verdict."""
    if arguments.quiet:
        return SilentView()
    return ui.choose(verbose=arguments.verbose, result_on_stdout=False)


def _document(
    claim: Claim, setup: Setup, made: Series | None = None, outcome: ClaimVerdict | None = None
) -> dict[str, Any]:
    failure = made.failure if made else None
    return {
        "schema": 1,
        "claim": describe(claim),
        "setup": setup.as_json(),
        "runs": [result.run for result in made.results] if made else [],
        "failure": failure.model_dump(mode="json") if failure else None,
        **(outcome.as_json() if outcome else {}),
    }


def _print(text: str) -> None:
    print(clean(text))


def _note(text: str) -> None:
    Outlet(sys.stderr).line(text)


def _show_claim(claim: Claim, say: Callable[[str], None]) -> None:
    say(f"claim: {_subject(claim)}")
    say(f"published: {quantity(claim.throughput, SAMPLES_PER_SECOND)} ({claim.source.publisher})")
    say(f"states: {' '.join(claim.conditions) or 'no further conditions'}")
    if claim.code is not None:
        say(f"code: {claim.code}, folder {claim.code.folder}")


def _show_outline(drawn: Outline | None, say: Callable[[str], None]) -> None:
    if drawn is None:
        return
    say("would run:")
    for name, value in drawn.lines():
        say(f"  {name:<9} {value}")
    for line in drawn.command.splitlines():
        say(f"  | {line}" if line else "  |")


def _show_conditions(setup: Setup, say: Callable[[str], None]) -> None:
    for condition in setup.unmet:
        say(f"not met: {condition.name}")
        say(f"  claimed  {condition.claimed}")
        say(f"  here     {condition.here}")
        say(f"  so       {condition.consequence}: {condition.why}")
    if setup.why_not:
        say(f"cannot run here: {setup.why_not}")
    elif not setup.comparable:
        say("the verdict will be: not comparable, whatever the measurement")
    else:
        unmet = "all conditions are met" if not setup.unmet else "with these unmet conditions"
        say(f"{unmet}: within {share(setup.tolerance)} the result counts as reproduced")


def _subject(claim: Claim) -> str:
    devices = f"{claim.gpus} x {claim.gpu or 'GPU'}" if claim.gpus else claim.gpu or "CPU"
    batch = f"batch {claim.batch}" if claim.batch else "batch not stated"
    where = claim.container or (f"version {claim.version}" if claim.version else "")
    parts = (claim.model, claim.phase, claim.precision or "precision not stated", batch, devices)
    return ", ".join((f"{claim.id}: {claim.program} {claim.framework}", *parts, where)).rstrip(", ")


def _show(claim: Claim, outcome: ClaimVerdict) -> None:
    measured = outcome.measured
    high = quantity(measured.high, SAMPLES_PER_SECOND) if measured.high else "no upper bound"
    low = quantity(measured.low, SAMPLES_PER_SECOND)
    print(f"\nverdict    {outcome.verdict} (tolerance {share(outcome.tolerance)})")
    print(
        f"measured   {quantity(measured.throughput, SAMPLES_PER_SECOND)} "
        f"(95 % interval {low} to {high}, {len(measured.runs)} runs)"
    )
    print(f"published  {quantity(claim.throughput, SAMPLES_PER_SECOND)}")
    print(f"ratio      {outcome.ratio:.3f}")
    if outcome.unmet:
        print("\nunmet conditions, most important first:")
        print_table(
            ("condition", "there", "here", "consequence"),
            [(c.name, c.claimed, c.here, c.consequence) for c in outcome.unmet],
        )
    for doubt in outcome.doubts:
        _print(f"doubt: {doubt}")
