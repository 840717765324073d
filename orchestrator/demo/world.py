"""A simulated machine with a suite: which series it has, and what happens in which night.

Nothing here was measured. Throughputs are in samples per second, shares of 1, nights count from 0.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from random import Random

MODELS = {
    "alexnet": 3900.0,
    "googlenet": 1480.0,
    "resnet50": 640.0,
    "vgg16": 390.0,
    "inception4": 260.0,
}
# Share of the fastest, and release.
FRAMEWORKS = {
    "caffe2": (0.78, "1.0.0"),
    "mxnet": (0.9, "1.9.0"),
    "pytorch": (1.0, "2.6.0"),
    "tensorflow": (0.94, "2.18.0"),
}
PHASES = {"training": 1.0, "inference": 3.1}
BATCHES = {"training": 32, "inference": 64}
CONTROLS = ("alexnet", "resnet50")

FEWEST = 6
_RUN_NOISE, _NIGHT_NOISE = 0.008, 0.0025
_CONTROL_NOISE = 0.004
_BAD_RUNS = 0.015


@dataclass(frozen=True, kw_only=True)
class Spec:
    """A series of the suite; `level` is its throughput, `host` how much it feels its host."""

    number: int
    model: str
    framework: str
    phase: str
    level: float
    noise: float
    host: float
    control: bool = False

    @property
    def title(self) -> str:
        """Return the name for people."""
        what = f"{self.model} {self.phase} {self.framework}"
        return f"control {what}" if self.control else what

    @property
    def batch(self) -> int:
        """Return the samples per step."""
        return BATCHES[self.phase]


def specs(count: int, random: Random) -> list[Spec]:
    """Return so many series, at least FEWEST; the first two are controls."""
    kinds = [
        (model, framework, phase)
        for model in MODELS
        for framework in FRAMEWORKS
        for phase in PHASES
    ]
    found = []
    for number in range(count):
        control = number < len(CONTROLS)
        model, framework, phase = kinds[(number - len(CONTROLS)) % len(kinds)]
        if control:
            model, framework, phase = CONTROLS[number], "pytorch", "training"
        level = MODELS[model] * FRAMEWORKS[framework][0] * PHASES[phase]
        found.append(
            Spec(
                number=number,
                model=model,
                framework=framework,
                phase=phase,
                level=level * random.uniform(0.95, 1.05),
                noise=_CONTROL_NOISE if control else _RUN_NOISE * random.uniform(0.5, 1.6),
                host=1.0 if control else random.uniform(0.5, 1.0),
                control=control,
            )
        )
    return found


@dataclass(frozen=True, kw_only=True)
class Story:
    """What happens, by the number of the night; `last` is tonight.

    step: tonight `stepped` loses 3 %.
    accepted: `older` lost 4 % and somebody accepted it two nights later.
    improved: `faster` gains 5 % and keeps it.
    ramp: `group` loses 1 % in 14 nights.
    fault: for one night the machine is slower by 4 %, with its controls.
    driver: the driver changes, and nothing else.
    images: `released` gets new images, the last one tonight.
    """

    last: int
    stepped: int
    older: int
    faster: int
    failing: int
    released: str
    group: str = "tensorflow"
    ramp_nights: int = 14
    losses: tuple[float, float, float] = (0.03, 0.04, 0.01)
    gain: float = 0.05
    host_loss: float = 0.04

    @property
    def accepted(self) -> int:
        """Return the night that was accepted; the loss came two nights before."""
        return max(0, self.last - 79)

    @property
    def improved(self) -> int:
        """Return the first faster night."""
        return max(0, self.last - 49)

    @property
    def ramp(self) -> int:
        """Return the first night of the ramp."""
        return max(0, self.last - 30)

    @property
    def fault(self) -> int:
        """Return the night of the host fault."""
        return max(0, self.last - 64)

    @property
    def driver(self) -> int:
        """Return the first night with the new driver."""
        return max(0, self.last - 39)

    @property
    def images(self) -> tuple[int, int]:
        """Return the first nights with new images of the framework `released`."""
        return self.improved, self.last

    def shift(self, spec: Spec, night: int) -> float:
        """Return by how much a series is off its first level, as a natural logarithm."""
        found = 0.0
        step, older, ramp = (math.log(1 - loss) for loss in self.losses)
        if spec.number == self.stepped and night >= self.last:
            found += step
        if spec.number == self.older and night >= self.accepted - 2:
            found += older
        if spec.number == self.faster and night >= self.improved:
            found += math.log(1 + self.gain)
        if spec.framework == self.group and not spec.control:
            found += ramp * min(1.0, max(0.0, (night - self.ramp) / self.ramp_nights))
        if night == self.fault:
            found += spec.host * math.log(1 - self.host_loss)
        return found


def story(series: list[Spec], nights: int) -> Story:
    """Choose the series to which something happens."""

    def first(model: str, framework: str, phase: str, otherwise: int) -> int:
        wanted = (model, framework, phase)
        for one in series:
            if not one.control and (one.model, one.framework, one.phase) == wanted:
                return one.number
        return len(series) - 1 - otherwise

    stepped = first("vgg16", "pytorch", "training", 0)
    return Story(
        last=nights - 1,
        stepped=stepped,
        released=series[stepped].framework,
        older=first("googlenet", "mxnet", "inference", 1),
        faster=first("resnet50", "pytorch", "inference", 2),
        failing=first("inception4", "mxnet", "training", 3),
    )


@dataclass
class Source:
    """One series while it is simulated."""

    spec: Spec
    story: Story
    random: Random
    effect: float = field(default=0.0, init=False)
    night: int = field(default=-1, init=False)

    def next_night(self) -> None:
        """Go on to the next night, which has an effect of its own."""
        self.night += 1
        self.effect = self.random.gauss(0, _NIGHT_NOISE)

    def runs(self, count: int) -> list[float]:
        """Return throughputs of runs of the present night."""
        center = math.log(self.spec.level) + self.effect + self.story.shift(self.spec, self.night)
        return [math.exp(center + self._noise()) for _ in range(count)]

    def fails(self) -> bool:
        """Whether all its runs fail tonight."""
        return self.spec.number == self.story.failing and self.night == self.story.last

    def _noise(self) -> float:
        noise = self.random.gauss(0, self.spec.noise)
        if self.random.random() < _BAD_RUNS:
            noise += math.log(1 - self.random.uniform(0.06, 0.15))
        return noise
