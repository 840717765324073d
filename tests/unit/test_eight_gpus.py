"""What is run on a server with eight V100 and driver 450, script by script."""

import json
import os
import re
from pathlib import Path

import pytest

from orchestrator.cli import main
from orchestrator.errors import ExitStatus

GOLDEN = Path(__file__).parent.parent / "golden" / "eight_v100"
GPU = {
    "name": "Tesla V100-SXM2-32GB",
    "compute_capability": "7.0",
    "memory_total": 34359738368,
}
# Two processors of 20 cores, whose second threads have the numbers from 40 on.
NODES = ["0-19,40-59"] * 4 + ["20-39,60-79"] * 4
SERVER = {
    "hostname": "server",
    "cpu": {"usable": 80, "affinity": "0-79"},
    "gpu": {"driver": "450.119.03", "gpus": [{**GPU, "local_cpus": one} for one in NODES]},
    "engine": {"name": "docker", "version": "20.10.7"},
}
RUNS = {
    "pytorch": "resnet50 -f pytorch",
    "tensorflow": "resnet50 -f tensorflow",
    "mxnet": "resnet50 -f mxnet",
    "caffe2": "vgg19 -f caffe2",
    "caffe2-inference": "vgg19 -f caffe2 --phase inference",
    "caffe_train": "vgg19 -f caffe_train",
    "caffe2_trainer": "resnet50_v1.5 -f caffe2_trainer",
    "horovod_tensorflow": "resnet50 -f horovod_tensorflow --source {source}",
    "horovod_pytorch": "resnet50_v1.5 -f horovod_pytorch --source {source} --image mine/horovod:1",
    "tf_cnn_benchmarks": "resnet50 -f tf_cnn_benchmarks --source {source}",
    "tf_cnn_benchmarks-horovod": "resnet50 -f tf_cnn_benchmarks --source {source} "
    "--option variable_update=horovod",
    "nvcnn": "resnet50 -f nvcnn --source {source} --dtype float16 --image mine/tensorflow:1",
    "nvtfcnn": "resnet50 -f nvtfcnn --dtype float16",
    "deeplearningexamples_tensorflow": "resnet50_v1.5 -f deeplearningexamples_tensorflow "
    "--source {source}",
    "deeplearningexamples_pytorch": "resnet50_v1.5 -f deeplearningexamples_pytorch "
    "--source {source}",
    "deeplearningexamples_mxnet": "resnet50_v1.5 -f deeplearningexamples_mxnet --source {source}",
    "mxnet_train_imagenet": "resnet50 -f mxnet_train_imagenet --source {source}",
    "pytorch_imagenet": "resnet18 -f pytorch_imagenet --source {source}",
    "torchvision_references": "resnet18 -f torchvision_references --source {source}",
}


@pytest.fixture
def machine(tmp_path):
    path = tmp_path / "server.json"
    path.write_text(json.dumps({"schema": 1, "machine": SERVER}))
    return str(path)


@pytest.mark.parametrize("name", RUNS)
def test_golden(capsys, machine, tmp_path, name):
    source = tmp_path / "absent"  # of another machine
    words = RUNS[name].format(source=source).split()
    asked = ["run", *words, "--gpus", "all", "--dry-run", "--json", "--machine", machine]
    assert main(asked) == ExitStatus.OK, capsys.readouterr().err
    plan = json.loads(capsys.readouterr().out)["plan"]
    assert (plan["device"], plan["device_count"], len(plan["gpus"])) == ("gpu", 8, 8)
    script = re.sub(r"(?m)^# run .*", "# run RUN", plan["script"])
    golden = GOLDEN / f"{name}.sh"
    if os.environ.get("BENCHDOCK_UPDATE_GOLDEN") == "1":
        golden.parent.mkdir(exist_ok=True)
        golden.write_text(script, encoding="utf-8")
    assert script == golden.read_text(encoding="utf-8"), "BENCHDOCK_UPDATE_GOLDEN=1 rewrites it"


def test_every_golden_script_has_a_run():
    assert {path.stem for path in GOLDEN.glob("*.sh")} == set(RUNS)


def test_nvidias_caffe_names_the_program_that_takes_them_all(capsys, machine):
    words = ["run", "vgg19", "-f", "nvidia_caffe", "--gpus", "all", "--dry-run"]
    assert main([*words, "--machine", machine]) == ExitStatus.BAD_REQUEST
    told = capsys.readouterr().err
    assert "use -f caffe_train, which trains on several GPUs, or --gpus 0" in told
