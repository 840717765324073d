"""The image extras-cpu, with minimal programs in place of timm's and torchvision's.

Both are not part of this project, nor of the packages timm and torchvision. BENCHDOCK_TIMM and
BENCHDOCK_TORCHVISION_REFERENCES say where copies are: then these run too.
"""

import json
import os

import pytest

from orchestrator import paths
from tests.engine.test_frameworks import benchdock

pytestmark = [pytest.mark.engine, pytest.mark.timeout(1800)]

TIMM = os.environ.get("BENCHDOCK_TIMM", "")
REFERENCES = os.environ.get("BENCHDOCK_TORCHVISION_REFERENCES", "")

BENCHMARK = """
import argparse, json, time
import huggingface_hub, timm, torch

parser = argparse.ArgumentParser(allow_abbrev=False)
for name in "model bench device precision opt".split():
    parser.add_argument("--" + name)
for name in "batch-size num-warm-iter num-bench-iter img-size".split():
    parser.add_argument("--" + name, type=int)
parser.add_argument("--no-retry", action="store_true")
args = parser.parse_args()
network = timm.create_model(args.model).eval()
images = torch.rand(args.batch_size, 3, args.img_size, args.img_size)
print("Benchmarking in float32 precision. NCHW layout.")
with torch.inference_mode():
    network(images)
    start = time.perf_counter()
    for _ in range(args.num_bench_iter):
        network(images)
seconds = (time.perf_counter() - start) / args.num_bench_iter
result = {
    "model": args.model,
    "infer_samples_per_sec": round(args.batch_size / seconds, 2),
    "infer_step_time": round(1000 * seconds, 3),
    "infer_batch_size": args.batch_size,
    "infer_img_size": args.img_size,
}
print("--result\\n" + json.dumps(result, indent=4))
"""

TRAIN = """
import argparse, os, time
import torch, torchvision

def get_args_parser():
    parser = argparse.ArgumentParser(allow_abbrev=False)
    for name in "data-path model device lr momentum wd output-dir".split():
        parser.add_argument("--" + name)
    for name in "batch-size epochs workers print-freq".split():
        parser.add_argument("--" + name, type=int)
    return parser

def main(args):
    args.sync_bn = args.distributed = False
    print(args)
    images = torchvision.datasets.ImageFolder(os.path.join(args.data_path, "train"))
    loader = torch.utils.data.DataLoader(images, args.batch_size, num_workers=args.workers)
    network = torchvision.models.get_model(args.model, num_classes=len(images.classes))
    times, waits, end = [], [], time.perf_counter()
    for step, (image, label) in enumerate(loader):
        waits.append(time.perf_counter() - end)
        torch.nn.functional.cross_entropy(network(image), label).backward()
        times.append(time.perf_counter() - end)
        print("Epoch: [0]  [{:2d}/{}]  eta: 0:00:01  img/s: {}  time: {:.4f}  data: {:.4f}".format(
            step, len(loader), args.batch_size / (times[-1] - waits[-1]),
            sum(times) / len(times), sum(waits) / len(waits)))
        end = time.perf_counter()
    print("Epoch: [0] Total time: 0:00:01")
"""


@pytest.fixture(scope="module")
def home(engine, tmp_path_factory):
    """A home for the runs, with the wheels of the real one."""
    folder = tmp_path_factory.mktemp("home")
    wheels = paths.home() / "wheels"
    wheels.mkdir(parents=True, exist_ok=True)
    (folder / "wheels").symlink_to(wheels)
    return folder


def measured(home, source, *words):
    done = benchdock(
        home, "run", "resnet18", *words, "--source", str(source), "--batch=2", "--gpus=none",
        "--threads=2", "--runtime=docker", "--json",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert result["status"] == "ok"
    assert result["plan"]["image"].startswith("benchdock/extras-cpu:2.13.0-")
    assert result["metrics"]["throughput"]["value"] > 0
    log = home / "runs" / result["run"] / "log.txt"
    parsed = json.loads(benchdock(home, "parse", str(log), "--batch=2", "--json").stdout)
    assert parsed["program"]["known_as"] == result["plan"]["program"]
    assert parsed["metrics"] == result["metrics"]
    return result, log.read_text()


def write(folder, name, text):
    (folder / name).write_text(text)
    return folder


def test_the_image_has_what_timms_benchmark_needs(home, tmp_path):
    source = write(tmp_path, "benchmark.py", BENCHMARK)
    measured(home, source, "-f", "timm", "--phase=inference", "--steps=5", "--warmup=1")


def test_the_image_has_what_torchvisions_references_need(home, tmp_path):
    source = write(tmp_path, "train.py", TRAIN)
    result, log = measured(
        home, source, "-f", "torchvision_references", "--steps=4", "--warmup=1",
        "--option=image_size=64", "--option=workers=1",
    )  # fmt: skip
    assert log.count("Epoch: [0]  [") == 5
    assert result["metrics"]["throughput_compute"]["value"] > 0


@pytest.mark.parametrize(
    ("program", "source"), [("timm", TIMM), ("torchvision_references", REFERENCES)]
)
@pytest.mark.parametrize("phase", ["training", "inference"])
def test_the_real_program_runs(home, program, source, phase):
    if not source:
        pytest.skip(f"no copy of the program of {program} is named here")
    measured(home, source, "-f", program, f"--phase={phase}", "--steps=5", "--warmup=1")
