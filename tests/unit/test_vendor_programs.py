"""Vendors' programs from request to figure, with a stand-in that has their arguments.

None of their images is available for tests; TensorFlow's tf_cnn_benchmarks has been run for real.
"""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from orchestrator.errors import RequestError
from orchestrator.frameworks import catalogue
from orchestrator.parsers import parse
from orchestrator.paths import PROJECT, RunFolder
from orchestrator.request import Request
from orchestrator.run import checks, places, planner, program_release
from orchestrator.run.decision import decide
from orchestrator.run.devices import Target
from orchestrator.run.hints import hints_of
from orchestrator.run.place import CODE, SOURCE, Place
from tests.support import sample_logs, vendor_samples
from tests.support.machines import Known
from tests.support.vendor_programs import MPIRUN, STAND_IN

GPU, TWO, FOUR, EIGHT = (
    Target(device="gpu", gpus=tuple("abcdefgh"[:count])) for count in (1, 2, 4, 8)
)
CPU = Target(device="cpu")


# The part of PyTorch that hands out batches.
DATA_LOADER = """
class DataLoader:
    def __init__(self, data):
        self.data = data

    def __len__(self):
        return len(self.data)

    def __iter__(self):
        return iter(self.data)
"""

DLE_TF_INFERENCE = (
    vendor_samples.DLE_TF.replace(b"training_benchmark", b"inference_benchmark")
    .replace(b"GPUs 8", b"GPUs 1")
    .replace(b"train_throughput", b"eval_throughput")
)

# framework, model, entry, devices, changes of the request, log (or the name of one in tests/logs),
# throughput
CASES = [
    ("nvcnn", "resnet50", "nvcnn.py", TWO, {"batch": 8}, vendor_samples.NVCNN, None),
    (
        *("nvcnn", "vgg16", "nvcnn.py", TWO, {"dtype": "float16", "batch": 8}),
        *(vendor_samples.NVCNN.replace(b"resnet50", b"vgg16"), None),
    ),
    (
        *("nvtfcnn", "resnet50", "resnet.py", GPU, {"dtype": "float16", "batch": 16}),
        *(vendor_samples.NVTFCNN.replace(b"batch_size 8", b"batch_size 16"), 800 / 7),
    ),
    ("nvtfcnn", "resnet50", "resnet.py", FOUR, {"batch": 8}, "nvtfcnn-in-dlbs", 98.979795093),
    ("nvtfcnn", "vgg16", "vgg.py", FOUR, {}, None, None),
    (
        *("deeplearningexamples_tensorflow", "resnet50_v1.5", "main.py", FOUR),
        *({"dtype": "float16", "batch": 128, "options": {"xla": "on"}}, "dle-tf-wrapped"),
        1630.0625,
    ),
    (
        *("deeplearningexamples_tensorflow", "resnet50_v1.5", "main.py", GPU),
        *({"phase": "inference", "dtype": "float16", "batch": 256}, DLE_TF_INFERENCE, None),
    ),
    (
        *("deeplearningexamples_pytorch", "resnet50_v1.5", "main.py", GPU),
        *({"dtype": "float16", "batch": 96}, "dle-pytorch-2020", 119.5),
    ),
    (
        *("deeplearningexamples_pytorch", "resnet50_v1.5", "main.py", FOUR),
        *({"dtype": "float16", "batch": 640}, "dle-units-none", 9045.75),
    ),
    (
        *("deeplearningexamples_pytorch", "resnet50_v1.5", "main.py", FOUR),
        *({"phase": "inference"}, None, None),
    ),
    (
        *("deeplearningexamples_mxnet", "resnet50_v1.5", "runner", FOUR, {}),
        *(vendor_samples.DLE_MXNET, None),
    ),
    (
        *("horovod_tensorflow", "resnet50", "tensorflow2/tensorflow2_synthetic_benchmark.py"),
        *(FOUR, {}, vendor_samples.HOROVOD, 800),
    ),
    (
        *("horovod_pytorch", "resnet50_v1.5", "pytorch/pytorch_synthetic_benchmark.py"),
        *(EIGHT, {"options": {"fp16_allreduce": "on"}}, "horovod-tail", 3604),
    ),
    (
        *("horovod_pytorch", "resnet50_v1.5", "pytorch/pytorch_synthetic_benchmark.py"),
        *(CPU, {}, None, None),
    ),
    (
        *("pytorch_imagenet", "resnet18", "main.py", FOUR, {"batch": 64}),
        *("imagenet-2018", 256 / 1.25),
    ),
    ("pytorch_imagenet", "resnet18", "main.py", CPU, {"phase": "inference"}, None, None),
    (
        *("timm", "resnet50_v1.5", "benchmark.py", CPU),
        *({"phase": "inference", "steps": 5, "batch": 256}, vendor_samples.TIMM, None),
    ),
]


def release(source, *, xla):
    """Write what NVIDIA's TensorFlow examples say of their flags: no XLA before 2020."""
    cmdline = source / "nvutils" / "cmdline.py"
    cmdline.parent.mkdir(exist_ok=True)
    cmdline.write_text("p('--use_xla')\np('--no_xla')\n" if xla else "p('--precision')\n")


def make(tmp_path, framework, model, entry, target, **changes):
    """Plan a run on this host, with the stand-in where the program would be."""
    source = tmp_path / "source"
    for name in {entry, "resnet.py" if framework == "nvtfcnn" else entry, "multiproc.py"}:
        file = source / name
        file.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(STAND_IN, file)
    if framework == "nvtfcnn":
        release(source, xla=True)
    request = Request(
        model=model, framework=framework, source=source, **{"batch": 32, "steps": 100, **changes}
    )
    row = checks.framework_for(request, target.device)
    folder = RunFolder(tmp_path / "run")
    folder.make()
    place = Place(runtime="host", reason="test", python=sys.executable, code=tmp_path)
    return planner.make_plan(request, row, target, place, folder), folder


def start(tmp_path, plan, folder, log):
    """Run the launcher script; return its exit code."""
    folder.launcher.write_text(plan.script, encoding="utf-8")
    printed = tmp_path / "printed"
    printed.write_bytes(log)
    mpirun = tmp_path / "bin" / "mpirun"
    mpirun.parent.mkdir()
    mpirun.write_text(MPIRUN)
    mpirun.chmod(0o755)
    library = tmp_path / "torch" / "utils"
    library.mkdir(parents=True)
    (library / "data.py").write_text(DATA_LOADER)
    environment = {
        **os.environ,
        "PYTHONPATH": str(tmp_path),
        "PATH": f"{mpirun.parent}:{os.environ['PATH']}",
        "STAND_IN": plan.framework,
        "STAND_IN_LOG": str(printed),
    }
    return subprocess.run(["bash", folder.launcher], env=environment, check=False).returncode


@pytest.mark.slow
@pytest.mark.parametrize(
    ("framework", "model", "entry", "target", "changes", "log", "value"), CASES
)
def test_the_program_takes_our_arguments(
    tmp_path, framework, model, entry, target, changes, log, value
):
    plan, folder = make(tmp_path, framework, model, entry, target, **changes)
    if isinstance(log, str):
        log = sample_logs.log(log)
    code = start(tmp_path, plan, folder, log or b"")
    assert code == 0, folder.log.read_text()
    if log is None:
        return
    found = parse(plan.program, folder.log, hints_of(plan), exit_code=code)
    assert found.failure is None, found.failure
    if value is not None:
        assert found.metrics["throughput"].value == pytest.approx(value)


def test_the_stand_in_refuses_what_upstream_would(tmp_path, monkeypatch):
    monkeypatch.setattr(program_release, "check", lambda row, request: None)
    plan, folder = make(
        tmp_path, "timm", "vgg16", "benchmark.py", CPU, options={"flag.no-such-flag": "1"}
    )
    assert start(tmp_path, plan, folder, b"") == 2
    assert "unrecognized arguments: --no-such-flag=1" in folder.log.read_text()


@pytest.mark.slow
@pytest.mark.parametrize("target", [GPU, FOUR])
@pytest.mark.parametrize("spelling", ["syntetic", "synthetic", None])
@pytest.mark.parametrize(
    "options", [{}, {"loss_scale": "auto", "mixup": "0.2", "optimizer_batch": "2048"}]
)
def test_every_release_of_nvidias_pytorch_examples_takes_our_arguments(
    tmp_path, target, spelling, options
):
    row, model = "deeplearningexamples_pytorch", "resnet50_v1.5"
    plan, folder = make(tmp_path, row, model, "main.py", target, dtype="float16", options=options)
    if spelling is not None:
        loaders = tmp_path / "source" / "image_classification" / "dataloaders.py"
        loaders.parent.mkdir()
        loaders.write_text(f'DATA_BACKEND_CHOICES = ["pytorch", "{spelling}"]')
    assert start(tmp_path, plan, folder, b"") == 0, folder.log.read_text()


@pytest.mark.parametrize(("present", "told"), [(True, "1"), (False, None)])
def test_horovods_tensorflow_program_gets_the_keras_that_it_was_written_for(
    tmp_path, monkeypatch, present, told
):
    entry = "tensorflow2/tensorflow2_synthetic_benchmark.py"
    plan, folder = make(tmp_path, "horovod_tensorflow", "resnet50", entry, CPU)
    program = "import os; print(os.environ.get('TF_USE_LEGACY_KERAS'))"
    (tmp_path / "source" / entry).write_text(program)
    if present:
        (tmp_path / "tf_keras.py").touch()
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.delenv("TF_USE_LEGACY_KERAS", raising=False)
    assert start(tmp_path, plan, folder, b"") == 0
    assert folder.log.read_text() == f"{told}\n"


@pytest.mark.parametrize(
    ("xla", "option", "flag"),
    [(True, "off", " --no_xla"), (True, "on", " --use_xla"), (False, "off", "")],
)
def test_xla_is_told_to_the_releases_that_know_it(tmp_path, xla, option, flag):
    plan, folder = make(tmp_path, "nvtfcnn", "resnet50", "resnet.py", GPU, options={"xla": option})
    release(tmp_path / "source", xla=xla)
    (tmp_path / "source" / "resnet.py").write_text("import sys; print(*sys.argv[1:])  # --layers\n")
    assert start(tmp_path, plan, folder, b"") == 0
    assert folder.log.read_text().endswith(f"--precision=fp32 --display_every=10{flag}\n")


@pytest.mark.parametrize(("option", "doubts"), [("on", 0), ("off", 1)])
def test_a_program_that_compiles_with_xla_unasked_is_found_out(tmp_path, option, doubts):
    """Its release may spell the flag that turns XLA off in a way that ours does not find."""
    plan, folder = make(tmp_path, "nvtfcnn", "resnet50", "resnet.py", GPU, options={"xla": option})
    log = vendor_samples.NVTFCNN.replace(b"  --layers 50\n", b"  --layers 50\n  --use_xla True\n")
    assert start(tmp_path, plan, folder, log) == 0
    found = parse(plan.program, folder.log, hints_of(plan))
    assert sum("--use_xla True, but" in warning for warning in found.warnings) == doubts


@pytest.mark.parametrize(
    ("xla", "layers", "told"),
    [(False, True, "does not compile with XLA"), (True, False, "is not of TensorFlow 1")],
)
def test_a_release_that_cannot_do_it_says_so(tmp_path, xla, layers, told):
    plan, folder = make(tmp_path, "nvtfcnn", "resnet50", "resnet.py", GPU, options={"xla": "on"})
    release(tmp_path / "source", xla=xla)
    if not layers:
        (tmp_path / "source" / "resnet.py").write_text("parser.add_argument('--image_format')\n")
    assert start(tmp_path, plan, folder, b"") == 1
    assert told in folder.log.read_text()


def test_an_image_of_tensorflow_2_is_refused_for_a_program_of_tensorflow_1(tmp_path):
    image = "nvcr.io/nvidia/tensorflow:22.12-tf2-py3"
    with pytest.raises(
        RequestError, match=r"for TensorFlow 2, a different program.*; use an image"
    ):
        resolve("nvtfcnn", target=GPU, image=image)
    assert resolve("nvtfcnn", target=GPU, image=image.replace("tf2", "tf1")).name == "nvtfcnn"
    (tmp_path / "resnet.py").touch()
    own = resolve("nvtfcnn", target=GPU, image=image, source=tmp_path)
    assert own.name == "nvtfcnn", "the user's folder is not the image's"


def resolve(framework="tf_cnn_benchmarks", model="resnet50", target=CPU, **changes):
    return checks.framework_for(Request(model=model, framework=framework, **changes), target.device)


@pytest.fixture
def source(tmp_path):
    (tmp_path / "tf_cnn_benchmarks.py").touch()
    return tmp_path


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"model": "resnet5"}, "unknown model of tf_cnn_benchmarks 'resnet5'; did you mean"),
        ({"model": "deep_mnist"}, "unknown model of tf_cnn_benchmarks"),
        ({"options": {"xlaa": "on"}}, "unknown option of tf_cnn_benchmarks 'xlaa'; did you mean"),
        ({"options": {"xla": "maybe"}}, "xla cannot be 'maybe'; use one of on, off"),
        ({"options": {"flag.": "x"}}, "unknown option"),
        ({"source": Path("/absent")}, "--source /absent cannot be read"),
        ({"source": Path(__file__).parent}, "does not contain tf_cnn_benchmarks.py"),
        ({"source": None}, "needs the program's folder; point --source to a folder with tf_cnn"),
        ({"command": "x"}, "--command only works with -f custom"),
        (
            {"dtype": "float16"},
            "does not support training in float16 on the CPU; use one of float32",
        ),
        ({"framework": "timm", "model": "vgg16", "data": Path()}, "--data does not apply to timm"),
        ({"framework": "nvcnn", "warmup": 3, "target": GPU}, "always leaves out 20 steps"),
        ({"framework": "nvtfcnn", "steps": 5, "target": GPU}, "steps, got 5; use"),
        (
            {"framework": "horovod_tensorflow", "steps": 25},
            "25 is not a multiple of 10; use --steps 30",
        ),
        ({"framework": "pytorch", "source": Path()}, "--source does not apply"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_starts(source, changes, told):
    with pytest.raises(RequestError) as refused:
        resolve(**{"source": source, **changes})
    assert told in str(refused.value)
    assert len(str(refused.value).splitlines()) == 1


def test_the_users_image_is_thought_to_hold_the_program():
    row = resolve("nvcnn", target=GPU, image="nvcr.io/nvidia/tensorflow:18.04-py3")
    assert row.name == "nvcnn"
    with pytest.raises(RequestError, match="needs the program's folder"):
        resolve("nvcnn", target=GPU)
    with pytest.raises(RequestError, match="needs the program's folder"):
        resolve(image="me/tensorflow:1")  # no image has tf_cnn_benchmarks


def test_the_programs_folder_is_mounted_and_its_network_has_no_fingerprint(source, tmp_path):
    request = Request(
        model="vgg16", framework="tf_cnn_benchmarks", source=source, seed=3, steps=5,
        options={"flag.sync_on_finish": "true"},
    )  # fmt: skip
    place = Place(runtime="docker", reason="", python="python3", image="i", mount_code=True)
    row = checks.framework_for(request, "cpu")
    plan = planner.make_plan(request, row, CPU, place, RunFolder(tmp_path))
    assert plan.fingerprint is None
    mounts = {mount.target: mount for mount in plan.mounts}
    assert mounts[SOURCE].source == source
    assert mounts[SOURCE].read_only
    assert f"{CODE}/backends" not in mounts, "a program that is not ours needs no code"
    assert "PYTHONPATH" not in plan.script
    assert "--sync_on_finish=true" in plan.script
    assert plan.options["xla"] == "off"


def test_what_a_program_ignores_is_a_note(tmp_path):
    given, _ = make(tmp_path, "pytorch_imagenet", "resnet18", "main.py", GPU, warmup=2, seed=4)
    told = "\n".join(given.warnings)
    assert "ignores --warmup" in told
    assert "ignores --seed" in told
    assert "pytorch_imagenet's mean includes the first steps" in told


COUNTING = """
# using CPU, --dummy
import torch.utils.data as data

def main():
    batches = data.DataLoader(range(1000))
    print(len(batches), sum(1 for _ in batches), flush=True)

if __name__ == "__main__":
    main()
"""


@pytest.mark.parametrize(
    ("steps", "epoch", "counted"), [(3, "steps", 3), (2000, "steps", 1000), (3, "whole", 1000)]
)
def test_an_epoch_ends_after_the_steps_that_are_requested(tmp_path, steps, epoch, counted):
    plan, folder = make(
        tmp_path, "pytorch_imagenet", "resnet18", "main.py", CPU,
        steps=steps, options={"epoch": epoch},
    )  # fmt: skip
    (tmp_path / "source" / "main.py").write_text(COUNTING)
    assert start(tmp_path, plan, folder, b"") == 0
    assert folder.log.read_text() == f"{counted} {counted}\n"


IMAGES = """
# using CPU
import sys
import torch.utils.data as data
import torchvision.datasets as datasets

def main():
    sizes = [len(datasets.ImageFolder(part, transform=None)) for part in ("a/train", "a/val")]
    print(sys.argv[-1].startswith("/"), *sizes)
"""


def test_a_pytorch_example_that_needs_a_gpu_says_so(tmp_path):
    plan, folder = make(tmp_path, "pytorch_imagenet", "resnet18", "main.py", CPU)
    (tmp_path / "source" / "main.py").write_text(COUNTING.replace("using CPU", ""))
    assert start(tmp_path, plan, folder, b"") == 1
    assert folder.log.read_text().startswith("this main.py needs a GPU: give --source a release")


@pytest.mark.parametrize(("release", "told"), [("", "True 1281167 50000"), ("# --dummy", None)])
def test_a_pytorch_example_without_dummy_data_is_given_some(tmp_path, release, told):
    plan, folder = make(tmp_path, "pytorch_imagenet", "resnet18", "main.py", CPU, steps=3)
    program = "import sys\n" + COUNTING.replace("print(len", "print(sys.argv[-1], len")
    (tmp_path / "source" / "main.py").write_text((IMAGES if told else program) + release)
    package = tmp_path / "torchvision"
    package.mkdir()
    (package / "datasets.py").write_text("FakeData = lambda size, *_: range(size)\n")
    (package / "transforms.py").write_text("ToTensor = object\n")
    (package / "__init__.py").touch()
    assert start(tmp_path, plan, folder, b"") == 0, folder.log.read_text()
    assert folder.log.read_text() == f"{told or '--dummy 3 3'}\n"


def test_a_pytorch_example_without_dummy_data_wants_data_for_a_whole_epoch(tmp_path):
    plan, folder = make(
        tmp_path, "pytorch_imagenet", "resnet18", "main.py", CPU, options={"epoch": "whole"}
    )
    (tmp_path / "source" / "main.py").write_text(COUNTING.replace("--dummy", ""))
    assert start(tmp_path, plan, folder, b"") == 1
    assert "has no --dummy: give --data, or remove --option epoch=whole" in folder.log.read_text()


def custom(command, **changes):
    usual = {"framework": "custom", "model": "mine", "pattern": r"fps=(\S+)", "image": "me/x:1"}
    return resolve(**{**usual, "command": command, **changes})


@pytest.mark.parametrize(
    ("command", "changes", "told"),
    [
        (None, {}, "custom needs a command"),
        ("  ", {}, "--command is empty"),
        ("prog 'x", {}, "cannot be split into words: no closing quotation"),
        ("prog {btch}", {}, "unknown placeholder '{btch}'; did you mean 'batch'?"),
        ("prog {", {}, "unknown placeholder '{'"),
        ("prog {data}", {}, "unknown placeholder {data} in the command; use --data DIR"),
        ("prog {source}", {}, "unknown placeholder {source} in the command; use --source DIR"),
        ("prog", {"pattern": None}, "needs a pattern"),
        ("prog", {"pattern": "("}, "is not a regular expression"),
        ("prog", {"unit": "furlongs"}, "unknown unit 'furlongs'"),
        ("prog", {"model": "../x"}, "'../x' is not a valid model name"),
        ("prog", {"seed": 1}, "--seed does not apply"),
        ("prog", {"options": {"x": "y"}}, "unknown option of custom 'x'"),
    ],
)
def test_a_command_that_cannot_be_is_refused(command, changes, told):
    with pytest.raises(RequestError) as refused:
        custom(command, **changes)
    assert told in str(refused.value)


def test_the_users_command_gets_the_requested_values(tmp_path):
    request = Request(
        model="my.net", framework="custom", batch=7, steps=9, phase="inference", dtype="int8",
        source=tmp_path, pattern=r"fps=(\S+)", estimator="last",
        command="printf '%s\\n' 'fps={batch}0' '{{x}} $HOME' {model} {steps} {phase} {dtype} "
        "'{source}/a b' {devices}",
    )  # fmt: skip
    folder = RunFolder(tmp_path / "run")
    folder.make()
    place = Place(runtime="host", reason="", python="python3", code=tmp_path)
    row = checks.framework_for(request, "cpu")
    plan = planner.make_plan(request, row, CPU, place, folder)
    assert start(tmp_path, plan, folder, b"") == 0
    assert folder.log.read_text().splitlines() == [
        *("fps=70", "{x} $HOME", "my.net", "9", "inference", "int8", f"{tmp_path}/a b", "1")
    ]
    found = parse(plan.program, folder.log, hints_of(plan))
    assert found.metrics["throughput"].value == 70
    assert plan.warnings == ()


def test_a_command_without_steps_says_that_they_have_no_effect(tmp_path):
    request = Request(
        model="m", framework="custom", steps=9, warmup=1, pattern="(.)", command="p {warmup}"
    )
    place = Place(runtime="host", reason="", python="python3", code=tmp_path)
    row = checks.framework_for(request, "cpu")
    plan = planner.make_plan(request, row, CPU, place, RunFolder(tmp_path))
    assert plan.warnings == ("--steps has no effect: the command has no {steps}",)


CAFFE = """#!/bin/bash
if [[ $1 == --help ]]; then
  printf '    -iterations (The number.) type: int32\\n%s' "$CAFFE_FLAGS"
  exit 1
fi
echo "$@"
"""
PHASE = "    -phase (Optional; network phase) type: string\n"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("flags", "phase", "code", "told"),
    [
        (PHASE, "training", 0, "-phase=TRAIN"),
        (PHASE, "inference", 0, "-phase=TEST"),
        ("", "training", 0, "-iterations=100"),
        ("", "inference", 1, "use --phase training or a later image"),
    ],
)
def test_an_old_caffe_is_not_told_a_phase(tmp_path, monkeypatch, flags, phase, code, told):
    request = Request(
        model="deep_mnist", framework="caffe_time", phase=phase, batch=2, steps=100, gpus="none"
    )
    row = checks.framework_for(request, "cpu")
    folder = RunFolder(tmp_path / "run")
    folder.make()
    place = Place(runtime="host", reason="test", python=sys.executable, code=PROJECT)
    plan = planner.make_plan(request, row, CPU, place, folder)
    caffe = tmp_path / "bin" / "caffe"
    caffe.parent.mkdir()
    caffe.write_text(CAFFE)
    caffe.chmod(0o755)
    folder.launcher.write_text(plan.script)
    environment = {**os.environ, "PATH": f"{caffe.parent}:{os.environ['PATH']}"}
    environment["CAFFE_FLAGS"] = flags
    ended = subprocess.run(["bash", folder.launcher], env=environment, check=False)
    log = folder.log.read_text()
    assert ended.returncode == code, log
    assert log.strip().endswith(told)


@pytest.mark.parametrize(("option", "told"), [("off", ""), ("on", "--xla_compile ")])
def test_tf_cnn_benchmarks_is_given_xla_compile_only_if_it_is_asked_for(tmp_path, option, told):
    flags = tmp_path / "source" / "benchmark_cnn.py"
    flags.parent.mkdir()
    flags.write_text("flags.DEFINE_boolean('xla_compile', False, 'compile')")
    plan, folder = make(
        tmp_path, "tf_cnn_benchmarks", "resnet50", "tf_cnn_benchmarks.py", CPU,
        options={"xla_compile": option},
    )  # fmt: skip
    (tmp_path / "source" / "tf_cnn_benchmarks.py").write_text("import sys; print(*sys.argv[1:])")
    assert start(tmp_path, plan, folder, b"") == 0
    log = folder.log.read_text()
    assert told in log
    assert ("xla_compile" in log) is bool(told)


@pytest.mark.parametrize(
    ("target", "option", "told"),
    [(CPU, "on", True), (CPU, "off", False), (GPU, "on", False)],
)
def test_xla_is_told_to_compile_on_the_cpu_too(tmp_path, target, option, told):
    plan, _ = make(
        tmp_path, "tf_cnn_benchmarks", "resnet50", "tf_cnn_benchmarks.py", target,
        options={"xla": option},
    )  # fmt: skip
    assert ("export TF_XLA_FLAGS=--tf_xla_cpu_global_jit\n" in plan.script) is told


@pytest.mark.parametrize(
    ("program", "network", "burn_in"),
    [
        ("titles = {'alexnet': 1, 'alexnet_owt': 2}\np('--nstep_burnin')", "alexnet_owt", True),
        ("", "alexnet", False),
    ],
)
def test_nvcnn_is_asked_what_it_calls_a_network(tmp_path, program, network, burn_in):
    plan, folder = make(tmp_path, "nvcnn", "alexnet_owt", "nvcnn.py", TWO)
    words = "import sys; p = str; print(*sys.argv[1:])\n"
    (tmp_path / "source" / "nvcnn.py").write_text(words + program)
    assert start(tmp_path, plan, folder, b"") == 0
    told = folder.log.read_text().split()
    assert f"--model={network}" in told
    assert ("--nstep_burnin=20" in told) is burn_in


@pytest.mark.parametrize(
    ("image", "python"),
    [
        ("nvcr.io/nvidia/tensorflow:18.04-py2", "python"),
        ("nvcr.io/nvidia/tensorflow:17.12", "python"),
        ("nvcr.io/nvidia/tensorflow:18.04-py3", "python3"),
        ("me/mine:18.04-py2", "python3"),
    ],
)
def test_images_of_python_2_run_with_their_interpreter(tmp_path, image, python):
    row = resolve("nvcnn", target=GPU, image=image)
    place = Place(runtime="docker", reason="", python="python3", image=image)
    request = Request(model="resnet50", framework="nvcnn", image=image)
    plan = planner.make_plan(request, row, GPU, place, RunFolder(tmp_path))
    assert f"exec {python} /workspace/nvidia-examples/cnn/nvcnn.py" in plan.script


@pytest.mark.parametrize(
    ("framework", "model", "changes"),
    [
        ("caffe2", "resnet50", {}),
        ("caffe_time", "resnet50", {"options": {"fork": "nvidia"}}),
        ("tensorrt", "vgg16", {"phase": "inference", "options": {"release": "3"}}),
    ],
)
def test_our_code_is_refused_in_images_of_python_2(framework, model, changes):
    image = f"nvcr.io/nvidia/{framework}:18.05-py2"
    with pytest.raises(RequestError, match=r"18\.05-py2 has Python 2; use an image with -py3"):
        resolve(framework, model, GPU, image=image, **changes)


@pytest.mark.parametrize(
    ("framework", "model", "options", "share"),
    [
        ("pytorch", "resnet50", {}, True),
        ("tensorflow", "resnet50", {}, True),
        ("mxnet", "resnet50", {}, False),
        ("horovod_pytorch", "resnet18", {}, True),
        ("horovod_tensorflow", "resnet50", {}, True),
        ("nvtfcnn", "resnet50", {}, True),
        ("deeplearningexamples_pytorch", "resnet50_v1.5", {}, True),
        ("deeplearningexamples_tensorflow", "resnet50_v1.5", {}, True),
        ("pytorch_imagenet", "resnet18", {}, True),
        ("torchvision_references", "resnet18", {}, True),
        ("tf_cnn_benchmarks", "resnet50", {}, False),
        ("tf_cnn_benchmarks", "resnet50", {"variable_update": "horovod"}, True),
        ("nvcnn", "resnet50", {}, False),
    ],
)
def test_each_process_gets_its_share_of_the_cpus(
    tmp_path, monkeypatch, framework, model, options, share
):
    monkeypatch.setattr("os.sched_getaffinity", lambda _: set(range(20)))
    request = Request(model=model, framework=framework, source=tmp_path, options=options)
    row = catalogue.framework(framework)
    place = Place(runtime="docker", reason="", python="python3", image="i:1")
    plan = planner.make_plan(request, row, FOUR, place, RunFolder(tmp_path))
    assert f"OMP_NUM_THREADS={5 if share else 20} " in plan.script
    started = re.search(
        r"-np 4|nproc.per.node[= ]4|harness.ranks 4|multiprocessing-distributed", plan.script
    )
    assert bool(started) is share
    one = planner.make_plan(request, row, GPU, place, RunFolder(tmp_path))
    assert "OMP_NUM_THREADS=20 " in one.script
    asked = request.model_copy(update={"threads": 8})
    told = planner.make_plan(asked, row, FOUR, place, RunFolder(tmp_path))
    assert "OMP_NUM_THREADS=8 " in told.script
    crowded = "4 processes of 8 threads share 20 CPUs: they wait for each other"
    assert (crowded in told.warnings) is share


# The part of MXNet's example that makes data.
MADE_DATA = """
class SyntheticDataIter(object):
    def __init__(self, num_classes, data_shape, max_iter, dtype):
        self.max_iter = max_iter


def get_rec_iter(args):
    data_shape = (8, 3, 224, 224)
    return SyntheticDataIter(1000, data_shape, {batches}, None)
"""
TRAIN_IMAGENET = """
import sys
from common import data

if __name__ == "__main__":
    print(data.get_rec_iter(None).max_iter, *sys.argv[1:])
"""


@pytest.mark.parametrize(("batches", "made"), [("500", 25), ("7", 7)])
def test_an_old_mxnet_makes_as_many_batches_as_are_requested(tmp_path, batches, made):
    plan, folder = make(
        *(tmp_path, "mxnet_train_imagenet", "resnet50", "train_imagenet.py", CPU),
        steps=20, warmup=4,
    )  # fmt: skip
    common = tmp_path / "source" / "common"
    common.mkdir()
    (common / "__init__.py").touch()
    (common / "data.py").write_text(MADE_DATA.format(batches=batches))
    (tmp_path / "source" / "train_imagenet.py").write_text(TRAIN_IMAGENET)
    assert start(tmp_path, plan, folder, b"") == 0, folder.log.read_text()
    assert folder.log.read_text().startswith(f"{made} --network=resnet-v1 --num-layers=50 ")


def test_on_the_host_tensorflow_1_gives_way_to_packages_that_fit(tmp_path, monkeypatch):
    monkeypatch.setenv("BENCHDOCK_HOME", str(tmp_path))
    request = Request(model="resnet50", framework="tf_cnn_benchmarks", source=tmp_path)
    tmp_path.joinpath("tf_cnn_benchmarks.py").touch()
    place = places.planned_place(decide(request, Known()))
    assert "/tensorflow-cpu-" in place.python
