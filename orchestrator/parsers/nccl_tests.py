"""Reads logs of NVIDIA's nccl-tests: all_reduce_perf, all_gather_perf and the others.

A table has one row per message size, with time (us), algorithm and bus bandwidth (GB/s) out of
place and in place; the summary has the mean of all bus bandwidths. Columns differ by release, so
the header names them. (https://github.com/NVIDIA/nccl-tests/blob/master/doc/PERFORMANCE.md)
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from orchestrator.metric import Metric
from orchestrator.parsers.contract import LogParser, ParseHints
from orchestrator.parsers.numbers import NUMBER, Line, as_number
from orchestrator.parsers.reports import GIGA, Form, Refused, Report, ReportParser, one_run
from orchestrator.stats import mean
from orchestrator.units import BYTES_PER_SECOND

program = "nccl_tests"

_TYPES = "u?int(?:8|32|64)|half|float|double|bfloat16|f8e[45]m[23]|fp8_e[45]m[23]"
_ROW = re.compile(rf"\s*(?P<size>\d{{1,18}})\s+\d{{1,18}}\s+(?:{_TYPES})\s")
_HEADER = re.compile(r"#\s+size\s+count\s+type\s.*\s(?:cpu)?time\s+algbw\s+busbw\s")
_START = re.compile(r"# Collective test starting: (\w{1,40})$")
_NCCL = re.compile(r"# nccl-tests version \S{1,20} nccl-headers=\d+ nccl-library=(\d{3,6})$")
_RANK = re.compile(r"#\s+Rank\s+(\d{1,6}) .*\bdevice\s")
_OUT = re.compile(r"#? ?Out of bounds values *: (\d{1,15}) (OK|FAILED)$")
_MEAN = re.compile(rf"#? ?Avg bus bandwidth *: ({NUMBER})(?: (OK|FAILED))?$")
_END = re.compile(r"# Collective test concluded")
_FAILED = re.compile(r".{0,200}\bTest (?:NCCL|CUDA)? ?failure\b")
_KNOWN = (_ROW, _HEADER, _START, _NCCL, _RANK, _OUT, _MEAN, _FAILED)

_FIXED = ("size", "count", "type", "redop", "root")
# The mean is of values that are not rounded, and of all threads, whose clocks differ with -a 0.
_AGREE = 0.02
_ROUNDED = 0.0051 * GIGA


@dataclass(frozen=True, kw_only=True)
class _Cell:
    """One measurement of a message: seconds, bytes/s; `wrong` values, None if not checked."""

    time: float
    algorithm: float
    bus: float
    wrong: float | None
    doubt: float  # relative error by rounding


@dataclass(frozen=True, kw_only=True)
class _Row:
    size: int
    kind: tuple[str, ...]
    cells: tuple[_Cell, ...]
    line: Line


def _known(text: str) -> bool:
    return any(pattern.match(text) for pattern in _KNOWN)


def _split(lines: Sequence[Line]) -> list[list[Line]]:
    """Cut a log into runs: each has one header, and most say before it which program starts."""
    named = any(_START.match(line.text) for line in lines)
    return one_run(lines, lambda text: bool((_START if named else _HEADER).match(text)))


def _read(lines: Sequence[Line]) -> Report:
    for line in lines:
        if _FAILED.match(line.text):
            raise Refused("the program reports a failure", line, "crashed")
    header = next((line for line in lines if _HEADER.match(line.text)), None)
    if header is None:
        raise Refused("the log has no table: the program did not get so far")
    columns = header.text.replace("#wrong", "wrong").lstrip("#").split()
    if "cputime" in columns:
        raise Refused("the times are those of the CPU (-C): they say nothing of bandwidth", header)
    rows = [_row(line, columns) for line in lines if _ROW.match(line.text)]
    if not rows:
        raise Refused("the table has no row: the program did not finish", header)
    _check_wrong(rows, lines)
    printed, line = _printed_mean(lines)
    _check_whole(rows, printed, line)
    return _report(rows, lines, printed, line)


def _row(line: Line, columns: Sequence[str]) -> _Row:
    """Read a row by the names of its columns. Raises Refused."""
    words = line.text.split()
    if columns[-1] == "timestamp":  # a date and a time
        words.pop()
    fixed = [name for name in columns if name in _FIXED]
    names, values = columns[len(fixed) :], words[len(fixed) :]
    if not line.ended or len(names) != len(values):
        raise Refused("a row of the table is cut off, or other output is in it", line)
    cells = tuple(_cells(line, names, values))
    return _Row(size=int(words[0]), kind=tuple(words[2 : len(fixed)]), cells=cells, line=line)


def _cells(line: Line, names: Sequence[str], values: Sequence[str]) -> Iterator[_Cell]:
    starts = [place for place, name in enumerate(names) if name == "time"]
    for start, end in zip(starts, [*starts[1:], len(names)], strict=True):
        told = dict(zip(names[start:end], values[start:end], strict=True))
        wrong = told.get("wrong", "N/A")
        time = _value(told, "time", line)
        if not time:
            raise Refused("a row of the table has no time", line)
        yield _Cell(
            time=time * 1e-6,
            algorithm=_value(told, "algbw", line) * GIGA,
            bus=_value(told, "busbw", line) * GIGA,
            wrong=None if wrong == "N/A" else _value(told, "wrong", line),
            doubt=sum(_rounding(told[name]) for name in ("time", "algbw", "busbw")),
        )


def _value(told: Mapping[str, str], name: str, line: Line) -> float:
    """Return a number of a row. Raises Refused."""
    value = as_number(told.get(name, ""))
    if value is None or not 0 <= value < math.inf:
        raise Refused(f"the {name} of a row of the table cannot be read", line)
    return value


def _rounding(text: str) -> float:
    """Return the largest relative error of a printed number."""
    value = float(text)
    digits = text.partition("e")[0].partition(".")[2]
    scale = 10.0 ** (math.floor(math.log10(value)) if "e" in text and value else 0)
    return 0.5 * scale * 10.0 ** -len(digits) / value if value else math.inf


def _check_wrong(rows: Sequence[_Row], lines: Sequence[Line]) -> None:
    for row in rows:
        for cell in row.cells:
            if cell.wrong:
                told = f"{cell.wrong:g} values of a message of {row.size:,} bytes are wrong"
                raise Refused(told, row.line, "contradiction")
    out = next((found for line in lines if (found := _OUT.match(line.text))), None)
    if out is not None and (out[2] == "FAILED" or int(out[1])):
        raise Refused(f"{out[1]} results are out of bounds", None, "contradiction")


def _printed_mean(lines: Sequence[Line]) -> tuple[float, Line]:
    found = [(match, line) for line in lines if (match := _MEAN.match(line.text))]
    if not any(_OUT.match(line.text) for line in lines) or not found:
        raise Refused("the log has no summary: the program did not finish", lines[-1])
    (match, line), *more = found
    printed = as_number(match[1])
    if printed is None or not line.ended or more:
        raise Refused("the summary is cut off or printed twice", line)
    return printed * GIGA, line


def _check_whole(rows: Sequence[_Row], printed: float, line: Line) -> None:
    """Refuse a table whose figures do not belong together. Raises Refused.

    Bandwidth is size over time times a constant, and the printed mean is that of all rows.
    """
    whole = mean([cell.bus for row in rows for cell in row.cells])
    if abs(whole - printed) > _AGREE * printed + _ROUNDED:
        raise Refused(
            f"the rows have a mean of {whole / GIGA:.6g} GB/s, the summary says "
            f"{printed / GIGA:.6g}: rows are missing or damaged",
            line,
            "contradiction",
        )
    for name in ("algorithm", "bus"):
        found = [
            (getattr(cell, name) * cell.time / row.size, cell.doubt, row)
            for row in rows
            for cell in row.cells
            if row.size and math.isfinite(cell.doubt)
        ]
        if not found:
            continue
        usual, doubt, _ = min(found, key=lambda one: one[1])
        for value, error, row in found:
            if abs(value - usual) > (1.01 * (error + doubt) + 1e-4) * max(value, usual):
                raise Refused(
                    "a row's bandwidth is not its size over its time", row.line, "contradiction"
                )


def _report(rows: Sequence[_Row], lines: Sequence[Line], printed: float, line: Line) -> Report:
    metrics = {"bus_bandwidth_mean": Metric(value=printed, unit=BYTES_PER_SECOND)}
    largest = max(rows, key=lambda row: row.size)
    warnings = list(_doubts(rows, lines, printed))
    evidence: tuple[Line, ...] = (line,)
    if len({row.kind for row in rows}) > 1:
        warnings.append("the table has several number types or operations: only the mean is taken")
    else:
        for name, cell in zip(
            ("bus_bandwidth", "bus_bandwidth_in_place"), largest.cells[-2:], strict=False
        ):
            metrics[name] = Metric(value=cell.bus, unit=BYTES_PER_SECOND)
        evidence = (largest.line, line)
    ranks = [int(found[1]) for one in lines if (found := _RANK.match(one.text))]
    started = next((found[1] for one in lines if (found := _START.match(one.text))), None)
    nccl = next((found[1] for one in lines if (found := _NCCL.match(one.text))), None)
    facts = {
        "mode": started,
        "devices": len(set(ranks)) or None,
        "dtype": rows[0].kind[0] if len({row.kind[0] for row in rows}) == 1 else None,
        "framework": "nccl" if nccl else None,
        "framework_version": nccl,
        "largest_message": largest.size,
    }
    known = {name: value for name, value in facts.items() if value is not None}
    return Report(metrics=metrics, facts=known, evidence=evidence, warnings=tuple(warnings))


def _doubts(rows: Sequence[_Row], lines: Sequence[Line], printed: float) -> Iterator[str]:
    counts = any(_HEADER.match(line.text) and "#wrong" in line.text for line in lines)
    if counts and all(cell.wrong is None for row in rows for cell in row.cells):
        yield "the values were not checked (-c 0)"
    whole = mean([cell.bus for row in rows for cell in row.cells])
    if abs(whole - printed) > _ROUNDED + 1e-5 * printed:
        yield (
            f"the rows have a mean of {whole / GIGA:.6g} GB/s, the summary says "
            f"{printed / GIGA:.6g}"
        )
    if any((found := _MEAN.match(line.text)) and found[2] == "FAILED" for line in lines):
        yield "the bandwidth is less than 90 % of NCCL_TESTS_MIN_BW"


FORM = Form(
    program=program,
    needles=(
        *(b"int8 ", b"int32 ", b"int64 ", b"half ", b"float ", b"double ", b"bfloat16 "),
        *(b"m3 ", b"m2 ", b"busbw", b"Collective test starting", b"nccl-tests version", b"Rank "),
        *(b"Out of bounds values", b"Avg bus bandwidth", b"Test NCCL", b"Test CUDA", b"Test fail"),
    ),
    known=_known,
    split=_split,
    read=_read,
)


def Parser(hints: ParseHints) -> LogParser:  # noqa: N802 (a class by contract)
    """Start on a new log."""
    return ReportParser(FORM, hints)
