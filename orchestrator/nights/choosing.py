"""Finds the series that somebody names, in the last nights of all suites."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from orchestrator.errors import RequestError, nearest, quoted
from orchestrator.nights import files
from orchestrator.nights.record import Night, NightSeries

# Fewer digits of a series' digest are not a name.
_FEWEST_DIGITS = 6
_NAMED = 4
LISTING = "benchdock nightly status SUITE"


@dataclass(frozen=True, kw_only=True)
class Chosen:
    """A series of the last night of its suite."""

    night: Night
    series: NightSeries


def one(name: str, suite: str | None = None) -> Chosen:
    """Return the series of that key, of a prefix of it, of that title, or with those digits.

    Raises RequestError if there is none or more than one.
    """
    every = list(_last(suite))
    if not every:
        of_suite = f" of {quoted(suite)}" if suite else ""
        raise RequestError(
            f"there is no night{of_suite} yet", hint="run `benchdock nightly run SUITE`"
        )
    for matches in (_is_named, _is_meant):
        found = [chosen for chosen in every if matches(chosen.series, name)]
        if len(found) == 1:
            return found[0]
        if found:
            keys = ", ".join(chosen.series.key for chosen in found[:_NAMED])
            raise RequestError(f"{quoted(name)} is the name of several series", hint=f"use {keys}")
    near = nearest(name, [chosen.series.key for chosen in every])
    raise RequestError(
        f"no series of the last night is called {quoted(name)}",
        hint=f"did you mean {near}? `{LISTING}` lists them" if near else f"`{LISTING}` lists them",
    )


def _last(suite: str | None) -> Iterator[Chosen]:
    for name in files.suites() if suite is None else (suite,):
        for night in files.newest(name, 1):
            yield from (Chosen(night=night, series=series) for series in night.series)


def _is_named(series: NightSeries, name: str) -> bool:
    return name in (series.key, series.title)


def _is_meant(series: NightSeries, name: str) -> bool:
    if series.key.startswith(name):
        return True
    digits = len(name) >= _FEWEST_DIGITS
    return digits and (series.what.startswith(name) or series.key.endswith(f"-{name}"))
