"""One PostgreSQL for many machines: who may do what, migrations at once, a server that is away."""

import json
import re
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from sqlalchemy import select, text

from orchestrator.cli import main
from orchestrator.errors import ExitStatus, MachineError
from orchestrator.paths import PROJECT
from orchestrator.store import database, faults, location, migrating, reading, schema
from orchestrator.store.database import connected
from tests.support import postgresql
from tests.support.run_folders import stored

FIRST, SECOND = (f"2026010{day}T120000-pytorch-x-0a1b2c" for day in (1, 2))
PROCESSES = 8
PAGE = PROJECT / "docs/fleets.md"


def listed(capsys):
    assert main(["results", "--json"]) == ExitStatus.OK
    told = capsys.readouterr()
    return [one["run"] for one in json.loads(told.out)["runs"]], told.err


def as_role(url, role):
    return url.replace(f"{postgresql.USER}@", f"benchdock_{role}@")


def name_of(url):
    """Return the name of the database of a URL."""
    return url.partition("@/")[2].partition("?")[0]


def names(url):
    """Return the runs in a database."""
    import psycopg

    with psycopg.connect(url) as connection:
        return {name for (name,) in connection.execute("SELECT name FROM run")}


@pytest.fixture(scope="session")
def roles(server):
    """The server with the three roles of the documentation."""
    import psycopg

    statements = re.findall(r"```sql\n(.*?)```", PAGE.read_text(), re.DOTALL)
    as_superuser = statements[0].partition("CREATE DATABASE")[0]
    with psycopg.connect(server.format("postgres"), autocommit=True) as connection:
        connection.execute(as_superuser)
    return statements[1]


@pytest.fixture
def shared(server, roles, new_postgresql):
    """The URL of a database that has the roles of the documentation, and tables of its owner."""
    import psycopg

    name = name_of(new_postgresql)
    with psycopg.connect(server.format("postgres"), autocommit=True) as connection:
        connection.execute(f"ALTER DATABASE {name} OWNER TO benchdock_owner")
    with psycopg.connect(as_role(new_postgresql, "owner"), autocommit=True) as connection:
        connection.execute(roles)
    return new_postgresql


def made(shared, monkeypatch):
    """Let the owner make the tables."""
    monkeypatch.setenv("BENCHDOCK_DATABASE", as_role(shared, "owner"))
    assert main(["results"]) == ExitStatus.OK


def test_a_writer_takes_in_and_a_reader_reads(shared, home, monkeypatch, tmp_path, capsys):
    made(shared, monkeypatch)
    capsys.readouterr()
    monkeypatch.setenv("BENCHDOCK_DATABASE", as_role(shared, "writer"))
    stored(FIRST)
    assert listed(capsys) == ([FIRST], "")
    assert main(["results", "tag", FIRST, "good"]) == ExitStatus.OK
    assert main(["results", "rebuild"]) == ExitStatus.OK
    capsys.readouterr()
    assert names(shared) == {FIRST}

    # A machine that only reads, first without runs, then with one.
    monkeypatch.setenv("BENCHDOCK_DATABASE", as_role(shared, "reader"))
    monkeypatch.setenv("BENCHDOCK_HOME", str(tmp_path / "reader"))
    assert listed(capsys) == ([FIRST], "")
    stored(SECOND)
    found, said = listed(capsys)
    assert found == [FIRST]
    assert said.endswith(
        "may not be changed by this user: runs of this home that it does not have are left out\n"
    )
    assert said.count("\n") == 1
    assert main(["results", "rebuild"]) == ExitStatus.MACHINE_CANNOT
    said = capsys.readouterr().err
    assert "may not be changed by this user; use the role of a writer" in said
    assert said.count("\n") == 1
    assert names(shared) == {FIRST}


def test_only_the_owner_changes_tables(shared, home, monkeypatch, capsys):
    stored(FIRST)
    monkeypatch.setenv("BENCHDOCK_DATABASE", as_role(shared, "writer"))
    found, said = listed(capsys)
    assert found == [FIRST]
    assert "has no tables yet, and this user may not change that; run `benchdock results`" in said
    place = location.here()
    with monkeypatch.context() as older:
        older.setattr(schema, "HEAD", "0001")
        older.setattr(database, "_create", lambda one: migrating.upgrade(one, "", place, to="0001"))
        made(shared, older)
    capsys.readouterr()
    found, said = listed(capsys)
    assert found == [FIRST]
    assert "has tables of an older benchdock, and this user may not change that" in said
    made(shared, monkeypatch)
    monkeypatch.setenv("BENCHDOCK_DATABASE", as_role(shared, "writer"))
    capsys.readouterr()
    assert listed(capsys) == ([FIRST], "")


@pytest.mark.parametrize("before", ["new", "older"])
def test_many_processes_change_the_tables_once(
    server, new_postgresql, home, monkeypatch, capsys, before
):
    """The server's log counts the statements of all processes."""
    import psycopg

    monkeypatch.setenv("BENCHDOCK_DATABASE", new_postgresql)
    place = location.here()
    if before == "older":
        with monkeypatch.context() as older:
            older.setattr(schema, "HEAD", "0001")
            older.setattr(
                database, "_create", lambda one: migrating.upgrade(one, "", place, to="0001")
            )
            with connected(place):
                pass
    name = name_of(new_postgresql)
    with psycopg.connect(server.format("postgres"), autocommit=True) as connection:
        connection.execute(f"ALTER DATABASE {name} SET log_statement = 'ddl'")
    log = Path(server.partition("host=")[2]) / "server.log"
    start = log.stat().st_size
    for number in range(PROCESSES):
        stored(f"20260101T12{number:02}00-pytorch-x-0a1b2c")
    started = [
        subprocess.Popen(
            [sys.executable, "-m", "orchestrator", "results", "--json"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(PROCESSES)
    ]
    for one in started:
        out, err = one.communicate(timeout=300)
        assert (one.returncode, err) == (0, "")
        assert len(json.loads(out)["runs"]) == PROCESSES
    with log.open("rb") as stream:
        stream.seek(start)
        said = stream.read().decode()
    made_once = (
        "CREATE TABLE run " if before == "new" else "CREATE INDEX ix_run_session_id_run_started"
    )
    assert said.count(made_once) == 1, said[-2000:]
    with connected(place) as connection:
        assert connection.execute(text("SELECT count(*) FROM alembic_version")).scalar() == 1
        assert len(connection.execute(select(schema.run.c.name)).all()) == PROCESSES


@pytest.fixture
def own_server(home, monkeypatch):
    """A server that the test may stop: the function stops it, or starts it again."""
    programs = postgresql.programs()
    if programs is None:
        pytest.skip("needs PostgreSQL's server: apt-get install postgresql")
    with postgresql.server(programs) as url:
        root = Path(url.partition("host=")[2])
        monkeypatch.setenv("BENCHDOCK_DATABASE", url.format("postgres"))
        yield lambda action: postgresql.control(programs, root, action)


def test_a_server_that_is_away_costs_nothing(own_server, capsys):
    stored(FIRST)
    assert listed(capsys) == ([FIRST], "")
    own_server("stop")
    stored(SECOND)
    found, said = listed(capsys)
    assert found == [SECOND, FIRST]
    assert said.count("\n") == 1
    assert re.search(r"the database postgres on .* does not answer; .*; reading the run", said)
    assert main(["results", "rebuild"]) == ExitStatus.MACHINE_CANNOT
    assert capsys.readouterr().err.count("\n") == 1
    own_server("start")
    assert listed(capsys) == ([SECOND, FIRST], "")


def test_the_end_of_a_suite_waits_for_a_server(own_server):
    stored(FIRST)
    told: list[str] = []
    own_server("stop")
    timer = threading.Timer(2.0, own_server, ["start"])
    timer.start()
    began = time.monotonic()
    try:
        found = reading.use_patiently(
            location.here(),
            lambda connection: set(connection.execute(select(schema.run.c.name)).scalars()),
            told.append,
        )
    finally:
        timer.join()
    assert found == {FIRST}
    assert 1.5 < time.monotonic() - began < 60
    (line,) = told
    assert line.endswith("does not answer; trying for 3 min 00 s")


def test_a_server_that_stays_away_is_given_up(own_server, monkeypatch):
    own_server("stop")
    monkeypatch.setattr(reading, "PATIENCE", 1.0)
    with pytest.raises(faults.AwayError, match="does not answer"):
        reading.use_patiently(location.here(), lambda _: None, lambda _: None)


def test_a_server_that_stops_in_the_middle_loses_nothing(own_server, capsys):
    for number in range(50):
        stored(f"20260101T12{number:02}00-pytorch-x-0a1b2c")

    def work(connection):
        assert connection.execute(select(schema.run.c.name)).first()
        own_server("stop")
        connection.execute(select(schema.run.c.name))

    with pytest.raises(MachineError, match=r"does not answer|is shutting down"):
        reading.use(location.here(), work, lambda _: None)
    own_server("start")
    found, said = listed(capsys)
    assert (len(found), said) == (20, "")
    assert len(names(location.here().url.set(drivername="postgresql").render_as_string())) == 50
