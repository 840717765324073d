"""TensorFlow's benchmarks, a user's command and NVIDIA's examples in real containers.

NVIDIA's are played by a STAND-IN (tests/vendor_stand_in.py) that lies where their images have
them, knows their arguments and prints a sample; tf_cnn_benchmarks is the real one where it is here.
"""

import json
import os
import subprocess
from pathlib import Path

import pytest

from orchestrator import paths
from orchestrator.paths import RunFolder
from orchestrator.request import Request
from orchestrator.run.checks import framework_for
from orchestrator.run.devices import Target
from orchestrator.run.place import Place
from orchestrator.run.planner import make_plan
from orchestrator.run.runner import StageClock, execute
from orchestrator.ui.plain import SilentView
from tests.engine.test_frameworks import benchdock
from tests.support.vendor_programs import MPIRUN, STAND_IN
from tests.support.vendor_samples import NVTFCNN

pytestmark = [pytest.mark.engine, pytest.mark.timeout(1800)]

BASE = "debian:bookworm-slim"
# The folder scripts/tf_cnn_benchmarks of a copy of github.com/tensorflow/benchmarks.
TF_CNN = os.environ.get("BENCHDOCK_TF_CNN_BENCHMARKS", "")


@pytest.fixture
def home(engine, tmp_path):
    """A home for the runs, with the wheels of the real one."""
    wheels = paths.home() / "wheels"
    wheels.mkdir(parents=True, exist_ok=True)
    folder = tmp_path / "home"
    folder.mkdir()
    (folder / "wheels").symlink_to(wheels)
    return folder


def run(home, *words):
    done = benchdock(home, "run", *words, "--gpus=none", "--runtime=docker", "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_what_surrounds_a_command_in_a_container(home, engine):
    if engine.image(BASE) is None:
        pytest.skip(f"no {BASE} here: `make base-images` makes it")
    code = "import os; print('size:', os.environ['SIZE'], len(os.sched_getaffinity(0)),"
    code += " sorted(os.listdir('/sys/class/net')) != ['lo'])"
    cpu = min(os.sched_getaffinity(0))
    result = run(
        home, "mine", "-f", "custom", "--image", BASE, "--command", f'python3 -c "{code}"',
        "--unit=ms", "--pattern=size: ([0-9]+) 1 True", "--env", "SIZE=40",
        "--prefix", f"taskset -c {cpu}", "--network=bridge",
    )  # fmt: skip
    assert result["metrics"]["throughput"]["value"] == pytest.approx(8 / 0.040)
    assert result["plan"]["environment"] == {"SIZE": "40"}
    assert result["plan"]["network"] == "bridge"


def test_a_name_that_is_not_resolved_without_a_network_says_so(home, engine):
    if engine.image(BASE) is None:
        pytest.skip(f"no {BASE} here: `make base-images` makes it")
    code = "import socket; socket.getaddrinfo('registry.invalid', 443)"
    words = ["mine", "-f", "custom", "--image", BASE, "--gpus=none", "--pattern=fps=(.+)"]
    done = benchdock(home, "run", *words, "--command", f'python3 -c "{code}"', "--quiet")
    assert done.returncode == 1
    assert "its container has none" in done.stderr
    assert "run it again with --network bridge" in done.stderr


def test_a_users_command_in_a_container(home, engine, tmp_path):
    if engine.image(BASE) is None:
        pytest.skip(f"no {BASE} here: `make base-images` makes it")
    source = tmp_path / "my programs"
    source.mkdir()
    (source / "bench.sh").write_text('for i in 1 2 3 4; do echo "step: $1 $2 $((i * 10)) ms"; done')
    result = run(
        home, "mine", "-f", "custom", "--image", BASE, "--source", str(source), "--batch=3",
        "--command", "bash {source}/bench.sh {model} '{phase} $HOME'", "--unit=ms",
        "--pattern=step: mine training \\$HOME ([0-9]+)", "--estimator=mean",
    )  # fmt: skip
    assert result["metrics"]["throughput"]["value"] == pytest.approx(3 / 0.025)
    assert result["fingerprint"] is None


@pytest.mark.skipif(not TF_CNN, reason="BENCHDOCK_TF_CNN_BENCHMARKS does not say where it is")
@pytest.mark.parametrize("phase", ["training", "inference"])
def test_tensorflows_own_benchmarks(home, phase):
    result = run(
        home, "resnet50", "-f", "tf_cnn_benchmarks", "--source", TF_CNN, "--batch=2", "--steps=5",
        "--warmup=1", f"--phase={phase}",
    )  # fmt: skip
    assert result["metrics"]["throughput"]["value"] > 0
    assert result["program"]["batch"] == 2


def test_nvidias_examples_if_their_images_have_them(engine, tmp_path, monkeypatch):
    if engine.image(BASE) is None:
        pytest.skip(f"no {BASE} here: `make base-images` makes it")
    context = tmp_path / "context"
    context.mkdir()
    (context / "resnet.py").write_text(STAND_IN.read_text())
    (context / "mpirun").write_text(MPIRUN)
    (context / "mpirun").chmod(0o755)
    (context / "log.txt").write_bytes(NVTFCNN)
    (context / "Dockerfile").write_text(
        f"FROM {BASE}\n"
        "COPY mpirun /usr/local/bin/mpirun\n"
        "COPY log.txt /log.txt\n"
        "COPY resnet.py /workspace/nvidia-examples/cnn/resnet.py\n"
        "ENV STAND_IN=nvtfcnn STAND_IN_LOG=/log.txt\n"
    )
    tag = "stand-in.invalid/nvidia/tensorflow:18.07-py3"
    subprocess.run(["docker", "build", "-q", "-t", tag, context], check=True, capture_output=True)
    monkeypatch.setenv("BENCHDOCK_HOME", str(tmp_path / "home"))
    try:
        outcome, log = _stand_in(engine, tag)
    finally:
        engine.remove_image(tag)
    assert outcome.failure is None, log
    assert outcome.measurement.metrics["throughput"].value > 0


PYTHON_2 = "python:2.7-slim"
# A program of our own in the place of NVIDIA's: it takes its arguments and prints its lines.
OLD_NVCNN = """\
import argparse, sys
parser = argparse.ArgumentParser()
for flag in ("model", "num_gpus", "batch_size", "num_batches", "display_every"):
    parser.add_argument("--" + flag, required=True)
given = parser.parse_args()
print "Python %d.%d" % sys.version_info[:2]
print "Model:       %s" % given.model
print "Batch size:  %d global" % (int(given.batch_size) * int(given.num_gpus))
print "             %.1f per device" % float(given.batch_size)
print "  Step Epoch Img/sec   Loss   LR"
for step in (1, 10, 20, 30, int(given.num_batches)):
    print "%6i %5i %7.1f %7.3f %7.5f" % (step, 1, step * 2.0, 7.9, 0.1)
print "-" * 64
print "Images/sec: 42.5 +/- 0.5 (jitter = 0.1)"
"""


@pytest.fixture(scope="module")
def python_2(engine, tmp_path_factory):
    """Make the image of Python 2.7, unless the engine has it; skip if the machine cannot."""
    if engine.image(PYTHON_2) is None:
        made = benchdock(tmp_path_factory.mktemp("home"), "images", "bootstrap", PYTHON_2)
        if made.returncode:
            pytest.skip(f"no {PYTHON_2}: {made.stderr.splitlines()[-1]}")
    return PYTHON_2


@pytest.mark.parametrize("tag", ["18.04-py2", "17.12"])
def test_images_with_python_2_run_their_programs_with_it(
    engine, python_2, tmp_path, monkeypatch, tag
):
    context = tmp_path / "context"
    context.mkdir()
    (context / "nvcnn.py").write_text(OLD_NVCNN)
    (context / "Dockerfile").write_text(
        f"FROM {python_2}\nCOPY nvcnn.py /workspace/nvidia-examples/cnn/nvcnn.py\n"
    )
    image = f"stand-in.invalid/nvidia/tensorflow:{tag}"
    subprocess.run(["docker", "build", "-q", "-t", image, context], check=True, capture_output=True)
    monkeypatch.setenv("BENCHDOCK_HOME", str(tmp_path / "home"))
    try:
        outcome, log = _stand_in(engine, image, framework="nvcnn")
    finally:
        engine.remove_image(image)
    assert outcome.failure is None, log
    assert log.startswith("Python 2.7\n")
    assert outcome.measurement.metrics["throughput"].value == 42.5


def _stand_in(engine, tag, framework="nvtfcnn"):
    target = Target(device="gpu", gpus=("0", "1"))
    request = Request(model="resnet50", framework=framework, image=tag, batch=8, steps=100)
    row = framework_for(request, target.device)
    folder = RunFolder.create(request.model, request.framework)
    place = Place(
        runtime="docker", reason="a test", python="python3", image=tag, mount_code=True,
    )  # fmt: skip
    # This machine has no GPU, and a stand-in needs none.
    plan = make_plan(request, row, target, place, folder).model_copy(update={"gpus": ()})
    folder.launcher.write_text(plan.script)
    view = SilentView()
    outcome = execute(plan, engine, folder, view, StageClock(view))
    return outcome, Path(folder.log).read_text()
