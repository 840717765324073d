"""`benchdock reproduce CLAIM`: whether a published throughput can be had here."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from orchestrator import ui
from orchestrator.commands.published import describe
from orchestrator.errors import ExitStatus, MachineError, RequestError
from orchestrator.published import claim_file, collection, judgement, preparation
from orchestrator.published.collection import Claim
from orchestrator.published.judgement import FEWEST_RUNS, Outcome
from orchestrator.published.setup import Setup, Wishes
from orchestrator.request import Request, RuntimeChoice
from orchestrator.run import series
from orchestrator.run.series import Series
from orchestrator.signals import interruptible
from orchestrator.ui.plain import SilentView
from orchestrator.ui.tables import print_table
from orchestrator.ui.text import Outlet, clean
from orchestrator.units import SAMPLES_PER_SECOND, quantity, share
from orchestrator.view import View


def execute(arguments: argparse.Namespace) -> ExitStatus:
    """Say what differs, run, judge. Raises RequestError, MachineError."""
    if arguments.runs < FEWEST_RUNS:
        raise RequestError(
            f"{arguments.runs} runs tell too little of how much runs differ",
            hint=f"use --runs {FEWEST_RUNS} or more",
        )
    claim, wishes = _read(arguments)
    setup = preparation.prepare(claim, preparation.look(wishes), wishes)
    if arguments.dry_run:
        if arguments.json:
            print(json.dumps(_document(claim, setup), indent=2))
        else:
            _show_beforehand(claim, setup, _print)
        return ExitStatus.OK
    if setup.request is None:
        raise MachineError(
            f"{claim.id} cannot be reproduced here: {setup.why_not}",
            hint="--dry-run lists every condition that is not met",
        )
    return _reproduce(claim, setup, setup.request, arguments)


def _read(arguments: argparse.Namespace) -> tuple[Claim, Wishes]:
    word = arguments.claim
    own = claim_file.read(Path(word)) if claim_file.is_claim_file(word) else None
    claim = own.claim(Path(word).stem) if own else collection.claim(word)
    wishes = Wishes(
        data=Path(arguments.data) if arguments.data is not None else None,
        source=Path(arguments.source) if arguments.source is not None else None,
        steps=arguments.steps or (own.steps if own else None),
        warmup=arguments.warmup if arguments.warmup is not None else (own.warmup if own else None),
        runtime=RuntimeChoice(arguments.runtime),
        timeout=arguments.timeout,
        options={**(own.options if own else {}), **dict(arguments.option)},
        fingerprint=own.fingerprint if own else None,
    )
    return claim, wishes


def _reproduce(
    claim: Claim, setup: Setup, request: Request, arguments: argparse.Namespace
) -> ExitStatus:
    if not arguments.quiet:
        _show_beforehand(claim, setup, _note)
    with interruptible():
        made = series.measure(request, arguments.runs, lambda: _view(arguments))
    if made.ended:
        _note(f"benchdock: {made.ended}")
    whole = made.status is ExitStatus.OK
    outcome = judgement.judge(claim, setup, made.results) if whole else None
    if arguments.json:
        print(json.dumps(_document(claim, setup, made, outcome), indent=2))
    elif outcome is not None:
        _show(claim, outcome)
    return outcome.exit_status if outcome is not None else made.status


def _view(arguments: argparse.Namespace) -> View:
    """Return the view of one run; --quiet shows the verdict alone."""
    if arguments.quiet:
        return SilentView()
    return ui.choose(verbose=arguments.verbose, result_on_stdout=False)


def _document(
    claim: Claim, setup: Setup, made: Series | None = None, outcome: Outcome | None = None
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


def _show_beforehand(claim: Claim, setup: Setup, say: Callable[[str], None]) -> None:
    say(f"claim: {_subject(claim)}")
    say(f"published: {quantity(claim.throughput, SAMPLES_PER_SECOND)} ({claim.source.publisher})")
    for condition in setup.unmet:
        say(f"not met: {condition.name}")
        say(f"  claimed  {condition.claimed}")
        say(f"  here     {condition.here}")
        say(f"  so       {condition.consequence}: {condition.why}")
    if setup.why_not:
        say(f"nothing can be run here: {setup.why_not}")
    elif not setup.comparable:
        say("whatever is measured, the verdict will be: not comparable")
    else:
        unmet = "every condition is met" if not setup.unmet else "with these conditions unmet"
        say(f"{unmet}: within {share(setup.tolerance)} it counts as reproduced")


def _subject(claim: Claim) -> str:
    devices = f"{claim.gpus} x {claim.gpu or 'GPU'}" if claim.gpus else claim.gpu or "CPU"
    batch = f"batch {claim.batch}" if claim.batch else "batch not stated"
    where = claim.container or (f"version {claim.version}" if claim.version else "")
    parts = (claim.model, claim.phase, claim.precision or "precision not stated", batch, devices)
    return ", ".join((f"{claim.id}: {claim.program} {claim.framework}", *parts, where)).rstrip(", ")


def _show(claim: Claim, outcome: Outcome) -> None:
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
        print("\nconditions that differ, by how much they usually matter:")
        print_table(
            ("condition", "there", "here", "consequence"),
            [(c.name, c.claimed, c.here, c.consequence) for c in outcome.unmet],
        )
    for doubt in outcome.doubts:
        _print(f"doubt: {doubt}")
