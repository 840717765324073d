"""Reads logs of TensorFlow's official models (ResNet, EfficientNet and others of
tensorflow/models):
training.

They print the rate of each window of steps, of all devices, and no total:

| line | printed by |
|---|---|
| `Average examples/sec: 1 (2), step = 3` | Estimator's hook, early in 2018; 2 is the window's |
| `Benchmark metric: {'name': 'current_examples_per_sec', ..}` | the same since |
| `BenchmarkMetric: {'num_batches':1, ..}`, last batch of an epoch | Keras, up to mid-2019 |
| `BenchmarkMetric: {'global step':1, ..}` | the same, up to spring 2020 |
| `TimeHistory: 1 seconds, 2 examples/second between steps 3 and 4` | the same since |
| `global_step: 1 images_per_sec: 2` | nvidia-examples/cnn of NVIDIA's TensorFlow 2 images |

The headline is total samples / total time of these windows. For Keras the first window is left out,
because graphs are compiled in it, and each window in which an epoch ends, because work between
epochs, such as a validation, is in its time. The hook leaves out the first steps and work between
epochs by itself.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from orchestrator.parsers import derived, doubts, glog, vendor
from orchestrator.parsers.contract import LogParser, ParseHints
from orchestrator.parsers.headers import ARGUMENT, TF_VERSION, check_end, start
from orchestrator.parsers.numbers import DECIMAL
from orchestrator.parsers.vendor import COUNT, NUMBER, Format, Found, Log, Rule, Run, Scope

program = "tf_official_models"

_WHY = "graphs are compiled in the first one"
# A note of a run: its windows come from Keras.
_KERAS = "keras"
_ENDED = "ended"
_SPAN_END = "span_end"
_FORMAT = "wording"  # a fact that is only kept until the run's end


def _hook(log: Log, found: Found) -> None:
    """Take a window of Estimator's hook."""
    if not found.cut("step"):
        log.run.same(_FORMAT, "hook", found.line)
        log.window((found.count("step"),), found.number("rate"), found.line)


def _step(log: Log, found: Found) -> None:
    _keras(log, found, (found.count("step"),))


def _batch(log: Log, found: Found) -> None:
    """Take a window that is identified by its last batch of an epoch."""
    _keras(log, found, (log.state.get("epoch", 0), found.count("batch")))


def _span(log: Log, found: Found) -> None:
    """Take a window that states its steps; the last one may be longer."""
    if found.cut("end"):
        return
    start, end = found.count("start"), found.count("end")
    steps, before = end - start, log.state.get(_SPAN_END, start)
    if end != before:  # which another rank may print again
        if start != before:
            log.run.warn(f"steps {before} to {start} are missing: lines are broken or lost")
        log.state[_SPAN_END] = end
    if steps > 0:
        _keras(log, found, (end,), steps=steps)


def _keras(log: Log, found: Found, key: tuple[int, ...], *, steps: int = 1) -> None:
    """Take a window of Keras, unless an epoch ended in it."""
    log.run.same(_FORMAT, _wording(found), found.line)
    is_first = log.run.windows.count == 0
    ended = log.state.get("ended", False) and key > log.run.windows.last_key
    if ended:
        log.state["ended"] = False
    if ended and not is_first:
        log.state["left_out"] = key
        log.run.notes["left_out"] = log.run.notes.get("left_out", 0) + 1
    # Every rank may print it.
    if key != log.state.get("left_out"):
        epoch = log.state.get("epoch", 0)
        log.window(key, found.number("rate"), found.line, samples=steps)
        log.run.notes[_KERAS] = 1
        log.state["epoch"] = epoch


def _wording(found: Found) -> str:
    """Distinguish the wordings of lines; a run has only one."""
    return "span" if found.named("start") else "batch" if found.named("batch") else "step"


def _epoch(log: Log, found: Found) -> None:
    """Take the number of a starting epoch; a smaller one is another run's."""
    epoch, before = found.count("epoch"), log.state.get("epoch", 0)
    if epoch < before:
        log.begin()
    if epoch != before:
        log.state["epoch"], log.state["ended"] = epoch, True


def _epoch_end(log: Log, found: Found) -> None:
    del found
    log.state["ended"] = True


def _broken(log: Log, found: Found) -> None:
    del found
    log.run.warn("a line with figures is broken: it is left out")


def _end(log: Log, found: Found) -> None:
    """Take a line that is printed once, after the training."""
    del found
    log.run.notes[_ENDED] = 1


def _conclude(run: Run, hints: ParseHints) -> None:
    del hints
    run.fact("phase", "training")
    run.facts.pop(_FORMAT, None)
    first = run.notes.get(_KERAS, 0)
    if 0 < run.windows.count <= first:
        run.fail(f"the log has {run.windows.count} window of steps, and the first is warm-up")
        return
    left_out = run.notes.get("left_out", 0)
    if left_out:
        run.fact("windows_with_an_epochs_end", left_out)
    mean = run.recompute(first=first, why=_WHY if first else "the program leaves warm-up out")
    several = run.ranks > 1 or run.windows.repeated > 0
    scope: Scope = "rank" if several else "all_devices"
    run.windows_headline(mean, scope=scope, missing="rates of windows of steps")
    run.prove_by_windows()
    check_end(run)
    doubts.copies(run)
    doubts.gaps(run)
    if run.facts.get("num_iter") is None and not run.notes.get(_ENDED):
        doubts.end(run, "the log does not show the end of the training")
    if several:
        run.warn(
            "windows are printed more than once: if several processes print them, each rate may "
            "be only of its devices"
        )
    if run.batch and run.devices and (recomputed := run.metrics.get("throughput_recomputed")):
        step = run.batch * run.devices * derived.inverse(recomputed.value)
        derived.seconds(run, "step_time_mean", step)


_LOGGER = glog.PREFIX + r"(?:INFO:\w+:)?"
# The order of a dictionary's items depends on Python's release.
_METRIC = (
    r"Benchmark metric: \{(?=.*?'name': u?'current_examples_per_sec')"
    rf"(?=.*?'value': (?P<rate>{NUMBER}))(?=.*?'global_step': (?P<step>{COUNT}))"
)
_TAKEN = rf"'time_taken': {NUMBER}, ?'(?:images|examples)_per_second': (?P<rate>{NUMBER})\}}"


def _rule(
    needle: bytes, pattern: str, take: Callable[[Log, Found], None], *, open_end: bool = False
) -> Rule:
    return Rule(needle, re.compile(_LOGGER + pattern), take, open_end=open_end)


FORMAT = Format(
    program=program,
    rules=(
        _rule(
            b"examples/second between steps ",
            rf"TimeHistory: {NUMBER} seconds, (?P<rate>{NUMBER}) examples/second "
            rf"between steps (?P<start>{COUNT}) and (?P<end>{COUNT})$",
            _span,
            open_end=True,
        ),
        _rule(
            b"BenchmarkMetric: {",
            rf"BenchmarkMetric: \{{'global step': ?(?P<step>{COUNT}), {_TAKEN}",
            _step,
        ),
        _rule(
            b"BenchmarkMetric: {",
            rf"BenchmarkMetric: \{{'num_batches': ?(?P<batch>{COUNT}), {_TAKEN}",
            _batch,
        ),
        _rule(b"BenchmarkMetric: {", r"BenchmarkMetric: \{'epoch':", _epoch_end),
        _rule(
            b" images_per_sec: ",
            rf"global_step: (?P<step>{COUNT}) images_per_sec: (?P<rate>{DECIMAL})$",
            _step,
            open_end=True,
        ),
        _rule(b" time_taken: ", rf"epoch: {COUNT} time_taken: ", _epoch_end),
        _rule(b"Loss for final step", "Loss for final step: ", _end),
        _rule(b"Run stats:", "Run stats:$", _end),
        _rule(b"Epoch ", rf"Epoch (?P<epoch>{COUNT})/\d+$", _epoch),
        _rule(b"Benchmark metric: {", _METRIC, _hook),
        _rule(b"Benchmark metric: {", r"Benchmark metric: \{(?!.*\}$)", _broken),
        _rule(
            b"Average examples/sec: ",
            rf"Average examples/sec: {NUMBER} \((?P<rate>{NUMBER})\), step = (?P<step>{COUNT})$",
            _hook,
        ),
        Rule(b"TF ", TF_VERSION, start),
        ARGUMENT,
    ),
    conclude=_conclude,
    marks=(
        b"TimeHistory: ",
        b"between steps ",
        b"BenchmarkMetric: {",
        b"s_per_second': ",
        b"global_step: ",
        b"images_per_sec: ",
        b"Average examples/sec: ",
        b"'current_examples_per_sec'",
    ),
    has_end=False,
)


def Parser(hints: ParseHints) -> LogParser:  # noqa: N802 (a factory in place of a class)
    """Start on a new log."""
    return vendor.Parser(FORMAT, hints)
