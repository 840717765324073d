"""`benchdock results table`: DLBS's four tables, by their definitions."""

import csv
import io
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.arguments.results_table import BY
from orchestrator.cli import main
from orchestrator.result import Failure, Metric
from orchestrator.results import scaling
from orchestrator.results.pivot import LAYOUTS, pivot
from tests.support.figures import store, store_sweep
from tests.support.figures import summary as run


@pytest.fixture(autouse=True)
def home(monkeypatch, tmp_path):
    monkeypatch.setenv("BENCHDOCK_HOME", str(tmp_path))


def values(runs, by, measure):
    found = pivot(runs, LAYOUTS[by])
    return {row.key: row.values for row in scaling.table(found, measure)}


def only(runs, by, measure):
    ((_, row),) = values(runs, by, measure).items()
    return row


WEAK = [run(100, devices=1), run(190, devices=2), run(420, devices=4)]
# A global batch of 64.
STRONG = [
    run(100, devices=1, batch=64),
    run(160, devices=2, batch=32),
    run(500, devices=4, batch=16),
]


def test_weak_scaling_is_t1_over_tn():
    assert only(WEAK, "weak", "throughput") == (100, 190, 420)
    assert only(WEAK, "weak", "time") == pytest.approx((0.32, 64 / 190, 128 / 420))
    assert only(WEAK, "weak", "speedup") == pytest.approx((1, 1.9, 4.2))
    assert only(WEAK, "weak", "efficiency") == pytest.approx((1, 0.95, 1.05))


def test_strong_scaling_is_t1_over_n_tn():
    assert only(STRONG, "strong", "time") == pytest.approx((0.64, 0.4, 0.128))
    assert only(STRONG, "strong", "speedup") == pytest.approx((1, 1.6, 5))
    assert only(STRONG, "strong", "efficiency") == pytest.approx((1, 0.8, 1.25))


def test_batches_have_no_efficiency():
    runs = [run(100, batch=8), run(150, batch=16)]
    assert scaling.measures(pivot(runs, LAYOUTS["batch"])) == ("time", "throughput", "speedup")
    assert only(runs, "batch", "time") == pytest.approx((0.08, 16 / 150))
    assert only(runs, "batch", "speedup") == (1, 1.5)


def test_scaling_from_two_devices_is_relative_to_two():
    runs = [run(200, devices=2), run(300, devices=4)]
    assert only(runs, "weak", "speedup") == (1, 1.5)
    assert only(runs, "weak", "efficiency") == (1, 0.75)
    halves = [run(200, devices=2, batch=32), run(300, devices=4, batch=16)]
    assert only(halves, "strong", "efficiency") == (1, 0.75)


def test_a_line_without_the_first_column_has_no_speed_up():
    runs = [*WEAK, run(50, devices=2, model="vgg19")]
    assert values(runs, "weak", "speedup")["vgg19", *run_key()] == (None, None, None)
    assert values(runs, "weak", "throughput")["vgg19", *run_key()] == (None, 50, None)
    assert scaling.without_first(pivot(runs, LAYOUTS["weak"])) == 1


def test_scaling_says_how_many_neighbours_were_busy():
    found = pivot(
        [*WEAK, run(110, devices=1, run="again")], LAYOUTS["weak"], {"again": 3.0, "other": 1.0}
    )
    assert scaling.measures(found)[-2:] == ("efficiency", "neighbours")
    (row,) = scaling.table(found, "neighbours")
    assert row.values == (3.0, None, None)
    assert scaling.measures(pivot(WEAK, LAYOUTS["weak"]))[-1] == "efficiency"


def test_busy_neighbours_are_read_from_results_of_gpus(capsys):
    busy = {"neighbours.busy": Metric(value=2.0, unit="GPUs")}
    store("20260101T000001-x", 100.0, device="gpu", device_count=1, monitor=busy)
    store("20260101T000002-x", 180.0, device="gpu", device_count=2)
    assert main(["results", "table", "--by", "weak", "--json"]) == 0
    cells = json.loads(capsys.readouterr().out)["cells"]
    assert [cell["neighbours"] for cell in cells] == [2.0, None]
    assert main(["results", "table", "--scaling", "weak"]) == 0
    assert "Other GPUs of the machine that were busy, by devices" in capsys.readouterr().out


def run_key():
    return "pytorch", "training", "float32", "gpu", 32


def test_nothing_that_differs_shares_a_cell():
    """DLBS's key is the network, the devices and the batch: the last of several wins there."""
    runs = [run(1), run(2, framework="mxnet"), run(3, dtype="float16"), run(4, phase="inference")]
    found = pivot(runs, LAYOUTS["batch"])
    assert sorted(cell.throughput for cell in found.cells.values()) == [1, 2, 3, 4]


def test_several_runs_are_their_median():
    found = pivot([run(100), run(130), run(110)], LAYOUTS["batch"])
    (cell,) = found.cells.values()
    assert (cell.runs, cell.throughput, cell.low, cell.high) == (3, 110, 100, 130)


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"status": "failed", "failure": Failure(kind="crashed", message="x")}, "they failed"),
        ({"status": "running"}, "they have no result"),
        ({"throughput": None}, "they have no throughput"),
        ({"throughput": float("nan")}, "they have no throughput"),
        ({"unit": "tokens/s"}, "their throughput is not in samples/s"),
        ({"batch": None}, "their batch or devices are unknown"),
    ],
)
def test_a_run_without_a_figure_is_counted(changes, why):
    found = pivot([run(), run(**changes)], LAYOUTS["batch"])
    assert dict(found.left_out) == {why: 1}
    assert len(found.cells) == 1


@pytest.mark.slow
@given(
    st.lists(
        st.tuples(
            st.sampled_from([1, 2, 4]),
            st.sampled_from([8, 16]),
            st.floats(1e-3, 1e6),
            st.sampled_from(["a", "b"]),
        ),
        min_size=1,
        max_size=10,
    ),
    st.sampled_from(sorted(LAYOUTS)),
)
def test_every_run_is_in_one_cell_and_the_definitions_hold(several, by):
    runs = [run(t, devices=n, batch=b, model=model) for n, b, t, model in several]
    found = pivot(runs, LAYOUTS[by])
    assert sum(cell.runs for cell in found.cells.values()) == len(runs)
    assert list(found.columns) == sorted(found.columns)
    for measure in scaling.measures(found):
        for row in scaling.table(found, measure):
            for column, value in zip(found.columns, row.values, strict=True):
                there = found.cell(row.key, column) is not None
                first = found.cell(row.key, found.columns[0]) is not None
                needs_first = measure in ("speedup", "efficiency")
                assert (value is not None) == (there and (first or not needs_first))
    if LAYOUTS[by].scaling:
        speedups = [row.values for row in scaling.table(found, "speedup")]
        efficiencies = [row.values for row in scaling.table(found, "efficiency")]
        for some, others in zip(speedups, efficiencies, strict=True):
            for column, speedup, efficiency in zip(found.columns, some, others, strict=True):
                if speedup is not None:
                    expected = speedup * int(found.columns[0]) / int(column)
                    assert efficiency == pytest.approx(expected)


def test_the_parser_has_the_layouts():
    assert set(BY) == set(LAYOUTS)


@pytest.fixture
def runs(home):
    store_sweep(Failure(kind="out_of_memory", message="no memory"))


TERMINAL = """\
all: phase training, dtype float32, device cpu, devices 1

Time of a step in ms, by batch per device
model  framework      8     16     32
vgg16  mxnet      88.89      -  80.00
vgg16  pytorch    76.92  106.7      -

Throughput in samples/s, by batch per device
model  framework          8     16     32
vgg16  mxnet          90.00      -  400.0
vgg16  pytorch    104.0 (3)  150.0      -

Speed-up: throughput over that with batch 8, by batch per device
model  framework      8     16     32
vgg16  mxnet      1.000      -  4.444
vgg16  pytorch    1.000  1.442      -

note: 1 run not in the tables: they failed
note: the runs of 1 cell differ by more than 10 %; `benchdock compare` shows how two runs differ
note: (n) is the number of runs, of which a cell shows the median
"""


def test_the_tables_of_a_terminal(runs, capsys):
    assert main(["results", "table", "--by", "batch"]) == 0
    assert capsys.readouterr().out == TERMINAL


def test_markdown_has_the_same_cells(runs, capsys):
    assert main(["results", "table", "--by", "framework", "--markdown"]) == 0
    out = capsys.readouterr().out
    assert "### Throughput in samples/s, by framework\n\n| model | batch |" in out
    assert "| ---: | ---: |\n" in out
    assert "| vgg16 | 8 | 90.00 | 104.0 (3) |\n" in out


def test_csv_has_a_line_per_cell_with_all_digits(runs, capsys):
    assert main(["results", "table", "--by", "batch", "--csv"]) == 0
    told = capsys.readouterr()
    lines = list(csv.DictReader(io.StringIO(told.out)))
    assert len(lines) == 4
    assert lines[2]["framework"] == "pytorch"
    assert (lines[2]["batch"], lines[2]["runs"], lines[2]["throughput"]) == ("8", "3", "104.0")
    assert float(lines[2]["time"]) == pytest.approx(8 / 104)
    assert "1 run not in the tables" in told.err


def test_json_is_one_document(runs, capsys):
    assert main(["results", "table", "--by", "weak", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["by"] == "weak"
    assert {cell["efficiency"] for cell in document["cells"]} == {1.0}
    assert {"model", "batch", "devices", "runs", "time"} < document["cells"][0].keys()


def test_filters_choose_runs(runs, capsys):
    assert main(["results", "table", "--by", "batch", "-f", "mxnet", "--csv"]) == 0
    lines = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert {line["framework"] for line in lines} == {"mxnet"}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--by", "bach"], "did you mean 'batch'? (one of batch, weak, strong"),
        ([], "--by --scaling"),
        (["--by", "batch", "--phase", "inference"], "no stored run matches --phase inference"),
        (["--by", "batch", "--model", "vgg61"], "unknown model 'vgg61'; did you mean"),
        (["--by", "batch", "--csv", "--markdown"], "not allowed with argument"),
        (["--by", "weak", "--scaling", "strong"], "not allowed with argument"),
        (["--scaling", "week"], "did you mean 'weak'?"),
    ],
)
def test_a_wrong_request_is_one_line(runs, words, said, capsys):
    assert main(["results", "table", *words]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert said in line


def test_only_failed_runs_make_no_table(home, capsys):
    store("20260101T000000-x", failure=Failure(kind="crashed", message="x"))
    assert main(["results", "table", "--by", "batch"]) == 2
    assert "none of the runs can be in a table: they failed" in capsys.readouterr().err


def test_no_runs_say_how_to_make_one(home, capsys):
    assert main(["results", "table", "--by", "batch"]) == 2
    assert "run `benchdock run resnet50 -f pytorch` to make one" in capsys.readouterr().err
