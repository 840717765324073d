"""The usual clocks of this machine's GPUs in earlier runs of the same benchmark."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping

from orchestrator import stats
from orchestrator.errors import RequestError
from orchestrator.paths import RunFolder, runs
from orchestrator.record_files import read_file
from orchestrator.result import Result

# The newest results with an equal benchmark; more would be read on each run. Fewer are no history.
MOST_RUNS, FEWEST_RUNS = 10, 3
_MOST_READ = 30
_EQUAL = ("model", "framework", "phase", "dtype", "batch", "gpus")


def clocks(result: Result) -> dict[str, float]:
    """Return the mean SM clock (MHz) during the timed stage of each GPU of a run, by UUID."""
    found = {}
    for gpu in result.environment.gpus:
        mean = result.monitor.get(f"gpu{gpu.index}.sm_clock.mean")
        if gpu.uuid is not None and mean is not None:
            found[gpu.uuid] = mean.value
    return found


def usual_clocks(result: Result) -> Mapping[str, float]:
    """Return the median of those clocks in earlier runs of the same benchmark on the same GPUs.

    It has no GPU with fewer than `FEWEST_RUNS` such runs. Without a GPU nothing is read.
    """
    if not clocks(result):
        return {}
    found: dict[str, list[float]] = {}
    for other in itertools.islice(_alike(result), MOST_RUNS):
        for uuid, clock in clocks(other).items():
            found.setdefault(uuid, []).append(clock)
    return {
        uuid: stats.median(values) for uuid, values in found.items() if len(values) >= FEWEST_RUNS
    }


def _alike(result: Result) -> Iterator[Result]:
    """Yield earlier results of the same benchmark, newest first."""
    for folder in itertools.islice(_earlier(result), _MOST_READ):
        try:
            other = read_file(Result, folder.result)
        except RequestError:  # it is running, or damaged
            continue
        if other.failure is None and _benchmark(other) == _benchmark(result):
            yield other


def _earlier(result: Result) -> Iterator[RunFolder]:
    """Yield the folders of runs with the same model and framework, newest first."""
    plan, name = result.plan, result.run
    if plan is None or name is None:
        return
    try:
        listed = sorted((path.name for path in runs().iterdir()), reverse=True)
    except OSError:
        return
    end = f"-{plan.framework}-{plan.model}-"
    yield from (RunFolder(runs() / one) for one in listed if one < name and end in one)


def _benchmark(result: Result) -> tuple[object, ...]:
    return tuple(getattr(result.plan, name, None) for name in _EQUAL)
