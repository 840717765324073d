"""The matrix of old releases, with a stand-in for the interpreter that would run them."""

from __future__ import annotations

import json
import os
import sys
import threading
from pathlib import Path

import pytest

from orchestrator.vendor_images import proven
from orchestrator.vendor_images.proven import ProvenRelease
from orchestrator.vendor_images.vendor_table import numbers
from tests.releases import __main__ as releases
from tests.releases import matrix, page, running

TWO = matrix.MODELS[:2]
LINE = matrix.Line(
    framework="mxnet", release="1.2.0", python="3.6", packages=("mxnet==1.2.0",), models=TWO
)
END = {"event": "end", "samples": 12}
WHEELS = {
    "pytorch": ("torch",),
    "tensorflow": ("tensorflow", "tensorflow-cpu"),
    "mxnet": ("mxnet",),
    "onnxruntime": ("onnxruntime",),
    "openvino": ("openvino",),
}


def compared(level, model, holds=True):
    return {
        "event": "parity",
        "level": level,
        "model": model,
        "deviation": 2e-7,
        "holds": holds,
        "detail": "loss 3e-02 (step 1)",
    }


ALL = [compared(level, model) for model in TWO for level in matrix.LEVELS]
ERROR = {"event": "error", "kind": "out_of_memory", "message": "no memory"}
TOO_OLD = ERROR | {"message": "MXNet 0.12 is too old: use MXNet 1.0 or newer"}


@pytest.fixture
def interpreter(tmp_path):
    """Return a function that makes a program which prints these events and noise."""

    def make(events, status=0, complaint=""):
        said = tmp_path / "said"
        lines = [running.TAG + json.dumps(event) for event in events]
        said.write_text("\n".join(["FutureWarning: noise", *lines]) + "\n")
        program = tmp_path / "python"
        program.write_text(f"#!/bin/sh\ncat '{said}'\nprintf '{complaint}' >&2\nexit {status}\n")
        program.chmod(0o700)
        return program

    return make


@pytest.fixture
def kept(tmp_path, monkeypatch):
    """Give the records and the page to write, and a home, only to the test."""
    monkeypatch.setenv("BENCHDOCK_HOME", str(tmp_path))
    monkeypatch.setattr(proven, "FILE", tmp_path / "proven.json")
    monkeypatch.setattr(page, "PAGE", tmp_path / "releases.md")
    (tmp_path / "proven.json").write_text("[]")
    (tmp_path / "releases.md").write_text(f"# Old\n{page.BEGIN}stale\n{page.END}after\n")
    (tmp_path / "releases").mkdir()
    return tmp_path


def test_every_line_pins_the_release_that_it_names():
    lines = matrix.load()
    assert len({line.name for line in lines}) == len(lines)
    for line in lines:
        first = line.packages[0]
        assert first in {f"{wheel}=={line.release}" for wheel in WHEELS[line.framework]}


def test_what_only_infers_is_not_compared_in_training():
    lines = {line.name: line for line in matrix.load()}
    assert lines["mxnet-1.2.0-py3.6"].levels == matrix.LEVELS
    assert lines["onnxruntime-1.20.1-py3.12"].levels == ("P1", "P2")


def test_what_holds_has_no_fault(interpreter):
    found = running.tried(LINE, interpreter([*ALL, END]))
    assert not found.faults
    assert page.row(found) == (
        "| mxnet | 1.2.0 | 3.6 | 2.0e-07 | 2.0e-07 | 2.0e-07 | 2.0e-07 | - | - | - | - "
        "| training, inference | holds |"
    )


def test_what_differs_is_a_fault(interpreter):
    events = [*ALL[:-1], compared("P3", "resnet18", holds=False), END]
    found = running.tried(LINE, interpreter(events, 1))
    assert found.faults == ("P3 resnet18 does not hold: loss 3e-02 (step 1)",)


def test_a_program_that_dies_is_a_fault_with_its_last_line(interpreter):
    found = running.tried(LINE, interpreter([], 1, "Traceback\\nImportError: no libgfortran.so.3"))
    assert found.faults[0].startswith("not compared: P1 deep_mnist, ")
    assert found.faults[1] == "training: ImportError: no libgfortran.so.3"
    assert found.jobs == ()


def test_a_program_that_is_killed_is_a_fault_with_the_signal(tmp_path):
    program = tmp_path / "python"
    program.write_text("#!/bin/sh\nkill -SEGV $$\n")
    program.chmod(0o700)
    found = running.tried(LINE, program)
    assert found.faults[1:] == ("training: killed by SIGSEGV", "inference: killed by SIGSEGV")


def test_an_error_is_a_fault_with_its_reason(interpreter):
    found = running.tried(LINE, interpreter([ERROR], 2, "noise"))
    assert found.faults[0].endswith("(no memory)")
    assert found.faults[2] == "inference: no memory"


def test_a_release_that_is_refused_has_no_fault(interpreter):
    found = running.tried(LINE, interpreter([TOO_OLD], 2))
    assert found.refused == TOO_OLD["message"]
    assert found.faults == ()
    assert page.row(found).endswith("| - | MXNet 0.12 is too old: use MXNet 1.0 or newer |")
    assert proven.proven_with("mxnet", "1.2.1", records=[found]) is None


def test_an_interpreter_of_pyenv_is_found(tmp_path, monkeypatch):
    python = tmp_path / "versions" / "3.6.15" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.touch()
    monkeypatch.setenv("PYENV_ROOT", str(tmp_path))
    monkeypatch.setenv("PATH", "")
    assert running.interpreter("3.6") == python
    with pytest.raises(running.NotRunError, match="pyenv install 3"):
        running.interpreter("3.9")


def test_pip_is_set_up_once_for_each_interpreter(tmp_path, monkeypatch):
    commands = []

    def done(command):
        commands.append(" ".join(command[1:]).replace(str(tmp_path), ""))
        if "venv" in command:
            (Path(command[-1]) / "bin").mkdir(parents=True)

    monkeypatch.setattr(running, "interpreter", lambda version: Path("python"))
    monkeypatch.setattr(running, "_done", done)
    for name in ("one", "two"):
        python = running.environment(LINE, tmp_path / name, tmp_path / "wheels")
        assert python == tmp_path / name / "bin" / "python"
        assert python.parent.is_dir()
    install = "-m pip install --quiet --cache-dir /wheels"
    packages = f"{install} --no-compile mxnet==1.2.0"
    upgrade = f"{install} --upgrade pip<22"
    assert commands == ["-m venv --clear /bare-3.6", upgrade, packages, packages]


def test_the_oldest_wheels_are_deleted_first(tmp_path):
    for age, name in enumerate(("new", "middle", "old")):
        path = tmp_path / name[0] / name
        path.parent.mkdir()
        path.write_bytes(b"x" * 10)
        stamp = 1e9 - age
        os.utime(path, (stamp, stamp))
    running.trim(tmp_path, 20)
    assert sorted(path.name for path in tmp_path.rglob("*") if path.is_file()) == ["middle", "new"]


def test_a_line_without_its_interpreter_is_run_another_time(kept, monkeypatch, capsys):
    monkeypatch.setenv("PYENV_ROOT", str(kept))
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr(sys, "argv", ["releases", "mxnet-1.2.0"])
    assert releases.main() == 1
    told = capsys.readouterr().err
    assert told == "mxnet-1.2.0-py3.6 was not run: no CPython 3.6 here: pyenv install 3.6\n"
    assert proven.read(proven.FILE) == ()


def test_a_record_is_not_made_twice_and_goes_into_the_page(kept, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["releases", "mxnet-1.2.0"])
    found = ProvenRelease(framework="mxnet", release="1.2.0", python="3.6", jobs=("training",))
    (kept / "releases" / f"{LINE.name}.json").write_text(found.model_dump_json())
    assert releases.main() == 0
    assert page.row(found) in capsys.readouterr().out
    assert proven.read(proven.FILE) == (found,)
    text = (kept / "releases.md").read_text()
    assert text.startswith("# Old\n")
    assert text.endswith("after\n")
    assert page.row(found) in text
    assert "stale" not in text
    assert "\n- mxnet: 1.0.0.post4, 1.1.0, 1.3.1, " in text


def test_a_line_that_is_skipped_is_run_if_it_is_named():
    line = matrix.Line(
        framework="mxnet", release="1.2.0", python="3.6", packages=(), skip="it wants a lake"
    )
    assert releases._wanted([line], []) == []
    assert releases._wanted([line], ["mxnet-1"]) == [line]
    assert page.seen([line], []).endswith("Not run yet:\n\n- mxnet: 1.2.0 (it wants a lake)\n")


def test_lines_are_run_in_the_order_of_the_words():
    asked = ["openvino-2026", "pytorch-1.1", "pytorch-1.13", "openvino"]
    names = [line.name for line in releases._wanted(matrix.load(), asked)]
    assert names[:5] == [
        "openvino-2026.4.1-py3.12",
        "pytorch-1.1.0-py3.6",
        "pytorch-1.10.2-py3.8",
        "pytorch-1.11.0-py3.8",
        "pytorch-1.12.1-py3.8",
    ]
    assert len(names) == len(set(names))


def test_the_next_line_is_installed_while_one_is_tried(kept, interpreter, monkeypatch, capsys):
    python, begun = interpreter([*ALL, END]), threading.Event()

    def environment(line, folder, wheels):
        if line.release == "1.4.1":
            raise running.NotRunError("no wheel")
        folder.mkdir()
        if line.release == "1.3.1":
            begun.set()
        return python

    def tried(line, python):
        if line.release == "1.2.0":
            assert begun.wait(20)
        return ProvenRelease(framework="mxnet", release=line.release, python=line.python)

    monkeypatch.setattr(running, "environment", environment)
    monkeypatch.setattr(running, "tried", tried)
    monkeypatch.setattr(sys, "argv", ["releases", "mxnet-1.4", "mxnet-1.2", "mxnet-1.3"])
    assert releases.main() == 1
    assert [record.release for record in proven.read(proven.FILE)] == ["1.2.0", "1.3.1"]
    assert capsys.readouterr().err == "mxnet-1.4.1-py3.6 was not run: no wheel\n"


def test_a_record_has_the_options_that_the_jobs_chose(interpreter):
    begin = {"event": "begin", "options": {"optimize": "fusion", "momentum": 0.9}}
    found = running.tried(LINE, interpreter([*ALL, begin, END]))
    chosen = {"optimize": "fusion", "momentum": "0.9"}
    assert found.options == {"training": chosen, "inference": chosen}


def test_pytorch_is_fused_by_default_in_every_release_that_can():
    records = [one for one in proven.read() if one.framework == "pytorch" and one.options]
    for record in records:
        fuses = numbers(record.release) >= (2, 0)
        assert (record.options["inference"]["optimize"] == "fusion") == fuses, record.release


def test_a_line_that_is_not_there_names_those_that_are(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["releases", "caffe"])
    assert releases.main() == 2
    assert "pytorch-1.0.1-py3.6" in capsys.readouterr().out


def test_the_page_is_up_to_date():
    shown = page.PAGE.read_text(encoding="utf-8")
    assert shown == page.page(shown, matrix.load(), proven.read()), "run `make releases-page`"


def test_every_record_is_of_a_line_of_the_matrix():
    lines = {(line.framework, line.release, line.python) for line in matrix.load()}
    records = {(one.framework, one.release, one.python) for one in proven.read()}
    assert records <= lines
