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
from orchestrator.reproduction.setup import Condition, Wishes, incomparable, other_version
from orchestrator.request import Device
from orchestrator.run.facts import DecisionFacts
from orchestrator.vendor_images import choice, gpu_support, listed


def hardware(claim: Claim, facts: DecisionFacts) -> Iterator[Condition]:
    """Yield the differences of the devices that compute."""
    if claim.gpus == 0:
        if claim.gpu is None or not _same_cpu(claim.gpu, facts.cpu_model):
            why = "throughput depends on the processor more than on anything else"
            yield incomparable("CPU", claim.gpu or "not stated", facts.cpu_model, why)
    elif claim.gpu is None:
        yield incomparable(
            "GPU", "not stated", _gpu_names(facts), "it is unknown what was measured"
        )
    else:
        there = [names.gpu(gpu.name) for gpu in facts.gpu.gpus[: claim.gpus]]
        if not there or not all(names.gpu_matches(claim.gpu, name) for name in there):
            why = "throughput depends on the GPU more than on anything else"
            yield incomparable("GPU", claim.gpu, _gpu_names(facts), why)
    if 0 < len(facts.gpu.gpus) < claim.gpus:
        here = str(len(facts.gpu.gpus))
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


def _gpu_names(facts: DecisionFacts) -> str:
    return ", ".join(dict.fromkeys(gpu.name for gpu in facts.gpu.gpus)) or "none"


def gpus(
    claim: Claim, facts: DecisionFacts, framework: Framework, unmet: list[Condition]
) -> Literal["none"] | tuple[int, ...]:
    """Return the GPUs to run on: the first ones, as many as the claim has."""
    if claim.gpus == 0:
        return "none"
    if not facts.gpu.gpus:
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
        return (facts.gpu.gpus[0].index,)
    return tuple(gpu.index for gpu in facts.gpu.gpus[: claim.gpus])


def container(
    claim: Claim, facts: DecisionFacts, wishes: Wishes, framework: Framework, device: Device,
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
    other = _stand_in(claim, facts, framework, device)
    here = other or f"our image, {framework.name} {ours}"
    if claim.container is None:
        if claim.version is not None and (other or claim.version != ours):
            unmet.append(
                other_version("framework version", claim.version, other or ours or "none known")
            )
        elif claim.program != OWN:
            unmet.append(other_version("container", "not stated", here))
        return other
    problem = _container_problem(claim, facts)
    if problem:
        unmet.append(
            Condition(
                name="container", claimed=claim.container, here=here, effect="looser", why=problem
            )
        )
        return other if facts.gpu.gpus or not claim.gpus else claim.container
    if any(code.partition(":")[0] in ("half-tag", "container") for code in claim.suspect):
        why = "the source does not give the tag beside the numbers"
        unmet.append(
            Condition(
                name="container", claimed=claim.container, here="the same, if that is the tag",
                effect="looser", why=why,
            )
        )  # fmt: skip
    return claim.container


def with_image(claim: Claim, facts: DecisionFacts, framework: Framework) -> Framework:
    """Return a framework with the newest image of our table that supports the claim's GPUs here.

    Unchanged if none does.
    """
    if not claim.gpus or "gpu" not in framework.images:
        return framework
    table = image_table.load()
    found = choice.choose(
        table.image(framework.images["gpu"]),
        _gpus_here(claim, facts),
        facts.gpu.driver,
        table=table,
        backend=framework.name if framework.ours else None,
        on_host=bool(facts.container_engine.why_not),
    )
    if found.image is not None:
        framework = replace(framework, images={**framework.images, "gpu": found.image.id})
    return framework


def _gpus_here(claim: Claim, facts: DecisionFacts) -> list[tuple[str, str]]:
    found = facts.gpu.gpus[: claim.gpus]
    return capabilities(found)


def _stand_in(
    claim: Claim, facts: DecisionFacts, framework: Framework, device: Device
) -> str | None:
    """Return an image of the vendor's for GPUs or a driver that no image of our table supports."""
    if device == "cpu" or device not in framework.images or not facts.gpu.gpus:
        return None
    if facts.container_engine.why_not:
        return None
    image = image_table.load().image(framework.images[device])
    return listed.substitute(image, _gpus_here(claim, facts), facts.gpu.driver)


def _container_problem(claim: Claim, facts: DecisionFacts) -> str:
    """Say why the claim's container cannot be used here, or ""."""
    reference = claim.container or ""
    if facts.container_engine.why_not:
        return f"a container needs an engine: {facts.container_engine.why_not}"
    assessed = gpu_support.assess(reference, _gpus_here(claim, facts), facts.gpu.driver)
    return assessed.refusal


def our_version(framework: Framework, device: Device) -> str:
    """Return the framework's version in our image for it, "" if it has none."""
    if device not in framework.images:
        return ""
    return image_table.load().image(framework.images[device]).version
