"""Runs benchdock on a machine of the stand-in: `python -m tests.nvml.on_machine NAME WORDS`.

python -m tests.nvml.on_machine 8xV100 doctor
python -m tests.nvml.on_machine A100-MIG run resnet50 -f pytorch --gpus 0:2 --dry-run
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.nvml import machines
from tests.nvml.stub import ROOT, Stub


def slices(*sizes: str) -> str:
    """Return the parts of GPU 0; a part of "" is a gap in the numbers."""
    lines = f"0.mig=1\n0.mig_count={len(sizes)}\n"
    for i, size in enumerate(sizes):
        if size:
            lines += f"0.mig{i}.uuid=MIG-{i:08d}-0000-0000-0000-000000000000\n"
            lines += f"0.mig{i}.name=NVIDIA A100-SXM4-80GB MIG {size}\n"
            lines += f"0.mig{i}.memory_total={int(size[0]) * 10 * 2**30}\n"
            lines += f"0.mig{i}.memory_used=20000000\n"
    return lines


MACHINES = {
    "8xV100": machines.V100,
    "A100-MIG": machines.A100 + "count=2\n" + slices("3g.40gb", "", "1g.10gb"),
    "H200": machines.H200 + "count=1\n",
    "mismatch": "init=!18\n",
    "lost": machines.H200 + "count=2\n1.handle=!15\n",
}


def run(name: str, words: list[str]) -> subprocess.CompletedProcess[str]:
    """Run benchdock on one of the machines."""
    with tempfile.TemporaryDirectory() as folder:
        stub = Stub.build(Path(folder))
        stub.answer(MACHINES[name])
        environment = {"LD_LIBRARY_PATH": folder, "NVML_STUB": str(stub.answers)}
        return subprocess.run(
            [sys.executable, "-m", "orchestrator", *words],
            env=os.environ | environment | {"COLUMNS": "200"},
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )


if __name__ == "__main__":
    done = run(sys.argv[1], sys.argv[2:])
    print(done.stdout, end="")
    print(done.stderr, end="", file=sys.stderr)
    sys.exit(done.returncode)
