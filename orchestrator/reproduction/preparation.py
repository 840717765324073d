"""Decides what to run for a claim on this machine, and which of its conditions stay unmet.

Everything but `look` is a pure function, so a claim can be judged for any machine.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator
from typing import cast

from orchestrator.errors import BenchdockError
from orchestrator.frameworks import catalogue
from orchestrator.frameworks.record import Framework
from orchestrator.published import claim_rules
from orchestrator.published.claim_rules import OWN, Launcher, Rules
from orchestrator.published.collection import Claim
from orchestrator.reproduction import provenance, surroundings
from orchestrator.reproduction.conditions import Terms
from orchestrator.reproduction.setup import Condition, Setup, Wishes, incomparable, ranked
from orchestrator.request import Device, Dtype, Request, RuntimeChoice
from orchestrator.run import trust
from orchestrator.run.decision import decide
from orchestrator.run.facts import DecisionFacts, ThisMachine

_MONTH = re.compile(r":(\d\d)\.(\d\d)\b", re.ASCII)


def here(wishes: Wishes) -> ThisMachine:
    """Return this machine, without its engine if the user wants none."""
    on_host = wishes.runtime is RuntimeChoice.HOST
    return ThisMachine(no_engine="--runtime host was given" if on_host else "")


def prepare(
    claim: Claim, facts: DecisionFacts, wishes: Wishes | None = None, rules: Rules | None = None
) -> Setup:
    """Decide what to run for a claim, and which of its conditions stay unmet."""
    wishes, rules = wishes or Wishes(), rules or claim_rules.load()
    unmet = [*surroundings.hardware(claim, facts)]
    launcher, framework, problem = _program(claim, rules, wishes, unmet)
    if framework is None or launcher is None:
        return Setup(planned=None, why_not=problem, unmet=ranked(unmet))
    device: Device = "gpu" if claim.gpus else "cpu"
    framework = surroundings.with_image(claim, facts, framework)
    terms = Terms(
        claim=_in_full(claim, rules),
        launcher=launcher,
        framework=framework,
        wishes=wishes,
        rules=rules,
    )
    request = Request(
        model=claim.model,
        framework=framework.name,
        phase=claim.phase,
        dtype=_dtype(claim, unmet),
        batch=_batch(claim, wishes, unmet),
        gpus=surroundings.gpus(claim, facts, framework, unmet),
        steps=wishes.steps,
        warmup=wishes.warmup,
        data=wishes.data,
        image=surroundings.container(claim, facts, wishes, framework, device, unmet),
        runtime=wishes.runtime,
        timeout=wishes.timeout,
        options=terms.options(),
        source=wishes.source if framework.vendor and framework.vendor.source_help else None,
    )
    unmet += terms.unmet()
    unmet += _network(claim, framework, wishes)
    if launcher.program == claim.program and not problem:
        unmet += provenance.compare(claim, request.source)
    lacking = problem or _no_batch(request) or _no_image(framework, request, device)
    why = lacking or _refused(request, facts)
    return Setup(planned=request, why_not=why, unmet=ranked(unmet), lacks_option=bool(lacking))


def asks_of(planned: Request, wishes: Wishes) -> tuple[str, ...]:
    """Return what a claim from a file would do here that needs trust.

    Options of the command line come from the user and need no trust, nor do folders and runtime.
    """
    claimed = {name: text for name, text in wishes.claimed.items() if name not in wishes.options}
    theirs = {"data": None, "source": None, "runtime": RuntimeChoice.AUTO, "options": claimed}
    if wishes.image is not None:
        theirs["image"] = None
    return trust.asks(planned.model_copy(update=theirs))


def _in_full(claim: Claim, rules: Rules) -> Claim:
    """Return a claim with what its program always does, so that a replacement does it too."""
    theirs, _ = rules.launcher(claim.program, claim.framework) or (None, None)
    always = theirs.always if theirs else ()
    return dataclasses.replace(claim, conditions=tuple(dict.fromkeys((*claim.conditions, *always))))


def _too_old(claim: Claim, launcher: Launcher, wishes: Wishes) -> str:
    """Say why the launcher does not support code as old as the claim's or the folder's, or ""."""
    if not launcher.since:
        return ""
    of_claim = (
        ("the claim's code", claim.code.date if claim.code else None),
        ("the claim's container", _month(claim)),
        ("the claim", claim.source.date),
    )
    given = provenance.date_of(wishes.source) if wishes.source else None
    older_too = launcher.claims_of_older
    for what, date in (*(() if older_too else of_claim), ("the code in --source", given)):
        # A month or a year counts as older only if all of it is.
        if date and date < launcher.since[: len(date)]:
            return (
                f"{what} is of {date}, but benchdock runs {claim.program} of {launcher.since} "
                f"or later: before, {launcher.since_why}"
            )
    return ""


def _month(claim: Claim) -> str | None:
    found = _MONTH.search(claim.container or "")
    return f"20{found[1]}-{found[2]}" if found and claim.code is None else None


def _no_batch(request: Request) -> str:
    if request.batch is None:
        return "the claim does not state its batch: use --batch N"
    return ""


def _program(
    claim: Claim, rules: Rules, wishes: Wishes, unmet: list[Condition]
) -> tuple[Launcher | None, Framework | None, str]:
    """Return what runs the claim, its terms, and why it cannot run or there is nothing.

    Raises RequestError for a claim of our own program about something that is not in the catalogue.
    """
    if claim.program == OWN:
        catalogue.framework(claim.framework)
        catalogue.draw(claim.model)
    launcher, framework = rules.launcher(claim.program, claim.framework) or (None, None)
    why = _why_not_theirs(claim, framework)
    if launcher is not None and framework is not None and not why:
        if problem := _too_old(claim, launcher, wishes):
            return None, None, problem
        why = _not_given(claim, framework, wishes)
        if not why:
            unmet += _written_network(claim, framework, rules, wishes)
            return launcher, framework, ""
    stand_in, ours = rules.launcher(OWN, claim.framework) or (None, None)
    same = rules.same_network(claim.model, claim.program, claim.framework)
    if stand_in is not None and ours is not None and same and catalogue.has(ours, claim.model):
        unmet.append(
            Condition(
                name="program",
                claimed=claim.program,
                here=f"our own program of {claim.framework}",
                effect="looser",
                why=f"{why}, but the network is the same: {same}",
            )
        )
        return stand_in, ours, ""
    if launcher is not None and framework is not None and catalogue.has(framework, claim.model):
        return launcher, framework, why
    return None, None, _nothing_runs(claim, why, framework, same, unmet)


def _written_network(
    claim: Claim, framework: Framework, rules: Rules, wishes: Wishes
) -> Iterator[Condition]:
    """Yield the doubt about a program that reads its network from a file: theirs is different."""
    given = claim.program == OWN or framework.networks is not None or "prototxt" in wishes.options
    if given or rules.same_network(claim.model, claim.program, claim.framework):
        return
    known = claim.network or f"the {claim.model} of their file"
    why = (
        "only the same network is comparable: use --source DIR --option prototxt=FILE to get theirs"
    )
    yield incomparable("network", known, "the zoo's", why)


def _why_not_theirs(claim: Claim, framework: Framework | None) -> str:
    """Say why nothing here runs the claim's program, or ""."""
    if framework is None:
        return f"benchdock has no launcher for {claim.program} yet"
    if not catalogue.has(framework, claim.model):
        return f"{framework.name} has no network {claim.model} here"
    return ""


def _not_given(claim: Claim, framework: Framework, wishes: Wishes) -> str:
    """Say that the folder of the claim's program is missing, or ""."""
    vendor, device = framework.vendor, "gpu" if claim.gpus else "cpu"
    if vendor is None or not vendor.source_help or wishes.source is not None:
        return ""
    return "" if device in vendor.holds else f"{claim.program} needs --source: {vendor.source_help}"


def _nothing_runs(
    claim: Claim, why: str, framework: Framework | None, same: str, unmet: list[Condition]
) -> str:
    if framework is not None:
        known = claim.network or claim.model
        unmet.append(incomparable("network", known, "none of that name", why))
        return why
    unmet.append(incomparable("program", claim.program, "not available", why))
    if same:
        return f"{why}; the network is ours too ({same}), but {claim.framework} cannot run it here"
    known = claim.network or f"the layers of {claim.program}'s {claim.model} are unknown"
    only = "only the same network, layer by layer, may replace that of another program"
    unmet.append(incomparable("network", known, "the zoo's", only))
    return f"{why}, and it is not comparable with our own network: {known}"


def _network(claim: Claim, framework: Framework, wishes: Wishes) -> Iterator[Condition]:
    here = catalogue.fingerprint(framework, claim.model) or f"the one of {framework.name}"
    if wishes.fingerprint and wishes.fingerprint != here:
        yield incomparable("network", wishes.fingerprint, here, "another definition of the network")


def _dtype(claim: Claim, unmet: list[Condition]) -> Dtype:
    if claim.precision is None:
        unmet.append(
            incomparable("precision", "not stated", "float32", "it decides what is computed")
        )
        return "float32"
    return cast(Dtype, claim.precision)  # pydantic refuses an invalid one


def _batch(claim: Claim, wishes: Wishes, unmet: list[Condition]) -> int | None:
    """Return the batch per device, which only the claim or the user decides."""
    chosen = wishes.batch or claim.batch
    if claim.batch is None or chosen != claim.batch:
        claimed = "not stated" if claim.batch is None else str(claim.batch)
        here = "unknown (use --batch)" if chosen is None else f"{chosen} (--batch)"
        why = "a larger batch is faster, by several times over the range that programs use"
        unmet.append(incomparable("batch", claimed, here, why))
    return chosen


def _no_image(framework: Framework, request: Request, device: Device) -> str:
    if request.image is None and device not in framework.images:
        return f"{framework.name} has no image for the {device.upper()} here: use --image REF"
    return ""


def _refused(request: Request, facts: DecisionFacts) -> str:
    """Say why this machine does not run a request, or ""."""
    try:
        decision = decide(request, facts)
    except BenchdockError as error:
        return str(error)
    return next((refusal.what for refusal in decision.refusals), "")
