"""Reads logs of TensorRT's trtexec, releases 2 (giexec) to 11: inference on one device.

| release | printed | headline | |---|---|---| | 2-5 | `Average over N runs is X ms`: a batch's time
on the GPU | batch / mean (`mean_time`) | | 6, 7 | `throughput: X qps`, which counts samples | as
printed (`total`) | | 7, explicit batch | `throughput: 0 qps`, of good runs too | inferences /
walltime (`total`) | | 8-11 | `Throughput: X qps` | x batch if the batch is explicit (`total`) |

Release 6 prints two throughputs; that of the host's time counts. If queries are not counted,
inferences are total compute time / mean compute time. Warm-up (200 ms) is in no figure, so no
window is dropped. A log with `&&&& RUNNING` and without `&&&& PASSED` is a failure, and so is one
of release 8 or later without its summary; quotes of older logs may have neither. A quote with the
line `Timing trace has N queries over X s` and no throughput gives queries / seconds (`total`).
"""

from __future__ import annotations

import re
from collections.abc import Callable

from orchestrator.parsers import derived, trtexec_batch, vendor
from orchestrator.parsers import trtexec_blends as blends
from orchestrator.parsers import trtexec_figures as figures
from orchestrator.parsers.contract import LogParser, ParseHints
from orchestrator.parsers.derived import MS
from orchestrator.parsers.vendor import COUNT, NUMBER, Format, Found, Log, Rule, Run

program = "trtexec"

_MOST_SAID = 6  # warnings of trtexec itself
# Headings of blocks, in lower case, and the names of their figures here.
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
        error = log.run.facts.get(figures.ERROR)
        why = f": {vendor.shown(error.text())}" if error else ""
        log.run.fail(f"trtexec says {word}{why}", error.line if error else found.line)
    log.run.facts["banner"] = word
    if found.has("version"):
        log.run.fact("tensorrt_version", found.text("version"))
    trtexec_batch.read_command(log.run.facts, found.text("command"))


def _error(log: Log, found: Found) -> None:
    """Store the first error of a run, which the others follow from."""
    log.run.facts.setdefault(figures.ERROR, found)


def _options(log: Log, found: Found) -> None:
    """Take a line at the start of a run: options after results belong to another run."""
    del found
    log.begin()


def _typed(log: Log, found: Found) -> None:
    """Take the command as it was typed; one that printed nothing says nothing about the next."""
    log.begin()
    log.run.facts.clear()
    trtexec_batch.read_command(log.run.facts, found.text("command"))


def _batch(log: Log, found: Found) -> None:
    log.begin()
    if found.cut("batch"):
        return
    log.run.remember(figures.BATCH_LINE, found.line)
    if found.has("old"):
        blends.note(log.run, blends.UP_TO_5, found.line)
        log.run.same("batch", found.count("batch"), found.line)
    else:
        trtexec_batch.read_option(log.run, found.text("batch"), found.line)


def _iterations(log: Log, found: Found) -> None:
    if not found.cut():
        log.run.fact(figures.ITERATIONS, found.count())


def _say(log: Log, found: Found) -> None:
    """Store trtexec's own warnings."""
    said = log.run.facts.setdefault(figures.SAID, [])
    if not found.cut("text") and len(said) < _MOST_SAID:
        said.append(vendor.shown(found.text("text")))


def _binding(log: Log, found: Found) -> None:
    if not found.cut("shape"):
        log.run.remember(figures.SHAPE_LINE, found.line)
        trtexec_batch.read_shapes(log.run.facts, "binding", found.text("shape"))


def _inference_shape(log: Log, found: Found) -> None:
    if not found.cut("shape"):
        log.run.remember(figures.SHAPE_LINE, found.line)
        trtexec_batch.read_shapes(log.run.facts, "inference", found.text("shape"))


def _precision(log: Log, found: Found) -> None:
    """Take the number types to choose from: the smallest of them was requested."""
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
    """Take the averages of some runs: the GPU's time, and the host's if it is printed."""
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


def _summary(log: Log, found: Found) -> None:
    """Begin another run at a summary if this one has one: people quote the summaries of several
    runs.
    """
    del found
    if log.run.printed.keys() - _TRACE:
        log.begin()


def _throughput(log: Log, found: Found) -> None:
    printed, late = log.run.printed, found.text("name") == "Throughput"
    # From release 8 on it is a summary's first figure, and a quote may lack the heading.
    ended = late and {"Throughput", "latency_mean"} <= printed.keys()
    if ended and found.number("qps") != printed["Throughput"]:
        log.begin()
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


# Release 6 and later; before, only `[I] ` or nothing.
_PREFIX = r"\s*(?:\[\d\d/\d\d/\d{4}-\d\d:\d\d:\d\d\] )?(?:\[[IWEFV]\] *)?"


def _rule(
    needle: bytes, pattern: str, take: Callable[[Log, Found], None], *, open_end: bool = False
) -> Rule:
    return Rule(needle, re.compile(_PREFIX + pattern), take, open_end=open_end)


# Printed first by releases up to 5: options that name a model.
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
        # As typed, after a prompt: quotes of old releases have nothing else between runs.
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
        _rule(b"Precision: ", r"Precision: ([\w+]{1,40})$", _precision),
        *(_rule(word, rf"({word.decode()})$", _precision) for word in _OLD_TYPES),
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
    conclude=figures.conclude,
    live=figures.live,
)


def Parser(hints: ParseHints) -> LogParser:  # noqa: N802 (a class by contract)
    """Start on a new log."""
    return vendor.Parser(FORMAT, hints)
