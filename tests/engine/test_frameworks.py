"""Each framework that runs on a CPU, run in its image, as a user starts it.

The images are built if they are not here; that takes minutes each on a new machine.
"""

import json
import os
import subprocess
import sys

import pytest

from backends import zoo
from backends.harness import blas_kernel, machine
from orchestrator import paths
from orchestrator.frameworks import catalogue
from orchestrator.frameworks.catalogue import OURS
from orchestrator.images import image_table
from orchestrator.machine import gpu
from orchestrator.machine.gpu_facts import Gpu, GpuReport
from orchestrator.parity import comparisons
from orchestrator.parity import proof as parity
from orchestrator.parity.plan import parity_plan
from orchestrator.request import RuntimeChoice
from orchestrator.ui.plain import SilentView

pytestmark = [pytest.mark.engine, pytest.mark.timeout(1800)]

ENTRIES = [row for row in OURS if "cpu" in row.images]
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


@pytest.mark.parametrize("row", ENTRIES, ids=lambda row: row.name)
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


@pytest.mark.parametrize("row", ENTRIES, ids=lambda row: row.name)
def test_it_computes_an_inception_network(home, row):
    done = benchdock(
        home, "parity", "-f", row.name, "inception3", "--level=P2", "--runtime=docker", "--json"
    )
    assert done.returncode == 0, done.stdout + done.stderr
    (cell,) = json.loads(done.stdout)["cells"]
    assert 0 < cell["deviation"] <= 1e-5


TRAINING = [row for row in ENTRIES if ("cpu", "training") in row.dtypes]


@pytest.mark.parametrize("row", TRAINING, ids=lambda row: row.name)
def test_its_training_job_is_the_referees(home, row):
    done = benchdock(
        home, "parity", "-f", row.name, "deep_mnist", "resnet18", "--level=P3",
        "--runtime=docker", "--json",
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    cells = json.loads(done.stdout)["cells"]
    assert all(0 < cell["deviation"] <= 1e-4 for cell in cells)


@pytest.mark.parametrize("name", ["pytorch", "tensorflow"])
def test_half_precision_holds_within_its_own_tolerance(home, name):
    # OpenVINO needs a processor with instructions for it; its suite asks for that.
    done = benchdock(home, "parity", "-f", name, "deep_mnist", "--dtype=bfloat16", "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    cells = {cell["level"]: cell for cell in json.loads(done.stdout)["cells"]}
    assert {cell["dtype"] for cell in cells.values()} == {"bfloat16"}
    # Another computation than in float32, and no other network.
    assert 1e-3 < cells["P2"]["deviation"] <= cells["P2"]["tolerance"] < 0.03
    assert 1e-4 < cells["P3"]["deviation"] <= cells["P3"]["tolerance"] < 0.07


@pytest.mark.parametrize(
    ("name", "dtype", "told"),
    [
        ("pytorch", "float16", "sees no GPU"),
        ("tensorflow", "float16", "0 GPUs here"),
        ("mxnet", "float16", "sees 0 GPUs"),
        ("caffe2", "float32", "was built without CUDA"),
    ],
)
def test_on_a_gpu_it_goes_up_to_the_driver(home, monkeypatch, name, dtype, told):
    """All that is done for a GPU without one: an image for CPUs, no device given to it."""
    monkeypatch.setenv("BENCHDOCK_HOME", str(home))
    one = Gpu(index=0, uuid="GPU-0", name="none")
    monkeypatch.setattr(gpu, "report", lambda: GpuReport(state="ok", reason="", gpus=(one,)))

    def planned(*arguments, **keywords):
        made = parity_plan(*arguments, **keywords)
        assert made.gpus == ("GPU-0",)
        return made.model_copy(update={"gpus": ()})

    monkeypatch.setattr(parity, "parity_plan", planned)
    framework = catalogue.framework(name)
    setting = comparisons.Setting(
        dtype=dtype,
        gpus=(0,),
        runtime=RuntimeChoice.DOCKER,
        image=image_table.load().image(framework.images["cpu"]).tag,
    )
    work = comparisons.Work(framework=framework, models=("deep_mnist",), levels=("P1", "P2"))
    shapes, logits = parity.prove(work, setting, SilentView()).cells
    assert shapes.holds
    assert (logits.holds, logits.dtype, logits.device) == (False, dtype, "gpu")
    assert told in logits.detail


@pytest.mark.parametrize(
    ("row", "phase"),
    [(row, phase) for row in ENTRIES for device, phase in row.dtypes if device == "cpu"],
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


def test_the_fastest_options_are_looked_for_and_used(home):
    asked = ("deep_mnist", "-f", "pytorch", "--gpus=none", "--runtime=docker", "--steps=5")
    tuned = benchdock(home, "tune", *asked, "--only=optimizer", "--repeat=1", "--quiet", "--json")
    assert tuned.returncode == 0, tuned.stdout + tuned.stderr
    told = json.loads(tuned.stdout)
    tries = told["stages"][0]["tries"]
    assert [one["change"] for one in tries[1:]] == [
        {"optimizer": name} for name in ("foreach", "plain")
    ]
    assert all(one["throughput"]["median"] > 0 < one["cpu"]["median"] for one in tries)
    assert told["sound"] is None or told["sound"]["holds"]
    used = benchdock(home, "run", *asked, "--tuned", "--json")
    assert used.returncode == 0, used.stdout + used.stderr
    assert json.loads(used.stdout)["request"]["options"] == told["best"]["options"]


@pytest.mark.parametrize("option", ["blas_kernel=auto", "blas_kernel=Prescott"])
def test_the_kernel_of_openblas_fits_this_cpu_unless_another_is_asked_for(home, option):
    done = benchdock(
        home, "run", "deep_mnist", "-f", "bvlc_caffe", "--phase=inference", "--batch=2",
        "--steps=3", "--warmup=1", "--gpus=none", "--runtime=docker", "--option", option, "--json",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    ran, flags = result["program"]["options"]["blas_kernel"], machine.cpu_flags()
    assert f" {ran} " in result["program"]["options"]["blas"]
    told = [text for text in result["warnings"] if text.startswith("OpenBLAS ran its kernel")]
    if option.endswith("auto"):
        assert blas_kernel.fallback(ran, flags) == ""
    else:
        assert ran == "Prescott"
    assert told == [text for text in (blas_kernel.fallback(ran, flags),) if text]
