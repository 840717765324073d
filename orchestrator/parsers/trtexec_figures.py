"""Derives figures, contradictions and warnings from the lines of a run of trtexec."""

from __future__ import annotations

from orchestrator.parsers import derived, doubts, trtexec_batch
from orchestrator.parsers import trtexec_blends as blends
from orchestrator.parsers.contract import ParseHints
from orchestrator.parsers.derived import MS
from orchestrator.parsers.estimators import LONGEST_TIME, SHORTEST_TIME
from orchestrator.parsers.run import Run
from orchestrator.units import SAMPLES_PER_SECOND

# Facts that are only kept until the run's end: an error, trtexec's warnings, the number of
# requested averages.
ERROR, SAID, ITERATIONS = "error", "said", "iterations"
# Lines that give the batch.
BATCH_LINE, SHAPE_LINE = "batch line", "shape line"
_ENDED = "ended"
_AGREE = 0.02
_DEFAULT_ITERATIONS = 10  # of releases up to 5, an average each
_FIRST_LATE = 8000  # the number of release 8.0.0 in a banner
_MEANS = ("end_to_end_latency", "enqueue_time", "h2d_latency", "d2h_latency")
_FIGURES = ("mean", "median", "min", "max", "p90", "p95", "p99", "percentile")


def conclude(run: Run, hints: ParseHints) -> None:
    """Compute metrics from what was taken."""
    del hints
    run.fact("phase", "inference")
    run.fact("devices", 1)
    run.facts.pop(ERROR, None)
    banner = run.facts.pop("banner", "")
    run.facts[_ENDED] = banner == "PASSED"
    if banner == "RUNNING":
        run.fail("the log has no `&&&& PASSED`: trtexec did not finish")
    said, late = run.facts.pop(SAID, []), _is_late(run)
    _block_metrics(run)
    _average_metrics(run)
    samples = trtexec_batch.samples_per_query(run, queries=_queries_per_inference(run))
    _recompute(run, samples)
    _refuse_contradictions(run, late=late)
    _headline(run, samples)
    _doubt_end(run)
    own, other = run.throughput, run.metrics.get("throughput_recomputed")
    if own and other and abs(other.value / own - 1) > _AGREE:
        run.warn(f"the times printed give {other.value:.6g} samples/s, the program {own:.6g}")
    streams = run.facts.get("streams", 1)
    if streams > 1:
        run.warn(f"{streams} streams share the GPU: a batch takes longer than with one")
    for text in said:
        run.warn(f"trtexec says: {text}")


def _is_late(run: Run) -> bool:
    """Whether a run is of release 8 or later, which prints a summary at its end."""
    version = str(run.facts.get("tensorrt_version", ""))
    return blends.is_late(run) or (version.isdecimal() and int(version) >= _FIRST_LATE)


def _refuse_contradictions(run: Run, *, late: bool) -> None:
    printed = run.printed
    if late and run.windows.count and "Throughput" not in printed:
        run.fail("the log has no performance summary, which this release prints: it is cut")
    for name in ("walltime", "compute_time", "trace_time"):
        if name in printed and not SHORTEST_TIME < printed[name] < LONGEST_TIME:
            run.fail(f"a {name.replace('_', ' ')} of {printed[name]:.10g} s is not plausible")
    zero = [name for name in ("queries", "throughput") if printed.get(name) == 0]
    if not zero or not (run.windows.count or "gpu_time_mean" in printed):
        return
    if run.facts.get("batch_option") == trtexec_batch.EXPLICIT:
        run.warn(
            "release 7 counts 0 queries for an explicit batch: the figure is computed from the "
            "times"
        )
    else:
        run.fail("the log says 0 queries, but has their times: it contradicts itself")


def _doubt_end(run: Run) -> None:
    """Warn about averages that may not be complete."""
    asked, ended = run.facts.pop(ITERATIONS, None), run.facts.pop(_ENDED, False)
    early = blends.is_early(run)
    if not early and run.estimator == "mean_time":
        run.warn("the log has no throughput: it is computed from averages of times")
    blends.forget(run)
    if run.estimator != "mean_time" or (ended and asked is None):
        return
    if early:
        wanted = asked or _DEFAULT_ITERATIONS
        if run.windows.count < wanted:
            doubts.end(run, f"the log has {run.windows.count} averages of {wanted}")
    else:
        doubts.end(run, "the log has no summary")


def _queries_per_inference(run: Run) -> float:
    """Return the queries in the time of an inference, 0 if the times are not printed."""
    inferences = run.printed.get("compute_time", 0.0) * derived.inverse(
        run.printed.get("gpu_time_mean", 0.0) * MS
    )
    queries = run.printed.get("Throughput", 0.0) * run.printed.get("walltime", 0.0)
    return queries * derived.inverse(inferences)


def _block_metrics(run: Run) -> None:
    for name in ("latency", "gpu_time"):
        for figure in _FIGURES:
            run.seconds(f"{name}_{figure}", f"{name}_{figure}", scale=MS)
    for name in _MEANS:
        run.seconds(f"{name}_mean", f"{name}_mean", scale=MS)


def _average_metrics(run: Run) -> None:
    """Set the mean times from the averages of some runs, if no block gives them."""
    latency, percentile = (
        run.facts.pop(name, None) for name in ("latency_sums", "percentile_sums")
    )
    percent = run.facts.pop("percent", "percentile")
    if run.windows.count and "gpu_time_mean" not in run.metrics:
        derived.seconds(run, "gpu_time_mean", derived.inverse(run.windows.harmonic(0, 0)))
    if latency and "latency_mean" not in run.metrics:
        derived.seconds(run, "latency_mean", latency[1] / latency[0] * MS)
    if percentile:
        derived.seconds(run, f"gpu_time_{percent}", percentile[2] * MS)
        if run.windows.count > 1:
            run.warn(f"gpu_time_{percent} is the largest of {run.windows.count} printed ones")


def _recompute(run: Run, samples: int | None) -> None:
    """Recompute the throughput: from the trace, the compute time, or the averages."""
    printed = run.printed
    seconds, mean = printed.get("trace_time", 0.0), printed.get("gpu_time_mean", 0.0) * MS
    if samples and printed.get("queries", 0.0) > 0 and seconds > 0:
        value = printed["queries"] * samples / seconds
        derived.rate(run, "throughput_recomputed", value)
    elif run.batch and mean > 0 and printed.get("walltime", 0.0) > 0:
        inferences = printed.get("compute_time", 0.0) / mean
        derived.rate(run, "throughput_recomputed", inferences * run.batch / printed["walltime"])
    elif run.batch:
        run.recompute(first=0, why="warm-up is not timed", factor=run.batch)


def _headline(run: Run, samples: int | None) -> None:
    printed, recomputed = run.printed, run.metrics.get("throughput_recomputed")
    name = "Throughput" if "Throughput" in printed else "throughput"
    known = {"walltime", "gpu_time_mean"} <= printed.keys()
    if name == "Throughput" or printed.get(name):
        # --batch is needed for what the program counts as a query.
        derived.per_second(run, "queries_per_second", printed[name], "queries/s")
        if samples is None:
            run.prove(name)
            run.needs("--batch", "how many samples a query has")
            return
        names = (BATCH_LINE, SHAPE_LINE, name)
        run.headline(printed[name], estimator="total", missing=name, factor=samples, names=names)
    elif printed.get("queries", 0.0) > 0 and not known:
        _headline_of_trace(run, samples)
    elif not known and not run.windows.count:
        if "throughput" not in printed:
            run.prove("gpu_time_mean", "latency_mean")
            run.fail("the log has neither a throughput nor a wall time to compute it from")
        run.headline(printed.get("throughput"), estimator="total", missing="throughput")
    elif run.batch is None:
        run.prove("gpu_time_mean")
        run.needs("--batch", "the batch")
    else:
        value = recomputed.value if recomputed else 0.0
        _headline_of_times(run, value, known=known)


def _headline_of_trace(run: Run, samples: int | None) -> None:
    run.warn("the log has no summary: the throughput is that of the timing trace")
    if samples is None:
        run.prove("queries")
        run.needs("--batch", "how many samples a query has")
        return
    value = run.printed["queries"] * derived.inverse(run.printed.get("trace_time", 0.0))
    names = ("queries", BATCH_LINE, SHAPE_LINE)
    run.headline(value, estimator="total", missing="trace", factor=samples, names=names)


def _headline_of_times(run: Run, value: float, *, known: bool) -> None:
    if known:
        if "throughput" not in run.printed:
            run.warn("the log has no throughput: it is computed from the times")
        names = (BATCH_LINE, SHAPE_LINE, "compute_time", "gpu_time_mean", "walltime")
        run.headline(value, estimator="total", missing="walltime", names=names)
        return
    if run.facts.get("streams", 1) > 1:
        run.fail("the log has no throughput, and times of overlapping inferences give none")
    run.headline(
        value, estimator="mean_time", missing="Average", scope="device", names=(BATCH_LINE,)
    )
    run.prove_by_windows()


def live(run: Run) -> tuple[float, str]:
    """Batches per second from the averages, of one stream."""
    batch = run.batch or trtexec_batch.known_batch(run)
    return (batch, SAMPLES_PER_SECOND) if batch else (1.0, "batches/s")
