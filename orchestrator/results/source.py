"""Finds the image of a stored result."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from orchestrator.images import digests, image_table
from orchestrator.images.builder import ImageEngine
from orchestrator.images.reference import parse_reference
from orchestrator.plan import Plan

if TYPE_CHECKING:
    from orchestrator.runtimes.docker.images import ImageInfo

How = Literal["exact", "pull", "ours", "host"]


@dataclass(frozen=True, kw_only=True)
class Source:
    """Where the program comes from: the `exact` image is here, it can be pulled, or neither.

    `registry` is the reference for pulling it, `why` says what became of it.
    """

    how: How
    image: ImageInfo | None = None
    registry: str = ""
    why: str = ""


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
    row = image_table.load().row_of_tag(plan.image or "")
    if row is not None and found.labels.get(digests.IMAGE) == row.id:
        return True
    names = [plan.image] if plan.image else []
    if plan.image and plan.image_digest:
        names.append(f"{parse_reference(plan.image).name}@{plan.image_digest}")
    same = [engine.image(name) for name in names]
    return any(one is not None and one.id == found.id for one in same)


def _short(image_id: str | None) -> str:
    return (image_id or "no id").removeprefix("sha256:")[:12]
