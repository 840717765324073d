"""The host's virtual environments: complete or built again."""

import os
import sys

import pytest

from orchestrator.errors import ImageError, MachineError
from orchestrator.images import environments
from orchestrator.runtimes.host import host_pip
from tests.support.image_helpers import make_place, with_child

NO_MATCH = "ERROR: No matching distribution found for beta_two==2.0+cpu"


@pytest.fixture
def place(tmp_path, monkeypatch):
    return make_place(tmp_path, monkeypatch)


def ensure(place, said=None):
    return environments.ensure(place.image, place.table, (said if said is not None else []).append)


def test_an_environment_is_made_once(place):
    said: list[str] = []
    ready = ensure(place, said)
    assert ready.made
    assert os.access(ready.python, os.X_OK)
    assert str(ready.root) in said[0]
    (argv,) = place.pip.calls()
    assert argv[:3] == ["--python", str(ready.python), "install"]

    again = ensure(place)
    assert not again.made
    assert len(place.pip.calls()) == 1
    assert environments.existing(place.image, place.table) == again


def test_a_half_made_environment_is_made_again(place):
    ready = ensure(place)
    (ready.root / environments.MARKER).unlink()
    (ready.root / "half").write_text("")
    assert environments.existing(place.image, place.table) is None
    assert ensure(place).made
    assert not (ready.root / "half").exists()


def test_a_failed_installation_leaves_nothing(place):
    place.pip.fail(("install", "-", "ERROR: broken"))
    with pytest.raises(ImageError, match="broken"):
        ensure(place)
    assert not environments.folder(place.image, place.table).exists()


def test_other_pins_are_another_environment(place):
    before = environments.folder(place.image, place.table)
    place.image.lock_file.write_text("alpha==1.1\n")
    assert environments.folder(place.image, place.table) != before


def test_the_wheels_of_the_image_are_used_if_they_fit(place):
    place.fetch()
    ensure(place)
    offline = "--no-index" in place.pip.calls()[-1]
    assert offline == (place.image.python == "{}.{}".format(*sys.version_info))


def test_wheels_for_another_python_are_not_used(place, monkeypatch):
    place.fetch()
    monkeypatch.setattr(environments, "_wheels_fit", lambda row, table: False)
    place.pip.fail(("install", "--extra-index-url", NO_MATCH))
    ensure(place)
    first, second = place.pip.calls()[-2:]
    assert "--no-index" not in first
    assert second[-1] == "https://wheels.example/cpu"


def test_the_packages_of_the_parent_come_first(place):
    table, child = with_child(place)
    ready = environments.ensure(child, table, print)
    first, second = place.pip.calls()
    assert first[-1] != second[-1]
    assert [str(place.image.lock_file) in first, str(child.lock_file) in second] == [True, True]
    assert environments.existing(child, table) == environments.HostEnvironment(
        root=ready.root, python=ready.python, made=False
    )
    place.image.lock_file.write_text("alpha==1.1\n")
    assert environments.existing(child, table) is None


def test_an_image_whose_packages_need_its_build_has_no_environment(place):
    row = place.image.model_copy(update={"container_only": "alpha is compiled in it"})
    with pytest.raises(ImageError, match=r"its own build \(alpha is compiled in it\) and cannot"):
        environments.ensure(row, place.table, print)


def test_a_vendors_image_has_no_environment(place):
    with pytest.raises(ImageError, match="cannot run without a container engine"):
        environments.ensure(place.vendor, place.table, print)


def test_a_python_that_makes_no_environments(place, monkeypatch):
    broken = place.pip.folder / "python"
    broken.write_text("#!/bin/sh\necho 'Error: no module venv' >&2\nexit 1\n")
    broken.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(broken))
    with pytest.raises(MachineError, match=r"cannot make a virtual environment .*no module venv"):
        ensure(place)


def test_an_interrupt_leaves_nothing_half_made(place, monkeypatch):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(host_pip, "run", interrupted)
    with pytest.raises(KeyboardInterrupt):
        ensure(place)
    assert not environments.folder(place.image, place.table).exists()
