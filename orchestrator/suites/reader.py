"""Reads YAML without surprises, and remembers where each value stands.

PyYAML's events and a builder of our own: a duplicate key is an error that names both lines, `no`,
`on` and `1:30` are text, tags are refused, and aliases cannot multiply without limit.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

import yaml

from orchestrator.errors import RequestError, quoted
from orchestrator.record_files import read_given

LARGEST = 2**20  # bytes
MOST_NODES = 200_000  # 10,000 explicit runs have 70,000
DEEPEST = 40
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
# What YAML allows in a file (1.2, section 5.1), apart from the byte order mark.
_FORBIDDEN = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_WORDS: dict[str, Any] = {"true": True, "false": False, "null": None, "~": None, "": None}
_INTEGER = re.compile(r"[-+]?(0|[1-9][0-9]{0,18})", re.ASCII)
_FLOAT = re.compile(
    r"[-+]?(\d{1,30}\.\d{0,30}|\.\d{1,30}|\d{1,30}(?=[eE]))([eE][-+]?\d{1,4})?", re.ASCII
)

Steps = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Mark:
    """A place in a file; line and column count from 1."""

    file: str
    line: int
    column: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


@dataclass(frozen=True)
class Document:
    """What a file contains, and the place of each value and of each key (`keys`)."""

    file: str
    data: Any
    marks: dict[Steps, Mark]
    keys: dict[Steps, Mark] = field(default_factory=dict)

    def place(self, path: Steps) -> Mark:
        """Return the place of a value, or of the nearest one around it."""
        while path and path not in self.marks:
            path = path[:-1]
        return self.marks.get(path) or Mark(self.file, 1, 1)

    def key_place(self, path: Steps) -> Mark:
        """Return the place of the key of a value."""
        return self.keys.get(path) or self.place(path)


def mistake(mark: Mark, what: str, hint: str = "") -> RequestError:
    """Return the error for a place of a file: one line, whatever the file contains."""
    text = what if what.isprintable() else ascii(what)[1:-1]
    return RequestError(f"{mark}: {text}", hint=hint)


def read(path: Path) -> Document:
    """Read a file of at most 1 MiB. Raises RequestError."""
    return parse(read_given(path, LARGEST, hint="use a matrix instead of runs"), str(path))


def parse(data: bytes, name: str) -> Document:
    """Read the contents of a file. Raises RequestError."""
    text = _decoded(data, name)
    return _Builder(name).build(text)


def _decoded(data: bytes, name: str) -> str:
    if data.startswith((b"\xff\xfe", b"\xfe\xff")) or b"\0" in data[:4]:
        raise RequestError(f"{name} is in UTF-16 or UTF-32", hint="save it as UTF-8")
    try:
        text = data.decode("utf-8").removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        column = error.start - (data.rfind(b"\n", 0, error.start) + 1) + 1
        raise mistake(
            Mark(name, line, column), "this is not UTF-8", "save the file as UTF-8"
        ) from None
    if found := _FORBIDDEN.search(text):
        start = found.start()
        mark = Mark(name, text.count("\n", 0, start) + 1, start - text.rfind("\n", 0, start))
        raise mistake(mark, f"a file cannot contain the character U+{ord(found[0]):04X}")
    return text


def plain(text: str) -> Any:
    """Return what a word without quotes means: true, false, null, a number or text."""
    if text in _WORDS:
        return _WORDS[text]
    if _INTEGER.fullmatch(text):
        return int(text)
    return float(text) if _FLOAT.fullmatch(text) else text


class _Builder:
    """Builds values from events."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._marks: dict[Steps, Mark] = {}
        self._keys: dict[Steps, Mark] = {}
        self._anchors: dict[str, tuple[Any, int]] = {}
        self._nodes = 0
        self._events: Iterator[Any] = iter(())

    def build(self, text: str) -> Document:
        try:
            self._events = iter(yaml.parse(text, Loader=_LOADER))
            data = self._documents()
        except yaml.MarkedYAMLError as error:
            self._refuse_syntax(error)
        except yaml.YAMLError as error:
            raise RequestError(
                f"cannot read {self._name}: {' '.join(str(error).split())}"
            ) from None
        return Document(self._name, data, self._marks, self._keys)

    def _refuse_syntax(self, error: yaml.MarkedYAMLError) -> NoReturn:
        at = error.problem_mark or error.context_mark
        mark = self._mark(at) if at else Mark(self._name, 1, 1)
        words = " ".join(f"{error.context or ''} {error.problem or ''}".split())
        raise mistake(mark, f"this is not YAML: {words[:200]}") from None

    def _mark(self, at: Any) -> Mark:
        return Mark(self._name, at.line + 1, at.column + 1)

    def _documents(self) -> Any:
        data, documents = None, 0
        for event in self._events:
            if not isinstance(event, yaml.DocumentStartEvent):
                continue
            documents += 1
            if documents > 1:
                raise mistake(self._mark(event.start_mark), "only one document is allowed")
            data = self._node(next(self._events), ())
        if not documents:
            raise RequestError(f"{self._name} is empty")
        return data

    def _node(self, event: Any, path: Steps) -> Any:
        if path not in self._marks:
            self._marks[path] = self._mark(event.start_mark)
        if isinstance(event, yaml.AliasEvent):
            return self._alias(event)
        before = self._nodes
        self._count(1, event)
        if event.tag is not None:
            raise mistake(
                self._mark(event.start_mark), f"the tag {quoted(event.tag)} is not allowed"
            )
        if isinstance(event, yaml.ScalarEvent):
            value = self._scalar(event)
        elif len(path) >= DEEPEST:
            raise mistake(self._mark(event.start_mark), f"nested deeper than {DEEPEST} levels")
        elif isinstance(event, yaml.MappingStartEvent):
            value = self._mapping(path)
        else:
            value = self._sequence(path)
        if event.anchor is not None:
            self._anchors[event.anchor] = value, self._nodes - before
        return value

    def _count(self, nodes: int, event: Any) -> None:
        self._nodes += nodes
        if self._nodes > MOST_NODES:
            raise mistake(
                self._mark(event.start_mark),
                f"more than {MOST_NODES:,} values, those behind aliases included",
                "use a matrix instead",
            )

    def _alias(self, event: Any) -> Any:
        if event.anchor not in self._anchors:
            raise mistake(
                self._mark(event.start_mark), f"nothing above is called &{event.anchor[:40]}"
            )
        value, nodes = self._anchors[event.anchor]
        self._count(nodes, event)
        return value

    def _scalar(self, event: Any) -> Any:
        value = plain(event.value) if event.implicit[0] else event.value
        if isinstance(value, float) and not math.isfinite(value):
            raise mistake(self._mark(event.start_mark), f"{event.value} is too large")
        return value

    def _sequence(self, path: Steps) -> list[Any]:
        values: list[Any] = []
        for event in self._events:
            if isinstance(event, yaml.SequenceEndEvent):
                break
            values.append(self._node(event, (*path, len(values))))
        return values

    def _mapping(self, path: Steps) -> dict[str, Any]:
        values: dict[str, Any] = {}
        for event in self._events:
            if isinstance(event, yaml.MappingEndEvent):
                break
            key = self._key(event)
            inner = (*path, key)
            if key in values:
                first = self._keys[inner]
                raise mistake(
                    self._mark(event.start_mark),
                    f"the key {quoted(key)} is here a second time; the first is in line "
                    f"{first.line}",
                )
            self._keys[inner] = self._mark(event.start_mark)
            values[key] = self._node(next(self._events), inner)
        return values

    def _key(self, event: Any) -> str:
        self._count(1, event)
        if not isinstance(event, yaml.ScalarEvent):
            raise mistake(self._mark(event.start_mark), "a key must be a word")
        if event.value == "<<":
            raise mistake(
                self._mark(event.start_mark), "merge keys (<<) are not allowed", "use defaults"
            )
        return str(event.value)
