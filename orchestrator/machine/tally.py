"""Running totals of samples, so that a run of days needs no memory."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field

from orchestrator.machine.gpu_facts import GpuPulse, GpuSample
from orchestrator.machine.host_samples import HostSample
from orchestrator.metric import Metric

UNITS = {
    "load": "processes",
    "cpu": "%",
    "steal": "%",
    "memory_available": "bytes",
    "iowait": "%",
    "disk": "bytes/s",
    "pressure_cpu": "%",
    "pressure_io": "%",
    "pressure_memory": "%",
    "cpu_clock": "MHz",
    "cpu_power": "W",
    "machine_power": "W",
    "program_cpu": "%",
    "program_memory": "bytes",
    "others_cpu": "%",
    "utilisation": "%",
    "memory_used": "bytes",
    "memory_clock": "MHz",
    "power": "W",
    "temperature": "degC",
    "sm_clock": "MHz",
    "energy": "J",
    "pcie_generation": "",
    "pcie_width": "lanes",
}
_PULSES = ("power", "sm_clock")
_SAMPLES = (
    *("utilisation", "memory_used", "temperature", "memory_clock"),
    *("pcie_generation", "pcie_width"),
)


@dataclass
class Spread:
    """Minimum, mean and maximum of a series."""

    count: int = 0
    total: float = 0.0
    least: float = float("inf")
    most: float = float("-inf")

    @property
    def mean(self) -> float:
        """Return the mean. Raises ZeroDivisionError without a value."""
        return self.total / self.count

    def add(self, value: float) -> None:
        """Add one value."""
        self.count += 1
        self.total += value
        self.least = min(self.least, value)
        self.most = max(self.most, value)


@dataclass
class Tally:
    """Running totals of samples, by metric."""

    spreads: dict[str, Spread] = field(default_factory=dict)

    def add(self, name: str, value: float | None, prefix: str = "") -> None:
        """Add a value, if it is known; shares become percentages."""
        if value is not None:
            scaled = value * 100 if UNITS[name] == "%" else value
            self.spreads.setdefault(prefix + name, Spread()).add(scaled)

    def host(self, sample: HostSample) -> None:
        """Count one sample of the host."""
        for name, value in asdict(sample).items():
            self.add(name, value)

    def mean(self, name: str) -> float | None:
        """Return the mean of a metric, None without values."""
        found = self.spreads.get(name)
        return found.mean if found is not None else None

    def metrics(self) -> dict[str, Metric]:
        """Return `<what>.min|mean|max`, each with its unit."""
        found = {}
        for name, spread in sorted(self.spreads.items()):
            unit = UNITS[name.rpartition(".")[2]]
            found[f"{name}.min"] = Metric(value=spread.least, unit=unit)
            found[f"{name}.mean"] = Metric(value=spread.mean, unit=unit)
            found[f"{name}.max"] = Metric(value=spread.most, unit=unit)
        return found


@dataclass
class GpuTally(Tally):
    """Running totals of one GPU.

    `throttled` counts the pulses of each reason, `longest` those of its longest streak, of the
    `looks` in which the reasons were known.
    """

    throttled: dict[str, int] = field(default_factory=dict)
    looks: int = 0
    longest: dict[str, int] = field(default_factory=dict)
    _streaks: dict[str, int] = field(default_factory=dict)

    def pulse(self, name: str, pulse: GpuPulse) -> None:
        """Count what changes fast of a GPU, known as `name`."""
        for metric in _PULSES:
            self.add(metric, getattr(pulse, metric), f"{name}.")
        if pulse.reasons is None:
            return
        self.looks += 1
        for reason in pulse.reasons:
            self.throttled[reason] = self.throttled.get(reason, 0) + 1
        self._streaks = {reason: self._streaks.get(reason, 0) + 1 for reason in pulse.reasons}
        for reason, count in self._streaks.items():
            self.longest[reason] = max(count, self.longest.get(reason, 0))

    def sample(self, name: str, sample: GpuSample) -> None:
        """Count what changes slowly."""
        for metric in _SAMPLES:
            self.add(metric, getattr(sample, metric), f"{name}.")
