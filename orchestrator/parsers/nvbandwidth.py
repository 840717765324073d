"""Reads reports of NVIDIA's nvbandwidth, as text and as JSON (-j).

Each test prints a matrix, in GB/s or, for latencies, in ns, and the sum of its entries. A pair
without a copy is N/A, of old releases 0.00. (https://github.com/NVIDIA/nvbandwidth)
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from orchestrator.metric import Metric
from orchestrator.parsers.contract import LogParser, ParseHints
from orchestrator.parsers.numbers import NUMBER, Line, as_number
from orchestrator.parsers.reports import (
    DIGITS,
    GIGA,
    Form,
    Refused,
    Report,
    ReportParser,
    member,
    number,
    one_run,
)
from orchestrator.stats import median
from orchestrator.units import BYTES_PER_SECOND, SECONDS

program = "nvbandwidth"

_NAME = r"[a-z]\w{2,80}"
_VERSION = re.compile(r"nvbandwidth Version: v?(\S{1,20})$")
_RUNNING = re.compile(rf"Running ({_NAME})\.$")
_UNIT = re.compile(r".{3,100} \(?(GB/s|ns)\)$")
_CELLS = re.compile(r"\s*[\w.-]{1,40}((?:\s+(?:\d+\.\d\d|N/A))+)$")
_SUM = re.compile(rf"SUM ({_NAME}) ({NUMBER})$")
_DEVICE = re.compile(r"Device (\d{1,3}): ")
_ERROR = re.compile(r"(?:Error|ERROR)\b.{0,20}: |\[?\w{2,5}_ERROR")
_KNOWN = (_VERSION, _RUNNING, _UNIT, _CELLS, _SUM, _DEVICE, _ERROR)
_JSON = re.compile(r'\s*"(?:nvbandwidth|bandwidth_(?:matrix|description)|testcases)"\s*:')

_UNITS = {"GB/s": (BYTES_PER_SECOND, GIGA), "ns": (SECONDS, 1e-9)}
_HALF = 0.005  # what two decimals round by
_SIX_DIGITS = 1e-5


@dataclass(kw_only=True)
class _Matrix:
    """A matrix so far, in its own unit; None for pairs without a copy."""

    test: str
    unit: str
    line: Line
    rows: list[list[float | None]] = field(default_factory=list)


def _known(text: str) -> bool:
    return _JSON.match(text) is not None or any(pattern.match(text) for pattern in _KNOWN)


def _split(lines: Sequence[Line]) -> list[list[Line]]:
    return one_run(lines, lambda text: _VERSION.match(text) is not None)


def _read(lines: Sequence[Line]) -> Report:
    metrics: dict[str, Metric] = {}
    evidence: list[Line] = []
    for matrix, key, line in _matrices(lines):
        if any(name.startswith(key) for name in metrics):
            raise Refused(f"{key} is reported twice", line, "contradiction")
        metrics |= _figures(key, matrix.rows, matrix.unit, line)
        evidence.append(line)
    if not metrics:
        raise Refused("no test has a result")
    version = next((found[1] for one in lines if (found := _VERSION.match(one.text))), None)
    devices = {found[1] for one in lines if (found := _DEVICE.match(one.text))}
    facts = {"framework": program, "framework_version": version, "devices": len(devices) or None}
    known = {name: value for name, value in facts.items() if value is not None}
    return Report(metrics=metrics, facts=known, evidence=tuple(evidence))


def _matrices(lines: Sequence[Line]) -> Iterator[tuple[_Matrix, str, Line]]:
    """Yield each matrix with its name and the line of its sum. Raises Refused."""
    test, pending, matrix = "", "", None
    for line in lines:
        if _ERROR.match(line.text):
            raise Refused(f"nvbandwidth reports an error in {test or 'its start'}", line, "crashed")
        if found := _RUNNING.match(line.text):
            _check_ended(matrix, line)
            test, pending = found[1], found[1]
        elif (found := _UNIT.match(line.text)) and test:
            _check_ended(matrix, line)
            matrix = _Matrix(test=test, unit=found[1], line=line)
        elif (found := _CELLS.match(line.text)) and matrix is not None:
            if not line.ended:
                raise Refused(f"the matrix of {test} is cut off", line)
            matrix.rows.append(
                [None if word == "N/A" else float(word) for word in found[1].split()]
            )
        elif found := _SUM.match(line.text):
            if matrix is None or not found[1].startswith(test):
                raise Refused(f"the sum of {found[1]} has no matrix", line)
            _check_sum(matrix, found[1], found[2], line)
            yield matrix, found[1], line
            matrix, pending = None, ""
    _check_ended(matrix, lines[-1])
    if pending:
        raise Refused(f"{pending} has no result: the program did not finish", lines[-1])


def _check_ended(matrix: _Matrix | None, line: Line) -> None:
    if matrix is not None:
        raise Refused(f"the matrix of {matrix.test} has no sum: it is cut off or damaged", line)


def _check_sum(matrix: _Matrix, key: str, told: str, line: Line) -> None:
    """Refuse a matrix whose entries do not add up. Raises Refused."""
    printed = as_number(told)
    if printed is None or not line.ended:
        raise Refused(f"the sum of {key} is cut off", line)
    cells = [value for row in matrix.rows for value in row if value is not None]
    whole = math.fsum(cells)
    if len({len(row) for row in matrix.rows}) != 1 or not cells:
        raise Refused(f"the matrix of {key} is damaged", line)
    if not abs(whole - printed) <= _HALF * (len(cells) + 1):
        raise Refused(
            f"the entries of {key} add up to {whole:.2f}, the log says {told}", line,
            "contradiction",
        )  # fmt: skip


def _figures(
    key: str, rows: Sequence[Sequence[float | None]], unit: str, line: Line | None = None
) -> dict[str, Metric]:
    """Return the median and the worst entry of a matrix. Raises Refused."""
    square = len(rows) == len(rows[0])
    values = [
        value
        for place, row in enumerate(rows)
        for column, value in enumerate(row)
        # Old releases print 0.00 for a device and itself.
        if value is not None and not (square and place == column and value == 0)
    ]
    if not values or not min(values) > 0 or not max(values) < math.inf:
        raise Refused(f"an entry of {key} is 0 or not a number", line)
    name, scale = _UNITS[unit]
    worst = min(values) if unit == "GB/s" else max(values)
    return {
        key: Metric(value=median(values) * scale, unit=name),
        f"{key}_worst": Metric(value=worst * scale, unit=name),
    }


def _document(found: Any) -> Report:
    """Read the JSON document. Raises Refused."""
    root = member(found, "nvbandwidth")
    tests = member(root, "testcases")
    if error := member(root, "error"):
        raise Refused(f"nvbandwidth reports an error: {str(error)[:200]}", None, "crashed")
    if not isinstance(tests, list):
        raise Refused("the document has no tests: the program did not finish")
    metrics: dict[str, Metric] = {}
    for test in tests:
        metrics |= _test(test)
    if not metrics:
        raise Refused("no test has a result")
    version = member(root, "version")
    devices = member(root, "GPU Device list")
    facts: dict[str, Any] = {"framework": program}
    if isinstance(version, str):
        facts["framework_version"] = version.removeprefix("v")
    if isinstance(devices, list) and devices:
        facts["devices"] = len(devices)
    return Report(metrics=metrics, facts=facts)


def _test(test: Any) -> dict[str, Metric]:
    """Read a test of the JSON document; none for one that was waived. Raises Refused."""
    name, status = member(test, "name"), member(test, "status")
    if not isinstance(name, str) or not re.fullmatch(_NAME, name):
        raise Refused("a test has no name")
    if status == "Waived":
        return {}
    if status != "Passed" or member(test, "error"):
        raise Refused(f"{name} did not pass: {str(status)[:40]}", None, "crashed")
    unit = _UNIT.match(str(member(test, "bandwidth_description")))
    rows = _entries(member(test, "bandwidth_matrix"), name)
    total = number(member(test, "sum"))
    if unit is None or total is None:
        raise Refused(f"{name} has no unit or no sum")
    # Three matrices of a bidirectional test are one below the other; the sum is of the last.
    for part in (rows, rows[-(len(rows) // 3) :] if len(rows) % 3 == 0 else rows):
        whole = math.fsum(value for row in part for value in row if value is not None)
        if abs(whole - total) <= _SIX_DIGITS * total:
            return _figures(name, part, unit[1])
    raise Refused(f"the entries of {name} do not add up to its sum", None, "contradiction")


def _entries(matrix: Any, name: str) -> list[list[float | None]]:
    if not isinstance(matrix, list) or not matrix:
        raise Refused(f"{name} has no matrix")
    rows: list[list[float | None]] = []
    for row in matrix:
        if not isinstance(row, list) or not row or len(row) != len(matrix[0]):
            raise Refused(f"the matrix of {name} is damaged")
        rows.append([])
        for word in row:
            value = as_number(word) if isinstance(word, str) else None
            if value is None and word != "N/A":
                raise Refused(f"an entry of {name} is not a number")
            rows[-1].append(value)
    return rows


FORM = Form(
    program=program,
    # Lines of a matrix have nothing else in common than numbers with two decimals.
    needles=(
        *(b"nvbandwidth", b"Running ", b"GB/s)", b"(ns)", b".00", b"N/A", b"SUM ", b"Device 0"),
        *(b"Device 00", b"rror", b"ERROR", b'"bandwidth_', b'"testcases"'),
    ),
    known=_known,
    split=_split,
    read=_read,
    document=_document,
    table=DIGITS,
)


def Parser(hints: ParseHints) -> LogParser:  # noqa: N802 (a class by contract)
    """Start on a new log."""
    return ReportParser(FORM, hints)
