"""What of a request works on a machine: its devices, the image for them, or why nothing works.

Pure, except for the tables that ship with benchdock. A machine is given by its GPU report, of this
machine or another one.
"""

from __future__ import annotations

import shlex
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from orchestrator.errors import MachineError
from orchestrator.frameworks import catalogue
from orchestrator.images import image_table
from orchestrator.run import planner, suitability
from orchestrator.run.planner import Target

if TYPE_CHECKING:
    from orchestrator.frameworks.record import Framework
    from orchestrator.machine.gpu_facts import GpuReport
    from orchestrator.request import Request
    from orchestrator.vendor_images.choice import Choice

CPU = Target(device="cpu")


@dataclass(frozen=True, kw_only=True)
class Fitted:
    """A request on a machine: `row` names the image that works there.

    `refusal` says why nothing works, "" if something does, and `hint` what to type instead. `first`
    must be printed before anything else: why the CPU is used although there are GPUs. `doubts` are
    reasons to doubt what works, `notes` say why the image is not the newest.
    """

    target: Target
    row: Framework
    refusal: str = ""
    hint: str = ""
    first: tuple[str, ...] = ()
    doubts: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def accepted(self) -> Fitted:
        """Return this. Raises MachineError if nothing works here."""
        if self.refusal:
            raise MachineError(self.refusal.rstrip("."), hint=self.hint)
        return self

    def noted(self) -> tuple[str, ...]:
        """Return refusal and doubts as warnings, for a plan that is not started."""
        return (self.refusal, *self.doubts) if self.refusal else self.doubts


def devices(request: Request, report: GpuReport) -> Target:
    """Choose devices as `planner.choose_device` does, but use a GPU by default only if it helps.

    Raises MachineError and RequestError.
    """
    return _useful(request, planner.choose_device(request, report))


def planned_devices(request: Request, report: GpuReport) -> tuple[Target, tuple[str, ...]]:
    """Choose devices for a dry run, with a warning for what this machine lacks."""
    target, warnings = planner.planned_device(request, report)
    return _useful(request, target), warnings


def _useful(request: Request, target: Target) -> Target:
    """Return the CPU instead of a default GPU that the framework cannot use."""
    named = target.device == "cpu" or not request.leaves_device_open
    if named or planner.is_able(request, "gpu") or not planner.is_able(request, "cpu"):
        return target
    return CPU


def fit(
    request: Request,
    row: Framework,
    target: Target,
    report: GpuReport,
    *,
    on_host: bool,
    image: str | None = None,
    elsewhere: bool = False,
) -> Fitted:
    """Fit a request that `planner.resolve` accepted to the GPUs and the driver of a machine.

    Uses the newest image that works. If none does, a request without a device runs on the CPU.
    `image` is used in place of the request's; the folders of a request for a machine `elsewhere`
    need not be here. Raises RequestError for more devices than a program uses; MachineError if not
    even one would work.
    """
    fitted = _fit(request, row, target, report, on_host=on_host, image=image, elsewhere=elsewhere)
    if fitted.refusal and fitted.target.count > 1 and not fitted.row.multi_gpu:
        fitted.accepted()
    catalogue.check_devices(fitted.row, fitted.target.count)
    return fitted


def with_image(
    request: Request, row: Framework, target: Target, report: GpuReport, *, on_host: bool
) -> Framework:
    """Return the table row with the image for a machine; unchanged if none works there."""
    choice = _choice(request, row, target, report, on_host=on_host)
    return row if choice is None else _chosen(request, row, target, choice, elsewhere=False)


def _fit(
    request: Request,
    row: Framework,
    target: Target,
    report: GpuReport,
    *,
    on_host: bool,
    image: str | None,
    elsewhere: bool,
) -> Fitted:
    choice = None
    first: tuple[str, ...] = ()
    if target.device == "cpu" and request.leaves_device_open and report.gpus:
        first = (f"on the CPU: {row.name} does not support {request.phase} on a GPU",)
    if image is None:
        choice = _choice(request, row, target, report, on_host=on_host)
    if choice is not None and choice.image is None:
        return _without_image(
            request, row, target, report, choice.refusal, on_host=on_host, elsewhere=elsewhere
        )
    if choice is not None:
        row = _chosen(request, row, target, choice, elsewhere=elsewhere)
    opinion = suitability.assess(
        request, row, target, report, in_container=not on_host, image=image
    )
    return Fitted(
        target=target,
        row=row,
        refusal=opinion.refusal,
        hint=_instead(request, report, on_host=on_host) if opinion.refusal and not image else "",
        first=first,
        doubts=opinion.warnings,
        notes=choice.notes() if choice is not None else (),
    )


def _choice(
    request: Request, row: Framework, target: Target, report: GpuReport, *, on_host: bool
) -> Choice | None:
    """Choose an image of our table; None if there is no choice."""
    if target.device == "cpu" or request.image is not None or "gpu" not in row.images:
        return None
    from orchestrator.vendor_images import choice  # a run on the CPU needs none of its data

    table = image_table.load()
    return choice.choose(
        table.row(row.images["gpu"]),
        suitability.chosen_gpus(target, report),
        report.driver,
        table=table,
        backend=row.name if row.ours else None,
        on_host=on_host,
    )


def _chosen(
    request: Request, row: Framework, target: Target, choice: Choice, *, elsewhere: bool
) -> Framework:
    """Return the row for the chosen image, which may contain another release of the program."""
    if choice.image is None or choice.image.id == row.images["gpu"]:
        return row
    images = {**row.images, "gpu": choice.image.id}
    if catalogue.framework(request.framework).variants:
        row = planner.resolve(request, target, images=images, elsewhere=elsewhere)
    return replace(row, images=images)


def _without_image(
    request: Request,
    row: Framework,
    target: Target,
    report: GpuReport,
    refusal: str,
    *,
    on_host: bool,
    elsewhere: bool,
) -> Fitted:
    if request.leaves_device_open and _runs_on_cpu(request, on_host=on_host):
        why = f"no image of {row.name} works with this GPU and driver: {refusal}"
        row = planner.resolve(request, CPU, elsewhere=elsewhere)
        return Fitted(target=CPU, row=row, first=(f"on the CPU, because {why}",))
    hint = _instead(request, report, on_host=on_host)
    return Fitted(target=target, row=row, refusal=refusal, hint=hint)


def _instead(request: Request, report: GpuReport, *, on_host: bool) -> str:
    """Name commands that work here: on these GPUs with another image or framework, or on the CPU.

    They contain every option that decides whether a request can run.
    """
    plain = request.model_copy(update={"image": None, "options": {}})
    other = plain.model_copy(update={"framework": "pytorch"})
    found = []
    if request.image is not None and _runs_on_gpu(plain, report, on_host=on_host):
        found.append(f"`{_typed(plain)} --gpus {_gpus(request)}` uses an image that works")
    elif request.framework != "pytorch" and _runs_on_gpu(other, report, on_host=on_host):
        found.append(f"`{_typed(other)} --gpus {_gpus(request)}` runs on the GPU")
    if _runs_on_cpu(request, on_host=on_host):
        found.append(f"`{_typed(request)} --gpus none` runs on the CPU")
    return ", ".join(found)


def _runs_on_cpu(request: Request, *, on_host: bool) -> bool:
    """Whether one of our images can run a request on the CPU."""
    row = catalogue.framework(request.framework)
    if "cpu" not in row.images or not planner.is_able(request, "cpu"):
        return False
    table = image_table.load()
    return not on_host or table.for_host(table.row(row.images["cpu"])).fits_host


def _runs_on_gpu(request: Request, report: GpuReport, *, on_host: bool) -> bool:
    """Whether one of our images can run a request on its GPUs."""
    row = catalogue.framework(request.framework)
    if not planner.is_able(request, "gpu") or "gpu" not in row.images:
        return False
    target = planner.choose_device(request, report)
    choice = _choice(request, row, target, report, on_host=on_host)
    enough = row.multi_gpu or target.count == 1
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
