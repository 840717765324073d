"""Faults of datasets: each has one line that names the file and the record."""

from __future__ import annotations

import io
import os
import shutil
import tarfile

import lmdb
import numpy as np
import pytest

from orchestrator.cli import main
from orchestrator.data import checking, converting, datum, manifest, packages, wanted
from orchestrator.data.checking import Report
from orchestrator.data.manifest import NAME
from orchestrator.errors import DataError
from orchestrator.frameworks import catalogue
from orchestrator.request import Request
from orchestrator.run import checks
from tests.bench import many_files
from tests.support.datasets import Silent, job, jpeg, made

FORMATS = ("lmdb", "recordio", "tfrecord", "webdataset", "tensors", "arrays")


@pytest.fixture(scope="module")
def all_formats(tmp_path_factory):
    root = tmp_path_factory.mktemp("data")
    images = made(root / "images")
    for to in FORMATS:
        converting.convert(job(images, root / to, to), Silent())
    return root


@pytest.fixture
def copy(all_formats, tmp_path):
    """Return a function that copies a dataset, without its manifest unless `listed`."""

    def copied(name, *, listed=False):
        shutil.copytree(all_formats / name, tmp_path / name)
        if not listed:
            (tmp_path / name / NAME).unlink()
        return tmp_path / name

    return copied


def faults(folder, model=None, framework=None, **how):
    report = checking.check(folder, wanted.named(model, framework), **how)
    return [str(fault).replace(f"{folder}", "DIR") for fault in report.faults]


def replaced(path, at, data):
    whole = bytearray(path.read_bytes())
    whole[at : at + len(data)] = data
    path.write_bytes(whole)


@pytest.mark.parametrize("listed", [True, False])
@pytest.mark.parametrize("name", ["images", *FORMATS])
def test_what_benchdock_writes_has_no_fault(all_formats, copy, name, listed):
    folder = all_formats / name if listed else copy(name)
    report = checking.check(folder, wanted.named(None, None), decode=True)
    assert isinstance(report, Report)
    assert (report.faults, report.format, report.samples) == ((), name, 23)
    assert checking.check(folder, wanted.named(None, None), light=True).faults == ()


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("lmdb", "data.mdb"),
        ("recordio", "train.rec"),
        ("tfrecord", "train-00003-of-00008"),
        ("webdataset", "train-000003.tar"),
        ("tensors", "images-00003-3.tensors"),
        ("arrays", "train-00003_x.npy"),
    ],
)
@pytest.mark.parametrize("part", [0.5, 0.95])
def test_a_truncated_file_is_named(copy, name, file, part):
    folder = copy(name)
    whole = (folder / file).stat().st_size
    os.truncate(folder / file, int(whole * part))
    for light in (False, True):
        (fault,) = faults(folder, light=light)
        assert fault.startswith((f"DIR/{file}: ", f"DIR/{file}, record "))
    os.truncate(folder / file, 0)
    (fault,) = faults(folder)
    assert fault.startswith(f"DIR/{file}: ")


def test_a_truncated_record_io_without_index_is_found_before_a_run(copy):
    folder = copy("recordio")
    (folder / "train.idx").unlink()
    assert faults(folder, light=True) == []
    os.truncate(folder / "train.rec", (folder / "train.rec").stat().st_size - 4)
    (fault,) = faults(folder, "deep_mnist", light=True)
    assert fault == "DIR/train.rec: it is damaged: the file is cut off; convert it again"
    asked = Request(model="mine", framework="mxnet", data=folder)
    with pytest.raises(DataError, match="it is damaged: the file is cut off"):
        checks._contents(
            checks.Question(request=asked, framework=catalogue.framework("mxnet"), device="cpu"),
            folder,
        )


@pytest.mark.parametrize("name", ["lmdb", "recordio", "tfrecord", "webdataset"])
def test_the_digest_of_the_samples_proves_what_was_converted_with_trust(
    all_formats, tmp_path, name
):
    folder = tmp_path / name
    found = converting.convert(job(all_formats / "images", folder, name, decode=False), Silent())
    whole = manifest.read(all_formats / name)
    assert found.samples_digest == whole.samples_digest
    assert {file.name for file in whole.files if file.sha256 is None} == set()
    shards = {file.name for file in found.files if file.sha256 is None}
    assert shards == {one.name for one in found.files if not one.name.endswith((".idx", ".lst"))}
    assert faults(folder) == []
    image = (all_formats / "images" / "class-001" / "00000001.jpg").read_bytes()
    files = (path for path in folder.iterdir() if path.is_file())
    (path,) = (path for path in files if image in path.read_bytes())
    inside = path.read_bytes().index(image) + len(image) // 2
    replaced(path, inside, bytes([path.read_bytes()[inside] ^ 1]))
    (fault,) = faults(folder)
    assert "checksum" in fault if name == "tfrecord" else "digest of its samples" in fault


def test_an_index_of_a_conversion_with_trust_has_a_digest(all_formats, tmp_path):
    folder = tmp_path / "recordio"
    converting.convert(job(all_formats / "images", folder, "recordio", decode=False), Silent())
    replaced(folder / "train.lst", 0, b"9")
    assert faults(folder) == [
        "DIR/train.lst: its digest is not the one in the manifest; convert it again"
    ]


def test_a_manifest_that_may_not_be_read_needs_no_conversion(copy, monkeypatch):
    folder = copy("recordio", listed=True)
    monkeypatch.setattr(manifest.os, "access", lambda path, how: path != folder / NAME)
    with pytest.raises(DataError, match=r"dataset\.json cannot be read: Permission denied$"):
        faults(folder)


def test_a_manifest_of_the_first_schema_is_read(copy):
    folder = copy("recordio", listed=True)
    text = (folder / NAME).read_text()
    assert '"schema": 2' in text
    (folder / NAME).write_text(text.replace('"schema": 2', '"schema": 1'))
    assert faults(folder) == []


@pytest.mark.parametrize("name", FORMATS)
def test_the_manifest_notices_any_changed_file_even_in_a_quick_check(copy, name):
    folder = copy(name, listed=True)
    files = [one for one in folder.iterdir() if one.is_file() and one.name != NAME]
    path = max(files, key=lambda one: one.stat().st_size)
    replaced(path, path.stat().st_size // 2, b"\xa5\x5a\xa5\x5a")
    (fault,) = faults(folder)
    assert "digest" in fault
    with path.open("ab") as stream:
        stream.write(b"x")
    (fault,) = faults(folder, light=True)
    assert fault.startswith(f"DIR/{path.name}: it has ")
    path.unlink()
    (fault,) = faults(folder, light=True)
    assert fault == f"DIR/{path.name}: it is missing, but the manifest lists it"


IMAGES = {
    "truncated": (jpeg()[:-300], None, "it is cut off; remove or replace it"),
    "no image": (b"hello", None, "it is not an image; remove or replace it"),
    "pointer": (
        b"version https://git-lfs.github.com/spec/v1\n",
        None,
        "it is a pointer of Git LFS; run `git lfs pull` to fetch the file; remove or replace it",
    ),
    "empty": (b"", None, "it is empty; remove or replace it"),
    "small": (
        jpeg(200, 300),
        "resnet50",
        "it is 200 x 300, resnet50 takes 224 x 224; convert the images with --resize 224 or more",
    ),
    "turned": (
        jpeg(orientation=6),
        None,
        "its EXIF orientation is not 1, so some programs turn it and others do not; convert the "
        "images with `benchdock data convert`",
    ),
}


@pytest.mark.parametrize("kind", IMAGES)
def test_a_bad_image_in_a_folder_is_named(tmp_path, kind):
    data, model, says = IMAGES[kind]
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "good.jpg").write_bytes(jpeg(400, 300))
    (tmp_path / "b" / "bad.jpg").write_bytes(data)
    assert faults(tmp_path, model) == [f"DIR/b/bad.jpg: {says}"]
    assert faults(tmp_path, model, light=True) in ([], [f"DIR/b/bad.jpg: {says}"])


def test_an_image_that_only_decoding_finds(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "x.jpg").write_bytes(jpeg().replace(b"\xff\xc0", b"\xff\xc3"))
    assert faults(tmp_path) == []
    (fault,) = faults(tmp_path, decode=True)
    assert fault.startswith("DIR/a/x.jpg: it cannot be decoded: ")


def test_links_and_empty_classes_are_named(tmp_path):
    (tmp_path / "data" / "a").mkdir(parents=True)
    (tmp_path / "data" / "b").mkdir()
    (tmp_path / "x.jpg").write_bytes(jpeg())
    (tmp_path / "data" / "a" / "x.jpg").symlink_to(tmp_path / "x.jpg")
    assert faults(tmp_path / "data") == [
        f"DIR/a/x.jpg: it is a link to {tmp_path / 'x.jpg'}, which a container does not see; "
        "replace the link by the file",
        "DIR/b: it has no images, and some programs would number the classes after it differently; "
        "remove the folder or put images into it",
    ]
    (tmp_path / "data" / "b" / "y.jpg").symlink_to("nowhere")
    assert faults(tmp_path / "data")[-1] == (
        "DIR/b/y.jpg: it is a link to a file that does not exist; remove it"
    )


@pytest.mark.parametrize("light", [True, False])
def test_a_png_is_a_fault_only_for_readers_of_jpeg(tmp_path, light):
    images = tmp_path / "images"
    (images / "a").mkdir(parents=True)
    (images / "a" / "x.jpg").write_bytes(jpeg(300, 300, kind="PNG"))
    for framework in ("pytorch", "onnxruntime", "openvino"):
        assert faults(images, "resnet18", framework, light=light) == [
            f"DIR/a/x.jpg: it is a PNG, and {framework} reads only JPEG; save it as a JPEG"
        ]
    converting.convert(job(images, tmp_path / "lmdb", "lmdb"), Silent())
    assert faults(tmp_path / "lmdb", "resnet18", "caffe2", light=light) == []


def test_unusual_images_are_counted(tmp_path, capsys):
    (tmp_path / "d" / "a").mkdir(parents=True)
    for name, mode, kind in (("x", "L", "JPEG"), ("y", "CMYK", "JPEG"), ("z", "L", "PNG")):
        (tmp_path / "d" / "a" / f"{name}.jpg").write_bytes(jpeg(mode=mode, kind=kind))
    assert main(["data", "check", str(tmp_path / "d")]) == 0
    assert "1 CMYK image, 1 PNG image, 2 gray images)" in capsys.readouterr().out
    words = [str(tmp_path / "d"), str(tmp_path / "e"), "--to", "lmdb", "--quiet"]
    assert main(["data", "convert", *words]) == 0
    assert "  2 gray images\n  1 CMYK image\n  1 PNG image\n" in capsys.readouterr().out


@pytest.mark.parametrize("light", [True, False])
@pytest.mark.parametrize("name", ["lmdb", "recordio", "tfrecord", "webdataset"])
def test_a_file_that_cannot_be_read_is_named(copy, monkeypatch, name, light):
    folder = copy(name, listed=True)
    path = max(folder.iterdir(), key=lambda one: one.stat().st_size)
    opened = type(path).open

    def denied(self, *how, **more):
        if self == path:
            raise PermissionError(13, "Permission denied", str(path))
        return opened(self, *how, **more)

    monkeypatch.setattr(type(path), "open", denied)
    assert faults(folder, light=light) == [f"DIR/{path.name}: it cannot be read: Permission denied"]


@pytest.mark.parametrize(
    ("name", "file"), [("recordio", "train.rec"), ("tfrecord", "train-00000-of-00008")]
)
def test_the_record_that_is_cut_off_is_named(copy, name, file):
    folder = copy(name)
    os.truncate(folder / file, (folder / file).stat().st_size - 4)
    before = {"recordio": 22, "tfrecord": 2}[name]
    assert faults(folder) == [
        f"DIR/{file}, record {before}: it is damaged: the file is cut off; convert it again"
    ]


def test_raw_pixels_in_an_lmdb_are_checked(tmp_path):
    def written(*records):
        with lmdb.open(str(tmp_path), lock=False) as database, database.begin(write=True) as writer:
            for number, record in enumerate(records):
                writer.put(f"{number:08d}".encode(), record)

    written(b"".join(datum.encode(datum.Datum(bytes(12), 0, (3, 2, 2)))))
    assert faults(tmp_path) == []
    assert faults(tmp_path, "alexnet") == [
        "DIR, key 00000000: it is (3, 2, 2), alexnet takes (3, 227, 227)"
    ]
    written(b"".join(datum.encode(datum.Datum(bytes(11), 0, (3, 2, 2)))), b"\x08")
    assert faults(tmp_path) == [
        "DIR, key 00000000: 11 bytes are not 3 x 2 x 2",
        "DIR, key 00000001: it is not a Datum of Caffe: it ends within a number; convert it again",
    ]


def test_labels_out_of_range_are_named(tmp_path):
    for label in range(11):
        (tmp_path / "s" / f"{label:02}").mkdir(parents=True)
        (tmp_path / "s" / f"{label:02}" / "x.jpg").write_bytes(jpeg())
    converting.convert(job(tmp_path / "s", tmp_path / "d", "tfrecord", seed=None), Silent())
    assert faults(tmp_path / "d", "deep_mnist")[0] == "DIR: it has 11 classes, deep_mnist has 10"
    (tmp_path / "d" / NAME).unlink()
    assert faults(tmp_path / "d", "deep_mnist") == [
        "DIR/train-00005-of-00006, record 0: its label is 11, deep_mnist has 1 to 10"
    ]


def test_indexes_out_of_step_are_named(copy):
    records = copy("recordio")
    lines = (records / "train.idx").read_text().splitlines()
    (records / "train.idx").write_text("\n".join([lines[0], "1\t77", *lines[2:]]) + "\n")
    (fault,) = faults(records)
    assert fault.startswith("DIR/train.idx: record 1 is at ")
    (records / "train.idx").unlink()
    assert faults(records) == []
    (fault,) = faults(records, None, "deeplearningexamples_mxnet")
    assert fault == "DIR/train.idx: it is missing; convert it again"
    (records / "train.rec").rename(records / "all.rec")
    assert faults(records, None, "mxnet_train_imagenet") == []  # --option records=all.rec
    (_, fault) = faults(records, None, "deeplearningexamples_mxnet")
    assert fault == "DIR: it has no train.rec; rename all.rec to train.rec"
    shards = copy("tfrecord")
    index = shards / "dali-index" / "train-00002-of-00008.idx"
    index.write_text(index.read_text().replace("0 ", "4 ", 1))
    assert faults(shards) == [
        "DIR/dali-index/train-00002-of-00008.idx: it is out of step at record 0; convert it again"
    ]
    (shards / "train-00002-of-00008").unlink()
    assert faults(shards)[0] == "DIR/train-00002-of-00008: it is missing; convert it again"


def test_shards_of_different_lengths_are_named_for_nvcnn(copy):
    shards = copy("tfrecord")
    shutil.copy(shards / "train-00007-of-00008", shards / "train-00000-of-00008")
    shutil.rmtree(shards / "dali-index")
    assert faults(shards, None, "tf_cnn_benchmarks") == []
    (fault,) = faults(shards, None, "nvcnn")
    assert fault.startswith("DIR: its shards differ in length, and nvcnn needs equal ones")


def test_a_lock_file_is_named(copy):
    folder = copy("lmdb")
    (folder / "lock.mdb").touch()
    assert faults(folder)[0].startswith("DIR/lock.mdb: a lock file is in it")


@pytest.mark.parametrize(
    ("name", "framework", "says"),
    [
        (
            "images",
            "caffe_train",
            "it is a folder of images, but caffe_train reads an LMDB; run `benchdock data convert "
            "DIR NEW --to lmdb`",
        ),
        (
            "images",
            "intel_caffe",
            "it is a folder of images, but intel_caffe reads an LMDB or NumPy arrays; run "
            "`benchdock data convert DIR NEW --to lmdb`",
        ),
        (
            "images",
            "tensorflow",
            "it is a folder of images, but tensorflow reads TFRecord or NumPy arrays; run "
            "`benchdock data convert DIR NEW --to tfrecord`",
        ),
        (
            "tfrecord",
            "pytorch",
            "it is TFRecord, but pytorch reads a folder of images, WebDataset or NumPy arrays; use "
            "a folder of images, such as the one it was made from",
        ),
        (
            "tfrecord",
            "caffe2",
            "it is TFRecord, but caffe2 reads an LMDB or NumPy arrays; run `benchdock data convert "
            "IMAGES NEW --to lmdb`",
        ),
        (
            "lmdb",
            "mxnet_train_imagenet",
            "it is an LMDB, but mxnet_train_imagenet reads RecordIO; run `benchdock data convert "
            "IMAGES NEW --to recordio`",
        ),
        ("images", "pytorch_imagenet", "pytorch_imagenet reads train in it; move the classes into"),
    ],
)
def test_another_format_is_named_with_the_command(all_formats, name, framework, says):
    (fault,) = faults(all_formats / name, "alexnet", framework)
    assert fault.startswith(f"DIR: {says}")


def test_both_splits_need_the_same_classes(tmp_path):
    for path in ("train/a", "train/b", "val/a", "val/c"):
        (tmp_path / path).mkdir(parents=True)
        (tmp_path / path / "x.jpg").write_bytes(jpeg())
    assert faults(tmp_path, None, "pytorch_imagenet") == [
        "DIR: train and val differ in their classes: b is in one of them only"
    ]


def test_splits_are_no_classes_of_our_reader(tmp_path):
    for path in ("train/a", "val/a"):
        (tmp_path / path).mkdir(parents=True)
        (tmp_path / path / "x.jpg").write_bytes(jpeg())
    assert faults(tmp_path, None, "pytorch_imagenet") == []
    assert faults(tmp_path, None, "pytorch") == [
        "DIR: it contains train and val, each with its own classes; use DIR/train"
    ]


def test_what_no_program_reads_is_no_dataset(tmp_path):
    (tmp_path / "readme.txt").write_text("x")
    with pytest.raises(DataError, match=r"not a dataset .*; caffe_train reads an LMDB"):
        faults(tmp_path, None, "caffe_train")
    with pytest.raises(DataError, match="cannot be read: No such file"):
        faults(tmp_path / "none")


def test_arrays_must_fit_the_network(tmp_path):
    np.savez(tmp_path / "a.npz", x=np.zeros((2, 1, 28, 28), np.uint8), y=np.array([0, 10]))
    assert faults(tmp_path) == []
    assert faults(tmp_path, "deep_mnist", "pytorch") == [
        "DIR/a.npz: its label is 10, deep_mnist has 0 to 9"
    ]
    np.savez(tmp_path / "a.npz", x=np.zeros((2, 9)), y=np.zeros(3, int))
    assert [fault.partition(": ")[2][:20] for fault in faults(tmp_path, "deep_mnist")] == [
        "x is float64, not ui",
        "its 2 samples do not",
    ]


def test_a_run_checks_its_dataset_first(all_formats, tmp_path, monkeypatch, capsys):
    words = ["run", "alexnet", "--gpus=none", "--dry-run", "-f", "pytorch", "--data"]
    assert main([*words, str(all_formats / "lmdb")]) == 2
    assert "it is an LMDB, but pytorch reads a folder of images" in capsys.readouterr().err
    monkeypatch.setenv("BENCHDOCK_HOME", str(tmp_path / "home"))
    assert main(["data", "add", "small", str(all_formats / "arrays")]) == 0
    assert main([*words, "small"]) == 2
    assert "its smallest side is 16, alexnet takes 227 x 227" in capsys.readouterr().err
    assert main([*words, "unknown"]) == 2
    assert "`benchdock data list`" in capsys.readouterr().err


def test_the_command_reports_and_fails(all_formats, tmp_path, capsys):
    assert main(["data", "check", str(all_formats / "lmdb"), "--quiet"]) == 0
    assert "no fault found (lmdb, 23 samples, 4 classes)" in capsys.readouterr().out
    assert main(["data", "check", str(all_formats / "lmdb"), "-m", "resnet50", "--json"]) == 2
    assert '"faults": [' in capsys.readouterr().out


def test_a_quick_check_needs_no_package(copy, monkeypatch):
    monkeypatch.setattr(packages, "find_spec", lambda name: None)
    for name in ("images", *FORMATS):
        assert faults(copy(name), light=True) == []


@pytest.mark.slow
def test_memory_does_not_grow_with_the_number_of_files(tmp_path):
    """`make bench-files` does it with 1,000,000."""
    assert many_files.peak(many_files.made(tmp_path, 20_000)) < many_files.LARGEST


def test_a_dataset_is_checked_for_known_readers_only(tmp_path):
    (tmp_path / "x").touch()
    checks.check_dataset(tmp_path)
    assert wanted.named("resnet50", "custom").reader is None


@pytest.mark.parametrize("light", [False, True])
@pytest.mark.parametrize(
    ("members", "says"),
    [
        (["1.cls", "2.cls"], "DIR/a.tar, 1.cls: it has no image; convert it again"),
        (["1.cls", "2.jpg", "2.cls"], "DIR/a.tar, 1.cls: it has no image; convert it again"),
        (["1.jpg", "2.jpg", "2.cls"], "DIR/a.tar, 1.jpg: it has no label; convert it again"),
        (["./x.y/1.jpg"], "DIR/a.tar, ./x.y/1.jpg: it has no label; convert it again"),
        (["1.jpg"], "DIR/a.tar, 1.jpg: it has no label; convert it again"),
        (["n1.tar", "n2.tar"], "DIR/a.tar: it has no image with a label; convert it again"),
    ],
)
def test_a_tar_file_without_pairs_of_image_and_label_is_named(tmp_path, members, says, light):
    contents = {"jpg": jpeg(), "cls": b"0", "tar": b""}
    with tarfile.open(tmp_path / "a.tar", "w") as tar:
        for name in members:
            data = contents[name.rpartition(".")[2]]
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    assert says in faults(tmp_path, light=light)


def test_a_quick_check_of_a_tar_file_looks_at_its_first_members(tmp_path):
    with tarfile.open(tmp_path / "a.tar", "w") as tar:
        for name in (*(f"n{number}.tar" for number in range(30)), "1.jpg", "1.cls"):
            tar.addfile(tarfile.TarInfo(name))
    assert faults(tmp_path, light=True) == [
        "DIR/a.tar: it has no image with a label; convert it again"
    ]
