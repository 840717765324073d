"""The page cache before a run: brought to a state, and verified where the kernel tells."""

from __future__ import annotations

import mmap
import os

import pytest

from orchestrator.cli import main
from orchestrator.errors import DataError, MachineError
from orchestrator.machine import inventory
from orchestrator.result import PageCache
from orchestrator.run import page_cache
from tests.fakes import plan
from tests.support import stand_in
from tests.support.datasets import made

SIZES = (0, 1, 5000, 3 * mmap.PAGESIZE, 300_000)
TOTAL = sum(SIZES)


@pytest.fixture
def folder(tmp_path):
    """A dataset on a disk; tests of what is in memory are skipped elsewhere."""
    root = tmp_path / "data"
    (root / "inside").mkdir(parents=True)
    for number, size in enumerate(SIZES):
        (root / ("inside" if number % 2 else "") / f"{number}.bin").write_bytes(os.urandom(size))
    return root


@pytest.fixture
def on_disk(folder):
    if page_cache._file_system(folder) not in page_cache._TRUSTED:
        pytest.skip("the temporary folder is not on a file system of a disk")
    return folder


def test_a_dataset_is_taken_out_and_read_in(on_disk):
    cold = page_cache.prepare(on_disk, "cold")
    assert (cold.state, cold.bytes, cold.resident, cold.unverified) == ("cold", TOTAL, 0, "")
    warm = page_cache.prepare(on_disk, "warm")
    assert (warm.state, warm.bytes, warm.resident) == ("warm", TOTAL, TOTAL)
    assert not [*cold.doubts(), *warm.doubts()]
    assert page_cache.prepare(on_disk, "cold").resident == 0


def test_parts_of_a_file_are_counted(on_disk, monkeypatch):
    monkeypatch.setattr(page_cache, "_WINDOW", 2 * mmap.PAGESIZE)
    page_cache.prepare(on_disk, "cold")
    path = on_disk / "4.bin"
    with path.open("rb") as stream:
        os.posix_fadvise(stream.fileno(), 0, 0, os.POSIX_FADV_RANDOM)  # no reading ahead
        os.pread(stream.fileno(), 1, 2 * mmap.PAGESIZE)
        assert page_cache._resident_of(path) == mmap.PAGESIZE
        os.pread(stream.fileno(), 1, 299_999)
        assert page_cache._resident_of(path) == mmap.PAGESIZE + 300_000 % mmap.PAGESIZE


def test_a_mapped_file_stays_and_the_result_says_so(on_disk):
    with (
        (on_disk / "4.bin").open("rb") as stream,
        mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as view,
    ):
        assert sum(view[at] for at in range(0, len(view), mmap.PAGESIZE)) > 0
        found = page_cache.prepare(on_disk, "cold")
    assert found.resident == 300_000
    (doubt,) = found.doubts()
    assert "stayed in the page cache: a process has mapped the files" in doubt


def test_too_little_memory_is_a_doubt():
    (doubt,) = PageCache(state="warm", bytes=2**30, resident=2**29).doubts()
    assert doubt.startswith("only 512 MiB of the 1 GiB of data are in the page cache") or (
        doubt.startswith("only ") and "there is too little free memory" in doubt
    )


def test_what_the_kernel_does_not_tell_is_not_verified(on_disk, monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: 54321)
    monkeypatch.setattr(os, "access", lambda *_, **__: False)
    found = page_cache.prepare(on_disk, "cold")
    assert found.resident is None
    assert str(found) == "cold, not verified: the files belong to another user"
    monkeypatch.undo()
    monkeypatch.setattr(page_cache, "_TRUSTED", set())
    found = page_cache.prepare(on_disk, "warm")
    assert str(found) == "warm, not verified: its file system may have a cache of its own"
    assert not [*found.doubts()]


def test_files_in_memory_cannot_be_cold(folder, monkeypatch):
    monkeypatch.setattr(page_cache, "_file_system", lambda _: 0x01021994)
    with pytest.raises(DataError, match="is on tmpfs, whose files are always in memory"):
        page_cache.check(folder, "cold")
    page_cache.check(folder, "warm")


def test_a_dataset_above_the_free_memory_cannot_be_warm(folder, monkeypatch):
    monkeypatch.setattr(page_cache, "_file_system", lambda _: 0xEF53)
    monkeypatch.setattr(inventory, "memory", lambda: {"MemAvailable": TOTAL})
    page_cache.check(folder, "warm")
    monkeypatch.setattr(inventory, "memory", lambda: {"MemAvailable": TOTAL - 1})
    with pytest.raises(MachineError, match="so it cannot be in the page cache"):
        page_cache.check(folder, "warm")
    page_cache.check(folder, "cold")


def test_a_file_that_cannot_be_read_is_named(folder, monkeypatch):
    def fails(_):
        raise PermissionError(13, "Permission denied", "x.bin")

    monkeypatch.setattr(page_cache, "_evict", fails)
    with pytest.raises(DataError, match=r"x\.bin cannot be read: Permission denied"):
        page_cache.prepare(folder, "cold")


def test_a_run_records_what_was_prepared(on_disk, tmp_path):
    import numpy as np

    np.savez(on_disk / "a.npz", x=np.zeros((4, 1, 28, 28), np.uint8), y=np.zeros(4, int))
    with stand_in.home(tmp_path / "home"):
        options = {"behaviour": "good", "page_cache": "cold"}
        result, _ = stand_in.run(data=on_disk, options=options)
        assert result.page_cache is not None
        assert result.page_cache.resident == 0
        assert "page cache" in result.timings
        assert "page_cache" not in result.plan.script
        assert result.plan.options["page_cache"] == "cold"
        assert stand_in.run(data=on_disk)[0].page_cache is None


def test_a_run_that_reads_a_cold_dataset_twice_says_so(tmp_path):
    folder = made(tmp_path / "images", 20, 2)
    assert not [*page_cache.notes(folder, "cold", plan(batch=2, steps=10, warmup=0))]
    assert not [*page_cache.notes(folder, "warm", plan(batch=2, steps=10, warmup=1))]
    (note,) = page_cache.notes(folder, "cold", plan(batch=2, steps=10, warmup=1))
    assert note.startswith("the run takes 22 samples of 20")


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--page-cache", "cold"), "--page-cache cold needs real data"),
        (("--option", "page_cache=warm"), "--page-cache warm needs real data"),
        (("--page-cache", "hot"), "unknown state 'hot'; use one of cold, warm"),
        (("--page-cache", "cold", "--option", "page_cache=cold"), "is given twice"),
        (("--option", "workers=3"), "--option workers=3 needs real data"),
        (("--option", "workers=0"), "workers cannot be '0'"),
        (("--option", "workers=many"), "workers cannot be 'many'"),
        (("--option", "augment=on"), "--option augment=on needs real data"),
        (("--data-place", "pinned"), "--data-place pinned: pinned memory is copied to a GPU"),
        (("--data-place", "attic"), "unknown place 'attic'; use one of device, pageable, pinned"),
    ],
)
def test_what_has_no_effect_is_refused_before_the_start(capsys, words, says):
    assert main(["run", "resnet18", "-f", "pytorch", "--gpus", "none", "--dry-run", *words]) == 2
    told = capsys.readouterr().err
    assert says in told
    assert len(told.splitlines()) <= 3


@pytest.mark.parametrize(
    ("framework", "words", "says"),
    [
        ("mxnet", ("--data-place", "pageable"), "mxnet has no choice of --data-place"),
        ("mxnet", ("--data-place", "pageable"), "remove it, or use -f pytorch"),
        ("bvlc_caffe", ("--option", "workers=2"), "bvlc_caffe has no choice of --option workers"),
    ],
)  # fmt: skip
def test_a_framework_without_the_choice_is_named(capsys, framework, words, says):
    assert main(["run", "resnet18", "-f", framework, "--gpus", "none", "--dry-run", *words]) == 2
    assert says in " ".join(capsys.readouterr().err.split())


def test_a_place_in_the_host_reaches_the_program(capsys):
    words = ["run", "resnet18", "-f", "pytorch", "--gpus", "none", "--dry-run"]
    assert main([*words, "--data-place", "pageable"]) == 0
    assert "--option=data_place=pageable" in capsys.readouterr().out
