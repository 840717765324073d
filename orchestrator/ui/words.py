"""Describes a run in lines of text, which are the same in a panel, a pipe and on a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from orchestrator import compressed
from orchestrator.metric import INTERVAL
from orchestrator.paths import RunFolder, runs
from orchestrator.progress import Progress
from orchestrator.units import SECONDS, counted, quantity

if TYPE_CHECKING:
    from orchestrator.metric import Metric
    from orchestrator.program_facts import ProgramFacts
    from orchestrator.result import Result

Row = tuple[str, str]
LAST_LINES = 8
_STAGES = {
    "starting": "starting",
    "warmup": "warming up",
    "timing": "timing",
    "comparing": "comparing",
    "probing": "probing",
    "done": "finished",
}


def clock(seconds: float) -> str:
    """Format an elapsed time as 1:23 or 1:02:03."""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def progress_words(progress: Progress) -> str:
    """Format a snapshot as one line: "timing, 12 of 20 steps, 123.4 samples/s"."""
    parts = [_STAGES[progress.stage]]
    if progress.steps_total:
        parts.append(f"{progress.steps_done} of {progress.steps_total} steps")
    elif progress.stage in ("comparing", "probing"):
        parts.append(f"{progress.steps_done} done")
    elif progress.steps_done:
        parts.append(counted(progress.steps_done, "step"))
    # After the end the result shows it; this one is only of the last block.
    if progress.throughput is not None and progress.stage != "done":
        parts.append(quantity(progress.throughput, progress.unit))
    return ", ".join(parts)


def devices(device: str, count: int) -> str:
    """Format the devices: "cpu", "2 x gpu", "2 ranks on the cpu"."""
    if count > 1 and device == "cpu":
        return f"{count} ranks on the cpu"
    return f"{count} x {device}" if count > 1 else device


def subject(result: Result) -> str:
    """Format what was measured: "resnet50 training, pytorch, float32, batch 8, cpu"."""
    plan, told = result.plan, result.request
    if plan is not None:
        where = devices(plan.device, plan.device_count)
        each = " per rank" if plan.device == "cpu" else " per device"
        batch = f"batch {plan.batch}" + (each if plan.device_count > 1 else "")
        return f"{plan.model} {plan.phase}, {plan.framework}, {plan.dtype}, {batch}, {where}"
    if told is not None:
        return f"{told.model} {told.phase}, {told.framework}, {told.dtype}"
    return ", ".join(filter(None, _told_by_log(result.program))) or "benchmark"


def _told_by_log(begin: ProgramFacts) -> Iterator[str]:
    """Yield what a log says about its run, "" for what is missing."""
    yield " ".join(word for word in (begin.model, begin.phase or begin.mode) if word)
    yield begin.framework or ""
    yield begin.dtype or ""
    if begin.batch:
        yield f"batch {begin.batch}" + (" per device" if (begin.devices or 1) > 1 else "")


def title(result: Result) -> str:
    """Format the outcome."""
    match result.status:
        case "ok":
            return "measured"
        case "planned":
            return "planned"
        case "failed":
            return f"failed: {result.failure.kind if result.failure else 'unknown'}"


def rows(result: Result, last_lines: tuple[str, ...] = ()) -> list[Row]:
    """Return label and text of everything a user wants to know, most important first."""
    found = [("what", subject(result)), *_place_rows(result)]
    if result.failure is not None:
        found += _failure_rows(result, last_lines)
    else:
        found += _metric_rows(result.metrics)
        found += _rank_rows(result)
        found += _memory_rows(result)
        found += [("page cache", str(result.page_cache))] if result.page_cache else []
        found += _derived_rows(result.derived)
    if result.verdict is not None:
        found.append(("verdict", result.verdict.in_words(result.warnings)))
    found += [("warning", text) for text in result.warnings]
    found += [("note", text) for text in result.notes]
    return found + _file_rows(result)


def _place_rows(result: Result) -> Iterator[Row]:
    if result.plan is None:
        return
    if result.plan.runtime == "host":
        yield "where", f"on this host, not in a container: {result.plan.runtime_reason}"
        if result.plan.interpreter is not None:
            yield "python", str(result.plan.interpreter)
    else:
        user = result.plan.user
        said = f", as user {user.partition(':')[0]}" if user else ""
        by = "" if result.plan.runtime == "docker" else f", started by {result.plan.runtime}"
        yield "where", f"container of {result.plan.image}{said}{by}"


def _metric_rows(metrics: Mapping[str, Metric]) -> Iterator[Row]:
    if "throughput" in metrics:
        yield "throughput", _written(metrics, "throughput") + _spread(metrics)
    times = [
        f"{word} {_written(metrics, name)}"
        for word, name in (
            ("median", "step_time_median"),
            ("p90", "step_time_p90"),
            ("p99", "step_time_p99"),
        )
        if name in metrics
    ]
    if times:
        yield "step time", ", ".join(times)
    elif "throughput" not in metrics:  # of a program that measures no network
        for name in metrics:
            yield name.replace("_", " "), _written(metrics, name)


def _rank_rows(result: Result) -> Iterator[Row]:
    """Say how unequal the ranks are, and which is the slowest."""
    times = result.program.rank_times
    if "rank_skew" not in result.metrics or not times:
        return
    slowest, fastest = max(times), min(times)
    yield (
        "ranks",
        f"skew {_written(result.metrics, 'rank_skew')}: rank {times.index(slowest)} computes "
        f"{quantity(slowest, SECONDS)} per step before it waits for the others, rank "
        f"{times.index(fastest)} {quantity(fastest, SECONDS)}",
    )


def _memory_rows(result: Result) -> Iterator[Row]:
    """Say what used the memory: on the CPU it is that of the program's process."""
    if "peak_memory" not in result.metrics:
        return
    device = result.plan.device if result.plan else result.program.device
    where = "in the process" if device == "cpu" else "on the device"
    if device == "cpu" and result.program.rank_times:
        where = "in a process"
    yield "memory", f"{_written(result.metrics, 'peak_memory')} at most {where}"


def _derived_rows(derived: Mapping[str, Metric]) -> Iterator[Row]:
    if "achieved_flops" in derived:
        text = _written(derived, "achieved_flops")
        if "share_of_ceiling" in derived:
            share, ceiling = (
                _written(derived, f"{n}") for n in ("share_of_ceiling", "ceiling_flops")
            )
            text += f", {share} of the {ceiling} that `benchdock probe` measured here"
        if "share_of_ceiling_by_cpu_time" in derived:
            text += f" ({_written(derived, 'share_of_ceiling_by_cpu_time')} by CPU time)"
        yield "compute", text
    if "energy_per_sample" in derived:
        text = f"{_written(derived, 'energy_per_sample')} per sample"
        if "energy_per_sample_above_idle" in derived:
            text += f" ({_written(derived, 'energy_per_sample_above_idle')} above idle)"
        yield "energy", f"{text}, {_written(derived, 'throughput_per_watt')}"


def _spread(metrics: Mapping[str, Metric]) -> str:
    if all(name in metrics for name in INTERVAL):
        low, high = (metrics[name] for name in INTERVAL)
        unit = f" {low.unit}"
        low_text = quantity(low.value, low.unit).removesuffix(unit)
        return (
            f" (95 % interval within this run: {low_text} to "
            f"{quantity(high.value, high.unit).removesuffix(unit)})"
        )
    return ""


def _written(metrics: Mapping[str, Metric], name: str) -> str:
    return quantity(metrics[name].value, metrics[name].unit)


def _failure_rows(result: Result, last_lines: tuple[str, ...]) -> Iterator[Row]:
    failure = result.failure
    if failure is None:
        return
    yield "why", failure.message
    if failure.evidence:
        yield "evidence", failure.evidence
    for line in last_lines[-LAST_LINES:]:
        yield "log", line


def _file_rows(result: Result) -> list[Row]:
    if result.run is None:
        return []
    folder = RunFolder(runs() / result.run)
    log = compressed.here(folder.log) if result.failure is not None else None
    files = ("files", str(folder.root))
    return [("whole log", str(log)), files] if log else [files]
