"""An image so small that it is built in seconds: a framework that is one wheel made here."""

import base64
import hashlib
import shutil
import subprocess
import zipfile
from pathlib import Path

import pytest

from orchestrator import paths
from orchestrator.images import digests
from orchestrator.runtimes.docker.client import Engine

BASE = "debian:bookworm-slim"
ROW = """
[image.{id}]
framework = "tiny"
version = "1.0"
device = "cpu"
source = "build"
base = "debian:bookworm-slim"
python = "3.11"
machines = ["x86_64", "aarch64"]
lock = "requirements.lock"
"""
TABLE = (
    """
schema = 1
pip = "{pip}"
[base."debian:bookworm-slim"]
suite = "bookworm"
python = "3.11"
glibc = "2.36"
"""
    + ROW
)


def write_recipe(folder: Path) -> None:
    """Write the folder of an image: the real Dockerfile of PyTorch, and pins of the tiny wheel."""
    folder.mkdir()
    shutil.copy(paths.DOCKERFILES / "pytorch-cpu" / "Dockerfile", folder)
    (folder / "requirements.lock").write_text("tiny==1.0\n")


def write_wheels(folder: Path) -> str:
    """Write the wheels that the image is built from; return the version of pip."""
    pip = bundled_pip()
    folder.mkdir()
    shutil.copy(pip, folder)
    make_wheel(folder / "tiny-1.0-py3-none-any.whl")
    return pip.name.split("-")[1]


def skip_unless_it_can_be_built(engine: Engine) -> None:
    """Skip the test if something is missing here."""
    if shutil.which("docker") is None:
        pytest.skip("no docker command here, which this test runs and cleans up with")
    if engine.image(BASE) is None:
        pytest.skip(f"no {BASE} here: `make base-images` makes it")


def bundled_pip() -> Path:
    """Return the pip wheel that Python carries for ensurepip."""
    import ensurepip

    found = sorted((Path(ensurepip.__file__).parent / "_bundled").glob("pip-*.whl"))
    if not found:
        pytest.skip("this Python bundles no pip wheel (a distribution's Python)")
    return found[0]


def make_wheel(path: Path) -> None:
    """Write a wheel with the folders that the Dockerfile of PyTorch removes."""
    info = "tiny-1.0.dist-info"
    files = {
        "torch/__init__.py": "NAME = 'tiny'\n",
        "torch/test/x": "x",
        "torch/include/x": "x",
        f"{info}/METADATA": "Metadata-Version: 2.1\nName: tiny\nVersion: 1.0\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = [f"{name},sha256={digest(text)},{len(text)}" for name, text in files.items()]
    files[f"{info}/RECORD"] = "\n".join([*record, f"{info}/RECORD,,"]) + "\n"
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)


def digest(text: str) -> str:
    raw = hashlib.sha256(text.encode()).digest()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def remove_all(image_id: str) -> None:
    """Remove every build of an image that tests made, and what failed ones left."""
    own = f"--filter=label={digests.IMAGE}={image_id}"
    named = f"--filter=reference=benchdock/{image_id}*"
    for chosen in (named, own):
        listed = ["docker", "images", "--format={{.Repository}}:{{.Tag}} {{.ID}}", chosen]
        told = subprocess.run(listed, capture_output=True, text=True, check=True).stdout
        names = [line.split()["<none>" in line] for line in told.splitlines()]
        if names:
            # Some of them go with others of them; then the command complains.
            subprocess.run(["docker", "rmi", "--force", *names], capture_output=True, check=False)
