"""Checks this machine, and gives the command that fixes each problem."""

from __future__ import annotations

import os
import platform
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

from orchestrator import installation, paths
from orchestrator.errors import BenchdockError, ExitStatus
from orchestrator.images import digests, image_table, interpreters, room, store
from orchestrator.images.image_table import BaseImage, ImageRow, ImageTable
from orchestrator.machine import description, gpu, inventory
from orchestrator.machine.description import EngineFacts, Machine, MachineFile
from orchestrator.machine.gpu_facts import Gpu, GpuReport, capabilities
from orchestrator.runtimes.docker import reaper
from orchestrator.runtimes.docker.client import Engine, EngineInfo
from orchestrator.runtimes.host import host_pip, processes, records
from orchestrator.units import quantity
from orchestrator.vendor_images.choice import Choice, choose
from orchestrator.vendor_images.listed import assess_row, facts_of
from orchestrator.version import VERSION

FindingState = Literal["ok", "warning", "missing"]
# "place": a run needs one of these; "need": every run needs it.
Role = Literal["place", "need", ""]

GIB = 2**30
ROOM_WANTED = 10 * GIB  # a GPU image and the leftovers of its build
ROOM_NEEDED = 1 * GIB
MEMORY_WANTED = 4 * GIB
_TOOLKIT = (
    "sudo apt-get install nvidia-container-toolkit && "
    "sudo nvidia-ctk runtime configure --runtime=docker && sudo systemctl restart docker"
)


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing that was checked; `remedy` is a command to type."""

    name: str
    state: FindingState
    detail: str
    remedy: str = ""
    role: Role = ""


@dataclass(frozen=True, kw_only=True)
class Examination:
    """What was found, and the machine as planning needs it."""

    findings: tuple[Finding, ...]
    machine: Machine


def examine() -> Examination:
    """Check everything and change nothing. What cannot be checked is a finding, not an error."""
    report = gpu.report()
    if not report.gpus:
        report = replace(report, on_bus=inventory.has_nvidia_device())
    engine, no_engine, found = _examine_engine(report)
    found = [installation_finding(), *found, *host_findings(), *gpu_findings(report)]
    found += [home_finding(paths.home()), memory_finding(inventory.memory())]
    found += governor_findings(inventory.governors())
    return Examination(
        findings=(*found, *_host_leftovers()),
        machine=description.of_this_machine(report, engine, no_engine),
    )


def can_run(findings: Sequence[Finding]) -> bool:
    """Whether benchmarks can run: there is a place to run, and everything that every run needs."""
    place = any(one.role == "place" and one.state != "missing" for one in findings)
    return place and not any(one.role == "need" and one.state == "missing" for one in findings)


def exit_status(findings: Sequence[Finding]) -> ExitStatus:
    """Return 0 if benchmarks can run, else 3."""
    return ExitStatus.OK if can_run(findings) else ExitStatus.MACHINE_CANNOT


def machine_file(found: Examination) -> MachineFile:
    """Return the document of `benchdock doctor --json`."""
    return MachineFile(
        schema=1,
        can_run=can_run(found.findings),
        findings=tuple(asdict(one) for one in found.findings),
        machine=found.machine,
    )


# The container engine


def _examine_engine(report: GpuReport) -> tuple[EngineFacts | None, str, list[Finding]]:
    """Check the engine: its version, or why there is none, and its findings."""
    found: list[Finding] = []
    try:
        with Engine.connect() as engine:
            info = engine.info()
            found += engine_findings(engine, info, report)
    except BenchdockError as error:
        found.append(
            Finding(
                name="engine", state="missing", detail=error.what, remedy=error.hint, role="place"
            )
        )
        return None, error.what, found
    facts = EngineFacts(name=info.name, version=info.version, gpu_support=info.gpu_support)
    return facts, "", found


def engine_findings(engine: Engine, info: EngineInfo, report: GpuReport) -> Iterator[Finding]:
    """Check an engine that answers. Raises EngineError if it stops answering."""
    detail = f"{info.name} {info.version} at {info.address}"
    yield Finding(name="engine", state="ok", detail=detail, role="place")
    yield from toolkit_findings(info, report)
    if info.data_root is not None:
        yield room_finding("engine's disk", info.data_root, remedy=room.PRUNE)
    try:
        table = image_table.load()
    except BenchdockError as error:
        remedy = installation.repair([paths.DOCKERFILES / "images.toml"])
        yield Finding(name="images", state="missing", detail=error.what, remedy=remedy, role="need")
        return
    yield from image_findings(engine, table, report, data_root=info.data_root)
    here = reaper.Owner.here()
    dead = [one.name for one in engine.our_containers() if reaper.is_orphan(one, here)]
    if dead:
        yield Finding(
            name="leftovers",
            state="warning",
            detail=f"{len(dead)} containers of dead runs; the next run removes them",
            remedy=f"docker rm -f {' '.join(dead)}",
        )


def toolkit_findings(info: EngineInfo, report: GpuReport) -> Iterator[Finding]:
    """Check whether the engine can give containers access to GPUs, if there are any."""
    if not report.gpus:
        return
    if info.gpu_support:
        yield Finding(
            name="container toolkit",
            state="ok",
            detail="the engine gives containers access to GPUs",
        )
        return
    yield Finding(
        name="container toolkit",
        state="missing",
        detail="the engine cannot give containers access to GPUs",
        remedy=_TOOLKIT,
    )


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
        row: ImageRow | None = named
        if named.device == "gpu":
            choice = _choice(named, table, report)
            yield from driver_findings(choice, report)
            row = choice.image
        if row is None:
            continue
        state = store.state(row, table, engine)
        yield _image_finding(row, state)
        if state.kind != "current":
            yield from _room_for(row, table, engine, data_root)
        if state.kind != "current" and row.base:
            bases.add(row.base)
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
    row: ImageRow, table: ImageTable, engine: Engine, data_root: Path | None
) -> Iterator[Finding]:
    """Warn if there is too little space for an image that a run would get."""
    if row.source == "vendor":
        what, needs = "the pull", room.to_pull(row, data_root)
    else:
        framework = engine.image(digests.framework_tag(row, table)) is None
        what, needs = "the build", room.to_build(row, data_root, framework=framework)
    for shortage in room.shortages(needs, what):
        name = f"room for {row.id}"
        yield Finding(name=name, state="warning", detail=shortage, remedy=room.PRUNE)


def _image_finding(row: ImageRow, state: store.State) -> Finding:
    """Describe the state of an image that a run here would use."""
    name = f"image {row.id}"
    if state.kind == "current":
        return Finding(name=name, state="ok", detail=state.name)
    how, does = f"benchdock images build {row.id}", "builds"
    if row.source == "vendor":
        how, does = f"docker pull {row.tag}", "pulls"
    if state.kind == "absent":
        detail = f"{state.name} is not here; a run {does} it"
        return Finding(name=name, state="missing", detail=detail, remedy=how)
    detail = f"only another build of {state.name} is here ({state.reason}); a run builds it"
    return Finding(name=name, state="warning", detail=detail, remedy=how)


def _choice(named: ImageRow, table: ImageTable, report: GpuReport) -> Choice:
    gpus = capabilities(report.gpus)
    return choose(named, gpus, report.driver, table=table, backend=named.framework)


def driver_findings(choice: Choice, report: GpuReport) -> Iterator[Finding]:
    """Say which newer image a newer driver would allow, or why no image works here."""
    gpus = capabilities(report.gpus)
    lacking = [
        one.image
        for one in choice.passed_over
        if not one.unproven and not assess_row(one.image, gpus).refusal
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


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".") if part.isdecimal())


# The host


def installation_finding() -> Finding:
    """Check for missing files of benchdock itself."""
    lost = installation.missing()
    if not lost:
        detail = f"benchdock {VERSION} in {installation.PACKAGE}"
        return Finding(name="installation", state="ok", detail=detail, role="need")
    return Finding(
        name="installation",
        state="missing",
        detail=f"the benchdock installation has no {lost[0]}" + _and_others(len(lost) - 1),
        remedy=installation.repair(lost),
        role="need",
    )


def _and_others(count: int) -> str:
    return f" and {count} other files" if count else ""


def host_findings() -> Iterator[Finding]:
    """Check whether the host runtime works: bash, and a Python that can make environments."""
    lacking = []
    if shutil.which("bash") is None:
        lacking.append(("bash is not on PATH", "sudo apt-get install bash"))
    if find_spec("venv") is None:
        lacking.append(("this Python has no venv module", "sudo apt-get install python3-venv"))
    try:
        host_pip.command()
    except BenchdockError as error:
        lacking.append((error.what, error.hint))
    if not lacking:
        detail = f"bash, Python {platform.python_version()} with venv and pip"
        yield Finding(name="host runtime", state="ok", detail=detail, role="place")
    for detail, remedy in lacking:
        yield Finding(
            name="host runtime", state="missing", detail=detail, remedy=remedy, role="place"
        )


def gpu_findings(report: GpuReport) -> Iterator[Finding]:
    """Report the driver and each GPU."""
    if report.state == "no_library":
        if not report.on_bus:
            detail = "no NVIDIA GPU on this machine: runs use the CPU"
            yield Finding(name="GPU", state="warning", detail=detail)
            return
        detail = "this machine has an NVIDIA GPU but no driver"
        remedy = "sudo apt-get install nvidia-driver, then sudo reboot"
        yield Finding(name="NVIDIA driver", state="missing", detail=detail, remedy=remedy)
        return
    if report.state in ("not_loaded", "mismatch", "failed"):
        yield Finding(
            name="NVIDIA driver", state="missing", detail=report.reason, remedy=report.hint
        )
        return
    detail = f"{report.driver or 'unknown version'}, CUDA up to {report.cuda or 'unknown'}"
    yield Finding(name="NVIDIA driver", state="ok", detail=detail)
    if not report.gpus:
        yield Finding(name="GPU", state="warning", detail=report.reason)
    for one in report.gpus:
        yield _gpu_finding(one)


def _gpu_finding(one: Gpu) -> Finding:
    parts = [one.name]
    if one.memory_total is not None:
        parts.append(quantity(one.memory_total, "bytes"))
    if one.compute_capability is not None:
        parts.append(f"compute capability {one.compute_capability}")
    detail, name = ", ".join(parts), f"GPU {one.index}"
    if one.mig:
        detail += (
            "; MIG is on: a run sees only a slice of this GPU, and its load cannot be monitored"
        )
        remedy = f"sudo nvidia-smi -i {one.index} -mig 0"
        return Finding(name=name, state="warning", detail=detail, remedy=remedy)
    return Finding(name=name, state="ok", detail=detail)


def home_finding(home: Path) -> Finding:
    """Check for a writable home with room for results and environments."""
    existing = home
    # os.path: a folder that may not be searched is not a separate error.
    while not os.path.exists(existing):
        existing = existing.parent
    if not existing.is_dir() or not os.access(existing, os.W_OK | os.X_OK):
        return Finding(
            name="home",
            state="missing",
            detail=f"{home} cannot be written",
            remedy="export BENCHDOCK_HOME=/a/folder/of/yours",
            role="need",
        )
    remedy = "export BENCHDOCK_HOME=/a/folder/on/a/larger/disk"
    found = room_finding("home", existing, remedy=remedy)
    return Finding(**{**asdict(found), "detail": f"{home}: {found.detail}", "role": "need"})


def room_finding(name: str, folder: Path, *, remedy: str) -> Finding:
    """Report the free space on the disk of a folder."""
    free = shutil.disk_usage(folder).free
    detail = f"{quantity(free, 'bytes')} free"
    if free >= ROOM_WANTED:
        return Finding(name=name, state="ok", detail=detail)
    state: FindingState = "warning" if free >= ROOM_NEEDED else "missing"
    detail += f"; {quantity(ROOM_WANTED, 'bytes')} recommended for images and results"
    return Finding(name=name, state=state, detail=detail, remedy=remedy)


def memory_finding(meminfo: dict[str, int]) -> Finding:
    """Check whether there is enough memory for the larger networks."""
    available, total = meminfo.get("MemAvailable", 0), meminfo.get("MemTotal", 0)
    detail = f"{quantity(available, 'bytes')} of {quantity(total, 'bytes')} available"
    if available >= MEMORY_WANTED:
        return Finding(name="memory", state="ok", detail=detail)
    detail += ": large networks or batches will not fit"
    return Finding(
        name="memory", state="warning", detail=detail, remedy="ps aux --sort=-rss | head"
    )


def governor_findings(governors: Sequence[str]) -> Iterator[Finding]:
    """Report CPU frequency governors that keep the clock low."""
    slow = [name for name in governors if name in inventory.SLOW_GOVERNORS]
    if slow:
        yield Finding(
            name="CPU governor",
            state="warning",
            detail=f"{', '.join(slow)}: CPU measurements vary with the clock",
            remedy="sudo cpupower frequency-set -g performance",
        )
    elif governors:
        yield Finding(name="CPU governor", state="ok", detail=", ".join(governors))


def _host_leftovers() -> Iterator[Finding]:
    left = [one.run_id for one in records.leftovers() if processes.members(one.token)]
    if left:
        yield Finding(
            name="leftovers",
            state="warning",
            detail=f"processes of dead runs: {', '.join(left)}; the next run ends them",
            remedy="benchdock run alexnet -f pytorch --runtime host --steps 1",
        )
