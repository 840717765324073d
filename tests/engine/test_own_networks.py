"""Users' ONNX files and prototxt, good and bad, in the real images of their frameworks."""

import json
import os
import shutil
import subprocess
import sys

import pytest

from orchestrator import paths
from orchestrator.frameworks.catalogue import framework
from orchestrator.images import image_table
from orchestrator.parsers import parse
from tests import own_files

pytestmark = [pytest.mark.engine, pytest.mark.timeout(1800)]

# Every file in the folder through the in-image program, each with a log of its own.
EVERY_FILE = """
export PYTHONPATH=/opt/benchdock${PYTHONPATH:+:$PYTHONPATH} PYTHONFAULTHANDLER=1
for file in /files/*; do
  python3 -m backends.%s --model=x --model-file="$file" --phase=%s --dtype=float32 --batch=4 \
    --device=cpu --steps=2 --warmup=1 --warmup-seconds=0 >"/logs/$(basename "$file").log" 2>&1
  echo $? >"/logs/$(basename "$file").status"
done
"""


@pytest.fixture(scope="module")
def home(engine, tmp_path_factory):
    """A home for the runs, with the wheels of the real one."""
    folder = tmp_path_factory.mktemp("home")
    wheels = paths.home() / "wheels"
    wheels.mkdir(parents=True, exist_ok=True)
    (folder / "wheels").symlink_to(wheels)
    return folder


def run(home, path, name, *words):
    done = subprocess.run(
        [
            sys.executable, "-m", "orchestrator", "run", str(path), "-f", name, "--gpus=none",
            "--runtime=docker", "--steps=3", "--warmup=1", "--json", *words,
        ],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "BENCHDOCK_HOME": str(home)},
    )  # fmt: skip
    assert done.returncode in (0, 1, 2, 3), done.stderr
    return done.returncode, json.loads(done.stdout) if done.stdout else None, done.stderr


def every_file(tmp_path, name, phase, contents):
    """Return what our parser makes of each file's log, and the exit status, by the file's name."""
    files, logs = tmp_path / "files", tmp_path / "logs"
    for folder in (files, logs):
        folder.mkdir()
        folder.chmod(0o777)
    for file, content in contents.items():
        (files / file).write_bytes(content)
    tag = image_table.load().row(framework(name).images["cpu"]).tag
    subprocess.run(
        [
            "docker", "run", "--rm", "--network=none", "-v", f"{files}:/files:ro",
            "-v", f"{logs}:/logs", "-v", f"{paths.BACKENDS}:/opt/benchdock/backends:ro",
            tag, "bash", "-c", EVERY_FILE % (name, phase),
        ],
        check=True,
    )  # fmt: skip
    found = {}
    for file in contents:
        status = int((logs / f"{file}.status").read_text())
        with (logs / f"{file}.log").open("rb") as log:
            found[file] = (status, parse("benchdock", log, exit_code=status))
    return found


def check(found, file, kind, words):
    status, measured = found[file]
    if kind is None:
        assert (status, measured.failure) == (0, None)
        assert measured.metrics["throughput"].value > 0
        assert measured.begin.batch == 4
        assert measured.begin.parameters > 0
        return
    failure = measured.failure
    assert (status, failure.kind) == (1, kind)
    assert failure.message.startswith(f"{file} ")
    assert words in failure.message
    assert failure.evidence.startswith('::benchdock {"event": "error"')


@pytest.mark.parametrize("name", ["onnxruntime", "openvino"])
def test_a_good_onnx_file_is_measured_as_a_user_types_it(home, tmp_path, name):
    path = tmp_path / "my net.onnx"
    path.write_bytes(own_files.onnx())
    status, result, err = run(home, path, name, "--phase=inference", "--batch=5")
    assert status == 0, err
    assert result["fingerprint"].startswith("file:")
    assert result["fingerprint"] == result["plan"]["fingerprint"]
    assert result["program"]["model"] == "my net.onnx"
    assert result["program"]["batch"] == 5
    assert result["plan"]["model"] == "my_net"


@pytest.mark.parametrize("name", ["onnxruntime", "openvino"])
def test_each_onnx_file_ends_as_it_should(home, tmp_path, name):
    contents = {file: content for file, (content, _, _) in own_files.ONNX_FILES.items()}
    found = every_file(tmp_path, name, "inference", contents)
    for file, (_, kind, words) in own_files.ONNX_FILES.items():
        check(found, file, kind, words)


def test_weights_beside_an_onnx_file_are_taken_along(home, tmp_path):
    path = tmp_path / "big.onnx"
    weights = own_files.tensor("w", (4, 3, 3, 3), *own_files.elsewhere("big.onnx.data"))
    path.write_bytes(own_files.onnx(weights=weights))
    status, result, _ = run(home, path, "onnxruntime", "--phase=inference")
    assert (status, result["failure"]["kind"]) == (1, "data")
    assert "big.onnx.data, which is not beside it" in result["failure"]["message"]
    path.with_name("big.onnx.data").write_bytes(b"\0" * 432)
    status, result, err = run(home, path, "onnxruntime", "--phase=inference")
    assert status == 0, err
    assert result["program"]["parameters"] == 108


@pytest.mark.parametrize("phase", ["inference", "training"])
def test_each_prototxt_ends_as_it_should(home, tmp_path, phase):
    files = {f"{name}.prototxt": case for name, case in own_files.PROTOTXT_FILES.items()}
    contents = {file: content for file, (content, _, _) in files.items()}
    found = every_file(tmp_path, "bvlc_caffe", phase, contents)
    for file, (_, inference, training) in files.items():
        check(found, file, *(inference if phase == "inference" else training))


@pytest.mark.parametrize("phase", ["inference", "training"])
def test_a_good_prototxt_is_measured_as_a_user_types_it(home, tmp_path, phase):
    path = tmp_path / "mine.prototxt"
    path.write_bytes(own_files.PROTOTXT_FILES["train"][0])
    status, result, err = run(home, path, "caffe", f"--phase={phase}")
    assert status == 0, err
    assert result["program"]["batch"] == 10  # the file's: none was requested
    assert result["metrics"]["throughput"]["value"] > 0
    assert ("loss" in result["metrics"]) == (phase == "training")


@pytest.mark.parametrize(
    ("old", "new", "kind", "words"),
    [
        ("kernel_size: 3", "kernel_size: 30", "crashed", "Check failed: shape"),
        ('bottom: "c" top: "fc"', 'bottom: "gone" top: "fc"', "data", "Unknown bottom blob 'gone'"),
    ],
)
def test_what_caffe_refuses_itself_is_proven_by_glogs_line(home, tmp_path, old, new, kind, words):
    text = own_files.PROTOTXT_FILES["deploy"][0].decode()
    assert old in text
    path = tmp_path / "mine.prototxt"
    path.write_text(text.replace(old, new))
    status, result, err = run(home, path, "caffe", "--phase=inference")
    assert (status, result["failure"]["kind"]) == (1, kind)
    assert result["failure"]["evidence"].startswith("F")
    assert words in result["failure"]["evidence"]
    assert err.splitlines()[-1].startswith("benchdock: ")


def test_a_framework_that_is_not_in_the_image(home):
    tag = image_table.load().row("onnxruntime-cpu").tag
    status, result, _ = run(home, "deep_mnist", "pytorch", f"--image={tag}")
    assert (status, result["failure"]["kind"]) == (3, "image")
    assert result["failure"]["evidence"] == "ModuleNotFoundError: No module named 'torch'"


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash to make an image of")
def test_an_image_without_python_and_one_without_bash(home, engine, tiny):
    from tests import misbehaving

    with misbehaving.image(engine, python=False) as tag:
        status, result, _ = run(home, "deep_mnist", "pytorch", f"--image={tag}")
    assert (status, result["failure"]["kind"]) == (3, "image")
    assert "python3: not found" in result["failure"]["evidence"]
    status, result, _ = run(home, "deep_mnist", "pytorch", f"--image={tiny}")
    assert (status, result["failure"]["kind"]) == (3, "image")
    assert "bash" in result["failure"]["evidence"]
