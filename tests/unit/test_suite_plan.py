"""A plan says what a suite would run on a machine, in order, and why the rest does not."""

from __future__ import annotations

import csv
import io
import json
import os
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from orchestrator import cli
from orchestrator.errors import RequestError
from orchestrator.request import Device, Request
from orchestrator.suites import expansion, loading, planning, turns
from orchestrator.suites.cells import Cell
from orchestrator.suites.decisions import Decided, Need
from tests.support.suites import HEAD, loaded

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples"
GOLDEN = ROOT / "tests/golden/suites"


class FakeDecider:
    """Decides by name; counts what it is asked."""

    def __init__(self, seconds: dict[str, float] | None = None) -> None:
        self.asked: list[Request] = []
        self.seconds = seconds or {}

    def decide(self, request: Request) -> Decided:
        self.asked.append(request)
        if request.framework == "mxnet":
            return Decided(refusal="mxnet is not here", hint="install it")
        name = f"img/{request.framework}:1"
        need = Need(image=name, reference=name, built=False, here=request.framework == "pytorch")
        seconds = self.seconds.get(request.model)
        return Decided(device="gpu", devices=request.devices or 1, need=need, seconds=seconds)

    def counts(self, framework: str, device: Device, steps: int | None, warmup: int | None) -> str:
        return f"{framework} does not like {steps}" if steps == 13 else ""

    def claimed(self, cell: Cell) -> tuple[Request | None, Decided]:
        return None, Decided(refusal="no claims here")


def planned(
    folder: Path, text: str, *, seconds: dict[str, float] | None = None
) -> tuple[planning.SuitePlan, FakeDecider]:
    suite = loaded(folder, text)
    decider = FakeDecider(seconds)
    return planning.plan(suite, expansion.expand(suite), decider), decider


SUITE = (
    f"{HEAD}repeat: 2\ncontrol: [{{model: vgg11, framework: pytorch}}]\nbudget: {{run: 60s}}\n"
    "groups:\n"
    "  late: {priority: 2, runs: [{model: vgg16, framework: pytorch}]}\n"
    "  soon: {priority: 1, defaults: {framework: pytorch}, matrix: {model: [alexnet, resnet50], "
    "devices: [1, 2]}}\n"
)


def test_order_is_control_priority_devices_and_long_before_short(tmp_path: Path) -> None:
    plan, _ = planned(tmp_path, SUITE, seconds={"alexnet": 5, "resnet50": 9})
    assert [row.cell.title for row in plan.rows] == [
        "vgg11 pytorch",
        "resnet50 pytorch devices=2",
        "alexnet pytorch devices=2",
        "resnet50 pytorch devices=1",
        "alexnet pytorch devices=1",
        "vgg16 pytorch",
    ]
    assert (plan.runs, plan.unknown) == (13, 2)
    # Controls run once more, and what never ran counts half of the limit.
    assert plan.seconds == 3 * 30 + 2 * 30 + 4 * 5 + 4 * 9


def test_runs_go_in_passes_and_end_with_the_controls(tmp_path: Path) -> None:
    plan, _ = planned(tmp_path, SUITE.replace("vgg16, ", "vgg16, repeat: 1, "))
    told = [
        (turn.cell.settings["model"], turn.round)
        for turn in turns.turns([r.cell for r in plan.rows])
    ]
    first = [("alexnet", 1), ("resnet50", 1)] * 2
    assert told == [
        ("vgg11", 1),
        *first,
        ("vgg16", 1),
        ("vgg11", 2),
        *((model, 2) for model, _ in first),
        ("vgg11", 3),
    ]
    assert len(told) == plan.runs


def test_cells_of_a_large_suite_that_differ_in_counts_share_a_decision(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(planning, "SHARED_FROM", 1)
    text = (
        f"{HEAD}groups:\n  a:\n    matrix: {{model: [vgg16], framework: [pytorch, mxnet], "
        "steps: [11, 12, 13], batch: [1, 2]}\n"
    )
    plan, decider = planned(tmp_path, text)
    assert len(decider.asked) == 2
    assert len(plan.rows) == 4
    refused = [(row.cell.title, row.decided.why_not) for row in plan.refused]
    assert refused == [
        ("vgg16 pytorch steps=13 batch=1", "pytorch does not like 13"),
        ("vgg16 pytorch steps=13 batch=2", "pytorch does not like 13"),
        *(
            (f"vgg16 mxnet steps={steps} batch={batch}", "mxnet is not here; install it")
            for steps in (11, 12, 13)
            for batch in (1, 2)
        ),
    ]


def test_cells_of_a_large_suite_have_durations_of_their_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(planning, "SHARED_FROM", 1)

    class Knowing(FakeDecider):
        def decide(self, request: Request) -> Decided:
            told = super().decide(request)
            return replace(told, seconds_of=lambda batch, steps, _: (batch or 0) * (steps or 1.0))

    axes = "{model: [vgg16], framework: [pytorch], batch: [1, 3]}"
    text = f"{HEAD}groups: {{a: {{matrix: {axes}}}}}"
    suite = loaded(tmp_path, text)
    plan = planning.plan(suite, expansion.expand(suite), Knowing())
    assert [(row.cell.settings["batch"], row.seconds) for row in plan.rows] == [(3, 3), (1, 1)]


def test_images_come_in_the_order_of_need_with_the_disk_they_take(tmp_path: Path) -> None:
    text = (
        f"{HEAD}groups:\n  a: {{priority: 3, runs: [{{model: vgg16, framework: caffe2}}]}}\n"
        "  b: {priority: 2, runs: [{model: vgg16, framework: pytorch}]}\n"
    )
    plan, _ = planned(tmp_path, text)
    assert [(need.reference, need.here) for need in plan.needs()] == [
        ("img/pytorch:1", True),
        ("img/caffe2:1", False),
    ]
    assert plan.disk == 2 * planning.RUN_BYTES


def machine(folder: Path, gpus: int, name: str = "Tesla V100-SXM2-16GB") -> Path:
    gpu = {"name": name, "compute_capability": "7.0", "memory_total": 2**35}
    told: dict[str, Any] = {
        "schema": 1,
        "machine": {
            "hostname": "server",
            "cpu": {"usable": 64, "model": "Xeon"},
            "gpu": {"driver": "535.104.05", "cuda": "12.2", "gpus": [gpu] * gpus},
            "engine": {"version": "24.0"},
        },
    }
    path = folder / f"server{gpus}.json"
    path.write_text(json.dumps(told))
    return path


def printed(capsys: pytest.CaptureFixture[str], *words: str, status: int = 0) -> str:
    assert cli.main(["plan", *words]) == status
    return capsys.readouterr().out


@pytest.mark.parametrize(
    ("name", "gpus", "series", "refused"),
    [
        ("cpu-laptop", 0, 10, 0),
        ("one-gpu", 1, 22, 0),
        ("eight-gpus", 8, 27, 0),
        ("eight-gpus", 1, 18, 9),
        ("vendor-table", 1, 5, 0),
    ],
)
def test_each_example_is_planned(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    name: str,
    gpus: int,
    series: int,
    refused: int,
) -> None:
    words = (str(EXAMPLES / f"{name}.yaml"), "--machine", str(machine(tmp_path, gpus)))
    told = json.loads(printed(capsys, *words, "--json"))
    assert (told["suite"], len(told["plan"]), len(told["refused"])) == (name, series, refused)
    assert printed(capsys, *words, "--json") == json.dumps(told, indent=2) + "\n"
    assert all(re.search("[a-z]/", image["reference"]) for image in told["images"])


def test_there_is_no_example_without_a_test() -> None:
    assert {path.stem for path in EXAMPLES.glob("*.yaml")} == {
        "cpu-laptop",
        "one-gpu",
        "eight-gpus",
        "vendor-table",
    }


def test_the_table_is_the_golden_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    told = printed(capsys, "examples/eight-gpus.yaml", "--machine", str(machine(tmp_path, 1)))
    # The digest of our programs changes with each of them, and so does the column's width.
    told = re.sub(r":[\w.]+-[0-9a-f]{12}", ":BUILD", told)
    golden = GOLDEN / "plan.txt"
    if os.environ.get("BENCHDOCK_UPDATE_GOLDEN") == "1":
        golden.write_text(told, "utf-8")
    assert told == golden.read_text("utf-8")


def test_a_machine_that_can_run_nothing_of_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = (str(EXAMPLES / "one-gpu.yaml"), "--machine", str(machine(tmp_path, 0)))
    told = printed(capsys, *words, status=3)
    assert "one-gpu: 0 series, 0 runs" in told
    assert "no GPU can be used: the machine has no GPU; use --gpus none for the CPU" in told


def test_csv_has_a_line_for_each_cell(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = (str(EXAMPLES / "eight-gpus.yaml"), "--machine", str(machine(tmp_path, 1)))
    rows = list(csv.DictReader(io.StringIO(printed(capsys, *words, "--csv"))))
    assert len(rows) == 18 + 9 + 2
    assert [row["order"] for row in rows[:2]] == ["1", "2"]
    assert rows[18]["why_not"].startswith("--devices 2 is too many")
    assert rows[-1]["why_not"].endswith("needs more than 16 GB")


def test_a_suite_without_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ("--matrix", "model=alexnet,vgg16", "--matrix", "batch=2,4", "-f", "pytorch,mxnet")
    more = ("--set", "gpus=none", "--set", "steps=7", "--repeat", "3")
    where = ("--machine", str(machine(tmp_path, 0)), "--json")
    told = json.loads(printed(capsys, *words, *more, *where))
    assert (told["suite"], len(told["plan"]), told["runs"]) == ("sweep", 8, 24)
    assert told["plan"][0]["request"]["steps"] == 7


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ((), "there is no suite; name a file, or use --matrix model=A,B -f FRAMEWORK"),
        (("--matrix", "model"), "'model' is not of the form KEY=VALUE"),
        (("--matrix", "modle=a"), "--matrix modle: unknown key 'modle'; did you mean 'model'?"),
        (("--matrix", "batch=1,x"), "--matrix batch: it should be a valid integer"),
        (("--matrix", "model=a", "--set", "steps=x"), "--set steps: it should be a valid integer"),
        (("--matrix", "framework=a", "-f", "b"), "-f and --matrix framework= are both given"),
        (("x.yaml", "-f", "pytorch"), "--matrix, -f, --set and --repeat are for a suite without"),
        (("no-such.yaml",), "cannot read no-such.yaml: No such file or directory"),
        (("--matrix", "model=vgg16"), "groups.sweep.matrix: a run needs a framework"),
        (("--matrix", "batch=1", "--matrix", "batch=2"), "'batch' is given twice"),
    ],
)
def test_wrong_words_are_refused_in_one_line(
    capsys: pytest.CaptureFixture[str], words: tuple[str, ...], told: str
) -> None:
    assert cli.main(["plan", *words]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert told in line


def test_too_many_runs_need_a_word(capsys: pytest.CaptureFixture[str]) -> None:
    axis = ",".join(map(str, range(1, 500)))
    words = ["--matrix", "model=vgg16", "-f", "pytorch", "--matrix", f"batch={axis}"]
    assert cli.main(["plan", *words, "--matrix", f"seed={axis}"]) == 2
    assert "249,001 runs are more than 100,000" in capsys.readouterr().err


def test_paths_start_from_the_folder_of_the_file(tmp_path: Path) -> None:
    text = f"{HEAD}groups: {{a: {{runs: [{{model: vgg16, framework: pytorch, data: set}}]}}}}"
    _, decider = planned(tmp_path, text)
    assert decider.asked[0].data == tmp_path / "set"


def test_a_file_that_cannot_be_read_is_a_wrong_request(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="Is a directory"):
        loading.load(tmp_path)
