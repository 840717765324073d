"""Checks of the container engine."""

from __future__ import annotations

from collections.abc import Iterator

from orchestrator import installation, paths
from orchestrator.doctor.disk import room_finding
from orchestrator.doctor.finding import Finding
from orchestrator.doctor.images import image_findings
from orchestrator.errors import BenchdockError
from orchestrator.images import image_table, room
from orchestrator.machine.description import EngineFacts
from orchestrator.machine.gpu_facts import GpuReport
from orchestrator.machine.processes import Owner
from orchestrator.runtimes.docker import reaper
from orchestrator.runtimes.docker.client import Engine, EngineInfo

_TOOLKIT = (
    "sudo apt-get install nvidia-container-toolkit && "
    "sudo nvidia-ctk runtime configure --runtime=docker && sudo systemctl restart docker"
)


def examine_engine(report: GpuReport) -> tuple[EngineFacts | None, str, list[Finding]]:
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
    here = Owner.here()
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
