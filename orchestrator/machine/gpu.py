"""Reads the GPUs through NVIDIA's management library (NVML). Only this module imports `pynvml`.

Import this module late: `pynvml` takes 50 ms to load.

Indices are NVML's, in PCI bus order, as in `nvidia-smi`. NVML ignores CUDA_VISIBLE_DEVICES and
NVIDIA_VISIBLE_DEVICES, and CUDA itself counts the fastest GPU first unless
CUDA_DEVICE_ORDER=PCI_BUS_ID; so a GPU is always passed on by its UUID, never by its index.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import pynvml

from orchestrator.machine.gpu_facts import Gpu, GpuGoneError, GpuProcess, GpuReport, GpuSample

T = TypeVar("T")

# Bits of nvmlDeviceGetCurrentClocksEventReasons that keep the clock below what the chip can do.
# "Idle" (0x1), "application clocks" (0x2) and "display clocks" (0x100) are not throttling.
_THROTTLE_BITS = {
    0x4: "power cap",
    0x10: "sync boost",
    0x20: "software thermal slowdown",
    0x40: "hardware thermal slowdown",
    0x80: "hardware power brake",
}
_HARDWARE_SLOWDOWN = 0x8  # set together with the more specific 0x40 or 0x80, rarely by itself
_MEMORY_V2 = 0x02000028  # v1 counts the driver's reserve as used


def report() -> GpuReport:
    """Look at the driver and at each GPU. Never raises: problems become a state."""
    try:
        with _session() as nvml:
            return _look(nvml)
    except (pynvml.NVMLError, pynvml.NVMLLibraryMismatchError) as error:
        return _refusal(error)


def gpus() -> tuple[Gpu, ...]:
    """Return the GPUs of this machine, empty if there are none or the driver does not answer."""
    return report().gpus


@contextmanager
def _session() -> Iterator[Any]:
    pynvml.nvmlInit()
    try:
        yield pynvml
    finally:
        pynvml.nvmlShutdown()


def _refusal(error: Exception) -> GpuReport:
    code = getattr(error, "value", None)
    if code == pynvml.NVML_ERROR_LIBRARY_NOT_FOUND:
        return GpuReport(state="no_library", reason="no NVIDIA driver is installed")
    if code == pynvml.NVML_ERROR_DRIVER_NOT_LOADED:
        return GpuReport(
            state="not_loaded",
            reason="the NVIDIA driver is installed but its kernel module is not loaded",
            hint="sudo modprobe nvidia",
        )
    if code == pynvml.NVML_ERROR_LIB_RM_VERSION_MISMATCH:
        return GpuReport(
            state="mismatch",
            reason="the NVIDIA driver's library and kernel module have different versions "
            "(updated without a restart)",
            hint="sudo reboot",
        )
    return GpuReport(
        state="failed", reason=f"NVML does not answer: {error}", hint="nvidia-smi -q; sudo dmesg"
    )


def _look(nvml: Any) -> GpuReport:
    driver = _maybe(nvml.nvmlSystemGetDriverVersion)
    cuda = _maybe(nvml.nvmlSystemGetCudaDriverVersion_v2)
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
    )


def _each(nvml: Any) -> tuple[tuple[Gpu, ...], tuple[str, ...]]:
    """Describe each GPU; one that fell off the bus does not hide the others."""
    found, silent = [], []
    for index in range(nvml.nvmlDeviceGetCount()):
        try:
            found.append(_describe(nvml, index))
        except nvml.NVMLError as error:
            silent.append(f"GPU {index} does not answer: {error}")
    return tuple(found), tuple(silent)


def _describe(nvml: Any, index: int) -> Gpu:
    handle = nvml.nvmlDeviceGetHandleByIndex(index)
    memory = _memory(nvml, handle)
    capability = _maybe(nvml.nvmlDeviceGetCudaComputeCapability, handle)
    limit = _maybe(nvml.nvmlDeviceGetEnforcedPowerLimit, handle)
    ecc = _maybe(nvml.nvmlDeviceGetEccMode, handle)
    mig = _maybe(nvml.nvmlDeviceGetMigMode, handle)
    pci = _maybe(nvml.nvmlDeviceGetPciInfo, handle)
    return Gpu(
        index=index,
        uuid=nvml.nvmlDeviceGetUUID(handle),
        name=_maybe(nvml.nvmlDeviceGetName, handle) or "unknown GPU",
        memory_total=memory.total if memory is not None else None,
        compute_capability=f"{capability[0]}.{capability[1]}" if capability else None,
        bus_id=pci.busId if pci is not None else None,
        power_limit=limit / 1000 if limit is not None else None,
        sm_clock_max=_maybe(nvml.nvmlDeviceGetMaxClockInfo, handle, nvml.NVML_CLOCK_SM),
        ecc=bool(ecc[0]) if ecc else None,
        mig=bool(mig[0]) if mig else False,
    )


def _maybe(call: Callable[..., T], *arguments: Any) -> T | None:
    """Ask for one value; None if this board or driver does not have it.

    Each metric is asked for separately because boards differ in what they support.
    """
    cannot_tell = (
        pynvml.NVML_ERROR_NOT_SUPPORTED,
        pynvml.NVML_ERROR_NO_PERMISSION,
        pynvml.NVML_ERROR_FUNCTION_NOT_FOUND,
        pynvml.NVML_ERROR_NO_DATA,
        pynvml.NVML_ERROR_ARGUMENT_VERSION_MISMATCH,
        pynvml.NVML_ERROR_DEPRECATED,
        pynvml.NVML_ERROR_INVALID_ARGUMENT,
    )
    try:
        return call(*arguments)
    except pynvml.NVMLLibraryMismatchError:
        return None  # how pynvml reports "function not found" for some calls
    except pynvml.NVMLError as error:
        if error.value in cannot_tell:
            return None
        raise


def _memory(nvml: Any, handle: Any) -> Any | None:
    newer = _maybe(nvml.nvmlDeviceGetMemoryInfo, handle, _MEMORY_V2)
    return newer if newer is not None else _maybe(nvml.nvmlDeviceGetMemoryInfo, handle)


def throttle_words(reasons: int) -> tuple[str, ...]:
    """Decode the bits of the clock event reasons that mean throttling."""
    words = tuple(word for bit, word in _THROTTLE_BITS.items() if reasons & bit)
    if reasons & _HARDWARE_SLOWDOWN and not reasons & 0xC0:
        return (*words, "hardware slowdown")
    return words


class GpuSampler:
    """Keeps NVML open for the monitor; GPUs are identified by UUID. Raises GpuGoneError."""

    def __init__(self) -> None:
        self._session = _session()
        with _gone_if_refused():
            self._nvml = self._session.__enter__()
        self._handles: dict[str, Any] = {}

    def close(self) -> None:
        """Close NVML."""
        with _gone_if_refused():
            self._session.__exit__(None, None, None)

    def index(self, uuid: str) -> int:
        """Return NVML's index of a GPU."""
        with _gone_if_refused():
            return int(self._nvml.nvmlDeviceGetIndex(self._handle(uuid)))

    def sample(self, uuid: str) -> GpuSample:
        """Take one sample of a GPU."""
        with _gone_if_refused():
            return _sample(self._nvml, self._handle(uuid))

    def processes(self, uuid: str) -> tuple[GpuProcess, ...]:
        """Return the processes that currently compute on a GPU."""
        with _gone_if_refused():
            call = self._nvml.nvmlDeviceGetComputeRunningProcesses
            found = _maybe(call, self._handle(uuid)) or ()
        return tuple(GpuProcess(pid=one.pid, memory=one.usedGpuMemory) for one in found)

    def _handle(self, uuid: str) -> Any:
        if uuid not in self._handles:
            self._handles[uuid] = self._nvml.nvmlDeviceGetHandleByUUID(uuid)
        return self._handles[uuid]


@contextmanager
def _gone_if_refused() -> Iterator[None]:
    try:
        yield
    except (pynvml.NVMLError, pynvml.NVMLLibraryMismatchError) as error:
        raise GpuGoneError(str(error)) from error


def _sample(nvml: Any, handle: Any) -> GpuSample:
    rates = _maybe(nvml.nvmlDeviceGetUtilizationRates, handle)
    memory = _memory(nvml, handle)
    power = _maybe(nvml.nvmlDeviceGetPowerUsage, handle)
    energy = _maybe(nvml.nvmlDeviceGetTotalEnergyConsumption, handle)
    reasons = _maybe(nvml.nvmlDeviceGetCurrentClocksEventReasons, handle)
    if reasons is None:  # its name before driver 530
        reasons = _maybe(nvml.nvmlDeviceGetCurrentClocksThrottleReasons, handle)
    return GpuSample(
        utilisation=rates.gpu / 100 if rates is not None else None,
        memory_used=memory.used if memory is not None else None,
        power=power / 1000 if power is not None else None,
        temperature=_maybe(nvml.nvmlDeviceGetTemperature, handle, nvml.NVML_TEMPERATURE_GPU),
        sm_clock=_maybe(nvml.nvmlDeviceGetClockInfo, handle, nvml.NVML_CLOCK_SM),
        energy=energy / 1000 if energy is not None else None,
        throttle=throttle_words(reasons or 0),
    )
