"""The matrix of old releases, with a stand-in for the interpreter that would run them."""

from __future__ import annotations

import json
import sys

import pytest

from tests.releases import __main__ as releases
from tests.releases import matrix

LINE = matrix.Line(framework="mxnet", release="1.2.0", python="3.6", packages=["mxnet==1.2.0"])
END = {"event": "end", "samples": 12}
BACKENDS = {"pytorch": "torch", "tensorflow": "tensorflow", "mxnet": "mxnet"}


def compared(level, model, holds=True):
    return {
        "event": "parity",
        "level": level,
        "model": model,
        "deviation": 2e-7,
        "holds": holds,
        "detail": "loss 3e-02 (step 1)",
    }


ALL = [compared(level, model) for model in matrix.MODELS for level in matrix.LEVELS]


@pytest.fixture
def interpreter(tmp_path):
    """Return a function that makes a program which prints these events and noise."""

    def make(events, status=0):
        said = tmp_path / "said"
        lines = [matrix.TAG + json.dumps(event) for event in events]
        said.write_text("\n".join(["FutureWarning: noise", *lines]) + "\n")
        program = tmp_path / "python"
        program.write_text(f"#!/bin/sh\ncat '{said}'\nexit {status}\n")
        program.chmod(0o700)
        return program

    return make


def test_every_line_pins_the_release_that_it_names():
    lines = matrix.load()
    assert len({line.name for line in lines}) == len(lines)
    for line in lines:
        assert f"{BACKENDS[line.framework]}=={line.release}" in line.packages


def test_what_holds_has_no_fault(interpreter):
    record = matrix.Record(line=LINE)
    matrix._parity(interpreter(ALL), record)
    matrix._job(interpreter([END]), "training", record)
    assert not record.faults
    assert record.row() == (
        "| mxnet | 1.2.0 | 3.6 | 2.0e-07 | 2.0e-07 | 2.0e-07 | 2.0e-07 | training | holds |"
    )


def test_what_differs_is_a_fault(interpreter):
    record = matrix.Record(line=LINE)
    matrix._parity(interpreter([*ALL[:-1], compared("P3", "resnet18", holds=False)], 1), record)
    assert record.faults == ["P3 resnet18 does not hold: loss 3e-02 (step 1)"]


def test_a_program_that_says_nothing_is_a_fault(interpreter):
    record = matrix.Record(line=LINE)
    dead = interpreter([], 1)
    matrix._parity(dead, record)
    matrix._job(dead, "training", record)
    assert record.faults[0].startswith("not compared: P1 deep_mnist, ")
    assert record.faults[1] == "training: it said nothing"
    assert record.jobs == []


def test_a_job_that_fails_says_why(interpreter):
    record = matrix.Record(line=LINE)
    error = {"event": "error", "kind": "unsupported", "message": "MXNet 1.0 is too old"}
    matrix._job(interpreter([error], 1), "inference", record)
    assert record.faults == ["inference: MXNet 1.0 is too old"]


def test_a_record_is_read_back_as_it_was_written(tmp_path):
    record = matrix.Record(line=LINE, deviations={"P2 resnet18": 1e-7}, jobs=["training"])
    matrix.save(record, tmp_path / "record.json")
    assert matrix.saved(tmp_path / "record.json") == record
    assert [path.name for path in tmp_path.iterdir()] == ["record.json"]


def test_an_interpreter_of_pyenv_is_found(tmp_path, monkeypatch):
    python = tmp_path / "versions" / "3.6.15" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.touch()
    monkeypatch.setenv("PYENV_ROOT", str(tmp_path))
    monkeypatch.setenv("PATH", "")
    assert matrix.interpreter("3.6") == python
    with pytest.raises(matrix.NotRunError, match="pyenv install 3"):
        matrix.interpreter("3.9")


def test_a_line_without_its_interpreter_is_run_another_time(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("PYENV_ROOT", str(tmp_path))
    monkeypatch.setenv("PATH", "")
    monkeypatch.setenv("BENCHDOCK_HOME", str(tmp_path))
    monkeypatch.setattr(sys, "argv", ["releases", "mxnet-1.2.0"])
    assert releases.main() == 1
    told = capsys.readouterr().err
    assert told == "mxnet-1.2.0-py3.6 was not run: no CPython 3.6 here: pyenv install 3.6\n"
    assert not list(tmp_path.rglob("*.json"))


def test_a_record_is_not_made_twice(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("BENCHDOCK_HOME", str(tmp_path))
    monkeypatch.setattr(sys, "argv", ["releases", "mxnet"])
    folder = tmp_path / "releases"
    folder.mkdir()
    record = matrix.Record(line=LINE, jobs=["training"])
    matrix.save(record, folder / f"{LINE.name}.json")
    assert releases.main() == 0
    assert record.row() in capsys.readouterr().out


def test_a_line_that_is_not_there_names_those_that_are(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["releases", "caffe"])
    assert releases.main() == 2
    assert "pytorch-1.0.1-py3.6" in capsys.readouterr().out
