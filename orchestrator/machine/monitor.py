"""Watches the machine during a benchmark: load, memory, CPU and GPUs, once a second.

Samples go to `monitor.jsonl`; the summary is kept as running minima, means and maxima, so that a
run of days needs no memory. No error here ends a run.
"""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from io import TextIOBase
from pathlib import Path
from typing import Protocol, Self

from orchestrator.machine.gpu_facts import GpuGoneError, GpuProcess, GpuSample
from orchestrator.machine.inventory import parse_meminfo
from orchestrator.metric import Metric
from orchestrator.units import share

SCHEMA = 1
UNITS = {
    "load": "processes",
    "cpu": "%",
    "steal": "%",
    "memory_available": "bytes",
    "utilisation": "%",
    "memory_used": "bytes",
    "power": "W",
    "temperature": "degC",
    "sm_clock": "MHz",
    "energy": "J",
}
# Disturbances shorter than this share of the run are not reported.
THROTTLED_ENOUGH = 0.02
STEAL_ENOUGH = 0.02
BUSY_BEFORE = 0.10
STALE_SECONDS = 3.0
# A broken GPU driver may never answer; the run does not wait for it.
JOIN_SECONDS = 3.0


class GpuSource(Protocol):
    """The part of `gpu.GpuSampler` that the monitor needs, so that tests can simulate faults."""

    def index(self, uuid: str) -> int:
        """Return NVML's index."""

    def sample(self, uuid: str) -> GpuSample:
        """Take one sample. Raises GpuGoneError."""

    def processes(self, uuid: str) -> tuple[GpuProcess, ...]:
        """Return the processes that compute on it. Raises GpuGoneError."""

    def close(self) -> None:
        """Close it."""


@dataclass(frozen=True, kw_only=True)
class HostSample:
    """One sample of the host; shares of all CPUs since the last sample."""

    load: float
    cpu: float
    steal: float
    memory_available: int


@dataclass
class Spread:
    """Minimum, mean and maximum of a series."""

    count: int = 0
    total: float = 0.0
    least: float = float("inf")
    most: float = float("-inf")

    def add(self, value: float) -> None:
        """Add one value."""
        self.count += 1
        self.total += value
        self.least = min(self.least, value)
        self.most = max(self.most, value)


@dataclass
class Tally:
    """Running totals of the samples."""

    spreads: dict[str, Spread] = field(default_factory=dict)
    throttled: dict[str, dict[str, int]] = field(default_factory=dict)
    looks: dict[str, int] = field(default_factory=dict)
    energy: dict[str, tuple[float, float]] = field(default_factory=dict)

    def host(self, sample: HostSample) -> None:
        """Count one sample of the host."""
        for name, value in asdict(sample).items():
            share = UNITS[name] == "%"
            self.spreads.setdefault(name, Spread()).add(value * 100 if share else value)

    def gpu(self, name: str, sample: GpuSample) -> None:
        """Count one sample of a GPU, known as `name`."""
        for metric in ("utilisation", "memory_used", "power", "temperature", "sm_clock"):
            value = getattr(sample, metric)
            if value is not None:
                share = UNITS[metric] == "%"
                spread = self.spreads.setdefault(f"{name}.{metric}", Spread())
                spread.add(value * 100 if share else value)
        self.looks[name] = self.looks.get(name, 0) + 1
        reasons = self.throttled.setdefault(name, {})
        for reason in sample.throttle:
            reasons[reason] = reasons.get(reason, 0) + 1
        if sample.energy is not None:
            first = self.energy.get(name, (sample.energy, 0.0))[0]
            self.energy[name] = (first, sample.energy)

    def metrics(self) -> dict[str, Metric]:
        """Return `<what>.min|mean|max`, throttled shares and energy, each with its unit."""
        found = {}
        for name, spread in sorted(self.spreads.items()):
            unit = UNITS[name.rpartition(".")[2]]
            found[f"{name}.min"] = Metric(value=spread.least, unit=unit)
            found[f"{name}.mean"] = Metric(value=spread.total / spread.count, unit=unit)
            found[f"{name}.max"] = Metric(value=spread.most, unit=unit)
        for name, reasons in sorted(self.throttled.items()):
            for reason, count in sorted(reasons.items()):
                share = 100 * count / self.looks[name]
                found[f"{name}.throttled.{reason.replace(' ', '_')}"] = Metric(
                    value=share, unit="%"
                )
        for name, (first, last) in sorted(self.energy.items()):
            if last > first:
                found[f"{name}.energy"] = Metric(value=last - first, unit="J")
        return found


class HostSource:
    """Reads the host's state from /proc through files that stay open. Raises OSError."""

    def __init__(self, proc: Path = Path("/proc")) -> None:
        self._files = {
            name: os.open(proc / name, os.O_RDONLY | os.O_CLOEXEC)
            for name in ("stat", "loadavg", "meminfo")
        }
        self._ticks = self._read_ticks()
        self._since = time.monotonic()
        self._own = _own_cpu()

    def before(self, window: float) -> HostSample:
        """Sample what other processes do, since this was made; wait until that is `window` seconds.

        Our own CPU time is subtracted. If too much time has passed (an image was built meanwhile),
        that says nothing about now: then the window begins here.
        """
        if time.monotonic() - self._since > STALE_SECONDS:
            self.sample()
            self._since, self._own = time.monotonic(), _own_cpu()
        time.sleep(max(0.0, self._since + window - time.monotonic()))
        passed = (time.monotonic() - self._since) * (os.cpu_count() or 1)
        sample = self.sample()
        own = (_own_cpu() - self._own) / passed if passed else 0.0
        return replace(sample, cpu=max(0.0, sample.cpu - own))

    def close(self) -> None:
        """Close the files."""
        for descriptor in self._files.values():
            os.close(descriptor)
        self._files = {}

    def sample(self) -> HostSample:
        """Take one sample; shares are since the last one."""
        before, self._ticks = self._ticks, self._read_ticks()
        # max: the kernel's iowait may run backwards.
        passed = [max(0, now - then) for now, then in zip(self._ticks, before, strict=True)]
        total = max(sum(passed), 1)
        idle, steal = passed[3] + passed[4], passed[7]
        return HostSample(
            load=float(self._text("loadavg").split()[0]),
            cpu=(sum(passed) - idle - steal) / total,
            steal=steal / total,
            memory_available=parse_meminfo(self._text("meminfo")).get("MemAvailable", 0),
        )

    def _read_ticks(self) -> list[int]:
        # user nice system idle iowait irq softirq steal; guest time is part of user time
        words = self._text("stat").split(maxsplit=9)[1:9]
        return [int(word) for word in words]

    def _text(self, name: str) -> str:
        return os.pread(self._files[name], 2048, 0).decode("ascii", "replace")


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


def _nvml() -> GpuSource:
    from orchestrator.machine.gpu import GpuSampler

    return GpuSampler()


class Monitor:
    """Takes samples in a thread until the `with` block ends.

    `gpus` are UUIDs; tests replace `gpu_source` and `host_source`.
    """

    def __init__(
        self,
        path: Path,
        *,
        gpus: Sequence[str] = (),
        interval: float = 1.0,
        baseline: float = 0.1,
        gpu_source: Callable[[], GpuSource] = _nvml,
        host_source: Callable[[], HostSource] = HostSource,
    ) -> None:
        self._path = path
        self._interval = interval
        self._baseline = baseline
        self._gpus: dict[str, str] = {uuid: uuid for uuid in gpus}
        self._make_gpu_source = gpu_source
        self._make_host_source = host_source
        self._host: HostSource | None = None
        self._nvml: GpuSource | None = None
        self._file: TextIOBase | None = None
        self._warnings: list[str] = []
        self._whole = Tally()
        self._timed = Tally()
        self._stage = "starting"
        self._ended = threading.Event()
        self._started = time.monotonic()
        self._thread = threading.Thread(target=self._watch, name="monitor", daemon=True)

    def __enter__(self) -> Self:
        self._open()
        self._before()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Stop sampling; may be called twice."""
        self._ended.set()
        if self._thread.is_alive():
            self._thread.join(JOIN_SECONDS)
        if self._thread.is_alive():
            self._warn("the GPU driver did not answer the monitor at the end of the run")

    def stage(self, name: str) -> None:
        """Note the new stage of the run; the summary covers the stage "timing" if there was one."""
        self._stage = name

    def summary(self) -> dict[str, Metric]:
        """Return minima, means and maxima with units: of the timed stage, else of the whole run."""
        return self._decisive().metrics()

    def warnings(self) -> tuple[str, ...]:
        """Return sentences about what makes the measurement, or the monitor itself, doubtful."""
        tally = self._decisive()
        found = list(self._warnings)
        for name, reasons in sorted(tally.throttled.items()):
            found += _throttle_words(name, reasons, tally)
        steal = tally.spreads.get("steal")
        if steal is not None and steal.total / steal.count > 100 * STEAL_ENOUGH:
            share = steal.total / steal.count
            found.append(f"other virtual machines took {share:.0f} % of this one's CPU time")
        return tuple(found)

    def _decisive(self) -> Tally:
        return self._timed if self._timed.spreads else self._whole

    def _open(self) -> None:
        try:
            self._host = self._make_host_source()
        except OSError as error:
            self._warn(f"the host was not monitored: {error}")
        try:
            self._file = self._path.open("a", encoding="ascii", buffering=1)
        except OSError as error:
            self._stop_writing(error)
        self._write({"schema": SCHEMA, "started": time.time(), "units": UNITS})
        if self._gpus:
            self._open_gpus()

    def _open_gpus(self) -> None:
        try:
            self._nvml = self._make_gpu_source()
        except GpuGoneError as error:
            self._warn(f"the GPUs were not monitored: {error}")
            self._gpus.clear()
        for uuid in list(self._gpus):
            self._try_gpu(uuid, self._meet)

    def _meet(self, nvml: GpuSource, uuid: str) -> None:
        """Find a GPU's index, and the processes that used it before the run."""
        self._gpus[uuid] = name = f"gpu{nvml.index(uuid)}"
        others = nvml.processes(uuid)
        if others:
            pids = ", ".join(str(one.pid) for one in others[:5])
            self._warn(f"{_title(name)} was in use before the run (process {pids})")

    def _try_gpu(self, uuid: str, action: Callable[[GpuSource, str], None]) -> None:
        """Sample a GPU; one that no longer answers is not asked again."""
        if self._nvml is None:
            return
        try:
            action(self._nvml, uuid)
        except GpuGoneError as error:
            name = self._gpus.pop(uuid)
            self._warn(f"{_title(name)} stopped answering the monitor: {error}")

    def _before(self) -> None:
        """Record the host's state just before the run."""
        if self._host is None:
            return
        sample = self._look_at_host(lambda host: host.before(self._baseline))
        if sample is not None and sample.cpu > BUSY_BEFORE:
            cores = os.cpu_count() or 1
            self._warn(
                f"other processes used {share(sample.cpu)} of the CPU before the run: "
                f"load {sample.load:.1f} on {cores} cores"
            )

    def _look_at_host(
        self, look: Callable[[HostSource], HostSample] = lambda host: host.sample()
    ) -> HostSample | None:
        if self._host is None:
            return None
        try:
            return look(self._host)
        except (OSError, ValueError, IndexError) as error:
            self._warn(f"the host was no longer monitored: {error}")
            self._host.close()
            self._host = None
            return None

    def _watch(self) -> None:
        due = time.monotonic() + self._interval
        while not self._ended.wait(max(0.0, due - time.monotonic())):
            self._look()
            # Continue from now if a slow driver delayed us, without a burst to catch up.
            due = max(due + self._interval, time.monotonic())
        self._look()
        self._close()

    def _look(self) -> None:
        stage = self._stage
        tallies = (self._whole, self._timed) if stage == "timing" else (self._whole,)
        line: dict[str, object] = {
            "t": round(time.monotonic() - self._started, 3),
            "stage": stage,
        }
        host = self._look_at_host()
        if host is not None:
            for tally in tallies:
                tally.host(host)
            line |= _rounded(asdict(host))
        for uuid in list(self._gpus):
            self._try_gpu(uuid, lambda nvml, uuid: self._count(nvml, uuid, tallies, line))
        self._write(line)

    def _count(
        self, nvml: GpuSource, uuid: str, tallies: Sequence[Tally], line: dict[str, object]
    ) -> None:
        name, sample = self._gpus[uuid], nvml.sample(uuid)
        for tally in tallies:
            tally.gpu(name, sample)
        line[name] = _rounded(asdict(sample))

    def _write(self, line: Mapping[str, object]) -> None:
        if self._file is None:
            return
        try:
            self._file.write(json.dumps(line, separators=(",", ":")) + "\n")
        except OSError as error:
            self._stop_writing(error)

    def _stop_writing(self, error: OSError) -> None:
        self._warn(f"{self._path.name} is incomplete: {error.strerror or error}")
        file, self._file = self._file, None
        _close_quietly(file)

    def _close(self) -> None:
        if self._host is not None:
            self._host.close()
        file, self._file = self._file, None
        _close_quietly(file)
        if self._nvml is not None:
            try:
                self._nvml.close()
            except GpuGoneError as error:
                self._warn(f"the GPU driver failed at the end of the run: {error}")

    def _warn(self, text: str) -> None:
        self._warnings.append(text)


def _close_quietly(file: TextIOBase | None) -> None:
    """Close a file whose loss has been reported already: closing flushes, and fails once more."""
    if file is None:
        return
    try:
        file.close()
    except OSError:
        return


def _rounded(values: Mapping[str, object]) -> dict[str, object]:
    """Leave out unknown values; four digits are enough for a share."""
    return {
        key: round(value, 4) if isinstance(value, float) else value
        for key, value in values.items()
        if value is not None and value != ()
    }


def _title(name: str) -> str:
    return f"GPU {name.removeprefix('gpu')}" if name.startswith("gpu") else f"GPU {name}"


def _throttle_words(name: str, reasons: Mapping[str, int], tally: Tally) -> list[str]:
    looks = tally.looks[name]
    return [
        f"{_title(name)} was throttled by {reason} for {100 * count / looks:.0f} % of the samples"
        for reason, count in sorted(reasons.items(), key=lambda pair: -pair[1])
        if count / looks >= THROTTLED_ENOUGH
    ]
