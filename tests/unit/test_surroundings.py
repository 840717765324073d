"""Variables, a prefix and a network around a program: refused, recorded, and applied."""

import json
import os
import shlex
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.cli import main
from orchestrator.errors import ExitStatus, RequestError
from orchestrator.frameworks import catalogue
from orchestrator.paths import LAUNCHERS, PROJECT, RunFolder
from orchestrator.results.comparison import compare
from orchestrator.run import checks, planner, surroundings
from orchestrator.run.devices import Target
from orchestrator.run.hints import hints_of
from orchestrator.run.place import Needs, Place
from tests.support import stand_in

CONTAINER = Place(runtime="docker", reason="test", python="python3", image="i")
HOST = Place(runtime="host", reason="test", python="python3", code=PROJECT)
AROUND = {"env": {"A": "b c", "PYTHONPATH": "/mine"}, "prefix": "taskset -c 0", "network": "bridge"}


def plan(tmp_path, place=CONTAINER, **changes):
    asked = stand_in.request(options={}, **changes)
    framework = catalogue.framework("pytorch")
    return planner.make_plan(asked, framework, Target(device="cpu"), place, RunFolder(tmp_path))


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"env": {"A-B": "1"}}, "'A-B' is not a variable name; use letters"),
        ({"env": {"": "1"}}, "'' is not a variable name"),
        ({"env": {"CUDA_VISIBLE_DEVICES": "0"}}, "--gpus sets; use --gpus"),
        ({"env": {"NVIDIA_TF32_OVERRIDE": "1"}}, "--dtype sets; use --dtype"),
        ({"env": {"BENCHDOCK_EXECUTION": "1"}}, "names like this are reserved"),
        ({"env": {"UID": "1"}}, "bash has a read-only variable of that name"),
        ({"prefix": ""}, "--prefix is empty"),
        ({"prefix": "numactl '"}, "--prefix cannot be split into words: no closing quotation"),
        ({"prefix": "-a x"}, "--prefix starts with '-a'; start it with a command"),
        ({"prefix": "A=1 x"}, "--prefix starts with 'A=1'; use --env"),
        ({"network": "container:other"}, "--network cannot be 'container:other'"),
        ({"network": "a b"}, "`docker network ls`"),
    ],
)
def test_what_no_run_can_be_given_is_refused(changes, told):
    with pytest.raises(RequestError, match=told):
        surroundings.check(stand_in.request(**changes))
    with pytest.raises(RequestError, match=told):
        checks.framework_for(stand_in.request(options={}, **changes), "cpu")


def test_they_are_in_the_plan_and_its_script(tmp_path):
    made = plan(tmp_path, **AROUND)
    assert made.environment == AROUND["env"]
    assert (made.prefix, made.network) == (("taskset", "-c", "0"), "bridge")
    assert "\nexport A='b c'\n" in made.script
    assert "\nexec taskset -c 0 python3 -m backends.pytorch \\\n" in made.script
    # The launcher joins it with the folder of our programs.
    assert "export PYTHONPATH=/mine" not in made.script
    plain = plan(tmp_path)
    assert (plain.environment, plain.prefix, plain.network) == ({}, (), "none")
    assert "\nexec python3 -m backends.pytorch \\\n" in plain.script


def test_readonly_variables_of_bash_are_known():
    listed = subprocess.run(
        ["bash", "-c", "readonly -p"], capture_output=True, text=True, check=True
    ).stdout
    names = {line.split()[2].partition("=")[0] for line in listed.splitlines()}
    assert names
    for name in names:
        with pytest.raises(RequestError, match="read-only"):
            surroundings.check(stand_in.request(env={name: "1"}))


@pytest.mark.slow
@given(st.lists(st.text(st.characters(exclude_categories=("Cc", "Cs")), min_size=1), min_size=1))
def test_a_prefix_is_taken_apart_as_a_shell_would(words):
    written = shlex.join(["numactl", *words])
    assert surroundings.prefix_of(stand_in.request(prefix=written)) == ("numactl", *words)


def test_every_launcher_starts_its_program_behind_the_prefix():
    for file in sorted(LAUNCHERS.glob("*.sh.j2")):
        starts = [line for line in file.read_text().splitlines() if line.startswith("exec ")]
        assert all(line.startswith("exec >>") for line in starts), (
            f"{file.name}: write {{{{ exec }}}} in place of exec, so that --prefix applies"
        )


def test_numactl_gets_the_capability_that_binding_memory_needs(tmp_path):
    wrapped = "nice /usr/bin/numactl --membind=0"
    place = Place(**{**vars(CONTAINER), "needs": Needs(capabilities=("IPC_LOCK", "SYS_NICE"))})
    assert plan(tmp_path, prefix=wrapped).capabilities == ("SYS_NICE",)
    assert plan(tmp_path, place, prefix=wrapped).capabilities == ("IPC_LOCK", "SYS_NICE")
    assert plan(tmp_path, prefix="taskset -c 0").capabilities == ()
    assert plan(tmp_path, HOST, prefix=wrapped).capabilities == ()


def test_a_variable_for_threads_is_doubted(tmp_path):
    assert not any("--env" in text for text in plan(tmp_path, **AROUND).warnings)
    (doubt,) = plan(tmp_path, env={"OMP_NUM_THREADS": "1"}).warnings
    assert "--env OMP_NUM_THREADS overrides what --threads sets" in doubt


@pytest.mark.parametrize(
    ("place", "network", "isolated"),
    [(CONTAINER, None, True), (CONTAINER, "bridge", False), (HOST, None, False)],
)
def test_a_parser_knows_if_the_program_had_no_network(tmp_path, place, network, isolated):
    assert hints_of(plan(tmp_path, place, network=network)).isolated is isolated


def test_the_host_runtime_has_no_network_to_choose(capsys):
    words = ["run", "resnet18", "-f", "pytorch", "--runtime", "host", "--dry-run"]
    assert main([*words, "--network", "bridge"]) == ExitStatus.BAD_REQUEST
    assert "--network needs a container engine" in capsys.readouterr().err


@pytest.mark.slow
def test_a_run_has_them_keeps_them_and_is_replayed_with_them(tmp_path, capsys):
    with stand_in.home(tmp_path):
        first, folder = stand_in.run(env={"A": "b"}, prefix="env SEEN=yes")
        assert first.status == "ok"
        assert first.plan.prefix == ("env", "SEEN=yes")
        assert json.loads(folder.result.read_text())["request"]["env"] == {"A": "b"}
        assert main(["replay", first.run, "--json"]) == ExitStatus.OK
        again = json.loads(capsys.readouterr().out)
        assert again["changed"] == []
        assert again["result"]["plan"]["prefix"] == ["env", "SEEN=yes"]
        assert again["result"]["plan"]["environment"] == {"A": "b"}
        assert again["comparison"]["variables"] == []


@pytest.mark.slow
def test_a_comparison_names_them(tmp_path):
    with stand_in.home(tmp_path):
        a, b = stand_in.run()[0], stand_in.run(prefix="env", env={"A": "b"})[0]
    changes = {c.name: (c.before, c.after) for c in compare(a, b).variables}
    assert changes["prefix"] == ("none", "env")
    assert changes["variable A"] == ("-", "b")
    assert "launcher script" not in changes  # they explain it


def test_a_dry_run_shows_them(capsys):
    words = ["run", "resnet18", "-f", "pytorch", "--dry-run", "--runtime", "host"]
    words += ["--env", "A=b c", "--env", "B=", "--prefix", "numactl -C '0 1'"]
    assert main(words) == ExitStatus.OK
    shown = capsys.readouterr().out
    assert "\nprefix          numactl -C '0 1'\n" in shown
    assert "\nenvironment     A='b c', B=''\n" in shown


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--env", "A"], "'A' is not of the form KEY=VALUE"),
        (["--env", "A=1", "--env", "A=2"], "'A' is given twice"),
        (["--env", "A=\x1b"], "contains a control character"),
        (["--prefix", "a\nb"], "contains a control character"),
        (["--network", ""], "it is empty"),
    ],
)
def test_what_is_mistyped_is_reported_in_a_line(words, told, capsys):
    assert main(["run", "resnet18", "-f", "pytorch", "--dry-run", *words]) == ExitStatus.BAD_REQUEST
    (line,) = capsys.readouterr().err.splitlines()
    assert told in line


def made(*given, **environment):
    """Return the words of the command that `make bench` starts."""
    command = ["make", "-s", "-o", "setup", "bench", "BENCHDOCK=printf '%s\\n'", *given]
    done = subprocess.run(
        command,
        cwd=PROJECT,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.splitlines()


def test_make_hands_them_on():
    words = made("ENV=A=1 B=x'y", "PREFIX=numactl -C '0 1'", "NETWORK=bridge", "PYTHON=/opt/my env")
    assert [word for word in words if word.startswith("--")] == [
        "--framework=pytorch",
        "--prefix=numactl -C '0 1'",
        "--network=bridge",
        "--python=/opt/my env",
        "--env=A=1",
        "--env=B=x'y",
        "--",
    ]


def test_make_takes_no_variables_of_other_programs_for_them():
    assert made(ENV="/etc/rc", PREFIX="/usr", NETWORK="x", PYTHON="y") == made()
    assert made() == ["run", "--framework=pytorch", "--", "resnet50"]
