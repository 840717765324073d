"""The digests of vendors' images: the file, and the command that renews it."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator import installation
from orchestrator.cli import main
from orchestrator.errors import ExitStatus, ImageError
from orchestrator.images import image_table, pins
from tests.fakes import Answer, FakeEngine
from tests.support.image_helpers import TABLE

ROW = "ngc-caffe-20-03"
REFERENCE = "nvcr.io/nvidia/caffe:20.03-py3"
DIGEST, OTHER = "sha256:" + "d" * 64, "sha256:" + "e" * 64


def test_the_shipped_file_is_what_a_renewal_writes():
    text = pins.file().read_text()
    assert pins.written(pins.read(text)) == text
    assert set(pins.read(text)) <= {row.reference for row in image_table.load().images.values()}


NAMES = st.from_regex(r"[a-z0-9./:_-]{1,40}", fullmatch=True)
DIGESTS = st.from_regex(r"sha256:[0-9a-f]{64}", fullmatch=True)


@pytest.mark.slow
@given(st.dictionaries(NAMES, DIGESTS, max_size=5))
def test_what_is_written_is_read(found):
    assert pins.read(pins.written(found)) == found


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("schema = ", "digests.toml is not valid TOML"),
        ("schema = 1", "digest: it is missing"),
        ('schema = 1\n[digest]\n"a:1" = "latest"', "digest.a:1"),
        (f'schema = 1\n[digests]\n"a:1" = "{DIGEST}"', "digests: unknown key"),
    ],
)
def test_a_mistake_in_the_file_is_named(text, told):
    with pytest.raises(ImageError, match=told):
        pins.read(text)


def test_an_image_is_asked_for_by_its_digest_only_if_that_is_known():
    table = image_table.read(TABLE, name="x")
    image = table.images["vendor-tiny"]
    assert table.pinned(image) == image.tag
    known = table.model_copy(update={"digests": {image.reference: DIGEST}})
    assert known.pinned(image) == f"registry.example/tiny@{DIGEST}"
    ours = table.images["tiny-cpu"]
    assert known.pinned(ours) == ours.tag


@pytest.fixture
def file(tmp_path, monkeypatch):
    path = tmp_path / "digests.toml"
    monkeypatch.setattr(pins, "file", lambda: path)
    pins.save({})
    return path


@pytest.fixture
def engine(tmp_path, monkeypatch):
    with FakeEngine(tmp_path) as fake:
        monkeypatch.setenv("DOCKER_HOST", fake.address)
        yield fake


def says(digest):
    return Answer(body={"Descriptor": {"digest": digest, "size": 1}, "Platforms": []})


def test_a_pin_is_made_from_what_the_registry_says(engine, file, capsys):
    engine.plan(f"^GET /distribution/{REFERENCE}/json$", says(DIGEST))
    assert main(["images", "pin", ROW]) == ExitStatus.OK
    assert capsys.readouterr().out == f"{ROW}: pinned {REFERENCE} {DIGEST}\n"
    assert pins.load() == {REFERENCE: DIGEST}


@pytest.mark.parametrize(
    "answer",
    [
        Answer(500, {"message": 'Get "https://nvcr.io/v2/": no such host'}),
        Answer(401, {"message": "unauthorized: authentication required"}),
        says("latest"),
        Answer(body={"Descriptor": None}),
        Answer(body=[]),
    ],
)
def test_a_pin_stays_if_no_registry_tells_another(engine, file, capsys, monkeypatch, answer):
    table = image_table.load()
    before = table.model_copy(update={"digests": {REFERENCE: OTHER}})
    monkeypatch.setattr(image_table, "load", lambda: before)
    engine.plan("^GET /distribution/nvcr.io/nvidia/caffe:", answer)
    engine.plan("^GET /distribution/nvcr.io/nvidia/caffe2:", says(DIGEST))
    words = ["images", "pin", ROW, "ngc-caffe2-18-08", "--json"]
    assert main(words) == ExitStatus.MACHINE_CANNOT
    failed, pinned = json.loads(capsys.readouterr().out)["pin"]
    assert (failed["did"], pinned["did"]) == ("failed", "pinned")
    assert f"no registry gives the digest of {REFERENCE}" in failed["why"]
    assert pins.load() == {REFERENCE: OTHER, "nvcr.io/nvidia/caffe2:18.08-py3": DIGEST}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["pin", "pytorch-cpu"], "pytorch-cpu is built here and not in any registry"),
        (["pin", "ngc-caffe"], "did you mean 'ngc-caffe-20-03'"),
        (["pull"], "`images pull` needs the name of an image"),
        (["pull", "pytorch-cpu"], "`benchdock images build pytorch-cpu`"),
        (["pull", "ngc-caffe"], "did you mean 'ngc-caffe-20-03'"),
        (["pin", "--force"], "--force only works with `images build`"),
    ],
)
def test_what_cannot_be_pinned_or_pulled_is_refused(engine, file, capsys, words, told):
    assert main(["images", *words]) == ExitStatus.BAD_REQUEST
    assert told in capsys.readouterr().err
    assert not any("distribution" in request or "create" in request for request in engine.requests)


def test_an_installed_benchdock_does_not_write_into_its_installation(
    engine, file, capsys, monkeypatch
):
    before = file.read_bytes() if file.exists() else None
    monkeypatch.setattr(installation, "from_wheel", lambda: True)
    assert main(["images", "pin", ROW]) == ExitStatus.MACHINE_CANNOT
    err = capsys.readouterr().err
    assert "`images pin` writes digests.toml of a checkout, and this benchdock is installed" in err
    assert len(err.splitlines()) == 1
    assert (file.read_bytes() if file.exists() else None) == before
    assert not any("distribution" in request for request in engine.requests)


def test_a_file_that_cannot_be_written_is_reported_in_a_line(engine, capsys, monkeypatch, tmp_path):
    monkeypatch.setattr(pins, "file", lambda: tmp_path / "absent" / "digests.toml")
    engine.plan("^GET /distribution/", says(DIGEST))
    assert main(["images", "pin", ROW]) == ExitStatus.MACHINE_CANNOT
    assert "cannot write" in capsys.readouterr().err
