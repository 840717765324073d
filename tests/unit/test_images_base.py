"""Base images built by mmdebstrap, here a script that does as requested."""

import os

import pytest

from orchestrator.errors import ImageError, MachineError
from orchestrator.images import base_images, image_table
from tests.support.image_helpers import FakeImages

REAL = image_table.load()
BASE = REAL.bases["debian:bookworm-slim"]


@pytest.fixture
def mmdebstrap(tmp_path, monkeypatch):
    def install(body):
        folder = tmp_path / "bin"
        folder.mkdir(exist_ok=True)
        (folder / "mmdebstrap").write_text(f"#!/bin/sh\n{body}\n")
        (folder / "mmdebstrap").chmod(0o755)
        monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")

    monkeypatch.setenv("BENCHDOCK_HOME", str(tmp_path / "home"))
    return install


WELL = 'for last; do case "$last" in *.tar) echo root > "$last";; esac; done; echo "I: success"'


def test_a_base_is_made_under_its_public_name(mmdebstrap, tmp_path):
    mmdebstrap(WELL)
    engine = FakeImages()
    said: list[str] = []
    assert base_images.bootstrap(BASE, REAL, engine, said.append) == "made"
    labels = engine.here["debian:bookworm-slim"].labels
    assert labels["tar"] == "root\n"
    assert "benchdock.bootstrapped=true" in labels["changes"]
    assert "I: success" in said
    assert not list((tmp_path / "home").glob(".base-*"))


def test_a_base_that_is_here_is_kept_unless_forced(mmdebstrap):
    mmdebstrap(WELL)
    engine = FakeImages()
    engine.add(BASE.name)
    assert base_images.bootstrap(BASE, REAL, engine, print) == "found"
    assert base_images.bootstrap(BASE, REAL, engine, print, force=True) == "made"


def test_without_mmdebstrap_the_error_says_what_to_type(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(MachineError, match="`sudo apt-get install mmdebstrap`"):
        base_images.bootstrap(BASE, REAL, FakeImages(), print)


def test_a_failure_is_told_by_its_cause(mmdebstrap):
    mmdebstrap("echo 'E: apt-get update failed' >&2; echo 'I: removing tempdir'; exit 25")
    engine = FakeImages()
    with pytest.raises(ImageError, match="could not build debian:bookworm-slim: E: apt") as caught:
        base_images.bootstrap(BASE, REAL, engine, print)
    assert caught.value.details[-1] == "I: removing tempdir"
    assert engine.here == {}


def test_the_command(tmp_path):
    argv = base_images.mmdebstrap("bullseye", tmp_path / "x.tar", mirror="http://mirror.example")
    assert argv[0] == "mmdebstrap"
    assert argv[-3:] == ["bullseye", str(tmp_path / "x.tar"), "http://mirror.example"]
    assert "--include=ca-certificates,python3" in argv
