"""Simulated nights: how often the rule of docs/nights.md errs, and what it finds.

A world is a fleet of series whose throughput has a level, a night effect (autoregressive if asked
for), the noise of runs, and some bad runs. Shifts are injected into a copy of every tenth night.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from random import Random

from orchestrator.nights import judge
from orchestrator.nights.noise import place
from orchestrator.nights.weeks import advise, group

RUNS = 5
WARM = 30  # nights of history before the first one that is judged
EVERY = 10
LEVEL = 3.0


def steady(_: Random) -> float:
    return 0.01


def mixed(random: Random) -> float:
    """Return a spread of runs between 0.3 and 3 %, evenly on a logarithmic scale."""
    return math.exp(random.uniform(math.log(0.003), math.log(0.03)))


@dataclass(frozen=True)
class World:
    """How a fleet behaves; shares of 1."""

    name: str
    spread: Callable[[Random], float] = steady
    drift: float = 0.003
    memory: float = 0.0
    bad: float = 0.02
    modes: float = 0.0


WORLDS = (
    World("CV 1 %, drift 0.3 %, 2 % bad runs"),
    World("drift with memory 0.9", memory=0.9),
    World("CV 0.3 to 3 %", spread=mixed),
    World("CV 0.3 %", spread=lambda _: 0.003),
    World("CV 1 %, drift 1 %", drift=0.01),
    World("two modes, 30 % of runs -2.5 %, CV 0.5 %", spread=lambda _: 0.005, modes=0.3),
)


@dataclass
class Series:
    """One series of a world, night after night."""

    world: World
    random: Random
    spread: float = 0.0
    effect: float = 0.0

    def __post_init__(self) -> None:
        self.spread = self.world.spread(self.random)

    def next_night(self) -> None:
        """Move the level by the effect of a new night."""
        keep = self.world.memory
        new = self.random.gauss(0, self.world.drift * math.sqrt(1 - keep * keep))
        self.effect = keep * self.effect + new

    def runs(self, count: int, shift: float = 0.0) -> list[float]:
        """Return throughputs of runs of the present night."""
        return [math.exp(LEVEL + self.effect + shift + self._noise()) for _ in range(count)]

    def _noise(self) -> float:
        noise = self.random.gauss(0, self.spread)
        if self.random.random() < self.world.bad:
            noise += math.log(1 - self.random.uniform(0.08, 0.2))
        if self.random.random() < self.world.modes:
            noise += math.log(1 - 0.025)
        return noise


@dataclass
class Seen:
    """What became of the nights of a fleet."""

    nights: int = 0
    false: set[int] = field(default_factory=set)
    ambiguous: int = 0
    judged: int = 0
    extra: int = 0
    found: dict[float, list[bool]] = field(default_factory=dict)

    @property
    def false_share(self) -> float:
        """Return the share of fleet nights with any false alarm."""
        return len(self.false) / self.nights

    @property
    def extra_share(self) -> float:
        """Return how many more runs were made, as a share of the usual ones."""
        return self.extra / (self.judged * RUNS)

    def found_share(self, shift: float) -> float:
        """Return the share of injected shifts that were found on their first night."""
        return sum(self.found[shift]) / len(self.found[shift])


def fleet(
    world: World,
    *,
    series: int = 40,
    nights: int = 60,
    seed: int = 1,
    shifts: Sequence[float] = (-0.02, -0.03, -0.05),
) -> Seen:
    """Judge every night of every series of a fleet."""
    seen = Seen(nights=nights, found={shift: [] for shift in shifts})
    for number in range(series):
        _judge_series(Series(world, Random(f"{seed}-{number}")), seen, nights)
    return seen


def _judge_series(one: Series, seen: Seen, nights: int) -> None:
    history: list[dict[str, object]] = []
    for night in range(WARM + nights):
        one.next_night()
        runs = one.runs(RUNS)
        if night < WARM:
            history.append({"runs": runs, "verdict": "ok", "accepted": False})
            continue
        judged = judge(history, runs, one.runs)
        seen.judged += 1
        seen.extra += len(judged.extra)
        seen.ambiguous += judged.verdict == "ambiguous"
        if judged.verdict in ("regressed", "improved"):
            seen.false.add(night)
        if night % EVERY == 0:
            for shift, found in seen.found.items():
                found.append(_is_found(one, history, math.log1p(shift)))
        history.append(
            {"runs": [*runs, *judged.extra], "verdict": judged.verdict, "accepted": False}
        )


def _is_found(one: Series, history: list[dict[str, object]], shift: float) -> bool:
    def rerun(count: int) -> list[float]:
        return one.runs(count, shift)

    return judge(history, rerun(RUNS), rerun).verdict == "regressed"


def ramps(
    world: World, *, members: int = 10, groups: int = 20, seed: int = 1, after: int = 14
) -> tuple[float, float]:
    """Return the share of ramps found, and of nights with false advice, in means of series.

    A ramp of -1 % over 14 nights begins after 60 nights, and is looked for `after` nights later.
    """
    found, false, nights = 0, 0, 0
    for number in range(groups):
        random = Random(f"{seed}-{number}")
        fleet_of = [Series(world, random) for _ in range(members)]
        places = [[_night(one) for _ in range(60 + after)] for one in fleet_of]
        flat = group([dict(enumerate(values)) for values in places])
        for night in range(30, 61):
            nights += 1
            false += advise(flat[:night]) is not None
        ramp = [-0.01 * min(1.0, max(0, night - 59) / 14) for night in range(60 + after)]
        found += advise([a + b for a, b in zip(flat, ramp, strict=True)]) is not None
    return found / groups, false / nights


def _night(one: Series) -> float:
    one.next_night()
    return place([math.log(run) for run in one.runs(RUNS)], one.spread)
