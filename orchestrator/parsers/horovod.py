"""Reads logs of Horovod's synthetic benchmarks (PyTorch, TensorFlow 1 and 2, MXNet)."""

from __future__ import annotations

import math
import re

from orchestrator import stats
from orchestrator.parsers import vendor
from orchestrator.parsers.contract import LogParser, ParseHints
from orchestrator.parsers.headers import MODEL_NAME
from orchestrator.parsers.numbers import ONE_DECIMAL
from orchestrator.parsers.vendor import COUNT, NUMBER, Format, Found, Log, Rule, Run
from orchestrator.units import SAMPLES_PER_SECOND

program = "horovod"

_AGREE = 0.02
_RANKS_AGREE = 0.01  # each has a separate clock


def _start(log: Log, found: Found) -> None:
    log.begin()
    if not found.cut():
        log.run.fact("model", found.text())


def _batch(log: Log, found: Found) -> None:
    log.run.fact("batch", found.count())


def _devices(log: Log, found: Found) -> None:
    log.run.fact("devices", found.count("devices"))
    log.run.fact("device", found.text("device").lower())


def _warm_up(log: Log, found: Found) -> None:
    del found
    log.begin()
    log.stage = "warmup"


def _window(log: Log, found: Found) -> None:
    log.window((found.count("iter"),), found.number("rate"), found.line)


def _per_device(log: Log, found: Found) -> None:
    log.run.take("per_device", found.number("rate"), found.line, tolerance=_RANKS_AGREE)


def _total(log: Log, found: Found) -> None:
    log.run.same("devices", found.count("devices"), found.line)
    log.run.fact("device", found.text("device").lower())
    log.run.take("total", found.number("rate"), found.line, tolerance=_RANKS_AGREE)
    log.stage = "done"


def _conclude(run: Run, hints: ParseHints) -> None:
    del hints
    if "total" in run.printed:
        first = _warm_up_windows(run)
        why = "the program leaves the first one out" if first else "warm-up is not printed"
        run.recompute(first=first, why=why, factor=run.facts.get("devices", 1))
    whole = run.printed.get("per_device", 0.0) * (run.devices or 0)
    total = run.printed.get("total", 0.0)
    if whole > 0 and total > 0 and abs(total / whole - 1) > _AGREE:
        run.warn(f"the total is not that of the devices, {whole:.6g} img/sec")
    run.headline(
        run.printed.get("total"),
        estimator="mean_of_rates",
        missing='line "Total img/sec"',
        names=("per_device", "total"),
    )


def _warm_up_windows(run: Run) -> int:
    """Return how many windows the printed mean leaves out: the Keras program leaves out one."""
    mean, windows = run.printed.get("per_device", math.nan), run.windows
    if windows.count < 2:
        return 0
    without, of_all = (abs(stats.mean(windows.used(first, 0)) - mean) for first in (1, 0))
    return int(without < of_all)


def _live(run: Run) -> tuple[float, str]:
    """Windows are of one device; the number of devices is printed at the start."""
    return (run.devices, SAMPLES_PER_SECOND) if run.devices else (1.0, "samples/s per device")


_DEVICE = r"(?P<device>GPU|CPU)"

FORMAT = Format(
    program=program,
    rules=(
        Rule(
            b"mg/sec",
            re.compile(rf"Iter #(?P<iter>{COUNT}): (?P<rate>{NUMBER}) img/sec per {_DEVICE}"),
            _window,
        ),
        Rule(
            b"mg/sec",
            re.compile(rf"Img/sec per {_DEVICE}: (?P<rate>{NUMBER}) \+-{ONE_DECIMAL}"),
            _per_device,
        ),
        Rule(
            b"mg/sec",
            re.compile(
                rf"Total img/sec on (?P<devices>{COUNT}) {_DEVICE}\(s\): (?P<rate>{NUMBER}) "
                rf"\+-{ONE_DECIMAL}"
            ),
            _total,
        ),
        Rule(b"Batch size:", re.compile(rf"Batch size: +({COUNT})\s"), _batch),
        Rule(b"Batch size:", re.compile(rf"Batch size: +({COUNT})$"), _batch),
        Rule(b"Number of ", re.compile(rf"Number of {_DEVICE}s: +(?P<devices>{COUNT})$"), _devices),
        Rule(b"Running ", re.compile(r"Running (?:warmup|benchmark)"), _warm_up),
        Rule(b"Model: ", MODEL_NAME, _start),
    ),
    conclude=_conclude,
    marks=(b"img/sec on ", b"PU(s): "),
    live=_live,
)


def Parser(hints: ParseHints) -> LogParser:  # noqa: N802 (a factory in place of a class)
    """Start on a new log."""
    return vendor.Parser(FORMAT, hints)
