"""Reads logs of PyTorch's examples/imagenet and its copies in Apex and DALI.

| line | contents | |---|---| | `Epoch: [0][10/196] Time 0.3 (0.35) Data 0.0 (0.1)` | a step, and
the epoch's mean so far | | the same with `Speed 850 (730)` | samples/s of all ranks: Apex' and
DALI's copies |
| `Epoch: [0]  [10/196] .. img/s: 900 .. time: 0.3 data: 0.1` | torchvision's references |

The mean since the epoch's start includes the warm-up. If the log shows the start of a later half of
the steps, the headline is of these steps. Each rank prints its times, for one device. Lines of
torchvision's references are read as `torchvision_references` does.
"""

from __future__ import annotations

import re

from orchestrator.parsers import derived, doubts, epochs, torchvision_references, vendor
from orchestrator.parsers.contract import LogParser, ParseHints
from orchestrator.parsers.estimators import LONGEST_TIME, SHORTEST_TIME
from orchestrator.parsers.running_means import Mean, Steady
from orchestrator.parsers.torchvision_references import KIND
from orchestrator.parsers.vendor import COUNT, NUMBER, Format, Found, Log, Rule, Run
from orchestrator.units import SAMPLES_PER_SECOND

program = "pytorch_imagenet"

_ROUNDING = 0.0005  # of the times and speeds printed
_LARGEST_ERROR = 0.02


def _epoch(log: Log, found: Found) -> None:
    _mean(log, found, (found.count("epoch"), found.count("step")))


def _test(log: Log, found: Found) -> None:
    if "time" not in log.run.printed or log.run.notes.get("test"):
        _mean(log, found, (0, found.count("step")))
        log.run.notes["test"] = 1
    log.run.notes["tested"] = 1


def _mean(log: Log, found: Found, key: tuple[int, int]) -> None:
    """Take "Time now (mean since the epoch's start)", and Speed if it is printed."""
    speed = found.has("speed")
    last = found.value("speed" if speed else "time")
    rate = last if speed else derived.inverse(last)
    added = log.window(key, rate, found.line)
    run = log.run
    run.same(KIND, "Speed" if speed else "Time", found.line)
    epochs.note_step(log, found, added)
    if added == "again":
        return
    epoch, step = key
    if log.state.get("epoch") != epoch:
        # Steps were counted from 0 until 2022, then from 1: print_freq is usually 10.
        log.state.update(epoch=epoch, lines=0, done=0 if step % 10 == 1 else 1)
    log.state["lines"] += 1
    mean = found.value("mean_speed" if speed else "mean")
    if not SHORTEST_TIME < mean < LONGEST_TIME:
        run.fail(f"a mean of {mean:.10g} is not plausible", found.line)
        return
    time = derived.inverse(mean) if speed else mean
    error = _ROUNDING * (time * time if speed else 1.0)
    waited = found.value("mean_data") if found.has("mean_data") else 0.0
    run.means.add(epoch, Mean(step + log.state["done"], time, error, found.line, data=waited))
    # The mean in an epoch's first line is only of its slow start.
    if "time" not in run.printed or log.state["lines"] > 1:
        run.replace("time", found.value("mean"), found.line)
        run.replace("data", waited, found.line)
        if speed:
            run.replace("speed", mean, found.line)


def _model(log: Log, found: Found) -> None:
    if not found.cut():
        log.run.fact("model", found.text())


def _conclude(run: Run, hints: ParseHints) -> None:
    del hints
    kind = run.facts.pop(KIND, "")
    run.fact("phase", "inference" if run.notes.get("test") else "training")
    if kind != "Speed":
        epochs.count_devices(run)
    epochs.doubt_end(run)
    if kind in ("Time", "Speed"):
        _conclude_means(run)
    elif kind:
        torchvision_references.conclude(run, kind)


def _conclude_means(run: Run) -> None:
    steady, time, waited = run.means.steady(), run.printed.get("time"), run.printed.get("data")
    run.seconds("step_time_mean", "time")
    if steady is None or doubts.is_data_bound(steady.data, steady.time):
        doubts.data(run, waited or 0.0, time or 0.0)
    if "speed" in run.printed:
        factor, value = 1.0, run.printed["speed"]
    elif run.batch is None:
        run.prove("time")
        run.needs("--batch", "the batch")
        return
    else:
        factor = run.batch * (run.devices or 1)
        value = factor * derived.inverse(time or 0.0)
    _headline_of_means(run, value, factor, steady)


def _headline_of_means(run: Run, mean: float, factor: float, steady: Steady | None) -> None:
    """Set the headline: the rate of the steps after the warm-up, or else of all since the start."""
    name, rate = ("speed" if "speed" in run.printed else "time"), 0.0
    if steady is not None and steady.is_exact(_LARGEST_ERROR):
        rate = factor * steady.steps / steady.time
        derived.rate(run, "throughput_recomputed", rate)
    if rate and steady is not None and steady.covers:
        derived.rate(run, "throughput_running_mean", mean)
        run.warn(
            f"the program's mean, {mean:.6g} samples/s, includes the warm-up, which is left out "
            "here"
        )
        run.prove_by(*steady.lines)
        if name == "time":
            run.step_time(steady.time / steady.steps)
        run.headline(rate, estimator="total", missing="line with Time", names=(), scope=_scope(run))
        return
    run.warn("the mean time counts from the first step of the epoch: warm-up is in it")
    run.headline(
        mean, estimator="running_mean", missing="line with Time", names=(name,), scope=_scope(run)
    )


def _scope(run: Run) -> vendor.Scope:
    return "all_devices" if "speed" in run.printed else "rank"


def _live(run: Run) -> tuple[float, str]:
    kind = run.facts.get(KIND, "")
    return (1.0, SAMPLES_PER_SECOND) if kind == "Speed" else torchvision_references.live(run, kind)


_TIME = (
    rf"Time +(?P<time>{NUMBER}) +\( *(?P<mean>{NUMBER})\)"
    rf"(?:\s+Data +{NUMBER} +\( *(?P<mean_data>{NUMBER})\))?"
    rf"(?:\s+Speed +(?P<speed>{NUMBER}) +\( *(?P<mean_speed>{NUMBER})\))?"
)
_STEP_OF = rf"\[ *(?P<step>{COUNT})/ *(?P<steps>{COUNT})\]"

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
            re.compile(rf"Epoch: \[(?P<epoch>{COUNT})\]{_STEP_OF}\s+{_TIME}"),
            _epoch,
        ),
        Rule(b"Test: [", re.compile(rf"Test: {_STEP_OF}\s+{_TIME}"), _test),
        torchvision_references.TRAINING,
        torchvision_references.EPOCH_END,
    ),
    conclude=_conclude,
    marks=(b"Epoch: [", b"Time ", b"img/s: "),
    has_end=False,
    live=_live,
)


def Parser(hints: ParseHints) -> LogParser:  # noqa: N802 (a factory in place of a class)
    """Start on a new log."""
    return vendor.Parser(FORMAT, hints)
