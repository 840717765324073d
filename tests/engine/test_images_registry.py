"""Vendors' images on a real engine, from a replacement for their registry."""

import json
from contextlib import suppress

import pytest

from orchestrator.cli import main
from orchestrator.errors import ExitStatus, ImageError
from orchestrator.images import image_table, pins
from tests.engine.registry import Registry

pytestmark = pytest.mark.engine

ROW = """
[image.stand-in]
framework = "tiny"
version = "24.06"
device = "gpu"
source = "vendor"
reference = "{reference}"
python = "3.10"
machines = ["x86_64"]
"""


@pytest.fixture
def registry():
    with Registry() as served:
        yield served


@pytest.fixture
def table(engine, registry, monkeypatch, tmp_path):
    """Return what reads a table with one vendor's image; its digests are in a file of the test."""
    reference = f"{registry.address}/vendor/tiny:24.06"
    monkeypatch.setattr(pins, "file", lambda: tmp_path / "digests.toml")
    pins.save({})

    def load():
        text = 'schema = 1\npip = "25.3"\n' + ROW.format(reference=reference)
        found = image_table.read(text, name="images.toml")
        return found.model_copy(update={"digests": pins.load()})

    monkeypatch.setattr(image_table, "load", load)
    yield load
    for name in (reference, *(f"{reference.rpartition(':')[0]}@{d}" for d in registry.served)):
        with suppress(ImageError):
            engine.remove_image(name)


def images(capsys, *words):
    status = main(["images", *words, "--json"])
    return status, json.loads(capsys.readouterr().out)


def test_pins_are_renewed_and_what_is_pinned_is_pulled(capsys, registry, table, tiny_archive):
    first = registry.add("vendor/tiny", "24.06", tiny_archive, release="first")
    status, told = images(capsys, "pin")
    assert status == ExitStatus.OK
    (row,) = told["pin"]
    assert (row["did"], row["digest"]) == ("pinned", first)
    assert pins.load() == {row["reference"]: first}
    assert images(capsys, "pin", "stand-in")[1]["pin"][0]["did"] == "unchanged"

    second = registry.add("vendor/tiny", "24.06", tiny_archive, release="second")
    for did in ("pulled", "found"):
        (pulled,) = images(capsys, "pull", "stand-in")[1]["pull"]
        assert (pulled["did"], pulled["digest"]) == (did, first)

    (row,) = images(capsys, "pin")[1]["pin"]
    assert (row["did"], row["digest"]) == ("renewed", second)
    (pulled,) = images(capsys, "pull", "stand-in")[1]["pull"]
    assert (pulled["did"], pulled["digest"]) == ("pulled", second)


def test_a_tag_that_no_registry_has_stays_unpinned(capsys, registry, table):
    status, told = images(capsys, "pin")
    assert status == ExitStatus.MACHINE_CANNOT
    assert told["pin"][0]["did"] == "failed"
    assert "no registry gives the digest" in told["pin"][0]["why"]
    assert pins.load() == {}


def test_any_reference_is_pulled(capsys, registry, table, tiny_archive):
    digest = registry.add("vendor/tiny", "24.06", tiny_archive)
    reference = f"{registry.address}/vendor/tiny:24.06"
    (pulled,) = images(capsys, "pull", reference)[1]["pull"]
    assert (pulled["did"], pulled["digest"], pulled["image"]) == ("pulled", digest, "stand-in")
    assert (
        main(["images", "pull", f"{registry.address}/vendor/none:1"]) == ExitStatus.MACHINE_CANNOT
    )
    assert "no such image" in capsys.readouterr().err
