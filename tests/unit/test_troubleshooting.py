"""docs/troubleshooting.md quotes what benchdock prints: each message is provoked here.

BENCHDOCK_UPDATE_GOLDEN=1 writes what is printed now into the page.
"""

import errno
import os
import re
import subprocess
from collections.abc import Callable

import pynvml
import pytest

from backends.harness.data import Folder
from backends.harness.errors import DataProblem
from backends.zoo import draw
from orchestrator.bugs import report_bug
from orchestrator.cli import main
from orchestrator.errors import BenchdockError, machine_fault
from orchestrator.machine import gpu
from orchestrator.machine.gpu_facts import Gpu, GpuReport
from orchestrator.parsers import crash
from orchestrator.paths import PROJECT
from orchestrator.plan import Timeouts
from orchestrator.result import Failure, Measurement
from orchestrator.run import clocks, container_user, devices
from orchestrator.run.failures import failure_of
from orchestrator.runtimes.contract import Exit
from orchestrator.runtimes.docker import errors as engine_errors
from orchestrator.runtimes.docker.client import Engine
from orchestrator.runtimes.docker.sdk import unreachable
from tests.fakes import Answer, FakeEngine
from tests.support.stand_in import request

PAGE = PROJECT / "docs" / "troubleshooting.md"
SECTION = re.compile(r"^### (.+?)\n(.*?)(?=^##)", re.MULTILINE | re.DOTALL)
BLOCK = re.compile(r"```\n(.*?)\n```", re.DOTALL)
QUOTED = {
    title: BLOCK.findall(body) for title, body in SECTION.findall(PAGE.read_text(encoding="utf-8"))
}
H100 = Gpu(index=0, uuid="GPU-0", name="NVIDIA H100", compute_capability="9.0")
RUN = ("run", "resnet50", "-f", "pytorch")


class World:
    """A machine that can be broken, and what benchdock says of it."""

    def __init__(self, tmp_path, monkeypatch, capsys):
        self.folder, self.patch, self._capsys = tmp_path, monkeypatch, capsys
        monkeypatch.setenv("BENCHDOCK_HOME", str(tmp_path / "home"))
        monkeypatch.setenv("DOCKER_HOST", "unix:///nonexistent/docker.sock")

    def typed(self, *words: str) -> list[str]:
        """Return the lines that a command prints on standard error."""
        assert main(words) != 0
        printed: str = self._capsys.readouterr().err
        return printed.splitlines()

    def with_gpus(self, report: GpuReport, *words: str) -> list[str]:
        """Return what a command prints on a machine with other GPUs and an engine."""
        self.patch.setattr("orchestrator.machine.gpu.report", lambda: report)
        self.patch.setenv("DOCKER_HOST", f"unix://{self.folder}/engine.sock")
        with FakeEngine(self.folder):
            return self.typed(*words)


def raised(function: Callable[..., object], *arguments: object) -> str:
    with pytest.raises((BenchdockError, DataProblem)) as caught:
        function(*arguments)
    return f"benchdock: {caught.value}"


def no_python(world: World) -> list[str]:
    (world.folder / "id").write_text("#!/bin/sh\necho 1000\n")
    (world.folder / "id").chmod(0o755)
    command = ["/bin/sh", str(PROJECT / ".ci" / "find-python")]
    environment = {"PATH": str(world.folder)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    return done.stderr.splitlines()[:1]  # the second depends on the distribution


def no_home(world: World) -> list[str]:
    world.patch.setenv("BENCHDOCK_HOME", "/proc/x")
    return world.typed(*RUN)


def full_disk(world: World) -> list[str]:
    folder = "/home/ada/.local/share/benchdock/wheels"
    error = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), folder)
    return [f"benchdock: {machine_fault(error)}"]


def bad_drivers(world: World) -> list[str]:
    codes = (pynvml.NVML_ERROR_LIBRARY_NOT_FOUND, pynvml.NVML_ERROR_LIB_RM_VERSION_MISMATCH)
    said = []
    for code in codes:
        world.patch.setattr(pynvml, "nvmlInit", lambda code=code: fail(code))
        said.append(raised(devices.choose, request(gpus=(0,)), gpu.report()))
    return said


def fail(code: int) -> None:
    raise pynvml.NVMLError(code)


def no_toolkit(world: World) -> list[str]:
    text = 'could not select device driver "" with capabilities: [[gpu]]'
    told = engine_errors.explain(engine_errors.RefusedError(500, text), image="x")
    return [f"benchdock: {told}"]


def old_driver(world: World) -> list[str]:
    report = GpuReport(state="ok", reason="", gpus=(H100,), driver="450.80.02")
    image = "nvcr.io/nvidia/pytorch:24.06-py3"
    return world.with_gpus(report, *RUN, "--gpus", "0", "--image", image)


def new_gpu(world: World) -> list[str]:
    report = GpuReport(state="ok", reason="", gpus=(H100,), driver="580.65.06")
    return world.with_gpus(report, "run", "vgg19", "-f", "caffe2", "--gpus", "0")


def no_registry(world: World) -> list[str]:
    world.patch.setattr("orchestrator.runtimes.docker.images.FIRST_PAUSE", 0.01)
    world.patch.setenv("DOCKER_HOST", f"unix://{world.folder}/engine.sock")
    said = 'Get "https://nvcr.io/v2/": dial tcp: lookup nvcr.io: no such host'
    with FakeEngine(world.folder) as engine, Engine.connect() as connected:
        engine.plan("^POST /images/create", *[Answer(500, {"message": said})] * 3)
        return [raised(connected.pull, "nvcr.io/nvidia/pytorch:24.06-py3", lambda _: None)]


def message(failure: Failure | None) -> list[str]:
    assert failure is not None
    return [f"benchdock: {failure.message}"]


def killed_for_memory(world: World) -> list[str]:
    ended = Exit(code=137, oom_killed=True)
    return message(failure_of(Measurement(program="benchdock"), ended, None))


def last_line(line: str) -> list[str]:
    """Return what is said of a program that ended with this line, which is its log's last."""
    found = crash.evidence(["working", line], isolated=True)
    return message(failure_of(Measurement(program="custom", failure=found), Exit(code=1), None))


def little_shared_memory(world: World) -> list[str]:
    return last_line(
        "RuntimeError: unable to allocate shared memory(shm) for file </torch_6_1884579174_0>: "
        "No space left on device (28)"
    )


def no_network(world: World) -> list[str]:
    return last_line(
        "urllib.error.URLError: <urlopen error [Errno -3] Temporary failure in name resolution>"
    )


def too_slow(world: World) -> list[str]:
    timeouts = Timeouts(total=3, first_output=600, silence=600)
    return message(clocks.expired(timeouts, now=3, started=0, last_output=None))


def bad_data(world: World) -> list[str]:
    world.patch.chdir(world.folder)
    (world.folder / "priv").mkdir(mode=0o700)
    (world.folder / "empty").mkdir()
    told = raised(container_user.check_path, world.folder / "priv", "65534:65534", "the dataset")
    none = raised(Folder, str(world.folder / "empty"), draw("deep_mnist"), 1)
    none = none.replace(f"{world.folder}/empty", "/benchdock/data")
    return [told.replace(f"{world.folder}/", ""), none]


def bug(world: World) -> list[str]:
    world.patch.setattr("tempfile.tempdir", str(world.folder))
    try:
        raise KeyError("x")
    except KeyError:
        told = report_bug().replace(str(world.folder), "/tmp")
    return [f"benchdock: {re.sub(r'bug-[^.]+', 'bug-ab12cd34', told)}"]


PROVOKED: dict[str, Callable[[World], list[str]]] = {
    "No Python 3.11": no_python,
    "No container engine": lambda world: world.typed(*RUN, "--runtime", "docker"),
    "Permission denied on the socket": lambda world: [
        "benchdock: "
        f"{unreachable('unix:///var/run/docker.sock', PermissionError(errno.EACCES, ''))}"
    ],
    "The home cannot be written": no_home,
    "The disk is full": full_disk,
    "No driver, or one that was updated without a restart": bad_drivers,
    "Containers get no GPU": no_toolkit,
    "The driver is too old for the image": old_driver,
    "The GPU is too new for the framework": new_gpu,
    "An unknown name": lambda world: world.typed("run", "resnet5", "-f", "pytorch"),
    "A phase that the framework does not have": lambda world: world.typed(
        "run", "resnet50", "-f", "onnxruntime", "--phase", "training"
    ),
    "A vendor's program without its folder": lambda world: world.typed(
        "run", "resnet50", "-f", "tf_cnn_benchmarks"
    ),
    "An image cannot be pulled": no_registry,
    "Out of memory": killed_for_memory,
    "Too little shared memory": little_shared_memory,
    "The program wants the network": no_network,
    "Not finished in time": too_slow,
    "The dataset cannot be read": bad_data,
    "A bug in benchdock": bug,
}


@pytest.mark.parametrize("title", QUOTED)
def test_the_message_is_what_benchdock_prints(title, tmp_path, monkeypatch, capsys):
    printed = PROVOKED[title](World(tmp_path, monkeypatch, capsys))
    if os.environ.get("BENCHDOCK_UPDATE_GOLDEN"):
        update(title, printed)
    else:
        assert QUOTED[title] == printed


def update(title: str, printed: list[str]) -> None:
    """Write messages into the blocks of a section."""
    lines = iter(printed)
    text = PAGE.read_text(encoding="utf-8")
    body = next(section for section in SECTION.finditer(text) if section[1] == title)
    new = BLOCK.sub(lambda _: f"```\n{next(lines)}\n```", body[0])
    PAGE.write_text(text.replace(body[0], new), encoding="utf-8")


def test_every_section_quotes_a_message():
    assert set(QUOTED) == set(PROVOKED)
    assert all(QUOTED.values())
