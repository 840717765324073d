"""The cells of a suite, and the digest of their content.

Cells hold plain dictionaries: a record of each would take a second and 120 MB per 100,000. Every
value was checked once, when the file was read.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from pathlib import PurePath
from typing import TYPE_CHECKING, Any, NamedTuple

from orchestrator.request import Request

if TYPE_CHECKING:
    from orchestrator.suites.reader import Steps

CONTROL = "control"
SCHEMA = 1
USUAL = {
    name: field.get_default(call_default_factory=True)
    for name, field in Request.model_fields.items()
    if not field.is_required()
}

Settings = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Origin:
    """The part of a suite that a cell comes from; `axes` are the keys that vary in it."""

    path: Steps
    group: str
    priority: int
    tags: tuple[str, ...] = ()
    axes: tuple[str, ...] = ()


class Cell(NamedTuple):
    """One request of a suite. `digest` identifies its content, `repeat` is how often it runs.

    A named tuple: there may be 100,000, and it is made three times as fast as a frozen dataclass.
    """

    settings: Settings
    digest: str
    repeat: int
    origin: Origin
    claim: str | None = None

    @property
    def is_control(self) -> bool:
        """Whether it is there to distinguish the machine from the frameworks."""
        return self.origin.group == CONTROL

    @property
    def title(self) -> str:
        """Return the words for people."""
        if self.claim is not None:
            return f"claim {self.claim}"
        return title_of(self.settings, self.origin)


class Excluded(NamedTuple):
    """A cell that a rule of the suite leaves out."""

    settings: Settings
    origin: Origin
    rule: Steps
    why: str

    @property
    def title(self) -> str:
        """Return the words for people."""
        return title_of(self.settings, self.origin)


class Expansion(NamedTuple):
    """All cells in the order of the file; `merged` counts those that an override made equal."""

    cells: tuple[Cell, ...]
    excluded: tuple[Excluded, ...]
    merged: int


def title_of(settings: Settings, origin: Origin) -> str:
    """Return model, framework, and the keys that vary."""
    words = [settings["model"], settings["framework"]]
    words += [
        f"{key}={shown(settings[key])}"
        for key in origin.axes
        if key in settings and key not in ("model", "framework")
    ]
    return " ".join(words)


def shown(value: Any) -> str:
    """Write a value of a key for people."""
    if isinstance(value, str | int):  # first, because most values are
        return str(value)
    if isinstance(value, tuple):
        return ",".join(map(str, value))
    if isinstance(value, dict):
        return ",".join(f"{key}={text}" for key, text in value.items())
    return str(value)


def over(under: Settings, news: Mapping[str, Any]) -> Settings:
    """Put settings over others; which GPUs and how many replace each other."""
    for one, other in (("gpus", "devices"), ("devices", "gpus")):
        if one in news and other in under:
            under = {key: value for key, value in under.items() if key != other}
    return {**under, **news}


def digest_of(settings: Settings) -> str:
    """Return the digest of a request's content: what is written, apart from usual values."""
    return digest_of_content(content_of(settings))


def digest_of_content(content: str) -> str:
    """Return the digest of a content."""
    return sha256(content.encode("utf-8", "surrogatepass")).hexdigest()


def content_of(settings: Settings) -> str:
    """Return what identifies a request's content: its keys in order, without usual values."""
    return as_content(as_part(name, settings[name]) for name in sorted(settings))


def as_content(parts: Iterable[str]) -> str:
    """Put the parts of a content together; they are in the order of their keys."""
    return f"[{SCHEMA},{{{''.join(parts)[1:]}}}]"


def as_part(name: str, value: Any) -> str:
    """Return a key and its value as JSON after a comma, "" for a usual value."""
    return _written(name, value) if isinstance(value, dict) else _remembered(name, value)


def _written(name: str, value: Any) -> str:
    if value == USUAL.get(name):
        return ""
    told = json.dumps(value, sort_keys=True, separators=(",", ":"), default=_as_text)
    return f',"{name}":{told}'


# Values of one key have one type, so that 1 and true are not mixed up.
_remembered = lru_cache(maxsize=None)(_written)


def _as_text(value: object) -> str:
    assert isinstance(value, PurePath), type(value)
    return str(value)
