"""`make bench-files` checks a folder of 1,000,000 images; exit status 1 above 300 MB of memory."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from orchestrator.paths import PROJECT
from tests.bench.pairs import report, seconds
from tests.support.datasets import jpeg

LARGEST = 300  # MB
PER_CLASS = 1000
# Not ru_maxrss, which a process inherits from its parent.
CHECK = """
import sys
from orchestrator.cli import main
status = main(sys.argv[1:])
print(*(line for line in open('/proc/self/status') if line.startswith('VmHWM')), status)
"""


def made(folder: Path, count: int) -> Path:
    """Make a folder of so many files, links to a few, 1,000 in each class."""
    image = jpeg(32, 32)
    for label in range(count // PER_CLASS):
        inside = folder / "images" / f"{label:04}"
        inside.mkdir(parents=True)
        paths = [inside / f"{number:08d}.jpg" for number in range(PER_CLASS)]
        # On ext4 a file has at most 65,000 names.
        if label % 50 == 0:
            first = paths.pop()
            first.write_bytes(image)
        for path in paths:
            os.link(first, path)
    return folder / "images"


def peak(images: Path) -> float:
    """Return the MB that checking a folder takes at most; insist that it finds no fault."""
    words = [sys.executable, "-c", CHECK, "data", "check", str(images)]
    told = subprocess.run(words, check=True, cwd=PROJECT, capture_output=True, text=True).stdout
    most, unit, status = told.split()[-3:]
    assert (unit, status) == ("kB", "0"), told
    return int(most) / 1024


def main() -> int:
    """Check as many files as the command line says."""
    count = int(sys.argv[1])
    with tempfile.TemporaryDirectory() as folder:
        images, most = made(Path(folder), count), 0.0

        def check() -> None:
            nonlocal most
            most = peak(images)

        took = seconds(check)
    print(f"      {count:,} files in {took:.0f} s")
    return 0 if report("memory of the check", most, LARGEST, "MB") else 1


if __name__ == "__main__":
    sys.exit(main())
