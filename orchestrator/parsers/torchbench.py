"""Reads logs of TorchBench's run.py (pytorch/benchmark): median times of a step, no rate."""

from __future__ import annotations

import re

from orchestrator.parsers import vendor
from orchestrator.parsers.contract import LogParser, ParseHints
from orchestrator.parsers.vendor import COUNT, NUMBER, Format, Found, Log, Rule, Run

program = "torchbench"

_SCALES = {"milliseconds": 1e-3, "microseconds": 1e-6, "seconds": 1.0}


def _running(log: Log, found: Found) -> None:
    log.begin()
    run = log.run
    run.fact("phase", "training" if found.text("test") == "train" else "inference")
    run.fact("model", found.text("model"))
    run.fact("device", found.text("device"))
    if found.has("batch"):
        run.fact("batch", found.count("batch"))
        run.remember("batch", found.line)
    log.stage = "timing"


def _time(name: str, log: Log, found: Found) -> None:
    value = found.number("value")
    scaled = None if value is None else value * _SCALES[found.text("unit")]
    log.run.take(name, scaled, found.line)


def _gpu(log: Log, found: Found) -> None:
    _time("gpu", log, found)


def _cpu(log: Log, found: Found) -> None:
    """Take the time per batch; without these words it is the time of all batches of a step."""
    _time("cpu" if found.has("per") else "cpu_total", log, found)
    log.stage = "done"


def _dispatch(log: Log, found: Found) -> None:
    _time("dispatch", log, found)


def _conclude(run: Run, hints: ParseHints) -> None:
    del hints
    run.seconds("gpu_time", "gpu")
    cpu = "cpu" if "cpu" in run.printed else "cpu_total"
    run.seconds("cpu_wall_time", cpu)
    run.seconds("cpu_dispatch_time", "dispatch")
    # The wall clock shows the time of a step as a user sees it; both are medians.
    name = "gpu" if "gpu" in run.printed else cpu
    run.seconds("step_time_median", name)
    if name != "gpu" and run.facts.get("device") == "cuda":
        run.warn(
            "the log has no GPU Time, because its line is broken or lost: the wall time is used"
        )
    time = run.printed.get(name)
    if time is not None and run.batch is None:
        run.prove(name)
        run.needs("--batch", "the batch")
        return
    value = (run.batch or 0) / time if time else time
    run.headline(
        value,
        estimator="median",
        missing="time per batch",
        scope="device",
        names=("batch", name),
        factor=run.devices or 1,
    )


_VALUE = rf": +(?P<value>{NUMBER}) (?P<unit>{'|'.join(_SCALES)})"

FORMAT = Format(
    program=program,
    rules=(
        Rule(
            b" method from ",
            re.compile(
                r"Running (?P<test>\w{1,20}) method from (?P<model>[\w.+-]{1,80}) on "
                rf"(?P<device>\w{{1,20}}) in .{{1,60}}? mode"
                rf"(?: with input batch size (?P<batch>{COUNT})(?:\.$| ))?"
            ),
            _running,
        ),
        Rule(b" Time", re.compile(rf"GPU Time(?: per batch)?{_VALUE}"), _gpu),
        Rule(b" Time", re.compile(rf"CPU(?: Total)? Dispatch Time{_VALUE}"), _dispatch),
        Rule(
            b" Time",
            re.compile(rf"CPU(?: Total)? Wall Time(?P<per> per batch)?{_VALUE}"),
            _cpu,
        ),
    ),
    conclude=_conclude,
)


def Parser(hints: ParseHints) -> LogParser:  # noqa: N802 (a factory in place of a class)
    """Start on a new log."""
    return vendor.Parser(FORMAT, hints)
