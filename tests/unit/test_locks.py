"""Locks that say who holds them."""

import errno
import fcntl
import os
from pathlib import Path

import pytest

from orchestrator import file_lock
from orchestrator.errors import MachineError
from orchestrator.paths import sessions
from orchestrator.slurm.folder import ClusterFolder
from orchestrator.suites import folder


def opened(path: Path) -> int:
    return os.open(path, os.O_RDWR | os.O_CREAT)


def test_who_wants_a_lock_is_told_who_has_it(tmp_path):
    path = tmp_path / "lock"
    assert file_lock.holder(path, "someone") == ""
    with file_lock.held_at_once(opened(path), "the\nfirst"):
        assert file_lock.holder(path, "someone") == "the first"
        with (
            pytest.raises(file_lock.HeldError) as caught,
            file_lock.held_at_once(opened(path), "the second"),
        ):
            pass
        assert caught.value.holder == "the first"
        path.write_text("")
        assert file_lock.holder(path, "someone") == "someone"
    assert file_lock.holder(path, "someone") == ""


def test_a_name_that_is_longer_does_not_stay(tmp_path):
    path = tmp_path / "lock"
    for who in ("a long name", "short"):
        with file_lock.held_at_once(opened(path), who):
            assert file_lock.holder(path, "someone") == who


def test_a_full_disk_takes_the_name_and_not_the_lock(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    path = tmp_path / "lock"
    monkeypatch.setattr(os, "pwrite", full)
    with file_lock.held_at_once(opened(path), "the first"):
        assert file_lock.holder(path, "someone") == "someone"


def test_a_file_system_without_locks_is_one_line(tmp_path, monkeypatch):
    def without(*_):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setenv("BENCHDOCK_HOME", str(tmp_path))
    monkeypatch.setattr(fcntl, "flock", without)
    with pytest.raises(MachineError, match="No locks available"), folder.only_session("one"):
        pass
    cluster = ClusterFolder("one", sessions() / "one" / "slurm")
    with pytest.raises(MachineError, match="file system without locks"), cluster.watched():
        pass
    assert cluster.watcher() == ""
