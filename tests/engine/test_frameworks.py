"""Each framework that runs on a CPU, really running in its own image, as a user starts it.

The images are built if they are not here; that takes minutes each on a new machine.
"""

import json
import os
import subprocess
import sys

import pytest

from backends import zoo
from orchestrator import paths
from orchestrator.catalogue import OURS

pytestmark = [pytest.mark.engine, pytest.mark.timeout(1800)]

ROWS = [row for row in OURS if "cpu" in row.images]
# Small, and between them convolutions, normalisation, local response, ceil pooling, branches.
MODELS = ("deep_mnist", "alexnet_owt", "resnet18", "googlenet")


@pytest.fixture(scope="module")
def home(engine, tmp_path_factory):
    """A home for the runs, with the wheels of the real one."""
    folder = tmp_path_factory.mktemp("home")
    wheels = paths.home() / "wheels"
    wheels.mkdir(parents=True, exist_ok=True)
    (folder / "wheels").symlink_to(wheels)
    return folder


def benchdock(home, *words):
    return subprocess.run(
        [sys.executable, "-m", "orchestrator", *words],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "BENCHDOCK_HOME": str(home)},
    )


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_it_computes_the_networks_of_the_zoo(home, row):
    done = benchdock(
        home, "parity", "-f", row.name, *MODELS, "--level=P1", "--level=P2", "--runtime=docker",
        "--json",
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    cells = json.loads(done.stdout)["cells"]
    assert {(cell["model"], cell["level"]) for cell in cells} == {
        (model, level) for model in MODELS for level in ("P1", "P2")
    }
    assert all(cell["holds"] for cell in cells)
    forward = [cell for cell in cells if cell["level"] == "P2"]
    assert all(0 < cell["deviation"] <= 1e-5 for cell in forward)
    assert {cell["fingerprint"] for cell in cells} == {zoo.draw(m).fingerprint for m in MODELS}


@pytest.mark.parametrize(
    ("row", "phase"),
    [(row, phase) for row in ROWS for device, phase in row.dtypes if device == "cpu"],
    ids=lambda value: getattr(value, "name", value),
)
def test_it_measures_in_a_real_container(home, row, phase):
    done = benchdock(
        home, "run", "resnet18", "-f", row.name, "--phase", phase, "--batch=2", "--steps=3",
        "--warmup=1", "--gpus=none", "--runtime=docker", "--json",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert result["status"] == "ok"
    assert result["fingerprint"] == zoo.draw("resnet18").fingerprint
    assert result["metrics"]["throughput"]["value"] > 0
    assert result["program"]["framework"] == row.name
    log = home / "runs" / result["run"] / "log.txt"
    parsed = benchdock(home, "parse", "benchdock", str(log), "--json")
    assert json.loads(parsed.stdout)["metrics"] == result["metrics"]
