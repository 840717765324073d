"""Reads logs of Caffe2's net benchmark (`BenchmarkNet`, convnet_benchmarks.py): iterations per
second.

C++ prints it once per call, through stdout or glog and with or without their prefixes, in wordings
that differ by one letter. It is iterations / total time after untimed warm-up runs, on one device.
images/s = iterations/s x batch, and the batch is never printed.
"""

from __future__ import annotations

import math
import re

from orchestrator.parsers import derived, glog, vendor
from orchestrator.parsers.contract import LogParser, ParseHints
from orchestrator.parsers.derived import MS
from orchestrator.parsers.vendor import NUMBER, Format, Found, Log, Rule, Run

program = "caffe2_net"

_AGREE = 0.001  # both are printed with six digits


def _network(log: Log, found: Found) -> None:
    if log.run.started and "model" in log.run.facts:
        log.begin()
    elif log.run.started and len(log.runs) > 1:
        return  # Python's lines came after C++'s, so it is unknown which network they name
    log.run.fact("model", found.text("model"))
    log.run.fact("phase", "training" if found.text("phase") == "-backward" else "inference")


def _start(log: Log, found: Found) -> None:
    del found
    log.begin()
    log.stage = "warmup"


def _result(log: Log, found: Found) -> None:
    log.run.take("ms", found.number("ms"), found.line)
    log.run.take("rate", found.number("rate"), found.line)
    log.stage = "done"


def _conclude(run: Run, hints: ParseHints) -> None:
    del hints
    run.fact("devices", 1)
    run.seconds("step_time_mean", "ms", scale=MS)
    rate, milliseconds = run.printed.get("rate"), run.printed.get("ms", 0.0)
    if rate is not None and not math.isclose(rate * milliseconds * MS, 1, rel_tol=_AGREE):
        run.fail(f"{milliseconds:.10g} ms per iteration are not {rate:.10g} iterations per second")
    elif run.batch is None:
        run.needs("--batch", "the batch")
    else:
        run.headline(
            rate,
            estimator="total",
            missing="Iters per second",
            factor=run.batch,
            scope="device",
            names=("rate",),
        )
        derived.rate(run, "throughput_recomputed", run.batch / MS * derived.inverse(milliseconds))


# Caffe2 without glog writes `[I net.cc:217] `.
# NUMBER refuses a dot after it, and this number ends a sentence.
_BEFORE_DOT = r"-?(?:\d+(?:\.\d+)?(?:[eE][-+]?\d{1,3})?|nan|inf)"
_PREFIX = glog.PREFIX + r"(?:\[[^\]]{1,60}\] *)?"

FORMAT = Format(
    program=program,
    rules=(
        Rule(
            b"Milliseconds per iter: ",
            re.compile(
                _PREFIX + rf"Main runs? finished\. Milliseconds per iter: (?P<ms>{_BEFORE_DOT})\. "
                rf"Iters per second: (?P<rate>{NUMBER})"
            ),
            _result,
        ),
        Rule(
            b": running forward",
            re.compile(
                r"\s*(?P<model>[\w.-]{1,80}): running forward(?P<phase>-backward| only| pass)?"
            ),
            _network,
        ),
        Rule(b"Starting benchmark", re.compile(_PREFIX + r"Starting benchmark"), _start),
    ),
    conclude=_conclude,
)


def Parser(hints: ParseHints) -> LogParser:  # noqa: N802 (a class by contract)
    """Start on a new log."""
    return vendor.Parser(FORMAT, hints)
