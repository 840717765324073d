"""Images built by a real engine: a tiny framework with the real Dockerfile."""

import shutil
import subprocess

import pytest

from orchestrator import paths
from orchestrator.errors import ImageError
from orchestrator.images import image_table, store
from orchestrator.images.store import Policy
from tests.engine import tiny_image

pytestmark = pytest.mark.engine


@pytest.fixture
def place(engine, tmp_path, monkeypatch):
    """A project with one image, whose only package is a wheel made here."""
    tiny_image.skip_unless_it_can_be_built(engine)
    wheels = tmp_path / "wheels"
    pip = tiny_image.write_wheels(wheels)
    dockerfiles = tmp_path / "dockerfiles"
    dockerfiles.mkdir()
    tiny_image.write_recipe(dockerfiles / "test-tiny")
    shutil.copy(paths.DOCKERFILES / "backends.Dockerfile", dockerfiles)
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
    text = tiny_image.TABLE.format(pip=pip, id="test-tiny")
    yield image_table.read(text, name="images.toml"), backends.parent
    tiny_image.remove_all("test-tiny")


def run(image, *argv, user="12345:12345"):
    command = ["docker", "run", "--rm", "--network=none", "--cap-drop=ALL", f"--user={user}"]
    return subprocess.run(
        [*command, image, *argv], capture_output=True, text=True, check=True
    ).stdout.strip()


def test_build_use_rebuild_and_refuse(place, engine):
    table, backends = place
    image = table.image("test-tiny")
    lines = []

    def tell(event):
        lines.append(event.text)

    assert store.ensure(image, table, engine, Policy.AUTO, tell).did == "built"
    assert "checked tiny" in lines
    name = store.name_of(image, table)
    found = engine.image(name)
    assert found.id == engine.image(image.tag).id
    assert found.labels["benchdock.image"] == "test-tiny"
    assert store.ensure(image, table, engine, Policy.NEVER, tell).did == "found"

    said = run(name, "python3", "-c", "import getpass, torch; print(torch.NAME, getpass.getuser())")
    assert said == "tiny benchdock"
    assert run(name, "ls", "-A", "/tmp") == ""
    assert run(
        name, "sh", "-c", "ls /opt/fw/torch /wheels 2>/dev/null; command -v pip; true"
    ).split() == ["/opt/fw/torch:", "__init__.py", "__pycache__"]

    lines.clear()
    (backends / "tiny" / "__main__.py").write_text("import torch\nprint('again', torch.NAME)\n")
    with pytest.raises(ImageError, match=r"only another build of it is \(it contains different"):
        store.ensure(image, table, engine, Policy.NEVER, tell)
    assert store.ensure(image, table, engine, Policy.AUTO, tell).did == "built"
    assert "again tiny" in lines
    assert not any("pip install" in line for line in lines)


def test_a_self_check_that_fails_fails_the_build_with_its_last_lines(place, engine):
    table, backends = place
    image = table.image("test-tiny")
    (backends / "tiny" / "__main__.py").write_text("raise SystemExit('alexnet has 7 layers')\n")
    with pytest.raises(ImageError, match=r"step \d+/\d+ \(RUN .*self-check") as caught:
        store.ensure(image, table, engine, Policy.AUTO, lambda event: None)
    assert any("alexnet has 7 layers" in line for line in caught.value.details)
    assert engine.image(image.tag) is None


def test_the_real_cpu_image_imports_its_framework(engine):
    table = image_table.load()
    image = table.image("pytorch-cpu")
    if engine.image(image.tag) is None:  # whichever build that is: the framework is the same
        pytest.skip(f"no {image.tag} here: `benchdock images build {image.id}` makes it")
    said = run(image.tag, "python3", "-c", "import numpy, torch; print(torch.__version__)")
    assert said == f"{image.version}+cpu"
