"""benchmark.py and train.py of timm (pytorch-image-models)."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from orchestrator.parsers import vendor
from orchestrator.parsers.contract import LogParser, ParseHints
from orchestrator.parsers.vendor import COUNT, NUMBER, Format, Found, Log, Rule, Run
from orchestrator.result import FailureKind

program = "timm"

_PHASES = {"infer": "inference", "train": "training"}
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
    """Keep one of the figures; inference and training of a model are two runs."""
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
    """Take a line of train.py: a rate of all ranks now, and the mean of the epoch so far."""
    key = (found.count("epoch"), found.count("step"))
    kind = log.run.windows.classify(key)
    log.window(key, found.number("rate"), found.line)
    starts = log.state.get("epoch") != key[0]
    log.state["epoch"] = key[0]
    # The mean of an epoch's first line is of its slow start alone.
    if kind != "again" and not (starts and "running" in log.run.printed):
        log.run.replace("running", found.number("mean"), found.line)
        log.run.replace("running_time", found.number("mean_time"), found.line)


def _conclude(run: Run, hints: ParseHints) -> None:
    del hints
    run.seconds("step_time_mean", "step_time", scale=1e-3)
    run.seconds("step_time_mean", "running_time")
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
    run.recompute(first=1, why="the first line is warm-up")
    run.headline(
        run.printed["running"], estimator="running_mean", missing="rate", names=("running",)
    )


_PAIR = b'": '  # every line of the JSON has a key
_KEY = r"\s*\"(?P<phase>infer|train)_(?P<name>samples_per_sec|step_time|batch_size)\": "

FORMAT = Format(
    program=program,
    rules=(
        Rule(_PAIR, re.compile(r"\s*[\[{].*[\]}]$"), _line),
        Rule(_PAIR, re.compile(r"\s*\"model\": \"([\w./:+-]{1,80})\",?$"), _model),
        Rule(_PAIR, re.compile(r"\s*\"error\": \"(.*)\",?$"), _error),
        Rule(_PAIR, re.compile(rf"{_KEY}(?P<value>{NUMBER}),?$"), _key),
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
                rf"(?:\S+ \S+ - \S+ - )?Train: (?P<epoch>{COUNT}) \[ *(?P<step>{COUNT})/ *\d+ .*?"
                rf"Time: +(?P<time>{NUMBER})s, +(?P<rate>{NUMBER})/s +"
                rf"\( *(?P<mean_time>{NUMBER})s, +(?P<mean>{NUMBER})/s\)"
            ),
            _train,
        ),
    ),
    conclude=_conclude,
)


def Parser(hints: ParseHints) -> LogParser:  # noqa: N802 (a factory in place of a class)
    """Start on a new log."""
    return vendor.Parser(FORMAT, hints)
