"""What `doctor` and `run` say on machines of the stand-in of NVML."""

import json
import shutil

import pytest

from tests.nvml.on_machine import MACHINES, run

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler to build the stand-in"),
]
GPU_1 = "GPU-00000001-0000-0000-0000-000000000000"
EXPECTED = {
    "8xV100": {
        "NVIDIA driver": ("ok", "450.119.03"),
        "GPU 7": ("ok", "Tesla V100-SXM2-16GB, compute capability 7.0"),
    },
    "A100-MIG": {
        "GPU 0": (
            "warning",
            "a run sees one part (0:0 3g.40gb, 0:2 1g.10gb), whose load is unknown",
        ),
        "GPU 1": ("ok", "NVIDIA A100-SXM4-80GB"),
    },
    "H200": {"GPU 0": ("ok", "NVIDIA H200, compute capability 9.0")},
    "mismatch": {"NVIDIA driver": ("missing", "library and kernel module have different versions")},
    "lost": {
        "GPU 0": ("ok", "NVIDIA H200"),
        "lost GPU": ("missing", "GPU 1 does not answer: GPU is lost"),
    },
}


@pytest.mark.parametrize("name", MACHINES)
def test_doctor_describes_the_gpus(name, monkeypatch, tmp_path):
    monkeypatch.setenv("BENCHDOCK_HOME", str(tmp_path))
    found = {
        one["name"]: one for one in json.loads(run(name, ["doctor", "--json"]).stdout)["findings"]
    }
    for what, (state, told) in EXPECTED[name].items():
        assert (found[what]["state"], told in found[what]["detail"]) == (state, True), found[what]
        assert found[what]["remedy"] or state == "ok"


@pytest.mark.parametrize(
    ("name", "gpus", "told"),
    [
        ("A100-MIG", "0", "GPU 0 is partitioned (MIG), so CUDA cannot use it as a whole"),
        ("A100-MIG", "0:1", "this machine has no GPU 0:1; it has 1, 0:0, 0:2"),
        ("A100-MIG", "0:2", "MIG-00000002-0000-0000-0000-000000000000"),
        ("A100-MIG", "all", GPU_1),
        ("8xV100", "all", "device count    8"),
        ("mismatch", "0", "no GPU can be used: the NVIDIA driver's library and kernel module"),
        ("lost", "all", "GPU 1 does not answer: GPU is lost; it is left out"),
    ],
)
def test_a_dry_run_says_which_gpus(name, gpus, told, monkeypatch, tmp_path):
    monkeypatch.setenv("BENCHDOCK_HOME", str(tmp_path))
    words = ["run", "resnet50", "-f", "pytorch", "--gpus", gpus, "--dry-run"]
    done = run(name, words)
    assert told in done.stdout + done.stderr
