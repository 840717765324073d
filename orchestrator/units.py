"""Formats quantities for people, and parses them.

Records keep SI base units (seconds, bytes, samples/s); only what is shown is scaled.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable

from orchestrator.errors import RequestError

SECONDS = "s"
BYTES = "bytes"
SAMPLES_PER_SECOND = "samples/s"
PERCENT = "%"
FLOPS = "FLOP/s"
BYTES_PER_SECOND = "bytes/s"
DIMENSIONLESS = ""

_TIME_SCALES = ((1.0, "s"), (1e-3, "ms"), (1e-6, "us"), (1e-9, "ns"))
_BYTE_UNITS = ("B", "KiB", "MiB", "GiB", "TiB", "PiB")

# As Docker reads them: powers of 1024, in any spelling of the unit.
_SIZE_POWERS = {"": 0, "b": 0, "k": 1, "m": 2, "g": 3, "t": 4}
_SIZE = re.compile(r"(\d+(?:\.\d+)?) ?([kmgt]?)(?:i?b)?", re.ASCII | re.IGNORECASE)
_DURATION_SECONDS = {"d": 86400.0, "h": 3600.0, "m": 60.0, "s": 1.0, "ms": 1e-3}
_DURATION = re.compile(
    "".join(rf"(?:(?P<{unit}>\d+(?:\.\d+)?){unit})?" for unit in _DURATION_SECONDS), re.ASCII
)
_PLAIN_NUMBER = re.compile(r"\d+(?:\.\d+)?", re.ASCII)
_LONGEST_NUMBER = 40
_DIGITS = 4
LARGEST_SIZE = 2**63 - 1
LONGEST_DURATION = 365 * 86400.0


def counted(count: int, noun: str) -> str:
    """Format a number of things: "1 step", "2 steps"."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def _significant(value: float) -> str:
    """Format a number with four significant digits, never in exponent notation."""
    if not math.isfinite(value):
        return str(value)
    if value == 0:
        return "0"
    exponent = int(f"{value:.{_DIGITS - 1}e}".partition("e")[2])
    decimals = max(0, _DIGITS - 1 - exponent)
    return f"{value:,.{min(decimals, 12)}f}"


def _rounded(value: float) -> float:
    """Return a magnitude as it is shown: 1,023.9 MiB is 1 GiB, 999.96 ms is 1 s."""
    return abs(float(f"{value:.{_DIGITS}g}"))


def _seconds(value: float) -> str:
    if not math.isfinite(value):
        return f"{value} s"
    if abs(value) >= 119.5:
        minutes, seconds = divmod(round(value), 60)
        hours, minutes = divmod(minutes, 60)
        return f"{hours} h {minutes:02} min" if hours else f"{minutes} min {seconds:02} s"
    scale, unit = next(
        (pair for pair in _TIME_SCALES if _rounded(value / pair[0]) >= 1),
        _TIME_SCALES[-1] if value else _TIME_SCALES[0],
    )
    return f"{_significant(value / scale)} {unit}"


def _bytes(value: float) -> str:
    if not math.isfinite(value):
        return f"{value} B"
    power = 0
    while _rounded(value) >= 1024 and power < len(_BYTE_UNITS) - 1:
        value = math.copysign(max(1.0, abs(value) / 1024), value)
        power += 1
    digits = _significant(value) if power else f"{value:.0f}"
    return f"{digits} {_BYTE_UNITS[power]}"


def _percent(value: float) -> str:
    return f"{value:.1f} %"


def _decimal(unit: str) -> Callable[[float], str]:
    """Return a format with powers of 1000, as is usual for rates."""

    def scaled(value: float) -> str:
        for power, prefix in ((1e12, "T"), (1e9, "G"), (1e6, "M")):
            if math.isfinite(value) and _rounded(value / power) >= 1:
                return f"{_significant(value / power)} {prefix}{unit}"
        return f"{_significant(value)} {unit}"

    return scaled


_FORMATS: dict[str, Callable[[float], str]] = {
    SECONDS: _seconds,
    BYTES: _bytes,
    PERCENT: _percent,
    FLOPS: _decimal(FLOPS),
    BYTES_PER_SECOND: _decimal("B/s"),
}


def quantity(value: float, unit: str) -> str:
    """Format a value for people; a unit that is not in the table follows the number unchanged."""
    scaled = _FORMATS.get(unit)
    return scaled(value) if scaled else f"{_significant(value)} {unit}".rstrip()


def share(fraction: float) -> str:
    """Format a fraction as a percentage without decimals, spaced like all quantities."""
    return f"{fraction * 100:.0f} %"


def parse_size(text: str) -> int:
    """Read bytes from text like "512m", "4g", "1.5GiB" or "1048576". Raises RequestError."""
    match = _SIZE.fullmatch(text.strip()) if len(text) <= _LONGEST_NUMBER else None
    if match is None:
        raise RequestError(f"{text[:60]!r} is not a size", hint="write it like 512m, 4g or 1.5GiB")
    size = int(float(match[1]) * 1024 ** _SIZE_POWERS[match[2].lower()])
    if not 0 < size <= LARGEST_SIZE:
        raise RequestError(f"size {text!r} is out of range", hint="write it like 512m or 4g")
    return size


def parse_duration(text: str) -> float:
    """Read seconds from text like "90", "90s", "10m" or "1h30m". Raises RequestError."""
    word = text.strip().lower()
    if len(word) > _LONGEST_NUMBER:
        word = ""
    if _PLAIN_NUMBER.fullmatch(word):
        word += "s"
    match = _DURATION.fullmatch(word)
    if not word or match is None:
        raise RequestError(
            f"{text[:60]!r} is not a duration", hint="write it like 90s, 10m or 1h30m"
        )
    parts = match.groupdict(default="0")
    seconds = math.fsum(float(parts[unit]) * size for unit, size in _DURATION_SECONDS.items())
    if not 0 < seconds <= LONGEST_DURATION:
        raise RequestError(f"duration {text!r} is out of range", hint="use 1ms to 365d")
    return seconds
