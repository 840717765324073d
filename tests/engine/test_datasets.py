"""The frameworks' own readers find the same labels and pixels in every format."""

from __future__ import annotations

import hashlib
import json

import pytest

from orchestrator.data import converting, reference
from tests.engine.in_image import ready, run_module
from tests.engine.read_datasets import SIDE
from tests.support.datasets import Silent, job, made

pytestmark = [pytest.mark.engine, pytest.mark.timeout(600)]

COUNT = 16
READERS = {
    "tensorflow": ("tensorflow-cpu", "tfrecord"),
    "mxnet": ("mxnet-cpu", "recordio"),
    "caffe": ("legacy-cpu", "lmdb"),
    "caffe2": ("legacy-cpu", "lmdb"),
}


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    folder.chmod(0o755)
    return made(folder / "images", 24, 5)


@pytest.fixture(scope="module")
def expected(images, tmp_path_factory):
    """Labels and digest of pixels as Pillow decodes them."""
    from PIL import Image

    listed = converting.look(job(images, images, "lmdb"), Silent())
    labels, pixels = [], hashlib.sha256()
    for number in range(COUNT):
        image = Image.open(images / listed.path(number))
        left, top = ((size - SIDE) // 2 for size in image.size)
        crop = image.crop((left, top, left + SIDE, top + SIDE))
        planes = [band.tobytes() for band in crop.split()]
        pixels.update(b"".join(planes))
        labels.append(int(listed.path(number)[6:9]))
    return {"labels": labels, "pixels": pixels.hexdigest()}


@pytest.mark.parametrize("reader", READERS)
def test_a_framework_reads_the_same_labels_and_pixels(engine, images, expected, tmp_path, reader):
    image, to = READERS[reader]
    tmp_path.chmod(0o755)
    converting.convert(job(images, tmp_path / to, to), Silent())
    done = run_module(
        ready(engine, image),
        *("tests.engine.read_datasets", reader, "/data", str(COUNT)),
        mounts=(f"{tmp_path / to}:/data",),
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1]) == expected


OURS = [
    ("pytorch", "pytorch-cpu", "images"),
    ("pytorch", "pytorch-cpu", "webdataset"),
    ("tensorflow", "tensorflow-cpu", "tfrecord"),
    ("mxnet", "mxnet-cpu", "recordio"),
    ("bvlc_caffe", "legacy-cpu", "lmdb"),
    ("caffe2", "legacy-cpu", "lmdb"),
    ("onnxruntime", "onnxruntime-cpu", "images"),
    ("onnxruntime", "onnxruntime-cpu", "webdataset"),
    ("openvino", "openvino-cpu", "images"),
    ("openvino", "openvino-cpu", "webdataset"),
]


@pytest.fixture(scope="module")
def larger(tmp_path_factory):
    folder = tmp_path_factory.mktemp("larger")
    folder.chmod(0o755)
    return made(folder / "images", 24, 5, side=360, height=270)


@pytest.mark.parametrize(("framework", "image", "to"), OURS)
def test_our_readers_read_what_pillow_reads(engine, larger, tmp_path, framework, image, to):
    """200 of 24 samples: the end of the dataset is in the middle of a batch."""
    tmp_path.chmod(0o755)
    folder = larger if to == "images" else tmp_path / to
    if folder != larger:
        converting.convert(job(larger, folder, to), Silent())
    words = (f"backends.{framework}", "read", "--data=/data", "--batch=7", "resnet18")
    done = run_module(ready(engine, image), *words, mounts=(f"{folder}:/data",))
    assert done.returncode == 0, done.stdout + done.stderr
    last = done.stdout.splitlines()[-1]
    told = json.loads(last.removeprefix("::benchdock "))
    expected = reference.digests(folder, to, 224, 200)
    found = (told["samples"], told["labels"], told["pixels"])
    assert found == (expected.samples, expected.labels, expected.pixels)
