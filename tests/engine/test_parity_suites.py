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


@pytest.fixture(scope="module")
def runner(tmp_path_factory):
    """A folder with pytest, which the images do not have, for any Python they have."""
    folder = tmp_path_factory.mktemp("pytest")
    lock = Path(__file__).with_name("in-image.lock")
    subprocess.run(
        [
            sys.executable, "-m", "pip", "install", "--quiet", "--target", str(folder),
            "--require-hashes", "--no-deps", "--only-binary=:all:", "--python-version=3.9",
            "--implementation=py", "--abi=none", "--platform=any", "--requirement", str(lock),
        ],
        check=True,
    )  # fmt: skip
    return folder


def test_no_suite_is_forgotten():
    here = {path.name for path in (PROJECT / "tests" / "parity").glob("test_*.py")}
    assert here == set(SUITES)


@pytest.mark.parametrize("suite", SUITES)
def test_it_passes_where_its_framework_is(engine, runner, suite):
    done = in_image.run_module(
        in_image.ready(engine, SUITES[suite]),
        *("pytest", "--confcutdir=tests/parity", "-p", "no:cacheprovider", f"tests/parity/{suite}"),
        mounts=[f"{runner}:/pytest"],
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "skipped" not in done.stdout.splitlines()[-1], done.stdout
