"""The command lines of podman, Apptainer and pyxis, and runs by programs that behave like them."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.cli import main
from orchestrator.doctor.programs import program_findings
from orchestrator.errors import EngineError, ExitStatus, MachineError, RequestError
from orchestrator.machine.processes import Owner
from orchestrator.paths import PROJECT, RunFolder, runs
from orchestrator.plan import Lack, Limits, Mount, Plan, Ulimit
from orchestrator.request import Request, RuntimeChoice
from orchestrator.run import benchmark, runtime_choice, trust
from orchestrator.run.decision import decide
from orchestrator.run.facts import ThisMachine
from orchestrator.runtimes.by_command import finding, lacking, references, runtime
from orchestrator.runtimes.by_command.containers import Podman
from orchestrator.runtimes.by_command.platforms import PLATFORMS, ContainerProgram
from orchestrator.runtimes.by_command.rendering import rendered
from orchestrator.runtimes.docker import reaper
from tests.fakes import FakeEngine
from tests.support.container_programs import INFO, Programs
from tests.support.stand_in import View
from tests.support.waiting import wait_for

GOLDEN = Path(__file__).parents[1] / "golden" / "commands"
GPU = "GPU-11111111-2222-3333-4444-555555555555"
IMAGE = {"Id": "ab" * 32, "RepoDigests": [], "Labels": {}, "Size": 5, "Config": {}}
NAMES = tuple(PLATFORMS)
WAYS = {
    "podman": "me/mine:1",
    "apptainer": "me/mine:1",
    "srun": "registry.example:5000/me/mine:1",
}


@pytest.fixture
def programs(tmp_path, monkeypatch):
    """Put all three on PATH, inside an allocation, with one image in podman's store."""
    folder = tmp_path / "programs"
    folder.mkdir()
    monkeypatch.setenv("BENCHDOCK_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/no.sock")
    for name in [one for one in os.environ if one.startswith("SLURM")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("SLURM_JOB_ID", "7")
    monkeypatch.setenv("SLURMD_NODENAME", "n1")
    monkeypatch.setenv("SLURM_CPUS_ON_NODE", "8")
    found = Programs(folder, monkeypatch, *NAMES)
    found.change(images={"me/mine:1": IMAGE})
    return found


def program(name: str, **changes: Any) -> ContainerProgram:
    platform = PLATFORMS[name]
    usual = ContainerProgram(platform=platform, version="4.3.1", lacks=platform.lacks)
    return replace(usual, **changes)


def plan(name: str, *, gpus: tuple[str, ...] = (), **changes: Any) -> Plan:
    usual: dict[str, Any] = {
        "model": "alexnet",
        "framework": "pytorch",
        "program": "benchdock",
        "phase": "training",
        "dtype": "float32",
        "batch": 1,
        "device": "gpu" if gpus else "cpu",
        "gpus": gpus,
        "steps": 1,
        "warmup": 0,
        "runtime": name,
        "runtime_reason": "asked for",
        "image": "nvcr.io/nvidia/pytorch:24.06-py3",
        "argv": ("bash", "/benchdock/run/launcher.sh"),
        "environment": {"NCCL_DEBUG": "INFO"},
        "mounts": (
            Mount(source=Path("/home/a/launcher.sh"), target="/benchdock/run/launcher.sh"),
            Mount(source=Path("/home/a/out"), target="/benchdock/run/out", read_only=False),
        ),
        "lacks": program(name).ordered_lacks,
        "network": "host" if PLATFORMS[name].lacks else "none",
        "capabilities": ("SYS_NICE",),
        "limits": Limits(
            memory=2**30,
            pids=512,
            shm_size=2**30,
            ulimits=(Ulimit(name="stack", soft=67108864, hard=67108864),),
        ),
        "script": "true",
    }
    return Plan(**usual | changes)


@pytest.mark.parametrize("device", ["cpu", "gpu"])
@pytest.mark.parametrize("name", NAMES)
def test_golden(name: str, device: str) -> None:
    gpus = (GPU,) if device == "gpu" else ()
    where = program(name, node="n1", cpus="8", can_init=True)
    found = rendered(plan(name, gpus=gpus), where, name="benchdock-r", labels={"a": "b"})
    lines = [f"{key}={text}" for key, text in sorted(found.environment.items())]
    text = "\n".join([*lines, *map(shlex.quote, found.argv)]) + "\n"
    golden = GOLDEN / f"{name}-{device}.txt"
    if os.environ.get("BENCHDOCK_UPDATE_GOLDEN"):
        golden.write_text(text, encoding="utf-8")
    assert text == golden.read_text(encoding="utf-8"), "BENCHDOCK_UPDATE_GOLDEN=1 rewrites it"


def test_rootless_podman_maps_the_caller_to_root() -> None:
    mine = f"{os.getuid()}:{os.getgid()}"
    words = rendered(plan("podman", user=mine), program("podman", rootless=True)).argv
    assert "--user=0:0" in words
    words = rendered(plan("podman", user="65534:65534"), program("podman")).argv
    assert "--user=65534:65534" in words


def test_a_limit_that_podman_lacks_is_not_asked_of_it() -> None:
    found = plan("podman", lacks=("memory", "pids"))
    words = rendered(found, program("podman", rootless=True)).argv
    assert not [word for word in words if word.startswith(("--memory", "--pids"))]


def test_an_old_podman_is_not_trusted_with_gpus() -> None:
    with pytest.raises(MachineError, match=r"podman 4\.0\.2 cannot give .*update it to 4\.1"):
        rendered(plan("podman", gpus=(GPU,)), program("podman", version="4.0.2"))


@pytest.mark.parametrize(
    ("name", "path"), [("podman", "a,b"), ("apptainer", 'a"b'), ("srun", "a:b")]
)
def test_a_path_that_a_platform_would_split_is_refused(name: str, path: str) -> None:
    mount = Mount(source=Path("/data") / path, target="/benchdock/data")
    with pytest.raises(MachineError, match="separates the parts of a mount; rename"):
        rendered(plan(name, mounts=(mount,)), program(name))


@pytest.mark.parametrize(
    ("text", "name", "expected"),
    [
        ("a/b:1", "podman", "a/b:1"),
        ("a/b:1", "apptainer", "docker://a/b:1"),
        ("a/b:1", "srun", "a/b:1"),
        ("nvcr.io/a/b:1", "srun", "nvcr.io#a/b:1"),
        ("localhost/a:1", "srun", "localhost#a:1"),
        ("host:5000/a/b:1", "srun", "host:5000#a/b:1"),
        ("nvcr.io#a/b:1", "srun", "nvcr.io#a/b:1"),
        ("oras://host/a:1", "apptainer", "oras://host/a:1"),
        ("/images/a.sqsh", "srun", "/images/a.sqsh"),
        ("/images/a.sif", "apptainer", "/images/a.sif"),
    ],
)
def test_names_of_images(text: str, name: Any, expected: str) -> None:
    assert references.written(text, name) == expected


@pytest.mark.parametrize(
    ("text", "name", "told"),
    [
        ("nvcr.io#a/b:1", "podman", "--image nvcr.io/a/b:1"),
        ("docker://nvcr.io/a/b:1", "podman", "--image nvcr.io/a/b:1"),
        ("nvcr.io#a/b:1", "apptainer", "--image nvcr.io/a/b:1"),
        ("docker://nvcr.io/a/b:1", "srun", "--image nvcr.io/a/b:1"),
        ("a.sif", "srun", "images export IMAGE --format sqsh"),
        ("a.sqsh", "apptainer", r"apptainer build FILE\.sif"),
        ("a.sqsh", "podman", "podman load"),
    ],
)
def test_a_name_that_another_platform_writes_is_refused(text: str, name: Any, told: str) -> None:
    with pytest.raises(RequestError, match=told):
        references.written(text, name)


PART = st.from_regex(r"[a-z0-9]+(-[a-z0-9]+)?", fullmatch=True)


@given(
    st.sampled_from(["", "nvcr.io/", "localhost/", "host:5000/"]),
    st.lists(PART, min_size=1, max_size=3),
    PART,
)
def test_a_reference_survives_the_way_there_and_back(registry, parts, tag) -> None:
    text = f"{registry}{'/'.join(parts)}:{tag}"
    assert references.plain(references.written(text, "srun")) == text
    assert references.plain(references.written(text, "apptainer")) == text
    assert references.written(text, "podman") == text


def request(name: str, script: str = "echo rate 12.5", **changes: Any) -> Request:
    usual: dict[str, Any] = {
        "model": "mine",
        "framework": "custom",
        "command": f"bash -c {shlex.quote(script)}",
        "pattern": r"rate ([0-9.]+)",
        "gpus": "none",
        "batch": 1,
        "steps": 1,
        "image": WAYS[name],
        "runtime": RuntimeChoice(name),
    }
    return Request(**usual | changes)


def codes(result: Any) -> set[tuple[str, str]]:
    return {(one.code, one.level) for one in result.verdict.reasons}


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.slow
def test_a_run(name: str, programs: Programs) -> None:
    view = View()
    result, status = benchmark.run(request(name), view)
    assert (result.failure, status) == (None, ExitStatus.OK)
    assert result.metrics["throughput"].value == 12.5
    assert result.plan is not None
    assert (result.plan.runtime, result.plan.image) == (name, WAYS[name])
    folder = RunFolder(runs() / str(result.run))
    assert folder.log.read_text() == "rate 12.5\n"
    assert programs.containers == []
    assert list((runs().parent / "host").iterdir()) == []
    less = ("isolation", "note") in codes(result)
    assert less == (name != "podman")
    assert any("network" in text for text in result.notes) == less


@pytest.mark.slow
def test_podman_runs_the_image_that_was_looked_at(programs: Programs) -> None:
    result, _ = benchmark.run(request("podman"), View())
    assert result.plan is not None
    assert result.plan.image_id == f"sha256:{IMAGE['Id']}"
    assert IMAGE["Id"] in programs.ran
    assert "--pull=never" in programs.ran


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.slow
def test_a_limit_that_is_not_applied_is_a_reason_to_doubt(name: str, programs: Programs) -> None:
    result, _ = benchmark.run(request(name, memory=2**30, pids=100), View())
    assert ("limit_missed", "suspect") in codes(result)
    assert [text for text in result.notes if "--memory (1.000 GiB) was not applied" in text]
    assert [text for text in result.notes if "--pids (100) was not applied" in text]


@pytest.mark.slow
def test_podman_with_the_controllers_of_cgroups_limits(programs: Programs) -> None:
    host = {**INFO["host"], "cgroupVersion": "v2", "cgroupControllers": ["cpu", "memory", "pids"]}
    programs.change(info={**INFO, "host": host})
    result, _ = benchmark.run(request("podman", memory=2**30, pids=100), View())
    assert ("limit_missed", "suspect") not in codes(result)
    assert {f"--memory={2**30}b", "--pids-limit=100"} <= set(programs.ran)


@pytest.mark.slow
def test_a_program_that_fails_is_no_fault_of_the_platform(programs: Programs) -> None:
    for name in NAMES:
        result, status = benchmark.run(request(name, "echo oh no; exit 5"), View())
        assert result.failure is not None
        assert (result.failure.kind, result.exit_code) == ("crashed", 5)
        assert status is ExitStatus.BENCHMARK_FAILED


@pytest.mark.parametrize(
    ("name", "said", "kind", "message"),
    [
        (
            "podman",
            "setting up CDI devices: unresolvable CDI devices nvidia.com/gpu=x",
            "engine",
            "does not know the device nvidia.com/gpu=x",
        ),
        ("podman", "some new trouble", "engine", "some new trouble"),
        ("podman", "runc: error setting rlimit type 8", "engine", "set default_ulimits"),
        ("podman", "me/mine:1: image not known", "image", "podman has no image me/mine:1"),
        ("apptainer", "could not open image /a.sif: not here", "image", "could not open image"),
        ("apptainer", "no space for session directory", "engine", "no space for session"),
        (
            "srun",
            "pyxis: failed to import docker image: me/mine\ncurl: (6) Could not resolve host: x",
            "image",
            "cannot import the image .*Could not resolve host: x",
        ),
        (
            "srun",
            "slurmstepd: error: execve(): bash: No such file or directory",
            "image",
            "has no bash",
        ),
        ("srun", "pyxis: failed to start container", "engine", "failed to start container"),
        ("srun", "srun: error: Unable to create step: x", "engine", "Unable to create step"),
    ],
)
@pytest.mark.slow
def test_what_a_platform_refuses(name, said, kind, message, programs: Programs) -> None:
    programs.change(refusal=said)
    result, status = benchmark.run(request(name), View())
    assert result.failure is not None
    assert result.failure.kind == kind
    assert re.search(message, result.failure.message)
    assert "\n" not in result.failure.message
    assert status is ExitStatus.MACHINE_CANNOT


@pytest.mark.parametrize("name", ["apptainer", "srun"])
@pytest.mark.slow
def test_an_image_file(name: str, programs: Programs, tmp_path: Path) -> None:
    suffix = {"apptainer": "sif", "srun": "sqsh"}[name]
    file = tmp_path / f"mine.{suffix}"
    asked = request(name, image=str(file))
    result, status = benchmark.run(asked, View())
    assert result.failure is not None
    assert (result.failure.kind, status) == ("image", ExitStatus.MACHINE_CANNOT)
    assert f"the image file {file} is not on this machine; copy it" in result.failure.message
    file.write_bytes(b"an image")
    result, _ = benchmark.run(asked, View())
    assert result.failure is None
    assert result.plan is not None
    first = result.plan.image_id
    assert first is not None
    assert first.startswith("sha256:")
    file.write_bytes(b"another image")
    result, _ = benchmark.run(asked, View())
    assert result.plan is not None
    assert result.plan.image_id != first


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("podman", "podman has no image benchdock/pytorch-cpu:.*docker save .* | podman load"),
        ("apptainer", "must be a file; run `benchdock images export .*oci` and `apptainer build"),
        ("srun", "must be a file; run `benchdock images export pytorch-cpu --format sqsh`"),
    ],
)
@pytest.mark.slow
def test_an_image_of_ours_that_is_not_there(name: str, told: str, programs: Programs) -> None:
    asked = Request(
        model="deep_mnist", framework="pytorch", gpus="none", runtime=RuntimeChoice(name)
    )
    result, status = benchmark.run(asked, View())
    assert result.failure is not None
    assert (result.failure.kind, status) == ("image", ExitStatus.MACHINE_CANNOT)
    assert re.search(told, result.failure.message)


@pytest.mark.slow
def test_podman_pulls_what_it_does_not_have(programs: Programs) -> None:
    programs.change(images={}, registry={"me/mine:1": IMAGE})
    result, _ = benchmark.run(request("podman"), View())
    assert result.failure is None
    programs.change(images={}, registry={})
    result, _ = benchmark.run(request("podman"), View())
    assert result.failure is not None
    assert result.failure.kind == "image"
    assert "cannot pull me/mine:1: initializing source" in result.failure.message


@pytest.mark.parametrize("name", NAMES)
def test_a_missing_mount_source(name: str, programs: Programs, tmp_path: Path) -> None:
    found = plan(name, image="me/mine:1", gpus=())
    mounts = (Mount(source=tmp_path / "nothing", target="/benchdock/data"),)
    found = found.model_copy(update={"mounts": mounts})
    started = runtime.CommandLineRuntime(finding.look(name)).start(found, run_id="r")
    with pytest.raises(MachineError, match=r"nothing does not exist"), started:
        pass


@pytest.mark.parametrize("name", NAMES)
def test_a_program_that_is_not_installed(name: str, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(
        MachineError, match=f"{name} is not on PATH, which --runtime {name} needs; "
    ):
        finding.look(name)


def test_srun_without_pyxis(programs: Programs) -> None:
    programs.change(pyxis=False)
    with pytest.raises(MachineError, match=r"srun of Slurm 22\.05\.8 has no --container-image"):
        finding.look("srun")


@pytest.mark.slow
def test_srun_outside_of_an_allocation(programs: Programs, monkeypatch) -> None:
    monkeypatch.delenv("SLURMD_NODENAME")
    result, status = benchmark.run(request("srun"), View())
    assert result.failure is not None
    assert "works on a node of an allocation" in result.failure.message
    assert status is ExitStatus.MACHINE_CANNOT


def test_a_podman_that_does_not_work(programs: Programs) -> None:
    programs.change(info="nonsense")
    with pytest.raises(EngineError, match=r"podman does not work here: .*`podman info`"):
        finding.look("podman")


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.slow
def test_it_is_stopped(name: str, programs: Programs) -> None:
    asked = request(name, "echo started; sleep 60")
    timed = asked.model_copy(update={"timeout": 1.5})
    began = time.monotonic()
    result, _ = benchmark.run(timed, View())
    assert result.failure is not None
    assert result.failure.kind == "timeout"
    assert time.monotonic() - began < 20
    assert programs.containers == []


@pytest.mark.slow
def test_podman_containers_of_killed_runs_are_removed(programs: Programs) -> None:
    here = Owner.here()
    gone = {**here.labels(), "benchdock.pid": "999999", reaper.LABEL_RUN: "old"}
    mine = {**here.labels(), reaper.LABEL_RUN: "other"}
    rows = [
        {"Id": "1", "Names": ["benchdock-old"], "Labels": gone, "State": "exited"},
        {"Id": "2", "Names": ["benchdock-other"], "Labels": mine, "State": "running"},
    ]
    programs.change(containers=rows)
    (left,) = [one for one in program_findings() if one.name == "leftovers"]
    assert left.remedy == "podman rm -f benchdock-old"
    view = View()
    benchmark.run(request("podman"), view)
    assert [one["Id"] for one in programs.containers] == ["2"]
    assert "removed leftovers of a killed benchdock: benchdock-old" in view.notes


@pytest.mark.slow
def test_a_container_can_be_kept(programs: Programs, monkeypatch) -> None:
    monkeypatch.setenv("BENCHDOCK_KEEP_CONTAINER", "1")
    result, _ = benchmark.run(request("podman"), View())
    (left,) = programs.containers
    assert left["Labels"][reaper.LABEL_KEEP] == "1"
    assert any(f"podman rm -f {left['Names'][0]}" in text for text in result.warnings)


@pytest.mark.slow
def test_what_a_container_of_srun_gets_of_the_environment(programs: Programs, monkeypatch) -> None:
    monkeypatch.setenv("MY_TOKEN", "secret")
    monkeypatch.setenv("LD_LIBRARY_PATH", "/host/lib")
    benchmark.run(request("srun"), View())
    assert not {"MY_TOKEN", "LD_LIBRARY_PATH"} & set(programs.environment)
    assert programs.environment["SLURM_JOB_ID"] == "7"


@pytest.mark.slow
def test_apptainer_gets_variables_only_from_benchdock(programs: Programs, monkeypatch) -> None:
    monkeypatch.setenv("APPTAINERENV_LEFT", "over")
    benchmark.run(request("apptainer", env={"A": "x,y"}), View())
    assert programs.environment["APPTAINERENV_A"] == "x,y"
    assert "APPTAINERENV_LEFT" not in programs.environment


def test_ulimits_above_those_of_the_caller_are_dropped(monkeypatch) -> None:
    monkeypatch.setattr(runtime.resource, "getrlimit", lambda _: (1024, 4096))
    wanted = tuple(
        Ulimit(name=name, soft=hard, hard=hard)
        for name, hard in (("memlock", -1), ("stack", 8192), ("nofile", 4096), ("nosuch", 1))
    )
    found = plan("podman", limits=Limits(ulimits=wanted))
    kept, notes = runtime._affordable(found, program("podman", rootless=True))
    assert [one.name for one in kept.limits.ulimits] == ["nofile", "nosuch"]
    assert len(notes) == 2
    assert runtime._affordable(found, program("podman")) == (found, ())


@pytest.mark.parametrize(
    ("name", "changes", "told"),
    [
        ("apptainer", {"network": "bridge"}, "--network does not work with --runtime apptainer"),
        ("srun", {"as_root": True}, "--as-root does not work with --runtime srun"),
        ("podman", {"python": Path("/usr/bin/python3")}, "--runtime podman runs in a container"),
    ],
)
def test_what_has_no_meaning_there_is_refused(name, changes, told, programs: Programs) -> None:
    asked = request(name).model_copy(update=changes)
    with pytest.raises(RequestError, match=told):
        runtime_choice.choose(asked, ThisMachine())


@pytest.mark.slow
def test_a_dry_run_shows_the_command(programs: Programs, capsys) -> None:
    words = ["run", "mine", "-f", "custom", "--command", "true", "--gpus", "none", "--dry-run"]
    words += ["--pattern", "(.+)"]
    for name in NAMES:
        assert main([*words, "--runtime", name, "--image", WAYS[name]]) == 0
        out = capsys.readouterr().out
        (line,) = [one for one in out.splitlines() if one.startswith("started by")]
        assert f"/{name} " in line
        assert "launcher.sh" in line
    assert programs.ran == []


def test_podman_by_its_api_from_5_4_on(programs: Programs, tmp_path: Path) -> None:
    with FakeEngine(tmp_path) as engine:
        host = {
            **INFO["host"],
            "remoteSocket": {"path": engine.address.removeprefix("unix://"), "exists": True},
        }
        told = {"host": host, "version": {"Version": "5.4.0"}}
        programs.change(info=told)
        decision = decide(request("podman"), ThisMachine())
        assert decision.engine is not None
        assert (decision.program, decision.runtime) == (None, "podman")
        assert decision.reason == "asked for: podman 5.4.0, by its API"
        programs.change(info={**told, "version": {"Version": "4.3.1"}})
        decision = decide(request("podman"), ThisMachine())
        assert decision.engine is None
        assert decision.program is not None


def test_the_doctor_says_which_are_there(programs: Programs, monkeypatch, tmp_path) -> None:
    found = {one.name: one for one in program_findings()}
    assert "podman 4.3.1, rootless" in found["runtime podman"].detail
    assert "no --memory" in found["runtime podman"].detail
    assert "no network none" in found["runtime srun"].detail
    monkeypatch.setenv("PATH", str(tmp_path))
    (absent,) = program_findings()
    assert absent.state == "ok"
    assert "podman, apptainer, srun" in absent.detail


def test_the_doctor_warns_of_storage_that_copies(programs: Programs) -> None:
    programs.change(info={**INFO, "store": {"graphDriverName": "vfs"}})
    found = {one.name: one for one in program_findings()}
    assert found["podman's storage"].state == "warning"
    programs.change(info={**INFO, "store": {"graphDriverName": "overlay"}})
    assert "podman's storage" not in {one.name for one in program_findings()}


@pytest.mark.parametrize("name", NAMES)
def test_a_stranger_may_not_choose_a_less_isolated_container(name: str) -> None:
    (told,) = [text for text in trust.asks(request(name)) if "container" in text] or [""]
    assert bool(told) == (name != "podman")


def test_every_lack_has_words() -> None:
    lacks: tuple[Lack, ...] = program("srun").ordered_lacks
    found = list(lacking.notes(plan("srun", lacks=lacks)))
    assert len(found) == len(lacks)
    assert not list(lacking.notes(plan("podman", lacks=())))


def test_a_client_that_does_not_end_is_given_up(monkeypatch, tmp_path) -> None:
    slow = tmp_path / "podman"
    slow.write_text("#!/bin/sh\nexec sleep 30\n")
    slow.chmod(0o755)
    with pytest.raises(EngineError, match="`podman info` does not end within"):
        finding.run((str(slow), "info"), patience=0.2)


@pytest.mark.parametrize("answer", ["nonsense", "{}", '["x"]', '[{"Names": []}]'])
def test_an_answer_that_is_not_podmans(answer: str, tmp_path: Path) -> None:
    odd = tmp_path / "podman"
    odd.write_text(f"#!/bin/sh\necho {shlex.quote(answer)}\n")
    odd.chmod(0o755)
    podman = Podman(ContainerProgram(platform=PLATFORMS["podman"], path=str(odd)))
    with pytest.raises(EngineError):
        podman.our_containers()
    with pytest.raises(EngineError):
        podman.image("x")


@pytest.mark.slow
def test_a_killed_benchdock_leaves_nothing_running(programs: Programs, tmp_path: Path) -> None:
    """The keeper ends the client, and with podman the container's processes, its descendants."""
    marker = tmp_path / "pid"
    asked = request("podman", f"echo $$ > {marker}; sleep 60")
    words = ["run", "mine", "-f", "custom", "--command", str(asked.command), "--gpus", "none"]
    words += ["--runtime", "podman", "--image", WAYS["podman"], "--quiet"]
    words += ["--pattern", "(.+)"]
    process = subprocess.Popen([sys.executable, "-m", "orchestrator", *words], cwd=PROJECT)
    wait_for(lambda: marker.exists() and bool(marker.read_text().strip()))
    inner = int(marker.read_text())
    process.kill()
    process.wait()
    wait_for(lambda: not Path(f"/proc/{inner}").exists())
    assert len(programs.containers) == 1
    view = View()
    benchmark.run(request("podman"), view)
    assert programs.containers == []
    assert any("removed leftovers" in text for text in view.notes)
