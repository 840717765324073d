"""All checks of this machine, and whether benchmarks can run on it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace

from orchestrator import paths
from orchestrator.doctor.disk import home_finding
from orchestrator.doctor.engine import examine_engine
from orchestrator.doctor.finding import Finding
from orchestrator.doctor.gpus import gpu_findings
from orchestrator.doctor.host import (
    governor_findings,
    host_findings,
    installation_finding,
    leftover_findings,
    memory_finding,
)
from orchestrator.doctor.programs import program_findings
from orchestrator.errors import ExitStatus
from orchestrator.machine import description, gpu, inventory
from orchestrator.machine.description import Machine, MachineFile


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
    engine, no_engine, found = examine_engine(report)
    found = [installation_finding(), *found, *host_findings(), *program_findings()]
    found += gpu_findings(report)
    found += [home_finding(paths.home()), memory_finding(inventory.memory())]
    found += governor_findings(inventory.governors())
    return Examination(
        findings=(*found, *leftover_findings()),
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
