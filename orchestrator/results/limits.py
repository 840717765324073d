"""What limits a run on real data, from runs that time parts of its steps.

Seconds per step: C computes on a batch on the device, H also copies it there, I only reads, E does
all. On a CPU reading and computing share the cores, so CPU time counts: its sum over the cores is
the least time of a step.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

from backends.options import DATA_PLACE
from orchestrator.errors import RequestError
from orchestrator.frameworks.record import PAGE_CACHE
from orchestrator.metric import INTERVAL
from orchestrator.request import Measure
from orchestrator.result import Result

# A smaller share of waiting is not worth a verdict.
LEAST_WAIT = 0.05
# A reader may have so many ready before the first step: MXNet decodes 64 MB at a time.
LEAST_READ = 2000
_PARTS: tuple[Measure, ...] = ("compute", "copy", "input", "end-to-end")
# The parts on which some options have an effect.
_AFFECTED: Mapping[str, tuple[Measure, ...]] = {
    DATA_PLACE: ("copy", "end-to-end"),
    PAGE_CACHE: ("input", "end-to-end"),
}
_SHARED = "shares the CPU: reading and computing use the same cores, so both limit it"
_COMMAND = "benchdock run {model} -f {framework} --data {data} --measure {part}"


@dataclass(frozen=True, kw_only=True)
class Part:
    """Seconds per step of a run; its 95 % interval, CPU seconds and waiting if known.

    Runs of few steps have no interval.
    """

    seconds: float
    low: float | None = None
    high: float | None = None
    cpu: float | None = None
    wait: float | None = None

    def differs(self, other: Part) -> bool:
        """Whether the intervals are known and do not overlap."""
        return self.is_longer(other) or other.is_longer(self)

    def is_longer(self, other: Part) -> bool:
        """Whether this takes longer, beyond both intervals."""
        return self.low is not None and other.high is not None and self.low > other.high


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What follows from the parts; shares are of E. `cores` is set if a CPU computes.

    `cold` is E with the data on the disk, `fetch` how much longer that takes than from memory.
    `noise` names those of copy, stall, idle and fetch whose two runs do not differ beyond their
    intervals. `doubts` are runs whose figures cannot be trusted, and why: an interval covers
    only what its run saw, not what disturbed one of them.
    """

    parts: Mapping[Measure, Part]
    cores: int | None
    copy: float | None
    stall: float
    idle: float
    overlap: float
    cold: Part | None
    fetch: float | None
    noise: tuple[str, ...]
    wait: float | None
    least: float | None
    reading: float | None
    verdict: str
    doubts: tuple[str, ...] = ()


def explain(results: Sequence[Result]) -> Limits:
    """Explain runs that differ in the measured part only. Raises RequestError."""
    cold = _cold_of_two(results)
    runs = _by_part([result for result in results if result is not cold])
    _same_work(list(runs.values()))
    if cold is not None:
        _same_work([runs["end-to-end"], cold], but=PAGE_CACHE)
    _enough_was_read(runs)
    missing = [part for part in ("end-to-end", "compute", "input") if part not in runs]
    if missing:
        raise _lacks(results[0], missing[0])
    parts = {part: _part(result) for part, result in runs.items()}
    whole = runs["end-to-end"]
    on_cpu = whole.plan is not None and whole.plan.device == "cpu"
    cpu = whole.environment.cpu
    cores = cpu.usable if on_cpu and cpu is not None else None
    found = _limits(parts, cores, _part(cold) if cold is not None else None)
    return replace(found, doubts=tuple(_doubts(results)))


def _doubts(results: Sequence[Result]) -> Iterator[str]:
    for result in results:
        if result.verdict is not None and result.verdict.trust != "valid":
            yield f"{result.run} ({_part_of(result)}) is {result.verdict.in_words(())}"


def _limits(parts: Mapping[Measure, Part], cores: int | None, cold: Part | None) -> Limits:
    compute, read, whole = parts["compute"], parts["input"], parts["end-to-end"]
    copied = parts.get("copy", compute)
    used = compute.cpu + read.cpu if compute.cpu is not None and read.cpu is not None else None
    shared = cores is not None and used is not None
    wait = whole.wait / whole.seconds if whole.wait is not None else None
    return Limits(
        parts=parts,
        cores=cores,
        copy=copied.seconds - compute.seconds if "copy" in parts else None,
        stall=whole.seconds - copied.seconds,
        idle=1 - compute.seconds / whole.seconds,
        overlap=max(copied.seconds, read.seconds) / whole.seconds,
        cold=cold,
        fetch=cold.seconds - whole.seconds if cold is not None else None,
        noise=tuple(_noise(compute, copied, whole, cold)),
        wait=wait,
        least=used / cores if shared and used is not None and cores else None,
        reading=read.cpu / used if shared and used and read.cpu is not None else None,
        verdict=_SHARED if cores is not None else _verdict(copied, read, wait),
    )


def _noise(compute: Part, copied: Part, whole: Part, cold: Part | None) -> Iterator[str]:
    pairs = {"copy": (copied, compute), "stall": (whole, copied), "idle": (whole, compute)}
    if cold is not None:
        pairs["fetch"] = (cold, whole)
    for name, (one, other) in pairs.items():
        if not one.differs(other):
            yield name


def _verdict(copied: Part, read: Part, wait: float | None) -> str:
    """Decide only outside the noise of both runs."""
    if read.is_longer(copied) and (wait or 0) > LEAST_WAIT:
        return "input-bound: reading a batch takes longer than computing it"
    if copied.is_longer(read) and (wait or 0) <= LEAST_WAIT:
        return "compute-bound: reading keeps up"
    return "not decided: the difference is within the noise"


def _cold_of_two(results: Sequence[Result]) -> Result | None:
    """Return the cold run, if there are two of all of a step: with a cold and a warm page cache."""
    whole = {
        _options(result).get(PAGE_CACHE): result
        for result in results
        if _part_of(result) == "end-to-end"
    }
    return whole.get("cold") if whole.keys() == {"cold", "warm"} else None


def _by_part(results: Sequence[Result]) -> dict[Measure, Result]:
    found: dict[Measure, Result] = {}
    for result in results:
        if result.request is None or result.request.data is None:
            raise RequestError(f"{result.run} did not read real data", hint="name runs with --data")
        if "throughput" not in result.metrics:
            raise RequestError(f"{result.run} measured nothing", hint="name runs that succeeded")
        part = _part_of(result)
        if part in found:
            raise RequestError(
                f"{found[part].run} and {result.run} measure the same part",
                hint="name one run for each --measure",
            )
        found[part] = result
    return found


def _part_of(result: Result) -> Measure:
    return (result.request.measure if result.request is not None else None) or "end-to-end"


def _same_work(results: Sequence[Result], *, but: str = "") -> None:
    """Refuse runs that differ in more than the measured part, and the option `but`.

    Raises RequestError.
    """
    first, *others = results
    for other in others:
        for name in ("model", "framework", "phase", "dtype", "batch", "device", "gpus", "data"):
            one, two = (getattr(result.plan, name, None) for result in (first, other))
            if one != two:
                raise RequestError(
                    f"{first.run} and {other.run} differ in their {name}: {one} and {two}",
                    hint="name runs that differ in --measure only",
                )
    for one, two in combinations(results, 2):
        for name in _differing_options(one, two):
            if name == but:
                continue
            values = [_options(result).get(name, "the default") for result in (one, two)]
            raise RequestError(
                f"{one.run} and {two.run} differ in the option {name}: {' and '.join(values)}",
                hint="name runs that differ in --measure only",
            )


def _differing_options(one: Result, two: Result) -> Iterator[str]:
    """Yield the options that have an effect on both runs, and differ."""
    for name in sorted(_options(one).keys() | _options(two).keys()):
        affected = all(_part_of(result) in _AFFECTED.get(name, _PARTS) for result in (one, two))
        if affected and _options(one).get(name) != _options(two).get(name):
            yield name


def _options(result: Result) -> Mapping[str, str]:
    return result.plan.options if result.plan is not None else {}


def _enough_was_read(runs: Mapping[Measure, Result]) -> None:
    """Refuse a run that only took what had been read before. Raises RequestError."""
    result = runs.get("input")
    if result is None or result.plan is None:
        return
    per_step = result.plan.global_batch
    if result.plan.steps * per_step < LEAST_READ:
        raise RequestError(
            f"{result.run} timed {result.plan.steps * per_step} samples, which may have been read "
            "before the first step",
            hint=f"run it again with --steps {-(-LEAST_READ // per_step)} or more",
        )


def _lacks(result: Result, part: str) -> RequestError:
    assert result.request is not None
    asked = result.request
    command = _COMMAND.format(
        model=asked.model, framework=asked.framework, data=asked.data, part=part
    )
    return RequestError(f"no run measured {part}", hint=f"run `{command}` and name it too")


def _part(result: Result) -> Part:
    assert result.plan is not None
    samples = result.plan.global_batch
    value = {name: metric.value for name, metric in result.metrics.items()}
    low, high = (value.get(name) for name in INTERVAL)
    return Part(
        seconds=samples / value["throughput"],
        low=samples / high if high else None,
        high=samples / low if low else None,
        cpu=value.get("cpu_time"),
        wait=value.get("data_wait"),
    )
