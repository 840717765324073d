"""Readers of single values; each raises argparse's error for what it refuses."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable
from typing import TypeVar

from orchestrator.errors import BenchdockError, quoted

T = TypeVar("T")

# Nobody limits a program to less; who leaves the unit away means another one.
_LEAST_WITHOUT_UNIT = 2**20


def whole(least: int, most: int | None = None) -> Callable[[str], int]:
    """Return what reads a whole number within bounds."""

    def read(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            raise argparse.ArgumentTypeError(f"{quoted(text)} is not a whole number") from None
        if value < least:
            raise argparse.ArgumentTypeError(f"{value} is too small, the least is {least}")
        if most is not None and value > most:
            raise argparse.ArgumentTypeError(f"{value} is too large, the most is {most:,}")
        return value

    return read


positive = whole(least=1)
not_negative = whole(least=0)


def given(text: str) -> str:
    """Read a name, which is more than nothing."""
    if not text:
        raise argparse.ArgumentTypeError("it is empty")
    return text


def recorded(text: str) -> str:
    """Read what goes into a result, which is UTF-8 as every record of ours."""
    try:
        text.encode()
    except UnicodeEncodeError:
        raise argparse.ArgumentTypeError(f"{quoted(text)} is not valid UTF-8") from None
    return text


def scripted(text: str) -> str:
    """Read what goes into a launcher script, which holds no control characters."""
    if any(ord(c) < 32 or 127 <= ord(c) < 160 for c in recorded(text)):
        raise argparse.ArgumentTypeError(f"{quoted(text)} has a control character")
    return text


def path(text: str) -> str:
    """Read a path; `~` stands for a home also where no shell replaced it."""
    return os.path.expanduser(given(text))


def recorded_path(text: str) -> str:
    """Read a path that goes into a result, and into a script."""
    return scripted(path(text))


def size(text: str) -> int:
    """Read a size such as 512m or 4GiB, in bytes."""
    from orchestrator.units import parse_size

    count = _converted(parse_size, text)
    if count < _LEAST_WITHOUT_UNIT and text.rstrip()[-1].isdigit():
        raise argparse.ArgumentTypeError(f"{text!r} is in bytes; write it with a unit, like 4g")
    return count


def duration(text: str) -> float:
    """Read a duration such as 90s or 10m, in seconds."""
    from orchestrator.units import parse_duration

    return _converted(parse_duration, text)


def _converted(convert: Callable[[str], T], text: str) -> T:
    try:
        return convert(text)
    except BenchdockError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def gpu_choice(text: str) -> str | tuple[int, ...]:
    """Read "all", "none" or a list of GPU indices such as 0,1."""
    if text in ("all", "none"):
        return text
    words = text.split(",")
    if not all(word.isascii() and word.isdigit() for word in words):
        raise argparse.ArgumentTypeError(
            f"{quoted(text)} is neither all, none nor indices such as 0,1"
        )
    indices = tuple(map(int, words))
    if len(set(indices)) < len(indices):
        raise argparse.ArgumentTypeError(f"{text!r} names a GPU twice")
    return indices


def option(text: str) -> tuple[str, str]:
    """Read KEY=VALUE."""
    key, equals, value = scripted(text).partition("=")
    if not equals or not key:
        raise argparse.ArgumentTypeError(f"{quoted(text)} is not KEY=VALUE")
    return key, value
