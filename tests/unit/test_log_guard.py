"""No byte of a log is lost silently."""

import errno
import os
import pathlib
import subprocess
import time
from types import SimpleNamespace

import pytest

from orchestrator.errors import MachineError
from orchestrator.plan import Limits, Ulimit
from orchestrator.run import log_guard
from orchestrator.run.log_guard import LogGuard, largest_file
from tests.fakes import plan


@pytest.fixture
def log(tmp_path):
    return tmp_path / "log.txt"


@pytest.fixture
def small_disk(tmp_path):
    """A disk of 2 MiB and 64 files."""
    disk = tmp_path / "disk"
    disk.mkdir()
    options = ["-o", "size=2m,nr_inodes=64", "tmpfs"]
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", *options, disk], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("making a small disk needs root")
    yield disk
    subprocess.run(["umount", disk], check=True)


def append(log, text):
    with log.open("ab", buffering=0) as stream:
        return stream.write(text)


def fill(disk):
    """Take all there is, but for the blocks that are held; return the file that does."""
    greedy = disk / "greedy"
    with greedy.open("wb", buffering=0) as stream, pytest.raises(OSError, match="No space left"):
        while stream.write(b"x" * 4096):
            pass
    return greedy


def test_a_log_that_nobody_touches_is_whole_and_takes_no_more_than_its_bytes(log):
    with LogGuard(log) as guard:
        append(log, b"x" * 10_000)
        assert log.stat().st_blocks * 512 >= log_guard.AHEAD
        assert guard.lost() is None
    assert log.read_bytes() == b"x" * 10_000
    assert log.stat().st_blocks * 512 < log_guard.AHEAD


def test_lines_find_their_place_while_the_disk_is_full_and_it_is_reported(small_disk):
    log = small_disk / "log.txt"
    with LogGuard(log) as guard:
        append(log, b"before\n")
        greedy = fill(small_disk)
        assert append(log, b"y" * 40_000) == 40_000
        time.sleep(3 * log_guard.LOOK_SECONDS)
        greedy.unlink()
        append(log, b"after\n")
        assert "was full while the program ran" in guard.lost()
    assert log.stat().st_size == 40_013


def test_a_disk_that_is_full_between_two_looks_costs_no_line(small_disk):
    log = small_disk / "log.txt"
    with LogGuard(log) as guard:
        guard._stop()  # the thread does not look from here on
        greedy = fill(small_disk)
        assert append(log, b"y" * 40_000) == 40_000
        greedy.unlink()
        assert guard.lost() is None
    assert log.read_bytes() == b"y" * 40_000


def test_a_program_that_fills_the_disk_with_its_log_is_reported(small_disk):
    log = small_disk / "log.txt"
    with LogGuard(log) as guard:
        with pytest.raises(OSError, match="No space left"):
            while append(log, b"y" * 4096):
                pass
        assert "was full" in guard.lost()


def test_a_disk_that_can_hold_no_more_files_is_reported(small_disk):
    with LogGuard(small_disk / "log.txt") as guard:
        made: list[pathlib.Path] = []
        with pytest.raises(OSError, match="No space left"):
            while True:
                path = small_disk / str(len(made))
                path.touch()
                made.append(path)
        time.sleep(3 * log_guard.LOOK_SECONDS)
        made[0].unlink()
        assert "cannot hold more files" in guard.lost()


@pytest.mark.slow
@pytest.mark.parametrize("number", [errno.EDQUOT, errno.EFBIG, errno.EIO])
def test_a_quota_is_reported_though_the_disk_has_room(log, monkeypatch, number):
    monkeypatch.setattr(log_guard, "MOST_AHEAD", log_guard.AHEAD)
    with LogGuard(log) as guard:
        monkeypatch.setattr(log_guard, "_fallocate", lambda *_: number)
        append(log, b"y" * 300_000)
        time.sleep(3 * log_guard.LOOK_SECONDS)
        assert os.strerror(number) in guard.lost()


def test_a_file_system_that_cannot_allocate_is_watched_all_the_same(log, monkeypatch):
    monkeypatch.setattr(log_guard, "_fallocate", lambda *_: errno.EOPNOTSUPP)
    with LogGuard(log) as guard:
        append(log, b"y" * 300_000)
        assert guard.lost() is None


def test_a_file_system_that_counts_nothing_is_not_full(log, monkeypatch):
    nothing = SimpleNamespace(f_blocks=0, f_bfree=0, f_bavail=0, f_frsize=1, f_ffree=0, f_favail=0)
    monkeypatch.setattr(os, "fstatvfs", lambda _: nothing)
    with LogGuard(log) as guard:
        assert guard.lost() is None


def test_a_disk_without_room_is_refused_before_the_start(small_disk):
    fill(small_disk)
    with pytest.raises(MachineError, match="no space for a log"), LogGuard(small_disk / "log.txt"):
        pass


def test_bytes_that_the_disk_did_not_take_after_all_are_reported(log, monkeypatch):
    def fail(_):
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    with LogGuard(log) as guard:
        monkeypatch.setattr(os, "fdatasync", fail)
        assert "could not be written completely" in guard.lost()


def test_a_log_at_the_limit_of_files_was_cut_off(log):
    with LogGuard(log, largest=100) as guard:
        append(log, b"x" * 100)
        assert "ulimit -f" in guard.lost()


def test_the_limit_of_files_is_the_containers_or_this_hosts(monkeypatch):
    limits = Limits(ulimits=(Ulimit(name="fsize", soft=7, hard=9),))
    assert largest_file(plan(limits=limits)) == 7
    assert largest_file(plan()) is None
    monkeypatch.setattr(log_guard.resource, "getrlimit", lambda _: (5, 5))
    assert largest_file(plan(runtime="host")) == 5


def test_a_log_that_is_there_already_is_refused(log):
    log.symlink_to(log.with_name("elsewhere"))
    with pytest.raises(MachineError, match="cannot create the log"), LogGuard(log):
        pass
    assert not log.with_name("elsewhere").exists()
