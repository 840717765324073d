"""Reads records that lie in files, whoever wrote them: what is wrong becomes one line."""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from orchestrator.errors import RequestError

Record = TypeVar("Record", bound=BaseModel)

# A result with 10^6 raw step times takes about 20 MiB.
LARGEST = 128 * 2**20


def may_exist(path: Path) -> bool:
    """Whether a file is there, or nobody may look; whoever opens it learns which."""
    try:
        return path.exists()
    except OSError:
        return True


def refuse_stream(path: Path) -> None:
    """Raise RequestError for what cannot be read twice, or never ends."""
    try:
        stream = path.exists() and not path.is_file() and not path.is_dir()
    except OSError:  # nobody can tell, and whoever opens it will say why
        return
    if stream:
        raise RequestError(f"{path} is a pipe or a device", hint="save it to a file first")


def first_mistake(error: ValidationError) -> str:
    """Put the first mistake in words that are safe to print: names in a file are not trusted."""
    mistake = error.errors(include_input=False, include_url=False)[0]
    where = ".".join(map(str, mistake["loc"]))[:100]
    what = mistake["msg"].removeprefix("Value error, ").replace("Input should", "it should")[:200]
    if mistake["type"] == "missing":
        what = "it is missing"
    elif where == "schema":
        what += ": another version of benchdock wrote it"
    text = " ".join(f"{where}: {what}".split()) if where else what
    return text if text.isprintable() else ascii(text)


def read_record(kind: type[Record], data: bytes, name: str) -> Record:
    """Read a record from JSON. Raises RequestError that says where it is wrong."""
    try:
        return kind.model_validate_json(data)
    except ValidationError as error:
        raise RequestError(f"{name} cannot be understood: {first_mistake(error)}") from None


def read_file(kind: type[Record], path: Path) -> Record:
    """Read a record from a file of at most 128 MiB. Raises RequestError."""
    refuse_stream(path)
    try:
        with path.open("rb") as stream:
            data = stream.read(LARGEST + 1)
    except OSError as error:
        raise RequestError(f"cannot read {path}: {error.strerror or error}") from None
    if len(data) > LARGEST:
        raise RequestError(f"{path} is larger than {LARGEST // 2**20} MiB and no record of ours")
    return read_record(kind, data, str(path))
