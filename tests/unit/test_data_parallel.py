"""Work in threads, whose results come in order."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from orchestrator.data import parallel


@pytest.mark.parametrize("each", [1, 4, 100])
@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("count", [0, 1, 23])
def test_every_result_comes_once_and_in_order(each: int, threads: int, count: int) -> None:
    found = parallel.ordered(lambda item: item * item, range(count), threads, each=each)
    assert list(found) == [item * item for item in range(count)]


def test_the_first_fault_is_raised() -> None:
    def work(item: int) -> int:
        if item >= 5:
            raise ValueError(item)
        return item

    found: list[int] = []
    with pytest.raises(ValueError, match=r"^5$"):
        found += parallel.ordered(work, range(40), 2, each=parallel.QUICK)


@pytest.mark.parametrize("each", [1, parallel.QUICK])
def test_only_a_few_items_are_taken_before_their_results_are(each: int) -> None:
    taken = []

    def items() -> Iterator[int]:
        for item in range(1000):
            taken.append(item)
            yield item

    results = parallel.ordered(lambda item: item, items(), 2, each=each)
    assert next(results) == 0
    assert len(taken) <= (16 if each == 1 else 4 * each)


def test_the_next_piece_is_worked_on_while_a_result_is_used() -> None:
    ahead = threading.Event()

    def work(item: int) -> int:
        if item == parallel.QUICK:
            ahead.set()
        return item

    results = parallel.ordered(work, range(100), 1, each=parallel.QUICK)
    assert next(results) == 0
    assert ahead.wait(10)
