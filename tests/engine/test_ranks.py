"""Several ranks on the CPUs, in the frameworks' real images, without a network."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from orchestrator import paths

pytestmark = [pytest.mark.engine, pytest.mark.timeout(1800)]


@pytest.fixture(scope="module")
def home(engine, tmp_path_factory):
    """A home for the runs, with the wheels of the real one."""
    folder = tmp_path_factory.mktemp("home")
    wheels = paths.home() / "wheels"
    wheels.mkdir(parents=True, exist_ok=True)
    (folder / "wheels").symlink_to(wheels)
    return folder


def start(home, *words):
    return subprocess.Popen(
        [sys.executable, "-m", "orchestrator", *words, "--ranks=2", "--json"],
        env={**os.environ, "BENCHDOCK_HOME": str(home)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finished(process):
    out, err = process.communicate(timeout=900)
    assert "Traceback" not in err
    return process.returncode, json.loads(out), err


@pytest.mark.parametrize("phase", ["training", "inference"])
def test_the_result_has_every_sample_and_the_skew(home, phase):
    words = ["run", "deep_mnist", "-f", "pytorch", f"--phase={phase}", "--batch=4", "--steps=10"]
    status, result, err = finished(start(home, *words))
    assert status == 0, err
    assert result["plan"]["network"] == "none"
    program, metrics = result["program"], result["metrics"]
    assert program["devices"] == 2
    assert len(program["rank_times"]) == 2
    assert metrics["rank_skew"]["unit"] == "%"
    assert metrics["rank_skew"]["value"] >= 0
    assert metrics["rank_time_max"]["value"] == max(program["rank_times"])
    assert {block["samples"] for block in result["steps"]} == {8}
    if len(os.sched_getaffinity(0)) >= 2:
        assert len(set(program["rank_cpus"])) == 2


def rank_of(process):
    """Return the rank that a process of this machine is, with the word that it runs."""
    try:
        told = (process / "environ").read_bytes().split(b"\0")
        words = (process / "cmdline").read_bytes().split(b"\0")
    except OSError:  # it has ended, or is somebody else's
        return None
    return b"RANK=1" in told and b"backends.pytorch" in words and b"--steps=4321" in words


def test_a_killed_rank_ends_the_run(home):
    words = ["run", "deep_mnist", "-f", "pytorch", "--batch=4", "--steps=4321"]
    process = start(home, *words)
    deadline = time.monotonic() + 600
    found: list[Path] = []
    while not found or not timing(home):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.1)
        found = [one for one in Path("/proc").glob("[0-9]*") if rank_of(one)]
    os.kill(int(found[0].name), signal.SIGKILL)
    killed = time.monotonic()
    status, result, _ = finished(process)
    assert time.monotonic() - killed < 10
    assert status == 1
    assert result["failure"]["kind"] == "crashed"
    assert "rank 1 of 2 was killed by SIGKILL" in result["failure"]["message"]
    assert result["metrics"] == {}


def timing(home):
    """Whether the newest run has begun to time steps."""
    newest = max((home / "runs").iterdir(), default=None, key=lambda path: path.name)
    log = newest / "log.txt" if newest else None
    return log is not None and log.exists() and b'"event": "steps"' in log.read_bytes()


@pytest.mark.parametrize(
    ("framework", "model"),
    [
        ("pytorch", "resnet18"),  # the only one of them with batch normalization
        ("tensorflow", "deep_mnist"),
        ("mxnet", "deep_mnist"),
        ("caffe2", "deep_mnist"),
    ],
)
def test_two_ranks_are_one_with_twice_the_batch(home, framework, model):
    status, document, err = finished(start(home, "parity", model, "-f", framework))
    assert status == 0, (document, err)
    (cell,) = document["cells"]
    assert (cell["model"], cell["level"]) == (model, "P4")
    assert 0 < cell["deviation"] <= 1e-4
