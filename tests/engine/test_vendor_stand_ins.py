"""Vendors' programs that need a GPU or an unavailable image, as STAND-INS in real containers.

Proven: the image's name chooses the program, the script finds it where the vendor has it, its
arguments are ones that the real program knows, and what the real one would print is read.
Not proven: that the real program runs.
"""

import json
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from orchestrator.cli import main
from orchestrator.paths import RunFolder
from orchestrator.request import Request
from orchestrator.run.checks import framework_for
from orchestrator.run.devices import Target
from orchestrator.run.place import Place
from orchestrator.run.planner import make_plan
from orchestrator.run.runner import StageClock, execute
from orchestrator.ui.plain import SilentView
from tests.support import framework_samples
from tests.support.sample_logs import log

pytestmark = pytest.mark.engine

BASE = "debian:bookworm-slim"
STAND_IN = Path(__file__).with_name("vendor_stand_in.py")

MAKE = """#!/bin/sh
# Stands in for make: builds the sample in the folder after -C, as its Makefile says where.
set -e
program="$(basename "$2")"
cp "$2/$program.cpp" "$2/../../bin/$program"
chmod +x "$2/../../bin/$program"
"""
GIEXEC = "deploy output model batch device iterations avgRuns workspace half2 int8 verbose hostTime"
TRTEXEC = (
    "deploy uff onnx loadEngine uffInput output model batch device iterations avgRuns percentile "
    "workspace safe fp16 int8 verbose saveEngine plugins calib useDLACore allowGPUFallback "
    "useSpinWait"
)
CAFFE = (
    "gpu solver model phase level stage snapshot weights iterations sigint_effect sighup_effect "
    "logtostderr"
)
MXNET = (
    "network num-layers gpus kv-store num-epochs lr lr-factor lr-step-epochs optimizer mom wd "
    "batch-size disp-batches model-prefix monitor load-epoch top-k test-io dtype data-train "
    "data-val rgb-mean image-shape num-classes num-examples data-nthreads benchmark"
)
CAFFE2 = (
    "train_data test_data db_type gpus num_gpus num_channels image_size num_labels batch_size "
    "epoch_size num_epochs base_learning_rate weight_decay cudnn_workspace_limit_mb num_shards "
    "file_store_path save_model_name use_cpu"
)


@dataclass(frozen=True)
class Case:
    """A stand-in: its path, its image's name, what it supports, and the request."""

    image: str
    path: str
    flags: str
    log: bytes
    request: dict
    throughput: float
    devices: int = 1
    data: bool = False
    switches: tuple = ("half2", "fp16", "int8", "logtostderr")
    files: tuple = ("deploy", "solver")


def trt(batch, dtype, **more):
    return {
        "framework": "tensorrt", "model": "resnet50", "phase": "inference",
        "batch": batch, "dtype": dtype, **more,
    }  # fmt: skip


CASES = {
    "giexec-built-by-make": Case(
        image="nvidia/tensorrt:18.01-py3",
        path="/workspace/tensorrt/samples/giexec/giexec.cpp",
        flags=GIEXEC,
        log=framework_samples.GIEXEC,
        request=trt(64, "float16"),
        throughput=6400,
    ),
    "trtexec-4-in-bin": Case(
        image="nvidia/tensorrt:18.08-py3",
        path="/workspace/tensorrt/bin/trtexec",
        flags=TRTEXEC,
        log=log("trtexec-4"),
        request=trt(16, "float32"),
        throughput=800,
    ),
    "trtexec-5-on-path": Case(
        image="nvidia/tensorrt:19.05-py3",
        path="/usr/local/bin/trtexec",
        flags=TRTEXEC,
        log=log("trtexec-5-options"),
        request=trt(64, "float16"),
        throughput=8000,
    ),
    "caffe-time-nvidia": Case(
        image="nvidia/caffe:19.05-py3",
        path="/usr/local/bin/caffe",
        flags=CAFFE,
        log=framework_samples.CAFFE_TIME_NVIDIA,
        request={
            "framework": "caffe_time", "model": "resnet50", "phase": "inference", "batch": 8,
        },
        throughput=8000 / 2.48,
        files=("model",),
    ),
    "caffe-train-nvidia-4": Case(
        image="nvidia/caffe:17.12-py3",
        path="/usr/local/bin/caffe",
        flags=CAFFE,
        log=log("nvcaffe-train-0_16"),
        request={"framework": "caffe_train", "model": "alexnet", "batch": 64},
        throughput=3097.5,
        devices=4,
    ),
    "mxnet-train-2": Case(
        image="nvidia/mxnet:18.06-py3",
        path="/opt/mxnet/example/image-classification/train_imagenet.py",
        flags=MXNET,
        log=log("mxnet-from-batch-20"),
        request={"framework": "mxnet_train_imagenet", "model": "inception3", "batch": 256},
        throughput=481,
        devices=2,
    ),
    "caffe2-trainer-0.8.1": Case(
        image="nvidia/caffe2:18.08-py3",
        path="/stand-in/caffe2/python/examples/resnet50_trainer.py",
        flags=CAFFE2,
        log=log("caffe2-cut-epoch"),
        request={"framework": "caffe2_trainer", "model": "resnet50_v1.5", "batch": 32},
        throughput=225,
        data=True,
        files=(),
    ),
}  # fmt: skip


@pytest.fixture(params=CASES)
def case(request):
    return CASES[request.param]


@pytest.fixture
def image(engine, case, tmp_path):
    """Build the case's image; return its name, which ends as the vendor's does."""
    if shutil.which("docker") is None:
        pytest.skip("no docker command here, which this test builds with")
    if engine.image(BASE) is None:
        pytest.skip(f"no {BASE} here: `make base-images` makes it")
    context = tmp_path / "context"
    context.mkdir()
    program = context / "program"
    program.write_text("#!/usr/bin/env python3\n" + STAND_IN.read_text())
    program.chmod(0o755)
    (context / "make").write_text(MAKE)
    (context / "make").chmod(0o755)
    known = {
        "commands": ["time", "train"],
        "flags": case.flags.split(),
        "switches": case.switches,
        "files": case.files,
    }
    (context / "stand-in.json").write_text(json.dumps(known))
    (context / "log.txt").write_bytes(case.log)
    (context / "Dockerfile").write_text(
        f"FROM {BASE}\n"
        "COPY make /usr/local/bin/make\n"
        "COPY stand-in.json log.txt /stand-in/\n"
        f"COPY program {case.path}\n"
        "ENV PYTHONPATH=/stand-in\n"
    )
    tag = f"stand-in.invalid/{case.image}"
    subprocess.run(["docker", "build", "-q", "-t", tag, context], check=True, capture_output=True)
    yield tag
    engine.remove_image(tag)


def test_the_vendors_place_arguments_and_words(engine, case, image, tmp_path, monkeypatch):
    monkeypatch.setenv("BENCHDOCK_HOME", str(tmp_path / "home"))
    data = tmp_path / "data"
    if case.data:
        images = str(tmp_path / "images")
        assert main(["data", "make", images, "--samples=4", "--classes=2"]) == 0
        assert main(["data", "convert", images, str(data), "--to=lmdb"]) == 0
    request = Request(image=image, data=data if case.data else None, steps=100, **case.request)
    row = framework_for(request, "gpu")
    folder = RunFolder.create(request.model, request.framework)
    place = Place(
        runtime="docker",
        reason="a test",
        python="python3",
        image=image,
        mount_code=True,
    )
    target = Target(device="gpu", gpus=tuple(map(str, range(case.devices))))
    # This machine has no GPU, and a stand-in needs none.
    plan = make_plan(request, row, target, place, folder).model_copy(update={"gpus": ()})
    folder.launcher.write_text(plan.script)
    view = SilentView()
    outcome = execute(plan, engine, folder, view, StageClock(view))
    assert outcome.failure is None, folder.log.read_text()[-2000:]
    assert "STAND-IN: " in folder.log.read_text()
    metrics = outcome.measurement.metrics
    assert metrics["throughput"].value == pytest.approx(case.throughput, rel=1e-4)
