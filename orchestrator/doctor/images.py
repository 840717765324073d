"""Checks of the images that a run here would use."""

from __future__ import annotations

import platform
from collections.abc import Iterator
from pathlib import Path

from orchestrator.doctor.finding import Finding
from orchestrator.images import digests, interpreters, room, store
from orchestrator.images.image_table import BaseImage, Image, ImageTable
from orchestrator.machine.gpu_facts import GpuReport, capabilities
from orchestrator.runtimes.docker.client import Engine
from orchestrator.vendor_images.choice import Choice, choose
from orchestrator.vendor_images.listed import assess_image, facts_of


def image_findings(
    engine: Engine, table: ImageTable, report: GpuReport, *, data_root: Path | None = None
) -> Iterator[Finding]:
    """Check which images that fit this machine are ready, and whether there is space for the
    others.

    `data_root` is where the engine keeps images, None if it is on another machine.
    """
    bases: set[str] = set()
    for named in table.images.values():
        if named.source == "vendor" or platform.machine() not in named.machines:
            continue
        if named.device == "gpu" and (named.instead_of or not report.gpus):
            continue
        image: Image | None = named
        if named.device == "gpu":
            choice = _choice(named, table, report)
            yield from driver_findings(choice, report)
            image = choice.image
        if image is None:
            continue
        state = store.state(image, table, engine)
        yield _image_finding(image, state)
        if state.kind != "current":
            yield from _room_for(image, table, engine, data_root)
        if state.kind != "current" and image.base:
            bases.add(image.base)
    for base in sorted(bases):
        if engine.image(base) is None:
            yield _base_finding(table.bases[base])


def _base_finding(base: BaseImage) -> Finding:
    """Say how to get a base image that is not here."""
    detail, remedy = (
        "not here; a build pulls it if a registry answers",
        "benchdock images bootstrap",
    )
    if base.parent and interpreters.find(base.python) is None:
        detail += f", and {interpreters.lack(base.python)} to make it from"
        remedy = f"{interpreters.remedy(base.python)}, then {remedy}"
    return Finding(name=f"base {base.name}", state="missing", detail=detail, remedy=remedy)


def _room_for(
    image: Image, table: ImageTable, engine: Engine, data_root: Path | None
) -> Iterator[Finding]:
    """Warn if there is too little space for an image that a run would get."""
    if image.source == "vendor":
        what, needs = "the pull", room.to_pull(image, data_root)
    else:
        framework = engine.image(digests.framework_tag(image, table)) is None
        what, needs = "the build", room.to_build(image, data_root, framework=framework)
    for shortage in room.shortages(needs, what):
        name = f"room for {image.id}"
        yield Finding(name=name, state="warning", detail=shortage, remedy=room.PRUNE)


def _image_finding(image: Image, state: store.ImageState) -> Finding:
    """Describe the state of an image that a run here would use."""
    name = f"image {image.id}"
    if state.kind == "current":
        return Finding(name=name, state="ok", detail=state.name)
    how, does = f"benchdock images build {image.id}", "builds"
    if image.source == "vendor":
        how, does = f"docker pull {image.tag}", "pulls"
    if state.kind == "absent":
        detail = f"{state.name} is not here; a run {does} it"
        return Finding(name=name, state="missing", detail=detail, remedy=how)
    detail = f"only another build of {state.name} is here ({state.reason}); a run builds it"
    return Finding(name=name, state="warning", detail=detail, remedy=how)


def _choice(named: Image, table: ImageTable, report: GpuReport) -> Choice:
    gpus = capabilities(report.gpus)
    return choose(named, gpus, report.driver, table=table, backend=named.framework)


def driver_findings(choice: Choice, report: GpuReport) -> Iterator[Finding]:
    """Say which newer image a newer driver would allow, or why no image works here."""
    gpus = capabilities(report.gpus)
    lacking = [
        one.image
        for one in choice.passed_over
        if not one.unproven and not assess_image(one.image, gpus).refusal
    ]
    remedy = (
        "sudo apt-get install --only-upgrade nvidia-driver, then sudo reboot" if lacking else ""
    )
    if choice.image is None:
        name = f"image {choice.passed_over[0].image.id}"
        yield Finding(name=name, state="missing", detail=choice.refusal, remedy=remedy)
    elif lacking:
        needed = facts_of(lacking[0])
        yield Finding(
            name=f"driver for {lacking[0].id}",
            state="warning",
            detail=f"driver {report.driver} is older than {needed.driver}, which CUDA "
            f"{needed.cuda} needs, so a run uses {choice.image.id}",
            remedy=remedy,
        )
