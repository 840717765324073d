"""Two folders of data with one name are told from each other."""

import hashlib
import os
import shutil

import pytest

from orchestrator.run import data_folder


@pytest.fixture
def folder(tmp_path):
    root = tmp_path / "a" / "imagenet"
    (root / "train").mkdir(parents=True)
    (root / "train" / "one.rec").write_bytes(bytes(10))
    (root / "labels.txt").write_text("cat")
    return root


def digest(folder):
    return data_folder.examine(folder).digest


def test_a_copy_is_the_same_data(folder, tmp_path):
    copy = tmp_path / "b" / "imagenet"
    shutil.copytree(folder, copy)
    os.utime(copy / "labels.txt", (1, 1))
    assert data_folder.examine(copy) == data_folder.examine(folder)
    assert str(data_folder.examine(copy)).startswith("2 files sha256:")
    linked = tmp_path / "c"
    linked.symlink_to(folder)
    assert digest(linked) == digest(folder)


def test_the_manifest_is_identified_by_its_content(folder):
    assert data_folder.examine(folder).manifest is None
    (folder / "benchdock-dataset.json").write_text("{}")
    first = data_folder.examine(folder)
    (folder / "benchdock-dataset.json").write_text("[]")
    second = data_folder.examine(folder)
    assert first.manifest == hashlib.sha256(b"{}").hexdigest()
    assert second.manifest != first.manifest
    assert second.digest == first.digest


@pytest.mark.parametrize(
    "change",
    [
        lambda root: (root / "train" / "one.rec").write_bytes(bytes(11)),
        lambda root: (root / "labels.txt").rename(root / "names.txt"),
        lambda root: (root / "train" / "two.rec").write_bytes(b""),
        lambda root: (root / "labels.txt").unlink(),
    ],
)
def test_other_names_or_sizes_are_other_data(folder, change):
    before = digest(folder)
    change(folder)
    assert digest(folder) != before


def test_of_very_many_files_the_first_ones_count(folder, monkeypatch):
    monkeypatch.setattr(data_folder, "MOST_FILES", 1)
    found = data_folder.examine(folder)
    assert (found.files, found.complete) == (1, False)
    assert str(found).startswith("1 file and more sha256:")
    shutil.rmtree(folder / "train")
    assert data_folder.examine(folder).complete


def test_what_cannot_be_read_is_not_identified(folder, tmp_path):
    assert data_folder.examine(tmp_path / "absent") is None
    (folder / "broken").symlink_to("nowhere")
    os.mkfifo(folder / "pipe")
    assert data_folder.examine(folder).files == 4
