"""Run folders become rows: new ones, those that got a result later, and those that are gone."""

import json
import os
import shutil
import time
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select, text

from orchestrator import paths
from orchestrator.paths import runs
from orchestrator.result import Metric
from orchestrator.store import durations, folders, location, queries, reading, schema, taking_in
from orchestrator.store.database import connected
from orchestrator.store.wanted import Wanted
from orchestrator.suites.journal import Journal
from tests.support import stand_in
from tests.support.run_folders import filed, in_session, stored

FIRST, SECOND, THIRD, FOURTH = (f"2026010{day}T120000-pytorch-x-0a1b2c" for day in range(1, 5))


@pytest.fixture(autouse=True)
def home(monkeypatch, tmp_path):
    monkeypatch.setenv("BENCHDOCK_HOME", str(tmp_path))
    monkeypatch.delenv("BENCHDOCK_DATABASE", raising=False)
    return tmp_path


def names(wanted=None):
    """Return the runs of the database, newest first."""
    return reading.read(
        lambda connection: [
            row["name"] for row in queries.newest(connection, wanted or Wanted(), None)
        ],
        pytest.fail,
    )


def cell(name, column):
    statement = select(schema.run.c[column]).where(schema.run.c.name == name)
    return reading.read(lambda c: c.execute(statement).scalar_one(), pytest.fail)


def settle(folder):
    """Make a folder look as if it had changed long ago."""
    moment = time.time() - 3600
    os.utime(folder, (moment, moment))


def test_new_folders_are_taken_in_and_others_are_not_read_again(monkeypatch):
    stored(FIRST)
    assert names() == [FIRST]
    stored(SECOND)
    read: list[str] = []
    real = taking_in.read_file

    def noting(kind, path):
        read.append(path.parent.name)
        return real(kind, path)

    monkeypatch.setattr(taking_in, "read_file", noting)
    assert names() == [SECOND, FIRST]
    assert read == [SECOND]


def test_nothing_is_listed_if_nothing_changed(monkeypatch):
    stored(FIRST)
    settle(runs())
    assert names() == [FIRST]
    real = folders.names
    monkeypatch.setattr(folders, "names", lambda root: 1 / 0 if root == runs() else real(root))
    assert names() == [FIRST]
    stored(SECOND)
    with pytest.raises(ZeroDivisionError):
        names()


def test_a_change_in_the_same_tick_is_seen(monkeypatch):
    stored(FIRST)
    moment = runs().stat().st_mtime_ns
    assert names() == [FIRST]
    stored(SECOND)
    os.utime(runs(), ns=(moment, moment))
    assert names() == [SECOND, FIRST]


@pytest.mark.parametrize("settled", [True, False])
def test_a_folder_that_is_gone_is_gone(settled):
    for name in (FIRST, SECOND, THIRD):
        stored(name)
    if settled:
        settle(runs())
    assert len(names()) == 3
    shutil.rmtree(runs() / SECOND)
    stored(FOURTH)
    assert names() == [FOURTH, THIRD, FIRST]


def test_a_folder_that_was_renamed_or_put_back_is_found():
    stored(FIRST)
    stored(THIRD)
    assert names() == [THIRD, FIRST]
    stored(SECOND)  # older than the newest
    (runs() / FIRST).rename(runs() / "kept")
    assert names() == [THIRD, SECOND, "kept"]


def test_a_result_that_comes_later_is_taken_in():
    folder = filed(FIRST, request=stand_in.request())
    stored(SECOND)
    settle(runs())
    assert names() == [SECOND]
    text_of = (runs() / SECOND / "result.json").read_text()
    folder.result.write_text("broken")
    assert names() == [SECOND]
    folder.result.write_text(text_of)
    assert names() == [SECOND, FIRST]
    assert reading.read(queries.pending, pytest.fail) == []


def test_a_run_that_never_gets_a_result_is_not_read_again(monkeypatch):
    filed(FIRST, "broken")
    assert names() == []
    monkeypatch.setattr(taking_in, "_row", lambda *_: 1 / 0)
    assert names() == []


@pytest.mark.parametrize("name", ["notes.txt", "\udcff", ".aside"])
def test_what_is_no_run_is_passed_over(name):
    stored(FIRST)
    (runs() / name).mkdir() if name != "notes.txt" else (runs() / name).touch()
    (runs() / "loop").symlink_to("loop")
    assert names() == [FIRST]


def test_the_session_and_the_tags_of_a_folder_are_taken_in():
    in_session(stored(FIRST), name="n1", **{"pass": 3, "night": "2026-01-01"})
    in_session(stored(SECOND), name="n1", night="2026-01-01")
    stored(THIRD).tags.write_text('["good", "old\\ud800\\u0000", 7]')
    assert names(Wanted(session="n1")) == [SECOND, FIRST]
    assert cell(FIRST, "pass") == 3
    told = reading.read(lambda c: c.execute(select(schema.session)).mappings().all(), pytest.fail)
    assert [(one["suite"], one["night"]) for one in told] == [("nightly", "2026-01-01")]
    for tag in ("good", "7", "old?\ufffd"):
        assert names(Wanted(tag=tag)) == [THIRD]
    assert names(Wanted(tag="absent")) == []


@pytest.mark.parametrize("note", ["", "[]", "{}", '{"name": 7}', '{"name": "n"', "7" * 2**21])
def test_a_damaged_note_of_a_session_is_no_session(note):
    folder = stored(FIRST)
    folder.session.write_text(note)
    folder.tags.write_text(note)
    assert names() == [FIRST]
    assert cell(FIRST, "session_id") is None


def test_a_pipe_in_a_run_folder_stops_nothing():
    os.mkfifo(stored(FIRST).session)
    assert names() == [FIRST]


def test_the_numbers_that_one_lists_are_columns():
    metrics = {
        "throughput": Metric(value=10.0, unit="samples/s"),
        "step_time_median": Metric(value=0.2, unit="s"),
        "latency_p99": Metric(value=0.5, unit="s"),
        "step_time_p99": Metric(value=0.4, unit="s"),
        "peak_memory": Metric(value=1e9, unit="bytes"),
    }
    environment = {"gpu": {"driver": "580.1"}, "hostname": "here"}
    stored(FIRST, metrics=metrics, environment=environment, warnings=("hot",))
    told = reading.read(lambda c: c.execute(select(schema.run)).mappings().one(), pytest.fail)
    assert (told["throughput"], told["unit"], told["p50"], told["p99"]) == (
        10,
        "samples/s",
        0.2,
        0.5,
    )
    assert (told["memory"], told["energy"], told["driver"], told["warnings"]) == (
        1e9,
        None,
        "580.1",
        1,
    )
    assert told["metrics"]["step_time_p99"] == [0.4, "s"]
    assert told["started"] == datetime(2026, 1, 1, 12, tzinfo=UTC).timestamp()


def test_the_same_request_in_the_same_place_is_one_series():
    stored(FIRST, environment={"machine": "m"})
    stored(SECOND, environment={"machine": "m"}, image_digest="x")
    stored(THIRD, environment={"machine": "n"})
    stored(FOURTH, environment={"machine": "m"}, planned={"batch": 3})
    series = [cell(name, "series_id") for name in (FIRST, SECOND, THIRD, FOURTH)]
    assert series[0] == series[1]
    assert len(set(series)) == 3


def test_a_run_that_was_never_planned_has_a_series_of_its_own():
    stored(FIRST)
    stored(SECOND, plan=None, status="failed")
    stored(THIRD, plan=None, request=None, program={"model": "vgg16", "batch": 7})
    assert names(Wanted(model="deep_mnist")) == [SECOND, FIRST]
    assert names(Wanted(model="vgg16", batch=7)) == [THIRD]
    decided = reading.read(
        lambda c: c.execute(select(schema.series.c.decided)).scalars().all(), pytest.fail
    )
    assert sorted(decided) == [False, False, True]


def test_the_durations_of_series_are_kept_in_a_file(home):
    began = datetime(2026, 1, 1, 12, tzinfo=UTC)
    for name, seconds in ((FIRST, 60), (SECOND, 100), (THIRD, 70)):
        start = began + timedelta(days=int(name[7]) - 1)
        stored(name, finished=start + timedelta(seconds=seconds))
    stored(FOURTH, status="failed", finished=began + timedelta(days=9))
    names()
    (series,) = reading.read(
        lambda c: c.execute(select(schema.series)).mappings().all(), pytest.fail
    )
    known = durations.Durations.read()
    assert known.longest(series["what"], series["place"]) == durations.Expected(seconds=70, runs=3)
    assert known.longest(series["what"], "elsewhere").seconds == 70
    assert known.longest("other", series["place"]) is None


@pytest.mark.parametrize(
    "text_of",
    ["", "[]", '{"schema": 2, "series": {}}', '{"schema": 1, "series": [1]}',
     '{"schema": 1, "series": {"a": {"b": {"seconds": "x", "runs": 1}, "c": 7}, "d": 1}}'],
)  # fmt: skip
def test_a_damaged_file_of_durations_is_as_none(text_of):
    paths.durations().write_text(text_of)
    assert durations.Durations.read().longest("a", "b") is None
    stored(FIRST, finished=datetime(2026, 1, 2, tzinfo=UTC))
    names()
    assert json.loads(paths.durations().read_text())["schema"] == 1


def test_an_interrupted_taking_in_goes_on(monkeypatch):
    monkeypatch.setattr(taking_in, "_BATCH", 2)
    for number in range(7):
        stored(f"20260101T12000{number}-pytorch-x-0a1b2c")
    add = taking_in._add
    done: list[None] = []

    def once(*told):
        if done:
            raise KeyboardInterrupt
        done.append(add(*told))

    monkeypatch.setattr(taking_in, "_add", once)
    with pytest.raises(KeyboardInterrupt):
        names()
    with connected(location.here()) as connection:
        assert connection.execute(text("SELECT count(*) FROM run")).scalar() == 2
    monkeypatch.setattr(taking_in, "_add", add)
    assert len(names()) == 7


def test_many_runs_are_announced(monkeypatch):
    monkeypatch.setattr(taking_in, "_MANY", 2)
    stored(FIRST)
    stored(SECOND)
    told: list[str] = []
    reading.read(lambda _: None, told.append)
    assert told == ["reading 2 runs into the database"]


def test_forgetting_removes_only_the_runs_of_this_home(monkeypatch, tmp_path):
    stored(FIRST)
    filed(SECOND, "broken")
    in_session(stored(THIRD)).tags.write_text('["good"]')
    with connected(location.here()) as connection:
        taking_in.take_in(connection, pytest.fail)
        assert taking_in.forget(connection) == 2
        assert connection.execute(text("SELECT count(*) FROM tag")).scalar() == 0
    assert names(Wanted(tag="good")) == [THIRD]
    assert names() == [THIRD, FIRST]


def journal(name, *events):
    """Write the journal of a session."""
    root = paths.sessions() / name
    root.mkdir(parents=True, exist_ok=True)
    with Journal(root / "journal.jsonl") as log:
        for event, at in events:
            log.append(event, at=at)


def session_row():
    names = ("started", "finished", "status")
    return reading.read(
        lambda c: c.execute(select(*(schema.session.c[name] for name in names))).one(), pytest.fail
    )


def test_when_a_session_began_and_ended_is_known_from_its_journal():
    one, two, three = (f"2026-01-01T0{hour}:00:00+00:00" for hour in (1, 2, 3))
    in_session(stored(FIRST), name="n1")
    assert session_row() == (None, None, None)
    stored(SECOND)
    journal("n1", ("begin", one), ("start", one))
    in_session(stored(THIRD), name="n1")
    began = datetime.fromisoformat(one).timestamp()
    assert session_row() == (began, None, "unfinished")
    journal("n1", ("end", two), ("finish", two))  # no run came since
    assert session_row() == (began, began + 3600, "finished")
    journal("n1", ("begin", three))
    in_session(stored(FOURTH), name="n1")
    assert session_row() == (began, None, "unfinished")


def test_a_damaged_journal_says_what_it_can():
    root = paths.sessions() / "n1"
    root.mkdir(parents=True)
    lines = b'{"event":"begin","at":"yesterday"}\n\xff\n{"event":"finish"'
    (root / "journal.jsonl").write_bytes(lines)
    in_session(stored(FIRST), name="n1")
    assert session_row() == (None, None, "unfinished")


def test_a_session_of_a_strange_name_is_not_looked_for_outside_of_the_home():
    journal("n1", ("begin", "2026-01-01T01:00:00+00:00"))
    in_session(stored(FIRST), name="../sessions/n1")
    assert session_row() == (None, None, None)
