"""Reads logs of MXNet's train_imagenet.py and relatives (Speedometer): one rate per window.

Per device or total: samples/s of all devices of a worker. Each worker of a distributed job prints
its share, with a name (`Node[1]`) or without: they are added up, window by window. There is no
summary; windows have the same number of batches each. The headline is total samples / total time,
the harmonic mean of their rates; the arithmetic mean, which is commonly published for these logs,
is another metric. The first window is dropped if it starts at the run's first batch, because cuDNN
tunes itself in it. Release 0.x prints a window once per metric: the first metric's line counts.
"""

from __future__ import annotations

import re

from orchestrator.parsers import derived, doubts, vendor, workers
from orchestrator.parsers.contract import LogParser, ParseHints
from orchestrator.parsers.vendor import COUNT, NUMBER, Format, Found, Log, Rule, Run, Scope

program = "mxnet_train_imagenet"

_WHY = "cuDNN tunes itself in the first batches"
# Facts that are only kept until the run's end.
_METRIC, _DISTRIBUTED = "metric", "distributed"


def _arguments(log: Log, found: Found) -> None:
    log.begin()
    given = dict(_ARGUMENT.findall(found.text("arguments")))
    facts = log.run.facts
    for name in ("batch_size", "network"):
        if name in given:
            log.run.same(f"asked_{name}", given[name], found.line)
    facts[_DISTRIBUTED] = "'dist" in given.get("kv_store", "")
    gpus = [gpu for gpu in given.get("gpus", "").strip("'").split(",") if gpu]
    devices = 1 if gpus in ([], ["None"]) else len(gpus)
    # With Horovod these are one worker's, but the speed is the total.
    if given.get("kv_store") == "'horovod'":
        log.run.notes[workers.WHOLE] = 1
    else:
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
    workers.starts(log)
    log.run.fact("devices", found.text("devices").count(",") + 1)
    log.run.fact("device", found.text("devices")[:3])


def _window(log: Log, found: Found) -> None:
    # With several metrics, a window is printed once for each.
    metric = found.text("metric")
    log.run.facts[_METRIC] = known = log.run.facts.get(_METRIC) or metric
    if metric and metric != known:
        return
    epoch, end = found.count("epoch"), found.count("end")
    log.window((epoch, end), found.number("rate"), found.line, worker=found.text("node"))
    start = found.count("start") if found.has("start") else None
    log.run.fact("first_window", (epoch, start, end))
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
    if start == 0 and end != frequency:
        run.warn("the first window is not as long as the second one")
    for name in ("asked_batch_size", "asked_network", _METRIC):
        run.facts.pop(name, None)
    if "epoch_seconds" not in run.facts:
        doubts.end(run, "the log has no `Time cost`, so the epoch did not finish")
    doubts.gaps(run)
    mean = run.recompute(first=int(fresh), why=_WHY if fresh else "")
    run.windows_headline(mean, missing="samples/sec", scope=_scope(run))
    run.prove_by_windows()
    if run.batch and run.devices and (recomputed := run.metrics.get("throughput_recomputed")):
        step = run.batch * run.devices * derived.inverse(recomputed.value)
        derived.seconds(run, "step_time_mean", step)


def _scope(run: Run) -> Scope:
    """Say whose rate it is; with a distributed key-value store, one worker is not the job."""
    if run.facts.pop(_DISTRIBUTED, False) and "workers" not in run.facts:
        run.warn(
            "the log says kv_store dist, but only one worker prints: the figure is of that worker"
        )
        return "rank"
    return "rank" if run.one_of_several else "all_devices"


_ARGUMENT = re.compile(
    r"\b(batch_size|gpus|network|num_layers|dtype|benchmark|kv_store)=('[^']{0,200}'|\w{1,9})"
)
# A logger's name, the date, the time and the level, in any order, the node before or after them.
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
                rf"Speed: +(?P<rate>{NUMBER}) samples/sec(?:\s+(?P<metric>[\w-]{{1,40}})=)?"
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
    marks=(b"Speed: ", b" samples/sec"),
    shares=True,
)


def Parser(hints: ParseHints) -> LogParser:  # noqa: N802 (a class by contract)
    """Start on a new log."""
    return vendor.Parser(FORMAT, hints)
