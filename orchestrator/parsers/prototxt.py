"""The batch of a Caffe network, from the definition that Caffe writes to its log.

`Initializing net from parameters:` is followed by the network as it is built. The data layer comes
first, so the first batch size, or first dimension of an input, is the batch of one device: NVCaffe
writes the definition after it divided the batch among the GPUs, the other forks never divide it.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from orchestrator.parsers import glog
from orchestrator.parsers.log import Log
from orchestrator.parsers.numbers import COUNT, Found
from orchestrator.parsers.vendor import Rule

_STATE = "definition"
_LAYERS, _SHAPE = "layers", "shape"


def definition(log: Log, found: Found) -> None:
    """Expect the batch of the network whose definition begins here, if it is the first."""
    del found
    # The networks after the first are those of the test phase.
    log.state[_STATE] = _STATE not in log.state


def _batch(log: Log, found: Found) -> None:
    expected = log.state.get(_STATE)
    of_layer = found.text("key") == "batch_size"
    if not expected or found.cut("size") or (expected == _LAYERS and not of_layer):
        return
    start = log.state.pop(_SHAPE, None)
    if start is not None and not log.has_rank and found.line.number != start + 1:
        log.run.warn("the first dimension of the input is broken or lost")
        log.state[_STATE] = _LAYERS
        return
    if found.has("size") and found.count("size") > 0:
        log.state[_STATE] = False
        log.run.fact("batch", found.count("size"))
    elif not of_layer:
        # The dimensions after one that is no batch are none either.
        log.state[_STATE] = _LAYERS


def _shape(log: Log, found: Found) -> None:
    """Expect a dimension in the next line."""
    log.state[_SHAPE] = found.line.number


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


# Parts of lines that tell the batch, or whose it is.
MARKS = (
    b"Initializing net",
    b"from parameters:",
    b"batch_s",
    b"h_size: ",
    b" dim: ",
    b"input_dim: ",
)
BATCH_RULES = (
    Rule(b"shape {", re.compile(r"\s*shape \{$"), _shape),
    _rule(b"batch_size: ", "batch_size"),
    _rule(b"input_dim: ", "input_dim"),
    _rule(b" dim: ", "dim"),
)
