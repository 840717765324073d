"""The zoo from outside: other interpreters, other processes, its own command."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from backends import zoo
from backends.zoo.__main__ import main

ROOT = Path(__file__).parents[2]
DRAW_ALL = (
    "from backends import zoo\n"
    "for name in zoo.names():\n"
    "    g = zoo.draw(name)\n"
    "    print(name, g.fingerprint, g.published, g.macs)\n"
)
TIME_ALL = (
    "import time; start = time.process_time()\n"
    "from backends import zoo\n"
    "for g in map(zoo.draw, zoo.names()): g.published, g.macs, g.fingerprint\n"
    "print(time.process_time() - start)\n"
)


def _run(python, code, *flags, **environment):
    done = subprocess.run(
        [python, *flags, "-c", code],
        cwd=ROOT,
        env={"PATH": os.defpath, "PYTHONDONTWRITEBYTECODE": "1", **environment},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout


def _expected():
    graphs = map(zoo.draw, zoo.names())
    return "".join(f"{g.name} {g.fingerprint} {g.published} {g.macs}\n" for g in graphs)


@pytest.mark.slow
@pytest.mark.parametrize("seed", ["0", "1", "4242"])
def test_drawing_does_not_depend_on_the_process(seed):
    assert _run(sys.executable, DRAW_ALL, PYTHONHASHSEED=seed) == _expected()


def test_drawing_needs_only_the_standard_library():
    assert _run(sys.executable, DRAW_ALL, "-S") == _expected()


def test_the_systems_interpreter_draws_the_same():
    python = shutil.which("python3", path=os.defpath)
    if python is None:
        pytest.skip("the system has no Python of its own")
    assert _run(python, DRAW_ALL) == _expected()


@pytest.mark.slow
def test_drawing_everything_is_quick():
    # Users wait for it in `benchdock models`. 0.1 s here; the bound allows for slow machines.
    assert min(float(_run(sys.executable, TIME_ALL)) for _ in range(3)) < 0.4


def test_list(capsys):
    assert main(["list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[1:]] == zoo.names()
    resnet50 = next(line for line in lines if line.startswith("resnet50 "))
    assert "25,610,269" in resnet50
    assert "25,557,096" in resnet50
    assert "3,857,973,248" in resnet50


def test_show(capsys):
    assert main(["show", "alexnet"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[2].split() == [
        "conv1",
        "conv",
        "input",
        "filters=96",
        "kernel=11,11",
        "stride=4,4",
        "pad=0,0,0,0",
        "bias=true",
        "96x55x55",
        "34,944",
        "105,415,200",
    ]
    assert "parameters (published)  62,378,344" in lines


def test_show_unknown_model(capsys):
    assert main(["show", "alexnt"]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("error: unknown model 'alexnt': did you mean alexnet")
    assert captured.err.count("\n") == 1
