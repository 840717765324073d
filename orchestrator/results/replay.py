"""Runs a stored result again, in the same image if it is available.

The run is planned again from the stored request, and never uses the stored script: a bundle may
come from a stranger, and anything unusual in its request needs trust (`run.trust`). If script,
image, network or program then differ, the replay is refused unless changes are allowed, and the new
result lists the differences.
"""

from __future__ import annotations

import dataclasses
import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from orchestrator.errors import ExitStatus, ImageError, MachineError, RequestError
from orchestrator.frameworks import catalogue
from orchestrator.frameworks.record import Framework
from orchestrator.images import builder, image_table, store
from orchestrator.machine.facts import MachineFacts
from orchestrator.machine.gpu_facts import GpuReport
from orchestrator.paths import RunFolder
from orchestrator.plan import Plan
from orchestrator.records import first_mistake
from orchestrator.request import Request, RuntimeChoice
from orchestrator.result import Environment, Result
from orchestrator.results.differences import Change, differences
from orchestrator.results.lookup import Stored
from orchestrator.results.source import Source, find_image
from orchestrator.run import benchmark, fitting, places, suitability, trust
from orchestrator.run.command_line import placeholders
from orchestrator.run.planner import (
    Place,
    Target,
    gpu_report,
    make_plan,
    planned_device,
    resolve,
)
from orchestrator.runtimes.contract import Runtime
from orchestrator.version import VERSION
from orchestrator.view import View

if TYPE_CHECKING:
    from orchestrator.runtimes.docker.client import Engine

ALLOW = "--allow-changed"

# Changes that make it another benchmark, not the same one on another day or machine.
_IDENTITY = ("network", "work", "program", "image")
_CODE = ("benchdock", "benchdock commit")


@dataclass(frozen=True, kw_only=True)
class Replay:
    """A planned replay: `changed` must be allowed, `notes` are differences of the machine.

    `asks` is what must be trusted, because somebody else may have made the result.
    """

    stored: Stored
    request: Request
    source: Source
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


def asks_of(stored: Stored) -> tuple[str, ...]:
    """Return what a foreign result would do here that needs trust; nothing for own runs.

    Raises RequestError for a result that cannot be run.
    """
    request, plan = pinned(stored)
    if stored.is_own:
        return ()
    return trust.asks(request, image=plan.image, digest=plan.image_digest)


def refuse_untrusted(stored: Stored, word: str) -> None:
    """Raise RequestError for what was not trusted; `word` is how the user named the result."""
    if found := asks_of(stored):
        raise trust.refusal(
            stored.name, found, see=f"benchdock replay {shlex.quote(word)} --dry-run"
        )


def prepare(stored: Stored) -> Replay:
    """Plan a stored result again without starting or fetching anything.

    Raises RequestError for a result that cannot be run, EngineError if its runtime is not here.
    """
    request, plan = pinned(stored)
    report = gpu_report(request)
    target, warnings = planned_device(request, report)
    row = resolve(request, target)
    engine, reason = places.connect(request)
    source = Source(how="host") if engine is None else find_image(plan, engine, own=stored.is_own)
    if source.how in ("host", "ours"):
        row = fitting.with_image(request, row, target, report, on_host=engine is None)
    place = _planned_place(request, row, target, source, plan, engine, reason)
    planned = make_plan(request, row, target, place, RunFolder.planned(plan.model, row.name))
    opinion = suitability.assess(
        request, row, target, report, in_container=engine is not None, image=planned.image
    )
    changes = differences(stored.result, _expected(stored.result, request, planned, place, report))
    identity = _identity(row, place)
    changed = tuple(_said(change) for change in changes if _matters(change, identity))
    return Replay(
        stored=stored,
        request=request,
        source=source,
        plan=planned,
        asks=asks_of(stored),
        changed=((source.why,) if source.how == "ours" else ()) + changed,
        notes=(
            *warnings,
            *((opinion.refusal,) if opinion.refusal else ()),
            *(_said(c) for c in changes if not c.follows and not _matters(c, identity)),
        ),
    )


def pinned(stored: Stored) -> tuple[Request, Plan]:
    """Return the request with what benchdock chose at that time, and the resulting plan."""
    asked, plan = stored.result.request, stored.result.plan
    if asked is None or plan is None:
        raise RequestError(
            f"{stored.name} cannot be run again: it has no request or no plan",
            hint="use a result of `benchdock run`",
        )
    if asked.model_file is not None:
        catalogue.checked_name(asked.model)
    threads = stored.result.program.threads
    counts = ("batch", "steps", "warmup")
    used = counts if asked.command is None else placeholders(asked.command).intersection(counts)
    chosen: dict[str, Any] = {
        **{name: getattr(plan, name) for name in used},
        "runtime": RuntimeChoice(plan.runtime),
        "threads": asked.threads or (threads if isinstance(threads, int) else None),
    }
    if plan.device == "cpu":
        chosen["gpus"] = "none"
    elif asked.gpus in (None, "all"):
        chosen["gpus"] = tuple(range(plan.device_count))
    try:
        return Request.model_validate({**asked.model_dump(by_alias=True), **chosen}), plan
    except ValidationError as error:
        raise RequestError(f"{stored.name} cannot be run again: {first_mistake(error)}") from None


def fetch(replay: Replay, view: View, *, allow_changed: bool) -> Replay:
    """Pull the image if necessary.

    Raises ImageError if that fails, unless changes are allowed: then ours is used.
    """
    if replay.source.how != "pull":
        return replay
    engine, _ = places.connect(replay.request)
    assert engine is not None  # or it would have been decided to run on the host
    registry = replay.source.registry
    view.note(f"the image is not here; pulling {registry}")
    try:
        found = builder.pull(registry, engine, lambda event: view.stage(event.text))
    except ImageError as error:
        if not allow_changed:
            hint = f"{error.hint}, or use {ALLOW}" if error.hint else f"use {ALLOW}"
            raise ImageError(error.what, hint=hint, details=error.details) from None
        why = f"the image is not available: {error.what}"
        source = Source(how="ours", why=why)
        return dataclasses.replace(replay, source=source, changed=(*replay.changed, why))
    return dataclasses.replace(replay, source=Source(how="exact", image=found, registry=registry))


def run(replay: Replay, view: View) -> tuple[Result, ExitStatus]:
    """Run it; differences are among the result's warnings. Raises as `benchmark.run` does."""
    said = tuple(f"unlike {replay.stored.name}: {text}" for text in replay.changed + replay.notes)

    def find_place(
        request: Request,
        row: Framework,
        target: Target,
        engine: Engine | None,
        reason: str,
        view: View,
    ) -> tuple[Place, Runtime]:
        found = replay.source.image
        if engine is None or found is None:
            report = gpu_report(request)
            row = fitting.with_image(request, row, target, report, on_host=engine is None)
            place, runtime = places.ready_place(request, row, target, engine, reason, view)
        else:
            name = replay.plan.image or found.reference
            ready = store.as_it_is(found, name, image_table.load())
            place, runtime = places.place_in(ready, reason), engine
        return dataclasses.replace(place, warnings=(*place.warnings, *said)), runtime

    return benchmark.run(replay.request, view, find_place=find_place, image=replay.plan.image)


def _planned_place(
    request: Request,
    row: Framework,
    target: Target,
    source: Source,
    before: Plan,
    engine: Engine | None,
    reason: str,
) -> Place:
    if source.image is not None:
        name = before.image or source.image.reference
        return places.place_in(store.as_it_is(source.image, name, image_table.load()), reason)
    place = places.planned_place(request, row, target, engine, reason)
    if source.how != "pull":
        return place
    # A registry's digest identifies the image: it will be the same.
    return dataclasses.replace(
        place,
        image=before.image,
        image_id=before.image_id,
        image_digest=before.image_digest,
        warnings=(),
    )


def _expected(
    before: Result, request: Request, plan: Plan, place: Place, report: GpuReport
) -> Result:
    """Return what is known about the new result in advance, to compare it with the stored one."""
    inside = place.runtime == "docker" and not place.mount_code and request.model_file is None
    same = before.plan is not None and before.plan.fingerprint == plan.fingerprint
    if (
        before.plan is not None
        and plan.image_digest
        and plan.image_digest == before.plan.image_digest
    ):
        # Engines with another image store give the same content another id.
        plan = plan.model_copy(update={"image_id": before.plan.image_id})
    return Result(
        benchdock=VERSION,
        status="planned",
        request=request,
        plan=plan,
        # An image with our code in it contains the networks of its time; if our definition is
        # unchanged, the program will build the same.
        fingerprint=before.fingerprint if inside or same else plan.fingerprint,
        environment=Environment.of(MachineFacts.of_this_machine(report)),
    )


def _identity(row: Framework, place: Place) -> tuple[str, ...]:
    """Return the changes, besides those of `_IDENTITY`, that make it a different benchmark.

    On the host, or mounted into a vendor's image, the benchmark programs are those of this
    checkout, if we have one for the framework.
    """
    ours = bool(row.backend) and (place.runtime == "host" or place.mount_code)
    return ("launcher script", *(_CODE if ours else ()))


def _matters(change: Change, names: tuple[str, ...]) -> bool:
    return change.group in _IDENTITY or change.name in names


def _said(change: Change) -> str:
    return f"{change.name} was {change.before}, is {change.after}"
