"""Reads logs of benchmark.py, train.py and validate.py of timm (pytorch-image-models).

train.py and validate.py print the rate of single steps and the mean since the epoch's start, both
of all ranks. That mean includes the first step, which compiles: the headline is of the steps after
it if the log shows both. The rate of an epoch's last step, and the mean beside it, are for its
batch, which may be incomplete: then the mean time counts.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from orchestrator.parsers import derived, doubts, vendor
from orchestrator.parsers.contract import LogParser, ParseHints
from orchestrator.parsers.estimators import is_plausible
from orchestrator.parsers.running_means import Mean
from orchestrator.parsers.vendor import COUNT, NUMBER, Format, Found, Log, Rule, Run
from orchestrator.result import FailureKind

program = "timm"

_PHASES = {"infer": "inference", "train": "training"}
_ROUNDING = 0.005  # samples/s
_LARGEST_ERROR = 0.02
_WHOLE = 0.9  # of a batch; above this it counts as a full one, because times are printed rounded
# Facts that are only kept until the run's end.
_STEPS, _LAST = "epoch_steps", "last_step"
_OUT_OF_MEMORY = re.compile(r"out of memory|OutOfMemory", re.IGNORECASE)


def _model(log: Log, found: Found) -> None:
    """Start on the next model of the result that benchmark.py prints as indented JSON."""
    log.begin()
    log.run.fact("model", found.text())


def _error(log: Log, found: Found) -> None:
    _refuse(log.run, found, found.text())


def _refuse(run: Run, found: Found, text: str) -> None:
    kind: FailureKind = "out_of_memory" if _OUT_OF_MEMORY.search(text) else "no_result"
    run.fail(f"the program says: {vendor.shown(text)}", found.line, kind=kind)


def _key(log: Log, found: Found) -> None:
    value = found.number("value")
    if value is not None:
        _take(log, found, found.text("phase"), found.text("name"), value)


def _take(log: Log, found: Found, phase: str, name: str, value: float) -> None:
    """Store one of the figures; inference and training of a model are two runs."""
    run = log.run
    if run.facts.setdefault("phase", _PHASES[phase]) != _PHASES[phase]:
        model = run.facts.get("model")
        log.begin()
        run = log.run
        run.fact("phase", _PHASES[phase])
        if model:
            run.fact("model", model)
    if name == "batch_size":
        if 1 <= value < 1e9:
            run.fact("batch", int(value))
    else:
        run.take(name, value, found.line)
        log.stage = "done"


def _line(log: Log, found: Found) -> None:
    """Take a result on one line: an object, or a list of them."""
    try:
        result = json.loads(found.line.text)
    except (ValueError, RecursionError):
        return
    for model in result if isinstance(result, list) else [result]:
        if isinstance(model, dict):
            log.begin()
            _whole(log, found, model)


def _whole(log: Log, found: Found, model: Mapping[str, Any]) -> None:
    if isinstance(model.get("model"), str):
        log.run.fact("model", vendor.shown(model["model"])[:80])
    if isinstance(model.get("error"), str):
        _refuse(log.run, found, model["error"])
    for phase in _PHASES:
        for name in ("samples_per_sec", "step_time", "batch_size"):
            value = model.get(f"{phase}_{name}")
            if isinstance(value, float | int) and not isinstance(value, bool):
                _take(log, found, phase, name, float(min(value, 1e300)))


def _precision(log: Log, found: Found) -> None:
    """Take the line that is printed once, before all models."""
    log.begin()
    log.state["dtype"] = found.text()
    log.run.fact("dtype", found.text())


def _created(log: Log, found: Found) -> None:
    if not log.run.started:
        log.run.fact("model", found.text())


def _bench(log: Log, found: Found) -> None:
    del found
    log.stage = "timing"


def _train(log: Log, found: Found) -> None:
    """Take a line of train.py: the current rate of all ranks, and the mean of the epoch so far."""
    _mean(log, found, (found.count("epoch"), found.count("step")), found.number("rate"))


def _validate(log: Log, found: Found) -> None:
    log.run.fact("phase", "inference")
    _mean(log, found, (0, found.count("step")), None)


def _mean(log: Log, found: Found, key: tuple[int, int], rate: float | None) -> None:
    mean, time = found.value("mean"), found.value("mean_time")
    added = log.window(key, mean if rate is None else rate, found.line)
    log.last_of(_STEPS, found.count("steps"), added, found.line)
    if added == "again":
        return
    run, (epoch, step) = log.run, key
    run.facts[_LAST] = step
    if not is_plausible(mean):
        run.fail(f"a mean of {mean:.10g} samples/s is not plausible", found.line)
        return
    samples = log.state.setdefault("samples", mean * time)
    steps: float = step + 1
    if step + 1 == found.count("steps") and 0 < mean * time < _WHOLE * samples:
        # The mean rate is of the last batch: the mean time gives that of all.
        steps = step + mean * time / samples
        mean = samples * steps / (time * (step + 1))
    pace = derived.inverse(mean)
    run.means.add(epoch, Mean(steps, pace, _ROUNDING * pace * pace, found.line))
    starts = log.state.get("epoch") != epoch
    log.state["epoch"] = epoch
    # The mean in an epoch's first line is only of its slow start.
    if not (starts and "running" in run.printed):
        run.replace("running", mean, found.line)
        run.replace("running_time", time, found.line)
        run.replace("data", found.value("mean_data") if found.has("mean_data") else 0.0, found.line)


def _conclude(run: Run, hints: ParseHints) -> None:
    del hints
    run.seconds("step_time_mean", "step_time", scale=1e-3)
    if "samples_per_sec" in run.printed or "running" not in run.printed:
        run.headline(
            run.printed.get("samples_per_sec"),
            estimator="total",
            missing="--result with samples_per_sec",
            names=("samples_per_sec", "step_time"),
            scope="device",
            factor=run.devices or 1,
        )
        return
    run.fact("phase", "training")
    steps, last = run.facts.pop(_STEPS), run.facts.pop(_LAST)
    if last + 1 < steps:  # the last one is always printed
        doubts.end(run, f"the log ends at step {last} of {steps} of an epoch")
    run.seconds("step_time_mean", "running_time")
    doubts.data(run, run.printed["data"], run.printed["running_time"])
    _headline_of_means(run)


def _headline_of_means(run: Run) -> None:
    """Set the headline: the rate of the steps after the first, or else of all since the start."""
    mean, steady = run.printed["running"], run.means.steady(from_first=True)
    if steady is None or not steady.is_exact(_LARGEST_ERROR) or not steady.covers:
        run.warn("the mean counts from the first step of the epoch: warm-up is in it")
        run.headline(mean, estimator="running_mean", missing="rate", names=("running",))
        return
    rate = steady.steps / steady.time
    derived.rate(run, "throughput_recomputed", rate)
    derived.rate(run, "throughput_running_mean", mean)
    run.warn(
        f"the program's mean, {mean:.6g} samples/s, includes the warm-up, which is left out here"
    )
    run.prove_by(*steady.lines)
    run.headline(rate, estimator="total", missing="rate", names=())


_PAIR = b'": '  # every line of the JSON has a key
_LOGGING = r"(?:\S+ \S+ - \S+ - )?"
_MEAN = rf"\( *(?P<mean_time>{NUMBER})s, +(?P<mean>{NUMBER})/s\)"
_KEY = r"\s*\"(?P<phase>infer|train)_"
_FIGURES = "samples_per_sec|step_time"

FORMAT = Format(
    program=program,
    rules=(
        Rule(_PAIR, re.compile(r"\s*[\[{].*[\]}]$"), _line),
        Rule(_PAIR, re.compile(r"\s*\"model\": \"([\w./:+-]{1,80})\",?$"), _model),
        Rule(_PAIR, re.compile(r"\s*\"error\": \"(.*)\",?$"), _error),
        # A rate or a time is never the last of its object: without the comma the line is cut off.
        Rule(_PAIR, re.compile(rf"{_KEY}(?P<name>{_FIGURES})\": (?P<value>{NUMBER}),$"), _key),
        Rule(
            _PAIR,
            re.compile(rf"{_KEY}(?P<name>batch_size)\": (?P<value>{NUMBER}),?$"),
            _key,
            open_end=True,
        ),
        Rule(
            b" precision. ",
            re.compile(r"Benchmarking in (\w{1,20}) precision\. "),
            _precision,
        ),
        Rule(b" created, ", re.compile(r"Model ([\w./:+-]{1,80}) created, "), _created),
        Rule(
            b" samples/sec. ",
            re.compile(rf"(?:Infer|Train) \[{COUNT}/{COUNT}\]\. {NUMBER} samples/sec\. "),
            _bench,
        ),
        Rule(
            b"Train: ",
            re.compile(
                rf"{_LOGGING}Train: (?P<epoch>{COUNT}) "
                rf"\[ *(?P<step>{COUNT})/ *(?P<steps>{COUNT}) .*?"
                rf"Time: +(?P<time>{NUMBER})s, +(?P<rate>{NUMBER})/s +{_MEAN}"
                rf"(?:.*?\sData: +{NUMBER} +\( *(?P<mean_data>{NUMBER})\))?"
            ),
            _train,
        ),
        Rule(
            b"Test: ",
            re.compile(
                rf"{_LOGGING}Test: \[ *(?P<step>{COUNT})/ *(?P<steps>{COUNT})\] +"
                rf"Time: +(?P<time>{NUMBER})s +{_MEAN}(?P<mean_data>(?!))?"
            ),
            _validate,
        ),
    ),
    conclude=_conclude,
    marks=(b"Train: ", b"/s)", b"_samples_per_sec"),
)


def Parser(hints: ParseHints) -> LogParser:  # noqa: N802 (a factory in place of a class)
    """Start on a new log."""
    return vendor.Parser(FORMAT, hints)
