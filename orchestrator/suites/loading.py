"""Reads a suite file, with the one it extends; every mistake has its line and column."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from orchestrator.errors import RequestError, nearest, quoted
from orchestrator.suites import reader
from orchestrator.suites.models import KEYS, Budget, Gate, Group, Override, Suite
from orchestrator.suites.reader import Document, Mark, Steps, mistake

_WORD = re.compile("'([^']*)'")
_RUN_KEYS = (*KEYS, "claim", "repeat")
# Of each part of a file, by the last of its fixed names.
_KEYS: dict[str, tuple[str, ...]] = {
    "budget": tuple(Budget.model_fields),
    "gate": tuple(Gate.model_fields),
    "override": tuple(Override.model_fields),
    "exclude": (*KEYS, "why"),
    "control": _RUN_KEYS,
    "runs": _RUN_KEYS,
    **dict.fromkeys(("defaults", "matrix", "zip", "when", "set"), KEYS),
}
_TOP = tuple("schema" if name == "schema_version" else name for name in Suite.model_fields)


@dataclass(frozen=True, kw_only=True)
class Loaded:
    """A suite and where its parts stand. Relative paths in it start from `folder`."""

    suite: Suite
    folder: Path
    documents: tuple[Document, ...] = ()

    def place(self, path: Steps, *, key: bool = False) -> Mark | None:
        """Return the place of a value (or of its key), None if the suite is not from a file."""
        for document in self.documents:
            if path[: 2 if path[:1] == ("groups",) else 1] in document.marks:
                return document.key_place(path) if key else document.place(path)
        return self.documents[0].place(()) if self.documents else None

    def mistake(self, path: Steps, what: str, hint: str = "", *, key: bool = False) -> RequestError:
        """Return the error for a part of the suite."""
        where = f"{written(path)}: {what}" if path else what
        mark = self.place(path, key=key)
        if mark is None:
            return RequestError(where, hint=hint)
        return mistake(mark, where, hint)


def written(path: Steps) -> str:
    """Write a path as in messages: groups.cnn.runs.0."""
    return ".".join(str(step)[:60] for step in path)


def load(path: Path) -> Loaded:
    """Read a suite file. Raises RequestError."""
    document = reader.read(path)
    suite = _suite(document)
    if suite.extends is None:
        return _complete(Loaded(suite=suite, folder=path.absolute().parent, documents=(document,)))
    base_path = path.parent / suite.extends
    at = document.place(("extends",))
    if base_path.resolve() == path.resolve():
        raise mistake(at, "extends: a suite cannot extend itself")
    try:
        base_document = reader.read(base_path)
    except RequestError as error:
        if str(error).startswith("cannot read"):
            raise mistake(at, f"extends: {error}") from None
        raise
    base = _suite(base_document)
    if base.extends is not None:
        what = f"extends: {suite.extends} extends another file; only one level is allowed"
        raise mistake(at, what, f"use extends: {base.extends}")
    documents = (document, base_document)
    merged = _merged(base, suite)
    return _complete(Loaded(suite=merged, folder=path.absolute().parent, documents=documents))


def _complete(loaded: Loaded) -> Loaded:
    if not loaded.suite.groups:
        raise loaded.mistake(("groups",), "a suite needs at least one group", key=True)
    return loaded


def _suite(document: Document) -> Suite:
    if not isinstance(document.data, dict):
        raise mistake(document.place(()), "a suite file starts with schema: 1 and name: NAME")
    try:
        return Suite.model_validate(document.data)
    except ValidationError as error:
        raise _first(document, error) from None


def _merged(base: Suite, own: Suite) -> Suite:
    """Put a suite over the one that it extends: key by key, groups by name."""
    given = own.model_fields_set
    update: dict[str, Any] = {
        name: getattr(own, name) for name in given if name not in ("defaults", "budget", "gate")
    }
    for name in ("defaults", "budget", "gate"):
        under, over = getattr(base, name), getattr(own, name)
        news = {key: getattr(over, key) for key in over.model_fields_set}
        update[name] = under.model_copy(update=news)
    update["groups"] = {**base.groups, **own.groups}
    return base.model_copy(update=update)


def _first(document: Document, error: ValidationError) -> RequestError:
    """Return the mistake that stands first; a mistake before what is therefore missing."""
    found = []
    for one in error.errors(include_url=False):
        path = _known(document, one["loc"])
        unknown = one["type"] == "extra_forbidden"
        mark = document.key_place(path) if unknown else document.place(path)
        late = one["type"] in ("missing", "too_short")
        found.append(((late, mark.line, mark.column), mark, path, one))
    _, mark, path, one = min(found, key=lambda entry: entry[0])
    what, hint = told(path, one)
    if one["type"] == "missing":
        path = tuple(one["loc"])
    where = f"{written(path)}: " if path else ""
    return mistake(mark, f"{where}{what}", hint)


def _known(document: Document, steps: tuple[int | str, ...]) -> Steps:
    """Return a path without what pydantic adds to it, such as the branch of a union."""
    path = tuple(steps)
    while path and path not in document.marks:
        path = path[:-1]
    return path


def told(path: Steps, one: Any) -> tuple[str, str]:
    """Say what is wrong, and what to write instead."""
    given = quoted(str(one["input"]))
    what = one["msg"].removeprefix("Value error, ").replace("Input should", "it should")
    hint = ""
    match one["type"]:
        case _ if one["input"] is None:
            what, hint = "it is empty", "remove the key or give it a value"
        case "extra_forbidden":
            key = str(path[-1])
            near = nearest(key, _keys_of(path))
            what, hint = f"unknown key {quoted(key)}", f"did you mean {near!r}?" if near else ""
        case "missing":
            what = "it is missing"
        case "literal_error" | "enum":
            known = one["ctx"]["expected"]
            near = nearest(str(one["input"]), _WORD.findall(known))
            what, hint = (
                f"{given} is unknown",
                f"did you mean {near!r}?" if near else f"use {known}",
            )
        case "string_pattern_mismatch" if path[-1:] == ("name",) or path[:1] == ("groups",):
            what = f"{given} is not a name"
            hint = "use up to 40 lower-case letters, digits and hyphens"
        case "too_short":
            what = "the list is empty"
        case "tuple_type":
            what = "it should be a list, such as [1, 2]"
        case "dict_type" | "model_type" | "model_attributes_type":
            what = "it should be a mapping, such as {batch: 8}"
    return " ".join(what.split())[:300], hint


def _keys_of(path: Steps) -> tuple[str, ...]:
    """Return the keys that may stand beside the last one of a path."""
    if len(path) == 1:
        return _TOP
    if path[0] == "groups" and len(path) == 3:
        return tuple(Group.model_fields)
    after = path[2:-1] if path[0] == "groups" else path[:-1]
    named = [step for step in after if step in _KEYS]
    return _KEYS[str(named[-1])] if named else KEYS
