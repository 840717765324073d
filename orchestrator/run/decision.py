"""Decides what a request means on a machine, once, before anything is fetched or started.

`decide` is pure except for the user's files, which it reads, and the facts of this machine, which
are looked at when they are needed. Everything that starts or shows a run uses its answer: `run`,
`run --dry-run`, `replay`, `reproduce`, `parity`, `plan` and `suite`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from orchestrator.errors import BenchdockError, DataError, MachineError, RequestError
from orchestrator.frameworks.record import Framework
from orchestrator.machine.gpu_facts import GpuReport
from orchestrator.plan import Interpreter
from orchestrator.request import Request, RuntimeChoice
from orchestrator.run import (
    checks,
    container_user,
    devices,
    fitting,
    rank_cpus,
    runtime_choice,
)
from orchestrator.run.devices import Target
from orchestrator.run.facts import DecisionFacts

if TYPE_CHECKING:
    from orchestrator.images.image_table import Image
    from orchestrator.machine.description import EngineFacts
    from orchestrator.plan import RuntimeName
    from orchestrator.run.runtime_choice import Chosen
    from orchestrator.runtimes.by_command.platforms import ContainerProgram
    from orchestrator.runtimes.docker.client import Engine

_NOT_WANTED = GpuReport(state="no_gpu", reason="none was requested")


@dataclass(frozen=True, kw_only=True)
class Decision:
    """What a request means on a machine.

    `image` is the image of our table that works there, None if the request names one or a Python,
    or for a command that runs on the host as it is. `engine` or `program` starts the container, for
    the `reason`; without both it is the host. `refusals` say why nothing works on this machine,
    though the request itself is sound. `first` must be printed before anything else: why the CPU is
    used although there are GPUs. `doubts` are reasons to doubt what works, `notes` say why the
    image is not the newest, and `unchecked` what could not be looked at from here. `python` is the
    user's, None on a machine elsewhere.
    """

    request: Request
    framework: Framework
    target: Target
    image: Image | None
    gpu: GpuReport
    cpus: int
    engine: Engine | EngineFacts | None
    reason: str
    program: ContainerProgram | None = None
    elsewhere: bool = False
    python: Interpreter | None = None
    refusals: tuple[BenchdockError, ...] = ()
    first: tuple[str, ...] = ()
    doubts: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    unchecked: tuple[str, ...] = ()

    @property
    def on_host(self) -> bool:
        """Whether the program runs on the host, not in a container."""
        return self.engine is None and self.program is None

    @property
    def runtime(self) -> RuntimeName:
        """Return the runtime, as plans name it."""
        if self.program is not None:
            return self.program.platform.name
        if self.engine is None:
            return "host"
        return "podman" if self.request.runtime is RuntimeChoice.PODMAN else "docker"

    def accepted(self) -> Decision:
        """Return this. Raises MachineError or DataError if nothing works on this machine."""
        if self.refusals:
            raise self.refusals[0]
        return self

    def warnings(self) -> tuple[str, ...]:
        """Return what a result must say of the decision, refusals included."""
        refusals = map(str, self.refusals)
        return (*self.first, *refusals, *self.doubts, *self.unchecked)


def decide(request: Request, facts: DecisionFacts, *, image: str | None = None) -> Decision:
    """Decide on devices, framework, image and runtime.

    `image` is what will run in place of the request's or the chosen one. Raises RequestError or
    DataError if no machine could run the request, and MachineError if this one has nothing to run
    it in. Everything else that the machine lacks is a refusal of the decision.
    """
    on_cpu = request.gpus == "none" or request.ranks is not None
    gpu = _NOT_WANTED if on_cpu else facts.gpu
    target, lacking = _devices(request, gpu)
    framework = _framework(request, target, gpu, elsewhere=facts.elsewhere)
    place = _runtime(request, facts, lacking)
    site = fitting.Site(gpu=gpu, on_host=place.on_host, elsewhere=facts.elsewhere)
    fitted = fitting.fit(request, framework, target, site, image=image)
    target, far = rank_cpus.near(fitted.framework, fitted.target, gpu, facts.allowed_cpus)
    refusals: tuple[BenchdockError, ...] = (*lacking, *fitted.refusals())
    chosen = runtime_choice.image(request, fitted.framework, fitted.target, site)
    if image is None and not refusals:
        runtime_choice.check_image(chosen, site)
    as_caller = place.program is not None and place.program.platform.as_caller
    if not place.on_host and not as_caller and not facts.elsewhere:
        refusals += _unreadable(request)
    return Decision(
        request=request,
        framework=fitted.framework,
        target=target,
        image=chosen,
        gpu=gpu,
        cpus=facts.cpus,
        engine=place.engine,
        program=place.program,
        reason=place.reason,
        elsewhere=facts.elsewhere,
        python=facts.interpreter(request, fitted.framework),
        refusals=refusals,
        first=fitted.first,
        doubts=(
            *devices.unused_gpus(request, gpu),
            *devices.silent_gpus(request, gpu),
            *fitted.doubts,
            *far,
        ),
        notes=fitted.notes,
        unchecked=tuple(_unseen(request)) if facts.elsewhere else (),
    )


def _devices(request: Request, gpu: GpuReport) -> tuple[Target, tuple[MachineError, ...]]:
    """Choose the devices; a GPU that is missing is a refusal."""
    try:
        return fitting.useful(request, devices.choose(request, gpu)), ()
    except MachineError as error:
        return devices.requested(request), (error,)


def _runtime(request: Request, facts: DecisionFacts, lacking: tuple[MachineError, ...]) -> Chosen:
    """Choose where it runs; of two things that the machine lacks, name the GPU."""
    try:
        return runtime_choice.choose(request, facts)
    except BenchdockError:
        for refusal in lacking:
            raise refusal from None
        raise


def _framework(request: Request, target: Target, gpu: GpuReport, *, elsewhere: bool) -> Framework:
    """Check the request on its device.

    Raises MachineError if it needs a GPU and none works.
    """
    try:
        return checks.framework_for(request, target.device, elsewhere=elsewhere)
    except RequestError as error:
        silent = devices.unused_gpus(request, gpu)
        if not silent or checks.is_able(request, "cpu") or not checks.is_able(request, "gpu"):
            raise
        raise MachineError(
            f"{error.what}, and no GPU can be used: {gpu.reason}",
            hint="run `benchdock doctor` to see how to fix the GPU, or add --gpus 0 --dry-run to "
            "plan without one",
        ) from None


def _unreadable(request: Request) -> tuple[DataError, ...]:
    """Return why the container's user cannot read what the request mounts."""
    try:
        container_user.check_readable(request)
    except DataError as error:
        return (error,)
    return ()


def _unseen(request: Request) -> Iterator[str]:
    """Name what is not on this machine but may be on the other one."""
    for option, folder in (("--data", request.data), ("--source", request.source)):
        if folder is not None and not folder.exists():
            yield f"{option} {folder} is not on this machine, so its contents are not checked"
    if request.python is not None:
        yield f"--python {request.python} is for the other machine, so it is not checked"
