"""TensorRT's trtexec, releases 2 (giexec) to 11: inference on one device.

| release | printed | headline |
|---|---|---|
| 2-5 | `Average over N runs is X ms`: a batch's time on the GPU | batch / mean (`mean_time`) |
| 6, 7 | `throughput: X qps`, which counts samples | as printed (`total`) |
| 7, explicit batch | `throughput: 0 qps`, of good runs too | inferences / walltime (`total`) |
| 8-11 | `Throughput: X qps` | x batch where the batch is explicit (`total`) |

Release 6 prints two throughputs; that of the host's time counts. Where queries are not counted,
inferences are total compute time / mean compute time. Warm-up (200 ms) is in no figure, so no
window is dropped. A log with `&&&& RUNNING` and without `&&&& PASSED` is a failure; quotes of logs
have neither.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from orchestrator.parsers import derived, trtexec_batch, vendor
from orchestrator.parsers.contract import LogParser, ParseHints
from orchestrator.parsers.derived import MS
from orchestrator.parsers.vendor import COUNT, NUMBER, Format, Found, Log, Rule, Run

program = "trtexec"

_AGREE = 0.02
# A fact that is only kept until the run's end.
_ERROR = "error"
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
# Figures of a run that are printed before its summary.
_TRACE = {"queries", "trace_time"}
_MEANS = ("end_to_end_latency", "enqueue_time", "h2d_latency", "d2h_latency")
_FIGURES = ("mean", "median", "min", "max", "p90", "p95", "p99", "percentile")
_PAIR = re.compile(
    rf"(?:(?P<name>min|max|mean|median)|percentile\((?P<percent>{NUMBER})%\)) = "
    rf"(?P<ms>{NUMBER}) ms"
)


def _banner(log: Log, found: Found) -> None:
    word = found.text("word")
    if word == "RUNNING":
        log.begin()
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
    if found.has("old"):
        log.run.fact("batch", found.count("batch"))
    else:
        trtexec_batch.read_option(log.run.facts, found.text("batch"))


def _binding(log: Log, found: Found) -> None:
    if not found.cut("shape"):
        trtexec_batch.read_shapes(log.run.facts, "binding", found.text("shape"))


def _inference_shape(log: Log, found: Found) -> None:
    if not found.cut("shape"):
        trtexec_batch.read_shapes(log.run.facts, "inference", found.text("shape"))


def _precision(log: Log, found: Found) -> None:
    """Take the number types that may be chosen from: the smallest of them was asked for."""
    if found.cut():
        return
    words = found.text().upper().replace("HALF2", "FP16").split("+")
    named = next((word for word in ("INT8", "BF16", "FP16") if word in words), None)
    if named or words == ["FP32"]:
        log.run.fact("dtype", (named or "FP32").lower())


def _streams(log: Log, found: Found) -> None:
    if not found.cut():
        log.run.fact("streams", found.count())


def _average(log: Log, found: Found) -> None:
    """Take the averages of some runs: the GPU's time, and the host's where it is printed."""
    runs, milliseconds = max(1, found.count("runs")), found.number("gpu") or 0.0
    if found.has("old"):
        trtexec_batch.mark_old(log.run.facts)
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


def _summary(log: Log, found: Found) -> None:
    """Begin another run at a summary if this one has one: people quote the summaries of several."""
    del found
    if log.run.printed.keys() - _TRACE:
        log.begin()


def _throughput(log: Log, found: Found) -> None:
    printed = log.run.printed
    # From release 8 on it is a summary's first figure, and a quote may lack the heading.
    ended = found.text("name") == "Throughput" and {"Throughput", "latency_mean"} <= printed.keys()
    if ended and found.number("qps") != printed["Throughput"]:
        log.begin()
    # Release 6 prints another one in its block of the GPU's time.
    if found.text("name") == "Throughput" or log.state.get("block") != "gpu_time":
        log.run.take(found.text("name"), found.number("qps"), found.line)


def _time(log: Log, found: Found) -> None:
    name = found.text("name")
    if name == "walltime" and log.state.get("block") == "gpu_time":
        name = "total compute time"
    log.run.take(_TIMES[name.lower()], found.number("s"), found.line)


def _trace(log: Log, found: Found) -> None:
    log.run.take("queries", float(found.count("queries")), found.line)
    log.run.take("trace_time", found.number("s"), found.line)


def _conclude(run: Run, hints: ParseHints) -> None:
    del hints
    run.fact("phase", "inference")
    run.fact("devices", 1)
    run.facts.pop(_ERROR, None)
    if run.facts.pop("banner", "PASSED") == "RUNNING":
        run.fail("the log has no `&&&& PASSED`: trtexec did not come to its end")
    _block_metrics(run)
    _average_metrics(run)
    samples = trtexec_batch.samples_per_query(run, queries=_queries_per_inference(run))
    _recompute(run, samples)
    _headline(run, samples)
    own, other = run.throughput, run.metrics.get("throughput_recomputed")
    if own and other and abs(other.value / own - 1) > _AGREE:
        run.warn(f"the times printed give {other.value:.6g} samples/s, the program {own:.6g}")


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
        run.headline(printed[name], estimator="total", missing=name, factor=samples, names=(name,))
    elif not known and not run.windows.count:
        run.headline(printed.get(name), estimator="total", missing=f"{name}: ", names=(name,))
    elif run.batch is None:
        run.prove("gpu_time_mean")
        run.needs("--batch", "the batch")
    else:
        value = recomputed.value if recomputed else 0.0
        _headline_of_times(run, value, known=known)


def _headline_of_times(run: Run, value: float, *, known: bool) -> None:
    if known:
        names = ("compute_time", "gpu_time_mean", "walltime")
        run.headline(value, estimator="total", missing="walltime", names=names)
        return
    if run.facts.get("streams", 1) > 1:
        run.fail("the log has no throughput, and times of inferences that overlap give none")
    run.headline(value, estimator="mean_time", missing="Average", scope="device", names=())
    run.prove_by_windows()


# Release 6 and later; before, `[I] ` alone or nothing.
_PREFIX = r"\s*(?:\[\d\d/\d\d/\d{4}-\d\d:\d\d:\d\d\] )?(?:\[[IWEFV]\] *)?"


def _rule(needle: bytes, pattern: str, take: Callable[[Log, Found], None]) -> Rule:
    return Rule(needle, re.compile(_PREFIX + pattern), take)


# What releases up to 5 print first, of the options that name a model.
_OLD_OPTIONS = (b"deploy", b"onnx", b"uff")
# The same, as flags without values.
_OLD_TYPES = (b"half2", b"fp16", b"int8")
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
        _rule(b"=== Performance summary ===", "=== Performance summary ===", _summary),
        *(_rule(name + b": ", name.decode() + r": \S", _options) for name in _OLD_OPTIONS),
        _rule(
            b"atch: ", rf"(?:(?P<old>b)atch: (?=\d)|Batch: )(?P<batch>{COUNT}$|[eE]xplicit)", _batch
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
        _rule(b"Precision: ", r"Precision: ([\w+]{1,40})$", _precision),
        *(_rule(word, rf"({word.decode()})$", _precision) for word in _OLD_TYPES),
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
)


def Parser(hints: ParseHints) -> LogParser:  # noqa: N802 (a class by contract)
    """Start on a new log."""
    return vendor.Parser(FORMAT, hints)
