"""A run's records are complete, or the user is told."""

import errno
import json
import os
import shutil
import stat
import tempfile
from dataclasses import replace
from pathlib import Path

import pytest

from orchestrator import paths
from orchestrator.errors import MachineError
from orchestrator.machine.processes import Owner
from orchestrator.paths import RunFolder, write_aside
from orchestrator.result import Result
from orchestrator.run import filing
from tests.support.stand_in import request

RESULT = Result(benchdock="0", status="ok")


@pytest.fixture
def desk(tmp_path, monkeypatch):
    monkeypatch.setenv("BENCHDOCK_HOME", str(tmp_path / "home"))
    opened = filing.Desk.open(request())
    yield opened
    opened.close()


def filed(folder):
    return Result.model_validate_json(folder.result.read_text())


def held_files():
    """What this process holds open that has no name."""
    links = [f"/proc/self/fd/{name}" for name in os.listdir("/proc/self/fd")]
    seen = [os.stat(link) for link in links if os.path.exists(link)]
    return [one for one in seen if one.st_nlink == 0 and stat.S_ISREG(one.st_mode)]


def test_the_reserve_holds_bytes_and_inodes_that_nobody_can_name(desk):
    before = held_files()
    assert sum(one.st_blocks * 512 for one in before) >= filing.RESERVE_BYTES
    assert {path.name for path in desk.folder.root.iterdir()} == {"out", "request.json"}
    desk.file(RESULT)
    assert len(before) - len(held_files()) >= filing.RESERVE_FILES
    assert filed(desk.folder) == RESULT
    assert {path.name for path in desk.folder.root.iterdir()} == {
        "request.json", "result.json", "log.txt", "engine.log", "monitor.jsonl", "out"
    }  # fmt: skip


def test_a_disk_that_is_full_at_the_start_is_refused_and_leaves_nothing(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setenv("BENCHDOCK_HOME", str(tmp_path))
    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(MachineError, match=r"No space left on device; .*BENCHDOCK_HOME"):
        filing.Desk.open(request())
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
    assert list((tmp_path / "runs").iterdir()) == []


def a_folder(folder):
    folder.result.mkdir()
    (folder.result / "file").touch()


def a_link(folder):
    folder.result.symlink_to(folder.root / "elsewhere")


def nothing_left(folder):
    shutil.rmtree(folder.root)


def all_gone(folder):
    shutil.rmtree(folder.root.parent)


def locked(folder):
    folder.root.chmod(0o500)


def asides(folder):
    """Links under the names that an older version would have written through."""
    for number in range(2):
        (folder.root / f".result.json.{os.getpid() + number}").symlink_to(folder.root / "elsewhere")


@pytest.mark.parametrize("damage", [a_folder, a_link, nothing_left, all_gone, locked, asides])
def test_a_result_is_filed_whatever_the_program_did_to_the_folder(desk, damage):
    damage(desk.folder)
    assert desk.file(RESULT) is None
    assert filed(desk.folder) == RESULT
    assert not (desk.folder.root / "elsewhere").exists()


def test_a_folder_that_was_moved_is_where_the_result_is(desk, tmp_path):
    moved = tmp_path / "moved"
    desk.folder.root.rename(moved)
    assert desk.file(RESULT) == str(moved)
    assert filed(RunFolder(moved)) == RESULT


def test_a_result_that_its_disk_refuses_is_kept_elsewhere(desk, monkeypatch, tmp_path):
    def refuse(*_):
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr(filing, "write_aside", refuse)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with pytest.raises(MachineError, match=r"Read-only file system; it is in .*\.json") as caught:
        desk.file(RESULT)
    kept = str(caught.value).rpartition(" ")[2]
    assert Result.model_validate_json(Path(kept).read_text()) == RESULT


def test_a_run_whose_benchdock_was_killed_is_filed_by_the_next(desk):
    assert filing.file_killed() == ()  # this process lives
    owner = replace(Owner.here(), start="1")  # this process's number, another's start
    (note,) = paths.unfinished().iterdir()
    note.write_text(json.dumps(owner.labels()))
    assert filing.file_killed() == (desk.folder.run_id,)
    result = filed(desk.folder)
    assert (result.status, result.failure.kind) == ("failed", "interrupted")
    assert result.request == request()
    assert list(paths.unfinished().iterdir()) == []
    assert filing.file_killed() == ()


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"benchdock.pid": 7}', "\0"])
def test_a_damaged_note_is_passed_over(desk, text):
    (note,) = paths.unfinished().iterdir()
    note.write_text(text)
    assert filing.file_killed() == ()


def test_what_is_filed_is_not_filed_again(desk):
    desk.file(RESULT)
    assert list(paths.unfinished().iterdir()) == []
    assert filing.file_killed() == ()


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
