"""Writes a suite file: YAML that a person can read and change."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import yaml

from orchestrator.dlbs.arrangement import Group, Run, arrange, constant, frozen

_LONGEST_NAME = 40
_MOST_NAMED = 3
_NOT_IN_NAMES = re.compile("[^a-z0-9]+")
# Text that no reader of YAML takes for a number or a word such as `no`.
_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_.:/+-]*[A-Za-z0-9_]", re.ASCII)
_WORDS = ("true", "false", "null", "yes", "no", "on", "off", "y", "n")


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One run of a suite: its keys, its tags and how often it runs."""

    keys: Run
    tags: tuple[str, ...] = ()
    repeat: int = 1


class _Dumper(yaml.SafeDumper):
    """Puts in quotes what might be read as something else."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> Any:
        """Indent lists too."""
        del indentless
        return super().increase_indent(flow, False)

    def ignore_aliases(self, data: Any) -> bool:
        """Write equal values in full."""
        del data
        return True


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.Node:
    plain = _PLAIN.fullmatch(text) and text.lower() not in _WORDS
    style = None if plain else '"' if not text.isprintable() else "'"
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


def _list(dumper: yaml.SafeDumper, values: list[Any]) -> yaml.Node:
    """Write a list on one line, unless it contains mappings."""
    flow = not any(isinstance(value, dict) for value in values)
    return dumper.represent_sequence("tag:yaml.org,2002:seq", values, flow_style=flow)


_Dumper.add_representer(str, _text)
_Dumper.add_representer(list, _list)


def write(name: str, entries: Sequence[Entry], head: Iterable[str]) -> str:
    """Return the text of a suite with these runs; `head` are lines of comments."""
    comments = "".join(f"# {line}\n" for line in head)
    document = suite(name, entries)
    body = yaml.dump(
        document,
        Dumper=_Dumper,
        sort_keys=False,
        default_flow_style=None,
        width=100,
        allow_unicode=True,
    )
    return comments + body


def suite(name: str, entries: Sequence[Entry]) -> dict[str, Any]:
    """Return a suite as plain values."""
    common = constant([entry.keys for entry in entries])
    repeats = {entry.repeat for entry in entries}
    document: dict[str, Any] = {"schema": 1, "name": slug(name) or "dlbs"}
    if common:
        document["defaults"] = common
    if len(repeats) == 1 and repeats != {1}:
        document["repeat"] = entries[0].repeat
    groups: dict[str, Any] = {}
    for part in _alike(entries):
        rest = [{k: v for k, v in one.keys.items() if k not in common} for one in part]
        for group in arrange(rest):
            repeat = part[0].repeat if len(repeats) > 1 else 1
            groups[_free(_name(group), groups)] = _group(group, part[0].tags, repeat)
    document["groups"] = groups
    return document


def slug(text: str) -> str:
    """Return text as a name of a suite, a group or a tag; "" if nothing is left of it."""
    return _NOT_IN_NAMES.sub("-", text.lower()).strip("-")[:_LONGEST_NAME].strip("-")


def _alike(entries: Sequence[Entry]) -> list[list[Entry]]:
    """Split runs by tags and by how often they run: a group has these once."""
    parts: dict[tuple[tuple[str, ...], int], list[Entry]] = {}
    for entry in entries:
        parts.setdefault((entry.tags, entry.repeat), []).append(entry)
    return list(parts.values())


def _name(group: Group) -> str:
    """Return a name that says which networks or programs a group has."""
    for key in ("model", "framework"):
        values = [group.defaults[key]] if key in group.defaults else group.matrix.get(key, ())
        if 0 < len(values) <= _MOST_NAMED:
            return slug("-".join(map(str, values)))
    return "all"


def _free(name: str, taken: Mapping[str, Any]) -> str:
    number, free = 2, name
    while free in taken:
        free = f"{name[: _LONGEST_NAME - 5]}-{number}"
        number += 1
    return free


def _group(group: Group, tags: Sequence[str], repeat: int) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if tags:
        found["tags"] = list(tags)
    if repeat != 1:
        found["repeat"] = repeat
    if group.matrix and group.defaults:
        found["defaults"] = dict(group.defaults)
    if group.matrix:
        found["matrix"] = {key: list(values) for key, values in group.matrix.items()}
    else:
        found["runs"] = [{**group.defaults, **run} for run in group.runs]
    if group.override:
        found["override"] = [
            {"when": {key: value}, "set": dict(set_)} for key, value, set_ in group.override
        ]
    return found


def repeated(found: Iterable[tuple[Run, tuple[str, ...]]]) -> list[Entry]:
    """Return each run once, with the number of times it occurs."""
    counts: dict[Any, tuple[Run, tuple[str, ...], int]] = {}
    for keys, tags in found:
        identity = frozen(keys)
        first, labels, count = counts.get(identity, (keys, tags, 0))
        counts[identity] = first, tuple(dict.fromkeys((*labels, *tags))), count + 1
    return [Entry(keys=k, tags=t, repeat=n) for k, t, n in counts.values()]
