"""DLBS (Deep Learning Benchmarking Suite, dlcookbook): `__key__=JSON` lines.

Two of its figures are corrected, with a warning. Its programs of Caffe2, MXNet and PyTorch print
`int(throughput)`: the throughput is computed from the time, which has all digits. Its MXNet program
starts its clock without waiting for the warm-up batches, so the first time of an inference includes
them: it is left out.
"""

from __future__ import annotations

import json
import math
import re
from typing import Any

from orchestrator.parsers import vendor
from orchestrator.parsers.contract import LogParser, ParseHints
from orchestrator.parsers.estimators import Estimator
from orchestrator.parsers.vendor import NUMBER, Format, Found, Log, Rule, Run
from orchestrator.units import SAMPLES_PER_SECOND

program = "dlbs"

MOST_TIMES = 100_000
_NUMBER = re.compile(NUMBER)

_FACTS = {
    "exp.framework": "framework",
    "exp.framework_family": "framework_family",
    "exp.framework_ver": "framework_version",
    "exp.model": "model",
    "exp.phase": "phase",
    "exp.dtype": "dtype",
    "exp.replica_batch": "batch",
    "exp.num_gpus": "devices",
    "exp.effective_batch": "global_batch",
    "exp.num_warmup_batches": "warmup_batches",
}
_COUNTS = ("batch", "devices", "global_batch", "warmup_batches")
# By `exp.framework_family`, which is `exp.framework` but for the forks of Caffe.
_ESTIMATORS: dict[str, Estimator] = {
    "nvtfcnn": "mean_of_rates",
    "nvcnn": "mean_of_rates",
    "tensorflow": "total",
    "caffe": "mean_time",
    "tensorrt": "mean_time",
    "mxnet": "mean_time",
    "pytorch": "mean_time",
    "caffe2": "mean_time",
}
_TRUNCATED = ("caffe2", "mxnet", "pytorch")
_SUCCESS = "success"
_FAILURES = ("failure", "error")
# What its launchers print when the program has ended; they set `exp.status` to "ok" before that.
_ENDS = ("results.end_time", "results.proc_pid")
_ROUNDING = 1e-6  # relative, of a time in ms


def _start(log: Log, found: Found) -> None:
    del found
    log.begin()


def _key(log: Log, found: Found) -> None:
    key, text = found.text("key"), found.text("value")
    if key in _FACTS:
        _fact(log, _FACTS[key], _value(text))
    elif key in _ENDS:
        log.run.notes["ended"] = 1
    elif key in ("exp.status", "results.status"):
        _status(log, found, _value(text))
    elif re.fullmatch(r"results\.\w*throughput", key):
        log.run.replace(key, _figure(found), found.line)
        log.stage = "done"
    elif re.fullmatch(r"results\.\w*time(?:_min|_max|_stdev)?", key):
        log.run.replace(key, _figure(found), found.line)
    elif key == "results.time_data":
        _times(log, found, _value(text))


def _value(text: str) -> Any:
    """Read JSON; None if it is invalid."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _figure(found: Found) -> float | None:
    """Read a number; if the value is something else, nan, which is not plausible."""
    if found.cut("value"):
        return None
    text = found.text("value").strip('"')
    return float(text) if _NUMBER.fullmatch(text) else math.nan


def _fact(log: Log, name: str, value: Any) -> None:
    """Store a fact; the last of several counts, and an empty one does not."""
    counts = name in _COUNTS
    if counts and type(value) is int and 0 < value < 10**9:
        log.run.facts[name] = value
    elif not counts and isinstance(value, str) and value:
        log.run.facts[name] = vendor.shown(value)[:80]


def _status(log: Log, found: Found, value: Any) -> None:
    """Take what the suite, or one of its Python programs, says about the experiment."""
    log.run.notes["failed"] = int(value in _FAILURES)
    log.run.notes["succeeded"] = int(value == _SUCCESS)
    if value == _SUCCESS or value in _FAILURES:
        log.run.replace("status", 1.0, found.line)


def _times(log: Log, found: Found, value: Any) -> None:
    """Take milliseconds per effective batch as windows, in batches/s."""
    if not isinstance(value, list):
        return
    for index, time in enumerate(value[:MOST_TIMES]):
        if isinstance(time, float | int) and 0 < time < 1e12:
            log.run.windows.add((index,), 1000 / time, found.line)


def _throughput(run: Run) -> str:
    """Return the key of the throughput; there may be one per prefix, such as `inference_`."""
    keys = [key for key in run.printed if key.endswith("throughput")]
    plain = "results.throughput"
    if plain not in keys and len(keys) > 1:
        values = ", ".join(f"{key} {run.printed[key]:.10g}" for key in keys)
        run.fail(f"the log has several throughputs: {values}")
    return plain if plain in keys or not keys else keys[0]


def _conclude(run: Run, hints: ParseHints) -> None:
    del hints
    key = _throughput(run)
    prefix = key.removesuffix("throughput")
    for metric in ("mean", "min", "max"):
        name = f"{prefix}time" if metric == "mean" else f"{prefix}time_{metric}"
        run.seconds(f"step_time_{metric}", name, scale=1e-3)
    if run.notes.get("failed"):
        run.fail("the log says that the experiment failed")
    figure = _without_warm_up(run) or _uncut(run, key)
    framework = run.facts.get("framework", "")
    run.headline(
        run.printed.get(key) if figure is None else figure,
        estimator=_ESTIMATORS.get(_family(run), "unknown") if figure is None else "mean_time",
        missing="__results.throughput__",
        names=(key, f"{prefix}time"),
    )
    if figure is None and framework in _TRUNCATED:
        run.warn(f"DLBS cuts the throughput of {framework} to a whole number")
    if not (run.notes.get("succeeded") or run.notes.get("ended")):
        run.warn("the log does not show the end of the experiment")


def _family(run: Run) -> str:
    """Return DLBS's name for a framework's family: all forks of Caffe are one."""
    framework = str(run.facts.get("framework", ""))
    fork = "caffe" if framework.endswith("_caffe") else framework
    return str(run.facts.get("framework_family", fork))


def _without_warm_up(run: Run) -> float | None:
    """Recompute from the times; return the figure if the first time includes the warm-up."""
    batch, warmup = run.facts.get("global_batch"), run.facts.get("warmup_batches", 0)
    if not batch:
        return None
    mixed = (
        run.facts.get("framework") == "mxnet"
        and run.facts.get("phase") == "inference"
        and warmup > 0
        and run.windows.count > 1
    )
    if not mixed:
        run.recompute(first=0, why="warm-up is not recorded", factor=batch)
        run.recompute_from_time(batch)
        return None
    held = "the warm-up batch" if warmup == 1 else f"the {warmup} warm-up batches"
    run.recompute(first=1, why=f"it includes {held} too", factor=batch)
    run.warn(f"the first of {run.windows.count} times includes {held} too: it is left out")
    found = run.metrics.get("throughput_recomputed")
    if found is None:
        return None
    if time := run.metrics.get("step_time_mean"):
        run.rate("throughput_with_warmup", batch / time.value)
    run.step_time(batch / found.value)
    return found.value


def _uncut(run: Run, key: str) -> float | None:
    """Return the batch over the mean time, if it is the printed figure with all its digits."""
    printed, time = run.printed.get(key), run.metrics.get("step_time_mean")
    batch = run.facts.get("global_batch")
    # A damaged log may not name the framework.
    may_be_cut = run.facts.get("framework", "") in {"", *_TRUNCATED}
    if not may_be_cut or not batch or printed is None or not time:
        return None
    exact = float(batch / time.value)
    if not printed * (1 - _ROUNDING) <= exact <= (printed + 1) * (1 + _ROUNDING):
        return None
    if printed != exact:
        run.warn(f"DLBS prints {printed:.10g}, cut to a whole number: it is computed from the time")
    return exact


def _live(run: Run) -> tuple[float, str]:
    batch = run.facts.get("global_batch")
    return (batch, SAMPLES_PER_SECOND) if batch else (1.0, "batches/s")


FORMAT = Format(
    program=program,
    rules=(
        Rule(b"Variables from python", re.compile(r"Variables from python script"), _start),
        Rule(
            b"__",
            re.compile(r"\s*__(?P<key>[\w.]+?)__\s*=\s*(?P<value>\S.*)$"),
            _key,
            open_end=True,
        ),
    ),
    conclude=_conclude,
    live=_live,
)


def Parser(hints: ParseHints) -> LogParser:  # noqa: N802 (a factory in place of a class)
    """Start on a new log."""
    return vendor.Parser(FORMAT, hints)
