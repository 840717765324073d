"""What to run for a claim on this machine, and which of its conditions cannot be met.

Everything but `look` is a pure function, so a claim can be judged for a machine one does not have.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Literal, cast

from orchestrator import catalogue
from orchestrator.containers import fitness
from orchestrator.errors import EngineError, RequestError
from orchestrator.framework import Framework
from orchestrator.images import image_table
from orchestrator.published import claim_rules, names
from orchestrator.published.claim_rules import OWN, Rules
from orchestrator.published.collection import Claim
from orchestrator.published.setup import (
    Condition,
    Setup,
    Wishes,
    World,
    incomparable,
    other_version,
    ranked,
)
from orchestrator.request import Device, Dtype, Request, RuntimeChoice
from orchestrator.run import demands, suitability, variants
from orchestrator.run.planner import Target

_INPUT_SIZE = re.compile(r"(\d+)x(\d+)", re.ASCII)


def look(wishes: Wishes) -> World:
    """Look at this machine: GPUs, CPU and whether a container engine answers."""
    from orchestrator.machine import gpu, inventory

    return World(gpus=gpu.report(), cpu=str(inventory.cpu()["model"]), no_engine=_no_engine(wishes))


def _no_engine(wishes: Wishes) -> str:
    if wishes.runtime is RuntimeChoice.HOST:
        return "the host was asked for"
    from orchestrator.engine.client import Engine

    try:
        Engine.connect().close()
    except EngineError as error:
        return error.what
    return ""


def prepare(
    claim: Claim, world: World, wishes: Wishes | None = None, rules: Rules | None = None
) -> Setup:
    """Decide what to run for a claim, and which of its conditions that leaves unmet."""
    wishes, rules = wishes or Wishes(), rules or claim_rules.load()
    unmet = [*_hardware(claim, world)]
    row, options, problem = _program(claim, rules, wishes, unmet)
    if row is None:
        return Setup(request=None, why_not=problem, unmet=ranked(unmet))
    device: Device = "gpu" if claim.gpus else "cpu"
    dtype = _dtype(claim, unmet)
    gpus = _gpus(claim, world, row, unmet)
    image = _container(claim, world, row, device, unmet)
    unmet += _flags(claim, row, wishes, options, rules)
    request = Request(
        model=claim.model,
        framework=row.name,
        phase=claim.phase,
        dtype=dtype,
        batch=_batch(claim, device, unmet),
        gpus=gpus,
        steps=wishes.steps,
        warmup=wishes.warmup,
        data=wishes.data,
        image=image,
        runtime=wishes.runtime,
        timeout=wishes.timeout,
        options={**_wanted(claim, options), **wishes.options},
        source=wishes.source if row.source else None,
    )
    unmet += _network(claim, row, wishes)
    why = (
        _no_device(claim, world)
        or _refused(row, request, device)
        or _unsuitable(row, request, device, world)
    )
    return Setup(request=None if why else request, why_not=why, unmet=ranked(unmet))


def _program(
    claim: Claim, rules: Rules, wishes: Wishes, unmet: list[Condition]
) -> tuple[Framework | None, Mapping[str, dict[str, str]], str]:
    """Return the row that runs the claim, its conditions, and why there is none.

    Raises RequestError for a claim of our own program about what is not in the catalogue.
    """
    if claim.program == OWN:
        catalogue.framework(claim.framework)
        catalogue.draw(claim.model)
    found = rules.launcher(claim.program, claim.framework)
    row = found[1] if found else None
    why = _why_not_theirs(claim, row, wishes)
    if found is not None and not why:
        unmet += _written_network(claim, found[1], rules, wishes)
        return found[1], found[0].conditions, ""
    substitute = rules.launcher(OWN, claim.framework)
    same = rules.same_network(claim.model, claim.program, claim.framework)
    if substitute is not None and same and catalogue.has(substitute[1], claim.model):
        unmet.append(
            Condition(
                name="program",
                claimed=claim.program,
                here=f"our own program of {claim.framework}",
                effect="looser",
                why=f"{why}, but the network is the same: {same}",
            )
        )
        return substitute[1], substitute[0].conditions, ""
    return None, {}, _nothing_runs(claim, why, row, same, unmet)


def _written_network(
    claim: Claim, row: Framework, rules: Rules, wishes: Wishes
) -> Iterator[Condition]:
    """Yield the doubt of a program that is given its network: theirs is in a file of their own."""
    given = claim.program == OWN or row.networks is not None or "prototxt" in wishes.options
    if given or rules.same_network(claim.model, claim.program, claim.framework):
        return
    known = claim.network or f"the {claim.model} of their own file"
    why = "only the same network is comparable: --source DIR --option prototxt=FILE gives theirs"
    yield incomparable("network", known, "the zoo's own", why)


def _why_not_theirs(claim: Claim, row: Framework | None, wishes: Wishes) -> str:
    """Say why the claim's own program cannot be run, or ""."""
    if row is None:
        return f"there is no launcher for {claim.program} yet"
    if not catalogue.has(row, claim.model):
        return f"{row.name} has no network {claim.model} here"
    if row.source and wishes.source is None and ("gpu" if claim.gpus else "cpu") not in row.holds:
        return f"{claim.program} has to be given with --source: {row.source}"
    return ""


def _nothing_runs(
    claim: Claim, why: str, row: Framework | None, same: str, unmet: list[Condition]
) -> str:
    if row is not None and not catalogue.has(row, claim.model):
        unmet.append(
            incomparable("network", claim.network or claim.model, "none of that name", why)
        )
        return why
    unmet.append(incomparable("program", claim.program, "not to be had", why))
    if row is not None:
        return why
    if same:
        return f"{why}; the network is ours too ({same}), but {claim.framework} cannot run it here"
    known = claim.network or f"nobody knows {claim.program}'s {claim.model} layer by layer"
    only = "only the same network, layer by layer, may stand in for another program's"
    unmet.append(incomparable("network", known, "the zoo's own", only))
    return f"{why}, and it is not comparable with our own network: {known}"


def _network(claim: Claim, row: Framework, wishes: Wishes) -> Iterator[Condition]:
    here = catalogue.fingerprint(row, claim.model) or f"{row.name}'s own"
    if wishes.fingerprint and wishes.fingerprint != here:
        yield incomparable("network", wishes.fingerprint, here, "another definition of the network")


def _hardware(claim: Claim, world: World) -> Iterator[Condition]:
    """Yield the differences of the devices that compute."""
    if claim.gpus == 0:
        if claim.gpu is None or not _same_cpu(claim.gpu, world.cpu):
            why = "throughput depends on the processor more than on anything else"
            yield incomparable("CPU", claim.gpu or "not stated", world.cpu, why)
    elif claim.gpu is None:
        yield incomparable("GPU", "not stated", _gpu_names(world), "nobody knows what was measured")
    else:
        there = [names.gpu(gpu.name) for gpu in world.gpus.gpus[: claim.gpus]]
        if not there or not all(names.gpu_matches(claim.gpu, name) for name in there):
            why = "throughput depends on the GPU more than on anything else"
            yield incomparable("GPU", claim.gpu, _gpu_names(world), why)
    if 0 < len(world.gpus.gpus) < claim.gpus:
        here = str(len(world.gpus.gpus))
        yield incomparable(
            "GPU count", str(claim.gpus), here, "throughputs of other counts do not scale"
        )
    if claim.system:
        yield Condition(
            name="system",
            claimed=claim.system,
            here="this machine",
            effect="looser",
            why="processors, memory and links between GPUs may be others",
        )


def _same_cpu(claimed: str, here: str) -> bool:
    words = set(re.findall(r"[a-z0-9]+", claimed.lower()))
    return bool(words) and words <= set(re.findall(r"[a-z0-9]+", here.lower()))


def _gpu_names(world: World) -> str:
    return ", ".join(dict.fromkeys(gpu.name for gpu in world.gpus.gpus)) or "none"


def _no_device(claim: Claim, world: World) -> str:
    if claim.gpus and not world.gpus.gpus:
        return f"no GPU can be used: {world.gpus.reason}"
    return ""


def _gpus(
    claim: Claim, world: World, row: Framework, unmet: list[Condition]
) -> Literal["none"] | tuple[int, ...]:
    if claim.gpus == 0:
        return "none"
    if not world.gpus.gpus:
        return tuple(range(claim.gpus))
    if claim.gpus > 1 and not row.multi_gpu:
        unmet.append(
            incomparable("GPU count", str(claim.gpus), "1", f"{row.name} uses one GPU here")
        )
        return (world.gpus.gpus[0].index,)
    return tuple(gpu.index for gpu in world.gpus.gpus[: claim.gpus])


def _dtype(claim: Claim, unmet: list[Condition]) -> Dtype:
    if claim.precision is None:
        unmet.append(
            incomparable("precision", "not stated", "float32", "it decides what is computed")
        )
        return "float32"
    return cast(Dtype, claim.precision)  # pydantic refuses what is none


def _batch(claim: Claim, device: Device, unmet: list[Condition]) -> int:
    if claim.batch is not None:
        return claim.batch
    chosen = catalogue.DEFAULTS[device].batch
    why = "a larger batch is faster up to a point"
    unmet.append(
        Condition(name="batch", claimed="not stated", here=str(chosen), effect="looser", why=why)
    )
    return chosen


def _container(
    claim: Claim, world: World, row: Framework, device: Device, unmet: list[Condition]
) -> str | None:
    """Return the claim's container where it can be used; else None for ours, or what stands in."""
    ours = _our_version(row, device)
    other = _stand_in(claim, world, row, device)
    here = other or f"our image, {row.name} {ours}"
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
        return other
    if any(code.partition(":")[0] in ("half-tag", "container") for code in claim.suspect):
        why = "the source does not name the tag beside the numbers"
        unmet.append(
            Condition(
                name="container", claimed=claim.container, here="the same, if that is the tag",
                effect="looser", why=why,
            )
        )  # fmt: skip
    return claim.container


def _stand_in(claim: Claim, world: World, row: Framework, device: Device) -> str | None:
    """Return an image for GPUs or a driver that the row's own image cannot use."""
    if device == "cpu" or device not in row.images or world.no_engine or not world.gpus.gpus:
        return None
    image = image_table.load().row(row.images[device])
    gpus = [(gpu.name, gpu.compute_capability or "") for gpu in world.gpus.gpus[: claim.gpus]]
    return fitness.substitute(image, gpus, world.gpus.driver)


def _container_problem(claim: Claim, world: World) -> str:
    """Say why the claim's container cannot be used here, or ""."""
    reference = claim.container or ""
    if world.no_engine:
        return f"a container needs an engine: {world.no_engine}"
    gpus = [(gpu.name, gpu.compute_capability or "") for gpu in world.gpus.gpus[: claim.gpus]]
    assessed = fitness.assess(reference, gpus, world.gpus.driver)
    return assessed.refusal or ""


def _our_version(row: Framework, device: Device) -> str:
    if device not in row.images:
        return ""
    return image_table.load().row(row.images[device]).version


def _wanted(claim: Claim, options: Mapping[str, dict[str, str]]) -> dict[str, str]:
    """Return the options that bring the claim's conditions about."""
    return {key: value for word in claim.conditions for key, value in options.get(word, {}).items()}


def _flags(
    claim: Claim,
    row: Framework,
    wishes: Wishes,
    options: Mapping[str, dict[str, str]],
    rules: Rules,
) -> Iterator[Condition]:
    """Yield the claim's conditions that no option brings about."""
    for word in claim.conditions:
        if word in options or _holds_anyway(word, claim, row, wishes):
            continue
        rule = rules.condition(word)
        name = "data" if word == "real" else "flag"
        here = "synthetic data" if word == "real" else "no such option"
        yield Condition(name=name, claimed=word, here=here, effect=rule.effect, why=rule.why)
    if wishes.data is not None and "synthetic" in claim.conditions:
        yield Condition(
            name="data",
            claimed="synthetic",
            here=str(wishes.data),
            effect="looser",
            why="reading a dataset takes time",
        )


def _holds_anyway(word: str, claim: Claim, row: Framework, wishes: Wishes) -> bool:
    if (size := _INPUT_SIZE.fullmatch(word)) and row.networks is None:
        shape = tuple(catalogue.draw(claim.model).input_shape[1:])
        return shape == tuple(map(int, size.groups()))
    if word == "synthetic":
        return wishes.data is None
    return word == "real" and wishes.data is not None


def _refused(row: Framework, request: Request, device: Device) -> str:
    """Say why the catalogue refuses a request, or ""."""
    try:
        row = variants.settle(row, request, device)
        catalogue.check(row, request, device)
        catalogue.check_counts(row, request, device)
        demands.check(row, request, device)
    except RequestError as error:
        return str(error)
    return ""


def _unsuitable(row: Framework, request: Request, device: Device, world: World) -> str:
    """Say why the image that would run cannot work on this machine's GPUs, or ""."""
    indices = request.gpus if isinstance(request.gpus, tuple) else ()
    target = Target(device=device, gpus=tuple(map(str, indices)))
    in_container = not world.no_engine
    return suitability.assess(request, row, target, world.gpus, in_container=in_container).refusal
