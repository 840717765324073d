"""Runs Python in a process whose NVML is the stand-in. One process cannot change its NVML."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
SOURCE = Path(__file__).with_name("nvml_stub.c")

TWO_GPUS = """\
driver=580.65.06
cuda=13000
count=2
*.name=NVIDIA H100 80GB HBM3
0.uuid=GPU-11111111-2222-3333-4444-555555555555
1.uuid=GPU-aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee
0.bus_id=00000000:1B:00.0
1.bus_id=00000000:43:00.0
*.capability=9.0
*.memory_total=85520809984
*.memory_used=12884901888
*.memory_reserved=633339904
*.power_limit=700000
*.sm_clock_max=1980
*.ecc=1
*.mig=0
*.utilisation=97
*.power=351234
*.temperature=64
*.sm_clock=1755
*.energy=123456789
*.reasons=0x4
"""
FIRST, SECOND = (
    "GPU-11111111-2222-3333-4444-555555555555",
    "GPU-aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee",
)


@dataclass(frozen=True)
class Stub:
    """A built stand-in and the file of its answers."""

    folder: Path
    answers: Path

    @classmethod
    def build(cls, folder: Path, *flags: str) -> Stub:
        """Compile it. Raises CalledProcessError."""
        library = folder / "libnvidia-ml.so.1"
        command = ["cc", "-shared", "-fPIC", "-O1", "-D_DEFAULT_SOURCE", *flags]
        command += ["-Wl,-soname,libnvidia-ml.so.1", "-o", str(library), str(SOURCE)]
        subprocess.run(command, check=True)
        return cls(folder, folder / "answers.txt")

    def answer(self, text: str) -> None:
        """Replace all answers at once."""
        aside = self.answers.with_suffix(".new")
        aside.write_text(text)
        aside.replace(self.answers)

    def python(self, code: str) -> str:
        """Run a piece of Python and return what it printed."""
        environment = os.environ | {
            "LD_LIBRARY_PATH": str(self.folder),
            "NVML_STUB": str(self.answers),
            "PYTHONPATH": str(ROOT),
        }
        command = [sys.executable, "-c", code]
        done = subprocess.run(
            command, env=environment, capture_output=True, text=True, check=False, cwd=self.folder
        )
        assert done.returncode == 0, done.stderr
        return done.stdout
