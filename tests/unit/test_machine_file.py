"""Machine files: what `doctor --json` writes is what `run --dry-run --machine` plans for."""

import json
import re
import shutil
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.cli import main
from orchestrator.doctor import examination
from orchestrator.errors import EngineError, ExitStatus, RequestError
from orchestrator.machine import description, inventory
from orchestrator.machine.description import EngineFacts, Machine
from orchestrator.machine.gpu_facts import Gpu, GpuReport
from orchestrator.paths import PROJECT
from orchestrator.result import Environment, Result
from orchestrator.run import benchmark
from orchestrator.runtimes.docker.client import Engine
from tests.nvml.stub import Stub
from tests.support import stand_in

GIB = 2**30
RUN = ["run", "resnet50", "-f", "pytorch", "--dry-run"]


def machine(count=1, name="Tesla V100-SXM2-32GB", capability="7.0", driver="450.80.02", **changes):
    """Return a machine as a person would type it."""
    gpu = {"name": name, "compute_capability": capability, "memory_total": 32 * GIB}
    usual = {
        "hostname": "server",
        "cpu": {"usable": 80},
        "gpu": {"driver": driver, "gpus": [gpu] * count},
        "engine": {"name": "docker", "version": "20.10.7"},
    }
    return {"schema": 1, "machine": usual | changes}


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "server.json"

    def write(document):
        path.write_text(document if isinstance(document, str) else json.dumps(document))
        return str(path)

    return write


def planned(capsys, *words):
    assert main([*words, "--json"]) == ExitStatus.OK
    return json.loads(capsys.readouterr().out)


@pytest.mark.parametrize(
    ("count", "name", "capability", "driver"),
    [
        (8, "Tesla V100-SXM2-32GB", "7.0", "450.80.02"),
        (8, "NVIDIA A100-SXM4-80GB", "8.0", "525.85.12"),
        (8, "NVIDIA H200", "9.0", "570.86.15"),
        (1, "NVIDIA GeForce RTX 4090", "8.9", "535.54.03"),
    ],
)
def test_a_run_is_planned_for_the_machine_of_a_file(
    capsys, file, monkeypatch, count, name, capability, driver
):
    def unused(*_):
        raise AssertionError("this machine was looked at")

    monkeypatch.setattr("orchestrator.machine.gpu.report", unused)
    monkeypatch.setattr(Engine, "connect", unused)
    monkeypatch.setattr(inventory, "has_nvidia_device", unused)
    path = file(machine(count, name, capability, driver))
    told = planned(capsys, *RUN, "--gpus", "all", "--machine", path)
    plan = told["plan"]
    assert (told["status"], plan["device"], plan["device_count"]) == ("planned", "gpu", count)
    assert plan["gpus"] == [str(index) for index in range(count)]
    assert plan["runtime_reason"] == "an engine answers: docker 20.10.7"
    assert f"OMP_NUM_THREADS={80 // count} " in plan["script"]
    assert told["environment"]["gpu"]["driver"] == driver
    assert main([*RUN, "--gpus", "all", "--machine", path]) == ExitStatus.OK
    shown = capsys.readouterr().out
    words = f"server: {count} x {name}, driver {driver}, 80 CPUs, docker 20.10.7"
    assert shown.startswith(f"machine         {words}\n")


def test_the_first_gpu_is_taken_and_the_cpu_if_there_is_none(capsys, file):
    assert planned(capsys, *RUN, "--machine", file(machine(8)))["plan"]["gpus"] == ["0"]
    told = planned(capsys, *RUN, "--machine", file(machine(0)))
    assert (told["plan"]["device"], told["warnings"]) == ("cpu", [])
    assert "OMP_NUM_THREADS=80 " in told["plan"]["script"]
    silent = {"state": "not_loaded", "reason": "its module is not loaded", "hint": "modprobe"}
    told = planned(capsys, *RUN, "--machine", file(machine(gpu=silent)))
    assert "on the CPU, because no GPU can be used: its module" in told["warnings"][0]
    told = planned(capsys, *RUN, "--machine", file(machine(gpu={"on_bus": True})))
    assert "on the CPU, because no GPU can be used" in told["warnings"][0]


def test_uuids_of_a_file_are_those_of_the_plan(capsys, file):
    gpus = [{"name": "A", "uuid": "GPU-a", "index": 3}, {"name": "B", "uuid": "GPU-b", "index": 5}]
    path = file(machine(gpu={"driver": "570", "gpus": gpus}))
    assert planned(capsys, *RUN, "--gpus", "5", "--machine", path)["plan"]["gpus"] == ["GPU-b"]
    assert main([*RUN, "--gpus", "0", "--machine", path]) == ExitStatus.BAD_REQUEST
    assert "this machine has no GPU 0; it has 3, 5" in capsys.readouterr().err


def test_a_machine_without_engine_runs_on_the_host_and_one_without_toolkit_is_doubted(capsys, file):
    no_engine = machine(0, engine=None, no_engine="permission denied")
    plan = planned(capsys, *RUN, "--machine", file(no_engine))["plan"]
    assert (plan["runtime"], plan["runtime_reason"]) == ("host", "permission denied")
    path = file(no_engine)
    words = [*RUN, "--machine", path]
    assert main([*words, "--runtime", "docker"]) == ExitStatus.MACHINE_CANNOT
    assert "permission denied; use --runtime host" in capsys.readouterr().err
    assert main([*words, "--network", "bridge"]) == ExitStatus.BAD_REQUEST
    assert main([*words, "--image", "x/y:1"]) == ExitStatus.BAD_REQUEST
    plain = file(machine(engine={"name": "docker", "gpu_support": False}))
    told = planned(capsys, *RUN, "--machine", plain)
    assert any("cannot give containers access to GPUs" in text for text in told["warnings"])
    told = planned(capsys, *RUN, "--gpus", "none", "--machine", plain)
    assert told["warnings"] == []
    plan = planned(capsys, *RUN, "--image", "x/y:1", "--machine", plain)["plan"]
    assert (plan["image"], plan["image_id"]) == ("x/y:1", None)


def test_folders_of_another_machine_need_not_be_here(capsys, file, tmp_path):
    path = file(machine(8))
    told = planned(capsys, *RUN, "--data", "/nowhere/set", "--machine", path)
    assert told["warnings"][-1].startswith("--data /nowhere/set is not on this machine")
    words = ["run", "resnet50", "-f", "tf_cnn_benchmarks", "--dry-run", "--machine", path]
    told = planned(capsys, *words, "--source", "/nowhere/program")
    assert told["plan"]["source"] is None
    assert told["warnings"][-1].startswith("--source /nowhere/program is not on this machine")
    assert main([*RUN, "--data", str(tmp_path / "x")]) == ExitStatus.BAD_REQUEST
    (tmp_path / "empty").mkdir()
    assert main([*words, "--source", str(tmp_path / "empty")]) == ExitStatus.BAD_REQUEST


def test_the_file_of_the_documentation_is_one(capsys, file):
    text = (PROJECT / "docs/machines.md").read_text()
    (typed,) = re.findall(r'(?m)^    (\{"schema"(?:.*\n)+?)\n', text)
    told = planned(capsys, *RUN, "--gpus", "all", "--machine", file(typed))
    assert told["plan"]["device_count"] == 2


def test_nothing_is_started_on_another_machine(capsys, file):
    words = [word for word in RUN if word != "--dry-run"]
    assert main([*words, "--machine", file(machine())]) == ExitStatus.BAD_REQUEST
    (line,) = capsys.readouterr().err.splitlines()
    assert line.endswith("nothing can be started on another machine; add --dry-run")


def broken(path, value):
    document = machine(2)
    *folders, last = path
    place = document
    for key in folders:
        place = place[key]
    place[last] = value
    return document


GPUS = ("machine", "gpu", "gpus")


@pytest.mark.parametrize(
    ("document", "told"),
    [
        ("", "Invalid JSON"),
        ("[]", "it should be an object"),
        ({"schema": 1, "can_run": True}, "machine: it is missing"),
        (broken(("schema",), 9), "it was written by another version of benchdock"),
        (broken(("machine", "cpu"), {}), "machine.cpu.usable: it is missing"),
        (broken(("machine", "cpu"), {"usable": 0}), "machine.cpu.usable: it should be greater"),
        (broken(("machine", "cpus"), 8), "machine.cpus: unknown key, did you mean 'cpu'?"),
        (broken((*GPUS, 1), {"nmae": "A"}), "gpus.1.nmae: unknown key, did you mean 'name'?"),
        (broken(("machine", "gpus"), []), "machine.gpus: this key belongs elsewhere in the record"),
        (broken((*GPUS, 1), {"uuid": "A"}), "machine.gpu.gpus.1.name: it is missing"),
        (broken((*GPUS, 1), "A100"), "machine.gpu.gpus.1: it should be an object"),
        (broken(GPUS, 8), "machine.gpu.gpus: it should be a valid"),
        (broken((*GPUS, 1), {"name": "A", "index": 0}), "gpus.1 has the same index or uuid"),
        (broken(GPUS, [{"name": "A", "uuid": "GPU-a"}] * 2), "gpus.1 has the same index or uuid"),
        (
            broken((*GPUS, 1), {"name": "A", "compute_capability": "sm_70"}),
            "gpus.1.compute_capability is not valid",
        ),
        (broken(("machine", "gpu", "driver"), "R450"), "gpu.driver is not a version"),
        (broken(("machine", "engine"), "docker"), "machine.engine: it should be"),
        (broken(("machine", "\x1b[2J"), "x"), "unknown key"),
    ],
)
def test_a_malformed_file_is_reported_in_one_line(capsys, file, document, told):
    path = file(document)
    assert main([*RUN, "--machine", path]) == ExitStatus.BAD_REQUEST
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"benchdock: cannot read {path}: ")
    assert told in line
    assert line.endswith("; run `benchdock doctor --json` on that machine to write one")
    assert line.isprintable()


def test_a_file_that_is_not_there_is_reported_in_one_line(capsys, tmp_path):
    assert main([*RUN, "--machine", str(tmp_path / "x.json")]) == ExitStatus.BAD_REQUEST
    (line,) = capsys.readouterr().err.splitlines()
    assert "x.json: No such file" in line


PLAIN = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()
JSON = PLAIN | st.lists(PLAIN, max_size=3) | st.dictionaries(st.text(), PLAIN, max_size=3)
PLACES = [
    ("machine",),
    ("machine", "cpu"),
    ("machine", "cpu", "usable"),
    ("machine", "gpu"),
    GPUS,
    (*GPUS, 1),
    (*GPUS, 1, "index"),
    (*GPUS, 1, "compute_capability"),
    ("machine", "engine"),
    ("machine", "hostname"),
]


@pytest.mark.slow
@given(st.sampled_from(PLACES), JSON)
def test_whatever_a_file_holds_is_read_or_refused(tmp_path_factory, place, value):
    path = tmp_path_factory.mktemp("file") / "m.json"
    path.write_text(json.dumps(broken(place, value)))
    with suppress(RequestError):
        found = description.read(path)
        assert isinstance(found, Machine)
        assert str(found)


def test_a_dry_run_for_this_machines_own_file_is_this_machines_dry_run(capsys, file, monkeypatch):
    def refuse():
        raise EngineError("no engine")

    monkeypatch.setattr(Engine, "connect", refuse)
    here = planned(capsys, *RUN)
    assert main(["doctor", "--json"]) == ExitStatus.OK
    there = planned(capsys, *RUN, "--machine", file(capsys.readouterr().out))
    assert there["plan"] == here["plan"]


def test_a_described_machine_survives_the_file(file):
    report = GpuReport(
        state="ok",
        reason="1 GPU, driver 570",
        gpus=(Gpu(index=2, uuid="GPU-x", name="H200", mig=True, memory_total=140 * GIB),),
        driver="570",
        cuda="12.8",
    )
    engine = EngineFacts(name="docker", version="28.2", gpu_support=True)
    found = description.of_this_machine(report, engine)
    examined = examination.Examination(findings=(), machine=found)
    path = Path(file(examination.machine_file(examined).model_dump_json(by_alias=True)))
    assert description.read(path) == found
    assert found.cpu.usable == inventory.usable_cpus()


SERVER = """\
driver=450.80.02
cuda=11000
count=8
*.name=Tesla V100-SXM2-32GB
*.capability=7.0
*.memory_total=34089730048
*.memory_used=0
*.memory_reserved=0
*.mig=!3
"""


@pytest.mark.slow
def test_doctor_on_a_server_writes_what_a_laptop_plans_for(capsys, file, tmp_path):
    if shutil.which("cc") is None:
        pytest.skip("no C compiler for the stand-in of NVML")
    stub = Stub.build(tmp_path)
    uuids = [f"GPU-{index}" for index in range(8)]
    stub.answer(SERVER + "".join(f"{i}.uuid={uuid}\n" for i, uuid in enumerate(uuids)))
    code = 'from orchestrator.cli import main; main(["doctor", "--json"])'
    document = json.loads(stub.python(code))
    document["machine"]["engine"] = {"name": "docker", "version": "20.10.7"}
    told = planned(capsys, *RUN, "--gpus", "all", "--machine", file(document))
    assert told["plan"]["gpus"] == uuids
    gpu = told["environment"]["gpu"]
    assert (gpu["driver"], gpu["cuda"]) == ("450.80.02", "11.0")
    assert {one["compute_capability"] for one in gpu["gpus"]} == {"7.0"}
    assert {one["memory_total"] for one in gpu["gpus"]} == {34089730048}


def test_a_planned_result_of_another_machine_is_a_result(capsys, file):
    told = planned(capsys, *RUN, "--machine", file(machine(8)))
    assert Result.model_validate(told).plan.device == "gpu"


def test_a_plan_for_this_machine_describes_no_other():
    assert benchmark.dry_run(stand_in.request(options={})).environment == Environment()
