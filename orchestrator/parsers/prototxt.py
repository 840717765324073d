"""The batch of a Caffe network, from the definition that Caffe writes to its log.

`Initializing net from parameters:` is followed by the network as it is built. The data layer comes
first, so the first batch size, or first dimension of an input, is the batch of one device: NVCaffe
writes the definition after it divided the batch among the GPUs, the other forks never divide it.
"""

from __future__ import annotations

import re

from orchestrator.parsers import glog
from orchestrator.parsers.numbers import COUNT, Found
from orchestrator.parsers.run import Log
from orchestrator.parsers.vendor import Rule

_STATE = "definition"


def _definition(log: Log, found: Found) -> None:
    # The networks after the first are those of the test phase.
    del found
    log.state[_STATE] = _STATE not in log.state


def _batch(log: Log, found: Found) -> None:
    if log.state.get(_STATE) and not found.cut() and found.count() > 0:
        log.state[_STATE] = False
        log.run.fact("batch", found.count())


def _rule(needle: bytes, key: str) -> Rule:
    return Rule(needle, re.compile(rf"\s*{key}: ({COUNT})$"), _batch)


START = re.compile(glog.PREFIX + r"Initializing net from parameters:")
RULES = (
    Rule(b"Initializing net from parameters:", START, _definition),
    _rule(b"batch_size: ", "batch_size"),
    _rule(b"input_dim: ", "input_dim"),
    _rule(b" dim: ", "dim"),
)
