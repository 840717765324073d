"""A small form of `make bench-store`, by CPU time: other programs disturb that less."""

import time

import pytest

from orchestrator.store.database import connected
from tests.bench import store

SIZE = store.Size(runs=20_000)


@pytest.mark.slow
def test_insertions_are_as_fast_as_the_driver_and_queries_take_no_time(place, home):
    with connected(place) as connection:
        ours, bare = store.fill(connection, SIZE, time.process_time)
        assert ours >= 0.7 * bare
        found = store.times(connection, SIZE, clock=time.process_time)
    assert {name: seconds for name, (seconds, _) in found.items() if seconds > 0.2} == {}
    assert found["60 nights of 40 series"][1] == 60 * store.PASSES * SIZE.series
    assert found["newest of every series"][1] == SIZE.series
    assert found["older runs"][1] == SIZE.runs - 40


def test_the_newest_of_every_series_are_found_by_index(place, home):
    """Not by grouping all runs, which takes 0.5 s for a million (measured)."""
    with connected(place) as connection:
        store.fill(connection, store.Size(runs=4000), time.process_time)
        plan = store.explained(connection, store.asked(SIZE)["newest of every series"])
    assert "ix_run_series_id_run_started" in plan
    assert "SCAN own" not in plan
