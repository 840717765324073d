"""Looks at the GPUs and their driver through NVIDIA's management library (NVML).

Import this module late, as `nvml`.

Indices are NVML's, in PCI bus order, as in `nvidia-smi`. NVML ignores CUDA_VISIBLE_DEVICES and
NVIDIA_VISIBLE_DEVICES, and CUDA itself counts the fastest GPU first unless
CUDA_DEVICE_ORDER=PCI_BUS_ID; so a GPU is always passed on by its UUID, never by its index.
"""

from __future__ import annotations

from typing import Any

from orchestrator.machine import inventory
from orchestrator.machine.gpu_facts import Gpu, GpuReport, MigSlice
from orchestrator.machine.nvml import ERRORS, Code, code, maybe, memory, session, slices


def report() -> GpuReport:
    """Look at the driver and at each GPU. Never raises: problems become a state."""
    try:
        with session() as nvml:
            return _look(nvml)
    except ERRORS as error:
        return _refusal(error)


def gpus() -> tuple[Gpu, ...]:
    """Return the GPUs of this machine, empty if there are none or the driver does not answer."""
    return report().gpus


def _refusal(error: Exception) -> GpuReport:
    match code(error):
        case Code.NO_LIBRARY:
            return GpuReport(state="no_library", reason="no NVIDIA driver is installed")
        case Code.NOT_LOADED:
            return GpuReport(
                state="not_loaded",
                reason="the NVIDIA driver is installed but its kernel module is not loaded",
                hint="sudo modprobe nvidia",
            )
        case Code.MISMATCH:
            return GpuReport(
                state="mismatch",
                reason="the NVIDIA driver's library and kernel module have different versions "
                "(updated without a restart)",
                hint="sudo reboot",
            )
        case Code.SYSTEM | Code.UNKNOWN if inventory.virtualised() == "container":
            # systemd rewrites the device rules of containers that the older hook of NVIDIA's
            # toolkit made: after `systemctl daemon-reload` nothing can be opened any more.
            return GpuReport(
                state="failed",
                reason=f"NVML does not answer in this container ({error}): its engine may have "
                "taken the GPUs away",
                hint="restart the container, and give it GPUs through CDI",
            )
    return GpuReport(
        state="failed", reason=f"NVML does not answer: {error}", hint="nvidia-smi -q; sudo dmesg"
    )


def _look(nvml: Any) -> GpuReport:
    driver = maybe(nvml.nvmlSystemGetDriverVersion)
    cuda = maybe(nvml.nvmlSystemGetCudaDriverVersion_v2)
    found, silent = _each(nvml)
    words = f"{len(found)} GPU{'s' if len(found) > 1 else ''}, driver {driver or 'unknown'}"
    if not found:
        words = "the NVIDIA driver answers but there is no usable GPU"
    return GpuReport(
        state="ok" if found else "no_gpu",
        reason="; ".join((words, *silent)),
        gpus=found,
        driver=driver,
        # 12080 is 12.8
        cuda=f"{cuda // 1000}.{cuda % 1000 // 10}" if cuda is not None else None,
        silent=silent,
    )


def _each(nvml: Any) -> tuple[tuple[Gpu, ...], tuple[str, ...]]:
    """Describe each GPU; one that fell off the bus does not hide the others."""
    found, silent = [], []
    for index in range(nvml.nvmlDeviceGetCount()):
        try:
            found.append(_describe(nvml, index))
        except nvml.NVMLError as error:
            # Without permission it belongs to another job, as Slurm arranges it: not ours.
            if error.value != Code.NO_PERMISSION:
                silent.append(f"GPU {index} does not answer: {error}")
    return tuple(found), tuple(silent)


def _describe(nvml: Any, index: int) -> Gpu:
    handle = nvml.nvmlDeviceGetHandleByIndex(index)
    size = memory(handle)
    capability = maybe(nvml.nvmlDeviceGetCudaComputeCapability, handle)
    limit = maybe(nvml.nvmlDeviceGetEnforcedPowerLimit, handle)
    ecc = maybe(nvml.nvmlDeviceGetEccMode, handle)
    mig = maybe(nvml.nvmlDeviceGetMigMode, handle)
    pci = maybe(nvml.nvmlDeviceGetPciInfo, handle)
    return Gpu(
        index=index,
        uuid=nvml.nvmlDeviceGetUUID(handle),
        name=maybe(nvml.nvmlDeviceGetName, handle) or "unknown GPU",
        memory_total=size.total if size is not None else None,
        compute_capability=f"{capability[0]}.{capability[1]}" if capability else None,
        bus_id=pci.busId if pci is not None else None,
        local_cpus=inventory.local_cpus(pci.busId) if pci is not None else None,
        power_limit=limit / 1000 if limit is not None else None,
        sm_clock_max=maybe(nvml.nvmlDeviceGetMaxClockInfo, handle, nvml.NVML_CLOCK_SM),
        ecc=bool(ecc[0]) if ecc else None,
        mig=bool(mig[0]) if mig else False,
        slices=_slices(nvml, handle) if mig and mig[0] else (),
    )


def _slices(nvml: Any, handle: Any) -> tuple[MigSlice, ...]:
    """Describe the parts of a partitioned GPU."""
    found = []
    for index, part, uuid in slices(handle):
        size = memory(part)
        found.append(
            MigSlice(
                index=index,
                uuid=uuid,
                name=maybe(nvml.nvmlDeviceGetName, part) or "",
                memory_total=size.total if size is not None else None,
            )
        )
    return tuple(found)
