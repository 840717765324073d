"""Makes the record of a night of what was measured and judged."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import date

from orchestrator.nightly import causes, measured
from orchestrator.nightly.measured import Measured
from orchestrator.nights import Judgement, decisions
from orchestrator.nights.past import Past, is_good
from orchestrator.nights.record import (
    Cause,
    Night,
    NightAttribution,
    NightChange,
    NightDecision,
    NightJudgement,
    NightSeries,
)


@dataclass(frozen=True, kw_only=True)
class Judged:
    """A series of tonight; `machine` is by how much the machine is off, None if unknown."""

    measured: Measured
    judgement: Judgement
    cause: Cause | None
    machine: float | None
    attribution: NightAttribution | None = None


def record(
    suite: str,
    session: str,
    *,
    number: int,
    night: date,
    machine: str,
    times: tuple[float, float],
    judged: Sequence[Judged],
    past: Past,
    decided: Sequence[NightDecision],
    problems: Iterable[str],
) -> Night:
    """Return the record of a night; `times` are those of its start and end."""
    made = sum(one.measured.made for one in judged)
    failed = sum(one.measured.failed for one in judged)
    off = judged[0].machine if judged else None
    facts = measured.machine_facts([one.measured for one in judged])
    return Night(
        number=number,
        night=night,
        suite=suite,
        session=session,
        machine=machine,
        started=times[0],
        finished=times[1],
        facts=facts,
        series=tuple(_series(one, facts, past, decided, night) for one in judged),
        problems=tuple(problems),
        uncounted=causes.why_uncounted(made, failed, off),
    )


def _series(
    judged: Judged,
    machine: dict[str, str],
    past: Past,
    decided: Sequence[NightDecision],
    night: date,
) -> NightSeries:
    one, cell = judged.measured, judged.measured.cell
    mute = decisions.in_force(decided, one.key, night)
    changed = _changed(judged, machine, past)
    return NightSeries(
        key=one.key,
        title=cell.title,
        request=cell.digest,
        what=one.what,
        place=one.place,
        group=cell.origin.group,
        model=str(cell.settings.get("model", "")),
        framework=str(cell.settings.get("framework", "")),
        phase=str(cell.settings.get("phase", "")),
        control=cell.is_control,
        planned=one.planned,
        runs=one.runs,
        judgement=_judgement(judged),
        cause=causes.settled(judged.judgement, judged.cause, changed, judged.attribution),
        changed=changed,
        attribution=judged.attribution,
        facts=dict(one.facts),
        uncounted=causes.why_uncounted(one.made, one.failed, None),
        muted=mute.why if mute else None,
        decisions=tuple(_told(decided, one.key, past, mute)),
    )


def _judgement(judged: Judged) -> NightJudgement:
    told = judged.judgement
    sentence = told.sentence
    if not any(map(is_good, judged.measured.runs)):
        sentence = "no verdict: no run worked"
    return NightJudgement(**{**asdict(told), "sentence": sentence})


def _changed(judged: Judged, machine: dict[str, str], past: Past) -> tuple[NightChange, ...]:
    if judged.judgement.verdict not in ("regressed", "improved", "ambiguous"):
        return ()
    baseline = past.baseline(judged.measured.key)
    return causes.changes(judged.measured.facts, machine, baseline)


def _told(
    decided: Sequence[NightDecision], key: str, past: Past, mute: NightDecision | None
) -> Iterable[NightDecision]:
    """Yield what was decided on a series since the last night, and the mute in force."""
    last = past.last.number if past.last else 0
    for one in decided:
        if one.series == key and (one.night >= last or one is mute):
            yield one
