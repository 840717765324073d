"""A slower series with a new image runs in the old and the new one, in turns."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestrator.errors import ImageError
from orchestrator.nightly import attribution
from orchestrator.nights import telling
from orchestrator.request import Request
from orchestrator.result import Result
from orchestrator.suites import expansion
from orchestrator.suites.cells import Cell
from orchestrator.suites.session import Runner
from tests.support.fleet import Fleet, of
from tests.support.sessions import FakeRunner
from tests.support.suites import loaded

OLD, NEW = "sha256:" + "a" * 64, "sha256:" + "b" * 64


@pytest.fixture
def fleet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Fleet:
    monkeypatch.setenv("BENCHDOCK_HOME", str(tmp_path / "home"))
    text = (
        "schema: 1\nname: nightly\nrepeat: 3\ndefaults: {framework: pytorch}\n"
        "control: [{model: resnet50}]\ngroups: {a: {runs: [{model: vgg16}]}}\n"
    )
    found = Fleet(tmp_path, text, image=OLD)
    found.nights(3)
    found.image, found.factors = NEW, {"vgg16": 0.9}
    return found


def in_old(fleet: Fleet, factor: float, ran: list[str]) -> Runner:
    def throughput(request: object) -> float:
        ran.append("old")
        return factor * fleet.throughput(request) / 0.9  # type: ignore[arg-type]

    return FakeRunner(throughput=throughput, image=OLD)


@pytest.mark.parametrize(("factor", "explained"), [(1.0, True), (0.9, False)])
def test_old_and_new_image_run_in_turns_and_say_whether_it_is_the_image(
    fleet: Fleet, factor: float, explained: bool
) -> None:
    ran: list[str] = []
    asked: list[str] = []

    def find(before: Result) -> Runner:
        asked.append(before.plan.image_digest if before.plan else "")
        return in_old(fleet, factor, ran)

    fleet.in_old_image = find
    night = fleet.night()
    one = of(night, "vgg16")
    assert (one.judgement.verdict, one.cause, asked) == ("regressed", "framework", [OLD])
    assert [(it.label, it.before, it.after) for it in one.changed] == [("image", OLD, NEW)]
    told = one.attribution
    assert told is not None
    assert (told.before, told.after, told.pairs, told.explained) == (OLD, NEW, 10, explained)
    assert told.change == pytest.approx(0.9 / factor - 1, abs=0.005)
    assert (len(ran), len(fleet.ran)) == (10, 7 + 5 + 10)
    assert len(one.runs) == 8
    lines = telling.lines(night)
    assert f"  changed since then: image {OLD[:19]}... -> {NEW[:19]}..." in lines
    word = "explains it" if explained else "does not explain it"
    assert any(line.startswith(f"  the new image {word}: ") for line in lines)


DRIVER = "  changed since then: driver 535.104 -> 550.90"


def test_only_the_driver_has_changed(fleet: Fleet) -> None:
    fleet.factors, fleet.image, fleet.driver = {}, OLD, "535.104"
    fleet.nights(3)
    fleet.factors, fleet.driver = {"vgg16": 0.9}, "550.90"
    night = fleet.night()
    one = of(night, "vgg16")
    assert (one.judgement.verdict, one.cause, one.attribution) == ("regressed", "driver", None)
    lines = telling.lines(night)
    assert lines[lines.index(DRIVER) + 1] == "  nothing but the driver has changed"
    assert any(" (the driver): " in line for line in lines)


@pytest.mark.parametrize(
    ("factor", "cause", "says"),
    [
        (
            0.9,
            "driver",
            "the driver explains it: the old image has -10.0 % too; the new image does",
        ),
        (1.0, "framework", "the new image explains it: -10.0 % in 10 pairs"),
    ],
)
def test_the_old_image_tells_the_driver_from_the_new_image(
    fleet: Fleet, factor: float, cause: str, says: str
) -> None:
    fleet.factors, fleet.image, fleet.driver, fleet.spread = {}, OLD, "535.104", 0.0
    fleet.nights(3)
    fleet.factors, fleet.image, fleet.driver = {"vgg16": 0.9}, NEW, "550.90"
    fleet.in_old_image = lambda _: in_old(fleet, factor, [])
    night = fleet.night()
    one = of(night, "vgg16")
    assert (one.judgement.verdict, one.cause) == ("regressed", cause)
    assert one.attribution is not None
    assert one.attribution.old == pytest.approx(factor - 1, abs=0.001)
    assert any(line.startswith(f"  {says}") for line in telling.lines(night))


def test_a_machine_that_is_slower_is_not_blamed_on_its_driver(fleet: Fleet) -> None:
    fleet.factors, fleet.driver = {}, "535.104"
    fleet.nights(3)
    fleet.factors = {"vgg16": 0.9, "machine": 0.9}
    fleet.driver = "550.90"
    assert of(fleet.night(), "vgg16").cause == "machine"


def gone(_: Result) -> Runner | None:
    return None


def broken(_: Result) -> Runner | None:
    raise ImageError("the engine lost it")


@pytest.mark.parametrize("find", [gone, broken])
def test_without_the_old_image_the_change_is_only_named(fleet: Fleet, find: object) -> None:
    fleet.in_old_image = find  # type: ignore[assignment]
    one = of(fleet.night(), "vgg16")
    assert (one.judgement.verdict, one.attribution, len(one.changed)) == ("regressed", None, 1)


def test_too_few_pairs_say_nothing(fleet: Fleet) -> None:
    fleet.in_old_image = lambda _: in_old(fleet, 1.0, [])
    fleet.budget = 7 + 5 + 4
    one = of(fleet.night(), "vgg16")
    assert (one.judgement.verdict, one.attribution) == ("regressed", None)


def test_both_images_get_the_gpus_that_the_series_had(fleet: Fleet) -> None:
    asked = []

    def request_of(cell: Cell) -> Request:
        return Request(model="vgg16", framework="pytorch", devices=1)

    turns = attribution._InTurns(request_of, FakeRunner(), {}, {"old": ("3",), "cpu": ()})
    cell = expansion.expand(loaded(fleet.root, fleet.text)).cells[0]
    for digest in ("old", "cpu"):
        made = turns.request(cell._replace(digest=digest))
        asked.append((made.gpus, made.devices))
    assert asked == [((3,), None), (None, 1)]
