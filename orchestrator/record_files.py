"""Reads records from files, even foreign ones; an error becomes one line."""

from __future__ import annotations

import json
from collections.abc import Collection
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from orchestrator.errors import RequestError, nearest

Record = TypeVar("Record", bound=BaseModel)

# A result with 10^6 raw step times takes about 20 MiB.
LARGEST = 128 * 2**20
_OURS = ", so it is not a file of benchdock"
# As pydantic calls it in a model and in a dataclass.
_UNKNOWN_KEY = ("extra_forbidden", "unexpected_keyword_argument")


# Notes of benchdock beside a result are short.
LARGEST_NOTE = 2**20


def read_json(path: Path, largest: int) -> Any:
    """Return the JSON of a small file; None if there is no such file, or if it is not valid."""
    try:
        if not path.is_file():  # a pipe would never end
            return None
        with path.open("rb") as stream:
            data = stream.read(largest + 1)
        return json.loads(data) if len(data) <= largest else None
    except (OSError, ValueError, RecursionError):
        return None


def may_exist(path: Path) -> bool:
    """Whether a file exists or access is denied; opening it shows which."""
    try:
        return path.exists()
    except OSError:
        return True


def refuse_stream(path: Path) -> None:
    """Raise RequestError for a file that cannot be read twice or never ends."""
    try:
        stream = path.exists() and not path.is_file() and not path.is_dir()
    except OSError:  # no permission to look; opening it will say why
        return
    if stream:
        raise RequestError(f"{path} is a pipe or a device", hint="save it to a file first")


def first_mistake(error: ValidationError, keys: Collection[str] = ()) -> str:
    """Describe the first mistake in words that are safe to print, since names in a file are not
    trusted.

    One of `keys` is suggested for a key that the record does not have.
    """
    # A mistyped key is also a missing one; the typing mistake is more useful.
    mistakes = error.errors(include_input=False, include_url=False)
    mistake = min(mistakes, key=lambda one: one["type"] not in _UNKNOWN_KEY)
    where = ".".join(map(str, mistake["loc"]))[:100]
    what = mistake["msg"].removeprefix("Value error, ").replace("Input should", "it should")[:200]
    if mistake["type"] == "missing":
        what = "it is missing"
    elif mistake["type"] in _UNKNOWN_KEY:
        key = str(mistake["loc"][-1])
        near = nearest(key, keys)
        if near == key:
            what = "this key belongs elsewhere in the record"
        else:
            what = "unknown key" + (f", did you mean {near!r}?" if near else "")
    elif where == "schema":
        what += "; it was written by another version of benchdock"
    text = " ".join(f"{where}: {what}".split()) if where else what
    return text if text.isprintable() else ascii(text)


def read_record(
    kind: type[Record], data: bytes, name: str, *, keys: Collection[str] = ()
) -> Record:
    """Read a record from JSON; `keys` are those that may be suggested.

    Raises RequestError that says where the mistake is.
    """
    try:
        return kind.model_validate_json(data)
    except ValidationError as error:
        raise RequestError(f"cannot read {name}: {first_mistake(error, keys)}") from None


def read_bytes(path: Path, largest: int = LARGEST, *, so: str = _OURS, hint: str = "") -> bytes:
    """Read a file of at most `largest` bytes. Raises OSError, and RequestError for anything else.

    `so` ends the sentence about a larger one.
    """
    refuse_stream(path)
    with path.open("rb") as stream:
        data = stream.read(largest + 1)
    if len(data) > largest:
        limit = f"{largest // 2**20} MiB" if largest >= 2**20 else f"{largest // 1024} KiB"
        raise RequestError(f"{path} is larger than {limit}{so}", hint=hint)
    return data


def read_given(path: Path, largest: int, *, so: str = "", hint: str = "") -> bytes:
    """Read a file that the user named, as `read_bytes` does. Raises RequestError."""
    try:
        return read_bytes(path, largest, so=so, hint=hint)
    except OSError as error:
        raise RequestError(f"cannot read {path}: {error.strerror or error}") from None


def read_file(kind: type[Record], path: Path, *, keys: Collection[str] = ()) -> Record:
    """Read a record from a file of at most 128 MiB, as `read_record` does. Raises RequestError."""
    data = read_given(path, LARGEST, so=_OURS)
    return read_record(kind, data, str(path), keys=keys)
