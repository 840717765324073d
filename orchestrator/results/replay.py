"""Runs a stored result again, in the same image if it is available.

The run is decided again from the stored request, and never uses the stored script: a bundle may
come from a stranger, and anything unusual in its request needs trust (`run.trust`). If script,
image, network or program then differ, the replay is refused unless changes are allowed, and the new
result lists the differences.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from orchestrator.errors import ExitStatus, ImageError, MachineError
from orchestrator.paths import RunFolder
from orchestrator.plan import Plan
from orchestrator.result import Result
from orchestrator.results import expectation, pinned, source
from orchestrator.results.lookup import Stored
from orchestrator.run import benchmark
from orchestrator.run.decision import Decision, decide
from orchestrator.run.facts import ThisMachine
from orchestrator.run.sharing import EXCLUSIVE, Sharing
from orchestrator.view import View

ALLOW = "--allow-changed"


@dataclass(frozen=True, kw_only=True)
class Replay:
    """A planned replay: `changed` must be allowed, `notes` are differences of the machine.

    `asks` is what must be trusted, because somebody else may have made the result.
    """

    stored: Stored
    decision: Decision
    source: source.Source
    plan: Plan
    changed: tuple[str, ...]
    notes: tuple[str, ...]
    asks: tuple[str, ...] = ()

    def refuse_changes(self) -> None:
        """Raise ImageError or MachineError if this would be a different benchmark."""
        if not self.changed:
            return
        kind = ImageError if self.source.how == "ours" else MachineError
        raise kind(
            f"{self.stored.name} cannot be run again as it was: {'; '.join(self.changed)}",
            hint=f"add {ALLOW} to run what is here instead; the result then says so",
        )


def prepare(stored: Stored) -> Replay:
    """Plan a stored result again without starting or fetching anything.

    Raises RequestError for a result that cannot be run, EngineError if its runtime is not here.
    """
    request, before = pinned.pinned(stored)
    facts = ThisMachine()
    found = source.find(request, before, facts, own=stored.is_own)
    decision = decide(request, facts, image=found.named(before))
    place = source.planned_place(found, before, decision)
    plan = benchmark.plan(decision, place, RunFolder.planned(before.model, before.framework))
    changes = expectation.changes(stored.result, decision, plan, place)
    return Replay(
        stored=stored,
        decision=decision,
        source=found,
        plan=plan,
        asks=pinned.asks_of(stored),
        changed=(
            *((found.why,) if found.how == "ours" else ()),
            *expectation.of_benchmark(changes, decision, place),
        ),
        notes=(
            *map(str, decision.refusals),
            *expectation.of_machine(changes, decision, place),
        ),
    )


def fetch(replay: Replay, view: View, *, allow_changed: bool) -> Replay:
    """Pull the image if necessary.

    Raises ImageError if that fails, unless changes are allowed: then ours is used.
    """
    if replay.source.how != "pull":
        return replay
    registry = replay.source.registry
    view.note(f"the image is not here; pulling {registry}")
    try:
        found = source.pull(replay.source, replay.decision, view)
    except ImageError as error:
        if not allow_changed:
            hint = f"{error.hint}, or use {ALLOW}" if error.hint else f"use {ALLOW}"
            raise ImageError(error.what, hint=hint, details=error.details) from None
        why = f"the image is not available: {error.what}"
        ours = source.Source(how="ours", why=why)
        decision = decide(replay.decision.request, ThisMachine())
        return replace(replay, source=ours, decision=decision, changed=(*replay.changed, why))
    return replace(replay, source=found)


def run(replay: Replay, view: View, share: Sharing = EXCLUSIVE) -> tuple[Result, ExitStatus]:
    """Run it; differences are among the result's warnings. Raises as `benchmark.run` does."""
    said = tuple(f"unlike {replay.stored.name}: {text}" for text in replay.changed + replay.notes)

    return benchmark.run(
        replay.decision.request,
        view,
        decided=replay.decision,
        find_place=source.finder(replay.source, replay.plan, said),
        share=share,
    )
