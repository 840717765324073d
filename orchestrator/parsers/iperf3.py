"""Reads reports of iperf3, as text and as JSON (-J): what the receiver got per second.

The text has bytes in powers of 1024 and bits in powers of 1000, with three or four digits.
(https://software.es.net/iperf/)
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from orchestrator.metric import Metric
from orchestrator.parsers.contract import LogParser, ParseHints
from orchestrator.parsers.numbers import Line, as_number
from orchestrator.parsers.reports import (
    Form,
    Refused,
    Report,
    ReportParser,
    member,
    number,
    one_run,
)
from orchestrator.units import BYTES_PER_SECOND, DIMENSIONLESS, SECONDS

program = "iperf3"

_DIGITS = r"\d{1,7}(?:\.\d{1,3})?"
_CONNECTING = re.compile(r"Connecting to host (\S{1,200}), port \d+$")
_ACCEPTED = re.compile(r"Accepted connection from \S{1,200}, port \d+$")
_SUMMARY = re.compile(
    r"\[ *(?P<stream>\d{1,6}|SUM)\](?P<role>\[[TR]X-[CS]\])?\s+"
    rf"(?P<start>\d+\.\d+)-(?P<end>\d+\.\d+)\s+sec\s+(?P<size>{_DIGITS}) (?P<bytes>[KMGT]?)Bytes"
    rf"\s+(?P<rate>{_DIGITS}) (?P<bits>[KMGT]?)bits/sec"
    r"(?:\s+(?P<jitter>\d+\.\d{3}) ms"
    r"\s+(?P<lost>\d+)/(?P<packets>\d+) \((?P<share>[\d.e+-]{1,10})%\)"
    r"|\s+(?P<again>\d{1,9}))?"
    r"\s+(?P<who>sender|receiver)$"
)
_DONE = re.compile(r"iperf Done\.$")
_ERROR = re.compile(r"iperf3: (error|interrupt)\b.{0,200}")
_KNOWN = (_CONNECTING, _ACCEPTED, _SUMMARY, _DONE, _ERROR)
_JSON = re.compile(r'\s*"(?:sum_(?:sent|received)(?:_bidir_reverse)?|test_start|version)"\s*:')

_BINARY = {"": 1.0, "K": 2.0**10, "M": 2.0**20, "G": 2.0**30, "T": 2.0**40}
_DECIMAL = {"": 1.0, "K": 1e3, "M": 1e6, "G": 1e9, "T": 1e12}
_DIRECTIONS = {"": "", "TX": "_sent", "RX": "_received"}


@dataclass(frozen=True, kw_only=True)
class _Row:
    """A line of the summary: bytes and bits per second of a stream, or of all (SUM)."""

    stream: str
    direction: str
    who: str
    rate: float
    again: int | None
    jitter: float | None
    lost: float | None
    line: Line


def _known(text: str) -> bool:
    return _JSON.match(text) is not None or any(pattern.match(text) for pattern in _KNOWN)


def _split(lines: Sequence[Line]) -> list[list[Line]]:
    starts = (_CONNECTING, _ACCEPTED)
    return one_run(lines, lambda text: any(start.match(text) for start in starts))


def _read(lines: Sequence[Line]) -> Report:
    for line in lines:
        if _ERROR.match(line.text):
            raise Refused(line.text[:200], line, "crashed")
    client = any(_CONNECTING.match(line.text) for line in lines)
    if client and not any(_DONE.match(line.text) for line in lines):
        raise Refused("iperf3 did not finish: the log has no 'iperf Done.'", lines[-1])
    rows = [_row(line, match) for line in lines if (match := _SUMMARY.match(line.text))]
    metrics: dict[str, Metric] = {}
    evidence: list[Line] = []
    for direction in dict.fromkeys(row.direction for row in rows):
        of_it = [row for row in rows if row.direction == direction]
        got = _whole([row for row in of_it if row.who == "receiver"], "receiver")
        metrics |= _figures(direction, got, _whole_sent(of_it))
        evidence.append(got.line)
    if not metrics:
        raise Refused("the log has no summary of the receiver: iperf3 did not finish")
    return Report(metrics=metrics, facts={"framework": program}, evidence=tuple(evidence))


def _row(line: Line, found: re.Match[str]) -> _Row:
    """Read a line of the summary; its bytes, time and rate must agree. Raises Refused."""
    seconds = float(found["end"]) - float(found["start"])
    size = float(found["size"]) * _BINARY[found["bytes"]]
    rate = float(found["rate"]) * _DECIMAL[found["bits"]]
    if not line.ended or seconds <= 0 or rate <= 0:
        raise Refused("a line of the summary is cut off or not plausible", line)
    slack = _rounding(found["size"]) + _rounding(found["rate"]) + 0.01 / seconds + 0.001
    if abs(8 * size / seconds / rate - 1) > slack:
        raise Refused("the rate is not the bytes over the time", line, "contradiction")
    packets = int(found["packets"]) if found["packets"] else 0
    lost = int(found["lost"]) / packets if packets else None
    if lost is not None and not _is_share(lost, found["share"]):
        raise Refused("the lost packets are not that share of all", line, "contradiction")
    return _Row(
        stream=found["stream"],
        direction=(found["role"] or "").strip("[]").partition("-")[0],
        who=found["who"],
        rate=rate / 8,
        again=int(found["again"]) if found["again"] else None,
        jitter=float(found["jitter"]) * 1e-3 if found["jitter"] else None,
        lost=lost,
        line=line,
    )


def _is_share(lost: float, percent: str) -> bool:
    """Whether a share is the printed percentage, which has two digits."""
    told = as_number(percent)
    return told is not None and abs(100 * lost - told) <= 0.06 * max(told, 100 * lost)


def _rounding(text: str) -> float:
    """Return the largest relative error of a printed number."""
    value, digits = float(text), len(text.partition(".")[2])
    return 0.5 * 10.0**-digits / value if value else 1.0


def _whole(rows: Sequence[_Row], who: str) -> _Row:
    """Return the line of all streams. Raises Refused."""
    sums = [row for row in rows if row.stream == "SUM"]
    streams = [row for row in rows if row.stream != "SUM"]
    found = sums or streams
    if len(found) != 1:
        many = "no" if not found else "several"
        raise Refused(f"the summary has {many} lines of the {who} without their sum")
    if sums and streams:
        whole = sum(row.rate for row in streams)
        if abs(whole / sums[0].rate - 1) > 0.02:
            raise Refused("the streams do not add up to their sum", sums[0].line, "contradiction")
    return found[0]


def _whole_sent(rows: Sequence[_Row]) -> _Row | None:
    sent = [row for row in rows if row.who == "sender"]
    return _whole(sent, "sender") if sent else None


def _figures(direction: str, got: _Row, sent: _Row | None) -> dict[str, Metric]:
    end = _DIRECTIONS[direction]
    metrics = {f"bandwidth{end}": Metric(value=got.rate, unit=BYTES_PER_SECOND)}
    if got.jitter is not None:
        metrics[f"jitter{end}"] = Metric(value=got.jitter, unit=SECONDS)
    if got.lost is not None:
        metrics[f"lost{end}"] = Metric(value=got.lost, unit=DIMENSIONLESS)
    if sent is not None and sent.again is not None:
        metrics[f"retransmits{end}"] = Metric(value=float(sent.again), unit=DIMENSIONLESS)
    return metrics


def _document(found: Any) -> Report:
    """Read the JSON document. Raises Refused."""
    if error := member(found, "error"):
        raise Refused(f"iperf3: {str(error)[:200]}", None, "crashed")
    metrics: dict[str, Metric] = {}
    ends = tuple(_sums(member(found, "end")))
    for direction, got, sent in ends:
        end = _DIRECTIONS[direction if len(ends) > 1 else ""]
        metrics[f"bandwidth{end}"] = Metric(value=_rate(got), unit=BYTES_PER_SECOND)
        again = member(sent, "retransmits")
        if isinstance(again, int) and not isinstance(again, bool) and again >= 0:
            metrics[f"retransmits{end}"] = Metric(value=float(again), unit=DIMENSIONLESS)
    if not metrics:
        raise Refused("the document has no end: iperf3 did not finish")
    version = member(found, "start", "version")
    facts = {"framework": program}
    if isinstance(version, str):
        facts["framework_version"] = version.removeprefix("iperf ")[:40]
    return Report(metrics=metrics, facts=facts)


def _sums(end: Any) -> Iterator[tuple[str, Any, Any]]:
    """Yield the direction, what was received and what was sent."""
    for direction, tail in (("TX", ""), ("RX", "_bidir_reverse")):
        got = member(end, f"sum_received{tail}")
        if got is not None:
            yield direction, got, member(end, f"sum_sent{tail}")


def _rate(found: Any) -> float:
    """Return bytes per second; they must be the bytes over the seconds. Raises Refused."""
    bits, size, seconds = (
        number(member(found, name)) for name in ("bits_per_second", "bytes", "seconds")
    )
    if bits is None or size is None or seconds is None:
        raise Refused("the receiver got nothing, or the document is damaged")
    if abs(8 * size / seconds / bits - 1) > 0.001:
        raise Refused("the rate is not the bytes over the time", None, "contradiction")
    return bits / 8


FORM = Form(
    program=program,
    needles=(
        *(b"Connecting to host", b"Accepted connection", b"bits/sec", b"iperf Done", b"iperf3: "),
        *(b'"sum_', b'"test_start"', b'"iperf '),
    ),
    known=_known,
    split=_split,
    read=_read,
    document=_document,
)


def Parser(hints: ParseHints) -> LogParser:  # noqa: N802 (a class by contract)
    """Start on a new log."""
    return ReportParser(FORM, hints)
