"""Vendors' programs in our CPU images, run as a user starts them."""

import json
import os
import subprocess

import pytest

from orchestrator import paths
from orchestrator.paths import RunFolder
from orchestrator.request import Request
from orchestrator.run import checks, planner
from orchestrator.run.devices import Target
from orchestrator.run.place import RUN, Place
from tests.engine import in_image
from tests.engine.test_frameworks import benchdock
from tests.releases.programs import ACCEPTED, ARGUMENTS

pytestmark = [pytest.mark.engine, pytest.mark.timeout(1800)]

# A copy of MXNet's example/image-classification; not part of this project, nor of MXNet's wheel.
EXAMPLES = os.environ.get("BENCHDOCK_MXNET_EXAMPLES", "")

RUNS = {
    "caffe time": ("alexnet", "caffe_time", "training", 4, ()),
    "caffe time, one pass": ("googlenet", "caffe_time", "inference", 4, ()),
    "caffe train": ("alexnet", "caffe_train", "training", 4, ("--warmup=2",)),
    "Caffe2's networks": ("alexnet_owt", "caffe2_net", "inference", 3, ("--warmup=1",)),
    "Caffe2's trainer": ("resnet18", "caffe2_trainer", "training", 3, ()),
    "benchmark_app": ("resnet18", "openvino_benchmark_app", "inference", 6, ()),
    "benchmark_app, streams": (
        "resnet18", "openvino_benchmark_app", "inference", 6,
        ("--option=hint=none", "--option=streams=2", "--option=requests=2"),
    ),
    "MXNet's score": ("alexnet", "mxnet_score", "inference", None, ("--source", EXAMPLES)),
    "MXNet's training": (
        "resnet18", "mxnet_train_imagenet", "training", 4, ("--warmup=2", "--source", EXAMPLES),
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def home(engine, tmp_path_factory):
    """A home for the runs, with the wheels of the real one."""
    folder = tmp_path_factory.mktemp("home")
    wheels = paths.home() / "wheels"
    wheels.mkdir(parents=True, exist_ok=True)
    (folder / "wheels").symlink_to(wheels)
    return folder


def measured(home, *words):
    done = benchdock(
        home, "run", *words, "--batch=2", "--gpus=none", "--threads=2", "--runtime=docker", "--json"
    )
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert result["status"] == "ok"
    return result


@pytest.mark.parametrize("name", RUNS)
def test_it_measures_in_a_real_container(home, name):
    model, program, phase, steps, more = RUNS[name]
    if "--source" in more and not EXAMPLES:
        pytest.skip("BENCHDOCK_MXNET_EXAMPLES does not say where MXNet's examples are")
    counts = () if steps is None else (f"--steps={steps}",)
    result = measured(home, model, "-f", program, "--phase", phase, *counts, *more)
    assert result["metrics"]["throughput"]["value"] > 0
    log = home / "runs" / result["run"] / "log.txt"
    parsed = benchdock(home, "parse", program, str(log), "--batch=2", f"--phase={phase}", "--json")
    assert json.loads(parsed.stdout)["metrics"] == result["metrics"]


@pytest.fixture
def mine(tmp_path):
    (tmp_path / "mine.prototxt").write_text(
        'layer { name: "data" type: "DummyData" top: "data" '
        "dummy_data_param { shape { dim: 64 dim: 3 dim: 8 dim: 8 } } }\n"
        'layer { name: "fc" type: "InnerProduct" bottom: "data" top: "fc" '
        "inner_product_param { num_output: 5 } }\n"
    )
    return tmp_path / "mine.prototxt"


def test_the_users_network_is_timed_with_the_requested_batch(home, mine):
    result = measured(
        home, "my_net", "-f", "caffe_time", "--phase=inference", "--steps=5",
        "--source", str(mine.parent), "--option=prototxt=mine.prototxt",
    )  # fmt: skip
    assert result["fingerprint"] is None
    assert "dim: 2\n" in (home / "runs" / result["run"] / "log.txt").read_text()


def test_the_users_network_is_named_in_place_of_a_model(home, mine):
    result = measured(home, str(mine), "-f", "caffe_time", "--phase=inference", "--steps=5")
    assert result["fingerprint"].startswith("file:")
    assert "dim: 2\n" in (home / "runs" / result["run"] / "log.txt").read_text()


@pytest.mark.parametrize("count", [1, 2, 8])
@pytest.mark.parametrize("changes", [{}, {"options": {"nccl": "on", "tensor_cores": "on"}}])
def test_caffe2s_trainer_knows_all_flags_for_gpus(engine, tmp_path, count, changes):
    """It only reads its command line: the image has no GPU."""
    request = Request(
        model="resnet18", framework="caffe2_trainer", dtype="float16", batch=2, steps=6, **changes
    )
    target = Target(device="gpu", gpus=tuple(map(str, range(count))))
    files = RunFolder(tmp_path / "run")
    files.make()
    place = Place(runtime="docker", reason="a test", python="python3")
    framework = checks.framework_for(request, "gpu")
    plan = planner.make_plan(request, framework, target, place, files)
    assert f"--num_gpus={count}" in plan.script
    files.launcher.write_text(plan.script)
    files.log.touch()
    done = subprocess.run(
        [
            "docker", "run", "--rm", "--network=none", f"--volume={files.root}:{RUN}",
            f"--volume={ARGUMENTS}:/arguments:ro", "--env=PYTHONPATH=/arguments",
            "--env=BENCHDOCK_PARSE_ONLY=1", in_image.ready(engine, "legacy-cpu"), *plan.argv,
        ],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert ACCEPTED in files.log.read_text(), done.stderr + files.log.read_text()
