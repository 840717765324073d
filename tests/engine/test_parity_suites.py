"""The tests of the backends, `tests/parity`, run where their frameworks are: in the images."""

import subprocess
import sys
from pathlib import Path

import pytest

from orchestrator.paths import PROJECT
from tests.engine import in_image

pytestmark = [pytest.mark.engine, pytest.mark.timeout(1800)]

SUITES = {
    "test_pytorch.py": "pytorch-cpu",
    "test_tensorflow.py": "tensorflow-cpu",
    "test_mxnet.py": "mxnet-cpu",
    "test_caffe.py": "legacy-cpu",
    "test_onnx.py": "onnxruntime-cpu",
    "test_onnxruntime.py": "onnxruntime-cpu",
    "test_openvino.py": "openvino-cpu",
}


# Those of their tests that are marked `every_release`, in an image of an old one.
OLD = {"test_tensorflow.py": "tensorflow1-cpu"}
OLD_PYTHON = "3.7"


def install(folder, lock, python):
    """Install pytest, which the images do not have, for a Python and those after it."""
    subprocess.run(
        [
            sys.executable, "-m", "pip", "install", "--quiet", "--target", str(folder),
            "--require-hashes", "--no-deps", "--only-binary=:all:", f"--python-version={python}",
            "--implementation=py", "--abi=none", "--platform=any",
            "--requirement", str(Path(__file__).with_name(lock)),
        ],
        check=True,
    )  # fmt: skip
    return folder


@pytest.fixture(scope="module")
def runner(tmp_path_factory):
    return install(tmp_path_factory.mktemp("pytest"), "in-image.lock", "3.9")


def run_suite(image, runner, *words):
    done = in_image.run_module(
        image,
        *("pytest", "--confcutdir=tests/parity", "-p", "no:cacheprovider", *words),
        mounts=[f"{runner}:/pytest"],
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "skipped" not in done.stdout.splitlines()[-1], done.stdout


def test_no_suite_is_forgotten():
    here = {path.name for path in (PROJECT / "tests" / "parity").glob("test_*.py")}
    assert here == set(SUITES)


@pytest.mark.parametrize("suite", SUITES)
def test_it_passes_with_its_framework(engine, runner, suite):
    run_suite(in_image.ready(engine, SUITES[suite]), runner, f"tests/parity/{suite}")


@pytest.mark.parametrize("suite", OLD)
def test_it_passes_on_an_old_release(engine, tmp_path, suite):
    image = in_image.ready(engine, OLD[suite])
    runner = install(tmp_path / "pytest", f"in-image-{OLD_PYTHON}.lock", OLD_PYTHON)
    # What its own libraries warn of on an old Python is not ours.
    words = ("-m", "every_release", "-W", "default", f"tests/parity/{suite}")
    run_suite(image, runner, *words)
