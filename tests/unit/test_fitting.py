"""What a request becomes on other servers, as shown by a stand-in for NVML.

One process of its own answers for all: this one has no NVML, and the stand-in's answers may change.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from orchestrator.errors import ExitStatus
from orchestrator.images.digests import readable
from tests.fakes import FakeEngine, fake_image
from tests.nvml import machines
from tests.nvml.stub import ROOT, Stub

pytestmark = pytest.mark.skipif(
    shutil.which("cc") is None, reason="no C compiler to build the NVML stand-in with"
)

SERVE = """
import contextlib, io, json, sys
from orchestrator.cli import main
for line in sys.stdin:
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = main(json.loads(line))
    print(json.dumps([int(code), out.getvalue(), err.getvalue()]), flush=True)
"""


@dataclass(frozen=True)
class Done:
    """What came of a command line."""

    returncode: int
    stdout: str
    stderr: str


Benchdock = Callable[..., Done]


@pytest.fixture(scope="module")
def benchdock(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Benchdock]:
    """Run command lines on a machine whose engine has the CPU image of Caffe2."""
    folder = tmp_path_factory.mktemp("servers")
    stub = Stub.build(folder)
    with FakeEngine(folder) as engine:
        engine.images["benchdock/legacy-cpu:1.0.0"] = fake_image("benchdock/legacy-cpu:1.0.0")
        environment = os.environ | {
            "LD_LIBRARY_PATH": str(stub.folder),
            "NVML_STUB": str(stub.answers),
            "PYTHONPATH": str(ROOT),
            "DOCKER_HOST": engine.address,
            "BENCHDOCK_HOME": str(folder / "home"),
        }
        with subprocess.Popen(
            [sys.executable, "-c", SERVE], env=environment, cwd=folder, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        ) as server:  # fmt: skip
            assert server.stdin is not None
            assert server.stdout is not None

            def run(answers: str, *words: str) -> Done:
                stub.answer(answers)
                print(json.dumps(words), file=server.stdin, flush=True)
                return Done(*json.loads(server.stdout.readline()))

            yield run
            server.stdin.close()
        assert engine.count("/containers/create") == 0


def planned(done: Done) -> dict[str, Any]:
    assert done.returncode == ExitStatus.OK, done.stderr
    return dict(json.loads(done.stdout))


PYTORCH = {
    "K80": "benchdock/pytorch-gpu-cuda11:2.0.1",
    "P100": "benchdock/pytorch-gpu-cuda11:2.0.1",
    "V100": "benchdock/pytorch-gpu-cuda11:2.0.1",
    "A100": "benchdock/pytorch-gpu-cuda12:2.10.0",
    "RTX_4090": "benchdock/pytorch-gpu-cuda12:2.10.0",
    "H200": "benchdock/pytorch-gpu-cuda12:2.10.0",
    "B200": "benchdock/pytorch-gpu:2.13.0",
}


@pytest.mark.slow
@pytest.mark.parametrize("name", PYTORCH)
def test_the_image_fits_the_machine(benchdock: Benchdock, name: str) -> None:
    words = ("run", "resnet50", "-f", "pytorch", "--dry-run", "--json")
    told = planned(benchdock(getattr(machines, name), *words))
    assert (told["plan"]["device"], readable(told["plan"]["image"])) == ("gpu", PYTORCH[name])
    assert any("the newest that works here" in note for note in told["notes"]) is (name != "B200")
    assert not any("needs NVIDIA driver" in text for text in told["warnings"])


@pytest.mark.slow
def test_all_gpus_of_a_server_get_it_too(benchdock: Benchdock) -> None:
    words = ("run", "resnet50", "-f", "pytorch", "--gpus", "all", "--dry-run", "--json")
    plan = planned(benchdock(machines.V100, *words))["plan"]
    assert (plan["device_count"], readable(plan["image"])) == (8, PYTORCH["V100"])


@pytest.mark.parametrize("name", ["V100", "P100"])
def test_the_headline_command_is_for_the_gpu_if_it_can_be(benchdock: Benchdock, name: str) -> None:
    words = ("run", "vgg19", "-f", "caffe2", "--dry-run", "--json")
    plan = planned(benchdock(getattr(machines, name), *words))["plan"]
    assert (plan["device"], plan["image"]) == ("gpu", "nvcr.io/nvidia/caffe2:18.08-py3")


@pytest.mark.slow
@pytest.mark.parametrize("name", ["K80", "A100", "RTX_4090", "H200", "B200"])
def test_the_headline_command_is_for_the_cpu_elsewhere_and_says_so_first(
    benchdock: Benchdock, name: str
) -> None:
    words = ("run", "vgg19", "-f", "caffe2", "--dry-run")
    told = planned(benchdock(getattr(machines, name), *words, "--json"))
    assert told["plan"]["device"] == "cpu"
    assert readable(told["plan"]["image"]) == "benchdock/legacy-cpu:1.0.0"
    assert told["warnings"][0].startswith(
        "on the CPU, because no image of caffe2 works with this GPU and driver: caffe2:18.08-py3 "
        "was built with CUDA 9.0 (2018) for GPUs "
    )
    first = benchdock(getattr(machines, name), *words).stdout.splitlines()[0]
    assert first.startswith("warning         on the CPU, because no image of caffe2 works")


@pytest.mark.parametrize("gpus", ["0", "all"])
@pytest.mark.parametrize("more", [(), ("--dry-run",)], ids=["run", "dry run"])
def test_gpus_that_are_requested_get_the_reason_and_the_commands_that_work(
    benchdock: Benchdock, gpus: str, more: tuple[str, ...]
) -> None:
    done = benchdock(machines.H200, "run", "vgg19", "-f", "caffe2", "--gpus", gpus, *more)
    if more:  # it can be planned
        assert done.returncode == ExitStatus.OK
        assert "warning         caffe2:18.08-py3 was built with CUDA 9.0" in done.stdout
        return
    assert done.returncode == ExitStatus.MACHINE_CANNOT
    (line,) = done.stderr.splitlines()
    assert line.startswith("benchdock: caffe2:18.08-py3 was built with CUDA 9.0 (2018) for GPUs up")
    assert f"`benchdock run vgg19 -f pytorch --gpus {gpus}` runs on the GPU" in line
    assert "`benchdock run vgg19 -f caffe2 --gpus none` runs on the CPU" in line
    for command in ("vgg19 -f caffe2 --gpus none", f"vgg19 -f pytorch --gpus {gpus}"):
        assert benchdock(machines.H200, "run", *command.split(), "--dry-run").returncode == 0


@pytest.mark.parametrize("more", [(), ("--dry-run",)], ids=["run", "dry run"])
def test_a_program_of_one_gpu_names_the_one_to_ask_for(
    benchdock: Benchdock, more: tuple[str, ...]
) -> None:
    words = ("run", "resnet50", "-f", "tensorrt", "--gpus", "all", *more)
    done = benchdock(machines.V100, *words)
    assert done.returncode == ExitStatus.BAD_REQUEST
    assert done.stderr == (
        "benchdock: tensorrt uses only one GPU in benchdock, 8 were requested; use --gpus 0\n"
    )


@pytest.mark.parametrize(
    ("phase", "instead"),
    [
        ("training", "use -f caffe_train, which trains on several GPUs, or --gpus 0"),
        ("inference", "use --gpus 0"),
    ],
)
def test_a_program_of_one_gpu_names_the_one_that_trains_on_several(
    benchdock: Benchdock, phase: str, instead: str
) -> None:
    words = ("run", "vgg19", "--phase", phase, "--gpus", "all", "--dry-run")
    done = benchdock(machines.V100, *words, "-f", "nvidia_caffe")
    assert done.returncode == ExitStatus.BAD_REQUEST
    assert done.stderr == (
        f"benchdock: nvidia_caffe uses only one GPU in benchdock, 8 were requested; {instead}\n"
    )
    if phase == "training":
        assert benchdock(machines.V100, *words, "-f", "caffe_train").returncode == ExitStatus.OK


@pytest.mark.parametrize("name", ["V100", "P100"])
def test_the_headline_command_takes_all_gpus(benchdock: Benchdock, name: str) -> None:
    words = ("run", "vgg19", "-f", "caffe2", "--gpus", "all", "--dry-run", "--json")
    plan = planned(benchdock(getattr(machines, name), *words))["plan"]
    count = {"V100": 8, "P100": 4}[name]
    assert (plan["device_count"], len(plan["gpus"])) == (count, count)
    assert plan["image"] == "nvcr.io/nvidia/caffe2:18.08-py3"
    assert f"--devices={count} " in plan["script"]
    assert plan["limits"]["shm_size"] == 2**30


def test_what_only_a_gpu_can_do_is_refused_without_a_detour(benchdock: Benchdock) -> None:
    done = benchdock(machines.H200, "run", "vgg16", "-f", "nvidia_caffe")
    assert done.returncode == ExitStatus.MACHINE_CANNOT
    assert done.stderr.startswith("benchdock: caffe:20.03-py3 was built with CUDA 10.2 (2020)")
    assert "--gpus none" not in done.stderr
    assert "`benchdock run vgg16 -f pytorch --gpus 0` runs on the GPU" in done.stderr


@pytest.mark.parametrize("framework", ["openvino", "onnxruntime"])
def test_a_framework_without_gpu_runs_on_the_cpu_of_a_gpu_server(
    benchdock: Benchdock, framework: str
) -> None:
    words = ("run", "resnet18", "-f", framework, "--phase", "inference", "--dry-run", "--json")
    told = planned(benchdock(machines.H200, *words))
    assert told["plan"]["device"] == "cpu"
    assert told["warnings"][0] == f"on the CPU: {framework} does not support inference on a GPU"
    asked = benchdock(machines.H200, *words, "--gpus", "0")
    assert asked.returncode == ExitStatus.BAD_REQUEST


def test_a_release_is_that_of_the_chosen_image(benchdock: Benchdock) -> None:
    words = ("run", "resnet50", "-f", "tensorrt", "--phase", "inference", "--dry-run", "--json")
    plan = planned(benchdock(machines.V100, *words))["plan"]
    assert plan["image"] == "nvcr.io/nvidia/pytorch:22.11-py3"
    running = {"cuda_graph": "on", "transfers": "off", "streams": "1"}
    assert plan["options"] == {"release": "8", "workspace": "4096", **running}
    plan = planned(benchdock(machines.B200, *words))["plan"]
    assert (plan["image"], plan["options"]) == (
        "nvcr.io/nvidia/pytorch:25.02-py3",
        {"release": "10", **running},
    )


@pytest.mark.slow
def test_an_image_that_is_named_is_not_replaced(benchdock: Benchdock) -> None:
    image = "nvcr.io/nvidia/pytorch:25.02-py3"
    done = benchdock(machines.V100, "run", "resnet50", "-f", "pytorch", "--image", image)
    assert done.returncode == ExitStatus.MACHINE_CANNOT
    assert done.stderr.startswith("benchdock: pytorch:25.02-py3 was built with CUDA 12.8 (2025)")
    assert done.stderr.endswith(
        "`benchdock run resnet50 -f pytorch --gpus 0` uses an image that works, "
        "`benchdock run resnet50 -f pytorch --gpus none` runs on the CPU\n"
    )
