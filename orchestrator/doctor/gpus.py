"""Checks of the GPUs and their driver."""

from __future__ import annotations

from collections.abc import Iterator

from orchestrator.doctor.finding import Finding
from orchestrator.machine.gpu_facts import Gpu, GpuReport
from orchestrator.units import quantity


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
