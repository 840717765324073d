"""Conversions: the same samples in every format, whatever ends them."""

from __future__ import annotations

import hashlib
import io
import os
import random
import signal
import tarfile

import lmdb
import numpy as np
import pytest

from orchestrator.data import (
    checking,
    converting,
    datum,
    example,
    manifest,
    recordio,
    tfrecord,
    wanted,
    work,
)
from orchestrator.data import conversion as conversions
from orchestrator.data.layouts import LAYOUTS
from orchestrator.data.orders import divide
from orchestrator.errors import BenchdockError, DataError
from tests.support.datasets import Silent, contents, job, jpeg, made

PASSED_THROUGH = ("lmdb", "recordio", "tfrecord", "webdataset")


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    return made(tmp_path_factory.mktemp("data") / "images")


def lmdb_samples(folder):
    with lmdb.open(str(folder), lock=False, readonly=True) as database, database.begin() as reader:
        for key, value in reader.cursor():
            found = datum.decode(value)
            yield key[:8].decode(), found.label, found.data


def recordio_samples(folder):
    with (folder / "train.rec").open("rb") as stream:
        for record in recordio.read(stream):
            image = recordio.unpack(record)
            yield f"{image.number:08d}", int(image.labels[0]), image.data


def tfrecord_samples(folder):
    number = 0
    for path in sorted(folder.glob("train-*")):
        with path.open("rb") as stream:
            for record in tfrecord.read(stream):
                found = example.decode(record)
                label = found["image/class/label"]
                assert isinstance(label, int)
                yield f"{number:08d}", label - 1, found["image/encoded"]
                number += 1


def webdataset_samples(folder):
    for path in sorted(folder.glob("*.tar")):
        with tarfile.open(path) as tar:
            found = {one.name: tar.extractfile(one).read() for one in tar.getmembers()}
        for name in sorted({name.partition(".")[0] for name in found}):
            yield name, int(found[f"{name}.cls"]), found[f"{name}.jpg"]


READERS = {
    "lmdb": lmdb_samples,
    "recordio": recordio_samples,
    "tfrecord": tfrecord_samples,
    "webdataset": webdataset_samples,
}


def digest_of(samples):
    lines = (
        f"{key}\0{label}\0{hashlib.sha256(data).hexdigest()}\n" for key, label, data in samples
    )
    return hashlib.sha256("".join(lines).encode()).hexdigest()


@pytest.mark.parametrize("to", PASSED_THROUGH)
def test_every_format_holds_the_same_samples_in_the_same_order(images, tmp_path, to):
    found = converting.convert(job(images, tmp_path / to, to), Silent())
    samples = list(READERS[to](tmp_path / to))
    assert found.samples_digest == digest_of(samples)
    listed = converting.look(job(images, tmp_path, to), Silent())
    expected = [
        (
            f"{number:08d}",
            int(listed.path(number)[6:9]),
            (images / listed.path(number)).read_bytes(),
        )
        for number in range(23)
    ]
    assert samples == expected
    assert [one[1] for one in samples] != sorted(one[1] for one in samples)
    for file in found.files:
        data = (tmp_path / to / file.name).read_bytes()
        assert (len(data), hashlib.sha256(data).hexdigest()) == (file.bytes, file.sha256)
    assert {".benchdock-unfinished", ".benchdock-lock"}.isdisjoint(os.listdir(tmp_path / to))


def test_an_lmdb_has_no_lock_file(images, tmp_path):
    converting.convert(job(images, tmp_path / "lmdb", "lmdb"), Silent())
    assert sorted(os.listdir(tmp_path / "lmdb")) == [manifest.NAME, "data.mdb"]


def test_indexes_say_where_each_record_is(images, tmp_path):
    converting.convert(job(images, tmp_path / "rec", "recordio"), Silent())
    data = (tmp_path / "rec" / "train.rec").read_bytes()
    for line in (tmp_path / "rec" / "train.idx").read_text().splitlines():
        key, offset = map(int, line.split("\t"))
        record = next(recordio.read(io.BytesIO(data[offset:])))
        assert recordio.unpack(record).number == key
    assert len((tmp_path / "rec" / "train.lst").read_text().splitlines()) == 23
    converting.convert(job(images, tmp_path / "tf", "tfrecord", shards=4), Silent())
    shards = sorted((tmp_path / "tf").glob("train-*"))
    indexes = sorted((tmp_path / "tf" / "dali-index").iterdir())
    assert [path.name for path in indexes] == [f"{path.name}.idx" for path in shards]
    counts = []
    for shard, index in zip(shards, indexes, strict=True):
        lines = [tuple(map(int, line.split())) for line in index.read_text().splitlines()]
        assert sum(size for _, size in lines) == shard.stat().st_size
        start, size = lines[-1]
        assert len(list(tfrecord.read(io.BytesIO(shard.read_bytes()[start : start + size])))) == 1
        counts.append(len(lines))
    assert counts == [6, 6, 6, 5]


def test_shards_are_equal_except_the_last():
    for samples, shards in ((23, 4), (10, 8), (1, 5), (8, 8), (1000, 7)):
        found = divide(samples, shards)
        assert [number for one in found for number in one] == list(range(samples))
        assert {len(one) for one in found[:-1]} <= {len(found[0])}
        assert 0 < len(found[-1]) <= len(found[0])
        assert len(found) <= shards


def test_decoded_images_have_one_size(images, tmp_path):
    converting.convert(job(images, tmp_path / "x", "arrays", shards=2), Silent())
    arrays = [np.load(path) for path in sorted((tmp_path / "x").glob("*_x.npy"))]
    labels = [np.load(path) for path in sorted((tmp_path / "x").glob("*_y.npy"))]
    assert [one.shape for one in arrays] == [(12, 3, 16, 16), (11, 3, 16, 16)]
    assert [one.shape for one in labels] == [(12,), (11,)]
    converting.convert(job(images, tmp_path / "t", "tensors", shards=2), Silent())
    tensors = sorted((tmp_path / "t").glob("*.tensors"))
    assert [path.name for path in tensors] == ["images-00000-12.tensors", "images-00001-11.tensors"]
    assert b"".join(path.read_bytes() for path in tensors) == b"".join(
        one.tobytes() for one in arrays
    )


def test_resizing_sets_the_short_side(images, tmp_path):
    found = converting.convert(job(images, tmp_path / "r", "recordio", resize=20), Silent())
    assert min(found.widths[0], found.heights[0]) == 20
    assert found.encoder.startswith("Pillow ")


def folder_of(root, **files):
    for name, data in files.items():
        path = root / name.replace("__", "/")
        path = path.with_name(path.name.replace("_", "."))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return root


def test_an_orientation_is_set_to_1_and_nothing_else_changes(tmp_path):
    from PIL import Image

    turned = jpeg(orientation=6)
    source = folder_of(tmp_path / "s", a__x_jpg=turned, a__y_jpg=jpeg(orientation=1))
    found = converting.convert(job(source, tmp_path / "d", "recordio", seed=None), Silent())
    data = [image for _, _, image in recordio_samples(tmp_path / "d")]
    assert found.turned == 1
    assert sum(one != other for one, other in zip(data[0], turned, strict=True)) == 1
    assert Image.open(io.BytesIO(data[0])).getexif()[0x0112] == 1
    assert data[1] == (source / "a/y.jpg").read_bytes()


BAD = {
    "cut off": jpeg()[:-200],
    "empty": b"",
    "not an image": b"hello there",
    "a web page": b"<html>",
    "a pointer of Git LFS": b"version https://git-lfs.github.com/spec/v1\noid",
    "cannot be decoded": jpeg().replace(b"\xff\xc0", b"\xff\xc3"),  # lossless
}


@pytest.mark.parametrize("says", BAD)
def test_a_bad_image_is_named_and_can_be_skipped(tmp_path, says):
    source = folder_of(tmp_path / "s", a__bad_jpg=BAD[says], a__good_jpg=jpeg(), b__x_jpg=jpeg())
    with pytest.raises(DataError, match=rf"a/bad\.jpg: it .*{says}|a/bad\.jpg: it is {says}"):
        converting.convert(job(source, tmp_path / "d", "recordio"), Silent())
    found = converting.convert(job(source, tmp_path / "e", "recordio", skip_bad=True), Silent())
    assert (found.samples, found.skipped, found.per_class) == (2, 1, (1, 1))
    assert "a/bad.jpg: it" in (tmp_path / "e" / "benchdock-skipped.txt").read_text()


def test_colours_and_kinds_are_counted(tmp_path):
    source = folder_of(
        tmp_path / "s",
        a__gray_jpg=jpeg(mode="L"),
        a__cmyk_jpg=jpeg(mode="CMYK"),
        a__png_jpg=jpeg(kind="PNG"),
        a__rgb_jpg=jpeg(),
    )
    found = converting.convert(job(source, tmp_path / "d", "tfrecord"), Silent())
    assert (found.colours, found.png) == ({"rgb": 2, "gray": 1, "cmyk": 1}, 1)


@pytest.mark.parametrize(
    ("files", "says"),
    [
        ({"x_jpg": jpeg()}, "has no folders of images"),
        ({"a__x_jpg": jpeg(), "b__readme_txt": b""}, "b has no images"),
        ({"train__a__x_jpg": jpeg(), "val__a__x_jpg": jpeg()}, "use .*train"),
        ({"a__x_jpg": jpeg(), "_hidden__x_jpg": jpeg()}, None),
    ],
)
def test_a_folder_that_is_not_classes_of_images_is_refused(tmp_path, files, says):
    source = folder_of(tmp_path / "s", **files)
    if says is None:
        (source / "_hidden").rename(source / ".hidden")
        says = "hidden"
    with pytest.raises(DataError, match=says):
        converting.convert(job(source, tmp_path / "d", "recordio"), Silent())


def test_what_cannot_work_is_refused_before_the_start(images, tmp_path):
    target = tmp_path / "d"
    for wrong, says in (
        (job(images, images / "x", "lmdb"), "inside"),
        (job(images, target, "lmdb", shards=2), "one file"),
        (job(images, target, "tensors", resize=None), "--resize"),
    ):
        with pytest.raises(BenchdockError, match=says):
            converting.convert(wrong, Silent())
    assert not target.exists()


def test_another_target_is_not_touched(images, tmp_path):
    target = tmp_path / "d"
    converting.convert(job(images, target, "recordio"), Silent())
    before, again = contents(target), Silent()
    converting.convert(job(images, target, "recordio"), again)
    assert (again.done, contents(target)) == (0, before)
    with pytest.raises(DataError, match="holds another dataset"):
        converting.convert(job(images, target, "recordio", seed=1), Silent())
    (tmp_path / "e").mkdir()
    (tmp_path / "e" / "mine.txt").write_text("x")
    with pytest.raises(DataError, match=r"it contains mine\.txt"):
        converting.convert(job(images, tmp_path / "e", "lmdb"), Silent())


def test_a_conversion_with_trust_says_how_to_decode_what_it_did_not(images, tmp_path):
    target = tmp_path / "d"
    converting.convert(job(images, target, "recordio", decode=False), Silent())
    converting.convert(job(images, target, "recordio"), told := Silent())
    assert told.notes == [
        f"{target} is complete already",
        "it was converted with --trust; "
        f"`benchdock data check {target} --decode` decodes its images",
    ]


class Killer(Silent):
    """Kills its process at a moment: after some samples, or after some seconds."""

    def __init__(self, after, seconds):
        super().__init__()
        self._after = after
        signal.setitimer(signal.ITIMER_REAL, seconds)

    def advance(self):
        super().advance()
        if self.done == self._after:
            os.kill(os.getpid(), signal.SIGKILL)


def killed(work_, after, seconds):
    """Convert in a process of its own that is killed; return whether it was."""
    child = os.fork()
    if child == 0:
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        converting.convert(work_, Killer(after, seconds))
        os._exit(0)
    return os.WIFSIGNALED(os.waitpid(child, 0)[1])


@pytest.mark.slow
@pytest.mark.parametrize("to", LAYOUTS)
def test_a_killed_conversion_goes_on_to_the_same_bytes(images, tmp_path, monkeypatch, to):
    monkeypatch.setattr(conversions, "COMMIT", 3)
    wanted = converting.convert(job(images, tmp_path / "whole", to), Silent())
    broken, draw = job(images, tmp_path / "broken", to), random.Random(18)
    kills = sum(killed(broken, draw.randrange(1, 23), draw.uniform(0.01, 5)) for _ in range(5))
    assert kills >= 3
    found = converting.convert(broken, Silent())
    assert found == wanted
    assert contents(tmp_path / "broken") == contents(tmp_path / "whole")


@pytest.mark.parametrize("step", ["indexes", "manifest"])
@pytest.mark.parametrize("to", ["lmdb", "tfrecord"])
def test_an_end_while_it_is_completed_is_repaired(images, tmp_path, monkeypatch, step, to):
    wanted = converting.convert(job(images, tmp_path / "whole", to), Silent())

    def fail(*_):
        raise KeyboardInterrupt

    broken = job(images, tmp_path / "broken", to)
    with monkeypatch.context() as patch:
        patch.setattr(f"orchestrator.data.{step}.write", fail)
        with pytest.raises(KeyboardInterrupt):
            converting.convert(broken, Silent())
    assert manifest.read(tmp_path / "broken") is None
    assert converting.convert(broken, Silent()) == wanted
    assert contents(tmp_path / "broken") == contents(tmp_path / "whole")


def test_what_a_kill_after_the_manifest_leaves_behind_is_removed(images, tmp_path, monkeypatch):
    target = tmp_path / "d"
    with monkeypatch.context() as patch:
        patch.setattr(work, "_tidy", lambda _: None)
        converting.convert(job(images, target, "recordio"), Silent())
    assert {".benchdock-lock", ".benchdock-unfinished"} <= set(os.listdir(target))
    converting.convert(job(images, target, "recordio"), Silent())
    converting.convert(job(images, tmp_path / "whole", "recordio"), Silent())
    assert contents(target) == contents(tmp_path / "whole")


def test_other_options_do_not_continue_an_unfinished_conversion(images, tmp_path, monkeypatch):
    class Stop(Silent):
        def advance(self):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        converting.convert(job(images, tmp_path / "d", "recordio"), Stop())
    with pytest.raises(DataError, match="unfinished"):
        converting.convert(job(images, tmp_path / "d", "recordio", seed=3), Silent())
    for light in (True, False):
        with pytest.raises(DataError, match="d holds an unfinished dataset; run the command that"):
            checking.check(tmp_path / "d", wanted.named(None, None), light=light)
    converting.convert(job(images, tmp_path / "d", "recordio"), told := Silent())
    assert told.notes == [f"continuing in {tmp_path / 'd'}"]


def test_a_full_disk_is_found_before_the_start(images, tmp_path, monkeypatch):
    monkeypatch.setattr(work.shutil, "disk_usage", lambda _: type("Free", (), {"free": 1000}))
    with pytest.raises(BenchdockError, match=r"needs about .* which has 1000 B; free some space"):
        converting.convert(job(images, tmp_path / "d", "recordio"), Silent())


def test_a_disk_that_fills_up_says_how_to_go_on(images, tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device", "train.rec")

    with monkeypatch.context() as patch:
        patch.setattr("orchestrator.data.shards.FlatWriter.commit", full)
        with pytest.raises(BenchdockError, match=r"No space left.*run the same command again"):
            converting.convert(job(images, tmp_path / "d", "recordio"), Silent())
    assert converting.convert(job(images, tmp_path / "d", "recordio"), Silent()).samples == 23


def test_names_that_are_not_unicode_are_kept(tmp_path):
    source = folder_of(tmp_path / "s", a__x_jpg=jpeg())
    (source / "a/x.jpg").rename(os.fsdecode(os.fsencode(source / "a") + b"/\xff\xfe.jpg"))
    with pytest.raises(DataError, match="unprintable"):
        converting.convert(job(source, tmp_path / "d", "recordio"), Silent())


def test_a_path_longer_than_a_key_is_refused(tmp_path):
    source = folder_of(tmp_path / "s", **{"a" * 250 + "__" + "b" * 250 + "__x_jpg": jpeg()})
    with pytest.raises(DataError, match="longer than the keys of LMDB"):
        converting.convert(job(source, tmp_path / "d", "lmdb"), Silent())
