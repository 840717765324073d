"""Simulated nights on which the machine or a framework got slower: whether the two are told apart.

Two control series, which are steadier than others, and ten series that feel 40 to 100 % of what
happens to the machine.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from random import Random

from orchestrator.nightly import causes
from orchestrator.nights import CONTROL, SERIES, Judgement, Rule, judge
from tests.simulations.nights import RUNS, WARM, Series, World

STEADY = World("controls", spread=lambda _: 0.004, drift=0.002)
USUAL = World("series")
_CONTROLS, _SERIES, _OF_A_FLEET = 2, 10, 10
# What happened: changes of the machine and of the framework, as shares.
EVENTS = {
    "nothing": (0.0, 0.0),
    "machine -1 %": (-0.01, 0.0),
    "machine -2 %": (-0.02, 0.0),
    "machine -3 %": (-0.03, 0.0),
    "machine -5 %": (-0.05, 0.0),
    "framework -3 %": (0.0, -0.03),
    "machine -3 %, framework -6 %": (-0.03, -0.06),
}


@dataclass
class Told:
    """How often all controls were slower, and the causes of the series that were."""

    nights: int
    out: int = 0
    slower: int = 0
    machine: int = 0

    @property
    def out_share(self) -> float:
        """Return the share of nights on which the machine was called slower."""
        return self.out / self.nights

    @property
    def slower_share(self) -> float:
        """Return the share of series that were called slower."""
        return self.slower / (self.nights * _SERIES)

    @property
    def machine_share(self) -> float:
        """Return the share of those for which the machine was blamed."""
        return self.machine / self.slower if self.slower else 0.0


class _Known:
    """A series with its history."""

    def __init__(self, world: World, random: Random) -> None:
        self.series = Series(world, random)
        self.history: list[dict[str, object]] = []
        for _ in range(WARM):
            self.series.next_night()
            runs = self.series.runs(RUNS)
            self.history.append({"runs": runs, "verdict": "ok", "accepted": False})

    def night(self, shift: float, rule: Rule) -> Judgement:
        self.series.next_night()

        def rerun(count: int) -> list[float]:
            return self.series.runs(count, shift)

        return judge(self.history, rerun(RUNS), rerun, rule=rule)


def tell(*, machine: float = 0.0, framework: float = 0.0, nights: int = 100, seed: int = 1) -> Told:
    """Judge nights on which the machine, and the framework of all series, changed by these shares.

    Each night is the first one on which they did. Ten nights have the same history.
    """
    told = Told(nights)
    for number in range(nights // _OF_A_FLEET):
        _fleet(Random(f"{seed}-{number}"), machine, framework, told)
    return told


def _fleet(random: Random, machine: float, framework: float, told: Told) -> None:
    controls = [_Known(STEADY, random) for _ in range(_CONTROLS)]
    series = [_Known(USUAL, random) for _ in range(_SERIES)]
    feels = [random.uniform(0.4, 1.0) for _ in series]
    for _ in range(_OF_A_FLEET):
        judged = [one.night(math.log1p(machine), CONTROL) for one in controls]
        off = causes.machine_change(judged)
        told.out += bool(off)
        for one, share in zip(series, feels, strict=True):
            found = one.night(math.log1p(machine * share) + math.log1p(framework), SERIES)
            if found.verdict == "regressed":
                told.slower += 1
                told.machine += causes.of(found, off) == "machine"
