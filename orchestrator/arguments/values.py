"""Converters of option values; each raises argparse's error for a bad value."""

from __future__ import annotations

import argparse
import math
import os
import re
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, TypeVar

from orchestrator.errors import BenchdockError, quoted

if TYPE_CHECKING:
    from datetime import date, datetime

T = TypeVar("T")

# Nobody limits a program to less than this, so a number without a unit is a mistake.
_LEAST_WITHOUT_UNIT = 2**20
_LONGEST_TAG = 40
_TAG = re.compile(rf"[A-Za-z0-9][A-Za-z0-9._-]{{0,{_LONGEST_TAG - 1}}}", re.ASCII)


def whole(least: int, most: int | None = None) -> Callable[[str], int]:
    """Return a converter for whole numbers within bounds."""

    def read(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            raise argparse.ArgumentTypeError(f"{quoted(text)} is not a whole number") from None
        if value < least:
            raise argparse.ArgumentTypeError(f"{value} is too small, the minimum is {least}")
        if most is not None and value > most:
            raise argparse.ArgumentTypeError(f"{value} is too large, the maximum is {most:,}")
        return value

    return read


positive = whole(least=1)
not_negative = whole(least=0)


def counts(text: str) -> tuple[int, ...]:
    """Read positive numbers, separated by commas."""
    read = tuple(positive(word) for word in text.split(","))
    return _each_once(text, read)


def names(text: str) -> tuple[str, ...]:
    """Read names, separated by commas."""
    return _each_once(text, tuple(given(word) for word in text.split(",")))


def _each_once(text: str, read: tuple[T, ...]) -> tuple[T, ...]:
    if len(set(read)) < len(read):
        raise argparse.ArgumentTypeError(f"{quoted(text)} has a value twice")
    return read


def given(text: str) -> str:
    """Read a name, which must not be empty."""
    if not text:
        raise argparse.ArgumentTypeError("it is empty")
    return text


def recorded(text: str) -> str:
    """Read text that is recorded in a result, so it must be valid UTF-8."""
    try:
        text.encode()
    except UnicodeEncodeError:
        raise argparse.ArgumentTypeError(f"{quoted(text)} is not valid UTF-8") from None
    return text


def reason(text: str) -> str:
    """Read a reason of a person, which must not be empty."""
    if not text.strip():
        raise argparse.ArgumentTypeError("it is empty")
    return " ".join(recorded(text).split())


def scripted(text: str) -> str:
    """Read text for a launcher script, which must not contain control characters."""
    if any(ord(c) < 32 or 127 <= ord(c) < 160 for c in recorded(text)):
        raise argparse.ArgumentTypeError(f"{quoted(text)} contains a control character")
    return text


def path(text: str) -> str:
    """Read a path and expand `~`, which the shell does not do in every position."""
    return os.path.expanduser(given(text))


def recorded_path(text: str) -> str:
    """Read a path that is recorded in a result and written to a script."""
    return scripted(path(text))


def size(text: str) -> int:
    """Read a size such as 512m or 4GiB, in bytes."""
    from orchestrator.units import parse_size

    count = _converted(parse_size, text)
    if count < _LEAST_WITHOUT_UNIT and text.rstrip()[-1].isdigit():
        raise argparse.ArgumentTypeError(f"{text!r} would be bytes; add a unit, such as 4g")
    return count


def duration(text: str) -> float:
    """Read a duration such as 90s or 10m, in seconds."""
    from orchestrator.units import parse_duration

    return _converted(parse_duration, text)


def waiting(text: str) -> float:
    """Read how long to wait, in seconds; forever is infinite."""
    return math.inf if text == "forever" else duration(text)


def _converted(convert: Callable[[str], T], text: str) -> T:
    try:
        return convert(text)
    except BenchdockError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def tag(text: str) -> str:
    """Read a tag of a run, which may be typed anywhere without quotes."""
    if not _TAG.fullmatch(text):
        raise argparse.ArgumentTypeError(
            f"{quoted(text)} is not a tag; use at most {_LONGEST_TAG} letters, digits, and . _ -"
        )
    return text


def moment(text: str) -> datetime:
    """Read a local time such as 2026-01-31 or 2026-01-31T20:15, or an age such as 7d."""
    from datetime import UTC, datetime, timedelta

    from orchestrator.units import parse_duration

    with suppress(ValueError, OverflowError):
        return datetime.fromisoformat(text).astimezone()
    with suppress(BenchdockError):
        return datetime.now(UTC) - timedelta(seconds=parse_duration(text))
    raise argparse.ArgumentTypeError(
        f"{quoted(text)} is not a time; write it like 2026-01-31, 2026-01-31T20:15 or 7d"
    )


def day(text: str) -> date:
    """Read a day such as 2026-01-31."""
    from datetime import date

    try:
        return date.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"{quoted(text)} is not a day such as 2026-03-31"
        ) from None


def gpu_choice(text: str) -> str | tuple[int | str, ...]:
    """Read "all", "none", or GPU indices and UUIDs such as 0,1."""
    from orchestrator.request import gpu_choice as read

    try:
        return read(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{quoted(text)} {error}") from None


def option(text: str) -> tuple[str, str]:
    """Read KEY=VALUE."""
    key, equals, value = scripted(text).partition("=")
    if not equals or not key:
        raise argparse.ArgumentTypeError(f"{quoted(text)} is not of the form KEY=VALUE")
    return key, value
