"""Nights in the database, for those who ask it questions; the files are the truth."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Table, delete, func, insert, select, update

from orchestrator.errors import BenchdockError
from orchestrator.nights import decisions
from orchestrator.nights.record import Night, NightDecision, NightSeries
from orchestrator.store import inserting, location, reading, schema
from orchestrator.store.database import writing


@dataclass(frozen=True, kw_only=True)
class LastNight:
    """What the last night of a series says; `decided` is what somebody decided on the series."""

    verdict: str
    change: float | None
    decided: str


def store(connection: Connection, night: Night, decided: Iterable[NightDecision] = ()) -> None:
    """Write a night's judgements and advice, and what was decided on it, over what was there."""
    with writing(connection):
        session = _session(connection, night)
        series = _series(connection, night.series)
        _replace(connection, schema.judgement, session, _judgements(night, session, series))
        _replace(connection, schema.decision, session, _decisions(night, session, series, decided))
        _replace(connection, schema.advisory, session, _advice(night, session, series))


def why_not_stored(nights: Iterable[Night]) -> str:
    """Write nights to the database; return why that failed, or "".

    The files are the truth, and `results rebuild` takes them in.
    """

    def work(connection: Connection) -> None:
        for night in nights:
            store(connection, night, decisions.read(night.suite))

    try:
        reading.use_patiently(location.here(), work, lambda _: None)
    except BenchdockError as error:
        return f"the database is not up to date: {error}"
    return ""


def _session(connection: Connection, night: Night) -> int:
    """Return the id of a night's session; one that measured nothing may not be there yet."""
    table = schema.session
    told = {
        "name": night.session,
        "suite": night.suite,
        "host": night.facts.get("host"),
        "night": str(night.night),
    }
    inserting.add_new(connection, table, [told], "name")
    # The session's folder has them, as long as it is there.
    times = {
        name: func.coalesce(table.c[name], getattr(night, name)) for name in ("started", "finished")
    }
    connection.execute(update(table).where(table.c.name == night.session).values(times))
    found = connection.execute(select(table.c.id).where(table.c.name == night.session))
    return int(found.scalar_one())


def _series(connection: Connection, wanted: Iterable[NightSeries]) -> dict[str, int]:
    """Return the ids of those series that ever ran, by their keys."""
    table = schema.series.c
    keys = {(one.what, one.place): one.key for one in wanted if one.what}
    whats = {what for what, _ in keys}
    found = connection.execute(
        select(table.what, table.place, table.id).where(table.what.in_(whats))
    )
    return {keys[what, place]: number for what, place, number in found if (what, place) in keys}


def _replace(
    connection: Connection, table: Table, session: int, rows: list[Mapping[str, Any]]
) -> None:
    column = table.c.from_session if table is schema.advisory else table.c.session_id
    connection.execute(delete(table).where(column == session))
    if rows:
        connection.execute(insert(table), rows)


def _judgements(night: Night, session: int, series: Mapping[str, int]) -> list[Mapping[str, Any]]:
    return [
        {
            "series_id": series[one.key],
            "session_id": session,
            "verdict": one.judgement.verdict,
            "value": one.judgement.value,
            "baseline": one.judgement.baseline,
            "change": one.judgement.change,
            "limit": one.judgement.limit,
            "sigma": one.judgement.run_noise,
            "tau": one.judgement.night_noise,
            "nights": one.judgement.nights,
            "extra": len(one.judgement.extra),
            "cause": one.cause,
        }
        for one in night.series
        if one.key in series
    ]


def _decisions(
    night: Night, session: int, series: Mapping[str, int], decided: Iterable[NightDecision]
) -> list[Mapping[str, Any]]:
    return [
        {
            "series_id": series[one.series],
            "session_id": session,
            "kind": one.kind,
            "who": one.who,
            "why": one.why if one.until is None else f"{one.why} (until {one.until})",
            "at": one.at,
        }
        for one in decided
        if one.night == night.number and one.series in series
    ]


def _advice(night: Night, session: int, series: Mapping[str, int]) -> list[Mapping[str, Any]]:
    return [
        {
            "series_id": series.get(one.subject),
            "group": None if one.subject in series else one.subject,
            "from_session": session,
            "step": one.step,
            "t": one.t,
        }
        for one in night.advice
    ]


def last_nights(connection: Connection, series: Iterable[int]) -> dict[int, LastNight]:
    """Return what the last night of each series says, by the series' id."""
    judged, session = schema.judgement.c, schema.session.c
    wanted = list(series)
    rows = connection.execute(
        select(judged.series_id, judged.verdict, judged.change)
        .join(schema.session, judged.session_id == session.id)
        .where(judged.series_id.in_(wanted))
        .order_by(session.started)
    ).all()
    decided = _decided(connection, wanted)
    return {
        number: LastNight(verdict=verdict, change=change, decided=decided.get(number, ""))
        for number, verdict, change in rows
    }


def _decided(connection: Connection, series: list[int]) -> dict[int, str]:
    """Return the newest decision on each series in words."""
    one = schema.decision.c
    rows = connection.execute(
        select(one.series_id, one.kind, one.who, one.why)
        .where(one.series_id.in_(series))
        .order_by(one.at)
    )
    words = {"accept": "accepted", "mute": "muted", "auto": "accepted"}
    return {number: f"{words.get(kind, kind)} by {who}: {why}" for number, kind, who, why in rows}
