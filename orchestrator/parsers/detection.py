"""Detects the program that wrote a log by the lines that its parser knows."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice

from orchestrator.errors import RequestError
from orchestrator.log_formats import LOG_FORMATS
from orchestrator.parsers.collected import CollectedLog
from orchestrator.parsers.contract import LogParser
from orchestrator.result import Measurement

# With the right pattern, `custom` can read any log.
_CANDIDATES = tuple(program for program in LOG_FORMATS if program != "custom")
# A program whose parser also reads the lines of another one, which has a parser too.
_READS_TOO = {"pytorch_imagenet": "torchvision_references"}
# Blocks (about 1 MiB each) that all candidates read; after them, only those with matching lines.
_BLOCKS_FOR_ALL = 4


class _Candidate:
    """A program that may have written the log."""

    def __init__(self, program: str, new_parser: Callable[[str], LogParser]) -> None:
        self.program = program
        self.log = CollectedLog(lambda: new_parser(program))
        self.found: Measurement | None = None

    @property
    def succeeded(self) -> bool:
        """Whether its parser found a result."""
        return self.found is not None and self.found.failure is None

    def known_by(self) -> tuple[int, str]:
        """Return the line that identifies it: the one of the result if there is one."""
        assert self.found is not None  # called only for those with matching lines
        evidence = self.found.begin.evidence or ()
        if self.succeeded and evidence:
            number, text = evidence[-1]
            return int(number), str(text)
        assert self.log.first_taken is not None
        return self.log.first_taken


def find(blocks: Iterator[bytes], new_parser: Callable[[str], LogParser]) -> Measurement:
    """Read a log with every program's parser; return the measurement of the right one.

    Raises RequestError if no program or more than one fits.
    """
    candidates = [_Candidate(program, new_parser) for program in _CANDIDATES]
    _feed(candidates, islice(blocks, _BLOCKS_FOR_ALL))
    candidates = [one for one in candidates if one.log.taken] or candidates
    _feed(candidates, blocks)
    for one in candidates:
        one.found = one.log.finish()
    fitting = _fitting([one for one in candidates if one.log.taken])
    if not fitting:
        raise RequestError(
            "no known program prints any line of the log",
            hint=f"type `benchdock parse PROGRAM LOG` with one of {', '.join(_CANDIDATES)}; for "
            "any other program, `benchdock parse custom LOG --pattern ...`",
        )
    if len(fitting) > 1:
        raise _several(fitting)
    found = fitting[0].found
    assert found is not None
    begin = found.begin.model_copy(update={"known_by": fitting[0].known_by()})
    return found.model_copy(update={"begin": begin})


def _feed(candidates: Sequence[_Candidate], blocks: Iterable[bytes]) -> None:
    for block in blocks:
        for one in candidates:
            one.log.feed(block)


def _fitting(candidates: Sequence[_Candidate]) -> list[_Candidate]:
    """Return those with a result; if none has one, those that know the most lines."""
    taken = {one.program: one.log.taken for one in candidates}
    candidates = [
        one for one in candidates if one.log.taken > taken.get(_READS_TOO.get(one.program, ""), 0)
    ]
    succeeded = [one for one in candidates if one.succeeded]
    if succeeded:
        return succeeded
    most = max((one.log.taken for one in candidates), default=0)
    return [one for one in candidates if one.log.taken == most]


def _several(fitting: Sequence[_Candidate]) -> RequestError:
    names = " or ".join(f"{one.program} (line {one.known_by()[0]})" for one in fitting)
    commands = " or ".join(f"`benchdock parse {one.program} LOG`" for one in fitting)
    return RequestError(f"the log could be of {names}", hint=f"type {commands}")
