"""Checks, before pulling, that an image supports the chosen GPUs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from orchestrator.machine.gpu_facts import capabilities

if TYPE_CHECKING:
    from orchestrator.frameworks.record import Framework
    from orchestrator.machine.gpu_facts import GpuReport
    from orchestrator.request import Request
    from orchestrator.run.devices import Target


@dataclass(frozen=True, kw_only=True)
class Opinion:
    """Why an image cannot work, in a sentence or "", and warnings if it can."""

    refusal: str = ""
    warnings: tuple[str, ...] = ()


def assess(
    request: Request,
    row: Framework,
    target: Target,
    report: GpuReport,
    *,
    in_container: bool,
    image: str | None = None,
) -> Opinion:
    """Compare a run's image with its GPUs and their driver.

    `image` replaces the request's. On the host the packages of our own images run, which have the
    same kernels. Raises RequestError for an invalid image reference.
    """
    from orchestrator.images import image_table
    from orchestrator.vendor_images import fitness, listed

    reference = image or request.image or row.images.get(target.device, "")
    known = image_table.load().row_of_tag(reference)
    gpus = chosen_gpus(target, report)
    if known is not None and (in_container or known.source == "build"):
        found = listed.assess_row(known, gpus, report.driver)
    elif reference and in_container:
        found = fitness.assess(reference, gpus, report.driver)
    else:
        return Opinion()
    return Opinion(refusal=found.refusal or "", warnings=found.warnings)


def chosen_gpus(target: Target, report: GpuReport) -> list[tuple[str, str]]:
    """Return name and compute capability of the GPUs of a run, "" if unknown."""
    named = set(target.gpus)
    return capabilities(gpu for gpu in report.gpus if {gpu.uuid, str(gpu.index)} & named)
