"""Finds the engine that Docker's command line would use, by reading its settings and contexts.

The SDK ignores broken settings, takes the default context if the chosen one does not exist, and
looks for contexts elsewhere if there is no settings file. It would measure a different engine than
the chosen one.
"""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from orchestrator.errors import MachineError, quoted
from orchestrator.runtimes.docker.answers import member, of_kind, optional
from orchestrator.runtimes.docker.errors import one_line

_WRONG = (OSError, ValueError, TypeError, KeyError, RecursionError)


@dataclass(frozen=True, kw_only=True)
class Endpoint:
    """Where a context's engine answers; `certificates` is a folder with ca, cert and key."""

    host: str
    certificates: Path | None = None
    verify: bool = True


def chosen() -> Endpoint | None:
    """Return the endpoint of DOCKER_CONTEXT, else of the current context, None for the default.

    Raises MachineError for a context that does not exist and for unreadable settings.
    """
    current = _current()
    name = os.environ.get("DOCKER_CONTEXT") or current
    return None if name in ("", "default") else _read(name)


def check_settings() -> None:
    """Raise MachineError for unreadable settings, even if the address is known."""
    _current()


def _settings() -> Path:
    told = os.environ.get("DOCKER_CONFIG")
    return Path(told) if told else Path(os.path.expanduser("~/.docker"))


def _current() -> str:
    path = _settings() / "config.json"
    try:
        settings = of_kind(json.loads(path.read_text("utf-8")), dict, "it")
        return optional(settings, "currentContext", str) or ""
    except (FileNotFoundError, NotADirectoryError):
        return ""
    except _WRONG as error:
        # HOME may be somebody else's (sudo keeps it): Docker's command continues as well.
        if isinstance(error, PermissionError) and not os.environ.get("DOCKER_CONFIG"):
            return ""
        raise MachineError(
            f"cannot read Docker's settings in {path}: {one_line(str(error))}",
            hint="correct or remove the file",
        ) from None


def _read(name: str) -> Endpoint:
    folder = _settings() / "contexts"
    identity = hashlib.sha256(name.encode("utf-8", "surrogateescape")).hexdigest()
    try:
        told = json.loads((folder / "meta" / identity / "meta.json").read_text("utf-8"))
        endpoints = member(of_kind(told, dict, "it"), "Endpoints", dict)
        endpoint: dict[str, Any] = member(endpoints, "docker", dict)
        host = member(endpoint, "Host", str)
        skip = optional(endpoint, "SkipTLSVerify", bool) or False
    except (FileNotFoundError, NotADirectoryError):
        raise _absent(name) from None
    except _WRONG as error:
        raise MachineError(
            f"cannot read the Docker context {quoted(name)}: {one_line(str(error))}",
            hint=f"remove it with `docker context rm {name}`",
        ) from None
    certificates = folder / "tls" / identity / "docker"
    return Endpoint(
        host=host, certificates=certificates if certificates.is_dir() else None, verify=not skip
    )


def _absent(name: str) -> MachineError:
    asked = bool(os.environ.get("DOCKER_CONTEXT"))
    return MachineError(
        f"the Docker context {quoted(name)} does not exist",
        hint="run `docker context ls` to list contexts, or "
        + ("unset DOCKER_CONTEXT" if asked else "`docker context use default`")
        + " to use the default one",
    )
