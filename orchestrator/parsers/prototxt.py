"""Reads what Caffe's log says about a network: its name, batch and number type, and its loss.

`Initializing net from parameters:` is followed by the network as it is built. The data layer comes
first, so the first batch size, or first dimension of an input, is the batch of one device: NVCaffe
writes the definition after it divided the batch among the GPUs, the other forks never divide it.

When a network is built, Caffe says of each layer whether it needs backward computation: none does
where there is no loss.

Intel's says before that which layers it drops because others do their work, and the network names
the engine that computes it.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from orchestrator.parsers import glog
from orchestrator.parsers.log import Log
from orchestrator.parsers.numbers import COUNT, Found
from orchestrator.parsers.run import Run
from orchestrator.parsers.vendor import Rule

_STATE, _NETWORKS, _HEAD = "definition", "networks", "head"
_LAYERS, _SHAPE = "layers", "shape"
# Notes of a run: some layer of its network needs backward computation, and some does not.
_BACKWARD, _NO_BACKWARD = "backward", "no_backward"

NO_LOSS = (
    "no layer needs backward computation: the network has no loss, so it is not trained; "
    "use --phase inference, or add a loss layer"
)


def definition(log: Log, found: Found) -> None:
    """Expect the batch of the network whose definition starts here, if it is the first."""
    del found
    # The networks after the first belong to the test phase.
    log.state[_STATE] = _STATE not in log.state
    log.state[_NETWORKS] = log.state.get(_NETWORKS, 0) + 1
    log.state[_HEAD] = log.state[_NETWORKS] == 1


def _batch(log: Log, found: Found) -> None:
    expected = log.state.get(_STATE)
    of_layer = found.text("key") == "batch_size"
    if not expected or found.cut("size") or (expected == _LAYERS and not of_layer):
        return
    if log.state.pop(_SHAPE, False) and not (log.has_rank or found.line.follows):
        log.run.warn("the first dimension of the input is broken or lost")
        log.state[_STATE] = _LAYERS
        return
    if found.has("size") and found.count("size") > 0:
        log.state[_STATE] = False
        log.run.fact("batch", found.count("size"))
    elif not of_layer:
        # Dimensions that follow one that is not a batch are not a batch either.
        log.state[_STATE] = _LAYERS


def _shape(log: Log, found: Found) -> None:
    """Expect a dimension in the next line."""
    del found
    log.state[_SHAPE] = True


def _name(log: Log, found: Found) -> None:
    """Take the network's name, which is the first line of its definition."""
    if log.state.pop(_HEAD, False) and found.line.follows and not found.cut():
        log.run.fact("model", found.text())


def _number_type(log: Log, found: Found) -> None:
    if log.state.get(_NETWORKS) == 1 and not found.cut():
        log.run.fact("dtype", found.text())


def _engine(log: Log, found: Found) -> None:
    if log.state.get(_NETWORKS) == 1 and not found.cut():
        log.run.fact("engine", found.text())


def _dropped(log: Log, found: Found) -> None:
    """Count a layer that is computed as part of another; later networks drop theirs again."""
    del found
    if log.run.started:
        log.begin()
    if _NETWORKS not in log.state:
        facts = log.run.facts
        facts["folded_layers"] = facts.get("folded_layers", 0) + 1


def _kernel(log: Log, found: Found) -> None:
    log.run.fact("options", {"blas_kernel": found.text("kernel")})


def _doubt(log: Log, found: Found) -> None:
    log.run.warn(found.text("doubt"))


def _backward(log: Log, found: Found) -> None:
    if log.state.get(_NETWORKS, 0) <= 1:
        log.run.notes[_BACKWARD if found.text("need") == "needs" else _NO_BACKWARD] = 1


def lacks_loss(run: Run) -> bool:
    """Whether the log shows that the network has no loss."""
    return _NO_BACKWARD in run.notes and _BACKWARD not in run.notes


def used_device(log: Log, found: Found) -> None:
    """Store whether it runs on the CPU or on GPUs, from the group `gpus`."""
    log.run.fact("device", "cpu" if found.text("gpus") == "CPU" else "gpu")


def _rule(needle: bytes, key: str) -> Rule:
    return Rule(
        needle,
        re.compile(rf"\s*(?P<key>{key}): (?:(?P<size>{COUNT})|-\d+)$"),
        _batch,
        open_end=True,
    )


def start_rule(take: Callable[[Log, Found], None]) -> Rule:
    """Return the rule for the line before a definition."""
    needle = b"Initializing net from parameters:"
    return Rule(needle, re.compile(glog.PREFIX + needle.decode()), take)


# Parts of lines that give the batch, or whose it is.
MARKS = (
    b"Initializing net",
    b"from parameters:",
    b"batch_s",
    b"h_size: ",
    b" dim: ",
    b"input_dim: ",
)
DEVICE_PATTERNS = (
    (b"Use CPU.", re.compile(glog.PREFIX + r"Use (?P<gpus>CPU)\.$")),
    (b"Use GPU with ", re.compile(glog.PREFIX + r"Use GPU with device ID (?P<gpus>\d+)$")),
)
RULES = (
    Rule(b'name: "', re.compile(r'name: "([\w.+-]{1,60})"$'), _name),
    Rule(
        b"default_forward_type: ",
        re.compile(r"default_forward_type: (\w{1,20})$"),
        _number_type,
    ),
    # Printed by our launcher (backends/caffe/launch.py), before the binary starts.
    Rule(
        b"benchdock: OpenBLAS",
        re.compile(r"benchdock: OpenBLAS runs its kernel (?P<kernel>\w{1,40})$"),
        _kernel,
    ),
    Rule(
        b"benchdock: warning: ", re.compile(r"benchdock: warning: (?P<doubt>\S.{0,299})$"), _doubt
    ),
    Rule(b'engine: "', re.compile(r'engine: "([\w:,]{1,40})"$'), _engine),
    Rule(b"Dropped ", re.compile(glog.PREFIX + r"Dropped [lL]ayer: \S"), _dropped),
    Rule(
        b" backward computation",
        re.compile(glog.PREFIX + r"\S+ (?P<need>needs|does not need) backward computation\."),
        _backward,
    ),
    Rule(b"shape {", re.compile(r"\s*shape \{$"), _shape),
    _rule(b"batch_size: ", "batch_size"),
    _rule(b"input_dim: ", "input_dim"),
    _rule(b" dim: ", "dim"),
)
