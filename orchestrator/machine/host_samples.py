"""Samples of the host from /proc and /sys: what its CPUs, memory and disks do, and its power."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from orchestrator.machine import meminfo, power_meters
from orchestrator.machine.own_work import OwnWork

STALE_SECONDS = 3.0
_PRESSURES = ("cpu", "io", "memory")
# A read of a clock interrupts that CPU; a few of them show what all do.
_MOST_CLOCKS = 8
_KIB = 1024


@dataclass(frozen=True, kw_only=True)
class HostSample:
    """One sample of the host; shares of all CPUs, and rates, since the last sample.

    `program_cpu` is the share that the program of the run used, `others_cpu` what neither it nor
    benchdock used. `pressure_*` are the shares of the time in which some task waited. Bytes per
    second, MHz, watts; None if the system does not say.
    """

    load: float
    cpu: float
    steal: float
    memory_available: int
    iowait: float | None = None
    disk: float | None = None
    pressure_cpu: float | None = None
    pressure_io: float | None = None
    pressure_memory: float | None = None
    cpu_clock: float | None = None
    cpu_power: float | None = None
    machine_power: float | None = None
    program_cpu: float | None = None
    program_memory: int | None = None
    others_cpu: float | None = None


class HostSource:
    """Reads the host's state through files that stay open. Raises OSError."""

    def __init__(self, proc: Path = Path("/proc"), sys: Path = Path("/sys")) -> None:
        self._files = {
            name: os.open(proc / name, os.O_RDONLY | os.O_CLOEXEC)
            for name in ("stat", "loadavg", "meminfo")
        }
        for name in ("vmstat", *(f"pressure/{one}" for one in _PRESSURES)):
            with suppress(OSError):  # older kernels, and some containers, do not have them
                self._files[name] = os.open(proc / name, os.O_RDONLY | os.O_CLOEXEC)
        self._clocks = _evenly(sorted(sys.glob("devices/system/cpu/cpufreq/policy*")), _MOST_CLOCKS)
        self._sys = sys
        self._rapl: power_meters.Rapl | None = None
        self._work: OwnWork | None = None
        self._program_before: float | None = None
        self._ticks = self._read_ticks()
        self._totals = self._read_totals()
        self._time = self._since = time.monotonic()
        self._own = self._own_before = _own_cpu()

    def before(self, window: float) -> HostSample:
        """Sample what other processes do, since this was made; wait until that is `window` seconds.

        Our own CPU time is subtracted. If too much time has passed (an image was built meanwhile),
        that says nothing about now: then the window begins here.
        """
        if time.monotonic() - self._since > STALE_SECONDS:
            self._without_power()
            self._since, self._own = time.monotonic(), _own_cpu()
        time.sleep(max(0.0, self._since + window - time.monotonic()))
        passed = (time.monotonic() - self._since) * (os.cpu_count() or 1)
        sample = self._without_power()
        own = (_own_cpu() - self._own) / passed if passed else 0.0
        return replace(sample, cpu=max(0.0, sample.cpu - own))

    def watch(self, work: OwnWork) -> None:
        """Tell the program of the run from all others; it has started since the last sample."""
        self._program_before = 0.0
        self._work = work

    def close(self) -> None:
        """Close the files."""
        for descriptor in self._files.values():
            os.close(descriptor)
        self._files = {}

    def sample(self) -> HostSample:
        """Take one sample; shares and rates are since the last one."""
        then = self._time
        sample = self._without_power()
        return self._with_power(sample, self._time - then)

    def _without_power(self) -> HostSample:
        before, self._ticks = self._ticks, self._read_ticks()
        # max: the kernel's iowait may run backwards.
        passed = [max(0, now - then) for now, then in zip(self._ticks, before, strict=True)]
        total = max(sum(passed), 1)
        idle, steal = passed[3] + passed[4], passed[7]
        sample = HostSample(
            load=float(self._text("loadavg").split()[0]),
            cpu=(sum(passed) - idle - steal) / total,
            steal=steal / total,
            memory_available=meminfo.parse(self._text("meminfo")).get("MemAvailable", 0),
            iowait=passed[4] / total,
            cpu_clock=self._clock(),
        )
        return self._with_rates(sample)

    def _with_rates(self, sample: HostSample) -> HostSample:
        """Add what is counted: waits, bytes, joules, and CPU time by whose it is."""
        now = time.monotonic()
        seconds, self._time = now - self._time, now
        before, self._totals = self._totals, self._read_totals()
        if seconds <= 0:
            return sample
        rates: dict[str, Any] = {
            name: (value - before[name]) / seconds
            for name, value in self._totals.items()
            if name in before and value >= before[name]
        }
        return self._with_program(replace(sample, **rates), seconds)

    def _with_power(self, sample: HostSample, seconds: float) -> HostSample:
        """Add what the meters say; the first sample has no power of the CPUs."""
        if self._rapl is None:
            self._rapl = power_meters.Rapl(self._sys)
        elif (joules := self._rapl.joules()) is not None and seconds > 0:
            sample = replace(sample, cpu_power=joules / seconds)
        return replace(sample, machine_power=power_meters.machine_power(self._sys))

    def _with_program(self, sample: HostSample, seconds: float) -> HostSample:
        before, self._own_before = self._own_before, _own_cpu()
        if self._work is None:
            return sample
        usage, then = self._work.usage(), self._program_before
        self._program_before = usage.cpu
        sample = replace(sample, program_memory=usage.memory)
        if usage.cpu is None or then is None or usage.cpu < then:
            return sample
        room = seconds * (os.cpu_count() or 1)
        program, ours = (usage.cpu - then) / room, (self._own_before - before) / room
        others = max(0.0, sample.cpu - program - ours)
        return replace(sample, program_cpu=program, others_cpu=others)

    def _read_ticks(self) -> list[int]:
        # user nice system idle iowait irq softirq steal; guest time is part of user time
        words = self._text("stat").split(maxsplit=9)[1:9]
        return [int(word) for word in words]

    def _read_totals(self) -> dict[str, float]:
        """Return seconds that tasks waited for each resource, and bytes read and written."""
        found = {}
        for name in _PRESSURES:
            waited = self._text(f"pressure/{name}").partition("total=")[2].split("\n")[0]
            if waited.isdigit():
                found[f"pressure_{name}"] = int(waited) / 1e6
        moved = [
            int(line.split()[1])
            for line in self._text("vmstat", 16384).split("\n")
            if line.startswith(("pgpgin ", "pgpgout "))
        ]
        if moved:
            found["disk"] = float(sum(moved) * _KIB)
        return found

    def _clock(self) -> float | None:
        """Return the mean clock of some CPUs in MHz."""
        found = []
        for policy in self._clocks:
            with suppress(OSError, ValueError):
                found.append(int((policy / "scaling_cur_freq").read_text("ascii")) / 1000)
        return sum(found) / len(found) if found else None

    def _text(self, name: str, size: int = 2048) -> str:
        if name not in self._files:
            return ""
        return os.pread(self._files[name], size, 0).decode("ascii", "replace")


def _evenly(paths: list[Path], most: int) -> list[Path]:
    step = -(-len(paths) // most) or 1
    return paths[::step]


@contextmanager
def watched_host() -> Iterator[Callable[[], HostSource]]:
    """Start watching the host now, for the `host_source` of a Monitor that starts later.

    So the time until then, which passes anyway, shows what others do before the run.
    """
    try:
        source = HostSource()
    except OSError:
        yield HostSource  # which raises again in the monitor, which reports it
        return
    try:
        yield lambda: source
    finally:
        source.close()


def _own_cpu() -> float:
    """Return the CPU seconds of this process and its ended children."""
    return sum(os.times()[:4])
