from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from orchestrator.machine.gpu import throttle_words
from tests.nvml.stub import FIRST, ROOT, SECOND, TWO_GPUS, Stub

pytestmark = pytest.mark.skipif(
    shutil.which("cc") is None, reason="no C compiler to build the NVML stand-in with"
)

REPORT = """
import dataclasses, json
from orchestrator.machine import gpu
print(json.dumps(dataclasses.asdict(gpu.report())))
"""
SAMPLE = """
import dataclasses, json, sys
from orchestrator.machine import gpu
sampler = gpu.GpuSampler()
for uuid in sys.argv[1:] or {uuids!r}:
    try:
        print(json.dumps(dataclasses.asdict(sampler.sample(uuid))))
    except gpu.GpuGoneError as error:
        print(json.dumps({{"gone": str(error)}}))
sampler.close()
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


def test_a_lost_gpu_does_not_hide_the_other(stub: Stub) -> None:
    found = report(stub, TWO_GPUS + "0.handle=!15\n")
    assert [one["index"] for one in found["gpus"]] == [1]
    assert "GPU 0 does not answer" in found["reason"]


def test_sample(stub: Stub) -> None:
    (found,) = samples(stub, TWO_GPUS, SECOND)
    assert found == {
        "utilisation": 0.97,
        "memory_used": 12884901888,
        "power": 351.234,
        "temperature": 64,
        "sm_clock": 1755,
        "energy": 123456.789,
        "throttle": ["power cap"],
    }


def test_each_metric_is_asked_on_its_own(stub: Stub) -> None:
    (found,) = samples(stub, TWO_GPUS + "0.power=!3\n0.utilisation=!4\n0.energy=!25\n", FIRST)
    assert (found["power"], found["utilisation"], found["energy"]) == (None, None, None)
    assert found["temperature"] == 64


def test_a_lost_gpu_is_gone_and_the_other_is_not(stub: Stub) -> None:
    lost, other, unknown = samples(
        stub, TWO_GPUS + "0.temperature=!15\n", FIRST, SECOND, "GPU-none"
    )
    assert "GPU is lost" in lost["gone"]
    assert other["temperature"] == 64
    assert "Not Found" in unknown["gone"]


def test_processes(stub: Stub) -> None:
    stub.answer(TWO_GPUS + "0.processes=4242:1073741824,4243:na\n")
    told = stub.python(
        "from orchestrator.machine import gpu\n"
        "sampler = gpu.GpuSampler()\n"
        f"print([(p.pid, p.memory) for p in sampler.processes({FIRST!r})])\n"
        f"print(sampler.processes({SECOND!r}), sampler.index({SECOND!r}))\n"
    )
    assert told == "[(4242, 1073741824), (4243, None)]\n() 1\n"


def test_an_old_driver(tmp_path: Path) -> None:
    old = Stub.build(tmp_path, "-DOLD_DRIVER")
    (found,) = samples(old, TWO_GPUS, FIRST)
    assert found["throttle"] == ["power cap"]
    assert found["memory_used"] == 12884901888 + 633339904  # the old call counts the reserve


@pytest.mark.parametrize(
    ("bits", "words"),
    [
        (0, ()),
        (0x1 | 0x2 | 0x100, ()),  # idle, application clocks, display clocks
        (0x4, ("power cap",)),
        (0x8, ("hardware slowdown",)),
        (0x8 | 0x40, ("hardware thermal slowdown",)),
        (0x8 | 0x80 | 0x20, ("software thermal slowdown", "hardware power brake")),
        (1 << 40, ()),
    ],
)
def test_throttle_words(bits: int, words: tuple[str, ...]) -> None:
    assert throttle_words(bits) == words
