from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from orchestrator.machine import clock_reasons
from tests.nvml.stub import FIRST, ROOT, SECOND, TWO_GPUS, Stub

pytestmark = pytest.mark.skipif(
    shutil.which("cc") is None, reason="no C compiler to build the NVML stand-in with"
)

REPORT = """
import dataclasses, json
from orchestrator.machine import gpu
print(json.dumps(dataclasses.asdict(gpu.report())))
"""
PLACED = """
import dataclasses, json
from pathlib import Path
from orchestrator.machine import gpu, inventory
inventory.local_cpus.__defaults__ = (Path({root!r}),)
print(json.dumps([one.local_cpus for one in gpu.report().gpus]))
"""
SAMPLE = """
import dataclasses, json
from orchestrator.machine import gpu_sampler
from orchestrator.machine.gpu_facts import GpuGoneError
sampler = gpu_sampler.GpuSampler()
for uuid in {uuids!r}:
    try:
        found = {{**vars(sampler.pulse(uuid)()), **dataclasses.asdict(sampler.sample(uuid))}}
        found |= vars(sampler.health(uuid)) | {{"name": sampler.name(uuid)}}
        print(json.dumps(found | {{"errors": sampler.errors(uuid), "bus": sampler.bus_id(uuid)}}))
    except GpuGoneError as error:
        print(json.dumps({{"gone": str(error)}}))
sampler.close()
"""
SLICE = "MIG-99999999-2222-3333-4444-555555555555"
MIG = f"""\
0.mig=1
0.mig_count=7
0.mig1.uuid={SLICE}
0.mig1.name=NVIDIA H100 80GB HBM3 MIG 1g.10gb
0.mig1.memory_total=10000000000
0.mig1.memory_used=500
"""


@pytest.fixture(scope="module")
def stub(tmp_path_factory: pytest.TempPathFactory) -> Stub:
    return Stub.build(tmp_path_factory.mktemp("nvml"))


def report(stub: Stub, answers: str) -> dict[str, Any]:
    stub.answer(answers)
    return dict(json.loads(stub.python(REPORT)))


def samples(stub: Stub, answers: str, *uuids: str) -> list[dict[str, Any]]:
    stub.answer(answers)
    return [json.loads(line) for line in stub.python(SAMPLE.format(uuids=uuids)).splitlines()]


def test_two_gpus(stub: Stub) -> None:
    found = report(stub, TWO_GPUS)
    assert found["state"] == "ok"
    assert found["reason"] == "2 GPUs, driver 580.65.06"
    assert (found["driver"], found["cuda"]) == ("580.65.06", "13.0")
    assert [one["uuid"] for one in found["gpus"]] == [FIRST, SECOND]
    first = found["gpus"][0]
    assert first["name"] == "NVIDIA H100 80GB HBM3"
    assert first["memory_total"] == 85520809984
    assert first["compute_capability"] == "9.0"
    assert first["bus_id"] == "00000000:1B:00.0"
    assert first["power_limit"] == 700.0
    assert first["sm_clock_max"] == 1980
    assert first["ecc"] is True
    assert first["mig"] is False


def test_the_cpus_near_each_gpu_come_from_its_pci_address(stub: Stub, tmp_path: Path) -> None:
    for address, node in (("0000:1b:00.0", 0), ("0000:43:00.0", 1)):
        (tmp_path / "sys/bus/pci/devices" / address).mkdir(parents=True)
        (tmp_path / "sys/bus/pci/devices" / address / "numa_node").write_text(f"{node}\n")
        (tmp_path / f"sys/devices/system/node/node{node}").mkdir(parents=True)
    cpus = tmp_path / "sys/devices/system/node/node0/cpulist"
    cpus.write_text("0-9,20-29\n")
    stub.answer(TWO_GPUS)
    assert json.loads(stub.python(PLACED.format(root=str(tmp_path)))) == ["0-9,20-29", None]


def test_a_board_that_tells_little_is_still_a_gpu(stub: Stub) -> None:
    found = report(stub, f"count=1\n0.uuid={FIRST}\n0.name=NVIDIA GeForce GT 710\n")
    assert found["state"] == "ok"
    assert found["driver"] is None
    assert found["gpus"][0]["memory_total"] is None
    assert found["gpus"][0]["power_limit"] is None
    assert found["gpus"][0]["ecc"] is None


def test_mig_is_noted(stub: Stub) -> None:
    found = report(stub, TWO_GPUS + "1.mig=1\n")
    assert [one["mig"] for one in found["gpus"]] == [False, True]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("answers", "state", "words"),
    [
        ("init=!9\n", "not_loaded", "kernel module is not loaded"),
        ("init=!18\n", "mismatch", "different versions"),
        ("init=!4\n", "failed", "Insufficient Permissions"),
        ("init=!17\n", "failed", "NVML does not answer"),
        ("init=!999\n", "failed", "NVML does not answer"),
        ("driver=580.1\ncount=0\n", "no_gpu", "no usable GPU"),
    ],
)
def test_what_is_wrong_is_a_state_with_words(
    stub: Stub, answers: str, state: str, words: str
) -> None:
    found = report(stub, answers)
    assert found["state"] == state
    assert words in found["reason"]
    assert found["gpus"] == []
    assert found["hint"] or state == "no_gpu"


def test_no_library(tmp_path: Path) -> None:
    environment = {k: v for k, v in os.environ.items() if k != "LD_LIBRARY_PATH"}
    done = subprocess.run(
        [sys.executable, "-c", REPORT],
        env=environment | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    found = json.loads(done.stdout)
    if found["state"] != "no_library":
        pytest.skip("this machine has NVIDIA's library")
    assert found["reason"] == "no NVIDIA driver is installed"


@pytest.mark.parametrize("error", [15, 16, 999])
def test_a_lost_gpu_does_not_hide_the_other(stub: Stub, error: int) -> None:
    found = report(stub, TWO_GPUS + f"0.handle=!{error}\n")
    assert [one["index"] for one in found["gpus"]] == [1]
    assert "GPU 0 does not answer" in found["reason"]


def test_a_gpu_of_another_job_is_not_mentioned(stub: Stub) -> None:
    found = report(stub, TWO_GPUS + "0.handle=!4\n")
    assert [one["index"] for one in found["gpus"]] == [1]
    assert found["reason"] == "1 GPU, driver 580.65.06"


def test_what_a_sample_contains(stub: Stub) -> None:
    (found,) = samples(stub, TWO_GPUS, SECOND)
    expected = {
        "name": "gpu1",
        "bus": "0000:43:00",
        "utilisation": 0.97,
        "memory_used": 12884901888,
        "power": 351.234,
        "temperature": 64,
        "sm_clock": 1755,
        "energy": 123456.789,
        "reasons": ["power cap"],
        "counted": {},
        "power_limit": 700.0,
        "fabric": None,
        "errors": {},
    }
    assert expected.items() <= found.items()


def test_counters_and_power_come_from_fields(stub: Stub) -> None:
    fields = "0.field.186=222000\n0.field.83=5000\n0.field.74=2000000000\n0.field.271=5000000\n"
    (found,) = samples(stub, TWO_GPUS + fields + "0.violation.1=9\n", FIRST)
    assert (found["power"], found["energy"]) == (222.0, 5.0)
    assert found["counted"] == {"power cap": 2.0, "hardware power brake": 0.005}


def test_a_driver_before_575_counts_heat_in_one(stub: Stub) -> None:
    (found,) = samples(stub, TWO_GPUS + "0.field.74=0\n0.violation.1=3000000000\n", FIRST)
    assert found["counted"] == {"power cap": 0.0, clock_reasons.THERMAL: 3.0}


def test_the_health_of_a_board(stub: Stub) -> None:
    fields = "".join(f"0.field.{number}=1\n" for number in (3, 4, 31, 94, 142, 143, 144, 145, 230))
    more = "0.fabric=3\n0.fabric_health=1\n0.power_limit_default=750000\n0.pcie_width_max=16\n"
    (found,) = samples(stub, TWO_GPUS + fields + more, FIRST)
    expected = {
        "power_limit_default": 750.0,
        "pcie_width_max": 16,
        "pcie_generation_max": None,
        "pcie_replays": 1,
        "ecc_corrected": 1,
        "ecc_uncorrected": 1,
        "remapped_rows": 2,
        "remap_pending": True,
        "remap_failed": True,
        "pages_pending": True,
        "recovery": 1,
        "fabric": 3,
        "fabric_degraded": True,
    }
    assert expected.items() <= found.items()


ERRORS = """
import json
from orchestrator.machine import gpu_sampler
for error in {errors!r}:
    with open({answers!r} + ".new", "w") as file:
        file.write({text!r}.format(error=error))
    import os
    os.replace({answers!r} + ".new", {answers!r})
    sampler = gpu_sampler.GpuSampler()
    pulse, sample = sampler.pulse({uuid!r})(), sampler.sample({uuid!r})
    values = [pulse.power, pulse.energy, sample.utilisation, sample.temperature]
    print(json.dumps([error, values, sorted(sampler.errors({uuid!r}))]))
    sampler.close()
"""
PASSING = {6, 17, 27, 29, 999}


def test_an_error_of_a_metric_costs_only_that_metric(stub: Stub) -> None:
    """Those that may pass are counted; the others say that the board will never have it."""
    failing = "".join(
        f"0.{key}=!{{error}}\n" for key in ("power", "utilisation", "field.83", "energy")
    )
    code = ERRORS.format(
        errors=(2, 3, 4, 6, 13, 17, 25, 27, 29, 999),
        answers=str(stub.answers),
        text=TWO_GPUS + failing,
        uuid=FIRST,
    )
    lines = [json.loads(line) for line in stub.python(code).splitlines()]
    assert len(lines) == 10
    for error, values, failed in lines:
        assert values == [None, None, None, 64], error
        expected = ["energy", "field 83", "power", "utilisation"] if error in PASSING else []
        assert failed == expected, error


@pytest.mark.parametrize("error", [15, 16])
def test_a_lost_gpu_is_gone_and_the_other_is_not(stub: Stub, error: int) -> None:
    lost, other, unknown = samples(
        stub, TWO_GPUS + f"0.temperature=!{error}\n", FIRST, SECOND, "GPU-none"
    )
    assert lost["gone"]
    assert other["temperature"] == 64
    assert "Not Found" in unknown["gone"]


def test_a_lost_gpu_is_seen_in_a_field(stub: Stub) -> None:
    (found,) = samples(stub, TWO_GPUS + "0.field.74=!15\n", FIRST)
    assert "lost" in found["gone"]


def test_processes(stub: Stub) -> None:
    answers = "0.processes=4242:1073741824,4243:na\n0.graphics=77:1\n"
    found, other = samples(stub, TWO_GPUS + answers, FIRST, SECOND)
    assert [(one["pid"], one["memory"]) for one in found["processes"]] == [
        (4242, 1073741824),
        (4243, None),
        (77, 1),
    ]
    assert other["processes"] == []


def test_a_part_of_a_gpu(stub: Stub) -> None:
    first = report(stub, TWO_GPUS + MIG)["gpus"][0]
    assert [(one["index"], one["uuid"]) for one in first["slices"]] == [(1, SLICE)]
    assert first["slices"][0]["memory_total"] == 10**10
    (found,) = samples(stub, TWO_GPUS + MIG + "*.mig1.utilisation=!3\n", SLICE)
    # Load is not known of a part; power is that of the whole GPU.
    assert (found["name"], found["utilisation"], found["power"]) == ("gpu0:1", None, 351.234)
    assert (found["memory_used"], found["bus"]) == (500, "0000:1b:00")


def test_an_old_driver(tmp_path: Path) -> None:
    old = Stub.build(tmp_path, "-DOLD_DRIVER")
    answers = "missing=TemperatureV,FieldValues\n0.processes=7:5\n"
    (found,) = samples(old, TWO_GPUS + answers, FIRST)
    assert [(one["pid"], one["memory"]) for one in found["processes"]] == [(7, 5)]
    assert found["reasons"] == ["power cap"]
    assert (found["temperature"], found["power"]) == (64, 351.234)
    assert found["memory_used"] == 12884901888 + 633339904  # the old call counts the reserve


@pytest.mark.parametrize(
    ("bits", "words"),
    [
        (0, ()),
        (0x1 | 0x2 | 0x100, ("idle", "application clocks", "display clocks")),
        (0x4, ("power cap",)),
        (0x8, ("hardware slowdown",)),
        (0x8 | 0x40, ("hardware thermal slowdown",)),
        (0x8 | 0x80 | 0x20, ("software thermal slowdown", "hardware power brake")),
        (0x200 | 0x400, ("board limit", "reliability limit")),
        (1 << 40, ("reason 0x10000000000",)),
    ],
)
def test_the_reasons_of_a_clock(bits: int, words: tuple[str, ...]) -> None:
    assert clock_reasons.words(bits) == words


def test_every_reason_has_a_severity_and_unknown_ones_say_so() -> None:
    assert {clock_reasons.kind(one.word) for one in clock_reasons.KNOWN} == {
        *("idle", "setting", "normal", "protection")
    }
    assert clock_reasons.kind("power cap") == "normal"
    assert clock_reasons.kind("reason 0x800") == "unknown"
