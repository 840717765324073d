"""`benchdock parity`: what it was told beforehand, and what it tells where it is ended early."""

import json

import pytest

from orchestrator.cli import main
from orchestrator.errors import ExitStatus
from orchestrator.parsers.parity import Cell
from orchestrator.run import parity
from orchestrator.run.parity import Proof


def cell(row, model, level, **changes):
    usual = {"fingerprint": "f", "holds": True, "deviation": 1e-7, "tolerance": 1e-5, "detail": ""}
    return Cell(framework=row.name, model=model, level=level, **usual | changes)


@pytest.fixture
def proven(monkeypatch):
    """Let every comparison hold at once, and the second framework be interrupted if wanted."""
    asked = []

    def install(interrupted=()):
        def prove(row, models, levels, runtime, view):
            asked.append(row.name)
            if row.name in interrupted:
                return Proof(cells=(), signal_number=2)
            return Proof(cells=tuple(cell(row, m, level) for m in models for level in levels))

        monkeypatch.setattr(parity, "prove", prove)
        return asked

    return install


def test_every_comparison_holds(proven, capsys):
    asked = proven()
    assert main(["parity", "deep_mnist", "-f", "mxnet", "-f", "caffe2"]) == ExitStatus.OK
    assert asked == ["mxnet", "caffe2"]
    assert "6 of 6 comparisons hold" in capsys.readouterr().out


def test_an_interrupt_ends_it_with_its_status_and_shows_what_was_proven(proven, capsys):
    asked = proven(interrupted=("caffe2",))
    words = ["parity", "deep_mnist", "-f", "mxnet", "-f", "caffe2", "-f", "pytorch", "--json"]
    assert main(words) == ExitStatus.INTERRUPTED
    assert asked == ["mxnet", "caffe2"]
    out, err = capsys.readouterr()
    assert [row["framework"] for row in json.loads(out)["cells"]] == ["mxnet"] * 3
    assert err == "benchdock: interrupted by SIGINT\n"


def test_what_a_later_framework_cannot_do_is_said_before_an_earlier_one_runs(proven, capsys):
    asked = proven()
    words = ["parity", "deep_speech2", "-f", "pytorch", "-f", "caffe2"]
    assert main(words) == ExitStatus.BAD_REQUEST
    assert asked == []
    assert "caffe2 cannot draw deep_speech2: it has no CTC loss" in capsys.readouterr().err


def test_every_level_that_a_framework_has_is_compared_unless_told(proven, capsys):
    proven()
    assert main(["parity", "deep_mnist", "-f", "mxnet", "-f", "openvino", "--json"]) == 0
    cells = json.loads(capsys.readouterr().out)["cells"]
    found = [(one["framework"], one["level"]) for one in cells]
    both = [(name, level) for name in ("mxnet", "openvino") for level in ("P1", "P2")]
    assert sorted(found) == sorted([*both, ("mxnet", "P3")])


def test_a_step_that_a_framework_does_not_take_is_refused_where_it_is_named(proven, capsys):
    proven()
    assert main(["parity", "deep_mnist", "-f", "openvino", "--level", "P3"]) == 2
    assert "openvino does inference only and has no P3" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("levels", "deviation", "shown"),
    [
        (("P1", "P2", "P3"), 2e-7, "mxnet deep_mnist 2.0e-07 2.0e-07"),
        (("P1",), 0.0, "mxnet deep_mnist shapes"),
        (("P2",), 2e-3, "mxnet deep_mnist 2.0e-03 FAILS P2"),
        (("P2", "P3"), None, "mxnet deep_mnist none none FAILS P2 P3"),
    ],
)
def test_the_matrix_shows_what_each_level_found(monkeypatch, capsys, levels, deviation, shown):
    def prove(row, models, levels, runtime, view):
        holds = deviation is not None and deviation < 1e-5
        made = [cell(row, m, n, holds=holds, deviation=deviation) for m in models for n in levels]
        return Proof(cells=tuple(made))

    monkeypatch.setattr(parity, "prove", prove)
    words = ["parity", "deep_mnist", "-f", "mxnet", *(f"--level={level}" for level in levels)]
    status = main(words)
    out = capsys.readouterr().out
    title, row = [" ".join(line.split()) for line in out.splitlines()[:2]]
    assert f"{title.removeprefix('model ')} {row}" == shown
    assert status == ("FAILS" in shown)
    assert ("deviations: " in out) == (levels != ("P1",))
