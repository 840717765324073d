"""Too little disk space for an image is reported, from the disks' real sizes."""

import os
import subprocess
from pathlib import Path

import pytest

from orchestrator import paths
from orchestrator.images import room
from orchestrator.images.room import SpaceNeed
from tests.support.image_helpers import make_place

MIB = 2**20


@pytest.fixture
def small_disk(tmp_path):
    """A disk of 8 MiB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", disk], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("making a small disk needs root")
    yield disk
    subprocess.run(["umount", disk], check=True)


def test_a_real_small_disk(small_disk):
    needs = [SpaceNeed(folder=small_disk / "not" / "yet", size=6 * MIB)]
    assert list(room.shortages(needs, "a build of x")) == []
    (small_disk / "file").write_bytes(b"x" * 4 * MIB)
    assert list(room.shortages(needs, "a build of x")) == [
        f"a build of x needs about 6.000 MiB in {small_disk}/not/yet, but only 4.000 MiB are free"
    ]


def test_needs_on_one_disk_are_added(small_disk):
    needs = [SpaceNeed(folder=small_disk / name, size=5 * MIB) for name in ("a", "b")]
    (told,) = room.shortages(needs, "it")
    assert told.startswith(f"it needs about 10.00 MiB in {small_disk}/a and {small_disk}/b")


def test_disks_are_distinguished(small_disk, tmp_path):
    needs = [SpaceNeed(folder=small_disk, size=9 * MIB), SpaceNeed(folder=tmp_path, size=2**60)]
    assert os.stat(small_disk).st_dev != os.stat(tmp_path).st_dev
    assert len(list(room.shortages(needs, "it"))) == 2


def test_what_a_build_takes(tmp_path, monkeypatch):
    row = make_place(tmp_path, monkeypatch).image.model_copy(update={"size": "1g"})
    root = Path("/data")
    home, engine = room.to_build(row, root, framework=True)
    assert (home.folder, home.size) == (paths.home(), int(2**30 * room.WHEELS))
    assert (engine.folder, engine.size) == (root, int(2**30 * room.BUILD))
    assert room.to_build(row, root, framework=False) == [
        SpaceNeed(folder=root, size=room.LAST_LAYERS)
    ]
    # An engine on another machine, and wheels that are here already.
    house = paths.wheelhouse(row.id)
    house.mkdir(parents=True)
    (house / "x.whl").write_bytes(b"x" * MIB)
    (rest,) = room.to_build(row, None, framework=True)
    assert home.size - rest.size == MIB


def test_a_size_that_the_table_does_not_say_is_not_guessed(tmp_path, monkeypatch):
    place = make_place(tmp_path, monkeypatch)
    assert room.to_pull(place.vendor, Path("/data")) == []
    assert [need.size for need in room.to_build(place.image, Path("/data"), framework=True)] == [
        room.LAST_LAYERS
    ]
