"""The user of a container, and what that user can access on the host."""

import os
import stat

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.errors import DataError
from orchestrator.paths import RunFolder
from orchestrator.request import Request
from orchestrator.run import container_user

ROOT, USER = 0, 1000


def request(**more):
    return Request(model="resnet50", framework="pytorch", **more)


@pytest.fixture
def caller(monkeypatch):
    """Play a caller with a user id; sudo is not in play."""

    def become(uid):
        for name, value in (("getuid", uid), ("geteuid", uid), ("getgid", uid)):
            monkeypatch.setattr(os, name, lambda value=value: value)
        for name in ("SUDO_UID", "SUDO_GID"):
            monkeypatch.delenv(name, raising=False)

    return become


def test_a_users_container_runs_as_that_user(caller):
    caller(USER)
    assert container_user.choose(request()) == "1000:1000"


def test_a_container_of_root_does_not_run_as_root(caller):
    caller(ROOT)
    assert container_user.choose(request()) == "65534:65534"


def test_a_container_of_sudo_runs_as_who_called_it(caller, monkeypatch):
    caller(ROOT)
    monkeypatch.setenv("SUDO_UID", "1001")
    monkeypatch.setenv("SUDO_GID", "1002")
    assert container_user.choose(request()) == "1001:1002"


@pytest.mark.parametrize("uid", ["0", "", "-1", "x", "1:2", "٣"])
def test_only_a_users_id_is_taken_from_sudo(caller, monkeypatch, uid):
    caller(ROOT)
    monkeypatch.setenv("SUDO_UID", uid)
    monkeypatch.setenv("SUDO_GID", "1002")
    assert container_user.choose(request()) == "65534:65534"


@pytest.mark.parametrize("uid", [ROOT, USER])
def test_as_root_is_root(caller, uid):
    caller(uid)
    assert container_user.choose(request(as_root=True)) == "0:0"


@pytest.fixture
def data(tmp_path):
    """A folder that everybody can read, unlike `tmp_path`."""
    folder = tmp_path / "data"
    folder.mkdir(mode=0o755)
    return folder


def readable(path, user):
    try:
        container_user.check_path(path, user, "the dataset")
    except DataError:
        return False
    return True


@given(mode=st.integers(0, 0o777), whose=st.sampled_from(["user", "group", "other"]))
def test_the_mode_decides_who_can_read(tmp_path_factory, mode, whose):
    path = tmp_path_factory.getbasetemp() / "file"
    path.write_text("x")
    path.chmod(mode)
    seen = path.stat()
    uid = seen.st_uid if whose == "user" else seen.st_uid + 1
    gid = seen.st_gid if whose == "group" else seen.st_gid + 1
    digit = {"user": mode >> 6, "group": mode >> 3, "other": mode}[whose]
    assert readable(path, f"{uid}:{gid}") == bool(digit & 4)
    path.unlink()


def test_a_folder_must_be_entered_too(data):
    (data / "inner").mkdir()
    assert readable(data, "54321:54321")
    (data / "inner").chmod(0o744)
    assert not readable(data, "54321:54321")


def test_what_is_unreadable_is_named_with_the_fix(data, caller):
    file = data / "train.rec"
    file.write_text("x")
    file.chmod(0o600)
    caller(file.stat().st_uid + 1)
    with pytest.raises(DataError) as caught:
        container_user.check_readable(request(data=data))
    assert str(file) in caught.value.what
    assert f"chmod -R o+rX {data}" in (caught.value.hint or "")
    assert "--as-root" not in (caught.value.hint or "")


def test_a_link_to_nowhere_and_a_loop_are_the_programs_business(data):
    (data / "nowhere").symlink_to("gone")
    (data / "loop").symlink_to(".")
    assert readable(data, "54321:54321")


@pytest.mark.slow
def test_a_million_files_are_not_all_looked_at(data):
    for number in range(1100):
        (data / f"{number:04}").touch()
    (data / "1099").chmod(0o600)
    assert readable(data, "54321:54321")


@pytest.fixture
def folder(tmp_path):
    made = RunFolder(tmp_path / "runs" / "one")
    made.make()
    made.log.touch()
    return made


def test_a_run_folder_belongs_only_to_its_owner(folder):
    assert stat.S_IMODE(folder.root.stat().st_mode) == 0o700


def test_the_caller_hands_nothing_over_to_itself(folder):
    before = folder.log.stat()
    container_user.hand_over(folder, f"{os.geteuid()}:{os.getegid()}")
    assert folder.log.stat() == before


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_root_gives_the_log_and_the_outputs_away_and_nothing_else(folder):
    container_user.hand_over(folder, "54321:54322")
    owners = {
        path: (path.stat().st_uid, path.stat().st_gid) for path in (folder.log, folder.outputs)
    }
    assert set(owners.values()) == {(54321, 54322)}
    assert folder.root.stat().st_uid == 0


def test_a_user_opens_them_to_another_user(folder, caller):
    caller(os.getuid() + 1)
    container_user.hand_over(folder, "0:0")
    assert folder.log.stat().st_mode & 0o777 == 0o666
    assert folder.outputs.stat().st_mode & 0o777 == 0o777


def test_set_id_bits_are_removed_and_links_are_not_followed(folder):
    victim = folder.root / "victim"
    victim.touch()
    victim.chmod(0o4755)
    inner = folder.outputs / "a" / "b"
    inner.mkdir(parents=True)
    (inner / "sh").touch()
    (inner / "sh").chmod(0o6755)
    inner.chmod(0o2755)
    (folder.outputs / "link").symlink_to(victim)
    (folder.outputs / "links").symlink_to(folder.root, target_is_directory=True)
    assert container_user.strip_set_ids(folder.outputs) == ()
    assert stat.S_IMODE((inner / "sh").stat().st_mode) == 0o755
    assert stat.S_IMODE(inner.stat().st_mode) == 0o755
    assert stat.S_IMODE(victim.stat().st_mode) == 0o4755


def test_a_set_id_bit_that_stays_is_a_doubt(folder, monkeypatch):
    (folder.outputs / "sh").touch()
    (folder.outputs / "sh").chmod(0o4755)

    def refuse(*_, **__):
        raise PermissionError

    monkeypatch.setattr(os, "chmod", refuse)
    (doubt,) = container_user.strip_set_ids(folder.outputs)
    assert "1 of the program's files" in doubt
