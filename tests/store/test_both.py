"""The same code on SQLite and PostgreSQL: the same rows, and nothing lost by writers that race."""

import json
import os
import signal
import subprocess
import sys
from datetime import UTC, datetime, timedelta

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import inspect, select, text

from orchestrator.cli import main
from orchestrator.errors import ExitStatus
from orchestrator.result import Failure, Metric
from orchestrator.run.filing import to_json
from orchestrator.store import (
    database,
    durations,
    location,
    migrating,
    queries,
    schema,
    taking_in,
)
from orchestrator.store.database import connected
from tests.support.run_folders import filed, in_session, result, stored

FIRST, SECOND, THIRD = (f"2026010{day}T120000-pytorch-x-0a1b2c" for day in range(1, 4))
HERE = {"machine": "m", "hostname": "box", "cpu": {"model": "Xeon", "affinity": "0-3"}}


def listed(capsys, *words):
    assert main(["results", "--json", *words]) == ExitStatus.OK
    told = capsys.readouterr()
    assert told.err == ""
    return json.loads(told.out)["runs"]


def test_the_tables_are_those_of_the_schema(place):
    with connected(place) as connection:
        context = MigrationContext.configure(connection)
        assert compare_metadata(context, schema.metadata) == []
        inspector = inspect(connection)
        assert {"run", "series", "judgement"} <= set(inspector.get_table_names())
        assert "ix_run_failed" in {one["name"] for one in inspector.get_indexes("run")}


def test_the_migrations_make_the_same_tables(place, monkeypatch):
    monkeypatch.setattr(database, "_create", lambda one: migrating.upgrade(one, "", place))
    with connected(place) as connection:
        assert compare_metadata(MigrationContext.configure(connection), schema.metadata) == []
        found = connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
        assert found == schema.HEAD


@pytest.mark.parametrize("first", ["0001"])
def test_a_database_of_an_older_benchdock_keeps_its_runs(place, capsys, monkeypatch, first):
    with monkeypatch.context() as older:
        older.setattr(schema, "HEAD", first)
        older.setattr(database, "_create", lambda one: migrating.upgrade(one, "", place, to=first))
        in_session(stored(FIRST), name="n1")
        assert len(listed(capsys)) == 1
    assert len(listed(capsys, "--session", "n1")) == 1
    with connected(place) as connection:
        assert compare_metadata(MigrationContext.configure(connection), schema.metadata) == []
        found = connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
        assert found == schema.HEAD


def test_results_are_the_same(place, capsys):
    metrics = {"throughput": Metric(value=10.5, unit="samples/s")}
    began = datetime(2026, 1, 1, 12, tzinfo=UTC)
    stored(FIRST, environment=HERE, metrics=metrics, finished=began + timedelta(seconds=60))
    in_session(stored(SECOND, environment=HERE, warnings=("hot",)), name="n1").tags.write_text(
        '["a"]'
    )
    failure = Failure(kind="timeout", message="nul \0 and \U0001f600")
    stored(THIRD, planned={"model": "vgg\0"}, status="failed", failure=failure)
    filed("20260104T120000-pytorch-x-0a1b2c", "broken")
    found = listed(capsys)
    assert [row["status"] for row in found] == ["unreadable", "failed", "ok", "ok"]
    assert found[1]["failure"]["message"] == "nul \ufffd and \U0001f600"
    assert found[1]["model"] == "vgg\ufffd"
    assert (found[2]["warnings"], found[3]["throughput"]["value"]) == (["hot"], 10.5)
    for words, count in (
        (("--session", "n1"), 1),
        (("--tag", "a"), 1),
        (("--failed",), 1),
        (("--model", "deep_mnist"), 2),
        (("--model", "deep_mnist", "--last", "1"), 1),
        (("--since", "2026-01-02T12:00+00:00", "--status", "ok"), 1),
        (("--batch", "2", "--device", "cpu", "--dtype", "float32"), 3),
    ):
        assert len(listed(capsys, *words)) == count, words
    assert main(["results", "tag", THIRD, "b"]) == 0
    assert main(["results", "series", "--json"]) == 0
    told = capsys.readouterr().out.partition("\n")[2]
    assert [one["runs"] for one in json.loads(told)["series"]] == [2, 1]
    assert main(["results", "export", "--format", "json"]) == 0
    assert len(json.loads(capsys.readouterr().out)["runs"]) == 3
    assert main(["results", "show", SECOND, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["session"] == {"name": "n1", "pass": 1}
    assert main(["results", "rebuild"]) == 0
    capsys.readouterr()
    assert len(listed(capsys, "--tag", "b")) == 1
    assert durations.Durations.read()._known


def test_history_and_older_runs(place, capsys):
    for name in (FIRST, SECOND, THIRD):
        stored(name, environment=HERE)
    assert main(["results", "--last", "1"]) == 0
    assert "2 older runs were not shown" in capsys.readouterr().out
    with connected(place) as connection:
        (series,) = connection.execute(select(schema.series.c.id)).scalars().all()
        noon = datetime(2026, 1, 2, 12, tzinfo=UTC).timestamp()
        told = queries.history(connection, [series], noon)
        assert [row["started"] for row in told] == [noon, noon + 86400]


# Takes in the runs of its own home again and again, and says what is certainly stored.
WRITER = """
import sys
from orchestrator.store import bulk, location, taking_in
from orchestrator.store.database import connected
add = bulk.add
def told(connection, rows, home_id):
    done = add(connection, rows, home_id)
    names.extend(row.run["name"] for row in rows)
    return done
bulk.add = told
names = []
print("ready", flush=True)
sys.stdin.readline()
with connected(location.here()) as connection:
    taking_in.take_in(connection, lambda _: None)
print(*names, flush=True)
"""


def _writer(folder):
    return subprocess.Popen(
        [sys.executable, "-c", WRITER],
        env={**os.environ, "BENCHDOCK_HOME": str(folder)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def _start(writers):
    for one in writers:
        assert one.stdout.readline() == "ready\n"
    for one in writers:
        one.stdin.write("\n")
        one.stdin.flush()


def _four_take_in(homes, place):
    """Four writers take in 30 runs of each home."""
    names = set()
    for number, folder in enumerate(dict.fromkeys(homes)):
        for minute in range(30):
            name = f"20260101T12{minute:02}00-pytorch-x-{number:06x}"
            stored(name, planned={"batch": 1 + minute % 7}, environment=HERE, root=folder / "runs")
            names.add(name)
    writers = [_writer(folder) for folder in homes]
    _start(writers)
    for one in writers:
        one.communicate(timeout=120)
        assert one.returncode == 0
    with connected(place) as connection:
        found = connection.execute(select(schema.run.c.name)).scalars().all()
        assert len(found) == len(names)
        assert set(found) == names
        assert connection.execute(text("SELECT count(*) FROM series")).scalar() == 7
        assert connection.execute(text("SELECT count(*) FROM home")).scalar() == len(set(homes))


def test_four_writers_of_one_home_lose_nothing(place, home):
    _four_take_in([home] * 4, place)


def test_four_homes_share_a_server(new_postgresql, monkeypatch, tmp_path):
    monkeypatch.setenv("BENCHDOCK_DATABASE", new_postgresql)
    _four_take_in([tmp_path / f"home{number}" for number in range(4)], location.here())


# Inserts single runs, and says each one that is committed.
SINGLE = """
import sys
from pathlib import Path
from orchestrator.paths import RunFolder, runs
from orchestrator.record_files import read_file
from orchestrator.result import Result
from orchestrator.store import bulk, location, rows, taking_in
from orchestrator.store.database import connected, writing
who, count = sys.argv[1], int(sys.argv[2])
result = read_file(Result, Path(sys.argv[3]))
with connected(location.here()) as connection:
    home_id, _ = taking_in._home(connection)
    print("ready", flush=True)
    sys.stdin.readline()
    for number in range(count):
        name = f"20260101T120000-pytorch-{who}-{number:06x}"
        row = rows.of(RunFolder(runs() / name), result, imported=False)
        with writing(connection):
            bulk.add(connection, [row], home_id)
        print(name, flush=True)
"""


def test_nothing_that_was_committed_is_lost_if_a_writer_is_killed(place, home, tmp_path):
    path = tmp_path / "result.json"
    path.write_text(to_json(result(FIRST, environment=HERE)))
    count = 60
    writers = [
        subprocess.Popen(
            [sys.executable, "-c", SINGLE, f"w{number}", str(count if number else 10**6), path],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for number in range(4)
    ]
    _start(writers)
    said = [writers[0].stdout.readline().strip() for _ in range(20)]
    writers[0].send_signal(signal.SIGKILL)
    said += [line.strip() for line in writers[0].stdout if line.endswith("\n")]
    for one in writers[1:]:
        out, _ = one.communicate(timeout=300)
        assert one.returncode == 0
        said += out.split()
    writers[0].wait()
    writers[0].stdin.close()
    writers[0].stdout.close()
    assert len(said) >= 20 + 3 * count
    with connected(place) as connection:
        found = set(connection.execute(select(schema.run.c.name)).scalars())
        assert set(said) <= found
        assert len(found) <= len(said) + 1  # the last one may have been committed unsaid
        if place.path is not None:
            assert connection.execute(text("PRAGMA integrity_check")).scalar() == "ok"


def test_several_processes_make_the_tables_at_once(place, home):
    stored(FIRST)
    started = [
        subprocess.Popen(
            [sys.executable, "-m", "orchestrator", "results", "--json"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(4)
    ]
    for one in started:
        out, err = one.communicate(timeout=120)
        assert (one.returncode, err) == (0, "")
        assert len(json.loads(out)["runs"]) == 1


def test_runs_of_another_machine_are_listed_but_not_removed(
    server, new_postgresql, monkeypatch, tmp_path, capsys
):
    monkeypatch.setenv("BENCHDOCK_DATABASE", new_postgresql)
    monkeypatch.setenv("BENCHDOCK_HOME", str(tmp_path / "one"))
    stored(FIRST)
    assert len(listed(capsys)) == 1
    monkeypatch.setenv("BENCHDOCK_HOME", str(tmp_path / "two"))
    folder = stored(SECOND)
    found = listed(capsys)
    assert [row["run"] for row in found] == [SECOND, FIRST]
    assert found[1]["folder"] == str(tmp_path / "one" / "runs" / FIRST)
    assert main(["results", "rebuild"]) == 0
    capsys.readouterr()
    assert len(listed(capsys)) == 2
    folder.root.rename(tmp_path / "away")
    assert [row["run"] for row in listed(capsys)] == [FIRST]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (("/{}?", "/absent?"), "the database absent on /tmp/bd-pg-"),
        (("benchdock@", "nobody:secret@"), "refuses this user or password"),
    ],
)
def test_a_server_that_refuses(server, home, monkeypatch, capsys, change, told):
    stored(FIRST)
    url = server.replace(*change).format("postgres")
    monkeypatch.setenv("BENCHDOCK_DATABASE", url)
    assert main(["results"]) == ExitStatus.OK
    said = capsys.readouterr()
    assert told in said.err
    assert said.err.count("\n") == 1
    assert "secret" not in said.err
    assert FIRST in said.out


def test_a_locked_table_is_waited_for(new_postgresql, home, monkeypatch, capsys):
    import psycopg

    monkeypatch.setenv("BENCHDOCK_DATABASE", new_postgresql)
    stored(FIRST)
    assert len(listed(capsys)) == 1
    stored(SECOND)
    monkeypatch.setattr(database, "PATIENCE", 1)
    with psycopg.connect(new_postgresql) as other:
        other.execute("LOCK TABLE run IN ACCESS EXCLUSIVE MODE")
        assert main(["results"]) == ExitStatus.OK
    said = capsys.readouterr()
    assert "is locked by another program; end that program, or try again later" in said.err
    assert SECOND in said.out
    assert len(listed(capsys)) == 2


def test_the_same_runs_on_several_machines_are_found(place):
    for number, machine in enumerate(("m1", "m2")):
        told = {**HERE, "machine": machine, "hostname": f"box{number}"}
        for minute in range(2):
            name = f"20260101T12{minute:02}00-pytorch-x-{number:06x}"
            moment = datetime(2026, 1, 1, 12, minute, tzinfo=UTC)
            metrics = {"throughput": Metric(value=10.0 + number, unit="samples/s")}
            stored(name, environment=told, started=moment, metrics=metrics)
    with connected(place) as connection:
        taking_in.take_in(connection, lambda _: None)
        whats = set(connection.execute(select(schema.series.c.what)).scalars())
        found = queries.on_machines(connection, whats, since=0.0)
        rows = [(row["key"], row["hostname"], row["throughput"], row["unit"]) for row in found]
        assert sorted(rows) == sorted(
            (f"m{number + 1}", f"box{number}", 10.0 + number, "samples/s")
            for number in (0, 1)
            for _ in range(2)
        )
        assert len({row["what"] for row in found}) == 1
        assert queries.on_machines(connection, whats, since=2e9) == []
        assert queries.on_machines(connection, {"other"}, since=0.0) == []
