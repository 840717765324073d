"""Reads logs of ONNX Runtime's onnxruntime_perf_test: inferences over the time of the run;
inference.

| release | lines |
|---|---|
| 2019 | `Total time cost:2.4`, `Total iterations:200`, `Average time cost:12 ms` |
| later | `Total inference run time: 2.4 s`, `Number of inferences per second: 83.3`, latencies |

An inference is one run of the network on a whole batch, which is not printed: --batch is needed,
and the rate is multiplied by it. The sum of the inferences' times (`Total inference time cost`)
counts each of those that overlap (`-c`), the run time does not. One inference before the clock
starts is the warm-up.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from orchestrator.parsers import derived, vendor
from orchestrator.parsers.contract import LogParser, ParseHints
from orchestrator.parsers.derived import MS
from orchestrator.parsers.vendor import COUNT, NUMBER, Format, Found, Log, Rule, Run
from orchestrator.units import SECONDS

program = "onnxruntime_perf_test"

_AGREE = 0.02
_INFERENCES = "inferences/s"
# Metric in seconds -> what was taken for it.
_LATENCIES = {
    **{f"latency_{name}": f"{name} latency" for name in ("min", "max")},
    **{f"latency_p{n}": f"p{n} latency" for n in (50, 90, 95, 99, 999)},
}


def _session(log: Log, found: Found) -> None:
    log.begin()
    log.stage = "timing"
    log.run.take("session", found.number("value"), found.line)


def _figure(log: Log, found: Found) -> None:
    """Take a total, a count or a rate by its name, in seconds if it is a time."""
    name = found.text("name").lower()
    if name in log.run.printed and name in ("total time cost", "total inference time cost"):
        log.begin()  # in a quote without the line of the session
    value = found.number("value")
    if value is not None and found.text("unit") == "ms":
        value *= MS
    log.run.take(name.removesuffix(" total"), value, found.line)
    if name.startswith(("number", "average time")):
        log.stage = "done"


def _threads(log: Log, found: Found) -> None:
    log.run.fact("threads", found.count())


def _failed(log: Log, found: Found) -> None:
    log.run.fail(f"the program says: {vendor.shown(found.line.text)}", found.line)


def _conclude(run: Run, hints: ParseHints) -> None:
    del hints
    run.fact("phase", "inference")
    run.fact("devices", 1)
    printed = run.printed
    run.seconds("first_inference", "first inference time cost")
    run.seconds("session_creation", "session")
    for metric, name in _LATENCIES.items():
        run.seconds(metric, name)
    old = "average time cost" in printed
    run.seconds("latency_mean", "average time cost" if old else "average inference time cost")
    count = printed.get("total iterations" if old else "total inference requests", 0.0)
    if count:
        run.facts["iterations"] = int(count)
    if old:
        rate = derived.inverse(printed["average time cost"])
        names = ("average time cost",)
        run.warn("the rate is computed from the mean latency: with -c it counts overlapping twice")
    elif "number of inferences per second" in printed:
        rate, names = printed["number of inferences per second"], _RATE
    else:
        run.fail("the log has no number of inferences per second: the run did not finish")
        return
    _headline(run, rate, names)
    _check(run, rate, count)


def _headline(run: Run, rate: float, names: tuple[str, ...]) -> None:
    derived.per_second(run, "inferences", rate, _INFERENCES)
    if run.batch is None:
        run.prove(*names)
        run.needs("--batch", "the batch")
        return
    run.headline(
        rate,
        estimator="mean_time" if names != _RATE else "total",
        missing="number of inferences per second",
        factor=run.batch,
        names=names,
    )


def _check(run: Run, rate: float, count: float) -> None:
    """Compute the rate again from the count and the time, if both are printed."""
    whole = run.printed.get("total inference run time", run.printed.get("total time cost", 0.0))
    again = count * derived.inverse(whole)
    if not again or run.throughput is None:
        return
    derived.rate(run, "throughput_recomputed", again * (run.batch or 1))
    if abs(again - rate) > _AGREE * rate:
        run.fail(
            f"the log says {rate:.6g} inferences per second, and {count:.10g} in {whole:.6g} "
            f"{SECONDS}: it contradicts itself"
        )


_RATE = ("number of inferences per second",)


def _rule(needle: bytes, pattern: str, take: Callable[[Log, Found], None]) -> Rule:
    return Rule(needle, re.compile(pattern), take)


_VALUE = rf": ?(?P<value>{NUMBER})"

FORMAT = Format(
    program=program,
    rules=(
        _rule(b"Session creation time cost: ", rf"Session creation time cost{_VALUE} s$", _session),
        _rule(
            b" time cost",
            r"(?P<name>(?:First|Total) inference time cost|Average inference time cost(?: total)?"
            rf"|Total time cost|Average time cost){_VALUE}(?: (?P<unit>ms|s))?$",
            _figure,
        ),
        _rule(
            b"Total i",
            r"(?P<name>Total (?:inference requests|iterations)): ?"
            rf"(?P<value>{COUNT})(?P<unit>(?!))?$",
            _figure,
        ),
        _rule(
            b"Total inference run time",
            rf"(?P<name>Total inference run time){_VALUE} (?P<unit>s)$",
            _figure,
        ),
        _rule(
            b"Number of inferences per second",
            rf"(?P<name>Number of inferences per second){_VALUE}(?P<unit>(?!))?",
            _figure,
        ),
        _rule(
            b" Latency",
            rf"(?P<name>(?:Min|Max|P\d{{2,3}}) Latency): (?P<value>{NUMBER}) (?P<unit>s)$",
            _figure,
        ),
        _rule(b"intra_op_num_threads to", rf"Setting intra_op_num_threads to ({COUNT})$", _threads),
        _rule(b"Run failed:", "Run failed:", _failed),
    ),
    conclude=_conclude,
    marks=(b"Number of inferences", b"Total inference", b"Average inference"),
)


def Parser(hints: ParseHints) -> LogParser:  # noqa: N802 (a factory in place of a class)
    """Start on a new log."""
    return vendor.Parser(FORMAT, hints)
