"""Asks git about a clone without letting the clone start any program.

A clone's configuration may name programs that watch files, clean them before a comparison, check
signatures, or fetch what is missing.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

_SAFE = (
    "--no-pager", "--no-optional-locks", "-c", "core.fsmonitor=false",
    "-c", "log.showSignature=false",
)  # fmt: skip
# Objects that a partial clone lacks are not fetched, by any protocol.
_ENVIRONMENT = {"GIT_ALLOW_PROTOCOL": "none", "GIT_NO_LAZY_FETCH": "1", "GIT_TERMINAL_PROMPT": "0"}
_FILTERS = r"^filter\..*\.(clean|process)$"


def ask(clone: Path, *words: str, patience: float) -> str | None:
    """Return what git prints, None if it fails, is missing or takes longer than `patience` s."""
    answer = _run(clone, words, patience)
    return answer.stdout.strip() if answer is not None and answer.returncode == 0 else None


def has_filters(clone: Path, *, patience: float) -> bool:
    """Whether comparing files would start a program that the clone itself names.

    Programs in the user's configuration (mostly Git LFS) and the system's do not count.
    """
    found = _filters(clone, patience)
    if found is None:
        return True
    for scope in ("--global", "--system") if found else ():
        found -= _filters(clone, patience, scope) or set()
    return bool(found)


def _filters(clone: Path, patience: float, *scope: str) -> set[str] | None:
    """Return names and programs of filters, None if git fails."""
    words = ("config", *scope, "--includes", "-z", "--get-regexp", _FILTERS)
    answer = _run(clone, words, patience)
    return None if answer is None else {one for one in answer.stdout.split("\0") if one}


def _run(
    clone: Path, words: tuple[str, ...], patience: float
) -> subprocess.CompletedProcess[str] | None:
    try:
        return subprocess.run(
            ["git", *_SAFE, "-C", str(clone), *words],
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=patience,
            check=False,
            stdin=subprocess.DEVNULL,
            env={**os.environ, **_ENVIRONMENT},
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
