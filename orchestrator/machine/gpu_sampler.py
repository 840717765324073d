"""Samples GPUs for the monitor: often what changes fast, rarely what does not.

Import this module late, as `nvml`. GPUs are identified by UUID, also parts of partitioned ones
(MIG), whose power, clocks and temperature are those of the whole GPU.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from orchestrator.machine import clock_reasons
from orchestrator.machine.gpu_facts import (
    GpuGoneError,
    GpuHealth,
    GpuProcess,
    GpuPulse,
    GpuSample,
)
from orchestrator.machine.nvml import ERRORS, Asker, Code, code, maybe, memory, session, slices

# Numbers of NVML's fields. The counters of reasons are in nanoseconds since the driver was loaded;
# those of heat and brake exist from driver 575 on, the instantaneous power from 535 on.
ENERGY, POWER_NOW = 83, 186
COUNTERS = {
    74: "power cap",
    76: "sync boost",
    269: "software thermal slowdown",
    270: "hardware thermal slowdown",
    271: "hardware power brake",
}
_NEWER = (269, 270, 271)
PULSE_FIELDS = (ENERGY, POWER_NOW, *COUNTERS)
HEALTH_FIELDS = {
    3: "ecc_corrected",
    4: "ecc_uncorrected",
    31: "pages_pending",
    94: "pcie_replays",
    144: "remap_pending",
    145: "remap_failed",
    230: "recovery",
}
_REMAPPED = (142, 143)
_FLAGS = ("pages_pending", "remap_pending", "remap_failed")
_THERMAL_POLICY = 1
_XID = 0x8
_MOST_EVENTS = 100
_DEGRADED = 1  # of the two lowest bits of the fabric's health mask


@dataclass
class _Watched:
    """A GPU, or a part of one with the GPU that it belongs to."""

    own: Any
    whole: Any
    name: str
    asker: Asker = field(default_factory=Asker)


@dataclass(slots=True)
class _Pulse:
    """What NVML answered, to be sorted out later."""

    asker: Asker
    fields: bytes
    clock: int | None
    mask: int | None
    power: int | None = None
    energy: int | None = None
    heat: Any = None

    def __call__(self) -> GpuPulse:
        with _gone_if_refused():
            found = self.asker.unpacked(self.fields)
        power, energy = found.get(POWER_NOW, self.power), found.get(ENERGY, self.energy)
        counted = {
            word: found[number] / 1e9 for number, word in COUNTERS.items() if number in found
        }
        if self.heat is not None:
            counted[clock_reasons.THERMAL] = self.heat.violationTime / 1e9
        return GpuPulse(
            power=power / 1000 if power is not None else None,
            sm_clock=self.clock,
            energy=energy / 1000 if energy is not None else None,
            reasons=clock_reasons.words(self.mask) if self.mask is not None else None,
            counted=counted,
        )


class GpuSampler:
    """Keeps NVML open for the monitor. All methods raise GpuGoneError."""

    def __init__(self) -> None:
        self._session = session()
        with _gone_if_refused():
            self._nvml = self._session.__enter__()
        self._watched: dict[str, _Watched] = {}
        self._events: Any = None

    def close(self) -> None:
        """Close NVML."""
        with _gone_if_refused():
            if self._events is not None:
                maybe(self._nvml.nvmlEventSetFree, self._events)
            self._session.__exit__(None, None, None)

    def name(self, uuid: str) -> str:
        """Return `gpu` and NVML's index; a part of a GPU adds its own: gpu0:1."""
        with _gone_if_refused():
            return self._of(uuid).name

    def pulse(self, uuid: str) -> Callable[[], GpuPulse]:
        """Read what changes fast: three calls, of which one gets all counters.

        The values are sorted out when the answer is called: for many pulses at once, that takes a
        tenth of the time of doing it after each pause.
        """
        try:
            return self._pulse(self._of(uuid))
        except ERRORS as error:
            raise GpuGoneError(str(error)) from error

    def sample(self, uuid: str) -> GpuSample:
        """Read what changes slowly."""
        with _gone_if_refused():
            return self._sample(self._of(uuid))

    def health(self, uuid: str) -> GpuHealth:
        """Read counts of errors, limits and states of the board."""
        with _gone_if_refused():
            return self._health(self._of(uuid))

    def errors(self, uuid: str) -> Mapping[str, tuple[str, int]]:
        """Return the last error of each metric that failed for a moment, and how often."""
        return self._of(uuid).asker.errors

    def latencies(self, uuid: str) -> dict[int, int]:
        """Return what the driver says each fast field costs it, in microseconds."""
        with _gone_if_refused():
            one = self._of(uuid)
            return one.asker.latencies(one.whole, PULSE_FIELDS)

    def register(self, uuids: tuple[str, ...]) -> None:
        """Ask for the Xid events of these GPUs from now on; earlier ones are not delivered."""
        with _gone_if_refused():
            self._events = maybe(self._nvml.nvmlEventSetCreate)
            for uuid in uuids if self._events is not None else ():
                whole = self._of(uuid).whole
                kinds = (maybe(self._nvml.nvmlDeviceGetSupportedEventTypes, whole) or 0) & _XID
                if kinds:
                    maybe(self._nvml.nvmlDeviceRegisterEvents, whole, kinds, self._events)

    def events(self) -> tuple[tuple[str, int], ...]:
        """Return the Xids since the last call with the name of their GPU. Does not wait."""
        with _gone_if_refused():
            return tuple(self._new_events())

    def bus_id(self, uuid: str) -> str:
        """Return the PCI address as in the kernel's log, such as 0000:4f:00; "" if unknown."""
        with _gone_if_refused():
            found = maybe(self._nvml.nvmlDeviceGetPciInfo, self._of(uuid).whole)
        return found.busId.lower()[-12:].rpartition(".")[0] if found is not None else ""

    def _new_events(self) -> Iterator[tuple[str, int]]:
        for _ in range(_MOST_EVENTS if self._events is not None else 0):
            try:
                event = self._nvml.nvmlEventSetWait(self._events, 0)
            except ERRORS as error:
                if code(error) not in (Code.TIMEOUT, Code.LOST):  # the pulses notice a lost GPU
                    self._events = None
                return
            if event.eventType & _XID:
                yield self._name_of(event.device), int(event.eventData)

    def _name_of(self, handle: Any) -> str:
        index = maybe(self._nvml.nvmlDeviceGetIndex, handle)
        return f"gpu{index}" if index is not None else "gpu"

    def _of(self, uuid: str) -> _Watched:
        if uuid not in self._watched:
            self._watched[uuid] = self._found(uuid)
        return self._watched[uuid]

    def _found(self, uuid: str) -> _Watched:
        one = self._handles(uuid)
        one.asker.fields(one.whole, PULSE_FIELDS)  # to know which fields there are
        return one

    def _handles(self, uuid: str) -> _Watched:
        nvml, own = self._nvml, self._nvml.nvmlDeviceGetHandleByUUID(uuid)
        if not uuid.startswith("MIG-"):
            return _Watched(own, own, f"gpu{nvml.nvmlDeviceGetIndex(own)}")
        whole = nvml.nvmlDeviceGetDeviceHandleFromMigDeviceHandle(own)
        name = f"gpu{nvml.nvmlDeviceGetIndex(whole)}"
        number = next((index for index, _, other in slices(whole) if other == uuid), "?")
        return _Watched(own, whole, f"{name}:{number}")

    def _pulse(self, one: _Watched) -> Callable[[], GpuPulse]:
        nvml, asker, whole = self._nvml, one.asker, one.whole
        ask, fails = asker.ask, asker.fails
        fields = asker.packed(whole, PULSE_FIELDS)
        clock = ask("clock", nvml.nvmlDeviceGetClockInfo, whole, nvml.NVML_CLOCK_SM)
        mask = ask("reasons", nvml.nvmlDeviceGetCurrentClocksEventReasons, whole)
        if mask is None:  # its name before driver 535
            mask = ask("old reasons", nvml.nvmlDeviceGetCurrentClocksThrottleReasons, whole)
        told = _Pulse(asker, fields, clock, mask)
        # What has no field in an older driver, each by a call of its own.
        if not fields or fails(POWER_NOW):
            told.power = ask("power", nvml.nvmlDeviceGetPowerUsage, whole)
        if not fields or fails(ENERGY):
            told.energy = ask("energy", nvml.nvmlDeviceGetTotalEnergyConsumption, whole)
        if not fields or all(map(fails, _NEWER)):
            call = nvml.nvmlDeviceGetViolationStatus
            told.heat = ask("violations", call, whole, _THERMAL_POLICY)
        return told

    def _sample(self, one: _Watched) -> GpuSample:
        nvml, ask, whole = self._nvml, one.asker.ask, one.whole
        rates = ask("utilisation", nvml.nvmlDeviceGetUtilizationRates, one.own)
        size = memory(one.own, one.asker)
        return GpuSample(
            utilisation=rates.gpu / 100 if rates is not None else None,
            memory_used=size.used if size is not None else None,
            temperature=self._temperature(one),
            memory_clock=ask(
                "memory clock", nvml.nvmlDeviceGetClockInfo, whole, nvml.NVML_CLOCK_MEM
            ),
            pcie_generation=ask("link", nvml.nvmlDeviceGetCurrPcieLinkGeneration, whole),
            pcie_width=ask("link width", nvml.nvmlDeviceGetCurrPcieLinkWidth, whole),
            processes=self._processes(one),
        )

    def _temperature(self, one: _Watched) -> int | None:
        nvml, sensor = self._nvml, self._nvml.NVML_TEMPERATURE_GPU
        newer = one.asker.ask("temperature v", nvml.nvmlDeviceGetTemperatureV, one.whole, sensor)
        if newer is not None:
            return int(newer)
        return one.asker.ask("temperature", nvml.nvmlDeviceGetTemperature, one.whole, sensor)

    def _processes(self, one: _Watched) -> tuple[GpuProcess, ...] | None:
        """List the processes that compute or draw; a desktop is one of the latter."""
        computing, drawing = self._listed(one, "Compute"), self._listed(one, "Graphics")
        if computing is None and drawing is None:
            return None
        listed = {two.pid: two.usedGpuMemory for two in (*(computing or ()), *(drawing or ()))}
        return tuple(GpuProcess(pid=pid, memory=used) for pid, used in listed.items())

    def _listed(self, one: _Watched, kind: str) -> list[Any] | None:
        name = f"nvmlDeviceGet{kind}RunningProcesses"
        for call in (name, f"{name}_v2"):  # the second for drivers before 510
            found: list[Any] | None = one.asker.ask(call, getattr(self._nvml, call), one.own)
            if found is not None:
                return found
        return None

    def _health(self, one: _Watched) -> GpuHealth:
        nvml, ask, whole = self._nvml, one.asker.ask, one.whole
        found = one.asker.fields(whole, (*HEALTH_FIELDS, *_REMAPPED))
        values: dict[str, Any] = {
            name: bool(found[number]) if name in _FLAGS else int(found[number])
            for number, name in HEALTH_FIELDS.items()
            if number in found
        }
        if any(number in found for number in _REMAPPED):
            values["remapped_rows"] = int(sum(found.get(number, 0) for number in _REMAPPED))
        limit = ask("limit", nvml.nvmlDeviceGetEnforcedPowerLimit, whole)
        usual = ask("usual limit", nvml.nvmlDeviceGetPowerManagementDefaultLimit, whole)
        return GpuHealth(
            power_limit=limit / 1000 if limit is not None else None,
            power_limit_default=usual / 1000 if usual is not None else None,
            pcie_generation_max=ask("best link", nvml.nvmlDeviceGetMaxPcieLinkGeneration, whole),
            pcie_width_max=ask("best link width", nvml.nvmlDeviceGetMaxPcieLinkWidth, whole),
            **values,
            **self._fabric(one),
        )

    def _fabric(self, one: _Watched) -> dict[str, Any]:
        info = self._nvml.c_nvmlGpuFabricInfo_v2_t()
        # pynvml passes on what it gets: without byref, the driver would write to a random address.
        pointer, call = ctypes.byref(info), self._nvml.nvmlDeviceGetGpuFabricInfoV
        done = one.asker.ask("fabric", call, one.whole, pointer)
        if done is None:
            return {}
        return {"fabric": int(info.state), "fabric_degraded": info.healthMask & 3 == _DEGRADED}


@contextmanager
def _gone_if_refused() -> Iterator[None]:
    try:
        yield
    except ERRORS as error:
        raise GpuGoneError(str(error)) from error
