"""A night as metrics for node_exporter's textfile collector.

Samples have no timestamps, which that collector refuses. A night that never ran changes nothing in
the file, so alert on the age of `benchdock_night_finished_timestamp_seconds`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from orchestrator.nights import telling
from orchestrator.nights.record import Night, NightSeries

_VERDICTS = ("ok", "regressed", "improved", "ambiguous", "no data")
_STATUSES = ("completed", "failed", "skipped")

Labels = dict[str, str]
Sample = tuple[Labels, float]


def text(night: Night) -> str:
    """Return the metrics."""
    return "".join(_lines(night))


def _lines(night: Night) -> Iterator[str]:
    suite = {"suite": night.suite}
    runs: Counter[str] = Counter(run.status for one in night.series for run in one.runs)
    verdicts: Counter[str] = Counter(one.judgement.verdict for one in night.series)
    yield from _metric(
        "benchdock_night_finished_timestamp_seconds", "When the last night ended.",
        [(suite, night.finished)],
    )  # fmt: skip
    yield from _metric(
        "benchdock_night_duration_seconds", "How long the last night took.",
        [(suite, night.finished - night.started)],
    )  # fmt: skip
    yield from _metric(
        "benchdock_night_status", "0: nothing got slower, 1: something failed, 4: slower.",
        [(suite, float(telling.exit_status(night)))],
    )  # fmt: skip
    yield from _metric(
        "benchdock_night_runs", "Runs of the last night.",
        [({**suite, "status": one}, float(runs[one])) for one in _STATUSES],
    )  # fmt: skip
    yield from _metric(
        "benchdock_night_series", "Series of the last night.",
        [({**suite, "verdict": one}, float(verdicts[one])) for one in _VERDICTS],
    )  # fmt: skip
    yield from _of_series(night)


def _of_series(night: Night) -> Iterator[str]:
    judged = [(_labels(night, one), one.judgement) for one in night.series]
    yield from _metric(
        "benchdock_throughput", "Samples per second in the last night.",
        [(labels, one.value) for labels, one in judged if one.value is not None],
    )  # fmt: skip
    yield from _metric(
        "benchdock_throughput_baseline", "Samples per second of the nights before.",
        [(labels, one.baseline) for labels, one in judged if one.baseline is not None],
    )  # fmt: skip
    yield from _metric(
        "benchdock_throughput_change_ratio", "Change of the throughput, negative for slower.",
        [(labels, one.change) for labels, one in judged if one.change is not None],
    )  # fmt: skip


def _labels(night: Night, one: NightSeries) -> Labels:
    return {
        "suite": night.suite,
        "series": one.key,
        "model": one.model,
        "framework": one.framework,
        "phase": one.phase,
    }


def _metric(name: str, about: str, samples: list[Sample]) -> Iterator[str]:
    if not samples:
        return
    yield f"# HELP {name} {about}\n# TYPE {name} gauge\n"
    for labels, value in samples:
        told = ",".join(f'{key}="{_escaped(text)}"' for key, text in labels.items())
        yield f"{name}{{{told}}} {value!r}\n"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')
