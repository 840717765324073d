"""Reads logs of Caffe2's resnet50_trainer.py and imagenet_trainer.py: one rate per iteration.

Per device or total: batch of all local GPUs / the iteration's time. Each of several shards prints
its rate: they are added up, iteration by iteration. There is no summary. The first iterations
choose cuDNN's algorithms and allocate (34 images/s, then 477, then 550), so the first two are
dropped; the headline is total / total of the others, the harmonic mean as their batches are alike.
"""

from __future__ import annotations

import re

from orchestrator.parsers import derived, doubts, vendor, workers
from orchestrator.parsers.contract import LogParser, ParseHints
from orchestrator.parsers.vendor import COUNT, NUMBER, Format, Found, Log, Rule, Run

program = "caffe2_trainer"

_WARMUP = 2
_WHY = "the first two iterations choose algorithms and allocate memory"


def _iteration(log: Log, found: Found) -> None:
    epoch, iteration = found.count("epoch"), found.count("iteration")
    added = log.window((epoch, iteration), found.number("rate"), found.line)
    log.run.facts["last_iteration"] = iteration
    log.last_of("epoch_iterations", found.count("iterations"), added, found.line)


def _gpus(log: Log, found: Found) -> None:
    # The trainer prints these words with --use_cpu too, so they only give the number of devices.
    workers.starts(log)
    if not log.run.windows.count:
        log.run.fact("devices", found.text().count(",") + 1)


def _conclude(run: Run, hints: ParseHints) -> None:
    del hints
    run.fact("phase", "training")
    iterations, last = run.facts.get("epoch_iterations"), run.facts.pop("last_iteration", None)
    if run.windows.count <= _WARMUP:
        run.fail(f"the log has {run.windows.count} iterations, and the first {_WARMUP} are warm-up")
        return
    if last != iterations:
        doubts.end(run, f"the log ends at iteration {last} of {iterations} of an epoch")
    doubts.gaps(run)
    mean = run.recompute(first=_WARMUP, why=_WHY)
    whole = "workers" in run.facts and not run.one_of_several
    run.windows_headline(mean, missing="images/sec", scope="all_devices" if whole else "rank")
    run.prove_by_windows()
    if run.batch and run.devices and (recomputed := run.metrics.get("throughput_recomputed")):
        step = run.batch * run.devices * derived.inverse(recomputed.value)
        derived.seconds(run, "step_time_mean", step)


_LOGGER = r"\s*(?:INFO:\w+:)?"

FORMAT = Format(
    program=program,
    rules=(
        Rule(
            b"Finished iteration ",
            re.compile(
                _LOGGER + rf"Finished iteration (?P<iteration>{COUNT})/(?P<iterations>{COUNT}) "
                rf"of epoch (?P<epoch>{COUNT}) \((?P<rate>{NUMBER}) images/sec\)"
            ),
            _iteration,
        ),
        Rule(
            b"Running on GPUs: ",
            re.compile(_LOGGER + r"Running on GPUs: \[(\d+(?:, ?\d+)*)\]"),
            _gpus,
        ),
    ),
    conclude=_conclude,
    marks=(b"Finished iteration ", b" images/sec)"),
    shares=True,
)


def Parser(hints: ParseHints) -> LogParser:  # noqa: N802 (a class by contract)
    """Start on a new log."""
    return vendor.Parser(FORMAT, hints)
