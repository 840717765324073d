"""What of a request works on a machine: its devices, the image for them, or why nothing does.

Pure, but for the tables that ship with benchdock: a machine is its report of GPUs, of this machine
or of another one.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from orchestrator import catalogue
from orchestrator.errors import MachineError
from orchestrator.images import image_table
from orchestrator.run import planner, suitability
from orchestrator.run.planner import Target

if TYPE_CHECKING:
    from orchestrator.containers.choice import Choice
    from orchestrator.framework import Framework
    from orchestrator.machine.gpu_facts import GpuReport
    from orchestrator.request import Request

CPU = Target(device="cpu")


@dataclass(frozen=True, kw_only=True)
class Fitted:
    """A request on a machine: `row` names the image that works there.

    `refusal` says why nothing works, "" if something does, and `hint` what to type instead.
    `first` has to be said before anything else: why the CPU is used though there are GPUs. `doubts`
    are reasons to doubt what works, `notes` say why the image is not the newest.
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
        """Return refusal and doubts as warnings: for what is planned and not started."""
        return (self.refusal, *self.doubts) if self.refusal else self.doubts


def devices(request: Request, report: GpuReport) -> Target:
    """Choose devices as `planner.choose_device` does, but GPUs that nobody named only if useful.

    Raises MachineError and RequestError.
    """
    return _useful(request, planner.choose_device(request, report))


def planned_devices(request: Request, report: GpuReport) -> tuple[Target, tuple[str, ...]]:
    """Choose devices for a dry run, with a warning for what this machine lacks."""
    target, warnings = planner.planned_device(request, report)
    return _useful(request, target), warnings


def _useful(request: Request, target: Target) -> Target:
    """Return the CPU in place of a GPU that nobody named and that the framework cannot use."""
    named = target.device == "cpu" or request.gpus is not None
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
) -> Fitted:
    """Fit a request that `planner.resolve` accepted to the GPUs and the driver of a machine.

    Takes the newest image that works. If none does, a request that names no device is for the CPU.
    `image` is used in place of the request's. Raises RequestError for more devices than a program
    uses, unless one would not work either: then MachineError says why.
    """
    fitted = _fit(request, row, target, report, on_host=on_host, image=image)
    if fitted.refusal and fitted.target.count > 1 and not fitted.row.multi_gpu:
        fitted.accepted()
    catalogue.check_devices(fitted.row, fitted.target.count)
    return fitted


def with_image(
    request: Request, row: Framework, target: Target, report: GpuReport, *, on_host: bool
) -> Framework:
    """Return a row with the image for a machine; unchanged if none works there."""
    choice = _choice(request, row, target, report, on_host=on_host)
    return row if choice is None else _chosen(request, row, target, choice)


def _fit(
    request: Request,
    row: Framework,
    target: Target,
    report: GpuReport,
    *,
    on_host: bool,
    image: str | None,
) -> Fitted:
    choice = None
    first: tuple[str, ...] = ()
    if target.device == "cpu" and request.gpus is None and report.gpus:
        first = (f"on the CPU: {row.name} does no {request.phase} on a GPU",)
    if image is None:
        choice = _choice(request, row, target, report, on_host=on_host)
    if choice is not None and choice.image is None:
        return _without_image(request, row, target, report, choice.refusal)
    if choice is not None:
        row = _chosen(request, row, target, choice)
    opinion = suitability.assess(
        request, row, target, report, in_container=not on_host, image=image
    )
    return Fitted(
        target=target,
        row=row,
        refusal=opinion.refusal,
        hint=_instead(request, report) if opinion.refusal and image is None else "",
        first=first,
        doubts=opinion.warnings,
        notes=choice.notes() if choice is not None else (),
    )


def _choice(
    request: Request, row: Framework, target: Target, report: GpuReport, *, on_host: bool
) -> Choice | None:
    """Choose an image of our table; None if there is nothing to choose."""
    if target.device == "cpu" or request.image is not None or "gpu" not in row.images:
        return None
    from orchestrator.containers import choice  # a run on the CPU needs none of its data

    table = image_table.load()
    return choice.choose(
        table.row(row.images["gpu"]),
        suitability.chosen_gpus(target, report),
        report.driver,
        table=table,
        on_host=on_host,
    )


def _chosen(request: Request, row: Framework, target: Target, choice: Choice) -> Framework:
    """Return the row as the chosen image has it: a program's release may be another one there."""
    if choice.image is None or choice.image.id == row.images["gpu"]:
        return row
    images = {**row.images, "gpu": choice.image.id}
    if catalogue.framework(request.framework).variants:
        row = planner.resolve(request, target, images=images)
    return replace(row, images=images)


def _without_image(
    request: Request, row: Framework, target: Target, report: GpuReport, refusal: str
) -> Fitted:
    if request.gpus is None and _on_cpu(request):
        return Fitted(
            target=CPU,
            row=planner.resolve(request, CPU),
            first=(f"on the CPU, because no image of {row.name} works on this GPU: {refusal}",),
        )
    return Fitted(target=target, row=row, refusal=refusal, hint=_instead(request, report))


def _on_cpu(request: Request) -> bool:
    """Whether the request can be carried out on the CPU, in an image of ours."""
    row = catalogue.framework(request.framework)
    return "cpu" in row.images and planner.is_able(request, "cpu")


def _instead(request: Request, report: GpuReport) -> str:
    """Name the commands that work here: another framework on these GPUs, this one on the CPU."""
    found = [f"`{_typed(request)} --gpus none` runs on the CPU"] if _on_cpu(request) else []
    other = request.model_copy(update={"framework": "pytorch", "options": {}, "image": None})
    if request.framework != other.framework and _works(other, report):
        found.insert(0, f"`{_typed(other)} --gpus {_gpus(request)}` runs on the GPU")
    return ", ".join(found)


def _works(request: Request, report: GpuReport) -> bool:
    """Whether a request would run on its GPUs."""
    if not planner.is_able(request, "gpu"):
        return False
    row = catalogue.framework(request.framework)
    choice = _choice(request, row, planner.choose_device(request, report), report, on_host=False)
    return choice is not None and choice.image is not None


def _typed(request: Request) -> str:
    """Write a request as a command: what decides whether it can run."""
    words = ["benchdock run", request.model, "-f", request.framework]
    if request.phase != catalogue.default_phase(request.framework):
        words += ["--phase", request.phase]
    if request.dtype != "float32":
        words += ["--dtype", request.dtype]
    return " ".join(words)


def _gpus(request: Request) -> str:
    return "all" if request.gpus == "all" else ",".join(map(str, request.gpus or (0,)))
