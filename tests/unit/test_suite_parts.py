"""Parts of a session: images in the background, the forecast, suites written again."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.errors import ImageError
from orchestrator.suites import expansion, loading, writer
from orchestrator.suites.cells import Cell, Origin
from orchestrator.suites.decisions import Need
from orchestrator.suites.fetching import Fetcher
from orchestrator.suites.forecast import Forecast
from orchestrator.suites.loading import Loaded
from orchestrator.suites.models import Suite
from orchestrator.suites.turns import Turn
from tests.support.suites import loaded

EXAMPLES = Path(__file__).parents[2] / "examples"


def need(name: str, *, here: bool = False, built: bool = False) -> Need:
    return Need(image=name, reference=f"{name}:1", built=built, here=here)


def test_images_are_fetched_in_order_while_runs_wait_for_theirs() -> None:
    pulled: list[str] = []
    said: list[str] = []
    may_end = threading.Event()

    def pull(image: str) -> None:
        if image == "b":
            may_end.wait(10)
        pulled.append(image)

    needs = [need("a"), need("here", here=True), need("ours", built=True), need("b")]
    fetcher = Fetcher(needs, pull, said.append)
    fetcher.wait(needs[0])
    for ready in (None, needs[1], needs[2]):
        fetcher.wait(ready)
    assert pulled == ["a"]
    threading.Timer(0.05, may_end.set).start()
    fetcher.wait(needs[3])
    assert pulled == ["a", "b"]
    assert said[-1] == "waiting for the image b:1"


def test_an_image_that_cannot_be_fetched_does_not_stop_the_others() -> None:
    said: list[str] = []

    def pull(image: str) -> None:
        if image == "a":
            raise ImageError("no registry answers")

    needs = [need("a"), need("b")]
    fetcher = Fetcher(needs, pull, said.append)
    fetcher.wait(needs[1])
    assert "cannot fetch a: no registry answers" in said


def turn(name: str, round_: int = 1) -> Turn:
    return Turn(Cell({"model": name}, name, 9, Origin((), "a", 5)), round_)


def test_the_forecast_learns_from_each_run() -> None:
    left = [turn("a"), turn("b"), turn("a", 2), turn("b", 2)]
    forecast = Forecast(left, {"a": 10.0}, None)
    assert forecast.seconds == 2 * 10 + 2 * 10  # b is unknown: the mean of what is known
    forecast.spend(left[0], 20.0)
    assert forecast.seconds == 20 + 2 * 20
    forecast.spend(left[1], 4.0)
    assert forecast.seconds == 20 + 4
    forecast.spend(left[2], None)
    assert (forecast.seconds, forecast.of(left[3])) == (4, 4)
    forecast.spend(left[3], 5.0)
    assert forecast.seconds == 0


_RUNS = st.lists(st.tuples(st.sampled_from("abc"), st.none() | st.floats(0, 100)), max_size=20)


@given(_RUNS, st.dictionaries(st.sampled_from("abc"), st.floats(0, 100)))
def test_nothing_is_left_at_the_end(
    runs: list[tuple[str, float | None]], known: dict[str, float]
) -> None:
    left = [turn(name, number) for number, (name, _) in enumerate(runs)]
    forecast = Forecast(left, known, 3.0)
    for one, (_, seconds) in zip(left, runs, strict=True):
        forecast.spend(one, seconds)
    assert forecast.seconds == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.yaml")), ids=lambda path: path.stem)
def test_a_suite_that_is_written_again_has_the_same_cells(path: Path, tmp_path: Path) -> None:
    before = loading.load(path)
    after = loaded(tmp_path, writer.to_yaml(before.suite.model_copy(update={"extends": None})))
    told, again = (expansion.expand(one) for one in (before, after))
    assert [cell.digest for cell in again.cells] == [cell.digest for cell in told.cells]
    assert [cell.title for cell in again.cells] == [cell.title for cell in told.cells]
    assert len(again.excluded) == len(told.excluded)


def test_the_plain_values_of_a_suite_are_read_again() -> None:
    axes = {"batch": [1, 2], "model": ["vgg16"], "gpus": ["all", [0, 1]], "options": [{"a": "1"}]}
    told = {
        "schema": 1,
        "name": "x",
        "budget": {"night": "2h"},
        "groups": {"a": {"matrix": axes, "defaults": {"framework": "pytorch", "data": "set"}}},
    }
    suite = Suite.model_validate(told)
    plain = writer.plain(suite)
    assert plain["groups"]["a"]["matrix"] == axes
    assert list(plain["groups"]["a"]["matrix"]) == list(axes)
    again = Suite.model_validate(plain)
    digests = [
        [cell.digest for cell in expansion.expand(Loaded(suite=one, folder=Path())).cells]
        for one in (suite, again)
    ]
    assert digests[0] == digests[1]
    assert writer.digest(suite) == writer.digest(again)
