"""Turns `error` events of our programs into failures."""

from __future__ import annotations

from orchestrator.parsers import events
from orchestrator.parsers.lines import printable
from orchestrator.result import Failure, FailureKind

_LONGEST_MESSAGE = 1000
_LONGEST_EVIDENCE = 300
_KINDS: dict[str, FailureKind] = {
    "out_of_memory": "out_of_memory",
    "unsupported": "unsupported",
    "data": "data",
    "internal": "crashed",
}


def failure_of(event: events.Error, line: bytes) -> Failure:
    """Return the failure of an event, with its line as evidence."""
    message = printable(event.message.encode("utf-8", "replace"))[:_LONGEST_MESSAGE]
    return Failure(kind=_KINDS[event.kind], message=message, evidence=shown(line))


def told(line: bytes) -> Failure | None:
    """Return the failure in a line with our tag, None if it is not a readable error."""
    line = line[line.find(events.TAG) :]
    if events.is_whole(line) is False:
        return None
    try:
        event = events.read(line)
    except ValueError:
        return None
    return failure_of(event, line) if isinstance(event, events.Error) else None


def shown(line: bytes) -> str:
    """Return the start of a line, for a message."""
    return printable(line[: 4 * _LONGEST_EVIDENCE])[:_LONGEST_EVIDENCE]
