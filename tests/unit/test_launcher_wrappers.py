"""Launchers that start a program within a few lines of Python, run here on small stand-ins."""

import os
import subprocess
import sys

import pytest

from orchestrator.parsers import parse
from orchestrator.paths import PROJECT, RunFolder
from orchestrator.request import Request
from orchestrator.run import checks, planner
from orchestrator.run.devices import Target
from orchestrator.run.hints import hints_of
from orchestrator.run.place import Place
from tests.support import framework_samples
from tests.support.datasets import jpeg

CPU = Target(device="cpu")

TORCH = """
class utils:
    class data:
        class Dataset:
            pass

def rand(*shape):
    return shape
"""

TORCHVISION = """
import functools

class datasets:
    class ImageFolder:
        def __init__(self, root, transform=None):
            self.samples = self.imgs = [("%d.jpg" % n, n // 10) for n in range(100)]
            self.targets = [label for _, label in self.samples]

class models:
    @staticmethod
    def list_models(module):
        return ["resnet18"]

    @staticmethod
    def resnet18(**options):
        print("built with", sorted(options.items()))
"""

# Knows the flags that every release of torchvision's train.py has.
TRAIN = """
import argparse, os, sys
import torchvision

def parse_args():
    parser = argparse.ArgumentParser(allow_abbrev=False)
    texts = "data-path model device batch-size epochs workers lr momentum wd print-freq output-dir"
    for text in texts.split():
        parser.add_argument("--" + text, required=True)
    for switch in ("test-only", "channels-last"):
        parser.add_argument("--" + switch, action="store_true")
    return parser.parse_args()

def evaluate(model, print_freq=100):
    print("evaluates, printing each", print_freq)

def main(args):
    images = torchvision.datasets.ImageFolder(os.path.join(args.data_path, "train"), None)
    samples = getattr(images, "samples", None) or [images[n] for n in range(len(images))]
    print("samples", len(samples), samples[0], samples[-1])
    if args.test_only:
        evaluate(args.model)
    print("writes to", repr(args.output_dir))
"""
PARSER = """
class _Parser:
    parse_args = staticmethod(_arguments)

def get_args_parser():
    return _Parser
"""
TRAIN_2021 = TRAIN.replace("def parse_args", "def _arguments") + PARSER

RUN = """
import sys
import torchvision

def main():
    torchvision.models.resnet18(weights="IMAGENET1K_V1")
    print(*sys.argv)
"""

PERF_TEST = """#!/bin/bash
[[ "$LD_LIBRARY_PATH" == "$(dirname "$0")"* ]] || exit 65
[[ "$*" == "-m times -r 100 -I -S 0 -s -e cpu -x "*" -c 1 -o 99 "*/model.onnx" "*/times.csv ]] || {
  echo "$*"; exit 64; }
cat "$PRINTED"
"""
WRITE = "import pathlib, sys\npathlib.Path(sys.argv[-1]).write_text(' '.join(sys.argv[1:-1]))\n"


@pytest.fixture
def libraries(tmp_path):
    folder = tmp_path / "libraries"
    folder.mkdir()
    (folder / "torch.py").write_text(TORCH)
    (folder / "torchvision.py").write_text(TORCHVISION)
    return folder


def ran(tmp_path, libraries, entry, text, framework, **changes):
    """Run a launcher whose program is `text`; return the exit code, the log's text and the plan."""
    source = tmp_path / "source"
    source.mkdir()
    (source / entry).write_text(text)
    (source / entry).chmod(0o755)
    asked = {"model": "resnet18", "batch": 8, "steps": 20, "warmup": 2, **changes}
    request = Request(framework=framework, source=source, **asked)
    folder = RunFolder(tmp_path / "run")
    folder.make()
    place = Place(runtime="host", reason="test", python=sys.executable, code=libraries)
    plan = planner.make_plan(request, checks.framework_for(request, "cpu"), CPU, place, folder)
    folder.launcher.write_text(plan.script, encoding="utf-8")
    environment = {**os.environ, "PYTHONPATH": str(libraries), "PRINTED": str(tmp_path / "printed")}
    done = subprocess.run(["bash", folder.launcher], env=environment, check=False)
    return done.returncode, folder.log.read_text(), plan


@pytest.mark.parametrize("train", [TRAIN, TRAIN_2021], ids=["2019", "2021"])
def test_torchvision_gets_as_many_made_images_as_the_steps_need(tmp_path, libraries, train):
    code, log, _ = ran(tmp_path, libraries, "train.py", train, "torchvision_references")
    assert code == 0, log
    assert "samples 176 ((3, 224, 224), 0) ((3, 224, 224), 175)\n" in log
    assert "writes to ''\n" in log


def test_torchvisions_own_images_are_of_all_classes(tmp_path, libraries):
    data = tmp_path / "data"
    for split in ("train", "val"):
        (data / split / "cat").mkdir(parents=True)
        (data / split / "cat" / "x.jpg").write_bytes(jpeg(300, 300))
    code, log, _ = ran(
        tmp_path, libraries, "train.py", TRAIN, "torchvision_references",
        batch=2, steps=7, warmup=3, data=data,
    )  # fmt: skip
    assert code == 0, log
    assert "samples 20 ('0.jpg', 0) ('95.jpg', 9)\n" in log


def test_torchvision_prints_every_step_of_an_evaluation(tmp_path, libraries):
    options = {"flag.channels-last": "", "image_size": "96"}
    code, log, _ = ran(
        tmp_path, libraries, "train.py", TRAIN, "torchvision_references",
        phase="inference", options=options,
    )  # fmt: skip
    assert code == 0, log
    assert "((3, 96, 96), 0)" in log
    assert "evaluates, printing each 1\n" in log


def test_an_image_size_is_not_a_place_for_code(tmp_path, libraries):
    code, log, _ = ran(
        tmp_path, libraries, "train.py", TRAIN, "torchvision_references",
        options={"image_size": "8) or print('got in'"},
    )  # fmt: skip
    assert code == 1
    assert log.rstrip().endswith("invalid literal for int() with base 10: \"8) or print('got in'\"")


@pytest.mark.parametrize(
    ("weights", "built"), [("random", "None"), ("pretrained", "'IMAGENET1K_V1'")]
)
def test_torchbench_downloads_weights_only_if_asked(tmp_path, libraries, weights, built):
    run = RUN + "if __name__ == '__main__':\n    main()\n"
    code, log, _ = ran(
        tmp_path, libraries, "run.py", run, "torchbench",
        phase="inference", steps=10, warmup=3, options={"weights": weights},
    )  # fmt: skip
    assert code == 0, log
    assert f"built with [('weights', {built})]\n" in log
    assert "--device cpu --test eval --bs 8 --metrics none --precision fp32\n" in log


def test_onnxruntime_perf_test_gets_a_network_and_is_read(tmp_path, libraries):
    writer = libraries / "backends" / "onnx"
    writer.mkdir(parents=True)
    for package in (writer, writer.parent):
        (package / "__init__.py").touch()
    (writer / "__main__.py").write_text(WRITE)
    (tmp_path / "printed").write_bytes(framework_samples.ONNXRUNTIME)
    code, log, plan = ran(
        tmp_path, libraries, "onnxruntime_perf_test", PERF_TEST, "onnxruntime_perf_test",
        phase="inference", steps=100, warmup=1,
    )  # fmt: skip
    assert code == 0, log
    found = parse(plan.program, tmp_path / "run" / "log.txt", hints_of(plan), exit_code=code)
    assert found.failure is None
    assert found.metrics["throughput"].value == 320.0
    assert found.metrics["latency_p99"].value == 0.058


LOGS_TO_DLLOGGER = """
import dllogger
from dllogger import JSONStreamBackend, StdOutBackend, Verbosity

print(dllogger.__file__)
backends = [
    StdOutBackend(Verbosity.DEFAULT, step_format=lambda s: "Summary:" if not s else str(s)),
    JSONStreamBackend(Verbosity.VERBOSE, "report.json"),
]
dllogger.init(backends=backends)
dllogger.metadata("train.total_ips", {"unit": "images/s", "format": ":.2f"})
dllogger.log(step=(0, 1), data={"train.total_ips": 64.256}, verbosity=Verbosity.VERBOSE)
dllogger.log(step=tuple(), data={"train.total_ips": 98.5, "val.top1": None})
dllogger.flush()
print(open("report.json").read())
"""


@pytest.mark.parametrize("installed", [True, False])
def test_nvidias_examples_log_with_dllogger_or_what_stands_in_for_it(tmp_path, installed):
    source = tmp_path / "source"
    source.mkdir()
    (source / "main.py").write_text(LOGS_TO_DLLOGGER)
    libraries = tmp_path / "libraries"
    libraries.mkdir()
    stand_in = PROJECT / "backends" / "stand_ins" / "dllogger.py"
    if installed:
        (libraries / "dllogger.py").write_text(stand_in.read_text())
    gpu = Target(device="gpu", gpus=("a",))
    request = Request(
        model="resnet50_v1.5", framework="deeplearningexamples_pytorch", source=source, batch=8
    )
    folder = RunFolder(tmp_path / "run")
    folder.make()
    place = Place(runtime="host", reason="test", python=sys.executable, code=PROJECT)
    plan = planner.make_plan(request, checks.framework_for(request, gpu.device), gpu, place, folder)
    folder.launcher.write_text(plan.script, encoding="utf-8")
    environment = {**os.environ, "PYTHONPATH": str(libraries)}
    done = subprocess.run(["bash", folder.launcher], env=environment, check=False)
    log = folder.log.read_text()
    assert done.returncode == 0, log
    assert str(libraries if installed else stand_in) in log
    assert ("benchdock's stand-in prints its lines" in log) is not installed
    assert "train.total_ips : 64.26" not in log
    assert '"step": [0, 1]' in log
    found = parse("deeplearningexamples", folder.log, hints_of(plan))
    assert found.metrics["throughput"].value == 98.5
