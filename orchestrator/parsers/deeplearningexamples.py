"""Reads logs of NVIDIA DeepLearningExamples (PyTorch, TensorFlow, MXNet): DLLogger's text and JSON
lines.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from typing import Any

from orchestrator.parsers import derived, doubts, vendor
from orchestrator.parsers.contract import LogParser, ParseHints
from orchestrator.parsers.numbers import DECIMAL
from orchestrator.parsers.vendor import COUNT, NUMBER, Format, Found, Log, Rule, Run

program = "deeplearningexamples"

# Text and JSON of one run are rounded differently; the JSON file is more exact.
_TEXT, _JSON = "", "json:"
_WARM_UP = 2  # iterations, if the program does not leave them out itself

# Training first, then inference; JSON and text use the same names.
_TRAINING = ("train.total_ips", "train_throughput", "train.ips", "train.throughput")
_INFERENCE = ("val.total_ips", "eval_throughput", "val.ips", "val.throughput")
_WINDOWS = ("train.total_ips", "train.ips", "total_ips", "imgs_per_sec", "val.total_ips", "val.ips")
_TIMES = {
    "train.compute_time": ("compute_time", 1.0),
    "train.data_time": ("data_time", 1.0),
    "val.compute_latency": ("latency_mean", 1.0),
    "val.compute_latency_at100": ("latency_max", 1.0),
    "val.compute_latency_at99": ("latency_p99", 1.0),
    "val.compute_latency_at95": ("latency_p95", 1.0),
    "val.latency_avg": ("latency_mean", 1.0),
    "val.latency_50": ("latency_median", 1.0),
    "val.latency_90": ("latency_p90", 1.0),
    "eval_latency_avg": ("latency_mean", 1e-3),
    "eval_latency_p90": ("latency_p90", 1e-3),
    "eval_latency_p95": ("latency_p95", 1e-3),
    "eval_latency_p99": ("latency_p99", 1e-3),
}
# A fact that is only kept until the run's end: what the summary of another network contains.
_OTHERS, _MOST_OTHERS = "others", 8
_KEPT = frozenset((*_TRAINING, *_INFERENCE, *_TIMES, "train.compute_ips", "val.compute_ips"))

# Options for 16-bit computation, by the names of their releases.
_MIXED = ("amp", "use_tf_amp", "fp16")

_PAIR = re.compile(rf"(?<!\S)([\w./]+) : ({NUMBER}|\S+)(?= |$)")
_STEP = re.compile(
    rf"(?:Epoch: (?P<epoch>{COUNT})(?: +Iteration: (?P<iter>{COUNT}))?"
    rf"(?: +Validation Iteration: (?P<val>{COUNT}))?"
    rf"|\((?P<one>{COUNT}), (?P<two>{COUNT})\)|\({COUNT},\)|(?P<summary>Summary:|\(\))) *"
)


def _text(log: Log, found: Found) -> None:
    """Take a text line: a step, then pairs "name : value unit"."""
    rest = found.text("rest")
    if rest.startswith("PARAMETER "):
        log.begin()
        _parameters(log, dict(_PAIR.findall(rest.removeprefix("PARAMETER"))))
        return
    step = _STEP.match(rest)
    if step is None:
        return
    pairs: dict[str, float] = {}
    for match in _PAIR.finditer(rest, step.end()):
        cut = not found.line.ended and match.end() == len(rest)
        if not cut and re.fullmatch(DECIMAL, match[2]):
            pairs.setdefault(match[1], float(match[2]))
    if step["summary"]:
        _summary(log, found, pairs, _TEXT)
        return
    major, minor = step["epoch"] or step["one"], step["val"] or step["iter"] or step["two"]
    if major and minor:
        _iteration(log, found, (int(major), int(minor)), pairs, validation=bool(step["val"]))


def _json(log: Log, found: Found) -> None:
    """Take a line of the JSON file, whose step is [epoch, iteration], [] or "PARAMETER"."""
    try:
        record = json.loads(found.text("rest"))
    except (ValueError, RecursionError):
        return
    data = record.get("data")
    if record.get("type") != "LOG" or not isinstance(data, dict):
        return
    step = record.get("step")
    if step == "PARAMETER":
        log.begin()
        _parameters(log, {str(name): str(value) for name, value in data.items()})
        return
    pairs = {name: float(v) for name, v in data.items() if _is_number(v)}
    if step in ([], "Summary"):
        _summary(log, found, pairs, _JSON)
    elif isinstance(step, list) and len(step) > 1 and all(map(_is_count, step)):
        _iteration(log, found, (step[0], step[-1]), pairs, validation=len(step) > 2)


def _is_number(value: Any) -> bool:
    if isinstance(value, bool) or not isinstance(value, float | int):
        return False
    return isinstance(value, float) or abs(value) < 1e300


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and 0 <= value < 10**15


def _parameters(log: Log, pairs: Mapping[str, str]) -> None:
    """Store the parameters; batch_size is per GPU, but over all GPUs in MXNet's program."""
    for name, fact in (("arch", "model"), ("mode", "mode")):
        if name in pairs:
            log.run.fact(fact, pairs[name][:80])
    _number_type(log, pairs)
    devices = pairs.get("world_size", "")
    gpus = len(pairs["gpus"].split(",")) if "kv_store" in pairs and pairs.get("gpus") else 1
    if "kv_store" in pairs and gpus > 1:
        log.run.fact("devices", gpus)
    elif re.fullmatch(COUNT, devices) and int(devices):
        log.run.fact("devices", int(devices))
    batch = pairs.get("batch_size", "")
    if re.fullmatch(COUNT, batch) and int(batch) and int(batch) % gpus == 0:
        log.run.fact("batch", int(batch) // gpus)


def _number_type(log: Log, pairs: Mapping[str, str]) -> None:
    """Store the number type: automatic mixed precision overrides the type that is named."""
    if "True" in (pairs.get(switch) for switch in _MIXED):
        log.run.fact("dtype", "float16")
        return
    named = pairs.get("precision") or pairs.get("dtype")
    if named is None and any(switch in pairs for switch in _MIXED):
        named = "float32"
    if named is not None:
        log.run.fact("dtype", named[:80])


def _iteration(
    log: Log, found: Found, key: tuple[int, int], pairs: Mapping[str, float], *, validation: bool
) -> None:
    """Take a rate of one iteration; those of validation count if there is no training."""
    name = next((known for known in _WINDOWS if known in pairs), None)
    if name is None or ((validation or name.startswith("val.")) and not _inference_only(log.run)):
        return
    log.window(key, pairs[name], found.line)
    log.run.notes["validation"] = int(name.startswith("val."))
    # The TensorFlow program has already left its warm-up out of what it prints.
    log.run.notes["warm_up"] = 0 if name in ("total_ips", "imgs_per_sec") else _WARM_UP


def _inference_only(run: Run) -> bool:
    return not run.windows.count or bool(run.notes.get("validation"))


def _summary(log: Log, found: Found, pairs: Mapping[str, float], source: str) -> None:
    others = log.run.facts.setdefault(_OTHERS, [])
    for name, value in pairs.items():
        if name in _KEPT:
            log.run.take(source + name, value, found.line)
            log.stage = "done"
        elif len(others) < _MOST_OTHERS and (other := vendor.shown(name)[:80]) not in others:
            others.append(other)


def _speed(log: Log, found: Found) -> None:
    """Take a line of the MXNet program: all ranks print the same total rate."""
    batch = found.count("batch")
    last = log.run.windows.last_key
    epoch = log.state.get("epoch", 0)
    if last and (epoch, batch) < last and log.run.windows.classify((epoch, batch)) == "restart":
        epoch = log.state["epoch"] = epoch + 1
    log.window((epoch, batch), found.number("rate"), found.line)
    log.run.notes["warm_up"] = 1


def _devices(log: Log, found: Found) -> None:
    log.run.fact("devices", found.count())


def _batch(log: Log, found: Found) -> None:
    log.run.fact("batch", found.count())


def _conclude(run: Run, hints: ParseHints) -> None:
    del hints
    others = run.facts.pop(_OTHERS, [])
    for source in [name for name in run.printed if name.startswith(_JSON)]:
        run.prefer(source.removeprefix(_JSON), source)
    for printed, (metric, scale) in _TIMES.items():
        run.seconds(metric, printed, scale=scale)
    skipped = run.notes.get("warm_up", 0)
    why = "first iterations are warm-up" if skipped else "warm-up is not printed"
    run.recompute(first=skipped, why=why)
    name = next((key for key in (*_TRAINING, *_INFERENCE) if key in run.printed), "")
    if name:
        run.fact("phase", "training" if name in _TRAINING else "inference")
    elif others:
        run.fail(f"the summary has no rate of images, only {', '.join(others)}")
    run.headline(
        run.printed.get(name),
        estimator="mean_of_rates",
        missing="summary with a rate",
        names=(name,),
    )
    compute = run.printed.get(f"{name.partition('.')[0]}.compute_ips", 0.0)
    if 0 < compute < math.inf:
        run.rate("throughput_compute", compute)
        total = run.printed.get(name, 0.0)
        doubts.data(run, derived.inverse(total) - 1 / compute, derived.inverse(total))


_DLLOGGER = r"DLL \d{4}-\d\d-\d\d [\d:.]+ - "
_LOGGING = r"(?:\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d+:[A-Z]+: *|[A-Z]+:\w+: *)?"

FORMAT = Format(
    program=program,
    rules=(
        Rule(b"DLL", re.compile(r"DLLL (?P<rest>\{.*\})$"), _json),
        # A number after a parameter may belong to another program.
        Rule(b"DLL", re.compile(rf"{_DLLOGGER}(?P<rest>PARAMETER .*)$"), _text),
        Rule(b"DLL", re.compile(rf"{_DLLOGGER}(?P<rest>.*)$"), _text, open_end=True),
        Rule(
            b"Speed: ",
            re.compile(
                rf"{_LOGGING}(?:Epoch\[\d+\] )?Batch \[(?:\d+-)?(?P<batch>{COUNT})\]\s+"
                rf"Speed: (?P<rate>{NUMBER}) samples/sec"
            ),
            _speed,
        ),
        Rule(b"Num GPUs ", re.compile(rf"Num GPUs ({COUNT})$"), _devices),
        Rule(b"Per-GPU Batch Size ", re.compile(rf"Per-GPU Batch Size ({COUNT})$"), _batch),
    ),
    conclude=_conclude,
)


def Parser(hints: ParseHints) -> LogParser:  # noqa: N802 (a factory in place of a class)
    """Start on a new log."""
    return vendor.Parser(FORMAT, hints)
