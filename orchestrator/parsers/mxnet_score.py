"""Reads logs of MXNet's benchmark_score.py: one rate per network, device and batch size; inference.

A rate belongs to the network and device named above it, and is of that one device: batches x batch
size / total time, after untimed warm-up batches. A log usually contains many, each a separate run;
with --batch only those of that batch size are read. With a GPU it times the CPU too, and each
number type: hints of the device and of the type select one.

The type that it prints is the one that it requested from the network. In MXNet 1.3 to 1.9, all that
have the script and print a type, some networks' definitions have no such argument and stay in
float32.
"""

from __future__ import annotations

import re

from orchestrator.parsers import derived, vendor
from orchestrator.parsers.contract import LogParser, ParseHints
from orchestrator.parsers.numbers import SIX_DECIMALS
from orchestrator.parsers.vendor import COUNT, Format, Found, Log, Rule, Run

program = "mxnet_score"

# A fact that is only kept until the run's end: what an unwanted rate is of.
_OTHER = "other"
_HEADERS = ("network", "device")
# It leaves alexnet and inception-bn out of float16, and says so.
ALWAYS_FLOAT32 = ("inception-resnet-v2", "mobilenet", "densenet121", "squeezenet1.1")


def _header(log: Log, found: Found) -> None:
    log.state[found.text("key")] = found.text("value")


def _score(log: Log, found: Found) -> None:
    batch = found.count("batch")
    above = {key: log.state[key] for key in _HEADERS if key in log.state}
    if not _wanted(log, found, batch, above.get("device", "")):
        words = (f"batch {batch}", found.text("dtype"), above.get("device", ""))
        log.run.facts.setdefault(_OTHER, ", ".join(filter(None, words)))
        return
    named = {
        "model": above.get("network"),
        "device": above.get("device"),
        "batch": batch,
        "dtype": found.text("dtype") or None,
    }
    facts = {key: value for key, value in named.items() if value is not None}
    # The same again is another rank's line, or a contradiction: `take` finds out.
    if log.run.started and facts != {key: log.run.facts.get(key) for key in facts}:
        log.begin()
        log.state.update(above)
    log.run.facts.update(facts)
    log.run.take("rate", found.number("rate"), found.line)
    log.stage = "timing"


def _wanted(log: Log, found: Found, batch: int, device: str) -> bool:
    """Whether a line is of the wanted batch, device and number type."""
    hints, dtype = log.hints, found.text("dtype")
    # For MXNet TF32 is float32.
    asked = "float32" if hints.dtype == "tf32" else hints.dtype
    return (
        hints.batch in (None, batch)
        and (not dtype or asked in (None, dtype))
        and (not device or hints.device in (None, device.partition("(")[0]))
    )


def _conclude(run: Run, hints: ParseHints) -> None:
    del hints
    other = run.facts.pop(_OTHER, None)
    if other and "rate" not in run.printed:
        run.fail(
            f"the log has no rate of what was requested, only of {other}", kind="contradiction"
        )
    run.fact("phase", "inference")
    run.fact("devices", 1)
    _correct_dtype(run)
    run.headline(
        run.printed.get("rate"),
        estimator="total",
        missing="images/sec",
        scope="device",
        names=("rate",),
    )
    derived.seconds(run, "step_time_mean", (run.batch or 0) * derived.inverse(run.throughput or 0))


def _correct_dtype(run: Run) -> None:
    """Report what was computed, if the program prints what it was told."""
    model, printed = run.facts.get("model"), run.facts.get("dtype")
    if model in ALWAYS_FLOAT32 and printed not in (None, "float32"):
        run.facts["dtype"] = "float32"
        run.warn(
            f"the log says {printed}, but MXNet's definition of {model} ignores it: "
            "this is a rate in float32"
        )


_LOGGER = r"\s*(?:INFO:\w+:)?"

FORMAT = Format(
    program=program,
    rules=(
        Rule(
            b"batch size ",
            re.compile(
                _LOGGER + rf"batch size +(?P<batch>{COUNT}), (?:dtype (?P<dtype>\w+), )?"
                rf"images?/sec: (?P<rate>{SIX_DECIMALS})"
            ),
            _score,
        ),
        Rule(b"network: ", re.compile(_LOGGER + r"(?P<key>network): (?P<value>\S+)"), _header),
        Rule(b"device: ", re.compile(_LOGGER + r"(?P<key>device): (?P<value>\S+)"), _header),
    ),
    conclude=_conclude,
)


def Parser(hints: ParseHints) -> LogParser:  # noqa: N802 (a class by contract)
    """Start on a new log."""
    return vendor.Parser(FORMAT, hints)
