"""Runs side by side: disjoint GPUs, every series on its own, nothing beside a run on the CPU."""

import json
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path

import pytest

from orchestrator.errors import ExitStatus, Interrupted, MachineError
from orchestrator.machine.gpu_facts import Gpu, GpuReport
from orchestrator.paths import runs, sessions
from orchestrator.signals import interruptible
from orchestrator.suites import places
from orchestrator.suites.cells import Cell, Origin
from orchestrator.suites.decisions import Decided
from orchestrator.suites.lanes import GpuLanes
from orchestrator.suites.planning import Row
from tests.nvml.machines import H200
from tests.nvml.stub import ROOT, Stub
from tests.support.sessions import Bench
from tests.support.suites import loaded

A, B, C = "GPU-a", "GPU-b", "GPU-c"
# Speaks as `benchdock suite`'s worker does. What a run does is its model's name.
WORKER = """
import json, os, sys, time
for line in sys.stdin:
    request = json.loads(line)["request"]
    model, gpus = request["model"], request["gpus"]
    if model.startswith("dies"):
        os._exit(7)
    run = f"{model}-{os.getpid()}-{time.monotonic_ns()}"
    os.makedirs(f"{os.environ['BENCHDOCK_HOME']}/runs/{run}")
    print(json.dumps({"folder": run}), flush=True)
    if not sys.stdin.readline():
        break
    began = time.monotonic()
    try:
        time.sleep(30 if model == "long" else 0.1)
        end = {"status": "ok", "run": run, "throughput": 1.0}
    except SystemExit:
        end = {"status": "failed", "kind": "interrupted", "run": run}
    with open(f"{os.environ['BENCHDOCK_HOME']}/spans", "a") as file:
        print(json.dumps([model, gpus, began, time.monotonic()]), file=file)
    print(json.dumps({"ended": end}), flush=True)
"""
HEADING = "import signal\nsignal.signal(signal.SIGTERM, lambda *_: exit())\n"


@pytest.fixture(autouse=True)
def home(monkeypatch, tmp_path):
    monkeypatch.setenv("BENCHDOCK_HOME", str(tmp_path))
    runs().mkdir()
    return tmp_path


def bench(tmp_path, models, repeat=1, control=""):
    names = ", ".join(models)
    text = f"""\
        schema: 1
        name: nightly
        repeat: {repeat}
        {control}
        defaults: {{framework: custom, command: x, pattern: (.)}}
        groups:
          a:
            matrix: {{model: [{names}]}}
        """
    return Bench.of(loaded(tmp_path, textwrap.dedent(text)))


def lanes(one, gpus, most=9):
    """Return lanes in which a model has these GPUs."""
    digests = {cell.settings["model"]: cell.digest for cell in one.cells}
    command = (sys.executable, "-c", HEADING + WORKER)
    where = {digests[model]: names for model, names in gpus.items()}
    return GpuLanes(gpus=where, command=command, most=most, pause=0.0)


def spans(home):
    return [json.loads(line) for line in (home / "spans").read_text().splitlines()]


def overlap(one, other):
    return one[2] < other[3] and other[2] < one[3]


def pairs(found):
    return [(one, other) for one in found for other in found if one is not other]


def test_runs_are_side_by_side_on_disjoint_gpus_and_alone_on_the_cpu(home):
    one = bench(home, ["m1", "m2", "both", "m3", "cpu", "cpu2"], repeat=2)
    gpus = {"m1": (A,), "m2": (B,), "both": (A, B), "m3": (A,), "cpu": (), "cpu2": ()}
    assert one.go(lanes=lanes(one, gpus)) is ExitStatus.OK
    found = spans(home)
    assert len(found) == 12
    assert any(overlap(*two) for two in pairs(found))
    for first, second in pairs(found):
        if overlap(first, second):
            assert not set(first[1]) & set(second[1])
            assert "cpu" not in (first[0][:3], second[0][:3])
    for model, names in gpus.items():  # a series stays on its GPUs
        assert {tuple(told[1] or ()) for told in found if told[0] == model} == {names}
    # The one that needs both is not overtaken by the one behind it.
    order = [told[0] for told in sorted(found, key=lambda told: told[2])]
    assert order.index("both") < order.index("m3")
    assert one.state.finished


def test_a_pass_begins_when_the_one_before_has_ended_and_controls_are_by_themselves(home):
    control = "control: [{model: steady, framework: custom, command: x, pattern: (.)}]"
    one = bench(home, ["m1", "m2"], repeat=2, control=control)
    one.go(lanes=lanes(one, {"steady": (C,), "m1": (A,), "m2": (B,)}))
    order = [told[0] for told in sorted(spans(home), key=lambda told: told[2])]
    assert order[0] == order[3] == order[6] == "steady"
    assert sorted(order[1:3]) == sorted(order[4:6]) == ["m1", "m2"]
    assert not any(overlap(*two) for two in pairs(spans(home)) if two[0][0] == "steady")


def test_at_most_so_many_at_once(home):
    one = bench(home, ["m1", "m2", "m3"])
    one.go(lanes=lanes(one, {"m1": (A,), "m2": (B,), "m3": (C,)}, most=1))
    assert not any(overlap(*two) for two in pairs(spans(home)))


def test_a_process_that_dies_is_a_failure_of_the_machine_and_the_rest_runs(home):
    one = bench(home, ["dies", "m1"])
    assert one.go(lanes=lanes(one, {"dies": (A,), "m1": (B,)})) is ExitStatus.BENCHMARK_FAILED
    ends = {end.status: end for end in one.state.ended.values()}
    assert ends["failed"].kind == "engine"
    assert "ended with status 7" in ends["failed"].message
    assert ends["ok"].throughput == 1.0
    assert sum("trying again" in line for line in one.lines.said) == 2


def test_a_machine_that_fails_run_after_run_ends_the_session(home):
    gpus = {f"dies{number}": (A,) for number in range(4)}
    one = bench(home, gpus)
    with pytest.raises(MachineError, match="3 runs in a row"):
        one.go(lanes=lanes(one, gpus))
    assert len(one.state.ended) == 3


def test_a_signal_ends_all_runs_and_a_resumed_session_makes_them_again(home):
    one = bench(home, ["long", "m1"], repeat=1)
    where = {"long": (A,), "m1": (B,)}

    def signal_later():
        while not (home / "spans").exists():
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=signal_later).start()
    with pytest.raises(Interrupted), interruptible():
        one.go(lanes=lanes(one, where))
    assert sorted(end.kind or "ok" for end in one.state.ended.values()) == ["interrupted", "ok"]
    assert not one.state.open
    assert not one.state.finished


def test_a_session_that_was_asked_to_stop_waits_for_what_runs(home):
    one = bench(home, ["m1", "m2"])
    asked = iter([False, True, True, True])
    one.go(lanes=lanes(one, {"m1": (A,), "m2": (A,)}), stopped=lambda: next(asked))
    assert [told[0] for told in spans(home)] == ["m1"]
    assert not one.state.finished


def row(model, *gpus, seconds=1.0, **settings):
    cell = Cell({"model": model, **settings}, model, 1, Origin((), "a", 5))
    return Row(cell, Decided(device="gpu", devices=len(gpus), gpus=gpus, seconds=seconds))


def report(*names):
    found = [Gpu(index=at, uuid=f"GPU-{at}", name=name) for at, name in enumerate(names)]
    return GpuReport(state="ok", reason="", gpus=tuple(found))


FOUR = report(*["V100"] * 4)


def test_new_series_go_where_the_least_is_to_do():
    rows = [row("long", "GPU-0", seconds=9.0), *(row(f"m{n}", "GPU-0") for n in range(3))]
    found = places.choose([*rows, row("two", "GPU-0", "GPU-1", seconds=2.0)], FOUR, {})
    assert found["two"] == ("GPU-0", "GPU-1")
    assert found["long"] == ("GPU-2",)
    assert [found[f"m{n}"] for n in range(3)] == [("GPU-3",)] * 2 + [("GPU-0",)]


def test_series_stay_where_they_were_as_long_as_those_gpus_are_there():
    kept = {"m0": ["GPU-3"], "gone": ["GPU-9"], "other": ["GPU-1", "GPU-2"]}
    found = places.choose([row(name, "GPU-0") for name in ("m0", "gone", "other")], FOUR, kept)
    assert found == {"m0": ("GPU-3",), "gone": ("GPU-0",), "other": ("GPU-1",)}


def test_gpus_that_a_request_names_are_used_and_a_cpu_has_none():
    rows = [row("named", "GPU-2", gpus=(2,)), row("cpu")]
    assert places.choose(rows, FOUR, {"named": ["GPU-0"]}) == {"named": ("GPU-2",), "cpu": ()}


def test_a_series_does_not_move_to_a_gpu_of_another_kind():
    mixed = report("V100", "T4", "V100")
    rows = [row(f"m{n}", "GPU-0") for n in range(4)]
    assert {place for (place,) in places.choose(rows, mixed, {}).values()} == {"GPU-0", "GPU-2"}
    kept = {"m0": ["GPU-1"]}
    assert places.choose(rows[:1], mixed, kept) == {"m0": ("GPU-0",)}


@pytest.mark.parametrize("text", ["", "{", "[]", '{"a": 1}'])
def test_a_damaged_file_of_places_is_as_none(text):
    sessions().mkdir()
    (sessions() / "gpus.json").write_text(text)
    assert not places.kept()
    places.keep({"a": (A,), "cpu": ()})
    assert places.kept() == {"a": [A]}


SUITE = """\
schema: 1
name: lanes
defaults:
  {framework: custom, runtime: host, pattern: fps=(.), command: bash -c 'sleep 1; echo fps=1'}
groups:
  two: {runs: [{model: all, devices: 8}]}
  one: {matrix: {model: [m1, m2, m3, m4, m5, m6, m7, m8], devices: [1]}}
"""


@pytest.mark.slow
def test_a_session_over_eight_gpus(home, tmp_path_factory):
    stub = Stub.build(tmp_path_factory.mktemp("nvml"))
    stub.answer(H200)
    (home / "lanes.yaml").write_text(SUITE)
    environment = os.environ | {
        "LD_LIBRARY_PATH": str(stub.folder),
        "NVML_STUB": str(stub.answers),
        "BENCHDOCK_HOME": str(home),
    }
    words = [sys.executable, "-m", "orchestrator", "suite", str(home / "lanes.yaml"), "--json"]
    done = subprocess.run(words, cwd=ROOT, env=environment, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    plans = [
        json.loads(Path(path).read_text())["plan"]["gpus"] for path in runs().glob("*/result.json")
    ]
    assert sorted(len(gpus) for gpus in plans) == [1] * 8 + [8]
    assert len({gpus[0] for gpus in plans if len(gpus) == 1}) == 8
