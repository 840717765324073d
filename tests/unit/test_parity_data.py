"""`benchdock parity --data`: which framework reads what, and what it shows."""

from __future__ import annotations

import io
import json

import pytest

from backends.harness import events
from orchestrator.cli import main
from orchestrator.data import converting, reference
from orchestrator.errors import ExitStatus
from orchestrator.parity import readers
from orchestrator.parity.readers import Row
from orchestrator.parsers import parse
from orchestrator.parsers.reading import ReadCell
from tests.support.datasets import Silent, job, made

FACTS = {
    "framework": "mxnet",
    "format": "recordio",
    "transform": "centre crop 224",
    "filter": "some",
    "workers": 3,
    "samples": 200,
    "labels": "ab" * 32,
    "pixels": "cd" * 32,
}


@pytest.fixture(scope="module")
def datasets(tmp_path_factory):
    root = tmp_path_factory.mktemp("data")
    made(root / "images", 6, 2, side=360, height=270)
    for to in ("tfrecord", "recordio"):
        converting.convert(job(root / "images", root / to, to), Silent())
    return root


@pytest.fixture
def read(monkeypatch):
    """Let each framework read at once: what Pillow reads, or what is wrong with it."""
    wrong = {}

    def install(**faults):
        wrong.update(faults)
        return wrong

    def fake(reading, model, expected, setting, view):
        name = reading.framework.name
        found = {**FACTS, "framework": name, "labels": expected.labels, "pixels": expected.pixels}
        if wrong.get(name) == "died":
            return Row(reading=reading, expected=expected, why="it died; see LOG")
        if wrong.get(name) == "interrupted":
            return Row(reading=reading, expected=expected, signal_number=2)
        cell = ReadCell(event="read", **{**found, **wrong.get(name, {})})
        return Row(reading=reading, expected=expected, cell=cell)

    monkeypatch.setattr(readers, "read", fake)
    return install


def run(datasets, *words, data=("tfrecord", "recordio")):
    return main(["parity", *words, *(f"--data={datasets / name}" for name in data)])


def test_each_framework_reads_its_format(datasets, read, capsys):
    assert run(datasets) == ExitStatus.OK
    out = capsys.readouterr().out
    assert "2 of 2 readers read what Pillow reads: the first 200 samples" in out
    assert "caffe2 reads an LMDB: run `benchdock data convert IMAGES NEW --to lmdb`" in out
    expected = reference.digests(datasets / "tfrecord", "tfrecord", 224, 200)
    assert out.count(expected.pixels[:16]) == 4  # Pillow and the framework, for each dataset


def test_a_framework_reads_each_of_its_formats(datasets, read, capsys):
    converting.convert(job(datasets / "images", datasets / "tar", "webdataset"), Silent())
    assert run(datasets, "-f", "pytorch", data=("images", "tar")) == ExitStatus.OK
    out = capsys.readouterr().out
    assert "2 of 2 readers read what Pillow reads" in out
    assert "the datasets differ" not in out


@pytest.mark.parametrize("fault", [{"labels": "0" * 64}, {"pixels": "0" * 64}, {"samples": 199}])
def test_another_digest_fails(datasets, read, capsys, fault):
    read(mxnet=fault)
    assert run(datasets) == ExitStatus.BENCHMARK_FAILED
    out = capsys.readouterr().out
    assert "DIFFERS" in out
    assert "1 of 2 readers" in out


def test_a_framework_that_does_not_read_fails(datasets, read, capsys):
    read(mxnet="died")
    assert run(datasets) == ExitStatus.BENCHMARK_FAILED
    assert (
        f"mxnet did not read {datasets / 'recordio'}: it died; see LOG" in capsys.readouterr().out
    )


def test_an_interrupt_ends_it(datasets, read, capsys):
    read(tensorflow="interrupted")
    assert run(datasets, "--json") == ExitStatus.INTERRUPTED
    assert len(json.loads(capsys.readouterr().out)["rows"]) == 1


def test_datasets_of_other_images_differ(datasets, read, tmp_path, capsys):
    made(tmp_path / "images", 6, 3, side=360, height=270)
    converting.convert(job(tmp_path / "images", tmp_path / "rec", "recordio"), Silent())
    words = ["parity", "--data", str(datasets / "tfrecord"), "--data", str(tmp_path / "rec")]
    assert main(words) == ExitStatus.BENCHMARK_FAILED
    assert "the datasets differ" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "data", "says"),
    [
        (["-f", "mxnet"], ("tfrecord",), "no framework reads"),
        (["-f", "timm"], ("tfrecord",), "timm does not decode images; use one of"),
        (["deep_mnist"], ("tfrecord",), "deep_mnist does not take images in colour; use resnet50"),
        (["vgg16", "vgg19"], ("tfrecord",), "reads for one network; name one MODEL"),
        ([], ("absent",), "does not exist"),
        (["--level", "P1"], ("tfrecord",), "--level has no effect on what is read"),
        (["--dtype", "bfloat16"], ("tfrecord",), "--dtype has no effect on what is read"),
        (["--image", "a:1"], ("tfrecord",), "--image needs exactly one framework"),
    ],
)
def test_what_cannot_be_read_is_refused(datasets, read, capsys, words, data, says):
    assert run(datasets, *words, data=data) == ExitStatus.BAD_REQUEST
    assert says in capsys.readouterr().err


def test_a_log_of_a_reader():
    found = parse("reading", io.BytesIO(events.line("read", FACTS).encode()), exit_code=0)
    assert found.failure is None
    assert ReadCell.model_validate(found.begin.cells[0]).pixels == "cd" * 32
    # A run prints the same of its own reader, which is not this program's answer.
    assert parse("reading", io.BytesIO(events.line("data", FACTS).encode())).failure is not None
