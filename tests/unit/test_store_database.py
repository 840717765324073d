"""The database file: its tables, and what is said when it cannot be used."""

import os
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import URL, create_engine, event, text
from sqlalchemy.exc import OperationalError

from orchestrator import paths
from orchestrator.cli import main
from orchestrator.errors import ExitStatus, MachineError, RequestError
from orchestrator.store import database, file_system, location, migrating, schema, taking_in
from orchestrator.store.database import connected, writing
from orchestrator.store.reading import _inode, _move_aside
from tests.support.run_folders import stored

FIRST, SECOND = (f"2026010{day}T120000-pytorch-x-0a1b2c" for day in range(1, 3))
FOLDERS = "; reading the run folders instead\n"


@pytest.fixture(autouse=True)
def home(monkeypatch, tmp_path):
    monkeypatch.setenv("BENCHDOCK_HOME", str(tmp_path))
    monkeypatch.delenv("BENCHDOCK_DATABASE", raising=False)
    return tmp_path


def listed(capsys):
    """List the runs; return their names and what was said about the database."""
    assert main(["results"]) == ExitStatus.OK
    told = capsys.readouterr()
    return [line.split()[0] for line in told.out.splitlines()[1:]], told.err


def tables(connection):
    """Return each table and index as SQLite has it."""
    found = connection.execute(text("SELECT name, sql FROM sqlite_master ORDER BY name"))
    return {name: " ".join((sql or "").replace('"', "").split()) for name, sql in found}


def test_the_migrations_make_the_tables_of_the_schema(tmp_path):
    whole, steps = (create_engine(f"sqlite:///{tmp_path}/{name}") for name in ("whole", "steps"))
    with whole.connect() as one, steps.connect() as other:
        database._create(one)
        migrating.upgrade(other, "", location.memory())
        differences = compare_metadata(MigrationContext.configure(other), schema.metadata)
        assert differences == []
        assert tables(one).keys() == tables(other).keys()
        assert one.execute(text("SELECT version_num FROM alembic_version")).scalar() == schema.HEAD
        assert (
            other.execute(text("SELECT version_num FROM alembic_version")).scalar() == schema.HEAD
        )
        assert "WHERE status = 'failed'" in tables(other)["ix_run_failed"]
    whole.dispose()
    steps.dispose()


def test_an_old_database_is_brought_up_to_date(home):
    with sqlite3.connect(home / "results.db") as old:
        old.execute("CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL)")
    with connected(location.here()) as connection:
        assert connection.execute(text("SELECT count(*) FROM run")).scalar() == 0


def test_the_database_can_be_written_by_several_at_once(home):
    with connected(location.here()) as connection:
        assert connection.execute(text("PRAGMA journal_mode")).scalar() == "wal"
        assert connection.execute(text("PRAGMA foreign_keys")).scalar() == 1
        assert connection.execute(text("PRAGMA busy_timeout")).scalar() == 30_000


def test_only_its_owner_may_read_the_database(home, monkeypatch):
    before = os.umask(0o022)
    try:
        with connected(location.here()) as connection, writing(connection):
            connection.execute(text("INSERT INTO machine (key, facts) VALUES ('m', '{}')"))
            modes = {path.name: path.stat().st_mode & 0o777 for path in home.glob("results.db*")}
    finally:
        os.umask(before)
    assert modes == {"results.db": 0o600, "results.db-wal": 0o600, "results.db-shm": 0o600}


def test_the_journal_is_changed_when_others_are_done(home, monkeypatch):
    monkeypatch.setattr(database, "PATIENCE", 0.2)
    with closing(sqlite3.connect(home / "results.db", isolation_level=None)) as other:
        other.execute("CREATE TABLE x (y)")
        other.execute("BEGIN IMMEDIATE")
        other.execute("INSERT INTO x VALUES (1)")
        told = "another program holds"
        with pytest.raises(MachineError, match=told), connected(location.here()):
            pass
        monkeypatch.setattr(database.time, "sleep", lambda _: other.execute("COMMIT"))
        with connected(location.here()) as connection:
            assert connection.execute(text("PRAGMA journal_mode")).scalar() == "wal"


@pytest.mark.parametrize("kind", ["nfs4", "fuse.sshfs", "9p"])
def test_a_database_on_a_server_has_a_journal_that_needs_no_shared_memory(monkeypatch, home, kind):
    with connected(location.here()) as connection:  # made before the folder became one of a server
        assert connection.execute(text("PRAGMA journal_mode")).scalar() == "wal"
    monkeypatch.setattr(database, "network", lambda _: kind)
    with connected(location.here()) as connection:
        assert connection.execute(text("PRAGMA journal_mode")).scalar() == "delete"
        assert connection.execute(text("PRAGMA synchronous")).scalar() == 2
    assert not (home / "results.db-wal").exists()


MOUNTS = """\
22 1 254:1 / / rw,relatime shared:1 - ext4 /dev/vda1 rw
23 22 0:21 / /home rw,nosuid - nfs4 server:/home rw,vers=4.2
24 23 0:22 / /home/me/with\\040space rw - xfs /dev/vdb rw
25 22 0:23 / /mnt rw - ext4 /dev/vdc rw
26 25 0:24 / /mnt rw master:2 - fuse.sshfs me@host: rw
broken line
"""


@pytest.mark.parametrize(
    ("path", "kind", "network"),
    [
        ("/var/lib", "ext4", None),
        ("/home/me", "nfs4", "nfs4"),
        ("/homestead", "ext4", None),
        ("/home/me/with space/x", "xfs", None),
        ("/mnt/x", "fuse.sshfs", "fuse.sshfs"),
    ],
)
def test_the_file_system_of_a_path(tmp_path, path, kind, network):
    mounts = tmp_path / "mountinfo"
    mounts.write_text(MOUNTS)
    assert file_system.of(Path(path), mounts) == kind
    assert file_system.network(Path(path), mounts) == network


def test_an_unknown_file_system_is_no_server(tmp_path):
    assert file_system.of(tmp_path, tmp_path / "absent") == ""
    assert file_system.network(tmp_path, tmp_path / "absent") is None


@pytest.mark.parametrize("damage", ["text", "header", "middle", "version"])
def test_a_damaged_database_is_moved_aside_and_built_again(home, capsys, damage):
    for name in (FIRST, SECOND):
        stored(name)
    assert listed(capsys) == ([SECOND, FIRST], "")
    path = home / "results.db"
    data = bytearray(path.read_bytes())
    pages = len(data) // 4096
    match damage:
        case "text":
            data = bytearray(b"what is this? " * 1000)
        case "header":
            data[:100] = bytes(100)
        case "middle":
            data[8192:] = os.urandom(4096 * (pages - 2))
        case "version":
            data[4096 * 1 :] = bytes(4096 * (pages - 1))
    path.write_bytes(data)
    names, told = listed(capsys)
    assert names == [SECOND, FIRST]
    (broken,) = home.glob("results.db.broken-*")
    assert (
        told
        == f"note: the database {path} is damaged; it was moved to {broken} and is built again\n"
    )
    assert broken.read_bytes() == bytes(data)
    assert listed(capsys) == ([SECOND, FIRST], "")


def test_a_database_that_another_process_has_built_again_is_kept(home):
    path = home / "results.db"
    path.write_text("damaged")
    inode = _inode(path)
    path.rename(home / "moved")
    path.write_text("good")
    assert _move_aside(path, inode) is None
    assert path.read_text() == "good"


def test_a_newer_database_is_left_alone(home, capsys):
    stored(FIRST)
    listed(capsys)
    with sqlite3.connect(home / "results.db") as other:
        other.execute("UPDATE alembic_version SET version_num = '0999'")
    before = (home / "results.db").read_bytes()
    names, told = listed(capsys)
    assert names == [FIRST]
    assert told == (
        f"note: a newer benchdock wrote the database {home}/results.db (its tables are at 0999); "
        "upgrade benchdock, or set BENCHDOCK_HOME to another folder" + FOLDERS
    )
    assert (home / "results.db").read_bytes() == before


def test_a_locked_database_is_waited_for_and_then_left(home, capsys, monkeypatch):
    stored(FIRST)
    listed(capsys)
    monkeypatch.setattr(database, "PATIENCE", 0.2)
    other = sqlite3.connect(home / "results.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    assert listed(capsys) == ([FIRST], "")  # nothing to write
    stored(SECOND)
    names, told = listed(capsys)
    other.close()
    assert names == [SECOND, FIRST]
    assert told == (
        f"note: another program holds {home}/results.db locked; end that program, or try again "
        "later" + FOLDERS
    )
    assert listed(capsys) == ([SECOND, FIRST], "")


def test_a_database_that_cannot_be_written_is_left(home, capsys, monkeypatch):
    stored(FIRST)
    listed(capsys)
    stored(SECOND)
    path = home / "results.db"
    url = URL.create("sqlite", database=f"file:{path}", query={"mode": "ro", "uri": "true"})
    monkeypatch.setattr(location, "here", lambda: location.Location(url=url, path=path))
    names, told = listed(capsys)
    assert names == [SECOND, FIRST]
    assert (
        told == f"note: {path} cannot be written; set BENCHDOCK_HOME to a writable folder{FOLDERS}"
    )


def test_a_folder_in_the_way_of_the_database(home, capsys):
    stored(FIRST)
    (home / "results.db").mkdir()
    names, told = listed(capsys)
    assert names == [FIRST]
    path, hint = home / "results.db", "set BENCHDOCK_HOME to a writable folder"
    assert told == f"note: the database {path} cannot be opened: Is a directory; {hint}{FOLDERS}"


def test_a_full_disk_loses_nothing(home, capsys, monkeypatch):
    stored(FIRST)
    listed(capsys)
    real = database._set_up_sqlite

    def full(engine, journal):
        real(engine, journal)

        @event.listens_for(engine, "connect")
        def _on_connect(raw, _record):
            raw.execute("PRAGMA max_page_count=1")  # the present size

    monkeypatch.setattr(database, "_set_up_sqlite", full)
    for number in range(300):
        stored(f"20260202T000000-pytorch-x-{number:06x}")
    told = r"the disk of \S+/results.db is full; free some space"
    with pytest.raises(MachineError, match=told), connected(location.here()) as connection:
        taking_in.take_in(connection, pytest.fail)
    monkeypatch.undo()
    os.environ["BENCHDOCK_HOME"] = str(home)
    with connected(location.here()) as connection:
        assert connection.execute(text("PRAGMA integrity_check")).scalar() == "ok"
    assert len(listed(capsys)[0]) == 21


def test_an_error_of_ours_stays_one(home):
    told = "no such table"
    with pytest.raises(OperationalError, match=told), connected(location.here()) as connection:
        connection.execute(text("SELECT * FROM absent"))


@pytest.mark.parametrize(
    "url",
    ["mysql://me:secret@host/db", "postgresql://me:secret@host", "secret", "postgresql://h:secret/x",
     "sqlite:///secret.db"],
)  # fmt: skip
def test_a_wrong_url_is_a_wrong_request_and_is_not_shown(monkeypatch, capsys, url):
    monkeypatch.setenv("BENCHDOCK_DATABASE", url)
    assert main(["results"]) == ExitStatus.BAD_REQUEST
    told = capsys.readouterr().err
    assert told == (
        "benchdock: BENCHDOCK_DATABASE is not the URL of a PostgreSQL database; write it like "
        "postgresql://USER@HOST/DATABASE, or unset it to use SQLite\n"
    )


def test_a_server_that_does_not_answer(monkeypatch, capsys, home):
    stored(FIRST)
    monkeypatch.setenv(
        "BENCHDOCK_DATABASE", "postgresql://me:secret@/db?host=/absent&password=secret"
    )
    names, told = listed(capsys)
    assert names == [FIRST]
    assert told == (
        "note: the database db on /absent does not answer; start its server, correct "
        "BENCHDOCK_DATABASE, or unset it to use SQLite" + FOLDERS
    )
    assert not (home / "results.db").exists()


def test_without_its_driver_postgresql_names_the_command(monkeypatch, capsys):
    monkeypatch.setenv("BENCHDOCK_DATABASE", "postgresql://me:secret@host/db")
    monkeypatch.setattr(database, "find_spec", lambda _: None)
    assert main(["results"]) == ExitStatus.OK
    told = capsys.readouterr().err
    assert told.startswith("note: PostgreSQL needs the package psycopg; run `")
    assert f"-m pip install --editable '{paths.PROJECT}[postgresql]'`" in told
    assert "secret" not in told


def test_a_home_without_runs_stays_as_it_is(home, capsys):
    shutil.rmtree(home)
    assert main(["results"]) == ExitStatus.OK
    assert capsys.readouterr().err == ""
    assert not home.exists()


def test_a_reader_does_not_hold_up_a_writer(home):
    with connected(location.here()) as one, connected(location.here()) as other:
        with one.begin():
            one.execute(text("SELECT * FROM run")).all()
            with writing(other):
                other.execute(text("INSERT INTO machine (key, facts) VALUES ('m', '{}')"))
        with writing(one):
            assert one.execute(text("SELECT count(*) FROM machine")).scalar() == 1


@pytest.mark.slow
@pytest.mark.parametrize(
    "words",
    [("--help",), ("results", "--help"), ("run", "resnet50", "-f", "pytorch", "--dry-run"),
     ("completion", "bash")],
)  # fmt: skip
def test_what_reads_no_results_does_not_import_the_database(words):
    code = (
        "import sys\n"
        "from orchestrator.cli import main\n"
        "try:\n"
        "    main(sys.argv[1:])\n"
        "except SystemExit:\n"
        "    pass\n"
        "found = {'sqlalchemy', 'alembic', 'psycopg', 'duckdb', 'sqlite3'} & set(sys.modules)\n"
        "sys.exit(str(found) if found else 0)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *words], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_the_durations_need_no_database():
    code = (
        "import sys\n"
        "from orchestrator.store import durations, identity\n"
        "durations.Durations.read()\n"
        "sys.exit('sqlalchemy' in sys.modules)\n"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_url_is_named_without_its_secrets(monkeypatch):
    monkeypatch.setenv("BENCHDOCK_DATABASE", "postgresql://me:secret@host:5/db?sslpassword=secret")
    assert str(location.here()) == "db on host"
    with pytest.raises(RequestError):
        monkeypatch.setenv("BENCHDOCK_DATABASE", "postgresql://host")
        location.here()
