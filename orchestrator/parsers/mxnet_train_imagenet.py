"""MXNet's train_imagenet.py and relatives (Speedometer): one rate per window of batches.

Per device or total: samples/s of all devices of a worker. There is no summary; windows have the
same number of batches each. The headline is the arithmetic mean of their rates, as it is commonly
published of these logs, and the recomputed one their harmonic mean, total samples / total time.
The first window is dropped where it begins at the run's first batch: cuDNN tunes itself in it.
Release 0.x prints a window once per metric, so a window is known by epoch and batch. With several
workers (`Node[1]`) the first one's lines alone are read.
"""

from __future__ import annotations

import re

from orchestrator.parsers import derived, vendor
from orchestrator.parsers.contract import LogParser, ParseHints
from orchestrator.parsers.vendor import COUNT, NUMBER, Format, Found, Log, Rule, Run

program = "mxnet_train_imagenet"

_WHY = "cuDNN tunes itself in the first batches"


def _arguments(log: Log, found: Found) -> None:
    log.begin()
    given = dict(_ARGUMENT.findall(found.text("arguments")))
    facts = log.run.facts
    gpus = [gpu for gpu in given.get("gpus", "").strip("'").split(",") if gpu]
    devices = 1 if gpus in ([], ["None"]) else len(gpus)
    # With Horovod these are one worker's, and the speed is that of all.
    if given.get("kv_store") != "'horovod'":
        facts["devices"] = devices
    if given.get("batch_size", "").isdecimal():
        # train_imagenet divides its batch among the devices.
        facts["batch"] = max(1, int(given["batch_size"]) // devices)
    for name, key in (("model", "network"), ("dtype", "dtype")):
        if key in given:
            facts[name] = given[key].strip("'")
    if given.get("num_layers", "").isdecimal():
        facts["layers"] = int(given["num_layers"])
    if "gpus" in given:
        facts["device"] = "cpu" if gpus in ([], ["None"]) else "gpu"
    if given.get("benchmark") == "1":
        facts["data"] = "synthetic"


def _devices(log: Log, found: Found) -> None:
    log.run.fact("devices", found.text("devices").count(",") + 1)
    log.run.fact("device", found.text("devices")[:3])


def _window(log: Log, found: Found) -> None:
    node, end = found.text("node"), found.count("end")
    if node and node != log.run.facts.setdefault("node", node):
        log.run.warn(f"of several workers, number {log.run.facts['node']} alone is counted")
        return
    log.window((found.count("epoch"), end), found.number("rate"), found.line)
    start = found.count("start") if found.has("start") else None
    log.run.fact("first_window", (found.count("epoch"), start, end))
    if log.run.windows.count == 2:
        log.run.fact("second_end", end)


def _epoch_end(log: Log, found: Found) -> None:
    log.run.fact("epoch_seconds", found.number("seconds"))
    log.stage = "done"


def _conclude(run: Run, hints: ParseHints) -> None:
    del hints
    run.fact("phase", "training")
    epoch, start, end = run.facts.pop("first_window", (0, None, 0))
    frequency = run.facts.pop("second_end", 2 * end) - end
    fresh = epoch == 0 and (start == 0 or (start is None and end == frequency))
    if run.windows.count and "epoch_seconds" not in run.facts:
        run.warn("the log has no `Time cost`: the epoch did not come to its end")
    mean = run.recompute(first=int(fresh), why=_WHY if fresh else "")
    run.headline(mean, estimator="mean_of_rates", missing="samples/sec", scope="all_devices")
    run.prove_by_windows()
    if run.batch and run.devices and (recomputed := run.metrics.get("throughput_recomputed")):
        step = run.batch * run.devices * derived.inverse(recomputed.value)
        derived.seconds(run, "step_time_mean", step)


_ARGUMENT = re.compile(
    r"\b(batch_size|gpus|network|num_layers|dtype|benchmark|kv_store)=('[^']{0,200}'|\w{1,9})"
)
# A logger's name, the date, the time and the level, in any order, the node before or behind.
_HEAD = r"(?:INFO:\w+:|INFO +|(?:\d{4}-\d\d-\d\d )?\d\d:\d\d:\d\d(?:,\d{3})? ){0,4}"
_LOGGER = rf"\s*{_HEAD}(?:Node\[(?P<node>\d+)\] *)?{_HEAD}"

FORMAT = Format(
    program=program,
    rules=(
        Rule(
            b" samples/sec",
            re.compile(
                _LOGGER + rf"(?:Epoch|Iter)\[(?P<epoch>{COUNT})\] Batch "
                rf"?\[(?:(?P<start>{COUNT})-)?(?P<end>{COUNT})\]\s+"
                rf"Speed: +(?P<rate>{NUMBER}) samples/sec"
            ),
            _window,
        ),
        Rule(
            b"] Time cost=",
            re.compile(_LOGGER + rf"Epoch\[{COUNT}\] Time cost=(?P<seconds>{NUMBER})"),
            _epoch_end,
        ),
        Rule(
            b"start with arguments ",
            re.compile(_LOGGER + r"start with arguments Namespace\((?P<arguments>.*)\)"),
            _arguments,
        ),
        Rule(
            b"Start training with ",
            re.compile(_LOGGER + r"Start training with \[(?P<devices>[cg]pu\(\d+\)[^\]]*)\]"),
            _devices,
        ),
    ),
    conclude=_conclude,
)


def Parser(hints: ParseHints) -> LogParser:  # noqa: N802 (a class by contract)
    """Start on a new log."""
    return vendor.Parser(FORMAT, hints)
