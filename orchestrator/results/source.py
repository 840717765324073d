"""Finds the image of a stored result, and the place that it gives."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal, cast

from orchestrator.images import builder, digests, image_table, store
from orchestrator.images.contract import ImageEngine
from orchestrator.images.reference import parse_reference
from orchestrator.plan import Plan
from orchestrator.request import Request
from orchestrator.run import places, runtime_choice
from orchestrator.run.decision import Decision
from orchestrator.run.facts import DecisionFacts
from orchestrator.run.place import Place
from orchestrator.run.places import FindPlace
from orchestrator.runtimes.contract import Runtime
from orchestrator.view import View

if TYPE_CHECKING:
    from orchestrator.runtimes.docker.client import Engine
    from orchestrator.runtimes.docker.images import ImageInfo

How = Literal["exact", "pull", "ours", "host", "program"]


@dataclass(frozen=True, kw_only=True)
class Source:
    """Where the program comes from: the `exact` image is here, it can be pulled, or neither.

    A `program` that starts containers by command line finds the image itself.

    `registry` is the reference for pulling it, `why` says what became of it.
    """

    how: How
    image: ImageInfo | None = None
    registry: str = ""
    why: str = ""

    def named(self, plan: Plan) -> str | None:
        """Return the name under which a plan's image runs again, None if today's image does."""
        return plan.image if self.how in ("exact", "pull") else None


def find(request: Request, plan: Plan, facts: DecisionFacts, *, own: bool) -> Source:
    """Look for the place of a plan. Raises as `runtime_choice.choose` does."""
    chosen = runtime_choice.choose(request, facts)
    if chosen.program is not None:
        return Source(how="program")
    if chosen.engine is None:
        return Source(how="host")
    return find_image(plan, cast("Engine", chosen.engine), own=own)


def pull(source: Source, decision: Decision, view: View) -> Source:
    """Pull the image. Raises ImageError."""
    engine = places.live(decision)
    found = builder.pull(source.registry, engine, lambda event: view.stage(event.text))
    return Source(how="exact", image=found, registry=source.registry)


def planned_place(source: Source, before: Plan, decision: Decision) -> Place:
    """Return the place that a replay would have, without pulling or starting anything."""
    if source.image is not None:
        return _in_image(source.image, before, decision)
    place = places.planned_place(decision)
    if source.how != "pull":
        return place
    # A registry's digest identifies the image: it will be the same.
    return replace(
        place,
        image=before.image,
        image_id=before.image_id,
        image_digest=before.image_digest,
        warnings=(),
    )


def finder(source: Source, before: Plan, warnings: tuple[str, ...]) -> FindPlace:
    """Return what prepares the place of a replay; its result gets the warnings."""

    def find_place(decision: Decision, view: View) -> tuple[Place, Runtime]:
        if source.image is None:
            place, runtime = places.ready_place(decision, view)
        else:
            place, runtime = _in_image(source.image, before, decision), places.live(decision)
        return replace(place, warnings=(*place.warnings, *warnings)), runtime

    return find_place


def _in_image(image: ImageInfo, before: Plan, decision: Decision) -> Place:
    name = before.image or image.reference
    return places.place_in(store.as_it_is(image, name, image_table.load()), decision)


def find_image(plan: Plan, engine: ImageEngine, *, own: bool = True) -> Source:
    """Look for the image of a plan: by its id, then by its registry digest.

    If the result is not of an own run, the id must be of an image that has the plan's name.
    """
    name = plan.image or "no name"
    found = engine.image(plan.image_id) if plan.image_id else None
    if found and (own or _bears_name(found, plan, engine)):
        return Source(how="exact", image=found)
    if plan.image and plan.image_digest:
        registry = f"{parse_reference(name).name}@{plan.image_digest}"
        found = engine.image(registry)
        return Source(how="exact" if found else "pull", image=found, registry=registry)
    why = f"its image {name} ({_short(plan.image_id)}) is no longer here and was in no registry"
    return Source(how="ours", why=why)


def _bears_name(found: ImageInfo, plan: Plan, engine: ImageEngine) -> bool:
    """Whether an image has the table id, the registry or the name in a plan."""
    image = image_table.load().image_of_tag(plan.image or "")
    if image is not None and found.labels.get(digests.IMAGE) == image.id:
        return True
    names = [plan.image] if plan.image else []
    if plan.image and plan.image_digest:
        names.append(f"{parse_reference(plan.image).name}@{plan.image_digest}")
    same = [engine.image(name) for name in names]
    return any(one is not None and one.id == found.id for one in same)


def _short(image_id: str | None) -> str:
    return (image_id or "no id").removeprefix("sha256:")[:12]
