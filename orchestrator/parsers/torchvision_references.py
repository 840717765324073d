"""Reads logs of torchvision's references/classification/train.py: training, or `--test-only`.

| line | contents | |---|---| | `Namespace(...)` | its arguments: batch per device, model, device,
number of processes |
| `Epoch: [0]  [10/196] .. img/s: 900 .. time: 0.3 data: 0.1` | a step of training |
| `Test:   [10/196] .. time: 0.3 data: 0.1` | a step of validation |

The program starts its clock for img/s after the batch was fetched, so img/s leaves out the wait for
data; `time:`, the mean of the latest 20 steps, does not. So the headline is the batch over `time:`.
An epoch's first step, which is in that mean up to step 19, is left out if later lines show its
share. Each rank has separate times; releases since 2019 only print those of rank 0.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from orchestrator.parsers import derived, doubts, epochs, vendor
from orchestrator.parsers.contract import LogParser, ParseHints
from orchestrator.parsers.vendor import COUNT, NUMBER, Format, Found, Line, Log, Rule, Run
from orchestrator.units import SAMPLES_PER_SECOND, share

program = "torchvision_references"

MEAN_OF = 20  # steps, of which the mean time is printed
# Facts that are only kept until the run's end.
KIND, _TIMES = "kind", "times"
_ARGUMENT = re.compile(r"(\w{1,40})='?([\w.+-]{1,80})'?(?=, |$)")
_TEST_ONLY = "test_only"  # a note of a run: its arguments say so


@dataclass
class Times:
    """The steps of the lines after the first, and the seconds for them and for data."""

    steps: int = 0
    seconds: float = 0.0
    data: float = 0.0
    warm: bool = False
    every_step: bool = False  # is printed, since the epoch's start
    first: Line | None = None
    last: Line | None = None
    # Steps, seconds and data seconds of earlier epochs, and of this one's first step.
    before: tuple[int, float, float] = (0, 0.0, 0.0)
    start: tuple[float, float] = (0.0, 0.0)

    def add(self, step: int, last: int, found: Found) -> None:
        """Add a line. `last` is the step of the epoch's line before it, -1 if there is none."""
        time, data = found.value("step_time"), found.value("data")
        warm = step >= MEAN_OF  # the epoch's first step is not in the mean
        if last < 0:
            self.every_step = step == 0
            self.before, self.start = (self.steps, self.seconds, self.data), (time, data)
        self.every_step = self.every_step and step == last + 1
        if self.every_step and not warm and not self.warm:
            self._take_sum(step, time, data)
        elif self.last is not None and (warm or not self.warm):
            if warm and not self.warm:
                self.steps, self.seconds, self.data, self.first = 0, 0.0, 0.0, found.line
            # The mean of the latest steps stands for all since the line before.
            steps = max(1, step - last)
            self.steps += steps
            self.seconds += steps * time
            self.data += steps * data
        self.warm = self.warm or warm
        self.first = self.first or found.line
        self.last = found.line

    def _take_sum(self, step: int, time: float, data: float) -> None:
        """Take a mean of all steps of the epoch, which gives their sum, without the first step."""
        steps, seconds, waited = self.before
        self.steps = steps + step
        self.seconds = seconds + (step + 1) * time - self.start[0]
        self.data = waited + (step + 1) * data - self.start[1]


def _arguments(log: Log, found: Found) -> None:
    """Take the program's arguments, which it prints first."""
    log.begin()
    told = dict(re.findall(_ARGUMENT, found.text("arguments")))
    run = log.run
    for fact, name in (("model", "model"), ("device", "device")):
        if name in told:
            run.fact(fact, told[name])
    if told.get("batch_size", "").isdecimal():
        run.fact("batch", int(told["batch_size"]))
        run.remember("batch", found.line)
    if told.get("distributed") == "False":
        run.fact("devices", 1)
    elif told.get("distributed") == "True" and re.fullmatch(
        "0*[1-9][0-9]*", told.get("world_size", "")
    ):
        run.fact("devices", int(told["world_size"]))
    if told.get("test_only") == "True":
        run.notes[_TEST_ONLY] = 1
    if told.get("amp") == "True":
        run.fact("dtype", "amp")


def _train(log: Log, found: Found) -> None:
    """Take a line of training, with img/s or the time of a step or both."""
    if log.run.notes.get("test") or log.run.notes.get(_TEST_ONLY):
        log.run.fail("the log trains and tests only: lines of two runs are mixed")
        return
    _step(log, found, (found.count("epoch"), found.count("step")))


def _test(log: Log, found: Found) -> None:
    """Take a line of validation, which only counts if nothing was trained."""
    if log.run.windows.count and not log.run.notes.get("test"):
        log.run.notes["tested"] = 1
        return
    _step(log, found, (0, found.count("step")))
    log.run.notes["test"] = 1


def _step(log: Log, found: Found, key: tuple[int, int]) -> None:
    epoch, step = key
    timed, rated = found.has("step_time"), found.named("rate") and found.has("rate")
    if not timed and (not rated or _TIMES in log.run.facts):
        log.run.warn("a line with figures is broken: it is left out")
        return
    rate = found.number("rate") if rated else derived.inverse(found.value("step_time"))
    before = log.run.windows.last_key
    added = log.window(key, rate, found.line)
    log.run.same(KIND, "img/s" if rated else "time", found.line)
    epochs.note_step(log, found, added)
    if added == "restart":
        log.run.facts.pop(_TIMES, None)
    if timed and added != "again":
        same_epoch = added == "new" and before[:1] == (epoch,)
        times = log.run.facts.setdefault(_TIMES, Times())
        times.add(step, before[1] if same_epoch else -1, found)


def _conclude(run: Run, hints: ParseHints) -> None:
    del hints
    kind = run.facts.pop(KIND, "")
    run.fact("phase", "inference" if run.notes.get("test") else "training")
    epochs.count_devices(run)
    epochs.doubt_end(run)
    if kind:
        conclude(run, kind)


def conclude(run: Run, kind: str) -> None:
    """Compute metrics: from the time of a step with the batch, or from img/s without a time."""
    times = run.facts.pop(_TIMES, None)
    devices = run.devices or 1
    if run.devices is None:
        run.warn("the figures are of one rank: use --devices if there were several")
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


def _headline_of_times(run: Run, kind: str, times: Times, devices: int) -> None:
    """Set the headline from the full time of steps; img/s is the rate without the wait for data."""
    if run.windows.count == 1:
        run.warn("only 1 line was printed: warm-up cannot be separated")
    elif not times.warm and not times.every_step:
        run.warn(
            f"fewer than {MEAN_OF} steps are shown: their mean includes the first one, which is "
            "warm-up"
        )
    seconds = times.seconds or (derived.inverse(run.windows.rates[0]) if kind == "time" else 0.0)
    steps = times.steps or 1
    derived.seconds(run, "step_time_mean", seconds / steps)
    if kind != "time":
        first = int(run.windows.count > 1)
        derived.rate(run, "throughput_compute", devices * run.windows.harmonic(first, 0))
    run.prove("batch")
    run.prove_by(*(line for line in (times.first, times.last) if line is not None))
    run.headline(
        (run.batch or 0) * devices * steps * derived.inverse(seconds),
        estimator="mean_time",
        missing="time of a step",
        names=(),
        scope="rank",
    )


def _live(run: Run) -> tuple[float, str]:
    return live(run, run.facts.get(KIND, ""))


def live(run: Run, kind: str) -> tuple[float, str]:
    """Return the factor and unit of windows, which are rates of a rank or steps per second."""
    devices = run.devices or 1
    if kind == "img/s":
        return devices, SAMPLES_PER_SECOND
    if run.batch is None:
        return 1.0, "steps/s"
    return run.batch * devices, SAMPLES_PER_SECOND


_STEP_OF = rf"\[ *(?P<step>{COUNT})/ *(?P<steps>{COUNT})\]"
_STEP_TIMES = r"(?:.*?\stime: +(?P<step_time>\d+\.\d{4}) +data: +(?P<data>\d+\.\d{4})(?!\d))?"

TRAINING = Rule(
    b"Epoch: [",
    re.compile(
        rf"Epoch: \[(?P<epoch>{COUNT})\]\s+{_STEP_OF}\s+eta: "
        rf"(?:.*?\simg/s: (?P<rate>{NUMBER})\s)?{_STEP_TIMES}"
    ),
    _train,
)
EPOCH_END = Rule(b"Epoch: [", re.compile(rf"Epoch: \[{COUNT}\] Total time: "), epochs.end)

FORMAT = Format(
    program=program,
    rules=(
        Rule(
            b"Namespace(",
            re.compile(r"Namespace\((?=.*\bdata_path=)(?=.*\bsync_bn=)(?P<arguments>.*)\)$"),
            _arguments,
        ),
        TRAINING,
        EPOCH_END,
        Rule(
            b"Test:",
            re.compile(rf"Test:(?: \w{{1,20}})? +{_STEP_OF}\s+eta: {_STEP_TIMES}"),
            _test,
        ),
    ),
    conclude=_conclude,
    marks=(b"Epoch: [", b"img/s: "),
    has_end=False,
    live=_live,
)


def Parser(hints: ParseHints) -> LogParser:  # noqa: N802 (a factory in place of a class)
    """Start on a new log."""
    return vendor.Parser(FORMAT, hints)
