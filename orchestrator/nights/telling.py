"""A night in words: what a mail says in the morning."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence

from orchestrator.errors import ExitStatus
from orchestrator.nights.past import is_good
from orchestrator.nights.record import NOT_ITS_OWN, Night, NightChange, NightSeries
from orchestrator.units import SAMPLES_PER_SECOND, counted, quantity

# More lines are not read, and longer mails look like logs.
MOST_LINES = 15
_NAMED = 2
_MOST_ACCEPTED = 3
_TITLE = 50


def subject(night: Night) -> str:
    """Return the night in one sentence, which is also the subject of the mail."""
    heard = [one for one in night.series if one.muted is None]
    ran = sum(_worked(one) for one in night.series)
    words = [f"{ran} of {len(night.series)} series ran"]
    for verdict, word in (("regressed", "slower"), ("improved", "faster")):
        found = [one for one in heard if one.judgement.verdict == verdict and not one.control]
        if found:
            words.append(f"{len(found)} got {word}: {_named(found)}")
    words.append(machine(night))
    if not ran and night.problems:
        words.append(night.problems[0])
    return f"{night.suite}: {'; '.join(filter(None, words))}"


def failures(night: Night) -> list[NightSeries]:
    """Return the series that somebody wants to hear of and of which a run failed or is missing."""
    return [one for one in night.series if one.muted is None and missing(one)]


def changed(night: Night, verdict: str) -> list[NightSeries]:
    """Return the series with a verdict that somebody wants to hear of."""
    return [one for one in night.series if one.muted is None and one.judgement.verdict == verdict]


def is_quiet(night: Night) -> bool:
    """Whether nobody needs to read about it."""
    return not (news(night) or night.problems or night.advice)


def news(night: Night) -> list[NightSeries]:
    """Return the series that somebody wants to hear of, worst first."""
    found = (*changed(night, "regressed"), *failures(night), *changed(night, "improved"))
    return list({one.key: one for one in found}.values())


def exit_status(night: Night) -> ExitStatus:
    """Return what a night ends with: failed or missing before slower, else success."""
    if failures(night) or not night.series:
        return ExitStatus.BENCHMARK_FAILED
    return ExitStatus.GATE_MISSED if changed(night, "regressed") else ExitStatus.OK


def lines(night: Night, *, report: str | None = None) -> list[str]:
    """Return the night in at most 15 lines, the worst first; the first is the subject.

    `report` is where the pages are.
    """
    last = [f"pages: {report}"] if report else []
    told, most = every_line(night), MOST_LINES - len(last)
    if len(told) <= most:
        return [*told, *last]
    left = len(told) - most + 1
    more = f"and {left} more lines: `benchdock nightly status {night.suite}`"
    return [*told[: most - 1], more, *last]


def every_line(night: Night) -> list[str]:
    """Return all that is to be said of a night; the first line is the subject."""
    return [subject(night), *_rest(night)]


def accept_command(*keys: str) -> str:
    """Return the command that makes the last night of some series their new level."""
    return f"benchdock accept {shlex.join(keys)} --why REASON"


def _accept(suite: str, slower: Sequence[NightSeries]) -> str:
    """Return the command that accepts all of them, or how to find their names if they are many."""
    if len(slower) <= _MOST_ACCEPTED:
        return accept_command(*(one.key for one in slower))
    names = f"`benchdock nightly status {suite}`"
    return f"benchdock accept SERIES... --why REASON ({names} lists the names)"


def _rest(night: Night) -> Iterator[str]:
    slower = changed(night, "regressed")
    for one in slower:
        yield from _changed(one)
    if slower:
        yield f"if it is meant to be so: {_accept(night.suite, slower)}"
    short = [one for one in failures(night) if _is_only_short(one)]
    for one in failures(night):
        if one not in short:
            yield failed(one)
    if short:
        yield _out_of_time(short)
    yield from night.problems
    for one in changed(night, "improved"):
        yield from _changed(one)
    for advice in night.advice:
        word = "slower" if advice.step < 0 else "faster"
        step = f"{abs(advice.step) * 100:.1f} % {word}"
        yield f"{advice.subject}: {step} since {advice.since}, too slowly for one night to show"


def _changed(one: NightSeries) -> Iterator[str]:
    judged = one.judgement
    before, after = (_figure(value) for value in (judged.baseline, judged.value))
    blamed = f" (the {one.cause})" if one.cause in NOT_ITS_OWN else ""
    yield f"{one.title}: {before} -> {after}{blamed}: {judged.sentence}"
    if one.changed and one.cause != "machine":
        what = ", ".join(map(_in_words, one.changed))
        yield f"  changed since then: {what}"
    why = explanation(one)
    if why:
        yield f"  {why}"


def explanation(one: NightSeries) -> str:
    """Say what explains a change, as far as it was tried; "" if there was nothing to try."""
    found = one.attribution
    if found is None:
        return "nothing but the driver has changed" if one.cause == "driver" else ""
    word = "explains it" if found.explained else "does not explain it"
    images = (
        f"the new image {word}: {found.change * 100:+.1f} % in {found.pairs} pairs of runs "
        "with old and new image"
    )
    if one.cause == "driver" and found.old is not None:
        return f"the driver explains it: the old image has {found.old * 100:+.1f} % too; {images}"
    return images


def _in_words(change: NightChange) -> str:
    return f"{change.label} {_short(change.before)} -> {_short(change.after)}"


def failed(one: NightSeries) -> str:
    """Say which runs of a series failed or are missing."""
    count = missing(one)
    why = next((run.message for run in one.runs if not is_good(run) and run.message), "")
    return f"{one.title}: {count} of {counted(one.planned, 'run')} failed or missing" + (
        f": {why}" if why else ""
    )


def _is_only_short(one: NightSeries) -> bool:
    """Whether a series ran, but less often than planned, because of the time."""
    usual = [run for run in one.runs if not run.extra]
    return any(map(is_good, usual)) and all(
        is_good(run) or run.status == "skipped" for run in usual
    )


def _out_of_time(short: Sequence[NightSeries]) -> str:
    """Say it in one line: a budget that is too short costs most series a repeat."""
    runs = sum(map(missing, short))
    why = next((run.message for one in short for run in one.runs if run.message), "")
    told = f"{counted(runs, 'run')} of {len(short)} series did not start"
    return f"{told}: {why}" if why else told


def missing(one: NightSeries) -> int:
    """Return how many of the planned runs did not work."""
    return one.planned - sum(is_good(run) for run in one.runs if not run.extra)


def _worked(one: NightSeries) -> bool:
    return any(map(is_good, one.runs))


def _named(found: Sequence[NightSeries]) -> str:
    named = [
        f"{_title(one)} {(one.judgement.change or 0.0) * 100:+.1f} %"
        for one in sorted(found, key=lambda one: one.judgement.change or 0.0)[:_NAMED]
    ]
    return ", ".join(named) + (", ..." if len(found) > _NAMED else "")


def _title(one: NightSeries) -> str:
    """Return a title for the subject, where a whole command line has no place."""
    return one.title if len(one.title) <= _TITLE else f"{one.title[: _TITLE - 3]}..."


def machine(night: Night) -> str:
    """Say how the machine is, as its control series show; "" without any."""
    controls = [one for one in night.series if one.control]
    known = [one for one in controls if one.judgement.verdict != "no data"]
    if not known:
        return ""
    verdicts = {one.judgement.verdict for one in known}
    if verdicts <= {"ok", "ambiguous"}:
        return "the machine is as before"
    if len(verdicts) > 1:
        return "the controls disagree on the machine"
    change = sum(one.judgement.change or 0.0 for one in known) / len(known)
    return f"the machine is {abs(change) * 100:.1f} % {'slower' if change < 0 else 'faster'}"


def _figure(value: float | None) -> str:
    return quantity(value, SAMPLES_PER_SECOND) if value is not None else "?"


def _short(text: str) -> str:
    return f"{text[:19]}..." if text.startswith("sha256:") else text
