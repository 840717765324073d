"""The folder of a vendor's program: it is identified by its contents, not by its path."""

import os
import shutil
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.plan import ProgramFolder
from orchestrator.results.comparison import compare
from orchestrator.run import program_folder
from tests.fakes import plan
from tests.support.results import result

NAMES = st.text("ab.é ", min_size=1, max_size=3).filter(lambda name: name.strip(". "))
TREES = st.dictionaries(st.tuples(NAMES, NAMES), st.binary(max_size=3), max_size=4)


def write(folder, tree):
    folder.mkdir()
    for (inside, name), content in tree.items():
        (folder / f"d{inside}").mkdir(exist_ok=True)
        (folder / f"d{inside}" / name).write_bytes(content)
    return folder


@pytest.mark.slow
@given(one=TREES, other=TREES)
def test_a_digest_is_of_names_and_contents(tmp_path_factory, one, other):
    base = tmp_path_factory.mktemp("trees")
    here, there = write(base / "here", one), write(base / "there", other)
    assert (program_folder.digest(here) == program_folder.digest(there)) == (one == other)
    shutil.rmtree(base)


@pytest.fixture
def folder(tmp_path):
    return write(tmp_path / "program", {("x", "main.py"): b"1", ("x", "lib.py"): b"2"})


def test_what_git_and_python_write_does_not_count(folder):
    before = program_folder.digest(folder)
    for name in (".git", "dx/__pycache__"):
        (folder / name).mkdir()
        (folder / name / "x").write_text("x")
    assert program_folder.digest(folder) == before


def test_links_pipes_and_closed_files_count_only_by_name(folder):
    (folder / "link").symlink_to("dx")
    (folder / "nowhere").symlink_to("/absent")
    os.mkfifo(folder / "pipe")
    before = program_folder.digest(folder)
    (folder / "nowhere").unlink()
    (folder / "nowhere").symlink_to("/absent2")
    assert program_folder.digest(folder) not in (None, before)


@pytest.mark.parametrize(("limit", "value"), [("LARGEST", 1), ("MOST_FILES", 1)])
def test_too_much_is_not_read_and_that_is_said(folder, monkeypatch, limit, value):
    monkeypatch.setattr(program_folder, limit, value)
    found = program_folder.examine(folder)
    assert found.digest is None
    assert "a changed program would go unnoticed" in next(program_folder.notes(found))


def test_a_small_folder_needs_no_note(folder):
    assert not [*program_folder.notes(program_folder.examine(folder))]


def git(folder, *words):
    who = ("-c", "user.name=x", "-c", "user.email=x@example")
    return subprocess.run(["git", "-C", folder, *who, *words], check=True, capture_output=True)


def test_a_clone_tells_its_commit_and_whether_this_folder_of_it_is_changed(folder):
    git(folder, "init", "-q")
    git(folder, "add", ".")
    git(folder, "commit", "-qm", "x")
    found = program_folder.examine(folder / "dx")
    assert found.dirty is False
    assert len(found.commit) == 40
    (folder / "elsewhere").write_text("x")
    assert program_folder.examine(folder / "dx") == found
    (folder / "dx" / "main.py").write_text("x")
    changed = program_folder.examine(folder / "dx")
    assert (changed.commit, changed.dirty) == (found.commit, True)
    assert changed.digest != found.digest
    assert str(changed) == f"commit {found.commit[:12]} with changes, sha256:{changed.digest[:16]}"


@pytest.mark.parametrize(
    ("known", "identity"),
    [
        ({"digest": "a" * 64, "commit": "c", "dirty": True}, "sha256:aaaaaaaaaaaaaaaa"),
        ({"commit": "c", "dirty": False}, "commit c"),
        ({"commit": "c", "dirty": True}, None),
        ({"commit": "c"}, None),
        ({}, None),
    ],
)
def test_only_what_tells_programs_apart_identifies_one(known, identity):
    assert ProgramFolder(**known).identity == identity


def ran(path, **known):
    source = ProgramFolder(**known) if known else None
    return result(request={"source": path}, plan=plan(source=source))


def test_a_changed_program_is_the_variable_of_a_comparison():
    found = compare(ran("/a", digest="1" * 64), ran("/a", digest="2" * 64))
    (change,) = found.variables
    assert (change.name, change.before, change.after) == (
        "program's folder",
        "sha256:1111111111111111",
        "sha256:2222222222222222",
    )


def test_the_same_program_in_another_folder_or_commit_is_not_a_change():
    one, other = ran("/a", digest="1" * 64, commit="c"), ran("/b", digest="1" * 64, commit="d")
    assert compare(one, other).changes == ()


def test_of_older_results_the_path_is_compared():
    assert [change.name for change in compare(ran("/a"), ran("/b")).variables] == ["source"]
    mixed = compare(ran("/a"), ran("/a", digest="1" * 64))
    assert not mixed.changes
    assert set(mixed.unrecorded) == {"program's folder", "source"}
