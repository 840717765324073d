"""Nights of the simulated machine, each judged as a real one is."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from random import Random
from typing import Any

from orchestrator.demo.world import FRAMEWORKS, Source, Spec, Story, specs, story
from orchestrator.nights import CONTROL, SERIES, Judgement, judge
from orchestrator.nights.record import (
    Night,
    NightAdvice,
    NightChange,
    NightDecision,
    NightJudgement,
    NightRun,
    NightSeries,
)
from orchestrator.nights.weeks import Advice, advise, group
from orchestrator.version import VERSION

SUITE = "demo"
MACHINE = "simulated-machine"
SEED = 17
REPEATS = 5
SIMULATED = "This is a demo: the nights are simulated, and nothing was measured."
LAST_DAY = date(2026, 3, 31)
# A judgement looks at no more counted nights than these.
_REMEMBERED = 80
_START_HOUR, _RUN_SECONDS, _BETWEEN_SECONDS = 22, 55.0, 25.0
_DRIVERS = ("570.124.06", "575.57.08")
_MISSING = 0.004
_SCATTER = 2654435761


@dataclass
class _State:
    """A series while its nights are made."""

    source: Source
    history: list[dict[str, Any]] = field(default_factory=list)
    places: dict[int, float] = field(default_factory=dict)

    @property
    def key(self) -> str:
        """Return what identifies it, as a digest would."""
        spec = self.source.spec
        digest = f"{(spec.number + 1) * _SCATTER % 2**32:08x}"
        return f"{spec.model}-{spec.framework}-{spec.phase}-{digest}"


@dataclass(frozen=True, kw_only=True)
class Made:
    """A night, and what was decided in the morning after it."""

    night: Night
    decisions: tuple[NightDecision, ...]


def nights(series: int, count: int, seed: int = SEED) -> Iterator[Made]:
    """Yield so many nights of so many series, oldest first; the last one is on LAST_DAY."""
    random = Random(seed)
    fleet = specs(series, random)
    told = story(fleet, count)
    states = [_State(Source(spec, told, Random(random.random()))) for spec in fleet]
    for number in range(count):
        evening = _Evening(told, states, number, count, random)
        yield Made(night=evening.night(), decisions=tuple(evening.decisions))


class _Evening:
    """One night while it is made."""

    def __init__(
        self, told: Story, states: Sequence[_State], number: int, count: int, random: Random
    ) -> None:
        self._story = told
        self._states = states
        self._number = number
        self._day = LAST_DAY - timedelta(days=count - 1 - number)
        start = datetime.combine(self._day, time(_START_HOUR), UTC)
        self._started = self._clock = start.timestamp()
        self._random = random
        self._runs: dict[int, list[NightRun]] = {}
        self.decisions: list[NightDecision] = []

    def night(self) -> Night:
        """Run it, judge it, remember it."""
        for state in self._states:
            state.source.next_night()
        for _ in range(REPEATS):
            for state in self._states:
                self._run(state, extra=False)
        judged = [self._judge(state) for state in self._states]
        slower = [
            one.verdict == "regressed"
            for state, one in zip(self._states, judged, strict=True)
            if state.source.spec.control
        ]
        by_machine = bool(slower) and all(slower)
        why = "the control series are slower" if by_machine else None
        records = [
            self._series(state, one, by_machine)
            for state, one in zip(self._states, judged, strict=True)
        ]
        last = self._number == self._story.last
        return Night(
            number=self._number + 1,
            night=self._day,
            suite=SUITE,
            session=f"{self._day:%Y%m%d}T220000-{SUITE}",
            machine=MACHINE,
            started=self._started,
            finished=self._clock,
            facts=self._facts(),
            series=tuple(records),
            advice=tuple(self._advice()) if last else (),
            problems=(
                SIMULATED,
                *((f"{why}: nothing is compared with this night",) if why else ()),
            ),
            uncounted=why,
        )

    def _facts(self) -> dict[str, str]:
        return {
            "driver": _DRIVERS[self._number >= self._story.driver],
            "kernel": "6.1.0-37-amd64",
            "benchdock": VERSION,
        }

    def _image(self, spec: Spec) -> str:
        newer = spec.framework == "pytorch" and not spec.control
        which = "new" if newer and self._number >= self._story.image else "old"
        return f"sha256:{Random(f'{spec.framework} {which}').getrandbits(256):064x}"

    def _run(self, state: _State, *, extra: bool) -> float | None:
        source, runs = state.source, self._runs.setdefault(state.source.spec.number, [])
        failed = source.fails()
        missed = not failed and self._random.random() < _MISSING
        value = None if failed or missed else source.runs(1)[0]
        seconds = 6.0 if failed else _RUN_SECONDS * self._random.uniform(0.95, 1.1)
        stamp = datetime.fromtimestamp(self._clock, UTC)
        message = "out of memory on the device" if failed else "the container was killed"
        runs.append(
            NightRun(
                result=f"{stamp:%Y%m%dT%H%M%S}-{source.spec.framework}-{source.spec.model}"
                f"-{source.spec.number:03x}",
                status="completed" if value is not None else "failed",
                throughput=value,
                trust="valid" if value is not None else None,
                extra=extra,
                started=self._clock,
                seconds=seconds,
                message="" if value is not None else message,
            )
        )
        self._clock += seconds + _BETWEEN_SECONDS
        return value

    def _judge(self, state: _State) -> Judgement:
        def rerun(count: int) -> list[float]:
            again = (self._run(state, extra=True) for _ in range(count))
            return [value for value in again if value is not None]

        spec = state.source.spec
        tonight = [run.throughput for run in self._runs[spec.number] if run.throughput is not None]
        rule = CONTROL if spec.control else SERIES
        return judge(state.history[-_REMEMBERED:], tonight, rerun, rule=rule)

    def _series(self, state: _State, judged: Judgement, by_machine: bool) -> NightSeries:
        spec = state.source.spec
        runs = tuple(self._runs[spec.number])
        accepted = spec.number == self._story.older and self._number == self._story.accepted
        if accepted:
            self.decisions.append(self._accept(state))
        state.history.append(
            {
                "runs": [run.throughput for run in runs if run.throughput is not None],
                "verdict": "invalid" if by_machine else judged.verdict,
                "accepted": accepted,
            }
        )
        if judged.value is not None and not by_machine:
            state.places[self._number] = math.log(judged.value)
        lost = judged.verdict == "regressed"
        return NightSeries(
            key=state.key,
            title=spec.title,
            group=spec.framework,
            model=spec.model,
            framework=spec.framework,
            phase=spec.phase,
            control=spec.control,
            planned=REPEATS,
            runs=runs,
            judgement=NightJudgement(sentence=judged.sentence, **asdict(judged)),
            cause=("machine" if by_machine else "framework") if lost else None,
            changed=self._changed(),
            facts={"image": self._image(spec), "framework": FRAMEWORKS[spec.framework][1]},
        )

    def _accept(self, state: _State) -> NightDecision:
        return NightDecision(
            kind="accept",
            series=state.key,
            night=self._number + 1,
            who="demo",
            why="the new kernels are slower and more exact",
            at=self._clock,
        )

    def _changed(self) -> tuple[NightChange, ...]:
        """Return what changed in the last fortnight."""
        since = self._number - self._story.driver
        if not 0 <= since < 14:
            return ()
        return (NightChange(label="GPU driver", before=_DRIVERS[0], after=_DRIVERS[1]),)

    def _advice(self) -> Iterator[NightAdvice]:
        for name in FRAMEWORKS:
            members = [
                state.places
                for state in self._states
                if state.source.spec.framework == name and not state.source.spec.control
            ]
            places = group(members)
            numbers = sorted({number for one in members for number in one})
            if found := advise(places):
                yield self._advised(f"all of {name}", numbers, found)
        for state in self._states:
            numbers = sorted(state.places)
            if found := advise([state.places[number] for number in numbers]):
                yield self._advised(state.source.spec.title, numbers, found)

    def _advised(self, subject: str, numbers: Sequence[int], found: Advice) -> NightAdvice:
        since = self._day - timedelta(days=self._number - numbers[found.first])
        return NightAdvice(subject=subject, since=since, step=found.step, t=found.t)
