"""benchdock as users have it: a wheel, in a separate environment."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[1]
# A program: prints the labels of the images that are built here.
LABELS = """
import json
from orchestrator.images import digests, image_table
table = image_table.load()
rows = [row for row in table.images.values() if row.source == "build"]
print(json.dumps({row.id: digests.labels(row, table) for row in rows}))
"""


def build_wheel(folder: Path) -> Path:
    """Build the wheel of this checkout into a folder, without a network."""
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(command, cwd=CHECKOUT, check=True, capture_output=True)
    [wheel] = folder.glob("*.whl")
    return wheel


def install(wheel: Path, environment: Path) -> Path:
    """Make an environment with the wheel and return its `benchdock`.

    The packages that benchdock needs are those of the running tests: nothing is downloaded. They
    are named last on the path, so that what the environment has itself comes first.
    """
    venv.create(environment, symlinks=True)
    python = environment / "bin" / "python"
    needed = sysconfig.get_path("purelib")
    # A .pth in that folder would bring the checkout along; those of a folder named here are unread.
    (site_packages(environment) / "needed.pth").write_text(f"{needed}\n", encoding="utf-8")
    subprocess.run(
        [
            *(sys.executable, "-m", "pip", "--python", python, "install", "--quiet"),
            *("--no-deps", "--no-index", "--ignore-installed", wheel),
        ],
        check=True,
        capture_output=True,
    )
    return environment / "bin" / "benchdock"


def site_packages(environment: Path) -> Path:
    """Return the folder of an environment's packages."""
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    return environment / "lib" / version / "site-packages"


def run(program: Path, *words: str | Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run a program of an environment from `/`, as far from the checkout as can be."""
    surroundings = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    return subprocess.run(
        [program, *words],
        cwd="/",
        env={**surroundings, **variables},
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
