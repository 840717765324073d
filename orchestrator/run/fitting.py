"""What of a request works on a machine: its devices, the image for them, or why nothing works.

Pure, except for the tables that ship with benchdock.
"""

from __future__ import annotations

import shlex
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from orchestrator.errors import MachineError, RequestError
from orchestrator.frameworks import catalogue
from orchestrator.images import image_table
from orchestrator.run import checks, devices
from orchestrator.run.devices import CPU, Target

if TYPE_CHECKING:
    from orchestrator.frameworks.record import Framework
    from orchestrator.machine.gpu_facts import GpuReport
    from orchestrator.request import Request
    from orchestrator.vendor_images.choice import Choice
    from orchestrator.vendor_images.gpu_support import GpuSupport


@dataclass(frozen=True, kw_only=True)
class Site:
    """What an image must fit: the GPUs of a machine, in a container or on the host.

    On a machine `elsewhere` the folders of a request need not be here.
    """

    gpu: GpuReport
    on_host: bool
    elsewhere: bool = False


@dataclass(frozen=True, kw_only=True)
class Fitted:
    """A request at a site: `framework` names the image that works there.

    `refusal` says why nothing works, "" if something does, and `hint` what to type instead. `first`
    must be printed before anything else: why the CPU is used although there are GPUs. `doubts` are
    reasons to doubt what works, `notes` say why the image is not the newest.
    """

    target: Target
    framework: Framework
    refusal: str = ""
    hint: str = ""
    first: tuple[str, ...] = ()
    doubts: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def refusals(self) -> tuple[MachineError, ...]:
        """Return the refusal as an error, nothing if something works."""
        return (MachineError(self.refusal.rstrip("."), hint=self.hint),) if self.refusal else ()


def useful(request: Request, target: Target) -> Target:
    """Return the CPU instead of a default GPU that the framework cannot use."""
    named = target.device == "cpu" or not request.leaves_device_open
    if named or checks.is_able(request, "gpu") or not checks.is_able(request, "cpu"):
        return target
    return CPU


def fit(
    request: Request, framework: Framework, target: Target, site: Site, *, image: str | None = None
) -> Fitted:
    """Fit a checked request to the GPUs and the driver of a machine.

    Uses the newest image that works. If none does, a request without a device runs on the CPU.
    `image` is used in place of the request's. Raises RequestError for more devices than a program
    uses; MachineError if not even one would work.
    """
    fitted = _fit(request, framework, target, site, image=image)
    if len(fitted.target.gpus) > 1 and not fitted.framework.multi_gpu:
        for refusal in fitted.refusals():
            raise refusal
        raise RequestError(
            f"{fitted.framework.name} uses only one GPU in benchdock, {fitted.target.count} were "
            "requested",
            hint=_fewer_gpus(request, fitted.framework),
        )
    return fitted


def _fewer_gpus(request: Request, framework: Framework) -> str:
    """Say what to type instead of several GPUs, and what would use them all."""
    other = request.model_copy(update={"framework": framework.on_several_gpus, "options": {}})
    if not framework.on_several_gpus or not checks.is_able(other, "gpu"):
        return "use --gpus 0"
    return f"use -f {framework.on_several_gpus}, which trains on several GPUs, or --gpus 0"


def _fit(
    request: Request, framework: Framework, target: Target, site: Site, *, image: str | None
) -> Fitted:
    first: tuple[str, ...] = ()
    if target.device == "cpu" and request.leaves_device_open and site.gpu.gpus:
        first = (f"on the CPU: {framework.name} does not support {request.phase} on a GPU",)
    choice = _choice(request, framework, target, site) if image is None else None
    if choice is not None and choice.image is None:
        return _without_image(request, framework, target, site, choice.refusal)
    if choice is not None:
        framework = _chosen(request, framework, target, choice, elsewhere=site.elsewhere)
    support = _support(request, framework, target, site, image)
    refusal = support.refusal if support else ""
    return Fitted(
        target=target,
        framework=framework,
        refusal=refusal,
        hint=_instead(request, site) if refusal and not image else "",
        first=first,
        doubts=support.warnings if support else (),
        notes=choice.notes() if choice is not None else (),
    )


def _support(
    request: Request, framework: Framework, target: Target, site: Site, image: str | None
) -> GpuSupport | None:
    """Compare a run's image with its GPUs and their driver; None if there is nothing to compare.

    `image` replaces the request's. On the host the packages of our own images run, which have the
    same kernels. Raises RequestError for an invalid image reference.
    """
    # Every image works on a CPU, and nothing is known about a Python of the user's.
    if target.device == "cpu" or request.python is not None:
        return None
    reference = image or request.image or framework.images.get(target.device, "")
    if not reference:
        return None
    from orchestrator.vendor_images import gpu_support, listed

    known = image_table.load().image_of_tag(reference)
    gpus = devices.chosen(target, site.gpu)
    if known is not None and (not site.on_host or known.source == "build"):
        return listed.assess_image(known, gpus, site.gpu.driver)
    if not site.on_host:
        return gpu_support.assess(reference, gpus, site.gpu.driver)
    return None


def _choice(request: Request, framework: Framework, target: Target, site: Site) -> Choice | None:
    """Choose an image of our table; None if there is no choice."""
    named = request.image is not None or request.python is not None
    if target.device == "cpu" or named or "gpu" not in framework.images:
        return None
    from orchestrator.vendor_images import choice  # a run on the CPU needs none of its data

    table = image_table.load()
    return choice.choose(
        table.image(framework.images["gpu"]),
        devices.chosen(target, site.gpu),
        site.gpu.driver,
        table=table,
        backend=framework.name if framework.ours else None,
        on_host=site.on_host,
    )


def _chosen(
    request: Request, framework: Framework, target: Target, choice: Choice, *, elsewhere: bool
) -> Framework:
    """Return the framework in the chosen image, which may contain another release of the
    program.
    """
    if choice.image is None or choice.image.id == framework.images["gpu"]:
        return framework
    images = {**framework.images, "gpu": choice.image.id}
    if catalogue.framework(request.framework).variants:
        framework = checks.framework_for(request, target.device, images=images, elsewhere=elsewhere)
    return replace(framework, images=images)


def _without_image(
    request: Request, framework: Framework, target: Target, site: Site, refusal: str
) -> Fitted:
    if request.leaves_device_open and _runs_on_cpu(request, site):
        why = f"no image of {framework.name} works with this GPU and driver: {refusal}"
        framework = checks.framework_for(request, "cpu", elsewhere=site.elsewhere)
        return Fitted(target=CPU, framework=framework, first=(f"on the CPU, because {why}",))
    hint = _instead(request, site)
    return Fitted(target=target, framework=framework, refusal=refusal, hint=hint)


def _instead(request: Request, site: Site) -> str:
    """Name commands that work here: on these GPUs with another image or framework, or on the CPU.

    They contain every option that decides whether a request can run.
    """
    plain = request.model_copy(update={"image": None, "options": {}})
    other = plain.model_copy(update={"framework": "pytorch"})
    found = []
    if request.image is not None and _runs_on_gpu(plain, site):
        found.append(f"`{_typed(plain)} --gpus {_gpus(request)}` uses an image that works")
    elif request.framework != "pytorch" and _runs_on_gpu(other, site):
        found.append(f"`{_typed(other)} --gpus {_gpus(request)}` runs on the GPU")
    if _runs_on_cpu(request, site):
        found.append(f"`{_typed(request)} --gpus none` runs on the CPU")
    return ", ".join(found)


def _runs_on_cpu(request: Request, site: Site) -> bool:
    """Whether one of our images can run a request on the CPU."""
    framework = catalogue.framework(request.framework)
    if "cpu" not in framework.images or not checks.is_able(request, "cpu"):
        return False
    table = image_table.load()
    return not site.on_host or table.for_host(table.image(framework.images["cpu"])).fits_host


def _runs_on_gpu(request: Request, site: Site) -> bool:
    """Whether one of our images can run a request on its GPUs."""
    framework = catalogue.framework(request.framework)
    if not checks.is_able(request, "gpu") or "gpu" not in framework.images:
        return False
    target = devices.choose(request, site.gpu)
    choice = _choice(request, framework, target, site)
    enough = framework.multi_gpu or target.count == 1
    return enough and choice is not None and choice.image is not None


def _typed(request: Request) -> str:
    """Write a request as a command, with the options that decide whether it can run."""
    words = ["benchdock", "run", str(request.model_file or request.model)]
    words += ["-f", request.framework]
    if request.phase != catalogue.default_phase(request.framework):
        words += ["--phase", request.phase]
    if request.dtype != "float32":
        words += ["--dtype", request.dtype]
    return shlex.join(words)


def _gpus(request: Request) -> str:
    chosen = request.gpus or range(request.devices or 1)
    return "all" if request.gpus == "all" else ",".join(map(str, chosen))
