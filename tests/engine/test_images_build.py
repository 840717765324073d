"""Images built by a real engine: a tiny framework upon the real Dockerfile."""

import hashlib
import shutil
import subprocess
import zipfile
from pathlib import Path

import pytest

from orchestrator import paths
from orchestrator.errors import ImageError
from orchestrator.images import digests, image_table, store
from orchestrator.images.store import Policy

pytestmark = pytest.mark.engine

BASE = "debian:bookworm-slim"
ROW = """
schema = 1
pip = "{pip}"
[base."debian:bookworm-slim"]
suite = "bookworm"
python = "3.11"
glibc = "2.36"
[image.test-tiny]
framework = "tiny"
version = "1.0"
device = "cpu"
source = "build"
base = "debian:bookworm-slim"
python = "3.11"
machines = ["x86_64", "aarch64"]
lock = "requirements.lock"
"""


@pytest.fixture
def place(engine, tmp_path, monkeypatch):
    """A project with one image, whose only package is a wheel made here."""
    if shutil.which("docker") is None:
        pytest.skip("no docker command here, which this test runs and cleans up with")
    if engine.image(BASE) is None:
        pytest.skip(f"no {BASE} here: `make base-images` makes it")
    pip = bundled_pip()
    wheels = tmp_path / "wheels"
    wheels.mkdir()
    (wheels / pip.name).write_bytes(pip.read_bytes())
    make_wheel(wheels / "tiny-1.0-py3-none-any.whl")
    dockerfiles = tmp_path / "dockerfiles"
    (dockerfiles / "test-tiny").mkdir(parents=True)
    real = (paths.DOCKERFILES / "pytorch-cpu" / "Dockerfile").read_text()
    (dockerfiles / "test-tiny" / "Dockerfile").write_text(real)
    (dockerfiles / "test-tiny" / "requirements.lock").write_text("tiny==1.0\n")
    last_layers = (paths.DOCKERFILES / "backends.Dockerfile").read_text()
    (dockerfiles / "backends.Dockerfile").write_text(last_layers)
    backends = tmp_path / "backends" / "tiny"
    backends.mkdir(parents=True)
    (backends.parent / "__init__.py").write_text("")
    (backends / "__init__.py").write_text("")
    (backends / "__main__.py").write_text(
        "import pathlib, torch\n"
        "(pathlib.Path.home() / 'left').mkdir()\n"
        "print('checked', torch.NAME)\n"
    )
    monkeypatch.setattr(paths, "DOCKERFILES", dockerfiles)
    monkeypatch.setattr(paths, "BACKENDS", backends.parent)
    monkeypatch.setenv("BENCHDOCK_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("PIP_FIND_LINKS", str(wheels))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("BENCHDOCK_BUILD_NETWORK", "none")
    table = image_table.read(ROW.format(pip=pip.name.split("-")[1]), name="images.toml")
    yield table, backends.parent
    remove_all(table.row("test-tiny"))


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
    import base64

    raw = hashlib.sha256(text.encode()).digest()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def remove_all(row):
    """Remove every build of an image that tests made, and what failed ones left."""
    own = f"--filter=label={digests.IMAGE}={row.id}"
    named = f"--filter=reference={row.repository}*"
    for chosen in (named, own):
        listed = ["docker", "images", "--format={{.Repository}}:{{.Tag}} {{.ID}}", chosen]
        told = subprocess.run(listed, capture_output=True, text=True, check=True).stdout
        names = [line.split()["<none>" in line] for line in told.splitlines()]
        if names:
            # Some of them go with others of them; then the command complains.
            subprocess.run(["docker", "rmi", "--force", *names], capture_output=True, check=False)


def run(image, *argv, user="12345:12345"):
    command = ["docker", "run", "--rm", "--network=none", "--cap-drop=ALL", f"--user={user}"]
    return subprocess.run(
        [*command, image, *argv], capture_output=True, text=True, check=True
    ).stdout.strip()


def test_build_use_rebuild_and_refuse(place, engine):
    table, backends = place
    row = table.row("test-tiny")
    lines = []

    def tell(event):
        lines.append(event.text)

    assert store.ensure(row, table, engine, Policy.AUTO, tell).did == "built"
    assert "checked tiny" in lines
    name = store.name_of(row, table)
    found = engine.image(name)
    assert found.id == engine.image(row.tag).id
    assert found.labels["benchdock.image"] == "test-tiny"
    assert store.ensure(row, table, engine, Policy.NEVER, tell).did == "found"

    said = run(name, "python3", "-c", "import getpass, torch; print(torch.NAME, getpass.getuser())")
    assert said == "tiny benchdock"
    assert run(name, "ls", "-A", "/tmp") == ""
    assert run(
        name, "sh", "-c", "ls /opt/fw/torch /wheels 2>/dev/null; command -v pip; true"
    ).split() == ["/opt/fw/torch:", "__init__.py", "__pycache__"]

    lines.clear()
    (backends / "tiny" / "__main__.py").write_text("import torch\nprint('again', torch.NAME)\n")
    with pytest.raises(ImageError, match="only another build of it: it holds other benchmark"):
        store.ensure(row, table, engine, Policy.NEVER, tell)
    assert store.ensure(row, table, engine, Policy.AUTO, tell).did == "built"
    assert "again tiny" in lines
    assert not any("pip install" in line for line in lines)


def test_a_self_check_that_fails_fails_the_build_with_its_last_lines(place, engine):
    table, backends = place
    row = table.row("test-tiny")
    (backends / "tiny" / "__main__.py").write_text("raise SystemExit('alexnet has 7 layers')\n")
    with pytest.raises(ImageError, match=r"step \d+/\d+ \(RUN .*self-check") as caught:
        store.ensure(row, table, engine, Policy.AUTO, lambda event: None)
    assert any("alexnet has 7 layers" in line for line in caught.value.details)
    assert engine.image(row.tag) is None


def test_the_real_cpu_image_imports_its_framework(engine):
    table = image_table.load()
    row = table.row("pytorch-cpu")
    name = store.name_of(row, table)
    if engine.image(name) is None:
        pytest.skip(f"no {name} here: `benchdock images build {row.id}` makes it")
    said = run(name, "python3", "-c", "import numpy, torch; print(torch.__version__)")
    assert said == f"{row.version}+cpu"
