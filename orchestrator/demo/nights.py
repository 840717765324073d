"""Nights of the simulated machine, each judged as a real one is."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from random import Random

from orchestrator.demo.world import FRAMEWORKS, Source, Spec, Story, specs, story
from orchestrator.nightly import causes
from orchestrator.nights import CONTROL, SERIES, Judgement, decisions, judge, past, trends
from orchestrator.nights.past import Past
from orchestrator.nights.record import (
    Night,
    NightChange,
    NightDecision,
    NightJudgement,
    NightRun,
    NightSeries,
)
from orchestrator.version import VERSION

SUITE = "demo"
MACHINE = "simulated-machine"
SEED = 17
REPEATS = 5
SIMULATED = "this is a demo: the nights are simulated, and nothing was measured"
LAST_DAY = date(2026, 3, 31)
# A judgement looks at no more nights than these.
_REMEMBERED = 65
_START = time(22, tzinfo=UTC)
_RUN_SECONDS, _BETWEEN_SECONDS, _FAILED_SECONDS = 55.0, 25.0, 6.0
_DRIVERS = ("570.124.06", "575.57.08")
_KILLED = 0.004
_SCATTER = 2654435761


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
    sources = [Source(spec, told, Random(random.random())) for spec in fleet]
    known: list[Night] = []
    for number in range(count):
        before = past.of(reversed(known[-_REMEMBERED:]), MACHINE)
        night = _Evening(told, sources, before, number, random).night()
        decided = tuple(_decided(told, fleet, night))
        known.append(decisions.applied(night, decided))
        yield Made(night=night, decisions=decided)


def key(spec: Spec) -> str:
    """Return what identifies a series on the command line."""
    digest = f"{(spec.number + 1) * _SCATTER % 2**32:08x}"
    return f"{spec.model}-{spec.framework}-{spec.phase}-{digest}"


def _decided(told: Story, fleet: Sequence[Spec], night: Night) -> Iterator[NightDecision]:
    if night.number - 1 == told.accepted:
        yield NightDecision(
            kind="accept",
            series=key(fleet[told.older]),
            night=night.number,
            who="demo",
            why="the new kernels are slower and more exact",
            at=night.finished,
        )


@dataclass
class _Evening:
    """One night while it is made."""

    story: Story
    sources: Sequence[Source]
    before: Past
    number: int
    random: Random
    runs: dict[int, list[NightRun]] = field(default_factory=dict, init=False)

    def __post_init__(self) -> None:
        self.day = LAST_DAY - timedelta(days=self.story.last - self.number)
        self.clock = self.started = datetime.combine(self.day, _START).timestamp()
        which = int(self.number >= self.story.driver)
        self.facts = {
            "driver": _DRIVERS[which],
            "kernel": "6.1.0-37-amd64",
            "benchdock": VERSION,
        }

    def night(self) -> Night:
        """Run it in passes and judge it."""
        for source in self.sources:
            source.next_night()
        for _ in range(REPEATS):
            for source in self.sources:
                self._run(source, extra=False)
        judged = {source.spec.number: self._judge(source) for source in self.sources}
        controls = [judged[one.spec.number] for one in self.sources if one.spec.control]
        machine = causes.machine_change(controls)
        series = [self._series(one.spec, judged[one.spec.number], machine) for one in self.sources]
        planned = sum(one.planned for one in series)
        failed = sum(run.status == "failed" for one in series for run in one.runs)
        night = Night(
            number=self.number + 1,
            night=self.day,
            suite=SUITE,
            session=f"{self.day:%Y%m%d}T220000-{SUITE}",
            machine=MACHINE,
            started=self.started,
            finished=self.clock,
            facts=self.facts,
            series=tuple(series),
            problems=(SIMULATED,),
            uncounted=causes.why_uncounted(planned, failed, machine),
        )
        if self.number < self.story.last:
            return night
        return night.model_copy(update={"advice": trends.advice(self.before, night)})

    def _run(self, source: Source, *, extra: bool) -> float | None:
        """Make a run; return its throughput, None if it failed."""
        spec = source.spec
        broken = source.fails()
        killed = not broken and self.random.random() < _KILLED
        value = None if broken or killed else source.runs(1)[0]
        message = "out of memory on the device" if broken else "the container was killed"
        seconds = _FAILED_SECONDS if broken else _RUN_SECONDS * self.random.uniform(0.95, 1.1)
        stamp = f"{datetime.fromtimestamp(self.clock, UTC):%Y%m%dT%H%M%S}"
        run = NightRun(
            result=f"{stamp}-{spec.framework}-{spec.model}-{spec.number:03x}",
            status="failed" if value is None else "completed",
            throughput=value,
            trust=None if value is None else "valid",
            extra=extra,
            started=self.clock,
            seconds=seconds,
            message=message if value is None else "",
        )
        self.runs.setdefault(spec.number, []).append(run)
        self.clock += seconds + _BETWEEN_SECONDS
        return value

    def _judge(self, source: Source) -> Judgement:
        def rerun(count: int) -> list[float]:
            again = (self._run(source, extra=True) for _ in range(count))
            return [value for value in again if value is not None]

        history = self.before.history(key(source.spec))
        tonight = past.throughputs(self.runs[source.spec.number])
        return judge(history, tonight, rerun, rule=CONTROL if source.spec.control else SERIES)

    def _series(self, spec: Spec, judged: Judgement, machine: float | None) -> NightSeries:
        facts = self._image(spec)
        changed: tuple[NightChange, ...] = ()
        if judged.verdict in ("regressed", "improved", "ambiguous"):
            changed = causes.changes(facts, self.facts, self.before.baseline(key(spec)))
        runs = tuple(self.runs[spec.number])
        failed = sum(run.status == "failed" for run in runs)
        return NightSeries(
            key=key(spec),
            title=spec.title,
            group=spec.framework,
            model=spec.model,
            framework=spec.framework,
            phase=spec.phase,
            control=spec.control,
            planned=REPEATS,
            runs=runs,
            judgement=NightJudgement(sentence=judged.sentence, **asdict(judged)),
            cause=causes.settled(judged, causes.of(judged, machine), changed, None),
            changed=changed,
            facts=facts,
            uncounted=causes.why_uncounted(REPEATS, failed, None),
        )

    def _image(self, spec: Spec) -> dict[str, str]:
        """Return the facts of a series."""
        release = 0
        if spec.framework == self.story.released and not spec.control:
            release = sum(self.number >= first for first in self.story.images)
        digest = Random(f"{spec.framework} {release}").getrandbits(256)
        version = FRAMEWORKS[spec.framework][1].removesuffix("0") + str(release)
        return {"image": f"sha256:{digest:064x}", "framework": version}
