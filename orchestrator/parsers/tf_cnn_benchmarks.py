"""Reads logs of TensorFlow's tf_cnn_benchmarks, and of its copies by Lambda and DLBS."""

from __future__ import annotations

import math
import re

from orchestrator.parsers import vendor
from orchestrator.parsers.contract import LogParser, ParseHints
from orchestrator.parsers.headers import HEADERS, HOROVOD
from orchestrator.parsers.numbers import TWO_DECIMALS
from orchestrator.parsers.vendor import COUNT, NUMBER, Format, Found, Log, Rule, Run, Scope
from orchestrator.units import SAMPLES_PER_SECOND

program = "tf_cnn_benchmarks"

_RANKS_AGREE = 0.01
_WORKERS_AGREE = 0.1
_NOT_COMPILED = "not_compiled"


def _warm_up(log: Log, found: Found) -> None:
    del found
    log.begin()
    log.stage = "warmup"


def _step(log: Log, found: Found) -> None:
    """Take a running mean since warm-up and derive the rate of the steps since the line before."""
    step, mean = found.count("step"), found.number("rate")
    if step and mean is not None:
        log.running((step,), step, mean, found.line)


def _examples(log: Log, found: Found) -> None:
    log.run.fact("mode", "evaluation")
    log.window((found.count("step"),), found.number("rate"), found.line)


def _total(log: Log, found: Found) -> None:
    log.run.take("total", found.number(), found.line, tolerance=_RANKS_AGREE)
    log.stage = "done"


def _not_compiled(log: Log, found: Found) -> None:
    """Note that XLA's clustering skipped the CPU; with a GPU it says so too, although all is well.

    Without TF_XLA_FLAGS=--tf_xla_cpu_global_jit.
    """
    log.run.remember(_NOT_COMPILED, found.line)
    log.run.notes[_NOT_COMPILED] = 1


def _check_xla(run: Run, hints: ParseHints) -> None:
    """Refuse a run on the CPU that should have been compiled but was not."""
    device = hints.device or run.facts.get("device")
    if not run.notes.get(_NOT_COMPILED) or device != "cpu":
        return
    said = "the log says that XLA compiled nothing on the CPU"
    if not hints.xla:
        run.warn(said)
        return
    run.prove(_NOT_COMPILED)
    run.fail(
        f"{said}, but --option xla=on was requested: set TF_XLA_FLAGS=--tf_xla_cpu_global_jit",
        kind="contradiction",
    )


def _conclude(run: Run, hints: ParseHints) -> None:
    _check_xla(run, hints)
    total = run.printed.get("total")
    workers = 1
    scope: Scope = "all_devices"
    if total is not None and run.windows.count:
        # With Horovod or parameter servers a step line is of one worker, the total of all.
        step = run.windows.harmonic(0, 0)
        ratio = total / step if step and math.isfinite(total) else 0.0
        if ratio >= 2 - _WORKERS_AGREE and abs(ratio - round(ratio)) < _WORKERS_AGREE * ratio:
            workers = round(ratio)
            run.fact("workers", workers)
        elif run.ranks > 1:
            scope = "rank"
            run.warn("the total may be of one rank only: it is not a multiple of the steps' rate")
    run.recompute(first=0, why="warm-up is not printed", factor=workers)
    run.headline(total, estimator="total", missing='line "total images/sec"', scope=scope)


def _live(run: Run) -> tuple[float, str]:
    """With Horovod a step line is of one worker, which has one device."""
    return (run.devices or 1) if run.notes.get(HOROVOD) else 1, SAMPLES_PER_SECOND


# The program's names of networks in its header, if they are not the names it accepts.
_SYNONYMS = {
    "lenet5": "lenet",
    **{f"official_resnet_{n}_v1": f"official_resnet{n}" for n in (18, 34, 50, 101, 152, 200)},
}

FORMAT = Format(
    program=program,
    synonyms=_SYNONYMS,
    rules=(
        Rule(
            b"s/sec",
            re.compile(
                rf"(?P<step>{COUNT})\s+images/sec: (?P<rate>{NUMBER}) \+/- {NUMBER} "
                rf"\(jitter = {NUMBER}\)"
            ),
            _step,
        ),
        Rule(b"s/sec", re.compile(rf"total images/sec: ({TWO_DECIMALS})$"), _total),
        Rule(
            b"s/sec",
            re.compile(rf"(?P<step>{COUNT})\s+(?P<rate>{NUMBER}) examples/sec"),
            _examples,
        ),
        Rule(
            b"Not using XLA:CPU",
            re.compile(
                r"\S+ \S+ [IW] \S+\] (?:\(One-time warning\): )?Not using XLA:CPU for cluster"
            ),
            _not_compiled,
        ),
        Rule(b"Running warm up", re.compile(r"Running warm up$"), _warm_up),
        *HEADERS,
    ),
    conclude=_conclude,
    live=_live,
    marks=(b"images/sec: ", b"examples/sec"),
)


def Parser(hints: ParseHints) -> LogParser:  # noqa: N802 (a factory in place of a class)
    """Start on a new log."""
    return vendor.Parser(FORMAT, hints)
