"""mypy compares every backend with `backends/harness/contract.pyi`: a breach is found."""

import os
import re
import subprocess
import sys

import pytest

from orchestrator.frameworks.catalogue import OURS
from orchestrator.paths import PROJECT
from tests.parity.table import ROWS

BACKENDS = sorted(
    path.parent.name
    for path in (PROJECT / "backends").glob("*/__main__.py")
    if "program.main(" in path.read_text(encoding="utf-8")
)
# Backend -> what is changed in its step.py, and what mypy says of it.
BREACHES = {
    "caffe2": (r"def shapes\(graph: \"Graph\"\)", "def forms(graph)", "shapes"),
    "openvino": (r"def version\(\) -> str:", "def version() -> int:", "version"),
    "onnxruntime": (r"def self_check\(\)", "def self_check(graph: int)", "self_check"),
}


def checked(tmp_path, *arguments):
    """What mypy says of the programs of all backends."""
    programs = [str(PROJECT / "backends" / name / "__main__.py") for name in BACKENDS]
    done = subprocess.run(
        [
            sys.executable, "-m", "mypy", f"--config-file={PROJECT / 'tests' / 'mypy.ini'}",
            f"--cache-dir={tmp_path / 'cache'}", *arguments, *programs,
        ],
        cwd=PROJECT, env=os.environ, capture_output=True, text=True, check=False,
    )  # fmt: skip
    return done.stdout


def test_every_backend_of_ours_is_compared():
    assert {"pytorch", "bvlc_caffe", "intel_caffe", "openvino"} <= set(BACKENDS)


@pytest.mark.slow
def test_a_breach_of_the_contract_is_found(tmp_path):
    shadows = []
    for name, (old, new, _) in BREACHES.items():
        path = PROJECT / "backends" / name / "step.py"
        text, count = re.subn(old, new, path.read_text(encoding="utf-8"))
        assert count == 1, name
        (tmp_path / f"{name}.py").write_text(text, encoding="utf-8")
        shadows += ["--shadow-file", str(path), str(tmp_path / f"{name}.py")]
    said = checked(tmp_path, *shadows)
    for name in BACKENDS:
        mine = "\n".join(re.findall(rf"^backends/{name}/__main__\.py:.*", said, re.MULTILINE))
        assert (name in BREACHES) == ("incompatible type Module" in mine), said
        if name in BREACHES:
            assert BREACHES[name][2] in mine, said


def test_the_table_of_conformance_has_every_backend_and_its_image():
    found = {row.framework: row.image for name, row in ROWS.items() if name == row.framework}
    assert found == {row.name: row.images["cpu"] for row in OURS if "cpu" in row.images}
