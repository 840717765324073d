"""Checks of the GPUs and their driver."""

from __future__ import annotations

from collections.abc import Iterator

from orchestrator.doctor.finding import Finding
from orchestrator.machine import xid
from orchestrator.machine.gpu_facts import Gpu, GpuReport
from orchestrator.units import quantity


def gpu_findings(report: GpuReport) -> Iterator[Finding]:
    """Report the driver and each GPU."""
    if report.state == "no_library":
        if not report.on_bus:
            detail = "no NVIDIA GPU on the PCI bus, no NVIDIA driver: runs use the CPU"
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
    for text in report.silent:
        remedy = "sudo dmesg | grep -i xid, then sudo nvidia-smi -r or sudo reboot"
        yield Finding(name="lost GPU", state="missing", detail=text, remedy=remedy)
    if report.gpus:
        yield from _kernel_log()


def _kernel_log() -> Iterator[Finding]:
    """Say once that some of the driver's errors will not be seen."""
    why = xid.why_unreadable()
    if why:
        yield Finding(
            name="kernel log",
            state="warning",
            detail=f"cannot read {xid.KERNEL_LOG} ({why}): a GPU that falls off the bus (Xid 79) "
            "is only seen by its silence",
            remedy="sudo sysctl kernel.dmesg_restrict=0",
        )


def _gpu_finding(one: Gpu) -> Finding:
    parts = [one.name]
    if one.memory_total is not None:
        parts.append(quantity(one.memory_total, "bytes"))
    if one.compute_capability is not None:
        parts.append(f"compute capability {one.compute_capability}")
    detail, name = ", ".join(parts), f"GPU {one.index}"
    if not one.mig:
        return Finding(name=name, state="ok", detail=detail)
    remedy = f"sudo nvidia-smi -i {one.index} -mig 0"
    if not one.slices:
        detail += "; MIG is on, but there are no parts: CUDA cannot use it"
        return Finding(name=name, state="missing", detail=detail, remedy=remedy)
    detail += f"; MIG is on: a run sees one part ({_parts(one)}), whose load is unknown"
    return Finding(name=name, state="warning", detail=detail, remedy=remedy)


def _parts(one: Gpu) -> str:
    """List the parts of a GPU as `--gpus` takes them, with their sizes."""
    return ", ".join(
        f"{one.index}:{part.index} {part.name.rpartition('MIG ')[2]}".rstrip()
        for part in one.slices
    )
