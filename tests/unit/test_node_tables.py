"""The page of the machine compares nodes by their checks, and machines by their runs."""

from datetime import UTC, datetime

import pytest
from sqlalchemy import select

from orchestrator.fleet import folder
from orchestrator.metric import Metric
from orchestrator.report import machine_page, node_tables, site
from orchestrator.report.site import Told
from orchestrator.report.stored import Stored, gather
from orchestrator.report.window import window
from orchestrator.store import location, schema
from orchestrator.store.database import connected
from orchestrator.store.taking_in import take_in
from tests.support.nights import night, series
from tests.support.nodes import fleet, record
from tests.support.run_folders import stored

MACHINES: dict[str, dict[str, tuple[float, ...]]] = {
    "w1": {"alpha": (100.0, 101.0, 99.0), "beta": (100.5, 99.5), "gamma": (80.0, 81.0, 80.5)},
    "w2": {"alpha": (5.0, 5.1)},
}
SERIES = (series("a-0a1b2c3d", title="vgg16 pytorch", what="w1"), series("b-0a1b2c3d", what="w2"))


@pytest.fixture(autouse=True)
def home(monkeypatch, tmp_path):
    monkeypatch.setenv("BENCHDOCK_HOME", str(tmp_path))


def filed(*records):
    where = folder.new()
    for one in records:
        folder.write(where, one)


def test_without_checks_and_with_one_machine_there_is_no_table():
    assert node_tables.checked() is None
    one = Stored(machines={"w2": MACHINES["w2"]})
    assert node_tables.elsewhere(night(1, *SERIES), one) is None


def test_nodes_are_in_a_table_the_slow_ones_first():
    filed(*fleet(4, {3: 0.8}))
    found = node_tables.checked()
    assert found.sentence == "1 of 4 nodes is slow: n3"
    assert found.told[0].startswith("n3 is slow: ")
    first, *others = found.table.rows
    assert (first[1], first[-1]) == ("n3", "slow")
    assert first[3].startswith("-20.")
    assert " to -1" in first[4]
    assert len(others) == 7
    assert {row[-1] for row in others} == {"ok"}


def test_machines_are_compared_by_the_same_runs():
    found = node_tables.elsewhere(night(1, *SERIES), Stored(machines=MACHINES))
    assert [(row[0], row[1], row[-1]) for row in found.rows] == [
        ("vgg16 pytorch", "gamma", "slow"),
        *(("vgg16 pytorch", name, "ok") for name in ("alpha", "beta")),
    ]


def test_the_runs_of_all_machines_are_gathered():
    """Two machines have one host name: their keys tell them apart."""
    machines = {"abc": "box", "abd": "box", "xyz": "other"}
    for number, (key, host) in enumerate(machines.items()):
        stored(
            f"20261101T12{number:02}00-pytorch-x-0a1b2c",
            environment={"machine": key, "hostname": host},
            started=datetime(2026, 11, 1, 12, number, tzinfo=UTC),
            metrics={"throughput": Metric(value=10.0 + number, unit="samples/s")},
        )
    with connected(location.here()) as connection:
        take_in(connection, lambda _: None)
        (what,) = connection.execute(select(schema.series.c.what).distinct()).scalars()
    ended = datetime(2026, 11, 2, tzinfo=UTC).timestamp()
    tonight = night(1, series(what=what), started=ended - 3600, finished=ended)
    found = gather(tonight, pytest.fail)
    assert found.machines == {what: {"box (abc)": (10.0,), "box (abd)": (11.0,), "other": (12.0,)}}


def test_the_page_shows_both_tables_as_text():
    filed(*fleet(3), record("<b>n4</b>", problems=("control series: <script>",)))
    told = Told(
        window=window([night(1, *SERIES)]),
        stored=Stored(machines=MACHINES),
        runs=(),
        made=datetime(2026, 4, 5),
    )
    text = site.single_file(told)
    assert "<h2>Machines</h2>" in text
    assert "4 nodes compared, none is slow." in text
    assert "The same on all machines, in the last 30 days" in text
    assert "&lt;b&gt;n4&lt;/b&gt;" in text
    assert "control series: &lt;script&gt;" in text
    assert "<b>n4" not in text
    assert machine_page.context(told.window, Stored())["elsewhere"] is None
