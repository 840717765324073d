"""The queries of the database. Each goes by an index, so a million runs are no slower than ten."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from statistics import median
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Result,
    RowMapping,
    ScalarSelect,
    Select,
    and_,
    func,
    not_,
    select,
    true,
)

from orchestrator.store import schema
from orchestrator.store.wanted import OF_SERIES, Wanted

# So many of the newest runs are tried before those of the wanted series are sorted: 5 ms.
_NEWEST = 5000
# So many series are listed one by one in a query.
_LISTED = 1000
# The duration of a series is the median of so many runs.
_TYPICAL = 10

_run, _series, _session, _home = schema.run, schema.series, schema.session, schema.home
_order = (_run.c.started.desc(), _run.c.name.desc())


def newest(connection: Connection, wanted: Wanted, most: int | None) -> Sequence[RowMapping]:
    """Return the matching runs, newest first; at most `most` of them, None means all.

    Columns are those of `run` without `metrics`, those of its series that can be filtered, and
    `session` and `home`, the session's name and the path of the home.
    """
    if most is None:
        return (
            connection.execute(_runs().where(_matching(wanted)).order_by(*_order)).mappings().all()
        )
    if not any(name in OF_SERIES for name in wanted.given()):
        return _first(connection, _matching(wanted), most)
    tried = select(_run.c.id).order_by(_run.c.started.desc()).limit(_NEWEST).scalar_subquery()
    found = _first(connection, and_(_run.c.id.in_(tried), _matching(wanted)), most)
    if len(found) == most:
        return found
    series = _series_of(connection, wanted)
    if isinstance(series, Sequence) and not series:
        return []
    # The index of series and start is enough for the newest ids of some series.
    chosen = (
        select(_run.c.id)
        .where(_run.c.series_id.in_(series), *_of_run(wanted))
        .order_by(_run.c.started.desc(), _run.c.id.desc())
        .limit(most)
    )
    return _first(connection, _run.c.id.in_(connection.execute(chosen).scalars().all()), most)


def _series_of(connection: Connection, wanted: Wanted) -> Sequence[int] | ScalarSelect[int]:
    """Return the ids of the series that match, as a query if there are very many.

    PostgreSQL knows how many runs some ids have. Of a query it expects that its runs are among the
    newest, and reads all runs if they are not.
    """
    matching = select(_series.c.id).where(*_of_series(wanted))
    found = connection.execute(matching.limit(_LISTED + 1)).scalars().all()
    return found if len(found) <= _LISTED else matching.scalar_subquery()


def _first(
    connection: Connection, matching: ColumnElement[bool], most: int
) -> Sequence[RowMapping]:
    return (
        connection.execute(_runs().where(matching).order_by(*_order).limit(most)).mappings().all()
    )


def _runs() -> Select[Any]:
    """Select runs with their series, session and home."""
    return (
        select(
            *(column for column in _run.c if column.name != "metrics"),
            *(_series.c[name] for name in (*OF_SERIES, "devices")),
            _session.c.name.label("session"),
            _home.c.path.label("home"),
        )
        .join(_series, _run.c.series_id == _series.c.id)
        .join(_home, _run.c.home_id == _home.c.id)
        .outerjoin(_session, _run.c.session_id == _session.c.id)
    )


def _matching(wanted: Wanted) -> ColumnElement[bool]:
    return and_(true(), *_of_series(wanted), *_of_run(wanted))


def _of_series(wanted: Wanted) -> Iterable[ColumnElement[bool]]:
    given = wanted.given()
    return [_series.c[name] == given[name] for name in OF_SERIES if name in given]


def _of_run(wanted: Wanted) -> Iterable[ColumnElement[bool]]:
    if wanted.status is not None:
        yield _run.c.status == wanted.status
    if wanted.since is not None:
        yield _run.c.started >= wanted.since.timestamp()
    if wanted.until is not None:
        yield and_(_run.c.started < wanted.until.timestamp(), _run.c.started > 0)
    if wanted.session is not None:
        named = select(_session.c.id).where(_session.c.name == wanted.session)
        yield _run.c.session_id == named.scalar_subquery()
    if wanted.tag is not None:
        tagged = select(schema.tag.c.run_id).where(schema.tag.c.tag == wanted.tag)
        yield _run.c.id.in_(tagged.scalar_subquery())


def count(connection: Connection) -> int:
    """Return the number of runs."""
    return connection.execute(select(func.count()).select_from(_run)).scalar_one()


def older(connection: Connection, wanted: Wanted, started: float, name: str) -> int:
    """Return how many matching runs come after that start and name in the list.

    Of all runs, counting the few before that place and taking them from the total is faster. Those
    of the same start are counted apart: the rest then needs nothing but an index.
    """
    counted = select(func.count()).select_from(_run)
    same, other = _run.c.started == started, _run.c.name < name
    if wanted == Wanted():
        newer = counted.where(_run.c.started > started).scalar_subquery()
        before = counted.where(same, not_(other)).scalar_subquery()
        told = select(counted.scalar_subquery() - newer - before)
    else:
        matching = counted.where(*_of_run(wanted))
        if any(one in OF_SERIES for one in wanted.given()):
            matching = matching.where(_run.c.series_id.in_(_series_of(connection, wanted)))
        rest = matching.where(_run.c.started < started).scalar_subquery()
        told = select(rest + matching.where(same, other).scalar_subquery())
    return int(connection.execute(told).scalar_one())


def models(connection: Connection) -> frozenset[str]:
    """Return the networks of all runs."""
    found = connection.execute(select(_series.c.model).distinct()).scalars()
    return frozenset(model for model in found if model is not None)


def pending(connection: Connection) -> Sequence[RowMapping]:
    """Return name, `imported` and `home` of the folders without a readable result."""
    table = schema.pending
    statement = select(table.c.name, table.c.imported, _home.c.path.label("home")).join(
        _home, table.c.home_id == _home.c.id
    )
    return connection.execute(statement).mappings().all()


def typical_seconds(
    connection: Connection, series: Collection[int]
) -> dict[tuple[str, str], tuple[float, int]]:
    """Return the median duration of the newest good runs of each series, and their number."""
    found = {}
    for what, place, number in connection.execute(
        select(_series.c.what, _series.c.place, _series.c.id).where(_series.c.id.in_(series))
    ):
        seconds = _seconds(connection, number)
        if seconds:
            found[what, place] = (median(seconds), len(seconds))
    return found


def _seconds(connection: Connection, series: int) -> Sequence[float]:
    statement = (
        select(_run.c.finished - _run.c.started)
        .where(
            _run.c.series_id == series,
            _run.c.status == "ok",
            _run.c.started > 0,
            _run.c.finished > _run.c.started,
        )
        .order_by(_run.c.started.desc())
        .limit(_TYPICAL)
    )
    return connection.execute(statement).scalars().all()


def named(connection: Connection, name: str) -> RowMapping | None:
    """Return a run as `newest` does, and of its series `what`, `place` and the number of `runs`."""
    own = _run.alias()
    same = select(func.count()).where(own.c.series_id == _run.c.series_id).scalar_subquery()
    statement = (
        _runs()
        .add_columns(_series.c.what, _series.c.place, _series.c.decided, same.label("runs"))
        .where(_run.c.name == name)
    )
    return connection.execute(statement).mappings().first()


def tags(connection: Connection, run_id: int) -> Sequence[str]:
    """Return the tags of a run, sorted."""
    tag = schema.tag.c
    return (
        connection.execute(select(tag.tag).where(tag.run_id == run_id).order_by(tag.tag))
        .scalars()
        .all()
    )


def series(connection: Connection, wanted: Wanted) -> Sequence[RowMapping]:
    """Return the series that match by what ran, each with its number of `runs` and its newest run.

    Columns are those of `series`, `machine`, its host name, and of the run `name`, `started`,
    `status`, `failure`, `throughput`, `unit`.
    """
    own = _run.alias()
    last = (
        select(own.c.id)
        .where(own.c.series_id == _series.c.id)
        .order_by(own.c.started.desc(), own.c.id.desc())
        .limit(1)
        .scalar_subquery()
    )
    runs = select(func.count()).where(own.c.series_id == _series.c.id).scalar_subquery()
    shown = (
        _run.c[name] for name in ("name", "started", "status", "failure", "throughput", "unit")
    )
    statement = (
        select(
            *_series.c,
            schema.machine.c.facts["hostname"].as_string().label("machine"),
            runs.label("runs"),
            *shown,
        )
        .join(schema.machine, _series.c.machine_id == schema.machine.c.id)
        .join(_run, _run.c.id == last)
        .where(_series.c.decided, *_of_series(wanted))
        .order_by(_series.c.model, _series.c.framework, _series.c.phase, _series.c.id)
    )
    return connection.execute(statement).mappings().all()


def history(connection: Connection, series: Collection[int], since: float) -> Sequence[RowMapping]:
    """Return the runs of some series since a time (seconds since 1970), oldest first.

    Columns are `series_id`, `session_id`, `pass`, `started`, `status`, `trust`, `throughput`,
    `image_digest` and `driver`.
    """
    columns = ("series_id", "session_id", "pass", "started", "status", "trust", "throughput")
    statement = (
        select(*(_run.c[name] for name in (*columns, "image_digest", "driver")))
        .where(_run.c.series_id.in_(series), _run.c.started >= since)
        .order_by(_run.c.series_id, _run.c.started)
    )
    return connection.execute(statement).mappings().all()


def on_machines(
    connection: Connection, whats: Collection[str], since: float
) -> Sequence[RowMapping]:
    """Return the good runs of some requests on all machines since a time, oldest first.

    Columns are `what`, `key` and `hostname` of the machine, `throughput` and `unit`.
    """
    machine = schema.machine.c
    statement = (
        select(
            _series.c.what,
            machine.key,
            machine.facts["hostname"].as_string().label("hostname"),
            _run.c.throughput,
            _run.c.unit,
        )
        .join(_series, _run.c.series_id == _series.c.id)
        .join(schema.machine, _series.c.machine_id == machine.id)
        .where(
            _series.c.what.in_(whats),
            _run.c.started >= since,
            _run.c.status == "ok",
            _run.c.throughput > 0,
        )
        .order_by(_run.c.started)
    )
    return connection.execute(statement).mappings().all()


def exported(connection: Connection, wanted: Wanted) -> Result[Any]:
    """Return the matching runs, oldest first, with everything that is known of them.

    The rows are fetched a thousand at a time; read them in a transaction.
    """
    statement = (
        _runs()
        .add_columns(
            _run.c.metrics,
            _series.c.what,
            _series.c.place,
            schema.machine.c.facts["hostname"].as_string().label("machine"),
        )
        .join(schema.machine, _series.c.machine_id == schema.machine.c.id)
        .where(_matching(wanted))
        .order_by(_run.c.started, _run.c.name)
    )
    return connection.execution_options(yield_per=1000).execute(statement)
