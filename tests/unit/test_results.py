"""`benchdock results`: every run has its row, whatever is in its folder, and few are read."""

import contextlib
import io
import json
import os
import subprocess
import sys
import time
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator import paths
from orchestrator.cli import main
from orchestrator.errors import ExitStatus
from orchestrator.machine.processes import Owner
from orchestrator.paths import RunFolder, runs
from orchestrator.result import Failure
from orchestrator.run import unfinished
from orchestrator.run.filing import to_json
from tests.fakes import plan
from tests.support import stand_in
from tests.support.run_folders import filed, stored

# Reads what a list of runs reads, and says how many files of runs that were.
COUNTING = """
import sys
opened = []
def note(event, told):
    if event == "open" and "/runs/" in str(told[0]):
        opened.append(told[0])
sys.addaudithook(note)
from orchestrator import paths
from orchestrator.cli import main
status = main(sys.argv[1:])
print(len(opened), file=sys.stderr)
sys.exit(status)
"""


@pytest.fixture(autouse=True)
def home(monkeypatch, tmp_path):
    monkeypatch.setenv("BENCHDOCK_HOME", str(tmp_path))
    monkeypatch.setenv("TZ", "UTC-02:00")
    time.tzset()
    yield tmp_path
    monkeypatch.undo()
    time.tzset()


def listed(capsys, *words):
    """Return what the command lists, as a document."""
    assert main(["results", "--json", *words]) == ExitStatus.OK
    return json.loads(capsys.readouterr().out)


def names(capsys, *words):
    return [row["run"] for row in listed(capsys, *words)["runs"]]


FAILED = {"status": "failed", "failure": Failure(kind="out_of_memory", message="full")}


def test_the_table(home, capsys):
    stored("20260101T120000-pytorch-deep_mnist-00000a")
    two = {"model": "vgg16", "phase": "inference", "dtype": "float16", "batch": 32}
    stored(
        "20260102T233000-tensorflow-vgg16-00000b",
        planned={**two, "framework": "tensorflow", "device": "gpu", "device_count": 2},
        warnings=("it was hot", "few steps"),
    )
    stored("20260103T000000-pytorch-deep_mnist-00000c", **FAILED)
    asked = stand_in.request(framework="caffe", gpus=(1,))
    filed("20260103T000001-caffe-deep_mnist-00000d", request=asked)
    filed("20260103T000002-caffe-deep_mnist-00000e", '{"schema": 9}', asked)
    filed("20260103T000003-pytorch-parity-00000f").log.touch()
    assert main(["results", "--last", "4"]) == ExitStatus.OK
    heading = (
        "run                                        when              model       framework   "
        "phase      dtype    batch  device              throughput  warnings"
    )
    rows = [
        "20260103T000002-caffe-deep_mnist-00000e    2026-01-03 02:00  deep_mnist  bvlc_caffe  "
        "training   float32      2  gpu             cannot be read         -",
        "20260103T000001-caffe-deep_mnist-00000d    2026-01-03 02:00  deep_mnist  bvlc_caffe  "
        "training   float32      2  gpu                  no result         -",
        "20260103T000000-pytorch-deep_mnist-00000c  2026-01-03 02:00  deep_mnist  pytorch     "
        "training   float32      2  cpu      failed: out_of_memory         -",
        "20260102T233000-tensorflow-vgg16-00000b    2026-01-03 01:30  vgg16       tensorflow  "
        "inference  float16     32  2 x gpu        1,235 samples/s         2",
    ]
    path = home / "runs" / "20260103T000002-caffe-deep_mnist-00000e" / "result.json"
    assert capsys.readouterr().out.splitlines() == [
        heading,
        *rows,
        f"note: cannot read {path}: schema: it should be 1; it was written by another version of "
        "benchdock",
        "1 older run was not shown; use --last N or --all to list more",
    ]


def test_the_document(capsys, home):
    name = "20260101T120000-pytorch-deep_mnist-00000a"
    stored(name, warnings=("it was hot",))
    assert listed(capsys) == {
        "schema": 1,
        "runs": [
            {
                "run": name,
                "folder": str(home / "runs" / name),
                "status": "ok",
                "started": "2026-01-01T12:00:00+00:00",
                "model": "deep_mnist",
                "framework": "pytorch",
                "phase": "training",
                "dtype": "float32",
                "batch": 2,
                "device": "cpu",
                "devices": 1,
                "throughput": {"value": 1234.56, "unit": "samples/s"},
                "failure": None,
                "warnings": ["it was hot"],
                "trust": None,
                "why": None,
            }
        ],
        "older": 0,
    }


FIRST, SECOND, THIRD, FOURTH = (f"2026010{day}T120000-pytorch-x-0a1b2c" for day in range(1, 5))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "left", "older"),
    [
        (("--model", "vgg16"), [SECOND], 0),
        (("-f", "caffe"), [SECOND], 0),
        (("--framework", "bvlc_caffe"), [SECOND], 0),
        (("--phase", "training"), [FOURTH, THIRD, FIRST], 0),
        (("--dtype", "bfloat16"), [FOURTH, THIRD], 0),
        (("--failed",), [THIRD], 0),
        (("--failed", "--dtype", "float32"), [], 0),
        (("--model", "resnet50"), [], 0),
        (("--model", "mine"), [FIRST], 0),
        (("--last", "1", "--phase", "inference"), [SECOND], 0),
        (("--last", "1", "--phase", "training"), [FOURTH], 2),
        (("--last", "2"), [FOURTH, THIRD], 2),
        (("--all",), [FOURTH, THIRD, SECOND, FIRST], 0),
    ],
)
def test_what_the_filters_leave(capsys, words, left, older):
    stored(FIRST, planned={"model": "mine"})
    stored(SECOND, planned={"model": "vgg16", "framework": "bvlc_caffe", "phase": "inference"})
    stored(THIRD, planned={"dtype": "bfloat16"}, **FAILED)
    filed(FOURTH, "broken", stand_in.request(dtype="bfloat16", gpus="all"))
    found = listed(capsys, *words)
    assert ([row["run"] for row in found["runs"]], found["older"]) == (left, older)


def test_a_name_that_no_run_and_no_network_has_is_a_mistake(capsys):
    stored(FIRST, planned={"model": "mine"})
    assert main(["results", "--model", "mien"]) == ExitStatus.BAD_REQUEST
    assert "unknown model 'mien'; did you mean 'mine'?" in capsys.readouterr().err


def test_one_line_says_that_there_is_nothing(capsys, home):
    assert main(["results"]) == ExitStatus.OK
    told = f"no runs in {home}/runs; run `benchdock run resnet50 -f pytorch` to make one\n"
    assert capsys.readouterr().out == told
    assert listed(capsys) == {"schema": 1, "runs": [], "older": 0}
    stored(FIRST)
    assert main(["results", "--failed", "--phase", "training"]) == ExitStatus.OK
    told = "no stored run matches --phase training --failed; `benchdock results` lists all\n"
    assert capsys.readouterr().out == told


@pytest.mark.parametrize(
    ("filters", "older"),
    [((), 5), (("--phase", "training"), 2), (("--phase", "inference"), 2), (("--failed",), 0)],
)
def test_older_runs_that_match_are_counted(capsys, filters, older):
    for day in range(1, 4):
        stored(f"2026010{day}T120000-pytorch-x-0a1b2c")
        stored(f"2026010{day}T120000-pytorch-x-1a1b2c", planned={"phase": "inference"})
    assert main(["results", "--last", "1", *filters, "--json"]) == ExitStatus.OK
    assert json.loads(capsys.readouterr().out)["older"] == older
    assert main(["results", "--last", "1", *filters]) == ExitStatus.OK
    told = capsys.readouterr().out.splitlines()[-1]
    which = f"{older} older runs were not shown; use --last N or --all to list more"
    assert (told == which) == (older > 0)


def test_ids_sort_by_time_and_other_names_come_last(capsys):
    for name in ("20251231T235959-x", "20260101T000000-a", "99999999T000000-no-day", "kept", "1"):
        stored(name)
    (runs() / "notes.txt").touch()
    (runs() / "empty").mkdir()
    (runs() / "loop").symlink_to("loop")
    (runs() / "dangling").symlink_to("nowhere")
    order = ["20260101T000000-a", "20251231T235959-x", "kept", "99999999T000000-no-day", "1"]
    assert names(capsys) == order


def test_a_parity_is_left_out_and_a_program_called_so_is_not(capsys):
    parity = filed("20260101T000000-pytorch-parity-0a1b2c")
    parity.log.touch()
    parity.launcher.touch()
    custom = stand_in.request(model="parity", framework="custom")
    filed("20260101T000000-custom-parity-0a1b2c", request=custom)
    assert names(capsys) == ["20260101T000000-custom-parity-0a1b2c"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("owner", "seconds_ago", "status"),
    [
        ({}, None, "running"),
        ({}, 3600, "running"),
        ({"pid": 2**22 + 1}, 0, "failed"),
        ({"boot": "before"}, 0, "failed"),
        ({"host": "another"}, 3600, "no_result"),
        ({"host": "another"}, 0, "running"),
        (None, 0, "running"),
        (None, 3600, "no_result"),
        (None, -3600, "no_result"),
        (None, None, "no_result"),
    ],
)
def test_a_run_without_result_goes_on_or_was_killed(capsys, owner, seconds_ago, status):
    folder = filed(FIRST, request=stand_in.request())
    if owner is not None:
        unfinished.note(folder)
        (note,) = paths.unfinished().iterdir()
        note.write_text(json.dumps(replace(Owner.here(), **owner).labels()))
    if seconds_ago is not None:
        folder.monitor.touch()
        moment = time.time() - seconds_ago
        os.utime(folder.monitor, (moment, moment))
    (row,) = listed(capsys)["runs"]
    assert (row["status"], row["model"], row["why"]) == (status, "deep_mnist", None)


def _pipe(path):
    os.mkfifo(path)


@pytest.mark.slow
@pytest.mark.parametrize(
    "make",
    [
        _pipe,
        lambda path: path.mkdir(),
        lambda path: path.symlink_to("/dev/zero"),
        lambda path: path.write_bytes(b""),
        lambda path: path.write_bytes(b"\xff\x00"),
        lambda path: path.write_text('{"schema": 2, "benchdock": "9", "status": "ok"}'),
        lambda path: path.write_text("[" * 100_000),
        lambda path: path.write_text('{"benchdock": "1", "status": "\x1b[31mok"}'),
    ],
)
def test_what_cannot_be_read_hides_nothing(capsys, make):
    stored(FIRST)
    make(filed(SECOND).result)
    stored(THIRD)
    rows = listed(capsys)["runs"]
    assert [row["status"] for row in rows] == ["ok", "unreadable", "ok"]
    assert rows[1]["why"]
    assert main(["results"]) == ExitStatus.OK
    told = capsys.readouterr().out
    assert told.count("cannot be read") >= 1
    assert "note: " in told
    assert "\x1b" not in told


def test_a_folder_of_runs_that_cannot_be_listed_is_reported(monkeypatch, capsys, tmp_path):
    monkeypatch.setenv("BENCHDOCK_HOME", str(tmp_path / ("x" * 300)))
    assert main(["results"]) == ExitStatus.MACHINE_CANNOT
    assert "File name too long; set BENCHDOCK_HOME" in capsys.readouterr().err


@pytest.mark.slow
def test_only_new_runs_are_read(home):
    began = datetime(2026, 1, 1)
    for number in range(500):
        moment = began + timedelta(minutes=number)
        folder = runs() / f"{moment:%Y%m%dT%H%M%S}-pytorch-x-0a1b2c"
        folder.mkdir(parents=True)
        os.mknod(folder / "result.json")
    text = stored("20260201T000000-pytorch-x-0a1b2c").result.read_text()
    for folder in sorted(runs().iterdir())[-30:]:
        RunFolder(folder).result.write_text(text)
    assert _counted() == (501, 22, "481 older runs were not shown")
    for words, shown, every in (
        ((), 20, 501), (("--last", "3"), 3, 501), (("--phase", "training"), 20, 30)
    ):  # fmt: skip
        older = f"{every - shown} older runs were not shown"
        assert _counted(*words) == (0, shown + 2, older)
    stored("20260202T000000-pytorch-x-0a1b2c")
    assert _counted("--last", "3") == (1, 5, "499 older runs were not shown")


def _counted(*words):
    """Return how many files of runs `benchdock results` opens, its lines, the start of the last."""
    done = subprocess.run(
        [sys.executable, "-c", COUNTING, "results", *words],
        capture_output=True,
        text=True,
        check=True,
    )
    lines = done.stdout.splitlines()
    return int(done.stderr), len(lines), lines[-1].partition(";")[0]


VALUE = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=5,
)
MOMENT = st.datetimes().map(str) | st.sampled_from(
    ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00"]
)
METRIC = st.fixed_dictionaries({"value": st.floats() | VALUE, "unit": st.text(max_size=9)})
RESULT = st.fixed_dictionaries(
    {"benchdock": st.just("1"), "status": st.sampled_from(["ok", "failed", "planned"]) | VALUE},
    optional={
        "schema": st.just(1) | VALUE,
        "started": MOMENT | VALUE,
        "metrics": st.fixed_dictionaries({"throughput": METRIC | VALUE}) | VALUE,
        "warnings": st.lists(st.text()) | VALUE,
        "failure": st.just({"kind": "timeout", "message": "\x1b[2J"}) | VALUE,
        "request": st.just(json.loads(to_json(stand_in.request()))) | VALUE,
        "plan": st.builds(
            lambda key, value: json.loads(to_json(plan())) | {key: value},
            st.sampled_from(["model", "framework", "batch", "device_count", "phase"]),
            VALUE,
        ),
    },
)


@pytest.mark.slow
@given(
    name=st.sampled_from(["kept", FIRST]),
    data=st.binary() | RESULT.map(lambda told: json.dumps(told).encode()),
)
def test_whatever_bytes_a_result_holds_it_has_a_row(tmp_path_factory, name, data):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BENCHDOCK_HOME", str(tmp_path_factory.mktemp("home")))
        filed(name).result.write_bytes(data)
        lines, document = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(lines):
            assert main(["results"]) == ExitStatus.OK
        with contextlib.redirect_stdout(document):
            assert main(["results", "--json"]) == ExitStatus.OK
    assert lines.getvalue().splitlines()[1].startswith(name)
    assert "\x1b" not in lines.getvalue()
    (row,) = json.loads(document.getvalue(), parse_constant=pytest.fail)["runs"]
    assert row["run"] == name
