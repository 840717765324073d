"""`--python`: the program runs in a Python of the user's, which is looked at first."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.cli import main
from orchestrator.errors import MachineError, RequestError
from orchestrator.frameworks.catalogue import FRAMEWORKS
from orchestrator.request import Request
from orchestrator.result import Result
from orchestrator.results import agreement
from orchestrator.results.differences import differences
from orchestrator.run.decision import decide
from orchestrator.run.facts import ThisMachine
from orchestrator.run.program_rules import lacks_source
from orchestrator.runtimes.host import interpreter
from orchestrator.store import identity
from orchestrator.suites.requests import request_of
from tests.misbehaving import BEHAVIOUR, OPTIONS, PROGRAM
from tests.support import stand_in
from tests.support.machines import NO_GPU, Known

PROBLEM = "raise OSError('libcudart.so.11: cannot open shared object file')"


def installed(root, package, version, source=None):
    """Put a package into an environment, as pip does."""
    folder = next(root.glob("lib/python*/site-packages"))
    (folder / package).mkdir(exist_ok=True)
    (folder / package / "__init__.py").write_text(source or f"__version__ = {version!r}\n")
    for old in folder.glob(f"{package}-*.dist-info"):
        old.joinpath("METADATA").unlink()
        old.rmdir()
    told = folder / f"{package}-{version}.dist-info"
    told.mkdir()
    (told / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: {version}\n")


@pytest.fixture
def environment(tmp_path):
    """Make a virtual environment with a PyTorch that has nothing but its version."""
    root = tmp_path / "my environment"
    words = [sys.executable, "-m", "venv", "--without-pip", "--symlinks", str(root)]
    subprocess.run(words, check=True)
    installed(root, "torch", "9.9.1")
    return root


def script(path, text):
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


def look(python, package="torch", variables=None, **options):
    return interpreter.look(Path(python), package, variables or {}, **options)


def test_an_environment_and_its_interpreter_are_the_same(environment):
    found = look(environment)
    assert found.path == environment / "bin/python"
    assert found.version == "{}.{}.{}".format(*sys.version_info)
    assert (found.package, found.package_version, found.packages) == ("torch", "9.9.1", 1)
    assert look(environment / "bin/python") == found
    assert str(found).startswith(
        f"{found.path}, Python {found.version}, torch 9.9.1, 1 package sha256:"
    )


@pytest.mark.slow
def test_the_digest_is_that_of_the_installed_packages(environment):
    before = look(environment)
    installed(environment, "alpha", "1.0")
    more = look(environment)
    installed(environment, "alpha", "1.1")
    other = look(environment)
    assert len({one.digest for one in (before, more, other)}) == 3
    installed(environment, "alpha", "1.0")
    assert look(environment) == more


@pytest.mark.slow
@given(st.dictionaries(st.from_regex(r"[a-z]{1,4}", fullmatch=True), st.text(max_size=4)))
def test_the_order_of_packages_is_no_part_of_the_digest(packages):
    turned = dict(reversed(packages.items()))
    assert interpreter._digest(packages) == interpreter._digest(turned)


def test_one_package_has_many_spellings_and_the_first_on_the_path_counts():
    listed = [("My.Package", "1"), ("my_package", "2"), ("", "3")]
    assert interpreter._by_name(listed) == {"my-package": "1"}


def test_what_is_not_an_interpreter_is_refused_in_a_line(tmp_path, environment):
    (tmp_path / "empty").mkdir()
    (tmp_path / "text").write_text("no program")
    binary = tmp_path / "binary"
    binary.write_bytes(b"\x7fELF")
    binary.chmod(0o755)
    refused = {
        tmp_path / "absent": "No such file or directory",
        tmp_path / "empty": "is a folder without bin/python",
        tmp_path / "text": "is not a Python that starts: Permission denied",
        binary: "is not a Python that starts: Exec format error",
        Path("/bin/true"): "is not a Python that starts: it ended with status 0",
        script(tmp_path / "lib", "echo 'python3: error: no libpython3.so' >&2; exit 127"): (
            "is not a Python that starts: python3: error: no libpython3.so"
        ),
        script(tmp_path / "killed", "kill -9 $$"): "killed by signal 9",
        script(tmp_path / "forged", 'echo "{" >"$3"'): "it ended with status 0",
    }
    for path, expected in refused.items():
        with pytest.raises(RequestError) as caught:
            look(path)
        assert expected in str(caught.value)
        assert "\n" not in str(caught.value)
        assert caught.value.hint == interpreter._USE


def test_an_interpreter_that_hangs_is_ended_with_all_it_started(tmp_path, monkeypatch):
    monkeypatch.setattr(interpreter, "PATIENCE", 0.5)
    pid = tmp_path / "pid"
    hanging = script(tmp_path / "python", f"sleep 1000 & echo $! >'{pid}'; wait")
    with pytest.raises(MachineError, match=r"did not import torch within 0 s; try again"):
        look(hanging)
    deadline = time.monotonic() + 10
    while Path(f"/proc/{pid.read_text().strip()}/cmdline").exists():
        assert time.monotonic() < deadline, "the sleep is still there"
        time.sleep(0.05)


@pytest.mark.parametrize(
    ("version", "fits"), [("2.7.18", False), ("3.4.10", False), ("3.5.0", True)]
)
def test_our_programs_need_python_3_5(tmp_path, version, fits):
    told = {
        "version": list(map(int, version.split("."))), "packages": [], "told": "1",
        "missing": False, "problem": "",
    }  # fmt: skip
    old = script(tmp_path / "python", f"echo '{json.dumps(told)}' >\"$3\"")
    if fits:
        assert look(old).version == version
    else:
        with pytest.raises(RequestError, match=f"is Python {version}, and .* need 3.5; use"):
            look(old)
    assert look(old, ours=False).version == version


def test_a_missing_package_is_named_and_how_a_module_finds_it(environment, tmp_path, monkeypatch):
    monkeypatch.delenv("PYTHONPATH", raising=False)
    with pytest.raises(RequestError, match=r"does not have the package mxnet; use one in which"):
        look(environment, "mxnet")
    (tmp_path / "module/mxnet").mkdir(parents=True)
    (tmp_path / "module/mxnet/__init__.py").write_text("")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "module"))
    with pytest.raises(RequestError, match=r'add --env PYTHONPATH="\$PYTHONPATH" if it is there'):
        look(environment, "mxnet")
    found = look(environment, "mxnet", {"PYTHONPATH": str(tmp_path / "module")})
    assert found.package_version == ""
    assert ", mxnet, 1 package " in str(found)


def test_a_folder_that_is_no_package_is_not_one(environment):
    next(environment.glob("lib/python*/site-packages")).joinpath("mxnet").mkdir()
    with pytest.raises(RequestError, match="does not have the package mxnet"):
        look(environment, "mxnet")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("source", "expected"),
    [
        (PROBLEM, "cannot import torch: OSError: libcudart.so.11: cannot open shared object file"),
        ("import no_such", "cannot import torch: ModuleNotFoundError: No module named 'no_such'"),
        ("import os; os.abort()", "cannot import torch: killed by signal 6"),
        ("raise SystemExit('bye')", "cannot import torch: bye"),
    ],
)  # fmt: skip
def test_a_package_that_cannot_be_imported_is_told_in_a_line(environment, source, expected):
    installed(environment, "torch", "9.9.1", source)
    with pytest.raises(RequestError) as caught:
        look(environment)
    assert expected in caught.value.what
    assert caught.value.hint == "use one in which `import torch` works"


def test_what_a_package_prints_is_not_read(environment):
    noise = "import sys; print('{}'); sys.stderr.write('warning'); __version__ = '2'"
    installed(environment, "torch", "9.9.1", noise)
    assert look(environment).package_version == "2"


def request(python, **changes):
    usual = {"python": python, "options": {}, "runtime": "auto"}
    return stand_in.request(**usual | changes)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"runtime": "docker"}, "--runtime docker runs in a container; remove one of them"),
        ({"image": "me/mine:1"}, r"host \(--python was given\); remove --image or --python"),
        ({"memory": 2**30}, "; remove --memory or --python"),
        (
            {"framework": "custom", "command": "bench", "pattern": "(.+)", "options": {}},
            "--python does not apply to custom, which is not a Python package",
        ),
    ],
)  # fmt: skip
def test_what_does_not_go_with_a_python_is_refused_without_starting_it(changes, expected):
    with pytest.raises(RequestError, match=expected):
        decide(request("/nowhere/python", **changes), Known(gpu=NO_GPU))


def test_it_is_looked_at_once_per_machine(environment, monkeypatch):
    looked = []
    true = interpreter.look

    def counted(*words, **options):
        looked.append(words)
        return true(*words, **options)

    monkeypatch.setattr(interpreter, "look", counted)
    facts = ThisMachine()
    for _ in range(2):
        decision = decide(request(environment), facts)
    assert decision.python == true(environment, "torch", {})
    assert (decision.engine, decision.image, decision.reason) == (None, None, "--python was given")
    decide(request(environment, env={"A": "1"}), facts)
    assert [words[2] for words in looked] == [{}, {"A": "1"}]


@pytest.fixture
def home(tmp_path, environment):
    """Give benchdock a home, and an environment whose Python runs a stand-in of our program."""
    python = environment / "bin/python"
    python.unlink()
    true = environment / "bin/python3"
    script(python, f'case "$1" in -c) exec \'{true}\' "$@";; esac\nexec \'{PROGRAM}\' "$@"')
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(OPTIONS, "behaviour", BEHAVIOUR)
        patch.setenv("BENCHDOCK_HOME", str(tmp_path / "home"))
        patch.setenv("DOCKER_HOST", f"unix://{tmp_path}/no.sock")
        yield tmp_path / "home"


RUN = ("run", "deep_mnist", "-f", "pytorch", "--gpus", "none", "--batch", "2", "--steps", "4")


def ran(capsys, *words):
    assert main((*RUN, "--option", "behaviour=good", "--json", *words)) == 0
    return json.loads(capsys.readouterr().out)


@pytest.mark.slow
def test_a_run_uses_it_and_records_all_of_it(home, environment, capsys):
    result = ran(capsys, "--python", str(environment))
    plan = result["plan"]
    assert result["status"] == "ok"
    assert (plan["runtime"], plan["runtime_reason"]) == ("host", "--python was given")
    assert plan["interpreter"] == look(environment).model_dump(mode="json")
    assert f"exec '{environment}/bin/python' -m backends.pytorch" in plan["script"]
    assert not (home / "venvs").exists()


def test_a_dry_run_shows_it(home, environment, capsys):
    assert main((*RUN, "--python", str(environment), "--dry-run")) == 0
    told = capsys.readouterr().out
    assert f"python          {look(environment)}\n" in told
    assert "exec '" in told
    assert not (home / "venvs").exists()


@pytest.mark.slow
def test_a_replay_uses_it_again_or_says_what_changed(
    home, environment, capsys, monkeypatch, tmp_path
):
    monkeypatch.chdir(environment.parent)
    first = ran(capsys, "--python", environment.name)
    monkeypatch.chdir(tmp_path.parent)
    assert main(("replay", first["run"], "--json")) == 0
    again = json.loads(capsys.readouterr().out)
    assert again["changed"] == []
    assert again["result"]["plan"]["interpreter"] == first["plan"]["interpreter"]

    installed(environment, "alpha", "1.0")
    assert main(("replay", first["run"])) == 3
    told = capsys.readouterr().err
    assert "cannot be run again as it was: Python was " in told
    assert main(("replay", first["run"], "--allow-changed", "--json")) == 0
    (changed,) = json.loads(capsys.readouterr().out)["changed"]
    assert changed.startswith(f"Python was {environment}/bin/python, Python")
    assert "1 package sha256:" in changed
    assert "2 packages" in changed

    (environment / "bin/python").unlink()
    (environment / "bin/python3").unlink()
    assert main(("replay", first["run"])) == 2
    assert "No such file or directory" in capsys.readouterr().err


def test_a_request_and_a_plan_name_the_same_python(environment):
    found = look(environment)
    for asked in (environment, environment / "bin/python", Path(environment.name)):
        assert list(agreement._of_python(asked, found)) == []
    for asked, told in [(None, found), (environment, None), (Path("/other"), found)]:
        (one,) = agreement._of_python(asked, told)
        assert "the Python" in str(one)
    assert list(agreement._of_python(None, None)) == []


@pytest.mark.slow
def test_another_python_is_another_series_and_other_packages_are_not(home, environment, capsys):
    folder = Result.model_validate(ran(capsys, "--python", str(environment)))
    program = Result.model_validate(ran(capsys, "--python", f"{environment}/bin/python"))
    installed(environment, "alpha", "1.0")
    later = Result.model_validate(ran(capsys, "--python", str(environment)))
    os.symlink(environment, environment.with_name("other"))
    other = Result.model_validate(ran(capsys, "--python", str(environment.with_name("other"))))
    told = [identity.what(one.request, one.plan) for one in (folder, program, later, other)]
    assert told[0] == told[1] == told[2] != told[3]
    for one, changed in ((program, []), (later, ["Python"])):
        found = [change for change in differences(folder, one) if change.group != "state"]
        assert [change.name for change in found] == changed


def test_a_plan_for_another_machine_leaves_it_unchecked(home, tmp_path, capsys):
    machine = tmp_path / "server.json"
    machine.write_text(
        '{"schema": 1, "machine": {"hostname": "server", "cpu": {"usable": 8}, "gpu": {"gpus": []},'
        ' "engine": null}}'
    )
    words = ("--python", "/opt/theirs/bin/python", "--dry-run", "--machine", str(machine))
    assert main((*RUN, *words)) == 0
    told = capsys.readouterr().out
    assert "--python /opt/theirs/bin/python is for the other machine, so it is not checked" in told
    assert "exec /opt/theirs/bin/python -m backends.pytorch" in told


def test_parity_takes_it_for_one_framework(capsys):
    assert main(("parity", "deep_mnist", "--python", "/nowhere")) == 2
    assert "--python needs exactly one framework; add -f FRAMEWORK" in capsys.readouterr().err
    assert main(("parity", "deep_mnist", "-f", "pytorch", "--python", "/nowhere")) == 2
    assert "--python /nowhere: No such file or directory" in capsys.readouterr().err


def test_only_programs_that_are_python_take_one():
    others = {name for name, row in FRAMEWORKS.items() if not row.package}
    assert others == {
        "caffe_time", "caffe_train", "custom", "onnxruntime_perf_test", "openvino_benchmark_app",
        "tensorrt",
    }  # fmt: skip


def test_the_program_in_an_image_is_not_in_a_python():
    asked = Request(model="resnet50", framework="mxnet_score", phase="inference", python="/x")
    assert "needs the program's folder" in lacks_source(FRAMEWORKS["mxnet_score"], asked, "gpu")


def test_a_path_in_a_suite_starts_from_its_folder():
    told = {"model": "deep_mnist", "framework": "pytorch", "phase": "training"}
    assert request_of({**told, "python": "env"}, Path("/suites")).python == Path("/suites/env")
    assert request_of({**told, "python": "/env"}, Path("/suites")).python == Path("/env")
