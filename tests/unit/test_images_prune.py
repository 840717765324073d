"""`benchdock images prune` removes unneeded images, and only those that benchdock built."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from orchestrator import paths
from orchestrator.cli import main
from orchestrator.errors import ExitStatus, ImageError, MachineError
from orchestrator.images import builder, digests, pruning, store
from orchestrator.images.pruning import Candidate
from orchestrator.results import needs
from orchestrator.runtimes.docker.client import Engine
from orchestrator.runtimes.docker.stock import StockedImage
from tests.fakes import Answer, FakeEngine
from tests.support.image_helpers import info, make_place

MIB = 2**20
# Layers and sizes: a base, the framework's layers upon it, and a build upon those.
BASE, FRAMEWORK, WHOLE = ("b",), ("b", "f"), ("b", "f", "w")


@dataclass
class FakeStock:
    """An engine with images, as `orchestrator.images.pruning` sees it."""

    stock: list[StockedImage] = field(default_factory=list)
    in_use: dict[str, str] = field(default_factory=dict)
    steps: dict[str, str] = field(default_factory=dict)
    removed: list[str] = field(default_factory=list)

    def add(self, *tags, id="", labels=None, layers=WHOLE, size=0, age=0.0, is_step=False):
        image = StockedImage(
            id=id or f"sha256:{len(self.stock):064x}",
            tags=tags,
            labels=labels or {},
            layers=layers,
            size=size or {1: 100, 2: 900, 3: 901}[len(layers)] * MIB,
            created=int(time.time() - 86400 - age),
            is_step=is_step,
        )
        self.stock.append(image)
        return image

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def images(self):
        return tuple(self.stock)

    def images_in_use(self):
        return self.in_use

    def last_step(self, image):
        return self.steps.get(image, "CMD x")

    def image(self, reference):
        found = [one for one in self.stock if reference in (one.id, *one.tags)]
        return replace(info(reference, {}), id=found[0].id) if found else None

    def tag_image(self, image, name):
        self.stock = [
            replace(
                one,
                tags=(
                    *(tag for tag in one.tags if tag != name),
                    *((name,) if one.id == image else ()),
                ),
            )
            for one in self.stock
        ]

    def remove_image(self, reference):
        self.removed.append(reference)


@pytest.fixture
def place(tmp_path, monkeypatch):
    return make_place(tmp_path, monkeypatch)


@pytest.fixture
def engine():
    fake = FakeStock()
    fake.add("debian:bookworm-slim", layers=BASE)
    return fake


def build(engine, place, digits, **changes):
    """Add a build of another version with the digest `digits` in its tag."""
    labels = {
        digests.IMAGE: "tiny-cpu", digests.RECIPE: digits, digests.BACKENDS: digits,
        digests.FRAMEWORK: f"benchdock/tiny-cpu-framework:{digits}",
    }  # fmt: skip
    return engine.add(f"benchdock/tiny-cpu:1.0-{digits}", labels=labels, **changes)


def layers(engine, digits, **changes):
    labels = {digests.FRAMEWORK: f"benchdock/tiny-cpu-framework:{digits}"}
    tag = f"benchdock/tiny-cpu-framework:{digits}"
    return engine.add(tag, labels=labels, layers=FRAMEWORK, **changes)


def judged(engine, place, **changes):
    asked = {"keep": 0, "results": {}, **changes}
    return {one.image.id: one for one in pruning.candidates(engine, place.table, **asked)}


A, B, C = "a" * 12, "b" * 12, "c" * 12


def test_the_current_builds_stay_whatever_their_name(place, engine):
    labels = digests.labels(place.image, place.table)
    named = engine.add(store.name_of(place.image, place.table), labels=labels)
    carried = engine.add(place.image.tag, labels=labels)
    framework = engine.add(
        digests.framework_tag(place.image, place.table),
        labels={digests.FRAMEWORK: "x"}, layers=FRAMEWORK,
    )  # fmt: skip
    found = judged(engine, place)
    for image in (named, carried, framework):
        assert found[image.id].why == "this benchdock uses it"


def test_the_newest_builds_of_each_image_stay(place, engine):
    ages = {A: 30, B: 20, C: 10}
    whole = {digits: build(engine, place, digits, age=age) for digits, age in ages.items()}
    below = {digits: layers(engine, digits, age=age) for digits, age in ages.items()}
    found = judged(engine, place, keep=2)
    assert {digits for digits in ages if not found[whole[digits].id].why} == {A}
    assert {digits for digits in ages if not found[below[digits].id].why} == {A}
    assert found[whole[C].id].why == "among the newest 2"
    assert all(not one.why for one in judged(engine, place, keep=0).values())


def test_layers_stay_below_an_image_that_stays(place, engine):
    whole, below = build(engine, place, A), layers(engine, A)
    found = judged(engine, place, results={whole.id: "a-run"})
    assert found[whole.id].why == "to replay a-run"
    assert found[below.id].why == f"benchdock/tiny-cpu:1.0-{A} is based on it"


def test_an_image_of_a_container_stays(place, engine):
    image = build(engine, place, A)
    engine.in_use[image.id] = "benchdock-run-1"
    assert judged(engine, place)[image.id].why == "container benchdock-run-1 uses it"


def test_what_was_built_only_now_stays(place, engine):
    image = build(engine, place, A, age=-86400)
    assert judged(engine, place)[image.id].why == "it was built just now"


def test_an_image_that_somebody_named_too_stays(place, engine):
    image = build(engine, place, A)
    engine.tag_image(image.id, "mine/kept:1")
    assert judged(engine, place)[image.id].why == "it is also named mine/kept:1"


def test_only_ours_are_looked_at(place, engine):
    inherited = build(engine, place, A).labels
    engine.add("mine/upon:1", labels=inherited)
    engine.add("benchdock/of-mine:1", labels={"maintainer": "me"})
    engine.add("nvcr.io/nvidia/pytorch:24.06-py3")
    engine.add(labels=inherited)  # mine/upon, before it was built again
    engine.add(labels=inherited, is_step=True)
    engine.add(labels={"benchdock.bootstrapped": "true"})
    assert [one.name for one in judged(engine, place).values()] == [f"benchdock/tiny-cpu:1.0-{A}"]


@pytest.mark.parametrize(
    ("labels", "step", "ours"),
    [
        ({}, "LABEL benchdock.backends=1 benchdock.image=tiny-cpu", True),
        ({}, "COPY dir:1 in /opt/benchdock/backends ", True),
        ({}, "CMD mine", False),
        ({digests.FRAMEWORK: None}, "COPY dir:1 in /wheels ", True),
        ({digests.FRAMEWORK: "benchdock/parent-cpu-framework:0"}, "COPY dir:1 in /wheels ", True),
        ({digests.FRAMEWORK: None, digests.IMAGE: None}, "COPY dir:1 in /wheels ", False),
        ({digests.IMAGE: None}, "COPY dir:1 in /wheels ", False),
    ],
)
def test_what_builds_leave_without_a_name_is_ours(place, engine, labels, step, ours):
    inherited = build(engine, place, A).labels | labels
    left = engine.add(labels={name: text for name, text in inherited.items() if text})
    engine.steps[left.id] = step
    found = judged(engine, place)
    assert (left.id in found) is ours
    if ours:
        assert found[left.id].name == f"{1 + 1:064x}"[:12]
        assert found[left.id].why == ""


def test_space_that_is_shared_is_counted_once_and_last(place, engine):
    build(engine, place, A)
    build(engine, place, B, layers=("b", "f", "v"))
    layers(engine, A)
    found = pruning.candidates(engine, place.table, keep=0, results={})
    assert [one.takes // MIB for one in found] == [1, 1, 800]
    assert [len(one.image.layers) for one in found] == [3, 3, 2]

    # A build of mine upon the same layers keeps them.
    engine.add("mine/upon:1", layers=("b", "f", "m"))
    found = pruning.candidates(engine, place.table, keep=0, results={})
    assert [one.takes // MIB for one in found] == [1, 1, 0]


def test_space_is_a_lower_bound_if_no_image_is_just_the_shared_layers(place, engine):
    build(engine, place, A)
    engine.add("mine/other:1", layers=("b", "f", "m"), size=895 * MIB)
    (found,) = pruning.candidates(engine, place.table, keep=0, results={})
    assert found.takes == 6 * MIB


def test_removal_takes_every_name_but_none_that_moved(place, engine):
    image = build(engine, place, A)
    engine.tag_image(image.id, place.image.tag)
    (found,) = pruning.candidates(engine, place.table, keep=0, results={})
    pruning.remove(found, engine)
    assert sorted(engine.removed) == [place.image.tag, f"{place.image.tag}-{A}"]

    engine.removed.clear()
    other = engine.add(id="sha256:other")
    for tag in found.image.tags:
        engine.tag_image(other.id, tag)
    pruning.remove(found, engine)
    assert engine.removed == []


def test_the_readable_name_goes_to_the_newest_that_stays(place, engine):
    going = build(engine, place, A)
    engine.tag_image(going.id, place.image.tag)
    build(engine, place, B, age=20)
    newest = build(engine, place, C, age=10)
    kept = {one.id: "r" for one in engine.stock if f"{place.image.tag}-{A}" not in one.tags}
    found = pruning.candidates(engine, place.table, keep=0, results=kept)
    pruning.move_aliases(found, engine)
    assert engine.image(place.image.tag).id == newest.id
    pruning.remove(found[0], engine)
    assert engine.removed == [f"{place.image.tag}-{A}"]


def test_builds_of_this_home_wait(place):
    lock = builder.lock_of(place.image)
    with pruning.without_builds(place.table, print):
        assert lock.exists()


def test_only_some_images(place, engine):
    build(engine, place, A)
    layers(engine, A)
    engine.add(f"benchdock/other-cpu:1-{A}", labels={digests.IMAGE: "other-cpu"})
    found = judged(engine, place, only=["tiny-cpu"])
    assert sorted(one.name for one in found.values()) == [
        f"benchdock/tiny-cpu-framework:{A}",
        f"benchdock/tiny-cpu:1.0-{A}",
    ]


# What stored results need


def file_result(run, document):
    folder = paths.runs() / run
    folder.mkdir(parents=True)
    (folder / "result.json").write_text(document)
    return folder / "result.json"


def test_results_name_the_images_they_need(place):
    for run, image in (("1-x", "sha256:1"), ("2-x", "sha256:1"), ("3-x", "sha256:3")):
        file_result(run, json.dumps({"plan": {"image_id": image}}))
    file_result("4-on-the-host", json.dumps({"plan": {"image_id": None}}))
    file_result("5-refused", json.dumps({"plan": None}))
    file_result("6-broken", "{")
    (paths.runs() / "7-killed").mkdir()
    assert needs.images_of_runs() == {"sha256:1": "2-x", "sha256:3": "3-x"}


def test_a_result_that_cannot_be_read_may_need_anything(place):
    file = file_result("1-x", "{}")
    file.unlink()
    file.mkdir()
    with pytest.raises(MachineError, match=r"cannot read a result.*add --ignore-results"):
        needs.images_of_runs()


# The command


@pytest.fixture
def stocked(place, engine, monkeypatch):
    from orchestrator.images import image_table

    monkeypatch.setattr(image_table, "load", lambda: place.table)
    monkeypatch.setattr(Engine, "connect", lambda: engine)
    build(engine, place, A)
    return engine


def test_a_dry_run_shows_the_space_and_removes_nothing(stocked, capsys):
    assert main(["images", "prune", "--keep", "0", "--dry-run"]) == ExitStatus.OK
    out = capsys.readouterr().out
    assert f"benchdock/tiny-cpu:1.0-{A}" in out
    assert "would be removed" in out
    assert out.splitlines()[-1] == (
        "1 image of benchdock: 801.0 MiB, of which 801.0 MiB would be freed"
    )
    assert stocked.removed == []


def test_an_image_of_a_result_goes_only_if_results_are_ignored(stocked, capsys):
    file_result("1-x", json.dumps({"plan": {"image_id": stocked.stock[1].id}}))
    assert main(["images", "prune", "--keep", "0", "--json"]) == ExitStatus.OK
    document = json.loads(capsys.readouterr().out)
    assert (document["frees"], document["takes"]) == (0, 801 * MIB)
    assert (document["prune"][0]["did"], document["prune"][0]["why"]) == ("kept", "to replay 1-x")
    assert main(["images", "prune", "--keep", "0", "--ignore-results"]) == ExitStatus.OK
    assert "removed" in capsys.readouterr().out
    assert stocked.removed == [f"benchdock/tiny-cpu:1.0-{A}"]


def test_what_the_engine_keeps_is_reported_with_its_reason(stocked, capsys, monkeypatch):
    def refuse(self, reference):
        raise ImageError(f"image {reference} stays: conflict")

    monkeypatch.setattr(FakeStock, "remove_image", refuse)
    assert main(["images", "prune", "--keep", "0"]) == ExitStatus.MACHINE_CANNOT
    out = capsys.readouterr().out
    assert f"failed: image benchdock/tiny-cpu:1.0-{A} stays: conflict" in out
    assert out.splitlines()[-1].endswith("of which 0 B were freed")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["build", "--keep", "2"], "--keep only works with `images prune`; remove --keep"),
        (["list", "--dry-run"], "--dry-run only works with `images prune`"),
        (["pull", "x", "--ignore-results"], "--ignore-results only works with `images prune`"),
        (["prune", "--keep", "-1"], "argument --keep: -1 is too small, the minimum is 0"),
        (["prune", "--keep", "two"], "argument --keep: 'two' is not a whole number"),
        (["prune", "--force"], "--force only works with `images build` and `images bootstrap`"),
        (["prune", "tiny-cpuu"], "did you mean 'tiny-cpu'"),
        (["prune", "vendor-tiny"], "which `images prune` never removes; run `docker rmi registry."),
    ],
)
def test_a_wrong_argument_gives_one_line(stocked, capsys, words, told):
    assert main(["images", *words]) == ExitStatus.BAD_REQUEST
    err = capsys.readouterr().err
    assert told in err
    assert len(err.splitlines()) == 1
    assert stocked.removed == []


# The engine's answers


def listed(image: str, **changes: object) -> dict[str, object]:
    return {
        "Id": image, "ParentId": "", "RepoTags": None, "Labels": None, "Size": 5, "Created": 7,
        **changes,
    }  # fmt: skip


def test_an_engines_stock_as_plain_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/engine.sock")
    with FakeEngine(tmp_path) as fake, Engine.connect() as engine:
        answer = [
            listed("sha256:1", RepoTags=["x:1"], Labels={"a": "b"}, ParentId="sha256:2"),
            listed("sha256:2", RepoTags=["<none>:<none>"]),
            listed("sha256:3"),
            listed("sha256:gone"),
        ]
        fake.plan("^GET /images/json", Answer(200, answer))
        for name in ("sha256:1", "sha256:2", "sha256:3"):
            whole = {"Id": name, "Size": 5, "RootFS": {"Layers": ["l1"]}}
            fake.images[name] = whole if name != "sha256:3" else {"Id": name, "Size": 5}
        first, step, left = engine.images()
        assert (first.tags, first.labels, first.layers) == (("x:1",), {"a": "b"}, ("l1",))
        assert (first.size, first.created, first.is_step) == (5, 7, False)
        assert (step.tags, step.is_step, left.is_step, left.layers) == ((), True, False, ())

        fake.plan("^GET /images/sha256:1/history", Answer(200, [{"CreatedBy": "LABEL x"}, {}]))
        fake.plan("^GET /images/sha256:2/history", Answer(200, []))
        assert (engine.last_step("sha256:1"), engine.last_step("sha256:2")) == ("LABEL x", "")

        containers = [
            {"Id": "c" * 64, "Names": ["/one"], "State": "exited", "ImageID": "sha256:1"},
            {"Id": "d" * 64, "State": "running", "ImageID": "sha256:2"},
            {"Id": "e" * 64, "State": "running"},
        ]
        fake.plan("^GET /containers/json", Answer(200, containers))
        assert engine.images_in_use() == {"sha256:1": "one", "sha256:2": "d" * 12}


def test_a_verdict_is_named_by_the_tag_that_tells_builds_apart() -> None:
    image = StockedImage(
        id="sha256:" + "1" * 64, tags=("benchdock/x:1.0", f"benchdock/x:1.0-{A}"), labels={},
        size=1, created=1, layers=(), is_step=False,
    )  # fmt: skip
    assert Candidate(image=image, why="").name == f"benchdock/x:1.0-{A}"
    assert Candidate(image=replace(image, tags=()), why="").name == "1" * 12
