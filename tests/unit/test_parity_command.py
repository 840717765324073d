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
    assert "4 of 4 comparisons hold" in capsys.readouterr().out


def test_an_interrupt_ends_it_with_its_status_and_shows_what_was_proven(proven, capsys):
    asked = proven(interrupted=("caffe2",))
    words = ["parity", "deep_mnist", "-f", "mxnet", "-f", "caffe2", "-f", "pytorch", "--json"]
    assert main(words) == ExitStatus.INTERRUPTED
    assert asked == ["mxnet", "caffe2"]
    out, err = capsys.readouterr()
    assert [row["framework"] for row in json.loads(out)["cells"]] == ["mxnet", "mxnet"]
    assert err == "benchdock: interrupted by SIGINT\n"


def test_what_a_later_framework_cannot_do_is_said_before_an_earlier_one_runs(proven, capsys):
    asked = proven()
    words = ["parity", "deep_speech2", "-f", "pytorch", "-f", "caffe2"]
    assert main(words) == ExitStatus.BAD_REQUEST
    assert asked == []
    assert "caffe2 cannot draw deep_speech2: it has no CTC loss" in capsys.readouterr().err
