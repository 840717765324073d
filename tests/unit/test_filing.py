"""A run's records are complete, or the user is told."""

import errno
import os

import pytest

from orchestrator.errors import MachineError
from orchestrator.paths import RunFolder, write_aside
from orchestrator.result import Result
from orchestrator.run import filing

RESULT = Result(benchdock="0", status="ok")


def test_the_reserve_is_held_and_given_back_to_the_result(tmp_path):
    folder = RunFolder(tmp_path)
    filing.hold_reserve(folder)
    reserve = tmp_path / ".reserve"
    assert reserve.stat().st_blocks * 512 >= filing.RESERVE_BYTES
    filing.file_result(folder, RESULT)
    assert not reserve.exists()
    assert Result.model_validate_json(folder.result.read_text()) == RESULT


def test_a_disk_that_is_full_at_the_start_is_refused(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(MachineError, match=r"No space left on device; .*BENCHDOCK_HOME"):
        filing.hold_reserve(RunFolder(tmp_path))


def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
    path = tmp_path / "file"
    write_aside(path, "old")

    def fail(_):
        raise OSError(errno.EIO, "broken")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="broken"):
        write_aside(path, "new")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_records_written_by_a_newer_version_are_read(tmp_path):
    text = filing.to_json(RESULT).replace("{", '{"key_of_tomorrow": 1,', 1)
    assert Result.model_validate_json(text) == RESULT
