"""`benchdock images`: what each action says, as lines and as a document."""

from __future__ import annotations

import json
from dataclasses import dataclass, field

import pytest

from orchestrator.cli import main
from orchestrator.errors import EngineError, ExitStatus, ImageError
from orchestrator.images import image_table, wheelhouse
from orchestrator.runtimes.docker.client import Engine
from tests.support.image_helpers import TABLE, FakeImages, info, make_place, with_child

BASE = "debian:bookworm-slim"
VENDORS = "registry.example/tiny:24.06"
DIGEST = f"sha256:{'d' * 64}"
# No machine has this Python, so its base cannot be made.
OLD = """
[base."python:9.7-slim"]
parent = "debian:bookworm-slim"
python = "9.7"
glibc = "2.31"
pip = "24.0"
[image.old-cpu]
framework = "tiny"
version = "0.1"
device = "cpu"
source = "build"
base = "python:9.7-slim"
python = "9.7"
machines = ["x86_64"]
lock = "requirements.lock"
recipe = "tiny-cpu"
"""


@dataclass
class Docker(FakeImages):
    """An engine and the registry behind it."""

    name = "Docker"
    version = "27.0"
    digests: dict[str, str] = field(default_factory=dict)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def registry_digest(self, reference):
        if reference not in self.digests:
            raise ImageError(f"the registry does not know {reference}")
        return self.digests[reference]


@pytest.fixture
def place(tmp_path, monkeypatch):
    return make_place(tmp_path, monkeypatch)


@pytest.fixture
def engine(place, monkeypatch):
    found = Docker()
    monkeypatch.setattr(image_table, "load", lambda: place.table)
    monkeypatch.setattr(Engine, "connect", lambda: found)
    return found


@pytest.fixture
def images(engine, capsys):
    """Run `benchdock images WORDS`; return its status, output and errors."""

    def run(*words):
        status = main(["images", *words])
        return status, *capsys.readouterr()

    return run


def document(run, *words):
    status, out, _ = run(*words, "--json")
    return status, json.loads(out)


def test_the_list_says_what_is_here(images, engine):
    engine.add(BASE)
    status, out, _ = images()
    assert status == ExitStatus.OK
    rows = {line.split()[0]: line for line in out.splitlines() if line.strip()}
    assert "tiny-cpu" in rows
    assert BASE in rows["tiny-cpu"]
    assert rows["tiny-cpu"].rstrip().endswith("absent")
    engine.add(VENDORS)
    assert images("list", "vendor-tiny")[1].splitlines()[-1].rstrip().endswith("current")


def test_the_list_as_a_document_says_which_engine_was_asked(images, engine):
    held = engine.add(VENDORS)
    status, told = document(images, "list", "vendor-tiny")
    assert status == ExitStatus.OK
    assert told["engine"] == "Docker 27.0"
    (row,) = told["images"]
    assert (row["id"], row["state"], row["image_id"]) == ("vendor-tiny", "current", held.id)


def test_without_an_engine_the_list_says_that_it_cannot_check(images, monkeypatch):
    def refuse():
        raise EngineError("no container engine answers")

    monkeypatch.setattr(Engine, "connect", refuse)
    status, out, _ = images("list")
    assert status == ExitStatus.OK
    assert out.endswith("cannot check which images are here: no container engine answers\n")
    assert {row["state"] for row in document(images)[1]["images"]} == {"unknown"}


def test_a_build_says_its_stages_and_what_it_made(images, engine, place):
    engine.add(BASE)
    place.fetch()
    status, out, err = images("build")
    assert status == ExitStatus.OK
    assert out.startswith("tiny-cpu: built ")
    assert "== " in err
    assert "Step 1/1 : FROM scratch" in err
    status, told = document(images, "build", "tiny-cpu")
    assert [row["did"] for row in told["build"]] == ["found"]
    status, told = document(images, "build", "tiny-cpu", "--force")
    assert [row["did"] for row in told["build"]] == ["rebuilt"]


def test_an_image_whose_python_is_not_here_is_left_out_unless_named(images, engine, place):
    place.table = image_table.read(TABLE + OLD, name="images.toml")
    engine.add(BASE)
    place.fetch()
    status, told = document(images, "build")
    assert status == ExitStatus.OK
    assert {row["image"]: row["did"] for row in told["build"]} == {
        "tiny-cpu": "built",
        "old-cpu": "left out",
    }
    status, _, err = images("build", "old-cpu")
    assert status == ExitStatus.MACHINE_CANNOT
    assert "Python 9.7" in err
    status, out, _ = images("bootstrap")
    assert status == ExitStatus.OK
    first, second = out.splitlines()
    assert first == f"{BASE}: found"
    assert second.startswith("python:9.7-slim: left out: ")
    status, out, err = images("bootstrap", "python:9.7-slim")
    assert status == ExitStatus.MACHINE_CANNOT
    assert "Python 9.7" in err


def test_wheels_are_fetched_for_the_named_images_or_all(images, place):
    status, out, _ = images("fetch")
    assert status == ExitStatus.OK
    assert out == f"tiny-cpu: the wheels are in {place.house}\n"
    status, told = document(images, "fetch", "tiny-cpu")
    assert told["fetch"] == [{"image": "tiny-cpu", "wheels": str(place.house)}]
    assert wheelhouse.defect(place.image, place.table) is None


def test_an_image_that_compiles_is_built_only_if_named(images, engine, place):
    place.table, _ = with_child(place)
    engine.add(BASE)
    _, told = document(images, "build")
    assert [row["image"] for row in told["build"]] == ["tiny-cpu"]


def test_a_pull_gives_the_digest(images, engine):
    engine.registry[VENDORS] = info(VENDORS, {}, digest=DIGEST)
    status, out, _ = images("pull", "vendor-tiny")
    assert status == ExitStatus.OK
    assert out == f"vendor-tiny: pulled {VENDORS} {DIGEST}\n"
    engine.registry["me/mine:1"] = info("me/mine:1", {})
    status, told = document(images, "pull", "me/mine:1")
    (row,) = told["pull"]
    assert (row["image"], row["did"], row["reference"]) == (None, "pulled", "me/mine:1")
    assert row["digest"] is None


def test_pins_are_made_kept_and_renewed(images, engine, place):
    engine.digests[VENDORS] = DIGEST
    assert images("pin")[:2] == (
        ExitStatus.OK,
        f"vendor-tiny: pinned {VENDORS} {DIGEST}\n",
    )
    saved = (place.dockerfiles / "digests.toml").read_text()
    assert DIGEST in saved
    place.table = place.table.model_copy(update={"digests": {VENDORS: DIGEST}})
    assert images("pin")[1].startswith("vendor-tiny: unchanged")
    engine.digests[VENDORS] = DIGEST.replace("d", "e")
    assert images("pin")[1].startswith("vendor-tiny: renewed")


def test_a_registry_that_does_not_answer_leaves_the_pin_and_is_a_failure(images, engine, place):
    place.table = place.table.model_copy(update={"digests": {VENDORS: DIGEST}})
    status, told = document(images, "pin")
    assert status == ExitStatus.MACHINE_CANNOT
    (row,) = told["pin"]
    assert row["did"] == "failed"
    assert row["why"] == f"the registry does not know {VENDORS}"
    assert DIGEST in (place.dockerfiles / "digests.toml").read_text()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("build", "vendor-tiny"), "run `benchdock images pull vendor-tiny` to get it"),
        (("pin", "tiny-cpu"), "tiny-cpu is built here and not in any registry"),
        (("pull",), "`images pull` needs the name of an image"),
        (("fetch", "--from", "/absent"), "the folder /absent does not exist"),
        (("bootstrap", "debian:bookwurm-slim"), "did you mean 'debian:bookworm-slim'"),
        (("list", "tiny-cpu", "--all"), "use `benchdock images --all`"),
        (("build", "--keep", "1"), "--keep only works with `images prune`; remove --keep"),
    ],
)
def test_a_wrong_request_is_one_line(images, words, message):
    status, out, err = images(*words)
    assert (status, out) == (ExitStatus.BAD_REQUEST, "")
    assert message in err
    assert err.count("\n") == 1
