"""Vendors' programs in their releases: what `make programs` accepts and how it judges."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from orchestrator.frameworks import catalogue
from tests.releases import programs, running
from tests.releases.matrix import Line

# A program of our own that takes what MXNet's script takes and prints what it prints.
SCORE = """\
import sys
parser = "'--network'"
print("INFO:root:network: alexnet")
print("INFO:root:device: cpu(0)")
print("INFO:root:batch size 2, dtype float32, images/sec: 64.500000")
"""


@pytest.fixture
def clone(tmp_path):
    folder = tmp_path / "clones" / "mine"
    (folder / "example").mkdir(parents=True)
    (folder / "example" / "benchmark_score.py").write_text(SCORE)

    def git(*words, day="2020-01-02"):
        who = ("-c", "user.name=a", "-c", "user.email=a@example.org")
        times = {"GIT_AUTHOR_DATE": f"{day}T00:00:00Z", "GIT_COMMITTER_DATE": f"{day}T00:00:00Z"}
        subprocess.run(["git", "-C", folder, *who, *words], check=True, env=times | ENVIRONMENT)

    git("init", "-q")
    git("add", ".")
    git("commit", "-qm", "one")
    return folder


ENVIRONMENT = {"PATH": "/usr/bin:/bin:/usr/local/bin"}


def program(**changes):
    line = Line(framework="mxnet_score", release="1.5.1", python="3.7", packages=("mxnet==1.5.1",))
    fields: dict[str, Any] = {
        "line": line,
        "clone": "mine",
        "path": "example",
        "steps": None,
        "runs": (),
    }
    return programs.Program(**fields | {"ref": "HEAD", "own": r"images/sec: ([\d.]+)"} | changes)


def test_the_table_names_programs_that_are_here_and_models_that_they_have():
    table = programs.load()
    assert len({(one.line.name, one.ref, one.before) for one in table}) == len(table)
    for one in table:
        framework = catalogue.framework(one.line.framework)
        assert bool(one.ref) != bool(one.before)
        device = "gpu" if one.gpu else "cpu"
        for model, phase in one.runs:
            catalogue.network(framework, model)
            assert (device, phase) in framework.dtypes


def test_a_run_is_planned_started_and_compared_with_the_programs_own_figure(tmp_path, clone):
    source = programs.check_out(program(), clone.parent, tmp_path / "source")
    seen = programs.one_run(
        program(), "alexnet", "inference", source, Path(sys.executable), tmp_path / "run"
    )
    assert (seen.own, seen.figure, seen.fault) == (64.5, 64.5, "")
    assert seen.row().endswith("| alexnet inference | 64.5 | 64.5 | agrees |")
    other = program(own=r"batch size (\d)")
    found = programs.one_run(
        other, "alexnet", "inference", source, Path(sys.executable), tmp_path / "again"
    )
    assert found.fault == "another figure than the program's"


def test_a_program_that_fails_is_a_fault(tmp_path, clone):
    source = programs.check_out(program(), clone.parent, tmp_path / "source")
    (source / "benchmark_score.py").write_text("raise SystemExit(\"no '--network' here\")")
    seen = programs.one_run(
        program(), "alexnet", "inference", source, Path(sys.executable), tmp_path / "run"
    )
    assert seen.figure is None
    assert seen.fault.startswith("crashed: ")


def test_the_last_commit_before_a_day_is_taken(tmp_path, clone):
    old = program(ref="", before="2021-01-01")
    folder = programs.check_out(old, clone.parent, tmp_path / "source")
    assert (folder / "benchmark_score.py").read_text() == SCORE
    with pytest.raises(running.NotRunError, match="git archive in mine"):
        programs.check_out(program(ref="absent"), clone.parent, tmp_path / "other")


def test_it_says_which_variable_is_missing(monkeypatch, capsys):
    monkeypatch.delenv(programs.VARIABLE, raising=False)
    monkeypatch.setattr(sys, "argv", ["programs"])
    assert programs.main() == 2
    assert "BENCHDOCK_UPSTREAM does not say" in capsys.readouterr().err


STARTER = """\
import argparse, os, subprocess, sys, torch.nn
class Net(torch.nn.Module):
    layers = torch.nn.Sequential(torch.ones(2)[0])
parser = argparse.ArgumentParser()
parser.add_argument("--batch-size")
known, others = parser.parse_known_args()
sys.exit(subprocess.call(["horovodrun", "-np", "2", "python3", os.environ["LAST"], *others]))
"""
LAST = """\
import argparse
parser = argparse.ArgumentParser()
parser.add_argument({flag!r})
parser.parse_args()
"""


@pytest.mark.slow
@pytest.mark.parametrize(("flag", "accepted"), [("--network", True), ("--other", False)])
def test_a_program_without_its_framework_is_asked_with_what_it_starts(
    tmp_path, monkeypatch, flag, accepted
):
    source = tmp_path / "source"
    source.mkdir()
    (source / "benchmark_score.py").write_text(f"# '--network', '--batch-size'\n{STARTER}")
    (source / "last.py").write_text(LAST.format(flag=flag))
    monkeypatch.setenv("LAST", str(source / "last.py"))
    mine = program(runs=(("alexnet", "inference"),), absent="torch", starters="benchmark_score.py")
    (seen,) = programs.accepted(mine, source, Path(sys.executable), tmp_path)
    assert seen.run == "flags of 2 cases"
    unknown = seen.fault.count("unrecognized arguments: --network=alexnet")
    assert (seen.fault == "", unknown) == (accepted, 0 if accepted else 2)


GFLAGS = """\
DEFINE_string(gpu, "",
    "Optional");
DEFINE_string({solver}, "");
int train() {{}}
RegisterBrewFunction({brew});
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("solver", "brew", "fault"),
    [
        ("solver", "train", ""),
        ("other", "train", "unknown command line flag 'solver'"),
        ("solver", "time", "Unknown action: train"),
    ],
)
def test_a_compiled_program_is_asked_by_its_source(tmp_path, solver, brew, fault):
    (tmp_path / "caffe.cpp").write_text(GFLAGS.format(solver=solver, brew=brew))
    line = Line(framework="caffe_train", release="1.0", python="3.8", packages=())
    mine = program(
        line=line,
        runs=(("alexnet", "training"),),
        gflags="caffe.cpp",
        options=(("fork", "nvidia"),),
        only_flags=True,
    )
    (seen,) = programs.accepted(mine, tmp_path, Path(sys.executable), tmp_path)
    assert seen.run == "flags of 3 cases"
    assert seen.fault.count(fault) == (3 if fault else len(seen.fault) + 1)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("flags", "fault"),
    [
        ("'--network', '--batch-size'", ""),
        ("'--network', '--other'", "refused: --batch-size=2"),
    ],
)
@pytest.mark.parametrize("read", ["parse_args", "parse_known_args"])
def test_a_program_is_asked_for_every_flag_of_the_launcher(tmp_path, flags, fault, read):
    source = tmp_path / "source"
    source.mkdir()
    (source / "benchmark_score.py").write_text(
        "import argparse\nparser = argparse.ArgumentParser()\n"
        f"for flag in ({flags}):\n    parser.add_argument(flag)\n"
        f"parser.{read}()\nraise SystemExit('it went on')\n"
    )
    mine = program(runs=(("alexnet", "inference"),))
    (seen,) = programs.accepted(mine, source, Path(sys.executable), tmp_path)
    assert seen.run == "flags of 2 cases"
    if not fault:
        assert seen.fault == ""
        assert seen.row().endswith("| - | - | accepted |")
        return
    unknown = "unrecognized arguments: --batch-size=2" if read == "parse_args" else fault
    assert seen.fault.count(unknown) == 2
