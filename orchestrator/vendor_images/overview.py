"""Lists all vendors' images as rows of plain values, for tables and JSON."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Literal

from orchestrator.machine.gpu_facts import GpuReport, capabilities
from orchestrator.vendor_images import proven
from orchestrator.vendor_images.gpu_support import support_of
from orchestrator.vendor_images.vendor_table import (
    Era,
    Family,
    ImageFacts,
    Program,
    Release,
    VendorImage,
    VendorTable,
)

Here = Literal["yes", "perhaps", "no"]


def overview(table: VendorTable, report: GpuReport) -> dict[str, list[dict[str, Any]]]:
    """Return what is known about months, families and single releases.

    `here` says whether the GPUs of the report can run it; None without a GPU.
    """
    return {
        "months": [_month(table, era, report) for era in table.eras],
        "families": [_family(family) for family in table.families.values()],
        "releases": [
            _release(table, family, image, release, report)
            for family in table.families.values()
            for image, release in _rows(table, family)
        ],
    }


def _rows(table: VendorTable, family: Family) -> Iterator[tuple[VendorImage, Release]]:
    """Yield what is known about the images that a family's releases describe."""
    for release in family.releases:
        tag = release.first
        image = table.image_of(family, tag, tag if tag[:1].isdigit() else "")
        if image is not None:
            yield image, release


def _month(table: VendorTable, era: Era, report: GpuReport) -> dict[str, Any]:
    facts = ImageFacts(**{name: getattr(era, name) for name in ImageFacts.model_fields})
    # The family is only used in refusals, which are not shown here.
    family = next(iter(table.families.values()))
    image = VendorImage(
        family=family,
        tag=era.first,
        release=era.first,
        facts=facts,
        stated=frozenset(),
        programs=(),
    )
    return {"first": era.first, "last": era.last, **_facts(facts), **_here(table, image, report)}


def _family(family: Family) -> dict[str, Any]:
    return {
        "family": family.name,
        "repository": family.repository,
        "first": family.first,
        "last": family.last_tag,
        "tags": [suffix.model_dump(by_alias=True) for suffix in family.suffixes],
        "programs": [_program(program) for program in family.programs],
        "end_of_life": family.end_of_life,
        "shm_size": family.settings.shm_size,
        "ulimits": dict(family.settings.ulimits),
    }


def _program(program: Program) -> dict[str, str]:
    return program.model_dump(by_alias=True)


def _release(
    table: VendorTable, family: Family, image: VendorImage, release: Release, report: GpuReport
) -> dict[str, Any]:
    last = release.last
    facts = image.facts if not last else _over_months(image)
    return {
        "family": family.name,
        "image": f"{family.repository}:{image.tag}" + (f" to {last}" if last else ""),
        "framework_version": facts.version,
        "proven_with": _proven(family, release),
        **_facts(facts),
        "python": facts.python,
        "programs": [_program(program) for program in image.programs],
        "end_of_life": facts.end_of_life,
        "stated": sorted(image.stated),
        **_here(table, image, report),
    }


def _proven(family: Family, release: Release) -> list[str] | None:
    """Name the releases that our backend was run with on a CPU; None if we have no backend."""
    if not proven.covers(family.name):
        return None
    versions = release.versions.values() or [release.version]
    found = (proven.proven_with(family.name, version) for version in versions)
    return [version for version in found if version]


def _over_months(image: VendorImage) -> ImageFacts:
    """Return the facts that were stated for a whole range of months."""
    return ImageFacts(**{name: value for name, value in image.facts if name in image.stated})


def _facts(facts: ImageFacts) -> dict[str, Any]:
    return {
        "cuda": facts.cuda,
        "driver": facts.driver,
        "driver_branches": list(facts.driver_branches),
        "compute_capabilities": list(facts.architectures),
        "compiled_at_start": list(facts.jit),
        "lowest_capability": facts.lowest,
    }


def _here(table: VendorTable, image: VendorImage, report: GpuReport) -> dict[str, Any]:
    gpus = capabilities(report.gpus)
    if not gpus or not image.facts.architectures:
        return {"here": None, "why": []}
    found = support_of(table, image, gpus, report.driver)
    here: Here = "no" if found.refusal else "perhaps" if found.warnings else "yes"
    return {"here": here, "why": [found.refusal] if found.refusal else list(found.warnings)}


def span(capabilities: Sequence[str]) -> str:
    """Write a list of compute capabilities in short form: "6.0 to 7.5"."""
    if len(capabilities) < 2:
        return "".join(capabilities)
    return f"{capabilities[0]} to {capabilities[-1]}"
