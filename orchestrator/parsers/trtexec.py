"""TensorRT's trtexec, releases 2 (giexec) to 11: inference on one device.

| release | printed | headline |
|---|---|---|
| 2-5 | `Average over N runs is X ms`: a batch's time on the GPU | batch / mean (`mean_time`) |
| 6, 7 | `throughput: X qps`, which counts samples | as printed (`total`) |
| 7, explicit batch | `throughput: 0 qps`, of good runs too | inferences / walltime (`total`) |
| 8-11 | `Throughput: X qps` | x batch where the batch is explicit (`total`) |

Release 6 prints two throughputs; that of the host's time counts. Where queries are not counted,
inferences are total compute time / mean compute time. Warm-up (200 ms) is in no figure, so no
window is dropped. A log with `&&&& RUNNING` and without `&&&& PASSED` is a failure, and so is one
of release 8 or later without its summary; quotes of older logs may have neither. A quote with the
line `Timing trace has N queries over X s` and no throughput gives queries / seconds (`total`).
"""

from __future__ import annotations

import re
from collections.abc import Callable

from orchestrator.parsers import derived, doubts, trtexec_batch, vendor
from orchestrator.parsers import trtexec_blends as blends
from orchestrator.parsers.contract import LogParser, ParseHints
from orchestrator.parsers.derived import MS
from orchestrator.parsers.run import LONGEST_TIME
from orchestrator.parsers.vendor import COUNT, NUMBER, Format, Found, Log, Rule, Run
from orchestrator.units import SAMPLES_PER_SECOND

program = "trtexec"

_AGREE = 0.02
# A fact that is only kept until the run's end.
_ERROR = "error"
_BATCH, _SHAPE_LINE = "batch line", "shape line"
_ENDED = "ended"
_SAID, _MOST_SAID = "said", 6  # trtexec's own doubts
_ITERATIONS, _DEFAULT_ITERATIONS = "iterations", 10  # of releases up to 5, a line each
_FIRST_LATE = 8000  # the number of release 8.0.0 in a banner
# Headings of blocks, in lower case, and what their figures are called here.
_BLOCKS = {
    "host latency": "latency",
    "latency": "latency",
    "end-to-end host latency": "end_to_end_latency",
    "enqueue time": "enqueue_time",
    "h2d latency": "h2d_latency",
    "d2h latency": "d2h_latency",
    "gpu compute": "gpu_time",
    "gpu compute time": "gpu_time",
}
_TIMES = {
    "walltime": "walltime",
    "total host walltime": "walltime",
    "total compute time": "compute_time",
    "total gpu compute time": "compute_time",
}
_MEANS = ("end_to_end_latency", "enqueue_time", "h2d_latency", "d2h_latency")
_FIGURES = ("mean", "median", "min", "max", "p90", "p95", "p99", "percentile")
_PAIR = re.compile(
    rf"(?:(?P<name>min|max|mean|median)|percentile\((?P<percent>{NUMBER})%\)) = "
    rf"(?P<ms>{NUMBER}) ms"
)


def _banner(log: Log, found: Found) -> None:
    word = found.text("word")
    blends.banner(log, word, found.line)
    if word == "RUNNING":
        log.begin()
        log.run.facts.clear()  # of a run that printed no figure
        log.stage = "warmup"
    elif word == "PASSED":
        log.stage = "done"
    else:
        error = log.run.facts.get(_ERROR)
        why = f": {vendor.shown(error.text())}" if error else ""
        log.run.fail(f"trtexec says {word}{why}", error.line if error else found.line)
    log.run.facts["banner"] = word
    if found.has("version"):
        log.run.fact("tensorrt_version", found.text("version"))
    trtexec_batch.read_command(log.run.facts, found.text("command"))


def _error(log: Log, found: Found) -> None:
    """Keep the first error of a run, of which the others are consequences."""
    log.run.facts.setdefault(_ERROR, found)


def _options(log: Log, found: Found) -> None:
    """Take a line that a run begins with: options after results are another run's."""
    del found
    log.begin()


def _typed(log: Log, found: Found) -> None:
    """Take the command as it was typed; one that printed nothing tells nothing of the next."""
    log.begin()
    log.run.facts.clear()
    trtexec_batch.read_command(log.run.facts, found.text("command"))


def _batch(log: Log, found: Found) -> None:
    log.begin()
    if found.cut("batch"):
        return
    log.run.remember(_BATCH, found.line)
    if found.has("old"):
        blends.note(log.run, blends.UP_TO_5, found.line)
        log.run.same("batch", found.count("batch"), found.line)
    else:
        trtexec_batch.read_option(log.run, found.text("batch"), found.line)


def _iterations(log: Log, found: Found) -> None:
    if not found.cut():
        log.run.fact(_ITERATIONS, found.count())


def _say(log: Log, found: Found) -> None:
    """Keep what trtexec doubts itself."""
    said = log.run.facts.setdefault(_SAID, [])
    if not found.cut("text") and len(said) < _MOST_SAID:
        said.append(vendor.shown(found.text("text")))


def _binding(log: Log, found: Found) -> None:
    if not found.cut("shape"):
        log.run.remember(_SHAPE_LINE, found.line)
        trtexec_batch.read_shapes(log.run.facts, "binding", found.text("shape"))


def _inference_shape(log: Log, found: Found) -> None:
    if not found.cut("shape"):
        log.run.remember(_SHAPE_LINE, found.line)
        trtexec_batch.read_shapes(log.run.facts, "inference", found.text("shape"))


def _streams(log: Log, found: Found) -> None:
    if not found.cut():
        log.run.fact("streams", found.count())


def _average(log: Log, found: Found) -> None:
    """Take the averages of some runs: the GPU's time, and the host's where it is printed."""
    runs, milliseconds = max(1, found.count("runs")), found.number("gpu") or 0.0
    if found.count("runs") == 0:
        log.run.fail("the log has an average of 0 runs: it contradicts itself", found.line)
    if found.has("old"):
        trtexec_batch.mark_old(log.run.facts)
    blends.note(log.run, blends.release_of_average(found.line.text), found.line)
    index = sum(log.run.windows.last_key) + 1
    log.window((index,), derived.inverse(milliseconds) / MS, found.line, samples=runs)
    _sum_up(log.run, "latency_sums", runs, found.number("host"))
    _sum_up(log.run, "percentile_sums", runs, found.number("percentile"))
    if found.has("percent"):
        log.run.fact("percent", _percentile(found.text("percent")))


def _sum_up(run: Run, name: str, runs: int, value: float | None) -> None:
    if value is not None:
        sums = run.facts.setdefault(name, [0, 0.0, 0.0])
        sums[:] = [sums[0] + runs, sums[1] + runs * value, max(sums[2], value)]


def _heading(log: Log, found: Found) -> None:
    log.state["block"] = _BLOCKS[found.text().lower()]


def _figure(log: Log, found: Found) -> None:
    """Take a line of a block of release 6 or 7: the keys are the same in each block."""
    block, name = log.state.get("block"), found.text("name")
    if block is None:
        return
    if name == "percentile":
        name = _percentile(found.text("after") or found.text("before"))
    log.run.take(f"{block}_{name}", found.number("ms"), found.line)


def _figures(log: Log, found: Found) -> None:
    """Take a line of release 8 or later: all figures of a block."""
    block = _BLOCKS[found.text("block").lower()]
    for match in _PAIR.finditer(found.line.text):
        each = Found(match, found.line)
        name = each.text("name") or _percentile(each.text("percent"))
        log.run.take(f"{block}_{name}", each.number("ms"), found.line)


def _percentile(percent: str) -> str:
    return f"p{float(percent):g}" if percent else "percentile"


def _throughput(log: Log, found: Found) -> None:
    late = found.text("name") == "Throughput"
    blends.note(log.run, blends.FROM_8 if late else blends.UP_TO_7, found.line)
    # Release 6 prints another one in its block of the GPU's time.
    if found.text("name") == "Throughput" or log.state.get("block") != "gpu_time":
        log.run.take(found.text("name"), found.number("qps"), found.line)


def _time(log: Log, found: Found) -> None:
    name = found.text("name")
    if name == "walltime" and log.state.get("block") == "gpu_time":
        name = "total compute time"
    log.run.take(_TIMES[name.lower()], found.number("s"), found.line)


def _trace(log: Log, found: Found) -> None:
    if not found.cut("s"):
        log.run.take("queries", float(found.count("queries")), found.line)
        log.run.take("trace_time", found.number("s"), found.line)


def _conclude(run: Run, hints: ParseHints) -> None:
    del hints
    run.fact("phase", "inference")
    run.fact("devices", 1)
    run.facts.pop(_ERROR, None)
    banner = run.facts.pop("banner", "")
    run.facts[_ENDED] = banner == "PASSED"
    if banner == "RUNNING":
        run.fail("the log has no `&&&& PASSED`: trtexec did not come to its end")
    said, late = run.facts.pop(_SAID, []), _is_late(run)
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
    for text in said:
        run.warn(f"trtexec says: {text}")


def _is_late(run: Run) -> bool:
    """Tell whether a run is of release 8 or later, which prints a summary at its end."""
    version = str(run.facts.get("tensorrt_version", ""))
    return blends.is_late(run) or (version.isdecimal() and int(version) >= _FIRST_LATE)


def _refuse_contradictions(run: Run, *, late: bool) -> None:
    printed = run.printed
    if late and run.windows.count and "Throughput" not in printed:
        run.fail("the log has no performance summary, which this release prints: it is cut")
    for name in ("walltime", "compute_time", "trace_time"):
        if name in printed and not 0 < printed[name] < LONGEST_TIME:
            run.fail(f"a {name.replace('_', ' ')} of {printed[name]:.10g} s is not plausible")
    zero = [name for name in ("queries", "throughput") if printed.get(name) == 0]
    if not zero or not (run.windows.count or "gpu_time_mean" in printed):
        return
    if run.facts.get("batch_option") == trtexec_batch.EXPLICIT:
        run.warn("release 7 counts 0 queries of an explicit batch: the figure is by the times")
    else:
        run.fail("the log says 0 queries, and tells their times: it contradicts itself")


def _doubt_end(run: Run) -> None:
    """Doubt averages that may not be all there were."""
    asked, ended = run.facts.pop(_ITERATIONS, None), run.facts.pop(_ENDED, False)
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
    """Return the queries in the time of an inference, 0 where the times are not printed."""
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
    """Set the mean times that the averages of some runs give, where no block does."""
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
    """Recompute the throughput: by the trace, by the compute time, or by the averages."""
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
        # What the program counts as a query is what --batch is needed for.
        derived.per_second(run, "queries_per_second", printed[name], "queries/s")
        if samples is None:
            run.prove(name)
            run.needs("--batch", "how many samples a query has")
            return
        names = (_BATCH, _SHAPE_LINE, name)
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
    names = ("queries", _BATCH, _SHAPE_LINE)
    run.headline(value, estimator="total", missing="trace", factor=samples, names=names)


def _headline_of_times(run: Run, value: float, *, known: bool) -> None:
    if known:
        if "throughput" not in run.printed:
            run.warn("the log has no throughput: it is computed from the times")
        names = (_BATCH, _SHAPE_LINE, "compute_time", "gpu_time_mean", "walltime")
        run.headline(value, estimator="total", missing="walltime", names=names)
        return
    if run.facts.get("streams", 1) > 1:
        run.fail("the log has no throughput, and times of inferences that overlap give none")
    run.headline(value, estimator="mean_time", missing="Average", scope="device", names=(_BATCH,))
    run.prove_by_windows()


def _live(run: Run) -> tuple[float, str]:
    """Batches per second by the averages, of one stream."""
    batch = run.batch or trtexec_batch.known_batch(run)
    return (batch, SAMPLES_PER_SECOND) if batch else (1.0, "batches/s")


# Release 6 and later; before, `[I] ` alone or nothing.
_PREFIX = r"\s*(?:\[\d\d/\d\d/\d{4}-\d\d:\d\d:\d\d\] )?(?:\[[IWEFV]\] *)?"


def _rule(
    needle: bytes, pattern: str, take: Callable[[Log, Found], None], *, open_end: bool = False
) -> Rule:
    return Rule(needle, re.compile(_PREFIX + pattern), take, open_end=open_end)


# What releases up to 5 print first, of the options that name a model.
_OLD_OPTIONS = (b"deploy", b"onnx", b"uff")
_SHAPE = r"(?P<shape>\d{1,9}(?:x\d{1,9})*)"
_BLOCK = r"(Host [Ll]atency|Enqueue Time|GPU Compute)"
_LATER_BLOCK = (
    r"(?P<block>Latency|End-to-End Host Latency|Enqueue Time|H2D Latency|GPU Compute Time"
    r"|D2H Latency)"
)
# Groups that never take part, so that all averages have the same.
_ABSENT = "".join(f"(?P<{name}>(?!))?" for name in ("percent", "percentile", "old"))
# One pattern for the three wordings of an average, whose optional parts differ.
_AVERAGE = (
    rf"(?P<old>Average over) (?P<runs>{COUNT}) runs is (?P<gpu>{NUMBER}) ms"
    rf"(?: \((?:host walltime is (?P<host>{NUMBER}) ms, )?(?:(?P<percent>{NUMBER})% )?"
    rf"percentile time is (?P<percentile>{NUMBER})\))?"
)
_AVERAGE_6 = (
    rf"GPU compute time average over (?P<runs>{COUNT}) runs is (?P<gpu>{NUMBER}) ms "
    rf"\(latency average (?P<host>{NUMBER}) ms{_ABSENT}\)"
)
_AVERAGE_7 = (
    rf"Average on (?P<runs>{COUNT}) runs - GPU latency: (?P<gpu>{NUMBER}) ms - "
    rf"Host latency: (?P<host>{NUMBER}) ms{_ABSENT}"
)

FORMAT = Format(
    program=program,
    rules=(
        Rule(
            b"&&&& ",
            re.compile(
                r"&&&& (?P<word>RUNNING|PASSED|FAILED|WAIVED) \S+ *"
                r"(?:\[TensorRT v(?P<version>\d+)\][^#]*)?(?:# (?P<command>.*))?"
            ),
            _banner,
        ),
        Rule(
            b"[E] ", re.compile(r"\s*(?:\[\d\d/\d\d/\d{4}-\d\d:\d\d:\d\d\] )?\[E\] +(\S.*)"), _error
        ),
        # As typed, behind a prompt: quotes of old releases have nothing else between runs.
        *(
            Rule(
                name,
                re.compile(
                    r"(?:[^$#>]{0,200}[$#>] *)?(?:[^\s$#>]{0,200}[/\\])?"
                    r"(?:trtexec|giexec)(?:\.exe)? +(?P<command>-.*)"
                ),
                _typed,
            )
            for name in (b"trtexec", b"giexec")
        ),
        _rule(b"=== Model Options ===", "=== Model Options ===", _options),
        *(_rule(name + b": ", name.decode() + r": \S", _options) for name in _OLD_OPTIONS),
        _rule(
            b"atch: ",
            rf"(?:(?P<old>b)atch: (?=\d)|Batch: )(?P<batch>{COUNT}$|[eE]xplicit)",
            _batch,
            open_end=True,
        ),
        _rule(
            b"nput binding for ",
            rf"(?:Created i|I)nput binding for .{{0,200}} with dimensions {_SHAPE}"
            r"(?: is created.?)?$",
            _binding,
        ),
        _rule(
            b"nput inference shape",
            rf"Input inference shapes? ?: .{{0,200}}={_SHAPE}$",
            _inference_shape,
        ),
        _rule(b"terations: ", rf"iterations: ({COUNT})$", _iterations, open_end=True),
        *(
            _rule(start, r"\* (?P<text>" + start.decode() + r" .*)", _say)
            for start in (b"GPU compute time is unstable,", b"Throughput may be bound by")
        ),
        _rule(b"treams: ", rf"(?:Inference )?Streams: ({COUNT})$", _streams),
        _rule(b" ms", _AVERAGE, _average),
        _rule(b" ms", _AVERAGE_6, _average),
        _rule(b" ms", _AVERAGE_7, _average),
        _rule(b"Host ", rf"{_BLOCK}$", _heading),
        _rule(b"Enqueue Time", rf"{_BLOCK}$", _heading),
        _rule(b"GPU Compute", rf"{_BLOCK}$", _heading),
        _rule(b" ms", rf"{_LATER_BLOCK}: (?=(?:min|mean) = )", _figures),
        _rule(
            b" ms",
            rf"(?P<name>min|max|mean|median|percentile): (?P<ms>{NUMBER}) ms"
            rf"(?: \((?P<before>{NUMBER})%\)| at (?P<after>{NUMBER})%)?",
            _figure,
        ),
        _rule(b"hroughput: ", rf"(?P<name>[tT]hroughput): (?P<qps>{NUMBER}) qps", _throughput),
        _rule(b"alltime: ", rf"(?P<name>(?:Total Host W|w)alltime): (?P<s>{NUMBER}) s$", _time),
        _rule(
            b"otal compute time: ",
            rf"(?P<name>Total GPU Compute Time|total compute time): (?P<s>{NUMBER}) s$",
            _time,
        ),
        _rule(
            b"Timing trace has ",
            rf"Timing trace has (?P<queries>{COUNT}) queries over (?P<s>{NUMBER}) s$",
            _trace,
        ),
    ),
    conclude=_conclude,
    live=_live,
)


def Parser(hints: ParseHints) -> LogParser:  # noqa: N802 (a class by contract)
    """Start on a new log."""
    return vendor.Parser(FORMAT, hints)
