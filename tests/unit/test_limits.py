"""What limits a run on real data: the formulas and when there is a verdict."""

from __future__ import annotations

import json
from argparse import Namespace
from types import SimpleNamespace

import pytest

from orchestrator.commands import explain as command
from orchestrator.errors import RequestError
from orchestrator.metric import Metric
from orchestrator.results import limits
from orchestrator.trust.verdict import Reason, Verdict

PARTS = {"compute": 0.08, "copy": 0.10, "input": 0.20, "end-to-end": 0.22}
BATCH = 10


def run(
    part, seconds, *, noise=0.0, wait=0.0, cpu=None, device="gpu", options=None, doubt="", **plan
):
    rate = BATCH / seconds
    values = {
        "throughput": rate,
        "throughput_ci95_low": None if noise is None else rate * (1 - noise),
        "throughput_ci95_high": None if noise is None else rate * (1 + noise),
        "data_wait": wait,
        "cpu_time": cpu,
    }
    planned = {"model": "resnet18", "framework": "mxnet", "phase": "training", "dtype": "float32"}
    return SimpleNamespace(
        run=f"run-{part}",
        request=SimpleNamespace(
            measure=None if part == "end-to-end" else part,
            data="/d", model="resnet18", framework="mxnet",
        ),
        plan=SimpleNamespace(
            **{**planned, "steps": 200, **plan},
            batch=BATCH, global_batch=BATCH, device=device, device_count=1, gpus=(), data=None,
            options=options or {},
        ),
        verdict=Verdict.of([Reason(code="busy", level="suspect", text=doubt)] if doubt else []),
        environment=SimpleNamespace(cpu=SimpleNamespace(usable=4)),
        metrics={
            name: Metric(value=value, unit="x")
            for name, value in values.items()
            if value is not None
        },
    )  # fmt: skip


def runs(seconds=PARTS, **changes):
    return [run(part, value, **changes) for part, value in seconds.items()]


def test_the_formulas():
    found = limits.explain(runs(wait=0.11))
    assert found.copy == pytest.approx(0.02)
    assert found.stall == pytest.approx(0.12)
    assert found.idle == pytest.approx(1 - 0.08 / 0.22)
    assert found.overlap == pytest.approx(0.20 / 0.22)
    assert found.wait == pytest.approx(0.5)
    assert (found.cores, found.least) == (None, None)


def test_what_is_within_the_noise_is_named():
    assert limits.explain(runs()).noise == ()
    assert limits.explain(runs(noise=0.15)).noise == ("copy",)
    assert limits.explain(runs(noise=0.6)).noise == ("copy", "stall", "idle")


def test_a_run_without_an_interval_shows_no_difference(monkeypatch, capsys):
    found = limits.explain(runs(noise=None))
    assert found.noise == ("copy", "stall", "idle")
    assert found.verdict == "not decided: the difference is within the noise"
    stored = dict(zip("abcd", runs(noise=None), strict=True))
    monkeypatch.setattr(command, "load", lambda word: SimpleNamespace(result=stored[word]))
    command.execute(Namespace(runs=[*"abcd"], json=False))
    assert " to " not in capsys.readouterr().out


def test_runs_with_other_options_are_not_compared():
    *others, last = runs(options={"page_cache": "cold", "workers": "2"})
    limits.explain([*others, last])
    other = run("end-to-end", 0.22, options={"page_cache": "warm", "workers": "2"})
    with pytest.raises(RequestError, match="differ in the option page_cache: cold and warm"):
        limits.explain([others[-1], *others[:-1], other])
    other = run("end-to-end", 0.22, options={"page_cache": "cold"})
    with pytest.raises(RequestError, match="differ in the option workers: 2 and the default"):
        limits.explain([*others, other])


def test_options_that_make_no_difference_may_differ():
    read = {"data_place": "pinned", "page_cache": "cold"}
    options = {
        "copy": {"data_place": "pinned"},
        "input": {"page_cache": "cold"},
        "end-to-end": read,
    }
    limits.explain([run(part, time, options=options.get(part)) for part, time in PARTS.items()])


def test_a_cold_run_shows_what_the_disk_takes(monkeypatch, capsys):
    *others, warm = runs(options={"page_cache": "warm"})
    cold = run("end-to-end", 0.30, options={"page_cache": "cold"})
    for order in ([*others, warm, cold], [cold, *others, warm]):
        found = limits.explain(order)
        assert found.fetch == pytest.approx(0.08)
        assert found.stall == pytest.approx(0.12)
        assert found.noise == ()
    assert limits.explain([*others, warm]).fetch is None
    near = run("end-to-end", 0.25, options={"page_cache": "cold"}, noise=0.2)
    assert limits.explain([*others, warm, near]).noise == ("fetch",)
    other = run("end-to-end", 0.30, options={"page_cache": "cold", "workers": "1"})
    with pytest.raises(RequestError, match="differ in the option workers: the default and 1"):
        limits.explain([*others, warm, other])
    stored = dict(zip("abcde", order, strict=True))
    monkeypatch.setattr(command, "load", lambda word: SimpleNamespace(result=stored[word]))
    command.execute(Namespace(runs=list("abcde"), json=False))
    out = capsys.readouterr().out
    assert "end-to-end, cold" in out
    assert "from the disk (cold - E): 80.00 ms" in out


def test_a_copy_to_another_place_is_not_compared():
    options = {"copy": {"data_place": "pinned"}}
    with pytest.raises(
        RequestError, match="differ in the option data_place: pinned and the default"
    ):
        limits.explain([run(part, time, options=options.get(part)) for part, time in PARTS.items()])


def test_a_run_that_was_disturbed_is_named(monkeypatch, capsys):
    *others, whole = runs()
    assert limits.explain([*others, whole]).doubts == ()
    found = limits.explain([*others, run("end-to-end", 0.22, doubt="the machine was busy")])
    assert found.doubts == ("run-end-to-end (end-to-end) is suspect: the machine was busy",)
    monkeypatch.setattr(command.limits, "explain", lambda _: found)
    monkeypatch.setattr(command, "load", lambda word: SimpleNamespace(result=word))
    command.execute(Namespace(runs=list("abcd"), json=False))
    assert "doubt: run-end-to-end (end-to-end) is suspect" in capsys.readouterr().out


def test_copy_is_not_needed():
    found = limits.explain([one for one in runs() if one.request.measure != "copy"])
    assert found.copy is None
    assert found.stall == pytest.approx(0.14)


@pytest.mark.parametrize(
    ("seconds", "noise", "wait", "verdict"),
    [
        ({}, 0.1, 0.11, "input-bound"),
        ({}, 0.4, 0.11, "not decided"),
        ({}, 0.1, 0.001, "not decided"),
        ({"input": 0.05}, 0.1, 0.0, "compute-bound"),
        ({"input": 0.05}, 0.5, 0.0, "not decided"),
        ({"input": 0.05}, 0.1, 0.11, "not decided"),
    ],
)
def test_a_verdict_is_outside_the_noise(seconds, noise, wait, verdict):
    found = limits.explain(runs({**PARTS, **seconds}, noise=noise, wait=wait))
    assert found.verdict.startswith(verdict)


def test_a_cpu_is_shared():
    found = limits.explain(runs(device="cpu", cpu=0.4))
    assert (found.cores, found.least, found.reading) == (4, pytest.approx(0.2), 0.5)
    assert found.verdict.startswith("shares the CPU")
    unknown = limits.explain(runs(device="cpu"))
    assert (unknown.least, unknown.reading) == (None, None)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda found: found[1:], "no run measured compute"),
        (lambda found: [*found, found[0]], "measure the same part"),
        (lambda found: [*found[:3], run("end-to-end", 1, model="vgg11")], "differ in their model"),
        (lambda found: [*found[:3], run("end-to-end", 1, device="cpu")], "differ in their device"),
        (
            lambda found: [*found[:2], run("input", 1, steps=199), found[3]],
            "timed 1990 samples, which may have been read before",
        ),
    ],
)
def test_runs_that_do_not_belong_together(change, says):
    with pytest.raises(RequestError, match=says):
        limits.explain(change(runs()))


def test_runs_without_data_or_figures():
    (one, *others) = runs()
    one.request.data = None
    with pytest.raises(RequestError, match="did not read real data"):
        limits.explain([one, *others])
    (one, *others) = runs()
    one.metrics.clear()
    with pytest.raises(RequestError, match="measured nothing"):
        limits.explain([one, *others])


def test_the_command_shows_them(monkeypatch, capsys):
    stored = dict(zip("abcd", runs(device="cpu", cpu=0.4, wait=0.11), strict=True))
    monkeypatch.setattr(command, "load", lambda word: SimpleNamespace(result=stored[word]))
    arguments = Namespace(runs=list("abcd"), json=False)
    assert command.execute(arguments) == 0
    out = capsys.readouterr().out
    assert "waited for data in E: 50" in out
    assert "on 4 cores: 200.0 ms" in out
    arguments.json = True
    command.execute(arguments)
    assert json.loads(capsys.readouterr().out)["cores"] == 4
