"""PyTorch's examples/imagenet with the copies of Apex and DALI, and the references of torchvision.

| line | what it tells |
|---|---|
| `Epoch: [0][10/196] Time 0.3 (0.35) Data 0.0 (0.1)` | a step, and the epoch's mean so far |
| the same with `Speed 850 (730)` | samples/s of all ranks: Apex' and DALI's copies |
| `Epoch: [0]  [10/196] .. img/s: 900 .. time: 0.3 data: 0.1` | torchvision: of one rank |

The mean since the epoch's start has the warm-up in it. If the log shows when a later half of the
steps began, the headline is of these steps. torchvision starts its clock for img/s after the batch
was fetched, so img/s leaves out the wait for data; `time:`, the mean of 20 steps, does not. Each
rank prints its own times: one device each.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from orchestrator.parsers import derived, doubts, vendor
from orchestrator.parsers.contract import LogParser, ParseHints
from orchestrator.parsers.run import LONGEST_TIME
from orchestrator.parsers.running_means import Mean, Steady
from orchestrator.parsers.vendor import COUNT, NUMBER, Format, Found, Line, Log, Rule, Run
from orchestrator.units import SAMPLES_PER_SECOND, share

program = "pytorch_imagenet"

_ROUNDING = 0.0005  # of the times and speeds printed
_LARGEST_ERROR = 0.02
_MEAN_OF = 20  # steps, of which torchvision prints the mean time
# Facts that are only kept until the run's end.
_KIND, _TIMES, _STEPS, _LAST = "kind", "times", "epoch_steps", "last_step"


@dataclass
class _Times:
    """The steps of torchvision's lines after the first, the seconds they took, and of data."""

    steps: int = 0
    seconds: float = 0.0
    data: float = 0.0
    warm: bool = False
    first: Line | None = None
    last: Line | None = None

    def add(self, step: int, before: int, found: Found) -> None:
        """Take a line: the mean of the latest steps stands for those since the line before."""
        warm = step >= _MEAN_OF  # the epoch's first step is not in the mean
        if self.last is not None and (warm or not self.warm):
            steps = max(1, step - before)
            self.steps += steps
            self.seconds += steps * found.value("step_time")
            self.data += steps * found.value("data")
        if warm and not self.warm:
            steps = max(1, step - before)
            self.steps, self.first = steps, found.line
            self.seconds = steps * found.value("step_time")
            self.data = steps * found.value("data")
        self.warm = self.warm or warm
        self.first = self.first or found.line
        self.last = found.line


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
    run.same(_KIND, "Speed" if speed else "Time", found.line)
    _note_step(log, found, added)
    if added == "again":
        return
    epoch, step = key
    if log.state.get("epoch") != epoch:
        # Steps were counted from 0 until 2022, then from 1: print_freq is 10, mostly.
        log.state.update(epoch=epoch, lines=0, done=0 if step % 10 == 1 else 1)
    log.state["lines"] += 1
    mean = found.value("mean_speed" if speed else "mean")
    if not 0 < mean < LONGEST_TIME:
        run.fail(f"a mean of {mean:.10g} is not plausible", found.line)
        return
    time = derived.inverse(mean) if speed else mean
    error = _ROUNDING * (time * time if speed else 1.0)
    waited = found.value("mean_data") if found.has("mean_data") else 0.0
    run.means.add(epoch, Mean(step + log.state["done"], time, error, found.line, data=waited))
    # The mean of an epoch's first line is of its slow start only.
    if "time" not in run.printed or log.state["lines"] > 1:
        run.replace("time", found.value("mean"), found.line)
        run.replace("data", waited, found.line)
        if speed:
            run.replace("speed", mean, found.line)


def _model(log: Log, found: Found) -> None:
    if not found.cut():
        log.run.fact("model", found.text())


def _note_step(log: Log, found: Found, added: vendor.Added) -> None:
    log.last_of(_STEPS, found.count("steps"), added, found.line)
    if added != "again":
        log.run.facts[_LAST] = found.count("step")
        log.run.notes.pop("tested", None)


def _references(log: Log, found: Found) -> None:
    """Take a line of torchvision's, with img/s or the time of a step or both."""
    epoch, step = found.count("epoch"), found.count("step")
    timed, rated = found.has("step_time"), found.has("rate")
    if not timed and (not rated or _TIMES in log.run.facts):
        log.run.warn("a line with figures is broken: it is left out")
        return
    rate = found.number("rate") if rated else derived.inverse(found.value("step_time"))
    before = log.run.windows.last_key
    added = log.window((epoch, step), rate, found.line)
    log.run.same(_KIND, "img/s" if rated else "time", found.line)
    _note_step(log, found, added)
    if added == "restart":
        log.run.facts.pop(_TIMES, None)
    if timed and added != "again":
        same_epoch = added == "new" and before[:1] == (epoch,)
        times = log.run.facts.setdefault(_TIMES, _Times())
        times.add(step, before[1] if same_epoch else -1, found)


def _epoch_end(log: Log, found: Found) -> None:
    del found
    log.run.notes["tested"] = 1


def _conclude(run: Run, hints: ParseHints) -> None:
    del hints
    kind, times = run.facts.pop(_KIND, ""), run.facts.pop(_TIMES, None)
    run.fact("phase", "inference" if run.notes.get("test") else "training")
    if kind != "Speed":
        _count_devices(run)
    _doubt_end(run)
    if kind in ("Time", "Speed"):
        _conclude_means(run)
    elif kind:
        _conclude_references(run, kind, times)


def _count_devices(run: Run) -> None:
    """Count a device for each rank that prints, unless the number is known."""
    if run.devices is not None or run.ranks == 1:
        return
    if run.ranks_differ:
        run.fact("devices", run.ranks)
        run.warn(f"{run.ranks} ranks print, one device each: give --devices if there were more")
    else:
        run.warn(f"{run.ranks} ranks print the same, the figure is of one: give --devices")


def _doubt_end(run: Run) -> None:
    steps, last = run.facts.pop(_STEPS, 0), run.facts.pop(_LAST, 0)
    rest = steps - last - max(1, run.windows.usual_distance)
    if rest > 0 and not run.notes.get("tested"):
        doubts.end(run, f"the log ends at step {last} of {steps} of an epoch")


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
            f"the program's own mean, {mean:.6g} samples/s, includes the warm-up: left out here"
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


def _conclude_references(run: Run, kind: str, times: _Times | None) -> None:
    """Conclude torchvision's lines: the time of a step with the batch, or img/s without a time."""
    devices = run.devices or 1
    if run.devices is None:
        run.warn("the figures are of one rank: give --devices if there were several")
    if times is not None and times.last is not None:
        doubts.data(run, times.data, times.seconds)
        if run.batch is not None:
            _headline_of_times(run, kind, times, devices)
            return
        if kind == "time" or doubts.is_data_bound(times.data, times.seconds):
            run.prove_by(times.last)
            run.needs("--batch", "the batch, and img/s leaves out the wait for data")
            return
    part = f", {share(times.data / times.seconds)} of a step" if times and times.seconds else ""
    run.warn(f"img/s is of single steps, and leaves out the wait for data{part}")
    run.recompute(first=1, why="the first line is warm-up", factor=devices)
    value = run.metrics.get("throughput_recomputed")
    run.prove_by_windows()
    run.headline(
        value.value if value else None,
        estimator="single_steps",
        missing="window with a rate",
        names=(),
        scope="rank",
    )


def _headline_of_times(run: Run, kind: str, times: _Times, devices: int) -> None:
    """Set the headline by the whole time of steps; img/s is the rate without the wait for data."""
    if run.windows.count == 1:
        run.warn("only 1 line was printed: warm-up cannot be told apart")
    seconds = times.seconds or (derived.inverse(run.windows.rates[0]) if kind == "time" else 0.0)
    steps = times.steps or 1
    derived.seconds(run, "step_time_mean", seconds / steps)
    if kind != "time":
        first = int(run.windows.count > 1)
        derived.rate(run, "throughput_compute", devices * run.windows.harmonic(first, 0))
    run.prove_by(*(line for line in (times.first, times.last) if line is not None))
    run.headline(
        (run.batch or 0) * devices * steps * derived.inverse(seconds),
        estimator="mean_time",
        missing="time of a step",
        names=(),
        scope="rank",
    )


def _live(run: Run) -> tuple[float, str]:
    kind, devices = run.facts.get(_KIND), run.devices or 1
    if kind == "Speed":
        return 1.0, SAMPLES_PER_SECOND
    if kind == "img/s":
        return devices, SAMPLES_PER_SECOND
    if run.batch is None:
        return 1.0, "steps/s"
    return run.batch * devices, SAMPLES_PER_SECOND


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
        Rule(
            b"Epoch: [",
            re.compile(
                rf"Epoch: \[(?P<epoch>{COUNT})\]\s+{_STEP_OF}\s+eta: "
                rf"(?:.*?\simg/s: (?P<rate>{NUMBER})\s)?"
                r"(?:.*?\stime: +(?P<step_time>\d+\.\d{4}) +data: +(?P<data>\d+\.\d{4})(?!\d))?"
            ),
            _references,
        ),
        Rule(b"Epoch: [", re.compile(rf"Epoch: \[{COUNT}\] Total time: "), _epoch_end),
    ),
    conclude=_conclude,
    marks=(b"Epoch: [", b"Time ", b"img/s: "),
    has_end=False,
    live=_live,
)


def Parser(hints: ParseHints) -> LogParser:  # noqa: N802 (a factory in place of a class)
    """Start on a new log."""
    return vendor.Parser(FORMAT, hints)
