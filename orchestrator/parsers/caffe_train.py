"""Reads logs of `caffe train` of BVLC, NVIDIA and Intel: iterations per second.

Per device or total: an iteration is one step of all GPUs together. BVLC's and Intel's batch is per
GPU; NVCaffe divides that of data layers among the GPUs (and not that of Input layers), but what it
prints, in `Solver performance` and in the network's definition, is already the batch of one GPU.
So throughput = iterations/s x batch x iter_size x GPUs in every fork.

Figures: NVCaffe prints a total without its first two iterations and without tests: `Overall
multi-GPU performance` is the headline if it is printed. Without a data layer it does not know its
batch and prints `16.47 * 0 = 0 img/sec`: then the headline is the GPUs' rates x batch. The others
print only windows: iterations / seconds over all of them (`harmonic_mean`), without the first
window of a run that the log shows from its start, because cuDNN chooses its algorithms in it
(NVCaffe: 3.2 iter/s, then 16.6). Releases before 1.0, and Intel's, print no rate: it comes from the
time stamps of the lines, and windows with a test in them are left out.
"""

from __future__ import annotations

import re

from orchestrator.parsers import derived, doubts, glog, prototxt, vendor
from orchestrator.parsers.contract import LogParser, ParseHints
from orchestrator.parsers.vendor import COUNT, NUMBER, Format, Found, Log, Rule, Run
from orchestrator.units import SAMPLES_PER_SECOND

program = "caffe_train"

# BVLC prints a rate before the first step: zero, or whatever was in memory (-4.8e-40, 3.9e+26).
_NO_RATE = 1e-30
_NO_LONGER_A_RATE = 1e9  # iterations/s
_OVERALL = "overall"
_DEVICE = "device"  # and the device's number
_UNRATED = "unrated"  # lines without a rate in a log that prints rates
_AGREE = 0.05


def _solver(log: Log, found: Found) -> None:
    del found
    log.begin()


def _start(log: Log, found: Found) -> None:
    if log.run.windows.count:
        log.begin()
    log.run.fact("started", found.line.number)
    log.stage = "warmup"


def _done(log: Log, found: Found) -> None:
    log.run.fact("done", found.line.number)
    log.stage = "done"


def _version(log: Log, found: Found) -> None:
    log.begin()
    log.run.fact("nvcaffe_version", found.text("version"))


def _gpus(log: Log, found: Found) -> None:
    log.begin()
    # A list that is cut by the log's end does not count.
    if not found.cut("gpus"):
        prototxt.used_device(log, found)
        log.run.fact("devices", found.text("gpus").count(",") + 1)


def _broken(log: Log, found: Found) -> None:
    """Warn about the rest of `iter_size`, `batch_size` or a list of GPUs, whose line was broken."""
    del found
    log.run.warn("a line is broken: a size or a number of GPUs may be lost")


def _iter_size(log: Log, found: Found) -> None:
    if found.cut():
        return
    if found.count() > 0:
        log.run.fact("iter_size", found.count())
    else:
        log.run.warn("the log says iter_size 0: 1 is used")


def _rated(log: Log, found: Found) -> None:
    # Text follows both, so neither is cut off.
    rate, lapse = found.number("rate") or 0.0, found.number("lapse") or 0.0
    iteration = found.count("iteration")
    windows = log.run.windows
    none = iteration == 0 or not _NO_RATE <= abs(rate) <= _NO_LONGER_A_RATE
    if none and (not windows.count or (iteration,) <= windows.last_key):
        _start(log, found)
        return
    log.run.same("rates", "printed", found.line)
    if lapse == 0:
        # Caffe divides by one second if its clock saw no time pass.
        log.run.fail("Caffe's clock saw no time pass: train more iterations", found.line)
    # The count of iterations after the slash is wrong in old NVCaffe, for example `0.3s/100 iter`.
    steps = rate * lapse
    log.window((iteration,), rate, found.line, samples=steps if 0 < steps < 1e15 else 1.0)


def _first(log: Log, found: Found) -> None:
    """Take NVCaffe's first iterations, `Iteration 0 (7.62135 s)`: one window each, all warm-up."""
    if not log.run.windows.count or (found.count("iteration"),) <= log.run.windows.last_key:
        _start(log, found)


def _nothing(log: Log, found: Found) -> None:
    """Ignore a line that has no rate and is not a broken one either."""


def _tested(log: Log, found: Found) -> None:
    del found
    log.state["tested"] = True


def _unrated(log: Log, found: Found) -> None:
    if log.run.facts.get("rates") == "printed":
        # A release that prints rates prints the loss without one only at its end.
        log.run.facts[_UNRATED] = log.run.facts.get(_UNRATED, 0) + 1
        return
    iteration, now = found.count("iteration"), glog.seconds(found)
    if now is None:
        log.run.warn("a line with an iteration has no time: it is left out")
        return
    before, tested = log.state.get("stamp"), log.state.pop("tested", False)
    restarts = before is not None and iteration <= before[0]
    if iteration == 0:
        _start(log, found)
    elif restarts:
        log.begin()
    log.state["stamp"] = (iteration, now)
    if before is None or restarts or tested:
        return
    steps, seconds = iteration - before[0], glog.between(before[1], now)
    if seconds > 0:
        log.run.same("rates", "stamps", found.line)
        log.window((iteration,), steps / seconds, found.line, samples=steps)


def _device(log: Log, found: Found) -> None:
    name = _DEVICE + found.text("device")
    batch = found.count("batch")
    if batch:
        log.run.fact("batch", batch)
    log.run.take(name, found.number("total" if batch else "rate"), found.line)
    log.run.fact("counts", "samples" if batch else "iterations")
    log.run.fact("solvers", [])
    if name not in log.run.facts["solvers"]:
        log.run.facts["solvers"].append(name)


def _overall(log: Log, found: Found) -> None:
    log.run.take(_OVERALL, found.number("total"), found.line)


def _conclude(run: Run, hints: ParseHints) -> None:
    del hints
    run.fact("phase", "training")
    if prototxt.lacks_loss(run):
        run.fail(prototxt.NO_LOSS, kind="unsupported")
    solvers = run.facts.pop("solvers", [])
    if solvers:
        run.fact("devices", len(solvers))
    if "done" not in run.facts and not solvers:
        doubts.end(run, "the log has no Optimization Done, so the training broke off")
    elif "done" not in run.facts and "started" in run.facts:
        run.warn("the log has no Optimization Done: the training broke off")
    if run.facts.pop(_UNRATED, 0) > run.ranks:
        run.warn("iterations with and without a rate are mixed: the log may be of two trainings")
    _windows(run, solvers)
    if run.facts.pop("counts", "samples") == "iterations":
        _headline_of_iterations(run, solvers)
    elif _OVERALL in run.printed:
        overall = run.printed[_OVERALL]
        run.headline(overall, estimator="total", missing=_OVERALL, names=(_OVERALL, *solvers))
    elif len(solvers) == 1 and run.devices == 1:
        run.headline(
            run.printed.get(solvers[0]), estimator="total", missing="total", names=tuple(solvers)
        )
    elif solvers or "nvcaffe_version" in run.facts:
        run.fail("the log has no Overall multi-GPU performance: the training broke off")
    else:
        _headline_of_windows(run)
    _compare(run)


def _windows(run: Run, solvers: list[str]) -> None:
    """Set step times and other metrics that can be recomputed."""
    fresh = "started" in run.facts
    why = "cuDNN chooses its algorithms in the first window" if fresh else ""
    first = int(fresh and run.windows.count > 1)
    if run.windows.count:
        derived.seconds(run, "step_time_mean", derived.inverse(run.windows.harmonic(first, 0)))
    if run.batch is not None and not solvers and run.devices is None:
        run.warn("the log does not give the number of devices: one is assumed (--devices)")
        run.fact("devices", 1)
    if run.batch is None:
        run.recompute(first=first, why=why)
        for name, other in (("recomputed", "mean"), ("min", "min"), ("max", "max")):
            if metric := run.metrics.pop(f"throughput_{name}", None):
                derived.per_second(run, f"iterations_{other}", metric.value, "iterations/s")
    else:
        factor = run.batch * (run.devices or 1) * run.facts.get("iter_size", 1)
        run.recompute(first=int(fresh), why=why, factor=factor)


def _headline_of_iterations(run: Run, solvers: list[str]) -> None:
    """Set the headline if each GPU's line only gives iterations per second."""
    if _OVERALL not in run.printed and (run.devices or 1) > 1:
        run.fail("the log has no Overall multi-GPU performance: the training broke off")
    elif run.batch is None:
        run.prove(*solvers)
        run.needs("--batch", "the batch per device")
    else:
        run.headline(
            sum(run.printed[name] for name in solvers),
            estimator="total",
            missing="Solver performance",
            factor=run.batch * run.facts.get("iter_size", 1),
            names=tuple(solvers),
        )


def _headline_of_windows(run: Run) -> None:
    if not run.windows.count:
        run.fail("the log has no `Iteration ... loss` lines with a rate")
        return
    doubts.gaps(run, from_start="started" in run.facts)
    doubts.copies(run)
    if run.hints.devices is None and run.ranks > 1:
        run.warn(f"{run.ranks} processes print: the figure is of the devices of one, use --devices")
    if run.batch is None:
        run.prove_by_windows()
        run.needs("--batch", "the batch per device")
    else:
        metric = run.metrics.get("throughput_recomputed")
        run.headline(
            metric.value if metric else 0.0,
            estimator="harmonic_mean",
            missing="iter/s",
            scope="rank" if run.ranks > 1 else "device",
        )
        run.prove_by_windows()


def _live(run: Run) -> tuple[float, str]:
    if run.batch is None:
        return 1.0, "iterations/s"
    return run.batch * (run.devices or 1) * run.facts.get("iter_size", 1), SAMPLES_PER_SECOND


def _compare(run: Run) -> None:
    own, windows = run.throughput, run.metrics.get("throughput_recomputed")
    if own and windows and abs(windows.value / own - 1) > _AGREE:
        run.warn(
            f"the windows give {windows.value:.6g} samples/s, the program's total is {own:.6g}"
        )


_ITERATION = glog.PREFIX + rf"(?:[\[(][\d.]+[\])] +)?Iteration (?P<iteration>{COUNT})"

FORMAT = Format(
    program=program,
    rules=(
        Rule(
            b"loss = ",
            re.compile(
                _ITERATION + rf" \((?P<rate>{NUMBER}) iter/s, (?P<lapse>{NUMBER})s/{COUNT} iters?\)"
                r".*\bloss = "
            ),
            _rated,
        ),
        Rule(b"loss = ", re.compile(_ITERATION + rf" \({NUMBER} s\).*\bloss = "), _first),
        Rule(b"loss = ", re.compile(_ITERATION + r", loss = "), _unrated),
        Rule(b"Iteration ", re.compile(_ITERATION + r", (?:lr = |Snapshotting)"), _nothing),
        Rule(b", Testing net", re.compile(_ITERATION + r", Testing net"), _tested),
        Rule(
            b"Initializing solver from parameters:",
            re.compile(glog.PREFIX + r"Initializing solver from parameters:"),
            _solver,
        ),
        prototxt.start_rule(prototxt.definition),
        Rule(b"iter_size: ", re.compile(rf"\s*iter_size: ({COUNT})$"), _iter_size),
        Rule(b"size: ", re.compile(r"\s*_?size: "), _broken),
        Rule(b", ", re.compile(r"\s*, \d+(?:, \d+)*$"), _broken),
        Rule(b"Starting Optimization", re.compile(glog.PREFIX + "Starting Optimization"), _start),
        Rule(b"Optimization Done", re.compile(glog.PREFIX + "Optimization Done"), _done),
        Rule(
            b"This is NVCaffe ",
            re.compile(glog.PREFIX + r"This is NVCaffe (?P<version>\d[\w.]*) "),
            _version,
        ),
        Rule(
            b"Using GPUs ", re.compile(glog.PREFIX + r"Using GPUs (?P<gpus>\d+(?:, \d+)*)$"), _gpus
        ),
        *(Rule(*one, _gpus) for one in prototxt.DEVICE_PATTERNS),
        Rule(
            b" performance",
            re.compile(
                glog.PREFIX + r"(?:Node \{\d+\} +)?(?:Root +)?Solver performance on device "
                rf"(?P<device>\d{{1,4}}): (?P<rate>{NUMBER}) \* (?P<batch>{COUNT}) = "
                rf"(?P<total>{NUMBER}) img/sec"
            ),
            _device,
        ),
        Rule(
            b" performance",
            re.compile(
                glog.PREFIX + rf"Overall(?: multi-GPU)? performance: (?P<total>{NUMBER}) img/sec"
            ),
            _overall,
        ),
        *prototxt.RULES,
    ),
    conclude=_conclude,
    marks=(
        b" iter/s, ",
        b", loss = ",
        b"img/sec",
        b"iter_s",
        b"r_size: ",
        b"Iteration ",
        b"Testing net",
        b"Using G",
        b"GPUs 0",
        *prototxt.MARKS,
    ),
    live=_live,
)


def Parser(hints: ParseHints) -> LogParser:  # noqa: N802 (a class by contract)
    """Start on a new log."""
    return vendor.Parser(FORMAT, hints)
