"""Reads logs of OpenVINO's benchmark_app: total samples / total time, latencies per request;
inference.

FPS counts samples: iterations x batch / duration (`total`), but of old releases run synchronously
batch / median latency (`median`). Requests overlap, so FPS is not 1 / latency. Up to 2021 one
latency is printed, the median; later a block of four. Warm-up is not in the figures.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from orchestrator.parsers import derived, vendor
from orchestrator.parsers.contract import LogParser, ParseHints
from orchestrator.parsers.derived import MS
from orchestrator.parsers.vendor import COUNT, NUMBER, Format, Found, Log, Rule, Run

program = "openvino_benchmark_app"

_AGREE = 0.02
_NAMES = {"avg": "mean", "average": "mean", "latency": "median"}


def _step(log: Log, found: Found) -> None:
    step = found.count("step")
    if step <= log.run.facts.get("step", 1):
        log.begin()
    log.run.facts["step"] = step
    log.stage = "timing" if step >= 10 else "starting"
    if found.has("api"):
        log.run.fact("api", "sync" if found.text("api") == "synchronously" else "async")
    if found.has("requests"):
        log.run.fact("requests", found.count("requests"))


def _batch(log: Log, found: Found) -> None:
    if not found.cut() and found.count() > 0:
        log.run.facts["batch"] = found.count()


def _precision(log: Log, found: Found) -> None:
    if not found.cut():
        log.run.facts["dtype"] = found.text()


def _figure(log: Log, found: Found) -> None:
    name = found.text("name")
    log.run.take(name, found.number("value"), found.line)
    if name == "Throughput":
        log.stage = "done"


def _groups(log: Log, found: Found) -> None:
    # Latencies of single input shapes follow, in the same words.
    del found
    log.state["groups"] = True


def _latency(log: Log, found: Found) -> None:
    if "groups" in log.state:
        return
    name, percent = found.text("name").lower(), found.text("percent") or found.text("plain")
    name = f"p{percent}" if percent else _NAMES.get(name, name)
    log.run.take(f"latency_{name}", found.number("ms"), found.line)


def _first(log: Log, found: Found) -> None:
    log.run.take("first inference", found.number("ms"), found.line)


def _conclude(run: Run, hints: ParseHints) -> None:
    del hints
    run.fact("phase", "inference")
    run.fact("devices", 1)
    step = run.facts.pop("step", None)
    for figure in ("mean", "median", "min", "max", "p90", "p95", "p99"):
        run.seconds(f"latency_{figure}", f"latency_{figure}", scale=MS)
    run.seconds("first_inference", "first inference", scale=MS)
    run.seconds("duration", "Duration", scale=MS)
    if "Count" in run.printed:
        run.facts["iterations"] = int(run.printed["Count"])
    iterations = run.printed.get("Count", 0.0) * derived.inverse(
        run.printed.get("Duration", 0) * MS
    )
    if "Throughput" in run.printed:
        _printed(run, iterations)
    elif step is not None:
        run.fail("the log has no Throughput: benchmark_app did not finish")
    else:
        _quoted(run, iterations)


def _printed(run: Run, iterations: float) -> None:
    printed = run.printed["Throughput"]
    median = run.printed.get("latency_median", 0.0) * MS
    # The program's batch: a hint cannot change what FPS counts.
    implied = printed * derived.inverse(iterations)
    batch = run.facts.get("batch") or (round(implied) if 1 <= implied < 1e6 else 1)
    by_median = batch * derived.inverse(median)
    of_median = run.facts.get("api") == "sync" and _near(printed, by_median, 0.001)
    run.headline(
        printed,
        estimator="median" if of_median else "total",
        missing="Throughput",
        names=("Throughput",),
    )
    if run.printed.get("Count") == 0:
        run.fail("the log says 0 iterations, and a throughput: it contradicts itself")
    if run.throughput is None or not iterations:
        return
    derived.rate(run, "throughput_recomputed", iterations * batch)
    if not _near(printed, iterations * batch, _AGREE):
        run.warn(
            f"iterations / duration give {iterations * batch:.6g} samples/s at batch {batch}, "
            f"the program says {printed:.6g}"
        )


def _quoted(run: Run, iterations: float) -> None:
    """Compute what a quote leaves out."""
    if run.batch is None:
        run.warn("neither Throughput nor batch is in the log: batch 1 is assumed (--batch)")
        run.fact("batch", 1)
    run.headline(
        iterations or None,
        estimator="total",
        missing="Throughput",
        factor=run.batch or 1,
        names=("Count", "Duration"),
    )


def _near(one: float, other: float, tolerance: float) -> bool:
    return abs(one - other) <= tolerance * other


_PREFIX = r"\s*(?:\[ INFO \]\s*)?"


def _rule(needle: bytes, pattern: str, take: Callable[[Log, Found], None]) -> Rule:
    return Rule(needle, re.compile(_PREFIX + pattern), take)


FORMAT = Format(
    program=program,
    rules=(
        Rule(
            b"[Step ",
            re.compile(
                rf"\s*\[Step (?P<step>{COUNT})/{COUNT}\](?:.*\(Start inference "
                rf"(?P<api>a?synch?ronously)(?:, (?P<requests>{COUNT}) inference req)?)?"
            ),
            _step,
        ),
        _rule(b"batch size", rf"(?:Network|Model) batch size:? ({COUNT})$", _batch),
        _rule(
            b"INFERENCE_PRECISION_HINT",
            r"INFERENCE_PRECISION_HINT ?[:,] *(?:<Type: ')?(\w{1,20})(?:'>)?$",
            _precision,
        ),
        _rule(b"Count:", rf"(?P<name>Count):\s+(?P<value>{COUNT}) iterations", _figure),
        _rule(b"Duration:", rf"(?P<name>Duration):\s+(?P<value>{NUMBER}) ms", _figure),
        _rule(b"Throughput:", rf"(?P<name>Throughput):\s+(?P<value>{NUMBER}) FPS", _figure),
        _rule(b"Latency for each data", "Latency for each data", _groups),
        _rule(
            b" ms",
            r"(?:(?P<name>Latency|Median|AVG|Average|MIN|Min|MAX|Max)"
            r"(?: \((?P<percent>\d{1,2}) percentile\))?|(?P<plain>\d{1,2}) percentile):"
            rf"\s+(?P<ms>{NUMBER}) ms",
            _latency,
        ),
        _rule(b"First inference took ", rf"First inference took (?P<ms>{NUMBER}) ms", _first),
    ),
    conclude=_conclude,
)


def Parser(hints: ParseHints) -> LogParser:  # noqa: N802 (a class by contract)
    """Start on a new log."""
    return vendor.Parser(FORMAT, hints)
