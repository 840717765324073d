"""Whether a slower series means a slower framework or a slower machine, and what changed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from orchestrator.nights.judgement import Judgement
from orchestrator.nights.past import Entry
from orchestrator.nights.record import DRIVER, Cause, NightAttribution, NightChange
from orchestrator.stats import median
from orchestrator.units import counted

# Of all runs that were started: if so many failed, something else was wrong that night.
MOST_FAILED = 0.3
_OFF = ("regressed", "improved")


def machine_change(controls: Iterable[Judgement]) -> float | None:
    """Return by how much the machine is off; 0 if it is not, None if no control says.

    It is off if all controls agree: their images never change.
    """
    known = [one for one in controls if one.verdict != "no data"]
    if not known:
        return None
    verdicts = {one.verdict for one in known}
    if len(verdicts) > 1 or not verdicts <= set(_OFF):
        return 0.0
    return median([one.change or 0.0 for one in known])


def of(judged: Judgement, machine: float | None) -> Cause | None:
    """Return why a series changed, None if it did not or if that is unknown.

    A series that changed by more than the machine did, and by more than it can be wrong, changed
    because of its framework as well.
    """
    if judged.verdict not in _OFF or judged.change is None or machine is None:
        return None
    if not machine or machine * judged.change < 0:
        return "framework"
    return "framework" if abs(judged.change) - abs(machine) > (judged.limit or 0.0) else "machine"


def settled(
    judged: Judgement,
    cause: Cause | None,
    changed: Sequence[NightChange],
    turns: NightAttribution | None,
) -> Cause | None:
    """Return why a series changed, after old and new image ran in `turns`, if they did.

    It is the driver if that has changed and the image cannot be it: the old image is slower too,
    by half of the change or more, or nothing else has changed.
    """
    labels = {one.label for one in changed}
    if judged.verdict not in _OFF or cause == "machine" or DRIVER not in labels:
        return cause
    if turns is None:
        return "driver" if labels == {DRIVER} else cause
    too = explains(turns.old or 0.0, judged.change or 0.0)
    return "driver" if too and not turns.explained else cause


def explains(part: float, change: float) -> bool:
    """Whether a difference is half of a change or more, in its direction."""
    return abs(part) >= abs(change) / 2 and part * change > 0


def why_uncounted(made: int, failed: int, machine: float | None) -> str | None:
    """Return why no later night is compared with this one, None if they are."""
    if made and failed >= MOST_FAILED * made:
        return f"{failed} of {counted(made, 'run')} failed"
    if machine:
        return f"the machine was {abs(machine) * 100:.1f} % {'slower' if machine < 0 else 'faster'}"
    return None


def changes(
    facts: Mapping[str, str], machine: Mapping[str, str], baseline: Entry | None
) -> tuple[NightChange, ...]:
    """Return what is not as it was on the last night that tonight is compared with."""
    if baseline is None:
        return ()
    night, series = baseline
    return (*_changes(facts, series.facts), *_changes(machine, night.facts))


def _changes(now: Mapping[str, str], before: Mapping[str, str]) -> Sequence[NightChange]:
    return [
        NightChange(label=name, before=before[name], after=now[name])
        for name in now
        if name in before and before[name] != now[name]
    ]
