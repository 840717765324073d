"""Reads logs of `caffe time` of BVLC, NVIDIA and Intel: milliseconds per iteration, on one device.

Figures: `Average Forward-Backward` is the total time / iterations, so it includes the time of the
loop; `Average Forward pass` the mean of a clock around the forward pass. There is no weight update,
and no input pipeline unless the network has a data layer. Warm-up passes are not timed, so no
window is dropped. The batch comes from the network's definition at the start of the log, or from a
hint.

Most forks always time both passes: a hint of the phase chooses, else the log does.
"""

from __future__ import annotations

import re

from orchestrator.parsers import derived, glog, prototxt, vendor
from orchestrator.parsers.contract import LogParser, ParseHints
from orchestrator.parsers.derived import MS
from orchestrator.parsers.vendor import COUNT, NUMBER, Format, Found, Log, Rule, Run
from orchestrator.units import SAMPLES_PER_SECOND, share

program = "caffe_time"

# A network without a backward pass still "takes" some hundred nanoseconds for it.
_NO_BACKWARD = 0.01
_DATA_SHARE = 0.10
_TOTAL_AGREES = 0.02
_LONGEST_LAYER = 1e9  # ms; a clock that wrapped around


def _network(log: Log, found: Found) -> None:
    log.begin()
    prototxt.definition(log, found)


def _marker(log: Log, found: Found) -> None:
    if found.text("marker") == "begins":
        log.begin()
        log.stage = "timing"
    else:
        log.stage = "done"
        log.state["ended"] = True
    log.run.fact(f"benchmark_{found.text('marker')}", found.line.number)


def _begin_after_end(log: Log) -> None:
    """Begin another run at a figure after a run's end: people quote the ends of several runs."""
    if log.state.get("ended"):
        log.begin()


def _iterations(log: Log, found: Found) -> None:
    log.run.fact("iterations", found.count("iterations"))


def _iteration(log: Log, found: Found) -> None:
    _window(log, found, first=found.count("last") - 1)


def _iteration_range(log: Log, found: Found) -> None:
    _window(log, found, first=found.count("first"))


def _window(log: Log, found: Found, *, first: int) -> None:
    _begin_after_end(log)
    milliseconds, last = found.number("ms"), found.count("last")
    if milliseconds is not None and last > first:
        log.run.fact("timed", found.text("what"))
        log.window((last,), _per_second(milliseconds), found.line, samples=last - first)


def _figure(log: Log, found: Found) -> None:
    _begin_after_end(log)
    log.run.take(found.text("name"), found.number("ms"), found.line)


def _total(log: Log, found: Found) -> None:
    _begin_after_end(log)
    log.run.take(f"Total {found.text('name')}", found.number("ms"), found.line)


def _layer(log: Log, found: Found) -> None:
    _begin_after_end(log)
    milliseconds = found.number("ms")
    if milliseconds is not None and not milliseconds < _LONGEST_LAYER:
        log.run.warn(
            f"layer {found.text('layer')[:40]} took {milliseconds:.6g} ms: the clock is broken, so "
            "no time per layer can be trusted"
        )
        log.run.fact("clock", "broken")
    elif milliseconds is not None and found.text("layer").startswith("data"):
        log.run.fact("data_layer_forward", milliseconds * MS)


def _conclude(run: Run, hints: ParseHints) -> None:
    run.fact("devices", 1)
    _averages(run)
    _times(run)
    forward, both = run.printed.get("Average Forward pass"), _forward_backward(run)
    backward = run.printed.get("Average Backward pass")
    ended = "benchmark_ends" in run.facts or not (
        "benchmark_begins" in run.facts or run.facts.get("timed") == "forward-backward"
    )
    # A program that prints a backward pass also prints both together: that line is lost.
    lost = backward is not None and hints.phase != "inference"
    if both is None and (forward is None or lost or not ended):
        _refuse_without_average(run)
        return
    trains = both is not None and (
        forward is None
        or (backward is not None and backward > _NO_BACKWARD * forward)
        # The lines of a forward-only run never mention a backward pass.
        or (backward is None and run.facts.get("timed") == "forward-backward")
    )
    both_timed, lossless = trains, prototxt.lacks_loss(run)
    trains = trains and not lossless
    if not trains and (hints.phase == "training" or forward is None):
        _refuse_training(run, lossless=lossless)
        return
    if lossless and both and run.batch:
        rate = run.batch * _per_second(both)
        run.warn(
            f"forward and backward together ({rate:.5g} samples/s) are not training: the network "
            "has no loss"
        )
    trains = trains and (hints.phase != "inference" or forward is None)
    run.fact("phase", "training" if trains else "inference")
    _doubt(run, forward, backward, both)
    if run.batch is None:
        run.prove("Average Forward pass", "Average Forward-Backward")
        run.needs("--batch", "the batch")
        return
    # The windows are of both passes, if there are two.
    if trains or not both_timed:
        run.recompute(first=0, why="warm-up is not timed", factor=run.batch)
    _throughputs(run, forward=forward, both=both if trains else None)


def _refuse_training(run: Run, *, lossless: bool) -> None:
    if lossless:
        run.fail(prototxt.NO_LOSS, kind="unsupported")
    else:
        run.fail("the log has no backward pass, so it is inference; use --phase inference")


def _refuse_without_average(run: Run) -> None:
    if run.windows.count and not {"Total Time", "benchmark_ends"} & {*run.printed, *run.facts}:
        run.fail("the log breaks off before the averages that `caffe time` prints at its end")
        run.recompute(first=0, why="warm-up is not timed", factor=run.batch or 1)
        if run.batch is None:
            for name in ("recomputed", "min", "max"):
                run.metrics.pop(f"throughput_{name}", None)
        return
    missing = "number of iterations" if "Total Time" in run.printed else "Average Forward-Backward"
    run.fail(f"the log has no {missing}: there is no time per iteration")


def _live(run: Run) -> tuple[float, str]:
    return (run.batch, SAMPLES_PER_SECOND) if run.batch else (1.0, "iterations/s")


def _averages(run: Run) -> None:
    """Divide the totals of 2014's releases, which print no averages."""
    iterations = run.facts.get("iterations")
    for name in ("Forward pass", "Backward pass"):
        if iterations and f"Total {name}" in run.printed:
            run.share(f"Average {name}", f"Total {name}", iterations)


def _times(run: Run) -> None:
    for metric, name in (
        ("forward", "Average Forward pass"),
        ("backward", "Average Backward pass"),
        ("forward_backward", "Average Forward-Backward"),
        ("forward_min", "Min Forward pass"),
        ("backward_min", "Min Backward pass"),
        ("total_time", "Total Time"),
    ):
        run.seconds(metric, name, scale=MS)


def _forward_backward(run: Run) -> float | None:
    """Return the milliseconds of an iteration: printed, or the total / iterations."""
    both, total = run.printed.get("Average Forward-Backward"), run.printed.get("Total Time")
    # The total of a forward-only run of Intel's is of forward passes.
    if both is not None or total is None or run.facts.get("timed") == "forward":
        return both
    # Intel's technical preview has no averages, only minima and the total.
    iterations = run.facts.get("iterations") or sum(run.windows.last_key)
    return total / iterations if iterations else None


def _throughputs(run: Run, *, forward: float | None, both: float | None) -> None:
    """Set the headline, and the rates of both phases if both were timed."""
    batch = run.batch or 0
    if both is not None:
        name = "Average Forward-Backward"
        name = name if name in run.printed else "Total Time"
        derived.rate(run, "throughput_training", batch * _per_second(both))
        run.headline(
            _per_second(both), estimator="total", missing=name, factor=batch, names=(name,)
        )
    if forward is None:
        return
    derived.rate(run, "throughput_inference", batch * _per_second(forward))
    if both is None:
        name = "Average Forward pass"
        run.headline(
            _per_second(forward), estimator="mean_time", missing=name, factor=batch, names=(name,)
        )


def _per_second(milliseconds: float) -> float:
    return derived.inverse(milliseconds) / MS


def _doubt(run: Run, forward: float | None, backward: float | None, both: float | None) -> None:
    if both is not None and run.facts.get("timed") == "forward-backward":
        for word, value in (("Forward", forward), ("Backward", backward)):
            if value is None and f"Min {word} pass" not in run.printed:
                run.warn(f"the log has no Average {word} pass: its line is broken or lost")
    total, iterations = run.printed.get("Total Time"), run.facts.get("iterations")
    if iterations == 0:
        run.fail("the log says 0 iterations, but has their time: it contradicts itself")
    if both and total and iterations and abs(total / iterations / both - 1) > _TOTAL_AGREES:
        run.warn("the Total Time is not the iterations times Average Forward-Backward")
    if both and forward and backward and both < forward + backward - _TOTAL_AGREES * both:
        run.warn("Average Forward-Backward is less than its two parts")
    data = run.facts.get("data_layer_forward", 0.0) / MS
    if forward and data > _DATA_SHARE * forward:
        run.warn(f"reading data took {share(data / forward)} of the forward pass")
    if "benchmark_begins" in run.facts and "benchmark_ends" not in run.facts:
        run.warn("the log has no `*** Benchmark ends ***`")


FORMAT = Format(
    program=program,
    rules=(
        prototxt.start_rule(_network),
        Rule(
            b"*** Benchmark ",
            re.compile(glog.PREFIX + r"\*\*\* Benchmark (?P<marker>begins|ends) \*\*\*"),
            _marker,
        ),
        Rule(
            b"Testing for ",
            re.compile(glog.PREFIX + rf"Testing for (?P<iterations>{COUNT}) iterations"),
            _iterations,
        ),
        Rule(
            b"ward time: ",
            re.compile(
                glog.PREFIX + rf"Iteration: (?P<last>{COUNT}) "
                rf"(?P<what>forward(?:-backward)?) time: (?P<ms>{NUMBER}) ms"
            ),
            _iteration,
        ),
        Rule(
            b"ward time: ",
            re.compile(
                glog.PREFIX + rf"Iterations: (?P<first>{COUNT})-(?P<last>{COUNT}) average "
                rf"(?P<what>forward-backward) time: (?P<ms>{NUMBER}) ms"
            ),
            _iteration_range,
        ),
        Rule(
            b"ward pass: ",
            re.compile(
                glog.PREFIX
                + rf"(?P<name>(?:Average|Min) (?:Forward|Backward) pass): (?P<ms>{NUMBER}) ms"
            ),
            _figure,
        ),
        Rule(
            b"Average Forward-Backward: ",
            re.compile(glog.PREFIX + rf"(?P<name>Average Forward-Backward): (?P<ms>{NUMBER}) ms"),
            _figure,
        ),
        Rule(
            b"Total Time: ",
            re.compile(glog.PREFIX + rf"(?P<name>Total Time): (?P<ms>{NUMBER}) m(?:illi)?s"),
            _figure,
        ),
        Rule(
            b"ward pass: ",
            re.compile(
                glog.PREFIX + rf"(?P<name>(?:For|Back)ward pass): (?P<ms>{NUMBER}) milliseconds"
            ),
            _total,
        ),
        Rule(
            b"ward: ",
            re.compile(
                glog.PREFIX + rf"(?P<layer>\S+)\s+(?P<what>forward|backward): (?P<ms>{NUMBER}) ms"
            ),
            _layer,
        ),
        *prototxt.RULES,
        *(Rule(*one, prototxt.used_device) for one in prototxt.DEVICE_PATTERNS),
    ),
    conclude=_conclude,
    live=_live,
    marks=prototxt.MARKS,
)


def Parser(hints: ParseHints) -> LogParser:  # noqa: N802 (a class by contract)
    """Start on a new log."""
    return vendor.Parser(FORMAT, hints)
