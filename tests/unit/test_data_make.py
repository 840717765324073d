"""Made datasets: the same everywhere, one sample at a time."""

from __future__ import annotations

import hashlib
import io
import itertools
import json
import os

import numpy as np
import pytest

from backends.harness import data as harness_data
from backends.zoo import draw
from orchestrator.cli import main
from orchestrator.data import features, making, manifest, packages, registry
from orchestrator.data.pixels import Maker, Recipe
from orchestrator.errors import BenchdockError, MachineError, RequestError
from orchestrator.suites.requests import request_of
from orchestrator.ui.bar import Bar
from tests.support.datasets import Silent, contents, made

# Of the first images of seed 0, on every machine and with every version of every package.
PIXELS = "9847adc01e769335f70306a612115c36446a03472c59e56d61e5249bfa2560af"


def test_pixels_never_change():
    maker = Maker(Recipe(60, 40, 4))
    pixels = b"".join(maker.pixels(index).tobytes() for index in range(8))
    assert hashlib.sha256(pixels).hexdigest() == PIXELS


def test_an_image_depends_on_its_number_and_the_seed_only():
    first, second = Maker(Recipe(60, 40, 4)), Maker(Recipe(60, 40, 4))
    later = [second.pixels(index) for index in (5, 3)]
    assert np.array_equal(later[1], first.pixels(3))
    other = Maker(Recipe(60, 40, 4, seed=1))
    assert not all(np.array_equal(other.pixels(n), first.pixels(n)) for n in range(3))


def test_images_have_several_sizes_and_every_class(tmp_path):
    made(tmp_path / "d", 23, 4)
    found = manifest.read(tmp_path / "d")
    assert found.per_class == (6, 6, 6, 5)
    assert (found.widths, found.heights) == ((36, 48), (32, 48))
    assert sorted(os.listdir(tmp_path / "d")) == [manifest.NAME, *found.classes]


def test_making_goes_on_where_it_ended(tmp_path):
    class Stop(Silent):
        def advance(self):
            super().advance()
            if self.done == 9:
                raise KeyboardInterrupt

    whole = contents(made(tmp_path / "whole"))
    order = making.Order(Recipe(48, 36, 4), 23)
    with pytest.raises(KeyboardInterrupt):
        making.make(order, tmp_path / "d", Stop(), threads=1)
    kept = next(path for path in sorted((tmp_path / "d").rglob("*.jpg")))
    before = kept.stat().st_mtime_ns
    making.make(order, tmp_path / "d", Silent(), threads=1)
    assert contents(tmp_path / "d") == whole
    assert kept.stat().st_mtime_ns == before
    again = Silent()
    making.make(order, tmp_path / "d", again, threads=1)
    assert again.notes == [f"{tmp_path / 'd'} is complete already"]


def test_fewer_samples_than_classes_are_refused():
    with pytest.raises(RequestError, match="use --samples 4"):
        making.Order(Recipe(48, 36, 4), 3)


@pytest.mark.parametrize("model", features.MODELS)
def test_features_are_what_the_network_takes(tmp_path, monkeypatch, model):
    graph = draw(model)
    size = 4 * int(np.prod(graph.input_shape))
    monkeypatch.setattr(features, "_FILE_BYTES", 3 * size)
    order = features.Order(model, 8)
    found = features.make(order, tmp_path / "d", Silent(), threads=2)
    assert len([file for file in found.files if file.name.endswith("_x.npy")]) == 3
    source = harness_data.Folder(str(tmp_path / "d"), graph, batch=8)
    try:
        x, y = source.next()
    finally:
        source.close()
    assert x.shape == (8, *graph.input_shape)
    assert 1 < x.max() - x.min() < 20
    assert len({one.tobytes() for one in x}) == 8
    assert y.min() >= (graph.kind == "speech")


def test_utterances_have_different_lengths_and_end_in_silence(tmp_path):
    features.make(features.Order("deep_speech2", 8), tmp_path / "d", Silent(), threads=2)
    frames = np.load(tmp_path / "d" / "part-00000000_frames.npy")
    x = np.load(tmp_path / "d" / "part-00000000_x.npy")
    assert len(set(frames)) > 4
    for sample, length in zip(x, frames, strict=True):
        assert not sample[0, length:].any()
        assert sample[0, length - 1].any()


def test_a_missing_package_is_named_with_the_command(monkeypatch):
    monkeypatch.setattr(packages, "find_spec", lambda name: None)
    with pytest.raises(MachineError, match=r"needs the packages NumPy and Pillow; run `.*\[data\]"):
        packages.need("data make", packages.NUMPY, packages.PILLOW)


def test_the_commands_print_what_they_made(tmp_path, capsys):
    images, records = str(tmp_path / "images"), str(tmp_path / "records")
    assert main(["data", "make", images, "--samples=6", "--classes=2", "--size=40x32"]) == 0
    assert f"{images}: 6 samples of 2 classes, images" in capsys.readouterr().out
    assert main(["data", "convert", images, records, "--to", "lmdb", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert (document["format"], document["per_class"]) == ("lmdb", [3, 3])
    assert main(["data", "make", str(tmp_path / "x"), "--samples=6", "-m", "deep_mnist"]) == 0


def test_a_network_file_system_gets_a_warning_for_lmdb(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("orchestrator.store.file_system.of", lambda *_: "nfs4")
    made(tmp_path / "images", 4, 2)
    for to, warned in (("lmdb", True), ("recordio", False)):
        assert (
            main(["data", "convert", str(tmp_path / "images"), str(tmp_path / to), "--to", to]) == 0
        )
        assert ("network file system (nfs4)" in capsys.readouterr().err) == warned


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["make", "DIR", "--samples=3", "--size=4x4"], "out of range"),
        (["make", "DIR", "--samples=3", "--size=big"], "write it like 500x375"),
        (["make", "DIR", "--samples=3", "--size=64x64", "-m", "deep_mnist"], "remove --size"),
        (["convert", "none", "DIR", "--to", "lmdb"], "none cannot be read"),
        (["convert", "none", "DIR", "--to", "hdf5"], "unknown format 'hdf5'"),
        (["add", "a/b", "DIR"], "not a name"),
        (["add", "a", "none"], "none is not a folder"),
        (["remove", "a"], "unknown dataset 'a'"),
    ],
)
def test_wrong_words_get_one_line(tmp_path, monkeypatch, capsys, words, says):
    monkeypatch.chdir(tmp_path)
    assert main(["data", *words]) == 2
    assert says in capsys.readouterr().err


def test_a_name_stands_for_a_folder(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("BENCHDOCK_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    assert main(["data"]) == 0
    assert "no dataset has a name" in capsys.readouterr().out
    made(tmp_path / "images", 4, 2)
    assert main(["data", "add", "small", "images"]) == 0
    assert main(["data", "list", "--json"]) == 0
    listed = capsys.readouterr().out
    listed = json.loads(listed[listed.index("{") :])
    assert listed["datasets"] == [
        {
            "name": "small",
            "format": "images",
            "samples": 4,
            "classes": 2,
            "folder": str(tmp_path / "images"),
        }
    ]
    assert registry.resolve("small") == tmp_path / "images"
    assert str(registry.resolve("./small")) == "small"
    assert registry.resolve("other", tmp_path) == tmp_path / "other"
    settings = {"model": "resnet50", "framework": "pytorch", "phase": "training"}
    assert request_of({**settings, "data": "small"}, tmp_path / "x").data == tmp_path / "images"
    assert request_of({**settings, "data": "a"}, tmp_path / "x").data == tmp_path / "x" / "a"
    assert main(["data", "remove", "small"]) == 0
    assert registry.known() == {}
    (tmp_path / "home" / "datasets.json").write_text("[]")
    with pytest.raises(BenchdockError, match="is damaged"):
        registry.known()


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.mark.parametrize(
    ("stream", "total", "shown"),
    [
        (Terminal(), 4, "[##############################] made 4 of 4, 4 per second, 0 s left"),
        (Terminal(), 0, "made 4, 4 per second"),
        (io.StringIO(), 4, ""),
    ],
)
def test_the_bar_says_how_far_it_is(monkeypatch, stream, total, shown):
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "100")
    seconds = itertools.count(step=0.25)
    monkeypatch.setattr("orchestrator.ui.bar.time.monotonic", lambda: next(seconds))
    bar = Bar(stream)
    bar.begin("made", total)
    for _ in range(4):
        bar.advance()
    assert stream.getvalue().rpartition("\x1b[K")[2] == shown
    bar.note("a line")
    assert stream.getvalue().endswith("a line\n")
    quiet = Bar(Terminal(), quiet=True)
    quiet.begin("made", 1)
    quiet.advance()
    quiet.clear()
