"""The machine and the image of a claim's run, and how they differ from the claim's."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Literal

from orchestrator.frameworks.record import Framework
from orchestrator.images import image_table
from orchestrator.machine.gpu_facts import capabilities
from orchestrator.published import names
from orchestrator.published.claim_rules import OWN
from orchestrator.published.collection import Claim
from orchestrator.reproduction.setup import Condition, Wishes, World, incomparable, other_version
from orchestrator.request import Device
from orchestrator.vendor_images import choice, gpu_support, listed


def hardware(claim: Claim, world: World) -> Iterator[Condition]:
    """Yield the differences of the devices that compute."""
    if claim.gpus == 0:
        if claim.gpu is None or not _same_cpu(claim.gpu, world.cpu):
            why = "throughput depends on the processor more than on anything else"
            yield incomparable("CPU", claim.gpu or "not stated", world.cpu, why)
    elif claim.gpu is None:
        yield incomparable(
            "GPU", "not stated", _gpu_names(world), "it is unknown what was measured"
        )
    else:
        there = [names.gpu(gpu.name) for gpu in world.gpus.gpus[: claim.gpus]]
        if not there or not all(names.gpu_matches(claim.gpu, name) for name in there):
            why = "throughput depends on the GPU more than on anything else"
            yield incomparable("GPU", claim.gpu, _gpu_names(world), why)
    if 0 < len(world.gpus.gpus) < claim.gpus:
        here = str(len(world.gpus.gpus))
        yield incomparable(
            "GPU count", str(claim.gpus), here, "throughput does not scale with the number of GPUs"
        )
    if claim.system:
        yield Condition(
            name="system",
            claimed=claim.system,
            here="this machine",
            effect="looser",
            why="processors, memory and links between GPUs may differ",
        )


def _same_cpu(claimed: str, here: str) -> bool:
    words = set(re.findall(r"[a-z0-9]+", claimed.lower()))
    return bool(words) and words <= set(re.findall(r"[a-z0-9]+", here.lower()))


def _gpu_names(world: World) -> str:
    return ", ".join(dict.fromkeys(gpu.name for gpu in world.gpus.gpus)) or "none"


def gpus(
    claim: Claim, world: World, framework: Framework, unmet: list[Condition]
) -> Literal["none"] | tuple[int, ...]:
    """Return the GPUs to run on: the first ones, as many as the claim has."""
    if claim.gpus == 0:
        return "none"
    if not world.gpus.gpus:
        return tuple(range(claim.gpus))
    if claim.gpus > 1 and not framework.multi_gpu:
        unmet.append(
            incomparable(
                "GPU count",
                str(claim.gpus),
                "1",
                f"{framework.name} uses only one GPU in benchdock",
            )
        )
        return (world.gpus.gpus[0].index,)
    return tuple(gpu.index for gpu in world.gpus.gpus[: claim.gpus])


def container(
    claim: Claim, world: World, wishes: Wishes, framework: Framework, device: Device,
    unmet: list[Condition],
) -> str | None:  # fmt: skip
    """Return the claim's container if it can be used, else None for ours, or a replacement.

    Without a GPU nothing can run here anyway: then it is what would run on the claim's machine.
    """
    if wishes.image is not None:
        claimed = claim.container or claim.version or "not stated"
        if claimed != wishes.image:
            unmet.append(other_version("container", claimed, f"{wishes.image} (--image)"))
        return wishes.image
    ours = our_version(framework, device)
    other = _stand_in(claim, world, framework, device)
    here = other or f"our image, {framework.name} {ours}"
    if claim.container is None:
        if claim.version is not None and (other or claim.version != ours):
            unmet.append(
                other_version("framework version", claim.version, other or ours or "none known")
            )
        elif claim.program != OWN:
            unmet.append(other_version("container", "not stated", here))
        return other
    problem = _container_problem(claim, world)
    if problem:
        unmet.append(
            Condition(
                name="container", claimed=claim.container, here=here, effect="looser", why=problem
            )
        )
        return other if world.gpus.gpus or not claim.gpus else claim.container
    if any(code.partition(":")[0] in ("half-tag", "container") for code in claim.suspect):
        why = "the source does not give the tag beside the numbers"
        unmet.append(
            Condition(
                name="container", claimed=claim.container, here="the same, if that is the tag",
                effect="looser", why=why,
            )
        )  # fmt: skip
    return claim.container


def with_image(claim: Claim, world: World, framework: Framework) -> Framework:
    """Return a framework with the newest image of our table that supports the claim's GPUs here.

    Unchanged if none does.
    """
    if not claim.gpus or "gpu" not in framework.images:
        return framework
    table = image_table.load()
    found = choice.choose(
        table.image(framework.images["gpu"]),
        _gpus_here(claim, world),
        world.gpus.driver,
        table=table,
        backend=framework.name if framework.ours else None,
        on_host=bool(world.no_engine),
    )
    if found.image is not None:
        framework = replace(framework, images={**framework.images, "gpu": found.image.id})
    return framework


def _gpus_here(claim: Claim, world: World) -> list[tuple[str, str]]:
    found = world.gpus.gpus[: claim.gpus]
    return capabilities(found)


def _stand_in(claim: Claim, world: World, framework: Framework, device: Device) -> str | None:
    """Return an image of the vendor's for GPUs or a driver that no image of our table supports."""
    if device == "cpu" or device not in framework.images or world.no_engine or not world.gpus.gpus:
        return None
    image = image_table.load().image(framework.images[device])
    return listed.substitute(image, _gpus_here(claim, world), world.gpus.driver)


def _container_problem(claim: Claim, world: World) -> str:
    """Say why the claim's container cannot be used here, or ""."""
    reference = claim.container or ""
    if world.no_engine:
        return f"a container needs an engine: {world.no_engine}"
    assessed = gpu_support.assess(reference, _gpus_here(claim, world), world.gpus.driver)
    return assessed.refusal


def our_version(framework: Framework, device: Device) -> str:
    """Return the framework's version in our image for it, "" if it has none."""
    if device not in framework.images:
        return ""
    return image_table.load().image(framework.images[device]).version
