"""Commands that the user types: the one of `-f custom`, in which placeholders such as {batch} are
filled in, and the words of --prefix.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping

from orchestrator.errors import RequestError, unknown
from orchestrator.request import Request

PLACEHOLDERS = (
    "batch", "model", "devices", "steps", "warmup", "dtype", "phase", "data", "source",
)  # fmt: skip
_BRACES = re.compile(r"\{\{|\}\}|\{([^{}]*)\}|[{}]")


def check(command: str, request: Request) -> None:
    """Refuse a command that cannot be split or filled in. Raises RequestError."""
    used = placeholders(command)
    for name in ("data", "source"):
        if name in used and getattr(request, name) is None:
            raise RequestError(
                f"unknown placeholder {{{name}}} in the command", hint=f"use --{name} DIR"
            )


def placeholders(command: str) -> set[str]:
    """Return the names in braces. Raises RequestError for an unknown one."""
    found = set()
    for word in split(command, "--command"):
        for match in _BRACES.finditer(word):
            if match[0] in ("{{", "}}"):
                continue
            name = match[1] or ""
            if name not in PLACEHOLDERS:
                error = unknown("placeholder", match[0], PLACEHOLDERS, listing="benchdock run -h")
                raise RequestError(error.what, hint=f"{error.hint}; write {{{{ or }}}} for a brace")
            found.add(name)
    return found


def words(command: str, values: Mapping[str, object]) -> tuple[str, ...]:
    """Return the words with placeholders replaced by values. Values are never split."""

    def fill(match: re.Match[str]) -> str:
        return match[0][0] if match[0] in ("{{", "}}") else str(values[match[1]])

    placeholders(command)
    return tuple(_BRACES.sub(fill, word) for word in split(command, "--command"))


def split(command: str, option: str) -> list[str]:
    """Split a command into words. Raises RequestError that names the option."""
    try:
        found = shlex.split(command)
    except ValueError as error:
        raise RequestError(
            f"{option} cannot be split into words: {str(error).lower()}",
            hint="quote it as for a shell",
        ) from None
    if not found:
        raise RequestError(f"{option} is empty", hint="use a command and its arguments")
    return found
