"""Readers of images: what the harness checks and proves, whichever framework reads."""

from __future__ import annotations

import hashlib
import io
import json
import re
import shutil
import sys
import tarfile
import time
from types import SimpleNamespace

import numpy as np
import pytest

from backends import zoo
from backends.caffe import dialects
from backends.caffe import reader as caffe_reader
from backends.harness import archives, arguments, data, decoding, folders, images, program
from backends.harness.errors import DataProblem, Unsupported
from backends.onnx import reader as threaded
from orchestrator.data import converting, reference
from orchestrator.errors import DataError
from tests.support.datasets import Silent, job, made

GRAPH = zoo.draw("resnet18")
SIDE = 224
FORMATS = ("tfrecord", "recordio", "lmdb", "webdataset")


class Fake:
    """Batches of images whose pixels and labels count up."""

    filter, workers, prefetch = "none", 1, 2

    def __init__(self, reading, first=0):
        self.reading, self.at, self.closed = reading, first, False

    def next(self):
        numbers = np.arange(self.at, self.at + self.reading.batch)
        self.at += self.reading.batch
        pixels = np.broadcast_to(numbers[:, None, None, None] % 256, (len(numbers), 3, SIDE, SIDE))
        x = (pixels.astype(np.float32) - images.CENTRE) / images.SPREAD
        return x, numbers.astype(np.int64)

    def close(self):
        self.closed = True


def reader(opened=Fake, errors=(KeyError,)):
    return SimpleNamespace(FORMATS=("tfrecord",), ERRORS=errors, opened=opened)


def settings(folder, batch=64, **options):
    return arguments.one_step("resnet18", "training", batch, options, data=str(folder))


@pytest.fixture
def shards(tmp_path):
    (tmp_path / "train-00000-of-00001").touch()
    return tmp_path


def test_the_first_samples_are_proven_and_then_left(shards):
    source = data.source(settings(shards), GRAPH, reader=reader())
    labels = np.arange(images.PROVEN, dtype="<i4")
    pixels = b"".join(bytes([number]) * (3 * SIDE * SIDE) for number in range(images.PROVEN))
    assert source.facts["samples"] == images.PROVEN
    assert source.facts["labels"] == hashlib.sha256(labels.tobytes()).hexdigest()
    assert source.facts["pixels"] == hashlib.sha256(pixels).hexdigest()
    assert source.facts["transform"] == "centre crop 224"
    assert not source.fixed
    assert source.next()[1][0] == 256


def test_random_crops_are_not_proven_and_none_is_left_out(shards):
    source = data.source(settings(shards, augment="on"), GRAPH, reader=reader())
    assert source.facts["transform"] == "random crop 224, mirrored at random"
    assert not {"samples", "labels", "pixels"} & set(source.facts)
    assert source.next()[1][0] == 0


@pytest.mark.parametrize(
    ("options", "workers", "augment"),
    [({}, None, False), ({"workers": "auto"}, None, False), ({"workers": "7"}, 7, False),
     ({"augment": "on"}, None, True), ({"augment": "off"}, None, False)],
)  # fmt: skip
def test_options_reach_the_reader(shards, monkeypatch, options, workers, augment):
    monkeypatch.setattr(images.machine, "cpus", lambda: 9)
    asked = images.reading(settings(shards, **options), GRAPH, rank=1, world=2)
    assert (asked.workers, asked.augment) == (workers or 3, augment)


@pytest.mark.parametrize("options", [{"workers": "2"}, {"augment": "on"}])
def test_decoded_samples_have_no_options_of_readers(tmp_path, options):
    np.savez(tmp_path / "a.npz", x=np.zeros((2, 3, SIDE, SIDE), np.uint8), y=np.zeros(2, int))
    with pytest.raises(Unsupported, match=f"option {next(iter(options))} is for images"):
        data.source(settings(tmp_path, **options), GRAPH, reader=reader())


def test_every_pixel_survives_normalisation():
    proof, every = images.Proof(), np.arange(256, dtype=np.float32).reshape(1, 1, 16, 16)
    proof.add((every - images.CENTRE) / images.SPREAD, np.array([0]))
    assert proof.facts()["pixels"] == hashlib.sha256(bytes(range(256))).hexdigest()


@pytest.mark.parametrize(
    ("name", "content", "found"),
    [
        ("train-00000-of-00001", b"", "tfrecord"),
        ("val.rec", b"", "recordio"),
        ("data.mdb", b"", "lmdb"),
        ("a/x.JPG", b"", "images"),
        ("a/part_x.npy", b"", None),
        ("x.jpg", b"", None),
        ("benchdock-dataset.json", b'{"format": "lmdb"}', "lmdb"),
    ],
)
def test_a_format_is_known_by_manifest_or_files(tmp_path, name, content, found):
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(content)
    assert images.found_format(str(tmp_path)) == found


def test_only_networks_that_take_colour_read_images(shards):
    assert images.is_read_by(reader(), str(shards), GRAPH)
    assert not images.is_read_by(reader(), str(shards), zoo.draw("deep_mnist"))
    assert not images.is_read_by(None, str(shards), GRAPH)


def test_a_damaged_manifest_is_named(shards):
    (shards / images.MANIFEST).write_text("{")
    with pytest.raises(DataProblem, match=r"benchdock-dataset\.json is damaged"):
        data.source(settings(shards), GRAPH, reader=reader())


@pytest.mark.parametrize("first", [-1, 990])
def test_a_label_out_of_range_ends_the_run(shards, first):
    with pytest.raises(DataProblem, match="a label is not 1 to 1000"):
        data.source(settings(shards), GRAPH, reader=reader(lambda asked: Fake(asked, first)))


def test_what_a_framework_cannot_read_is_a_fault_of_the_data(shards):
    def fails(_):
        raise KeyError("record 7\nis cut off")

    with pytest.raises(DataProblem, match=f"{shards} cannot be read: .*record 7"):
        data.source(settings(shards), GRAPH, reader=reader(fails))
    with pytest.raises(KeyError):
        data.source(settings(shards), GRAPH, reader=reader(fails, errors=()))


def test_a_manifest_says_the_first_label(shards):
    asked = images.reading(settings(shards), GRAPH, rank=1, world=2)
    assert (asked.label_base, asked.rank, asked.side) == (1, 1, SIDE)
    (shards / images.MANIFEST).write_text(json.dumps({"format": "tfrecord", "label_base": 0}))
    assert images.reading(settings(shards), GRAPH, 0, 1).label_base == 0


def test_files_of_training_come_first(tmp_path):
    for name in ("train-00001-of-00002", "train-00000-of-00002", "validation-00000-of-00001"):
        (tmp_path / name).touch()
    found = images.files(str(tmp_path), images.SIGNS["tfrecord"])
    assert [path[-5:] for path in found] == ["00002"] * 2
    for path in found:
        (tmp_path / path).unlink()
    assert len(images.files(str(tmp_path), images.SIGNS["tfrecord"])) == 1


def test_a_folder_is_read_in_the_order_of_its_conversion(tmp_path):
    made(tmp_path / "images", 24, 5)
    listed = converting.look(job(tmp_path / "images", tmp_path / "images", "lmdb"), Silent())
    expected = [listed.path(number) for number in range(24)]
    found = folders.listed(str(tmp_path / "images"))
    assert [path for path, _ in found] == expected
    assert [label for _, label in found] == [int(path[6:9]) for path in expected]
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataProblem, match="no images"):
        folders.listed(str(tmp_path / "empty"))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return made(tmp_path_factory.mktemp("images") / "images", 11, 3, side=64, height=48)


def reading(folder, **changed):
    kind = images.found_format(str(folder))
    usual = images.Reading(str(folder), 32, 4, 2, 2, 0, 1, 0, False, 5, kind)
    return usual._replace(**changed)


def test_threads_read_what_pillow_reads(folder):
    """25 of 11 samples: the memory of a batch is used again, and the order starts again."""
    source, proof = threaded.opened(reading(folder)), images.Proof()
    for left in range(25, 0, -4):
        x, y = source.next()
        proof.add(x[:left], y[:left])
    source.close()
    expected = reference.digests(folder, "images", 32, 25)
    found = proof.facts()
    assert (found["labels"], found["pixels"]) == (expected.labels, expected.pixels)


def test_a_batch_is_valid_until_the_next_one(folder):
    source = threaded.opened(reading(folder))
    for _ in range(6):
        x, _ = source.next()
        kept = x.copy()
        time.sleep(0.02)
        assert (x == kept).all()
    source.close()


def test_threads_name_the_image_that_cannot_be_decoded(tmp_path):
    made(tmp_path / "images", 5, 2, side=64, height=48)
    bad = next(iter(sorted((tmp_path / "images").rglob("*.jpg"))))
    bad.write_bytes(b"no image")
    source = threaded.opened(reading(tmp_path / "images"))
    with pytest.raises(DataProblem, match=f"{bad} cannot be decoded"):
        for _ in range(3):
            source.next()
    source.close()


def test_a_png_is_named_where_only_jpeg_is_read(tmp_path, monkeypatch):
    from PIL import Image

    monkeypatch.setitem(sys.modules, "simplejpeg", SimpleNamespace())
    (tmp_path / "a").mkdir()
    Image.new("RGB", (40, 40)).save(tmp_path / "a" / "x.jpg", "PNG")
    with pytest.raises(DataProblem, match=r"a/x\.jpg cannot be decoded: it is a PNG"):
        decoding.Crops(reading(tmp_path)).at(0)


@pytest.fixture(scope="module")
def shards_of_tar(folder, tmp_path_factory):
    root = tmp_path_factory.mktemp("tar") / "webdataset"
    converting.convert(job(folder, root, "webdataset", shards=3), Silent())
    return root


def test_tar_files_hold_what_their_folder_holds(folder, shards_of_tar):
    assert len(list(shards_of_tar.glob("*.tar"))) == 3
    assert images.is_read_by(threaded, str(shards_of_tar), SimpleNamespace(input_shape=(3, 32, 32)))
    ours, theirs = (decoding.Crops(reading(one)) for one in (shards_of_tar, folder))
    for place in range(2 * 11):
        (crop, label), (other, expected) = ours.at(place), theirs.at(place)
        assert label == expected
        assert (crop == other).all()


def test_tar_files_without_a_manifest_are_read_too(shards_of_tar, tmp_path):
    for path in shards_of_tar.glob("*.tar"):
        shutil.copy(path, tmp_path)
    assert images.found_format(str(tmp_path)) == "webdataset"
    assert len({label for _, label in map(decoding.Crops(reading(tmp_path)).at, range(11))}) == 3


def archive(path, *members):
    with tarfile.open(path, "w") as tar:
        for name, content in members:
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))


def test_members_of_a_sample_have_any_order_and_its_name(tmp_path):
    content = next(path.read_bytes() for path in made(tmp_path / "images", 1, 1).rglob("*.jpg"))
    members = [("./a.b/1.cls", b"7"), ("./a.b/1.json", b"{}"), ("./a.b/1.JPEG", content)]
    archive(tmp_path / "a.tar", ("./a.b/README", b""), *members)
    (found,) = archives.listed([str(tmp_path / "a.tar")])
    assert (found[1], found[3], found[4]) == ("./a.b/1.JPEG", len(content), 7)


@pytest.mark.parametrize(
    ("members", "says"),
    [
        ([("1.cls", b"0"), ("2.cls", b"0")], r"a\.tar, 1\.cls: it has no image"),
        ([("1.jpg", b""), ("2.cls", b"0")], r"a\.tar, 1\.jpg: it has no label"),
        ([("1.jpg", b""), ("1.cls", b"cat")], r"a\.tar cannot be read: .*'cat'"),
        ([("1.jpg", b"")], r"a\.tar, 1\.jpg: it has no label"),
        ([("1.jpg", b""), ("2.jpg", b""), ("2.cls", b"0")], r"a\.tar, 1\.jpg: it has no label"),
        ([("readme.txt", b"")], "has no images in its tar files"),
    ],
)
def test_a_tar_file_that_is_no_dataset_is_named(tmp_path, members, says):
    archive(tmp_path / "a.tar", *members)
    with pytest.raises(DataProblem, match=says):
        decoding.Crops(reading(tmp_path))


def test_what_is_damaged_in_a_tar_file_is_named(tmp_path):
    archive(tmp_path / "a.tar", ("1.jpg", b"no image"), ("1.cls", b"0"))
    with pytest.raises(DataProblem, match=r"a\.tar, 1\.jpg cannot be decoded"):
        decoding.Crops(reading(tmp_path)).at(0)
    (tmp_path / "a.tar").write_bytes(b"x" * 700)
    with pytest.raises(DataProblem, match=r"a\.tar cannot be read"):
        decoding.Crops(reading(tmp_path))


@pytest.mark.parametrize("world", [1, 2, 3])
def test_ranks_take_turns(folder, world):
    ranks = [decoding.turns(reading(folder, rank=rank, world=world)) for rank in range(world)]
    places = [place for _ in range(3) for rank in ranks for place in next(rank)]
    assert places == list(range(3 * world * 4))


def test_random_crops_only_depend_on_seed_and_place(folder):
    def crops(**changed):
        found = decoding.Crops(reading(folder, augment=True, **changed))
        return [found.at(place) for place in range(44)]

    first, again, other = crops(), crops(), crops(seed=6)
    assert all((a == b).all() for (a, _), (b, _) in zip(first, again, strict=True))
    assert any((a != b).any() for (a, _), (b, _) in zip(first, other, strict=True))
    # Of an image in four passes: the crops differ, the label does not.
    for place in range(11):
        passes = [first[place + 11 * number] for number in range(4)]
        assert len({crop.tobytes() for crop, _ in passes}) > 1
        assert len({label for _, label in passes}) == 1
    centre = decoding.Crops(reading(folder))
    whole, _ = centre.at(0)
    assert first[0][0].shape == whole.shape == (32, 32, 3)


def test_random_crops_are_anywhere_and_half_of_them_are_mirrored(tmp_path, monkeypatch):
    from PIL import Image

    monkeypatch.setattr(decoding, "_decoder", decoding._pillow)  # simplejpeg reads no PNG
    (tmp_path / "a").mkdir()
    pixels = np.arange(4 * 5, dtype=np.uint8).reshape(4, 5, 1).repeat(3, 2)
    Image.fromarray(pixels).save(tmp_path / "a" / "x.png")
    crops = decoding.Crops(reading(tmp_path, side=3, augment=True))
    seen = {tuple(crops.at(place)[0][0, :, 0]) for place in range(400)}
    rows = {(first, first + 1, first + 2) for top in (0, 5) for first in range(top, top + 3)}
    assert seen == rows | {row[::-1] for row in rows}


def test_caffe_crops_and_turns_gray_into_colour():
    asked = images.Reading("/data", 224, 8, 3, 2, 0, 1, 0, False, 0, "lmdb")
    text = caffe_reader.network(asked)
    for words in ('source: "/data"', "crop_size: 224", "force_color: true", "batch_size: 8"):
        assert words in text
    assert "mirror: false" in text
    assert "mirror: true" in caffe_reader.network(asked._replace(augment=True))
    # What a fork or an old release would not know ends it.
    assert "prefetch: 2" in text
    assert "prefetch" not in caffe_reader.network(asked, known=())
    assert not {"engine", "threads", "default_forward_type"} & set(re.findall(r"\w+", text))


def test_the_forks_of_caffe_are_told_what_they_would_choose_themselves():
    asked = images.Reading("/data", 224, 8, 3, 2, 0, 1, 0, False, 0, "lmdb")
    fields = ("prefetch", "threads", "parser_threads")
    nvidia = caffe_reader.network(asked, dialects.NVIDIA, fields)
    assert "    threads: 1\n    parser_threads: 1\n" in nvidia
    assert "default_forward_type: FLOAT\n" in nvidia
    intel = caffe_reader.network(asked, dialects.INTEL)
    assert 'engine: "CAFFE"\n' in intel
    for text in (nvidia, intel):
        assert "crop_size: 224" in text


# -- the program ---------------------------------------------------------------------------


def backend(**changed):
    usual = {"FRAMEWORK": "fake", "OPTIONS": (), "version": str, "classify": lambda error: None}
    return SimpleNamespace(**{**usual, **changed})


def told(folder, model="resnet18", **changed):
    log = []

    def emit(event, **fields):
        log.append((event, fields))

    words = ["read", "--data", str(folder), model]
    return program.main(backend(**changed), words, emit), log


def test_a_program_reads_without_a_network(shards):
    status, log = told(shards, READER=reader())
    ((event, fields),) = log
    assert (status, event) == (0, "read")
    assert (fields["framework"], fields["samples"]) == ("fake", images.PROVEN)


def test_a_program_that_reads_no_images_says_so(tmp_path):
    np.savez(tmp_path / "a.npz", x=np.zeros((2, 3, SIDE, SIDE), np.uint8), y=np.zeros(2, int))
    status, log = told(tmp_path)
    assert status == 1
    assert log == [("error", {"kind": "data", "message": "fake does not read images from it"})]


# -- what Pillow reads ---------------------------------------------------------------------


@pytest.fixture(scope="module")
def all_formats(tmp_path_factory):
    root = tmp_path_factory.mktemp("data")
    made(root / "images")
    for to in FORMATS:
        converting.convert(job(root / "images", root / to, to), Silent())
    return root


@pytest.mark.parametrize("kind", FORMATS)
def test_every_format_has_the_digests_of_its_images(all_formats, kind):
    expected = reference.digests(all_formats / "images", "images", 32, 40)
    assert reference.digests(all_formats / kind, kind, 32, 40) == expected
    assert reference.digests(all_formats / kind, kind, 32, 39) != expected


def test_an_image_that_is_too_small_is_refused(all_formats):
    with pytest.raises(DataError, match=r"an image of \d+ x \d+, which is too small for 64 x 64"):
        reference.digests(all_formats / "recordio", "recordio", 64, 1)


def test_pillow_crops_the_centre(tmp_path):
    from PIL import Image

    path = tmp_path / "a" / "x.png"
    path.parent.mkdir()
    pixels = np.arange(5 * 4 * 3, dtype=np.uint8).reshape(5, 4, 3)
    Image.fromarray(pixels).save(path)
    found = reference.digests(tmp_path, "images", 2, 1)
    crop = pixels[1:3, 1:3].transpose(2, 0, 1)
    assert found.pixels == hashlib.sha256(crop.tobytes()).hexdigest()
    assert found.labels == hashlib.sha256(bytes(4)).hexdigest()
