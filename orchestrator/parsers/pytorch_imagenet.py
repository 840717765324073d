"""PyTorch's examples/imagenet, and the references of torchvision."""

from __future__ import annotations

import re

from orchestrator.parsers import vendor
from orchestrator.parsers.contract import LogParser, ParseHints
from orchestrator.parsers.vendor import COUNT, NUMBER, Format, Found, Log, Rule, Run

program = "pytorch_imagenet"

_ROUNDING = 0.0005  # seconds, of the times printed
_LARGEST_ERROR = 0.02


def _epoch(log: Log, found: Found) -> None:
    """Take "Time now (mean since the epoch's start, warm-up included)"."""
    _time(log, found, (found.count("epoch"), found.count("step")))


def _test(log: Log, found: Found) -> None:
    if "time" not in log.run.printed or log.run.notes.get("test"):
        _time(log, found, (0, found.count("step")))
        log.run.notes["test"] = 1


def _time(log: Log, found: Found, key: tuple[int, int]) -> None:
    last, mean = found.value("time"), found.value("mean")
    run = log.run
    kind = run.windows.classify(key)
    if kind == "again":
        run.windows.repeated += 1
        run.ranks = max(run.ranks, 2)
        return
    # Steps per second: the batch is not printed.
    log.window(key, 1 / last if last else 0.0, found.line)
    _span(log, key, mean)
    # The mean of an epoch's first line is of its slow start alone.
    if "time" not in run.printed or log.state["lines"] > 1:
        log.run.replace("time", mean, found.line)


def _span(log: Log, key: tuple[int, int], mean: float) -> None:
    """Note steps and seconds from an epoch's second line, when it is warm, to its last."""
    epoch, step = key
    if log.state.get("epoch") != epoch:
        # Steps were counted from 0 until 2022, then from 1: print_freq is 10, mostly.
        log.state.update(epoch=epoch, start=None, lines=0, done=0 if step % 10 == 1 else 1)
    log.state["lines"] += 1
    steps = step + log.state["done"]
    time = mean * steps
    if log.state["lines"] == 2:
        log.state["start"] = (steps, time)
    elif log.state["start"] is not None:
        first, before = log.state["start"]
        error = _ROUNDING * (steps + first)
        log.run.span = (steps - first, time - before, error) if time > before else None


def _model(log: Log, found: Found) -> None:
    if not found.cut():
        log.run.fact("model", found.text())


def _rate(log: Log, found: Found) -> None:
    key = (found.count("epoch"), found.count("step"))
    log.window(key, found.number("rate"), found.line)
    log.run.notes["rates"] = 1


def _conclude(run: Run, hints: ParseHints) -> None:
    if run.notes.get("rates"):
        _conclude_rates(run, hints)
        return
    run.fact("phase", "inference" if run.notes.get("test") else "training")
    run.seconds("step_time_mean", "time")
    if run.batch is None:
        run.prove("time")
        run.needs("--batch", "the batch")
        return
    samples = run.batch * (run.devices or 1)
    if run.devices is None and run.ranks > 1:
        run.warn("several ranks print, the throughput is of one: give --devices")
    time = run.printed.get("time")
    value = None if time is None else samples / time if time else 0.0
    run.headline(
        value, estimator="running_mean", missing="line with Time", names=("time",), scope="rank"
    )
    if run.span is not None:
        steps, seconds, error = run.span
        if error <= _LARGEST_ERROR * seconds:
            run.rate("throughput_recomputed", samples * steps / seconds)
    run.warn("the mean time counts from the first step of the epoch: warm-up is in it")


def _conclude_rates(run: Run, hints: ParseHints) -> None:
    """Conclude torchvision's img/s: instantaneous, and of one rank."""
    devices = run.devices or 1
    if hints.devices is None:
        run.warn("img/s is of one rank: give --devices if there were several")
    run.recompute(first=1, why="the first line is warm-up", factor=devices)
    value = run.metrics.get("throughput_recomputed")
    run.prove_by_windows()
    run.headline(
        value.value if value else None,
        estimator="harmonic_mean",
        missing="window with a rate",
        names=(),
        scope="rank",
    )


_TIME = rf"Time +(?P<time>{NUMBER}) +\( *(?P<mean>{NUMBER})\)"

FORMAT = Format(
    program=program,
    rules=(
        Rule(
            b" model '",
            re.compile(r"=> (?:creating|using pre-trained) model '([\w.+-]{1,80})'"),
            _model,
        ),
        Rule(
            b"Epoch: [",
            re.compile(rf"Epoch: \[(?P<epoch>{COUNT})\]\[ *(?P<step>{COUNT})/\d+\]\s+{_TIME}"),
            _epoch,
        ),
        Rule(b"Test: [", re.compile(rf"Test: \[ *(?P<step>{COUNT})/\d+\]\s+{_TIME}"), _test),
        Rule(
            b"Epoch: [",
            re.compile(
                rf"Epoch: \[(?P<epoch>{COUNT})\]\s+\[ *(?P<step>{COUNT})/\d+\]\s.*?"
                rf"\simg/s: (?P<rate>{NUMBER})\s"
            ),
            _rate,
        ),
    ),
    conclude=_conclude,
    has_end=False,
)


def Parser(hints: ParseHints) -> LogParser:  # noqa: N802 (a factory in place of a class)
    """Start on a new log."""
    return vendor.Parser(FORMAT, hints)
