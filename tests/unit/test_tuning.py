"""The search for the fastest options: what is tried, how it is compared, what is kept."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backends.options import BY_FRAMEWORK
from orchestrator.errors import RequestError
from orchestrator.frameworks import catalogue
from orchestrator.tuning import outcome, search, space
from orchestrator.tuning.outcome import Outcome, Speed, Try
from orchestrator.tuning.space import DEFAULT, Change, Space

BASE = {"model": "resnet50", "framework": "pytorch", "phase": "inference"}


def of(
    framework: str = "pytorch",
    base: dict[str, object] | None = None,
    device: str = "cpu",
    only: Sequence[str] = (),
    **counts: Sequence[int],
) -> Space:
    told = {**BASE, "framework": framework, **(base or {})}
    return space.of_request(catalogue.framework(framework), told, device, counts, only)  # type: ignore[arg-type]


def test_only_options_that_mean_something_are_tried() -> None:
    assert not {"optimizer", "cuda_graphs", "cudnn_benchmark"} & set(of().axes)
    assert not {"freeze", "fold_batch_norm"} & set(of(base={"phase": "training"}).axes)
    assert {"cuda_graphs", "cudnn_benchmark"} <= set(of(device="gpu").axes)


def test_what_the_request_fixes_is_not_tried() -> None:
    assert "layout" not in of(base={"options": {"layout": "contiguous"}}).axes
    with pytest.raises(RequestError, match="--only layout and --option layout are both given"):
        of(base={"options": {"layout": "contiguous"}}, only=("layout",))


def test_an_unknown_option_is_refused() -> None:
    with pytest.raises(RequestError, match="unknown option 'layot'; did you mean 'layout'"):
        of(only=("layot",))


def test_a_program_without_options_needs_counts() -> None:
    with pytest.raises(RequestError, match="tensorrt has no options to try"):
        of("tensorrt")
    assert of("tensorrt", batch=(4, 8)).axes == {"batch": (4, 8)}


def test_values_of_the_default_run_are_left_out() -> None:
    tried = Space(axes={"layout": ("contiguous", "channels_last"), "freeze": ("on", "off")})
    left = tried.without({"layout": "channels_last", "freeze": "off"})
    assert list(left.singles()) == [{"layout": "contiguous"}, {"freeze": "on"}]
    assert list(left.combinations()) == [
        {"freeze": "on"},
        {"layout": "contiguous"},
        {"layout": "contiguous", "freeze": "on"},
    ]


@given(st.dictionaries(st.sampled_from("abcd"), st.integers(1, 4), max_size=4))
def test_combinations_are_all_different_and_complete(sizes: dict[str, int]) -> None:
    axes = {name: tuple(map(str, range(size))) for name, size in sizes.items()}
    found = list(Space(axes=axes).combinations())
    assert len(found) == math.prod(size + 1 for size in sizes.values()) - 1
    assert len({tuple(sorted(one.items())) for one in found}) == len(found)


def test_what_a_change_changes() -> None:
    base = {"model": "vgg16", "options": {"xla": "on"}, "threads": 4}
    assert space.changed(base, {"layout": "a", "threads": 2}) == {
        "options": {"xla": "on", "layout": "a"},
        "threads": 2,
    }
    assert space.changed(base, DEFAULT) == {}


@pytest.mark.parametrize("framework", BY_FRAMEWORK)
def test_every_value_tried_is_one_that_may_be_typed(framework: str) -> None:
    typed = catalogue.framework(framework).options
    for one in BY_FRAMEWORK[framework]:
        assert set(one.values) <= set(typed[one.name].values)


class Machine:
    """Measures by a table of factors; remembers what it was asked."""

    def __init__(self, factors: dict[str, float], used: dict[str, str] | None = None) -> None:
        self.factors = factors
        self.used = used or {}
        self.asked: list[tuple[str, list[Change], int]] = []

    def speed(self, change: Change, number: int) -> Speed:
        factor = math.prod(self.factors[f"{name}={value}"] for name, value in change.items())
        # The machine gets slower from pass to pass: only ratios within a pass are right.
        return Speed(throughput=100 * factor / number, per_cpu_second=10 / factor / number)

    def __call__(self, stage: str, changes: Sequence[Change], passes: int) -> Outcome:
        self.asked.append((stage, list(changes), passes))
        tries = []
        for change in changes:
            if any(self.factors[f"{name}={value}"] == 0 for name, value in change.items()):
                tries.append(Try(change=change, failure="no"))
                continue
            speeds = {number: self.speed(change, number) for number in range(1, passes + 1)}
            tries.append(Try(change=change, speeds=speeds))
        return Outcome(session=stage, tries=tuple(tries), used=self.used)


AXES = {"a": ("1", "2"), "b": ("1", "2"), "c": ("1",)}
FACTORS = {"a=1": 1.2, "a=2": 1.1, "b=1": 0.9, "b=2": 1.3, "c=1": 0.0}


def test_what_helped_is_combined_and_the_best_is_found() -> None:
    machine = Machine(FACTORS, used={"b": "1"})
    first, second = search.search(
        Space(axes=AXES), machine, passes=3, by="throughput", everything=False
    )
    assert [one.change for one in first.tries] == [
        {},
        {"a": "1"},
        {"a": "2"},
        {"b": "2"},
        {"c": "1"},
    ]
    assert [one.change for one in second.tries] == [{}, {"b": "2"}, {"b": "2", "a": "1"}]
    best = second.best("throughput")
    assert best.change == {"a": "1", "b": "2"}
    ratio = best.ratio(second.default, "throughput")
    assert ratio is not None
    assert ratio.mean == pytest.approx(1.56)
    assert ratio.interval == pytest.approx((1.56, 1.56))
    assert [passes for _, _, passes in machine.asked] == [1, 1, 3, 3]
    assert {"c": "1"} not in machine.asked[2][1]  # it failed, so it is not repeated


def test_cpu_time_can_count_instead() -> None:
    machine = Machine(FACTORS)
    (first,) = search.search(Space(axes=AXES), machine, passes=2, by="cpu", everything=False)
    assert first.best("cpu").change == {"b": "1"}


def test_all_combinations() -> None:
    machine = Machine(FACTORS)
    (only,) = search.search(
        Space(axes={"a": ("1",), "b": ("2",)}), machine, passes=2, by="throughput", everything=True
    )
    assert only.best("throughput").change == {"a": "1", "b": "2"}


def test_nothing_faster_leaves_the_default() -> None:
    machine = Machine({"a=1": 0.99, "a=2": 1.005})
    (only,) = search.search(
        Space(axes={"a": ("1", "2")}), machine, passes=3, by="throughput", everything=False
    )
    assert only.best("throughput") is only.default


def test_a_gain_that_the_interval_does_not_exclude_is_none() -> None:
    default = Try(
        change={}, speeds={n: Speed(throughput=100, per_cpu_second=None) for n in (1, 2, 3)}
    )
    unsteady = Try(
        change={"a": "1"},
        speeds={
            number: Speed(throughput=value, per_cpu_second=None)
            for number, value in ((1, 90.0), (2, 150.0), (3, 100.0))
        },
    )
    told = Outcome(session="x", tries=(default, unsteady))
    assert told.best("throughput") is default
    assert told.best("cpu") is default


def test_a_default_that_fails_ends_the_search() -> None:
    def measure(stage: str, changes: Sequence[Change], passes: int) -> Outcome:
        return Outcome(session=stage, tries=(Try(change={}, failure="out of memory"),))

    with pytest.raises(search.DefaultFailedError, match="out of memory"):
        search.search(Space(axes=AXES), measure, passes=3, by="throughput", everything=False)


def test_a_search_that_was_stopped_goes_no_further() -> None:
    def measure(stage: str, changes: Sequence[Change], passes: int) -> Outcome:
        return Outcome(session=stage, tries=(Try(change={}),), left=3)

    (only,) = search.search(Space(axes=AXES), measure, passes=3, by="throughput", everything=False)
    assert not only.complete


def test_at_most_three_options_are_combined() -> None:
    one = Speed(throughput=1.0, per_cpu_second=None)
    default = Try(change={}, speeds={1: one})
    faster = [
        Try(change={name: "1"}, speeds={1: Speed(throughput=2.0 + index, per_cpu_second=None)})
        for index, name in enumerate("abcd")
    ]
    told = Outcome(session="x", tries=(default, *faster))
    combined = outcome.together(told, "throughput")
    assert {frozenset(change) for change in combined} == {
        frozenset(names) for names in ("dc", "db", "cb", "dcb")
    }
