"""Running totals of samples, so that a run of days needs no memory."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field

from orchestrator.machine.gpu_facts import GpuSample
from orchestrator.machine.host_samples import HostSample
from orchestrator.metric import Metric

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
    """Running totals of the samples.

    `throttled` counts the samples of each GPU and reason, `longest` those of its longest streak.
    """

    spreads: dict[str, Spread] = field(default_factory=dict)
    throttled: dict[str, dict[str, int]] = field(default_factory=dict)
    looks: dict[str, int] = field(default_factory=dict)
    streaks: dict[str, dict[str, int]] = field(default_factory=dict)
    longest: dict[str, dict[str, int]] = field(default_factory=dict)
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
        self._follow(name, sample.throttle)
        if sample.energy is not None:
            first = self.energy.get(name, (sample.energy, 0.0))[0]
            self.energy[name] = (first, sample.energy)

    def _follow(self, name: str, throttle: tuple[str, ...]) -> None:
        """Count how many samples in a row have the same reason."""
        before, longest = self.streaks.get(name, {}), self.longest.setdefault(name, {})
        self.streaks[name] = now = {reason: before.get(reason, 0) + 1 for reason in throttle}
        longest |= {reason: max(count, longest.get(reason, 0)) for reason, count in now.items()}

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
