"""What the monitor keeps of one GPU during a run."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from orchestrator.machine import clock_reasons
from orchestrator.machine.gpu_facts import GpuHealth, GpuProcess, GpuPulse, GpuSample
from orchestrator.machine.tally import GpuTally
from orchestrator.machine.window import Counters, Pending, Window
from orchestrator.metric import Metric

ENERGY = "energy"
FEWEST_IDLE = 10  # pulses, that is a second


@dataclass(frozen=True, kw_only=True)
class Throttling:
    """How long a reason lowered a GPU's clock in the timed window.

    `counted` says that the driver counted the time; else the share is that of the pulses, of which
    `samples` had the reason, `streak` of them in a row.
    """

    gpu: str
    reason: str
    share: float
    counted: bool = False
    samples: int = 0
    streak: int = 0


@dataclass
class WatchedGpu:
    """One GPU, known as `name`, the `number`th of the run.

    `whole` and `timed` are its totals of the run and of the window.
    """

    uuid: str
    name: str
    number: int
    whole: GpuTally = field(default_factory=GpuTally)
    timed: GpuTally = field(default_factory=GpuTally)
    before: GpuHealth = field(default_factory=GpuHealth)
    after: GpuHealth = field(default_factory=GpuHealth)
    answered: float = 0.0
    joined: dict[int, GpuProcess] = field(default_factory=dict)
    _counters: Counters = field(default_factory=Counters)
    _pulses: Pending[GpuPulse] = field(default_factory=Pending)
    _samples: Pending[GpuSample] = field(default_factory=Pending)
    _window: Window | None = None
    _quiet: list[float] = field(default_factory=list)
    _idle: list[float] = field(default_factory=list)
    _used: bool = False

    def pulse(self, time: float, pulse: GpuPulse) -> None:
        """Take a pulse."""
        self.whole.pulse(self.name, pulse)
        self._pulses.add(time, pulse)
        counted = dict(pulse.counted)
        if pulse.energy is not None:
            counted[ENERGY] = pulse.energy
        if counted:
            self._counters.add(time, counted)
        if pulse.power is not None and not self._used:
            self._quiet.append(pulse.power)

    def sample(self, time: float, sample: GpuSample) -> None:
        """Take a slow sample. Until something uses the GPU, the pulses before it show its rest."""
        self.whole.sample(self.name, sample)
        self._samples.add(time, sample)
        if sample.processes or sample.utilisation != 0:
            self.begin_use()
        if not self._used:
            self._idle += self._quiet
            self._quiet.clear()

    def begin_use(self) -> None:
        """Take no more pulses as those of a GPU at rest."""
        self._used = True
        self._quiet.clear()

    def settle(self, window: Window) -> None:
        """Sort what is within the window so far."""
        self._window = window
        self._counters.settle(window)
        for pulse in self._pulses.take(window):
            self.timed.pulse(self.name, pulse)
        for sample in self._samples.take(window):
            self.timed.sample(self.name, sample)

    @property
    def decisive(self) -> GpuTally:
        """Return the totals of the window, or of the run if the window had none."""
        return self.timed if self.timed.spreads else self.whole

    def throttling(self) -> Iterator[Throttling]:
        """Yield what lowered the clock, longest first; the driver's counters win over pulses."""
        tally, seconds = self.decisive, self._window.seconds if self._window else 0.0
        grown = self._counters.growth() if seconds > 0 else {}
        grown.pop(ENERGY, None)
        known = {*grown, *(word for one in grown for word in clock_reasons.COVERED.get(one, ()))}
        found = [
            Throttling(gpu=self.name, reason=reason, share=min(1.0, spent / seconds), counted=True)
            for reason, spent in grown.items()
            if spent > 0
        ]
        found += [
            Throttling(
                gpu=self.name,
                reason=reason,
                share=count / tally.looks,
                samples=count,
                streak=tally.longest[reason],
            )
            for reason, count in tally.throttled.items()
            if reason not in known
        ]
        yield from sorted(found, key=lambda one: -one.share)

    def metrics(self) -> Iterator[tuple[str, Metric]]:
        """Yield name and value of each metric, named `gpu0.<what>`."""
        yield from self.decisive.metrics().items()
        for one in self.throttling():
            name = f"{self.name}.throttled.{one.reason.replace(' ', '_')}"
            yield name, Metric(value=100 * one.share, unit="%")
        if len(self._idle) >= FEWEST_IDLE:
            ordered = sorted(self._idle)
            yield f"{self.name}.power_idle", Metric(value=ordered[len(ordered) // 2], unit="W")
        yield from self._energy()

    def _energy(self) -> Iterator[tuple[str, Metric]]:
        """Yield the energy of the window: counted, or power times seconds without a counter."""
        if self._window is None:
            return
        counted = self._counters.growth().get(ENERGY)
        power = self.decisive.mean(f"{self.name}.power")
        if counted:  # 0 means a window shorter than the counter's period
            yield f"{self.name}.energy", Metric(value=counted, unit="J")
        elif power is not None and self._window.seconds > 0:
            value = power * self._window.seconds
            yield f"{self.name}.energy_estimated", Metric(value=value, unit="J")
