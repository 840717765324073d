"""`make bench-store RUNS=1000000` measures the database of results; exit status 1 if one is missed.

It makes series of 200 nights with 5 passes each, on SQLite and on a private PostgreSQL.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from sqlalchemy import Connection, event, text

from orchestrator.store import bulk, inserting, location, queries, schema
from orchestrator.store.database import connected, writing
from orchestrator.store.rows import Row
from orchestrator.store.wanted import Wanted
from tests.bench.pairs import report
from tests.support import postgresql

NIGHTS, PASSES = 200, 5
BATCH = 1000
MODELS = [f"model{number:02}" for number in range(25)]
FRAMEWORKS = ["pytorch", "tensorflow", "mxnet", "caffe2"]
# Seconds between two runs, and the start of the first.
APART, BEGAN = 20.0, 1.6e9


@dataclass(frozen=True, kw_only=True)
class Size:
    """How many of what there are."""

    runs: int

    @property
    def series(self) -> int:
        """Return the number of series; each has a run per pass."""
        return max(1, self.runs // (NIGHTS * PASSES))


def rows(size: Size) -> Iterator[Row]:
    """Yield every run, oldest first: all series of a pass, all passes of a night."""
    metrics = json.dumps({f"metric_{n}": [random.random(), "s"] for n in range(10)})
    made = 0
    for night in range(NIGHTS):
        for number in range(PASSES):
            for series in range(size.series):
                yield _row(made, night, number, series, metrics)
                made += 1


def _row(made: int, night: int, number: int, series: int, metrics: str) -> Row:
    model, framework = MODELS[series % len(MODELS)], FRAMEWORKS[series // 25 % len(FRAMEWORKS)]
    failed = made % 50 == 7
    started = BEGAN + made * APART
    told = {"model": model, "framework": framework, "phase": "training", "dtype": "float32"}
    return Row(
        machine={"key": "bench", "facts": {"hostname": "bench"}},
        series={
            **{"what": f"{series:032x}", "place": "0" * 32, "decided": True, **told},
            **{"batch": 32 + series // 100, "device": "gpu", "devices": 1, "request": told},
        },
        session={"name": f"night-{night:04}", "suite": "bench", "digest": "0", "night": None},
        run={
            **{"name": f"2026{made:011}-{framework}-{model}-{made:06x}", "imported": False},
            **{"pass": number, "started": started, "finished": started + APART, "trust": None},
            **{"status": "failed" if failed else "ok", "failure": "timeout" if failed else None},
            **{"throughput": 100 + random.random(), "unit": "samples/s", "p50": 0.1, "p99": 0.2},
            **{"energy": None, "memory": 1e9, "warnings": 0, "driver": "580.1"},
            **{"image_digest": "sha256:" + "0" * 64, "framework_version": "2.9.1"},
            **{"benchdock": "0.1.0", "metrics": metrics, "said": '{"warnings":[]}'},
        },
        tags=(),
    )


def batches(size: Size) -> Iterator[list[Row]]:
    """Yield the runs in batches of a transaction."""
    batch: list[Row] = []
    for row in rows(size):
        batch.append(row)
        if len(batch) == BATCH:
            yield batch
            batch = []
    if batch:
        yield batch


def fill(connection: Connection, size: Size, clock: Callable[[], float]) -> tuple[float, float]:
    """Insert all runs, in turns with our code and with a bare loop; return runs/s of both.

    Both begin with the same records. The rates are of the median batch: now and then one waits
    for the disk.
    """
    home_id = _home(connection)
    ids = _ids(connection, size)
    spent: dict[bool, list[float]] = {True: [], False: []}
    for number, batch in enumerate(batches(size)):
        ours = number % 4 in (0, 3)  # A B B A, as SQLite moves its log at regular intervals
        begin = clock()
        if ours:
            with writing(connection):
                bulk.add(connection, batch, home_id)
        else:
            _bare(connection, [_complete(row, ids, home_id) for row in batch])
        spent[ours].append((clock() - begin) / len(batch))
    return 1 / median(spent[True]), 1 / median(spent[False])


def _home(connection: Connection) -> int:
    """Return the id of a home that is elsewhere, so nobody looks for its folders."""
    with writing(connection):
        row = {"key": "elsewhere", "path": "/elsewhere", "seen": {}}
        inserting.add_new(connection, schema.home, [row], "key")
        return int(connection.execute(text("SELECT id FROM home")).scalar_one())


def _ids(connection: Connection, size: Size) -> dict[str, dict[Any, int]]:
    """Make the series and sessions; return the ids that the bare loop needs."""
    every = [_row(0, 0, 0, series, "{}") for series in range(size.series)]
    nights = [_row(0, night, 0, 0, "{}") for night in range(NIGHTS)]
    with writing(connection):
        series = bulk._series(connection, {row.series_key: row for row in every})
        sessions = bulk._sessions(connection, {row.session["name"]: row for row in nights})
    return {"series": dict(series), "sessions": dict(sessions)}


def _complete(row: Row, ids: dict[str, dict[Any, int]], home_id: int) -> tuple[Any, ...]:
    keys = {
        "series_id": ids["series"][row.series_key],
        "session_id": ids["sessions"][row.session["name"]],
        "home_id": home_id,
    }
    return tuple({**row.run, **keys}.values())


def _bare(connection: Connection, plain: list[tuple[Any, ...]]) -> None:
    """Insert as a program would that uses only the driver."""
    names = [*_row(0, 0, 0, 0, "{}").run, "series_id", "session_id", "home_id"]
    raw: Any = connection.connection.dbapi_connection
    on_sqlite = connection.dialect.name == "sqlite"
    marks = ", ".join("?" if on_sqlite else "%s" for _ in names)
    statement = f"INSERT INTO run ({', '.join(names)}) VALUES ({marks})"
    cursor = raw.cursor()
    if on_sqlite:
        cursor.execute("BEGIN IMMEDIATE")
    cursor.executemany(statement, plain)
    cursor.execute("COMMIT") if on_sqlite else raw.commit()
    cursor.close()


def asked(size: Size) -> dict[str, Callable[[Connection], object]]:
    """Return the queries of a night and of lists, by name."""
    end = BEGAN + size.runs * APART
    forty = range(1, 41)
    since = end - size.series * PASSES * APART * 60
    both = Wanted(model="model07", framework="tensorflow")
    return {
        "newest 20": lambda c: queries.newest(c, Wanted(), 20),
        "newest 20 of a model and framework": lambda c: queries.newest(c, both, 20),
        "newest 20 that failed": lambda c: queries.newest(c, Wanted(status="failed"), 20),
        "newest 20 of a batch": lambda c: queries.newest(c, Wanted(batch=33), 20),
        "runs that are absent": lambda c: queries.newest(c, Wanted(model="absent"), 20),
        "all of one session": lambda c: queries.newest(c, Wanted(session="night-0100"), None),
        "60 nights of 40 series": lambda c: queries.history(c, forty, since),
        "newest of every series": lambda c: queries.series(c, Wanted()),
        "older runs": lambda c: queries.older(c, Wanted(), end - 40 * APART, ""),
        "older runs of a model": lambda c: queries.older(c, both, end - 40 * APART, ""),
    }


def explained(connection: Connection, query: Callable[[Connection], object]) -> str:
    """Return how the database would answer a query."""
    said: list[str] = []

    def explain(one: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        if statement.startswith("SELECT"):
            words = "EXPLAIN QUERY PLAN " if one.dialect.name == "sqlite" else "EXPLAIN "
            raw = one.connection.dbapi_connection.execute(words + statement, parameters)
            said.extend(str(row[-1]) for row in raw.fetchall())

    event.listen(connection, "before_cursor_execute", explain)
    with connection.begin():
        query(connection)
    event.remove(connection, "before_cursor_execute", explain)
    return "\n".join(said)


def times(
    connection: Connection,
    size: Size,
    rounds: int = 5,
    clock: Callable[[], float] = time.perf_counter,
) -> dict[str, tuple[float, int]]:
    """Return the median seconds of each query, and the number of rows it gives."""
    found = {}
    for name, query in asked(size).items():
        spent, rows_found = [], 0
        for _ in range(rounds):
            begin = clock()
            with connection.begin():
                told: Any = query(connection)
            spent.append(clock() - begin)
            rows_found = told if isinstance(told, int) else len(told)
        found[name] = (median(spent), rows_found)
    return found


# What every command that reads a database has to import, whatever it is written in.
IMPORTS = {"sqlite": "sqlalchemy", "postgresql": "sqlalchemy, psycopg"}
COMMANDS = (
    ("results",),
    ("results", "--model", "model07", "-f", "tensorflow"),
    ("results", "--failed", "--last", "50"),
    ("results", "--session", "night-0100"),
    ("results", "series", "--model", "model07"),
)


def commands(rounds: int = 5) -> dict[str, tuple[float, float]]:
    """Return the median seconds of whole commands: by the clock, and of CPU."""
    program = str(Path(sys.executable).with_name("benchdock"))
    return {" ".join(words): _spent((program, *words), rounds) for words in COMMANDS}


def _spent(argv: Sequence[str], rounds: int = 5) -> tuple[float, float]:
    spent = []
    for _ in range(rounds + 1):
        before, begin = os.times(), time.perf_counter()
        subprocess.run(argv, check=True, stdout=subprocess.DEVNULL)
        after = os.times()
        cpu = after.children_user + after.children_system
        cpu -= before.children_user + before.children_system
        spent.append((time.perf_counter() - begin, cpu))
    walls, cpus = zip(*spent[1:], strict=True)  # the first one reads the files from disk
    return median(walls), median(cpus)


def measure(size: Size) -> bool:
    """Fill and ask one database, the one of the environment."""
    kept = True
    with connected(location.here()) as connection:
        print(f"{connection.dialect.name}: {size.runs:,} runs of {size.series:,} series")
        ours, bare = fill(connection, size, time.perf_counter)
        print(f"  insertion: {ours:,.0f} runs/s; a bare loop of executemany {bare:,.0f} runs/s")
        kept &= report("insertion: ours / bare loop", ours / bare, 0.7, "x", at_least=True)
        if connection.dialect.name == "postgresql":  # what its autovacuum does in a minute
            connection.rollback()
            connection.connection.dbapi_connection.autocommit = True
            connection.exec_driver_sql("VACUUM ANALYZE")
            connection.rollback()
            connection.connection.dbapi_connection.autocommit = False
        for name, (seconds, count) in times(connection, size).items():
            kept &= report(f"query: {name} ({count:,})", seconds, 0.2, "s")
    modules = IMPORTS[location.here().url.get_backend_name()]
    wall, cpu = _spent((sys.executable, "-c", f"import {modules}"))
    print(f"  `import {modules}` only: {wall:.3f} s (CPU {cpu:.2f} s)")
    for name, (wall, cpu) in commands().items():
        kept &= report(f"benchdock {name} (CPU {cpu:.2f} s)", wall, 0.8, "s")
    return kept


@contextmanager
def place(kind: str) -> Iterator[None]:
    """Set the environment to an empty database of a kind, in a temporary home."""
    with tempfile.TemporaryDirectory(prefix="benchdock-store-") as home:
        (Path(home) / "runs").mkdir()
        os.environ["BENCHDOCK_HOME"] = home
        if kind == "sqlite":
            os.environ.pop(location.VARIABLE, None)
            yield
            return
        programs = postgresql.programs()
        if programs is None:
            raise SystemExit("PostgreSQL's server is missing: apt-get install postgresql")
        with postgresql.server(programs) as url:
            os.environ[location.VARIABLE] = url.format("postgres")
            yield


def main() -> int:
    """Measure with the number of runs, and only the kinds that are named after it."""
    size = Size(runs=int(sys.argv[1]))
    kept = True
    for kind in sys.argv[2:] or ("sqlite", "postgresql"):
        with place(kind):
            kept &= measure(size)
    return 0 if kept else 1


if __name__ == "__main__":
    sys.exit(main())
