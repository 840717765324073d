"""Reads JSON and remembers where each value stands."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NoReturn

from orchestrator.errors import RequestError, quoted
from orchestrator.record_files import read_given

LARGEST = 2**20  # bytes
_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[{}\[\]:,]|[^\s{}\[\]:,"]+', re.DOTALL)

Steps = tuple[str | int, ...]


@dataclass(frozen=True, kw_only=True)
class Text:
    """A JSON text, read. `source` is its name in messages: a file or an option."""

    source: str
    text: str
    value: Any

    def place(self, path: Steps) -> str:
        """Return source:line:column of a key or of an element, or of the nearest one around it."""
        while path and path not in self._offsets:
            path = path[:-1]
        return _place(self.source, self.text, self._offsets.get(path, [0])[0])

    def repeated(self) -> Iterator[tuple[str, Steps]]:
        """Yield each key that an object has twice, with the place of the second."""
        for path, offsets in self._offsets.items():
            for offset in offsets[1:]:
                yield _place(self.source, self.text, offset), path

    def mistake(self, path: Steps, what: str, hint: str = "") -> RequestError:
        """Return the error for a part of the text: one line, whatever the text contains."""
        return RequestError(f"{self.place(path)}: {_line(what)}", hint=_line(hint))

    @cached_property
    def _offsets(self) -> dict[Steps, list[int]]:
        return _offsets(self.text)


def read(path: Path) -> Text:
    """Read a file of at most 1 MiB. Raises RequestError."""
    data = read_given(path, LARGEST, so=", so it is not a configuration of DLBS")
    try:
        return parse(data.decode("utf-8").removeprefix("\ufeff"), str(path))
    except UnicodeDecodeError as error:
        before = data[: error.start].decode("utf-8")
        raise RequestError(
            f"{_place(str(path), before, len(before))}: this is not UTF-8",
            hint="save the file as UTF-8",
        ) from None


def parse(text: str, source: str) -> Text:
    """Read a text. Raises RequestError with the line and column of a mistake."""
    try:
        value = json.loads(text, parse_constant=_refuse_constant)
    except json.JSONDecodeError as error:
        hint = _hint(text, error.pos)
        where = _place(source, text, error.pos)
        raise RequestError(f"{where}: this is not JSON: {error.msg}", hint=hint) from None
    except RecursionError:
        raise RequestError(f"{source} is nested too deep to be a configuration") from None
    except ValueError as error:  # NaN, or a number with thousands of digits
        raise RequestError(f"cannot read {source}: {error}") from None
    return Text(source=source, text=text, value=value)


def _refuse_constant(word: str) -> NoReturn:
    raise ValueError(f"{word} is not a value of JSON")


def _hint(text: str, offset: int) -> str:
    """Say what to do about the usual mistakes."""
    rest = text[offset:].lstrip()
    if rest.startswith(("//", "#", "/*")):
        return "remove the comment: JSON has none"
    if rest.startswith("'"):
        return "use double quotes"
    if rest.startswith(("}", "]")) and text[:offset].rstrip().endswith(","):
        return "remove the comma before it"
    return ""


def _place(source: str, text: str, offset: int) -> str:
    line = text.count("\n", 0, offset) + 1
    return f"{source}:{line}:{offset - text.rfind(chr(10), 0, offset)}"


def _line(text: str) -> str:
    """Return text that fits on one line, with escapes for what does not print."""
    return text if text.isprintable() else ascii(text)[1:-1]


def _offsets(text: str) -> dict[Steps, list[int]]:
    """Return where each member and element of a valid text stands."""
    found: dict[Steps, list[int]] = {(): [0]}
    path: list[str | int] = []
    # Per open bracket: whether it is an object, and whether a key is next.
    open_: list[bool] = []
    key_next = False
    for match in _TOKEN.finditer(text):
        token = match[0]
        if token in "}]":
            open_.pop()
            path.pop()
            key_next = False
        elif token == ",":
            key_next = open_[-1]
            if not open_[-1]:
                path[-1] = int(path[-1]) + 1
        elif token == ":":
            key_next = False
        elif key_next:
            path[-1] = json.loads(token)
            found.setdefault(tuple(path), []).append(match.start())
        else:
            if open_ and not open_[-1]:
                found[tuple(path)] = [match.start()]
            if token in "{[":
                open_.append(token == "{")
                path.append("" if token == "{" else 0)
                key_next = token == "{"
    return found


def shown(value: Any) -> str:
    """Return a value as JSON for a message, cut if it is long."""
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 60 else f"{text[:57]}..."


def listed(names: list[str], most: int = 5) -> str:
    """Return quoted names for a message, and how many more there are."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(map(quoted, names[:most])) + more
