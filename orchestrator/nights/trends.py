"""Slow changes that several weeks show: advice, which changes no verdict and no exit status."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from datetime import date

from orchestrator.nights import noise, past, weeks
from orchestrator.nights.history import logarithms
from orchestrator.nights.past import Entry, Past
from orchestrator.nights.record import Night, NightAdvice, NightSeries
from orchestrator.nights.rule import CONTROL, SERIES

# A subject is not advised again for so many nights.
_SILENT = 14

# Natural logarithms by the number of the night.
Places = Mapping[int, float]


def advice(before: Past, tonight: Night, least: float | None = None) -> tuple[NightAdvice, ...]:
    """Return what is new tonight, of series, frameworks and all series together.

    `least` is the smallest step, a share of 1, that somebody wants to know of.
    """
    known = {one.key: _places(before, tonight, one) for one in tonight.series}
    dates = {night.number: night.night for night in _nights(before, tonight)}
    told = _recently(before)
    found = []
    for subject, places in (*_series(tonight, known), *_groups(tonight, known)):
        one = _advice(subject, places, dates)
        if one and abs(one.step) >= (least or 0.0) and (subject, one.step > 0) not in told:
            found.append(one)
    return tuple(found)


def _nights(before: Past, tonight: Night) -> Iterator[Night]:
    for entries in before.entries.values():
        yield from (night for night, _ in entries)
    yield tonight


def _recently(before: Past) -> set[tuple[str, bool]]:
    last = before.last.number if before.last else 0
    nights = {night.number: night for night in _nights(before, before.last)} if before.last else {}
    return {
        (one.subject, one.step > 0)
        for number, night in nights.items()
        if number > last - _SILENT
        for one in night.advice
    }


def _places(before: Past, tonight: Night, series: NightSeries) -> Places:
    """Return where the nights of the present level are."""
    entries: list[Entry] = [*before.entries.get(series.key, ()), (tonight, series)]
    level = past.level_of(entries)[-weeks.NIGHTS :]
    nights = {night.number: logarithms(past.counted(one)) for night, one in level}
    run_noise = noise.of_runs(list(nights.values()), CONTROL if series.control else SERIES)
    return {number: noise.place(runs, run_noise) for number, runs in nights.items()}


def _series(tonight: Night, known: Mapping[str, Places]) -> Iterator[tuple[str, Places]]:
    for one in tonight.series:
        yield one.key, known[one.key]


def _groups(tonight: Night, known: Mapping[str, Places]) -> Iterator[tuple[str, Places]]:
    frameworks: dict[str, list[str]] = {}
    for one in tonight.series:
        if not one.control:
            frameworks.setdefault(one.framework, []).append(one.key)
    for name, keys in frameworks.items():
        if len(keys) > 1:
            yield f"the {len(keys)} series of {name}", _mean(known[key] for key in keys)
    every = [key for keys in frameworks.values() for key in keys]
    if len(frameworks) > 1:
        yield f"all {len(every)} series", _mean(known[key] for key in every)


def _mean(series: Iterable[Places]) -> Places:
    known = [one for one in series if one]
    nights = sorted({night for one in known for night in one})
    return dict(zip(nights, weeks.group(known), strict=True))


def _advice(subject: str, places: Places, dates: Mapping[int, date]) -> NightAdvice | None:
    found = weeks.advise(list(places.values()))
    if found is None:
        return None
    first = list(places)[found.first]
    t = found.t if math.isfinite(found.t) else math.copysign(1e6, found.t)
    return NightAdvice(subject=subject, since=dates[first], step=found.step, t=t)
